//! Priorities: how the CPUs' time is shared, and who may change it.

use abi::number::SETIDS;
use host_stories::*;

const STRANGER: u32 = 1000;

fn set_priority(user: &mut User, pid: usize, priority: u8) -> Answer<()> {
    user.write_text(&format!("proc:{pid}/priority"), &format!("{priority}\n")).map(|_| ())
}

fn priority(user: &mut User, pid: usize) -> u8 {
    let text = user.read_text(&format!("proc:{pid}/priority")).expect("the process is there");
    assert_eq!(status_of(user, pid, "Priority"), text.trim());
    text.trim().parse().expect("a number")
}

fn become_stranger(user: &mut User) {
    let ids: Vec<u8> = [STRANGER; 4].iter().flat_map(|id| id.to_ne_bytes()).collect();
    user.with(&ids, |user, at| user.call(SETIDS, [at])).expect("root may");
}

/// A child that never stops computing.
fn busy(user: &mut User, priority: u8) -> usize {
    let child = user.fork(|user| user.work(1_000_000 * MS));
    set_priority(user, child, priority).expect("root may");
    child
}

/// Nanoseconds that each process has had in its own code.
fn times<const N: usize>(user: &mut User, children: [usize; N]) -> [f64; N] {
    children.map(|pid| status_of(user, pid, "UserTime").parse().expect("a number"))
}

/// What each of them gets in a while.
fn gained<const N: usize>(user: &mut User, children: [usize; N], milliseconds: u64) -> [f64; N] {
    let before = times(user, children);
    user.sleep(milliseconds);
    let after = times(user, children);
    std::array::from_fn(|n| after[n] - before[n])
}

fn end(user: &mut User, children: impl IntoIterator<Item = usize>) {
    for child in children {
        user.kill(child as isize, SIGKILL).expect("root may");
        assert_eq!(user.wait_for(child), killed_by(SIGKILL));
    }
}

fn is_about(what: f64, wanted: f64) -> bool {
    (wanted * 0.95..wanted * 1.05).contains(&what)
}

#[test]
fn two_loops_share_a_cpu_as_their_weights_say() {
    story(|user| {
        for (urgent, other, ratio) in
            [(20, 20, 1.0), (20, 15, 3.05), (23, 20, 1.95), (40, 38, 1.56)]
        {
            let children = [busy(user, urgent), busy(user, other)];
            let [first, second] = gained(user, children, 2_000);
            assert!(is_about(first / second, ratio), "{urgent} and {other}: {first} and {second}");
            end(user, children);
        }
    });
}

#[test]
fn the_least_urgent_gets_little_and_does_not_starve() {
    story(|user| {
        let children = [busy(user, 1), busy(user, 20), busy(user, 20)];
        // A turn of the first costs as much as 69 turns of one of the others.
        let [least, one, other] = gained(user, children, 3_000);
        assert!(is_about(one, other), "{one} and {other}");
        assert!(least >= (20 * MS) as f64 && least < (50 * MS) as f64, "{least}");
        end(user, children);
    });
}

#[test]
fn an_idle_one_gets_what_is_left() {
    story(|user| {
        let idle = busy(user, 0);
        let other = user.fork(|user| {
            loop {
                let before = user.now();
                user.sleep(10);
                let late = user.now() - before - 10 * MS;
                assert!(late < MS, "{late} ns late because of an idle process");
                user.work(10 * MS);
            }
        });
        let [idle_had, had] = gained(user, [idle, other], 1_000);
        assert!(is_about(idle_had, had), "{idle_had} and {had}");
        let loops = busy(user, 1);
        let [idle_had, had] = gained(user, [idle, loops], 1_000);
        assert!(idle_had == 0.0 && had > 0.0, "{idle_had} and {had}");
        end(user, [loops]);
        let [idle_had] = gained(user, [idle], 1_000);
        assert!(idle_had > 0.0);
        end(user, [idle, other]);
    });
}

#[test]
fn idle_ones_share_what_is_left_on_every_cpu() {
    story_on_any(|user| {
        let idle = [busy(user, 0), busy(user, 0), busy(user, 0), busy(user, 0), busy(user, 0)];
        let had = gained(user, idle, 500);
        assert!(had.iter().all(|had| *had > 0.0), "{had:?}");
        for _ in 0..20 {
            assert_eq!(fate(user, |user| user.exit(3)), Ended::Exited(3));
        }
        end(user, idle);
    });
}

#[test]
fn everybody_else_is_there_at_once() {
    story(|user| {
        let idle = [busy(user, 0), busy(user, 0)];
        for _ in 0..20 {
            let before = user.now();
            assert_eq!(fate(user, |user| user.exit(3)), Ended::Exited(3));
            let took = user.now() - before;
            assert!(took < MS, "a child took {took} ns beside idle ones");
        }
        end(user, idle);
    });
}

