//! Stopped processes: who stops them, what continues them, and what their parents hear of it.

use host_stories::*;

#[test]
fn a_stopped_process_rests_until_it_is_continued() {
    story_on_any(|user| {
        let at = user.allocate_shared(PAGE_SIZE);
        let child = user.fork(move |user| {
            loop {
                let count = user.load_word(at);
                user.store_word(at, count + 1);
                user.work(MS / 10);
            }
        });
        user.sleep(5);
        user.kill(child as isize, SIGSTOP).expect("it lives");
        until_stopped(user, child);
        let before = user.load_word(at);
        user.sleep(20);
        assert_eq!(user.load_word(at), before);
        user.kill(child as isize, SIGCONT).expect("it lives");
        user.sleep(20);
        assert!(user.load_word(at) > before);
        user.kill(child as isize, SIGKILL).expect("it lives");
        assert_eq!(user.wait_for(child), killed_by(SIGKILL));
    });
}

fn until_stopped(user: &mut User, pid: usize) {
    while !status_of(user, pid, "State").starts_with('T') {
        user.sleep(1);
    }
}

#[test]
fn a_stop_does_not_break_the_call_it_interrupts() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            assert_eq!(user.read(reader, 8).as_deref(), Ok(&b"hello"[..]));
        });
        until_waiting(user, child, "readable");
        user.kill(child as isize, SIGSTOP).expect("it lives");
        until_stopped(user, child);
        user.write(writer, b"hello").expect("there is room");
        user.sleep(5);
        user.kill(child as isize, SIGCONT).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_stopped_process_can_be_killed() {
    story_on_any(|user| {
        let child = user.fork(|user| user.sleep(1_000_000));
        user.kill(child as isize, SIGSTOP).expect("it lives");
        until_stopped(user, child);
        user.kill(child as isize, SIGTERM).expect("it lives");
        user.sleep(5);
        assert!(status_of(user, child, "State").starts_with('T'), "other signals wait");
        user.kill(child as isize, SIGKILL).expect("it lives");
        assert_eq!(user.wait_for(child), killed_by(SIGKILL));
    });
}

#[test]
fn going_on_undoes_a_stop_that_nobody_has_noticed_yet() {
    story_on_any(|user| {
        let child = user.fork(|user| user.work(5 * MS));
        user.kill(child as isize, SIGSTOP).expect("it lives");
        user.kill(child as isize, SIGCONT).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

/// The word that `WAIT` stores.
fn wait_word(user: &mut User, pid: usize, options: usize) -> Answer<(usize, i32)> {
    user.with_room(4, |user, at| {
        let pid = user.call(abi::number::WAIT, [pid, at, options])?;
        Ok((pid, if pid == 0 { 0 } else { user.load_u32(at) as i32 }))
    })
}

#[test]
fn a_parent_learns_that_its_child_stops_and_goes_on() {
    use abi::number::{WCONTINUED, WNOHANG, WUNTRACED};
    use abi::wait::Change;
    story_on_any(|user| {
        let child = user.fork(|user| user.sleep(1_000_000));
        user.kill(child as isize, SIGTSTP).expect("it lives");
        let stopped = Change::Stopped(SIGTSTP as u8).status();
        assert_eq!(wait_word(user, child, WUNTRACED), Ok((child, stopped)));
        assert_eq!(wait_word(user, child, WUNTRACED | WNOHANG), Ok((0, 0)), "only once");
        user.kill(child as isize, SIGCONT).expect("it lives");
        assert_eq!(wait_word(user, child, WUNTRACED | WNOHANG), Ok((0, 0)), "not asked for");
        let goes_on = Change::Continued.status();
        assert_eq!(wait_word(user, child, WUNTRACED | WCONTINUED), Ok((child, goes_on)));
        user.kill(child as isize, SIGCONT).expect("it lives");
        assert_eq!(wait_word(user, child, WCONTINUED | WNOHANG), Ok((0, 0)), "it went on already");
        user.kill(child as isize, SIGSTOP).expect("it lives");
        user.kill(child as isize, SIGKILL).expect("it lives");
        assert_eq!(user.wait_for(child), killed_by(SIGKILL));
    });
}
