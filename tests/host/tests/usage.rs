//! What processes use, and what their parents learn of it.

use abi::number::{WAIT, WLIVING, WNOHANG, WNOWAIT};
use host_stories::*;

const MIB: usize = 1 << 20;

fn number(user: &mut User, key: &str) -> u64 {
    let own = user.pid();
    status_of(user, own, key).parse().expect("a number")
}

/// Milliseconds that children have had in their own code, as far as the caller knows.
fn children(user: &mut User) -> u64 {
    number(user, "ChildUserTime") / MS
}

#[test]
fn a_parent_knows_the_times_of_those_it_has_waited_for() {
    story(|user| {
        let child = user.fork(|user| {
            let grandchild = user.fork(|user| user.work(300 * MS));
            user.work(100 * MS);
            assert_eq!(children(user), 0);
            user.wait_for(grandchild);
            assert!((300..320).contains(&children(user)), "{}", children(user));
            // Nobody waits for this one: it goes to PID 1.
            user.fork(|user| user.work(50 * MS));
        });
        assert_eq!(children(user), 0);
        let (found, _) = user.wait(child as isize).expect("it is a child");
        assert_eq!(found, child);
        assert!((400..440).contains(&children(user)), "{}", children(user));
        assert!(number(user, "ChildKernelTime") > 0);
        user.wait(-1).expect("the orphan");
        assert!((450..500).contains(&children(user)), "{}", children(user));
        let ended = fate(user, |user| assert_eq!(children(user), 0));
        assert_eq!(ended, Ended::Exited(0));
    });
}

#[test]
fn children_that_nobody_waits_for_do_not_count() {
    story(|user| {
        let ended = fate(user, |user| {
            user.on(SIGCHLD, 0, Action::Ignore);
            user.fork(|user| user.work(100 * MS));
            user.sleep(300);
            assert_eq!(user.wait(-1), error(ECHILD));
            assert_eq!(children(user), 0);
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}

#[test]
fn the_most_memory_is_kept() {
    story(|user| {
        let program = user.program(|user| {
            assert!(
                number(user, "Peak") >= 3 * MIB as u64,
                "it is the process's, not the program's"
            );
            assert!(number(user, "Resident") < MIB as u64);
        });
        let ended = fate(user, move |user| {
            let before = number(user, "Resident");
            assert!(before <= number(user, "Peak"));
            let at = user.allocate(3 * MIB);
            user.store(at, &vec![1; 3 * MIB]);
            user.unmap(at, 3 * MIB).expect("it was mapped");
            assert!(number(user, "Resident") < MIB as u64);
            assert!(number(user, "Peak") >= before.max(3 * MIB as u64));
            user.exec("/bin/small", &program, &["small"], &[]);
        });
        assert_eq!(ended, Ended::Exited(0));
        let most = number(user, "ChildPeak");
        assert!((3 * MIB as u64..5 * MIB as u64).contains(&most), "{most}");
        assert!(number(user, "Peak") < most);
        // Children are not added up.
        assert_eq!(fate(user, |user| user.exit(1)), Ended::Exited(1));
        assert_eq!(number(user, "ChildPeak"), most);
    });
}

#[test]
fn waiting_can_leave_the_child_as_it_is() {
    story_on_any(|user| {
        let all = usize::MAX;
        let child = user.fork(|user| user.exit(6));
        for _ in 0..2 {
            assert_eq!(user.call(WAIT, [all, 0, WNOWAIT]), Ok(child));
            assert_eq!(children(user), 0);
        }
        // For one who asks only for those that live it is not there.
        assert_eq!(user.call(WAIT, [all, 0, WLIVING | WNOHANG]), error(ECHILD));
        assert_eq!(user.call(WAIT, [child, 0, WLIVING]), error(ECHILD));
        let other = user.fork(|user| _ = user.suspend(0));
        assert_eq!(user.call(WAIT, [all, 0, WLIVING | WNOHANG]), Ok(0));
        assert_eq!(user.wait(-1), Ok((child, Ended::Exited(6))));
        user.kill(other as isize, SIGKILL).expect("it may");
        assert_eq!(user.wait_for(other), killed_by(SIGKILL));
    });
}
