//! Timeouts of open files, and descriptors that come to name another one together.

use abi::number::{F_READ_TIMEOUT, F_REPLACE, F_WRITE_TIMEOUT, O_CLOEXEC, ONLY_ASK, READ_MASKED};
use abi::redox::flag::F_GETFD;
use abi::redox::number::{SYS_DUP2, SYS_FCNTL};
use abi::redox::schemev2::{Opcode, Sqe};
use host_stories::tracer::bury;
use host_stories::*;

/// Longer than any story.
const LONG: usize = 1_000_000 * MS as usize;

fn fcntl(user: &mut User, fd: usize, command: usize, argument: usize) -> Answer {
    user.call(SYS_FCNTL, [fd, command, argument])
}

fn pair(user: &mut User) -> (usize, usize) {
    let one = user.open("pipe:pair", O_RDWR).expect("pipes can be made");
    let other = user.dup(one, b"peer").expect("it has another end");
    (one, other)
}

#[test]
fn a_call_gives_up_when_the_files_time_is_over() {
    story_on_any(|user| {
        let (one, other) = pair(user);
        let copy = user.dup(one, b"").expect("it is open");
        assert_eq!(fcntl(user, one, F_READ_TIMEOUT, 10 * MS as usize), Ok(0));
        assert_eq!(fcntl(user, copy, F_READ_TIMEOUT, ONLY_ASK), Ok(10 * MS as usize));
        assert_eq!(fcntl(user, one, F_WRITE_TIMEOUT, ONLY_ASK), Ok(0));
        let before = user.now();
        assert_eq!(user.read(copy, 8), error(EAGAIN));
        assert!(user.now() - before >= 10 * MS);
        // What comes in time is taken, and nothing is left of the timeout.
        let child = user.fork(move |user| {
            user.sleep(2);
            user.write(other, b"in time").expect("somebody reads");
        });
        assert_eq!(user.read(one, 8).as_deref(), Ok(&b"in time"[..]));
        user.wait_for(child);
        user.sleep(20);
        assert_eq!(fcntl(user, one, F_WRITE_TIMEOUT, 5 * MS as usize), Ok(0));
        let full = vec![0; 65_536];
        assert_eq!(user.write(one, &full), Ok(65_536));
        assert_eq!(user.write(one, b"more"), error(EAGAIN));
        assert_eq!(
            fcntl(user, other, F_READ_TIMEOUT, ONLY_ASK),
            Ok(0),
            "the other end's is its own"
        );
        assert_eq!(user.peek(|kernel| kernel.timers.len()), 0);
    });
}

