//! Signals to clients that wait for a daemon.

use host_stories::*;

#[test]
fn a_signal_makes_the_kernel_ask_the_daemon_to_hurry() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon_that(user, "lazy", move |user, socket| {
            let mut owed = None;
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                match Opcode::try_from_raw(request.opcode) {
                    Some(Opcode::Read) => {
                        heard.add("read");
                        owed = Some(request);
                    }
                    Some(Opcode::Cancel) => {
                        let owed = owed.take().expect("something is cancelled");
                        assert_eq!(owed.tag, request.tag);
                        heard.add("cancel");
                        user.answer(socket, &owed, error(ECANCELED)).expect("it is owed");
                    }
                    Some(Opcode::OpenAt) => {
                        user.answer(socket, &request, Ok(1)).expect("it is owed");
                    }
                    _ => {}
                }
            }
        });
        let client = user.fork(|user| {
            user.on(SIGUSR1, 0, Action::run(|_, _| {}));
            let fd = user.open("lazy:x", O_RDWR).expect("it is served");
            assert_eq!(user.read(fd, 8), error(EINTR));
        });
        while notes.all().is_empty() {
            user.sleep(1);
        }
        user.kill(client as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(client), Ended::Exited(0));
        assert_eq!(notes.all(), ["read", "cancel"]);
        kill(user, server);
    });
}

#[test]
fn what_a_daemon_has_done_is_not_lost_by_a_signal() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon(user, "stubborn", move |user, _, request| {
            if is(request, Opcode::Read) {
                heard.add("read");
                user.sleep(20);
                return Some(Ok(user.fill_payload(request, b"precious")));
            }
            is(request, Opcode::OpenAt).then_some(Ok(1))
        });
        let client = user.fork(|user| {
            let ran = Notes::default();
            let note = ran.clone();
            user.on(SIGUSR1, 0, Action::run(move |_, _| note.add("handler")));
            let fd = user.open("stubborn:x", O_RDWR).expect("it is served");
            assert_eq!(user.read(fd, 8).as_deref(), Ok(&b"precious"[..]));
            assert_eq!(ran.all(), ["handler"]);
        });
        while notes.all().is_empty() {
            user.sleep(1);
        }
        user.kill(client as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(client), Ended::Exited(0));
        kill(user, server);
    });
}

#[test]
fn a_call_to_a_daemon_starts_again_when_the_handler_asks_for_it() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon_that(user, "twice", move |user, socket| {
            let mut owed = None;
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                match Opcode::try_from_raw(request.opcode) {
                    Some(Opcode::Read) if notes.all().is_empty() => {
                        notes.add("first read");
                        owed = Some(request);
                    }
                    Some(Opcode::Cancel) => {
                        let owed = owed.take().expect("something is cancelled");
                        user.answer(socket, &owed, error(ECANCELED)).expect("it is owed");
                    }
                    Some(Opcode::Read) => {
                        notes.add("second read");
                        let count = user.fill_payload(&request, b"again");
                        user.answer(socket, &request, Ok(count)).expect("it is owed");
                    }
                    Some(Opcode::OpenAt) => {
                        user.answer(socket, &request, Ok(1)).expect("it is owed");
                    }
                    _ => {}
                }
            }
        });
        let client = user.fork(|user| {
            let ran = Notes::default();
            let note = ran.clone();
            user.on(SIGUSR1, SA_RESTART, Action::run(move |_, _| note.add("handler")));
            let fd = user.open("twice:x", O_RDWR).expect("it is served");
            assert_eq!(user.read(fd, 8).as_deref(), Ok(&b"again"[..]));
            assert_eq!(ran.all(), ["handler"]);
        });
        while heard.all().is_empty() {
            user.sleep(1);
        }
        user.kill(client as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(client), Ended::Exited(0));
        assert_eq!(heard.all(), ["first read", "second read"]);
        kill(user, server);
    });
}
