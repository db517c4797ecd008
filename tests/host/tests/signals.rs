//! Signals: who gets them, and what becomes of the call they interrupt.

use abi::number::{SETIDS, SIGQUEUE, SIGTIMEDWAIT};
use host_stories::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A counter that handlers and stories share.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// An action that counts.
    fn action(&self) -> Action {
        let count = self.clone();
        Action::run(move |_, _| count.add())
    }
}

fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

#[test]
fn a_signal_nobody_chose_an_action_for_does_its_default() {
    story_on_any(|user| {
        for signal in [SIGHUP, SIGINT, SIGTERM, SIGKILL, SIGUSR1, 40] {
            let child = user.fork(|user| user.sleep(1_000_000));
            assert_eq!(user.kill(child as isize, signal), Ok(0));
            assert_eq!(user.wait_for(child), killed_by(signal));
        }
        let child = user.fork(|user| user.sleep(5));
        for signal in [SIGCHLD, SIGWINCH, SIGURG, SIGCONT] {
            assert_eq!(user.kill(child as isize, signal), Ok(0));
        }
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_handler_runs_once_for_each_signal_and_the_program_goes_on() {
    story_on_any(|user| {
        let count = Count::default();
        user.on(SIGUSR1, 0, count.action());
        let pid = user.pid() as isize;
        for round in 1..=5 {
            assert_eq!(user.kill(pid, SIGUSR1), Ok(0));
            assert_eq!(count.get(), round);
        }
    });
}

#[test]
fn a_busy_program_is_interrupted_between_two_instructions() {
    story_on_any(|user| {
        let count = Count::default();
        let seen = count.clone();
        let child = user.fork(move |user| {
            user.on(SIGUSR1, 0, count.action());
            while count.get() == 0 {
                user.work(MS / 10);
            }
        });
        user.sleep(5);
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        assert_eq!(seen.get(), 1);
    });
}

#[test]
fn a_handler_ends_a_waiting_call_with_eintr() {
    story_on_any(|user| {
        let (reader, _writer) = user.pipe();
        let child = user.fork(move |user| {
            user.on(SIGUSR1, 0, Action::run(|_, _| {}));
            assert_eq!(user.read(reader, 8), error(EINTR));
        });
        until_waiting(user, child, "readable");
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_call_starts_again_when_the_handler_asks_for_it() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let count = Count::default();
        let seen = count.clone();
        let child = user.fork(move |user| {
            user.on(SIGUSR1, SA_RESTART, count.action());
            assert_eq!(user.read(reader, 8).as_deref(), Ok(&b"at last"[..]));
        });
        for round in 0..3 {
            until_waiting(user, child, "readable");
            assert_eq!(seen.get(), round);
            user.kill(child as isize, SIGUSR1).expect("it lives");
            while seen.get() == round {
                user.sleep(1);
            }
        }
        user.write(writer, b"at last").expect("somebody reads");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn an_ignored_signal_does_not_disturb_a_waiting_call() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            user.on(SIGUSR1, 0, Action::Ignore);
            assert_eq!(user.read(reader, 8).as_deref(), Ok(&b"quiet"[..]));
        });
        until_waiting(user, child, "readable");
        user.kill(child as isize, SIGUSR1).expect("it lives");
        user.kill(child as isize, SIGCHLD).expect("it lives");
        user.write(writer, b"quiet").expect("somebody reads");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_blocked_signal_waits_and_counts_once() {
    story(|user| {
        let count = Count::default();
        user.on(SIGUSR1, 0, count.action());
        let pid = user.pid() as isize;
        assert_eq!(user.mask(0, bit(SIGUSR1) | bit(SIGKILL)), 0);
        user.kill(pid, SIGUSR1).expect("it lives");
        user.kill(pid, SIGUSR1).expect("it lives");
        assert_eq!((count.get(), user.pending()), (0, bit(SIGUSR1)));
        assert_eq!(user.mask(1, bit(SIGUSR1)), bit(SIGUSR1));
        assert_eq!((count.get(), user.pending()), (1, 0));
    });
}

#[test]
fn a_handler_may_be_for_one_time_only() {
    story(|user| {
        let count = Count::default();
        let seen = count.clone();
        let ended = fate(user, move |user| {
            user.on(SIGUSR1, SA_RESETHAND, count.action());
            let pid = user.pid() as isize;
            user.kill(pid, SIGUSR1).expect("it lives");
            assert_eq!(count.get(), 1);
            user.kill(pid, SIGUSR1).expect("it dies of it");
        });
        assert_eq!((ended, seen.get()), (killed_by(SIGUSR1), 1));
    });
}

#[test]
fn handlers_nest_to_a_limit() {
    story(|user| {
        let count = Count::default();
        let seen = count.clone();
        let ended = fate(user, move |user| {
            let action = Action::run(move |user, signal| {
                count.add();
                let pid = user.pid() as isize;
                user.kill(pid, signal).expect("it lives");
            });
            user.on(SIGUSR1, SA_NODEFER, action);
            let pid = user.pid() as isize;
            user.kill(pid, SIGUSR1).expect("it lives");
        });
        assert_eq!((ended, seen.get()), (killed_by(SIGUSR1), NESTING_MAX));
    });
}

#[test]
fn some_signals_cannot_be_caught() {
    story(|user| {
        let action = SigAction { handler: SIG_IGN, ..SigAction::default() };
        for signal in [SIGKILL, SIGSTOP, 0, 65, usize::MAX] {
            assert_eq!(user.set_action(signal, action), error(EINVAL));
        }
    });
}

#[test]
fn a_parent_is_told_when_a_child_ends() {
    story_on_any(|user| {
        let count = Count::default();
        user.on(SIGCHLD, 0, count.action());
        let child = user.fork(|_| {});
        while count.get() == 0 {
            user.sleep_for(MS).0.ok();
        }
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn who_ignores_its_children_need_not_wait_for_them() {
    story_on_any(|user| {
        user.on(SIGCHLD, 0, Action::Ignore);
        let child = user.fork(|user| user.sleep(1));
        assert_eq!(user.wait(child as isize), error(ECHILD));
        assert_eq!(user.kill(child as isize, 0), error(ESRCH));
    });
}

#[test]
fn waiting_for_a_signal_ends_when_a_handler_has_run() {
    story_on_any(|user| {
        let count = Count::default();
        let seen = count.clone();
        let child = user.fork(move |user| {
            user.on(SIGUSR1, 0, count.action());
            user.mask(0, bit(SIGUSR1) | bit(SIGUSR2));
            assert_eq!(user.suspend(0), error(EINTR));
            assert_eq!(user.mask(0, 0), bit(SIGUSR1) | bit(SIGUSR2));
        });
        until_waiting(user, child, "signal");
        user.kill(child as isize, SIGCHLD).expect("it lives");
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!((user.wait_for(child), seen.get()), (Ended::Exited(0), 1));
    });
}

#[test]
fn a_signal_that_waits_already_ends_the_wait_for_it_at_once() {
    story(|user| {
        let count = Count::default();
        user.on(SIGUSR1, 0, count.action());
        user.mask(0, bit(SIGUSR1));
        let pid = user.pid() as isize;
        user.kill(pid, SIGUSR1).expect("it lives");
        assert_eq!((user.suspend(0), count.get()), (error(EINTR), 1));
    });
}

#[test]
fn a_whole_group_can_be_signalled() {
    story_on_any(|user| {
        let leader = user.fork(|user| {
            user.call(abi::number::SETPGID, [0, 0]).expect("it may lead");
            let member = user.fork(|user| user.sleep(1_000_000));
            user.wait_for(member);
        });
        while status_of(user, leader, "Wait") != "child" {
            user.sleep(1);
        }
        assert_eq!(user.kill(-(leader as isize), SIGTERM), Ok(0));
        assert_eq!(user.wait_for(leader), killed_by(SIGTERM));
        assert_eq!(user.wait(-1).map(|(_, ended)| ended), Ok(killed_by(SIGTERM)));
        assert_eq!(user.kill(-(leader as isize), SIGTERM), error(ESRCH));
    });
}

#[test]
fn one_thread_of_many_takes_a_signal() {
    story_on_any(|user| {
        let count = Count::default();
        let seen = count.clone();
        let child = user.fork(move |user| {
            user.on(SIGUSR1, 0, count.action());
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    user.thread(|user| {
                        user.sleep_for(20 * MS).0.ok();
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| user.join(thread));
        });
        user.sleep(5);
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!((user.wait_for(child), seen.get()), (Ended::Exited(0), 1));
    });
}

#[test]
fn a_thread_can_be_signalled_alone() {
    story_on_any(|user| {
        let count = Count::default();
        user.on(SIGUSR1, 0, count.action());
        let thread = user.thread(|user| {
            assert_eq!(user.sleep_for(1_000_000 * MS).0, error(EINTR));
        });
        user.sleep(5);
        let pid = user.pid();
        assert_eq!(user.call(abi::number::TGKILL, [pid, thread.tid, SIGUSR1]), Ok(0));
        user.join(thread);
        assert_eq!(count.get(), 1);
        assert_eq!(user.call(abi::number::TGKILL, [pid, thread.tid, 0]), error(ESRCH));
    });
}

fn queue(user: &mut User, pid: usize, signal: usize, value: usize) -> Answer {
    user.call(SIGQUEUE, [pid, signal, value])
}

/// Takes a signal of a set without waiting: its number, how it came, its sender, its value.
fn taken(user: &mut User, set: u64) -> Answer<(usize, i32, usize, usize)> {
    let now = [0; 16];
    user.with(&[&set.to_ne_bytes()[..], &now].concat(), |user, set| {
        user.with_room(48, |user, at| {
            let signal = user.call(SIGTIMEDWAIT, [set, at, set + 8])?;
            let (code, pid) = (user.load_u32(at + 8) as i32, user.load_u32(at + 12) as usize);
            Ok((signal, code, pid, user.load_word(at + 40)))
        })
    })
}

#[test]
fn real_time_signals_come_with_their_values_in_line() {
    story_on_any(|user| {
        let pid = user.pid();
        let set = bit(40) | bit(41) | bit(SIGUSR1);
        user.mask(0, set);
        for (signal, value) in [(41, 1), (40, 2), (40, 3), (SIGUSR1, 4), (SIGUSR1, 5)] {
            assert_eq!(queue(user, pid, signal, value), Ok(0));
        }
        user.kill(pid as isize, 40).expect("it lives");
        assert_eq!(taken(user, set), Ok((SIGUSR1, SI_QUEUE, pid, 4)), "ordinary ones do not queue");
        assert_eq!(taken(user, set), Ok((40, SI_QUEUE, pid, 2)));
        assert_eq!(taken(user, set), Ok((40, SI_QUEUE, pid, 3)));
        assert_eq!(taken(user, set), Ok((40, SI_USER, pid, 0)));
        assert_eq!(taken(user, set), Ok((41, SI_QUEUE, pid, 1)));
        assert_eq!(taken(user, set), error(EAGAIN));
        // A handler runs as often as it was sent.
        let count = Count::default();
        user.on(40, 0, count.action());
        (0..5).for_each(|value| _ = queue(user, pid, 40, value).expect("there is room"));
        user.mask(1, bit(40));
        assert_eq!(count.get(), 5);
    });
}

#[test]
fn the_line_of_real_time_signals_is_bounded_and_goes_with_its_process() {
    story_on_any(|user| {
        let own = user.pid();
        let child = user.fork(move |user| {
            user.mask(0, bit(40) | bit(41));
            let pid = user.pid();
            let sent = (0..).take_while(|value| queue(user, pid, 40, *value) == Ok(0)).count();
            assert_eq!(sent, QUEUE_MAX + 1);
            assert_eq!(queue(user, pid, 40, 0), error(EAGAIN));
            assert_eq!(queue(user, pid, 41, 0), Ok(0), "the first of a number has its place");
            assert!(queue(user, pid, SIGUSR1, 0).is_ok());
        });
        assert_eq!(user.wait_for(child), killed_by(SIGUSR1));
        let child = user.fork(move |user| {
            user.mask(0, bit(40));
            assert_eq!(taken(user, bit(40)), error(EAGAIN), "fork passes none on");
            user.with(&[7; 16], |user, ids| user.call(SETIDS, [ids])).expect("it is root");
            assert_eq!(queue(user, own, 40, 0), error(EPERM));
            let pid = user.pid();
            assert_eq!(queue(user, pid, 0, 0), Ok(0));
            assert_eq!(queue(user, pid, SIGNAL_MAX + 1, 0), error(EINVAL));
            for nobody in [0, 99_999, usize::MAX] {
                assert_eq!(queue(user, nobody, 40, 0), error(ESRCH));
            }
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn waiting_for_a_signal_is_never_started_again() {
    story(|user| {
        user.on(SIGUSR1, SA_RESTART, Action::run(|_, _| {}));
        user.mask(0, bit(SIGUSR1));
        let pid = user.pid() as isize;
        user.kill(pid, SIGUSR1).expect("it lives");
        assert_eq!(user.suspend(0), error(EINTR));
    });
}

#[test]
fn an_interrupted_sleep_tells_how_much_is_left() {
    story_on_any(|user| {
        let child = user.fork(|user| {
            user.on(SIGUSR1, SA_RESTART, Action::run(|_, _| {}));
            let (answer, rest) = user.sleep_for(1000 * MS);
            assert_eq!(answer, error(EINTR));
            assert!((500 * MS..950 * MS).contains(&rest), "{rest} ns are left");
        });
        user.sleep(100);
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn nothing_ends_pid_1_that_it_has_not_asked_for() {
    story_on_any(|user| {
        let child = user.fork(move |user| {
            for signal in 1..=SIGNAL_MAX {
                let is_refused = matches!(signal, SIGKILL | SIGSTOP);
                let wanted = if is_refused { error(EPERM) } else { Ok(0) };
                assert_eq!(user.kill(1, signal), wanted, "{signal}");
            }
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        user.sleep(5);
        assert_eq!(user.pid(), 1);
    });
}