#[test]
fn a_handler_ends_a_wait_with_a_timeout_even_with_restart() {
    story_on_any(|user| {
        let (one, _) = pair(user);
        let child = user.fork(move |user| {
            user.on(SIGUSR1, SA_RESTART, Action::run(|_, _| {}));
            fcntl(user, one, F_READ_TIMEOUT, LONG).expect("it is open");
            assert_eq!(user.read(one, 8), error(EINTR));
        });
        until_waiting(user, child, "readable");
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_wait_under_another_mask_gives_the_mask_back_when_its_time_is_over() {
    story_on_any(|user| {
        let (one, _) = pair(user);
        let blocked = 1 << (SIGUSR1 - 1);
        user.mask(0, blocked);
        fcntl(user, one, F_READ_TIMEOUT, 5 * MS as usize).expect("it is open");
        let answer = user.with(&0_u64.to_ne_bytes(), |user, mask| {
            user.with_room(8, |user, at| user.call(READ_MASKED, [one, at, 8, mask]))
        });
        assert_eq!(answer, error(EAGAIN));
        assert_eq!(user.mask(0, 0), blocked);
    });
}

/// A daemon that answers reads when they are cancelled, and only then.
fn lazy(user: &mut User, last_word: fn(&mut User, &Sqe) -> Answer) -> usize {
    daemon_that(user, "lazy", move |user, socket| {
        let mut owed = None;
        loop {
            let request = user.next_request(socket).expect("the socket is open");
            match Opcode::try_from_raw(request.opcode) {
                Some(Opcode::Read) => owed = Some(request),
                Some(Opcode::Cancel) => {
                    let owed = owed.take().expect("something is cancelled");
                    let answer = last_word(user, &owed);
                    user.answer(socket, &owed, answer).expect("it is owed");
                }
                Some(Opcode::OpenAt) => _ = user.answer(socket, &request, Ok(1)),
                _ => {}
            }
        }
    })
}

#[test]
fn a_daemon_is_asked_to_hurry_up_and_what_it_has_done_counts() {
    story_on_any(|user| {
        let refuses: fn(&mut User, &Sqe) -> Answer = |_, _| error(ECANCELED);
        let gives: fn(&mut User, &Sqe) -> Answer =
            |user, owed| Ok(user.fill_payload(owed, b"precious"));
        for (last_word, wanted) in [(refuses, error(EAGAIN)), (gives, Ok(b"precious".to_vec()))] {
            let server = lazy(user, last_word);
            let fd = user.open("lazy:", O_RDWR).expect("it is served");
            fcntl(user, fd, F_READ_TIMEOUT, 5 * MS as usize).expect("it is open");
            // Nothing is left over for the next call.
            for _ in 0..2 {
                let before = user.now();
                assert_eq!(user.read(fd, 8), wanted);
                assert!(user.now() - before >= 5 * MS);
            }
            assert_eq!(user.peek(|kernel| kernel.timers.len()), 0);
            bury(user, server);
            assert_eq!(user.read(fd, 8), error(ENODEV));
            user.close(fd).expect("it is open");
        }
    });
}

#[test]
fn a_request_that_no_daemon_has_seen_never_happened() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon(user, "busy", move |user, _, request| {
            if is(request, Opcode::Read) {
                heard.add("read");
                user.sleep(50);
                return Some(Ok(0));
            }
            is(request, Opcode::OpenAt).then_some(Ok(1))
        });
        let patient = user.open("busy:", O_RDWR).expect("it is served");
        let other = user.open("busy:", O_RDWR).expect("it is served");
        fcntl(user, other, F_READ_TIMEOUT, 5 * MS as usize).expect("it is open");
        let client = user.fork(move |user| assert_eq!(user.read(patient, 8), Ok(Vec::new())));
        while notes.all().is_empty() {
            user.sleep(1);
        }
        assert_eq!(user.read(other, 8), error(EAGAIN));
        assert_eq!(user.wait_for(client), Ended::Exited(0));
        assert_eq!(notes.all(), ["read"]);
        bury(user, server);
    });
}

#[test]
fn all_descriptors_for_a_file_come_to_name_another_one() {
    story_on_any(|user| {
        let (old, far) = pair(user);
        let copy = user.dup(old, b"").expect("it is open");
        fcntl(user, old, F_READ_TIMEOUT, LONG).expect("it is open");
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            assert_eq!(fcntl(user, old, F_REPLACE, reader), Ok(0));
            assert_eq!(user.read(copy, 8).as_deref(), Ok(&b"new"[..]));
        });
        user.write(writer, b"new").expect("somebody reads");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        // The child's are its own: here nothing has changed.
        user.write(far, b"old").expect("somebody reads");
        assert_eq!(user.read(copy, 8).as_deref(), Ok(&b"old"[..]));
        assert_eq!(fcntl(user, old, F_REPLACE, 77), error(EBADF));
        assert_eq!(fcntl(user, 77, F_REPLACE, old), error(EBADF));
        assert_eq!(fcntl(user, old, F_REPLACE, copy), Ok(0), "they name one file already");
        assert_eq!(fcntl(user, old, F_REPLACE, reader), Ok(0));
        assert_eq!(fcntl(user, copy, F_READ_TIMEOUT, ONLY_ASK), Ok(LONG));
        user.on(SIGPIPE, 0, Action::Ignore);
        assert_eq!(user.write(far, b"x"), error(EPIPE), "nobody has the old one");
        user.close(reader).expect("it is open");
        user.write(writer, b"more").expect("two have it");
        assert_eq!(user.read(old, 8).as_deref(), Ok(&b"more"[..]));
    });
}

#[test]
fn a_descriptor_is_put_in_place_with_close_on_exec() {
    story(|user| {
        let (reader, _) = user.pipe();
        assert_eq!(user.call(SYS_DUP2, [reader, 40, 0, 0, O_CLOEXEC]), Ok(40));
        assert_eq!(fcntl(user, 40, F_GETFD, 0), Ok(O_CLOEXEC));
        assert_eq!(user.call(SYS_DUP2, [reader, 40, 0, 0, 0]), Ok(40));
        assert_eq!(fcntl(user, 40, F_GETFD, 0), Ok(0));
    });
}
