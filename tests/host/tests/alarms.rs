//! Taking signals without handlers, alarms, and waiting for bytes under another mask.

use abi::number::{
    READ_MASKED, SETTIMER, SIGTIMEDWAIT, TIMER_END, TIMER_MISSED, TIMER_NEW, TIMER_SET,
};
use abi::redox::schemev2::Opcode;
use host_stories::tracer::bury;
use host_stories::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const SECOND: u64 = 1_000 * MS;

fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

/// Nanoseconds as a program lays out a time.
fn time(nanoseconds: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(nanoseconds / SECOND).to_ne_bytes());
    bytes[8..12].copy_from_slice(&((nanoseconds % SECOND) as i32).to_ne_bytes());
    bytes
}

fn take(user: &mut User, set: u64, patience: Option<u64>) -> Answer {
    let bytes = [&set.to_ne_bytes()[..], &time(patience.unwrap_or_default())].concat();
    user.with(&bytes, |user, at| {
        let timeout = patience.map_or(0, |_| at + 8);
        user.call(SIGTIMEDWAIT, [at, 0, timeout])
    })
}

/// Sets the alarm, and returns what it was: how long until, and between.
fn alarm(user: &mut User, delay: u64, interval: u64) -> [u64; 2] {
    let new = [time(delay), time(interval)].concat();
    user.with(&new, |user, new| {
        user.with_room(32, |user, old| {
            user.call(SETTIMER, [new, old]).expect("good times");
            [old, old + 16]
                .map(|at| user.load_word(at) as u64 * SECOND + u64::from(user.load_u32(at + 8)))
        })
    })
}

#[test]
fn a_blocked_signal_is_taken_without_a_handler() {
    story_on_any(|user| {
        let pid = user.pid() as isize;
        user.mask(0, bit(SIGUSR1) | bit(SIGUSR2));
        user.kill(pid, SIGUSR2).expect("it lives");
        assert_eq!(take(user, bit(SIGUSR1), Some(0)), error(EAGAIN));
        assert_eq!(take(user, bit(SIGUSR1) | bit(SIGUSR2), Some(0)), Ok(SIGUSR2));
        assert_eq!(user.pending(), 0);
        let before = user.now();
        assert_eq!(take(user, bit(SIGUSR1), Some(5 * MS)), error(EAGAIN));
        assert!(user.now() - before >= 5 * MS);
    });
}