#[test]
fn an_idle_one_can_be_killed_while_others_are_busy() {
    story(|user| {
        let children = [busy(user, 0), busy(user, 20)];
        user.sleep(50);
        end(user, children);
    });
}

#[test]
fn a_change_takes_effect_at_once() {
    story(|user| {
        let children = [busy(user, 20), busy(user, 20)];
        let [first, second] = gained(user, children, 1_000);
        assert!(is_about(first, second), "{first} and {second}");
        set_priority(user, children[1], 1).expect("root may");
        let [first, second] = gained(user, children, 1_000);
        assert!(first > 30.0 * second, "{first} and {second}");
        // What it has had too much of counts no longer.
        set_priority(user, children[1], 20).expect("root may");
        let [first, second] = gained(user, children, 200);
        assert!((second - first).abs() <= (20 * MS) as f64, "{first} and {second}");
        set_priority(user, children[0], 0).expect("root may");
        let [first, second] = gained(user, children, 500);
        assert!(first <= (10 * MS) as f64 && second > 0.0, "{first} and {second}");
        set_priority(user, children[0], 30).expect("root may");
        let [first, second] = gained(user, children, 500);
        assert!(first > 6.0 * second, "{first} and {second}");
        end(user, children);
    });
}

#[test]
fn who_was_alone_has_no_debt() {
    story(|user| {
        let old = busy(user, 10);
        user.sleep(10_000);
        let new = busy(user, 10);
        let [first, second] = gained(user, [old, new], 500);
        assert!(is_about(first, second), "{first} and {second}");
        end(user, [old, new]);
    });
}

#[test]
fn short_lives_are_counted_too() {
    fn relay(user: &mut User) {
        user.work(5 * MS);
        // The child goes on; nobody waits for the parent.
        user.fork(relay);
        user.exit(0);
    }
    story(|user| {
        let honest = busy(user, 20);
        let relay = user.fork(relay);
        assert_eq!(user.wait_for(relay), Ended::Exited(0));
        let [had] = gained(user, [honest], 1_000);
        assert!((had - 500.0 * MS as f64).abs() < 100.0 * MS as f64, "{had} of 1000 ms");
    });
}

#[test]
fn children_inherit_it_threads_follow_and_exec_keeps_it() {
    story_on_any(|user| {
        let program = user.program(|user| {
            let own = user.pid();
            assert_eq!(priority(user, own), 12);
            let child = user.fork(|user| {
                let own = user.pid();
                assert_eq!(priority(user, own), 12);
            });
            assert_eq!(user.wait_for(child), Ended::Exited(0));
        });
        let ended = fate(user, move |user| {
            let own = user.pid();
            assert_eq!(priority(user, own), 20);
            set_priority(user, own, 12).expect("its own");
            let thread = user.thread(move |user| assert_eq!(priority(user, own), 12));
            user.join(thread);
            let errno = user.exec("/bin/heir", &program, &["heir"], &[]);
            panic!("{errno:?}");
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}

#[test]
fn all_threads_of_a_process_have_its_priority() {
    story(|user| {
        let other = busy(user, 20);
        let many = user.fork(|user| {
            user.thread(|user| user.work(1_000_000 * MS));
            user.work(1_000_000 * MS);
        });
        set_priority(user, many, 10).expect("root may");
        let [first, second] = gained(user, [other, many], 2_000);
        assert!(is_about(first / second, 9.3 / 2.0), "{first} and {second}");
        end(user, [other, many]);
    });
}

#[test]
fn only_root_makes_somebody_more_urgent() {
    story_on_any(|user| {
        let other = user.fork(|user| _ = user.suspend(0));
        for text in ["", "-1", "41", "high", "20 20", "256"] {
            let path = format!("proc:{other}/priority");
            assert_eq!(user.write_text(&path, text), error(EINVAL), "{text}");
        }
        let ended = fate(user, move |user| {
            let own = user.pid();
            set_priority(user, own, 25).expect("root may");
            become_stranger(user);
            assert_eq!(set_priority(user, other, 5), error(EPERM));
            assert_eq!(set_priority(user, own, 26), error(EACCES));
            set_priority(user, own, 25).expect("it stays as it was");
            set_priority(user, own, 10).expect("less is for everybody");
            assert_eq!(set_priority(user, own, 11), error(EACCES));
            assert_eq!(priority(user, own), 10);
            assert_eq!(priority(user, other), 20);
        });
        assert_eq!(ended, Ended::Exited(0));
        end(user, [other]);
        assert_eq!(set_priority(user, other, 5), error(ENOENT));
    });
}