#[test]
fn who_waits_for_a_signal_gets_it_even_if_it_would_be_ignored() {
    story_on_any(|user| {
        let child = user.fork(|user| {
            user.mask(0, bit(SIGUSR1) | bit(SIGCHLD));
            assert_eq!(take(user, bit(SIGUSR1), None), Ok(SIGUSR1));
            let grandchild = user.fork(|_| {});
            assert_eq!(take(user, bit(SIGCHLD), None), Ok(SIGCHLD));
            assert_eq!(user.wait_for(grandchild), Ended::Exited(0));
        });
        until_waiting(user, child, "signal");
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_handler_ends_the_wait_for_another_signal() {
    story_on_any(|user| {
        let child = user.fork(|user| {
            user.on(SIGUSR2, SA_RESTART, Action::run(|_, _| {}));
            user.mask(0, bit(SIGUSR1));
            assert_eq!(take(user, bit(SIGUSR1), Some(10 * SECOND)), error(EINTR));
            // Nothing is awaited any more: this is pending, and disturbs nobody.
            let pid = user.pid() as isize;
            user.kill(pid, SIGUSR1).expect("it lives");
            assert_eq!(user.pending(), bit(SIGUSR1));
        });
        until_waiting(user, child, "signal");
        user.kill(child as isize, SIGUSR2).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn an_alarm_rings_once_or_at_intervals() {
    story_on_any(|user| {
        let count = Arc::new(AtomicUsize::new(0));
        let rung = count.clone();
        user.on(SIGALRM, 0, Action::run(move |_, _| _ = rung.fetch_add(1, SeqCst)));
        assert_eq!(alarm(user, 10 * MS, 0), [0, 0]);
        let [left, interval] = alarm(user, 10 * MS, 0);
        assert!((1..=10 * MS).contains(&left) && interval == 0, "{left} {interval}");
        let (answer, rest) = user.sleep_for(50 * MS);
        assert_eq!((answer, count.load(SeqCst)), (error(EINTR), 1));
        user.sleep_for(rest).0.expect("it rings once");
        alarm(user, 5 * MS, 10 * MS);
        while count.load(SeqCst) < 4 {
            assert_eq!(user.sleep_for(SECOND).0, error(EINTR));
        }
        assert_eq!(alarm(user, 0, 0)[1], 10 * MS);
        let last = count.load(SeqCst);
        user.sleep(50);
        assert_eq!(count.load(SeqCst), last, "one that was taken back rings no more");
    });
}

#[test]
fn an_alarm_is_its_processs_own_and_goes_with_it() {
    story_on_any(|user| {
        let child = user.fork(|user| {
            alarm(user, 20 * MS, 0);
            let grandchild = user.fork(|user| {
                assert_eq!(alarm(user, 0, 0), [0, 0], "fork passes none on");
                user.sleep(60);
            });
            assert_eq!(user.wait_for(grandchild), Ended::Exited(0));
        });
        assert_eq!(user.wait_for(child), killed_by(SIGALRM));
        let before = user.peek(|kernel| kernel.timers.len());
        let child = user.fork(|user| _ = alarm(user, SECOND, SECOND));
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        assert_eq!(user.peek(|kernel| kernel.timers.len()), before);
    });
}

/// Sets a timer that was made, and returns what it was.
fn set(user: &mut User, timer: usize, delay: u64, interval: u64) -> Answer<[u64; 2]> {
    let new = [time(delay), time(interval)].concat();
    user.with(&new, |user, new| {
        user.with_room(32, |user, old| {
            user.call(TIMER_SET, [timer, new, old])?;
            Ok([old, old + 16]
                .map(|at| user.load_word(at) as u64 * SECOND + u64::from(user.load_u32(at + 8))))
        })
    })
}

#[test]
fn timers_of_ones_own_send_what_they_were_made_for() {
    story_on_any(|user| {
        user.mask(0, bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGALRM));
        let one = user.call(TIMER_NEW, [SIGUSR1]).expect("there is room");
        let other = user.call(TIMER_NEW, [SIGUSR2]).expect("there is room");
        let silent = user.call(TIMER_NEW, [0]).expect("there is room");
        assert_eq!(set(user, one, 20 * MS, 0), Ok([0, 0]));
        assert_eq!(set(user, other, 10 * MS, 10 * MS), Ok([0, 0]));
        assert_eq!(set(user, silent, 5 * MS, 0), Ok([0, 0]));
        alarm(user, 40 * MS, 0);
        let all = bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGALRM);
        assert_eq!(take(user, all, None), Ok(SIGUSR2));
        assert_eq!(take(user, bit(SIGUSR1), None), Ok(SIGUSR1));
        assert_eq!(take(user, bit(SIGALRM), None), Ok(SIGALRM));
        assert_eq!(set(user, silent, 0, 0), Ok([0, 0]));
        assert_eq!(set(user, other, 0, 0).map(|old| old[1]), Ok(10 * MS));
        while take(user, bit(SIGUSR2), Some(0)).is_ok() {}
        assert_eq!(take(user, all, Some(30 * MS)), error(EAGAIN));
        // Ended, its number is free and it rings no more.
        set(user, other, 5 * MS, 0).expect("it is there");
        assert_eq!(user.call(TIMER_END, [other]), Ok(0));
        assert_eq!(take(user, all, Some(30 * MS)), error(EAGAIN));
        assert_eq!(set(user, other, 0, 0), error(EINVAL));
        assert_eq!(user.call(TIMER_NEW, [SIGUSR2]), Ok(other));
    });
}

/// Takes a signal of a set: its number, how it came, from whom or which timer, what that timer missed, its
/// value.
fn details(user: &mut User, set: u64) -> (usize, i32, usize, usize, usize) {
    user.with(&set.to_ne_bytes(), |user, set| {
        user.with_room(48, |user, at| {
            let signal = user.call(SIGTIMEDWAIT, [set, at, 0]).expect("one comes");
            let [code, from, missed] = [8, 12, 16].map(|field| user.load_u32(at + field));
            (signal, code as i32, from as usize, missed as usize, user.load_word(at + 40))
        })
    })
}

#[test]
fn a_timer_has_one_signal_pending_and_counts_what_it_missed() {
    story_on_any(|user| {
        const REALTIME: usize = 40;
        user.mask(0, bit(REALTIME) | bit(SIGUSR1));
        let one = user.call(TIMER_NEW, [REALTIME, 77, 0]).expect("there is room");
        let other = user.call(TIMER_NEW, [REALTIME, 78, 0]).expect("there is room");
        assert_eq!(user.call(TIMER_MISSED, [one]), Ok(0));
        set(user, one, 10 * MS, 10 * MS).expect("it is there");
        set(user, other, 15 * MS, 0).expect("it is there");
        user.sleep(55);
        let (signal, code, timer, missed, value) = details(user, bit(REALTIME));
        assert_eq!((signal, code, timer, value), (REALTIME, SI_TIMER, one, 77));
        assert!(missed >= 3, "{missed}");
        assert_eq!(user.call(TIMER_MISSED, [one]), Ok(missed));
        assert_eq!(details(user, bit(REALTIME)), (REALTIME, SI_TIMER, other, 0, 78));
        // Set anew, it forgets what it has missed.
        user.sleep(55);
        set(user, one, 10 * MS, 0).expect("it is there");
        assert_eq!(details(user, bit(REALTIME)), (REALTIME, SI_TIMER, one, 0, 77));
        assert_eq!(user.call(TIMER_MISSED, [one]), Ok(0));
        assert_eq!(user.call(TIMER_END, [one]), Ok(0));
        assert_eq!(user.call(TIMER_MISSED, [one]), error(EINVAL));
        // Another's signal takes the place of an ordinary one: that counts as missed, and the next tells.
        let plain = user.call(TIMER_NEW, [SIGUSR1, 79, 0]).expect("there is room");
        let pid = user.pid() as isize;
        user.kill(pid, SIGUSR1).expect("it lives");
        set(user, plain, 5 * MS, 0).expect("it is there");
        user.sleep(10);
        assert_eq!(take(user, bit(SIGUSR1), Some(0)), Ok(SIGUSR1));
        assert_eq!(take(user, bit(SIGUSR1), Some(0)), error(EAGAIN));
    });
}

#[test]
fn a_timers_signal_can_be_for_one_thread() {
    story_on_any(|user| {
        user.mask(0, bit(SIGUSR1));
        let own = user.call(abi::number::GETTID, []).expect("it has a number");
        let child = user.fork(move |user| {
            assert_eq!(user.call(TIMER_NEW, [SIGUSR1, 0, own]), error(EINVAL), "not its own");
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        assert_eq!(user.call(TIMER_NEW, [SIGUSR1, 0, usize::MAX]), error(EINVAL));
        let timer = user.call(TIMER_NEW, [SIGUSR1, 5, own]).expect("there is room");
        set(user, timer, 5 * MS, 0).expect("it is there");
        assert_eq!(details(user, bit(SIGUSR1)), (SIGUSR1, SI_TIMER, timer, 0, 5));
        let deaf = user.thread(|user| user.sleep(10));
        let timer = user.call(TIMER_NEW, [SIGUSR1, 6, deaf.tid]).expect("there is room");
        user.join(deaf);
        set(user, timer, 5 * MS, 5 * MS).expect("it is there");
        assert_eq!(take(user, bit(SIGUSR1), Some(20 * MS)), error(EAGAIN), "it is gone");
    });
}

#[test]
fn timers_are_bounded_and_go_with_their_process() {
    story_on_any(|user| {
        let before = user.peek(|kernel| kernel.timers.len());
        let child = user.fork(|user| {
            let mut timers = Vec::new();
            while let Ok(timer) = user.call(TIMER_NEW, [SIGUSR1]) {
                set(user, timer, SECOND, SECOND).expect("it was just made");
                timers.push(timer);
            }
            assert_eq!(timers, (1..32).collect::<Vec<_>>());
            assert_eq!(user.call(TIMER_NEW, [SIGUSR1]), error(EAGAIN));
            let grandchild = user.fork(|user| {
                assert_eq!(set(user, 1, 0, 0), error(EINVAL), "fork passes none on");
            });
            assert_eq!(user.wait_for(grandchild), Ended::Exited(0));
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        assert_eq!(user.peek(|kernel| kernel.timers.len()), before);
        for nonsense in [65, usize::MAX] {
            assert_eq!(user.call(TIMER_NEW, [nonsense]), error(EINVAL));
            assert_eq!(user.call(TIMER_END, [nonsense]), error(EINVAL));
            assert_eq!(set(user, nonsense, 1, 0), error(EINVAL));
        }
        assert_eq!(user.call(TIMER_END, [0]), error(EINVAL), "the first one stays");
    });
}

#[test]
fn no_time_is_an_error_and_leaves_the_alarm() {
    story(|user| {
        alarm(user, SECOND, 0);
        for bad in [[u64::MAX, 0], [0, SECOND]] {
            let bytes: Vec<u8> = bad.iter().chain(&[0, 0]).flat_map(|w| w.to_ne_bytes()).collect();
            let answer = user.with(&bytes, |user, at| user.call(SETTIMER, [at, 0]));
            assert_eq!(answer, error(EINVAL));
        }
        assert!(alarm(user, 0, 0)[0] > 0);
    });
}

/// Reads with another mask.
fn read_masked(user: &mut User, fd: usize, mask: u64) -> Answer {
    user.with(&mask.to_ne_bytes(), |user, mask| {
        user.with_room(8, |user, at| user.call(READ_MASKED, [fd, at, 8, mask]))
    })
}

#[test]
fn a_signal_that_only_the_wait_lets_in_ends_it() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            let count = Arc::new(AtomicUsize::new(0));
            let seen = count.clone();
            user.on(SIGUSR1, SA_RESTART, Action::run(move |_, _| _ = seen.fetch_add(1, SeqCst)));
            user.mask(0, bit(SIGUSR1));
            // It comes before the wait: the two are one step, so it is not missed.
            let pid = user.pid() as isize;
            user.kill(pid, SIGUSR1).expect("it lives");
            assert_eq!(count.load(SeqCst), 0);
            assert_eq!(read_masked(user, reader, 0), error(EINTR));
            assert_eq!(count.load(SeqCst), 1);
            assert_eq!(user.mask(0, 0), bit(SIGUSR1), "the mask is the old one");
            // Bytes end the wait, and the mask is the old one as well.
            assert_eq!(read_masked(user, reader, 0), Ok(3));
            assert_eq!(user.mask(0, 0), bit(SIGUSR1));
        });
        until_waiting(user, child, "readable");
        user.write(writer, b"now").expect("somebody reads");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_daemon_that_refuses_or_ends_gives_the_mask_back_too() {
    story_on_any(|user| {
        let (told, tell) = user.pipe();
        let server = daemon(user, "slow", move |user, _, request| match request.opcode {
            opcode if opcode == Opcode::OpenAt as u8 => Some(Ok(1)),
            opcode if opcode == Opcode::Read as u8 && request.args[2] == 8 => {
                user.read(told, 1).expect("somebody tells");
                Some(Err(Errno(EIO)))
            }
            _ => None,
        });
        let fd = user.open("slow:", O_RDWR).expect("it is served");
        let count = Arc::new(AtomicUsize::new(0));
        let seen = count.clone();
        user.on(SIGUSR1, SA_RESTART, Action::run(move |_, _| _ = seen.fetch_add(1, SeqCst)));
        let own = user.pid() as isize;
        let child = user.fork(move |user| {
            until_waiting(user, own as usize, "reply");
            user.kill(own, SIGUSR1).expect("it lives");
            user.write(tell, b"!").expect("there is room");
        });
        assert_eq!(read_masked(user, fd, bit(SIGUSR1)), error(EIO));
        user.wait_for(child);
        assert_eq!(user.mask(0, 0), 0, "the mask is the old one");
        assert_eq!(count.load(SeqCst), 1, "what came meanwhile is heard");
        bury(user, server);
        assert_eq!(read_masked(user, fd, bit(SIGUSR1)), error(ENODEV));
        assert_eq!(user.mask(0, 0), 0);
        user.close(fd).expect("it is open");
    });
}
