//! Daemons and clients that die: what becomes of what they owe each other.

use abi::redox::number::*;
use host_stories::*;

/// A daemon that answers opens with file 1 and nothing else, and exits when `until` comes.
fn silent_until(
    user: &mut User,
    name: &'static str,
    until: impl Fn(&Sqe) -> bool + Send + 'static,
) -> usize {
    daemon_that(user, name, move |user, socket| {
        loop {
            let request = user.next_request(socket).expect("the socket is open");
            if until(&request) {
                return;
            }
            if is(&request, Opcode::OpenAt) {
                user.answer(socket, &request, Ok(1)).expect("it is owed");
            }
        }
    })
}

#[test]
fn when_a_daemon_dies_owing_an_answer_its_clients_know_at_once() {
    story_on_any(|user| {
        let server = silent_until(user, "dying", |request| is(request, Opcode::Fsync));
        let clients: Vec<_> = (0..3)
            .map(|_| {
                user.fork(|user| {
                    let fd = user.open("dying:file", O_RDWR).expect("it is served");
                    assert_eq!(user.read(fd, 8), error(ENODEV));
                    assert_eq!(user.read(fd, 8), error(ENODEV));
                    assert_eq!(user.write(fd, b"x"), error(ENODEV));
                    assert_eq!(user.dup(fd, b"x"), error(ENODEV));
                    assert_eq!(user.close(fd), Ok(0));
                })
            })
            .collect();
        let fd = user.open("dying:file", O_RDWR).expect("it is served");
        for client in &clients {
            until_waiting(user, *client, "reply");
            while user.peek(|kernel| kernel.user_schemes.iter().all(|(_, s)| s.waiting() == 0)) {
                user.sleep(1);
            }
        }
        assert_eq!(user.call(SYS_FSYNC, [fd]), error(ENODEV));
        assert_eq!(user.wait_for(server), Ended::Exited(0));
        for client in clients {
            assert_eq!(user.wait_for(client), Ended::Exited(0));
        }
        assert_eq!(user.open("dying:file", O_RDWR), error(ENOENT));
        assert!(!user.list("/scheme").expect("it is a directory").contains(&"dying".to_owned()));
        assert_eq!(user.read(fd, 1), error(ENODEV));
    });
}

#[test]
fn a_daemon_may_die_and_come_back_without_leaving_anything() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            for _ in 0..5 {
                let server = daemon(user, "phoenix", file_server(Notes::default()));
                let fd = user.open("phoenix:x", O_RDWR).expect("it is served");
                user.write(fd, b"hello").expect("it is served");
                kill(user, server);
                assert_eq!(user.write(fd, b"hello"), error(ENODEV));
                user.close(fd).expect("it is open");
            }
        });
    });
}

#[test]
fn the_answer_to_a_killed_client_is_dropped_and_its_file_closed() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon_that(user, "slow", move |user, socket| {
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                if is(&request, Opcode::OpenAt) {
                    heard.add("open");
                    user.sleep(20);
                    user.answer(socket, &request, Ok(42)).expect("dropped, but well answered");
                } else if is(&request, Opcode::CloseMsg) {
                    heard.add(format!("close {}", request.args[0]));
                }
            }
        });
        let client = user.fork(|user| {
            user.open("slow:x", O_RDWR).ok();
        });
        while notes.all().is_empty() {
            user.sleep(1);
        }
        kill(user, client);
        user.sleep(40);
        assert_eq!(notes.all(), ["open", "close 42"]);
        kill(user, server);
    });
}

#[test]
fn a_request_nobody_has_read_vanishes_with_its_client() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon_that(user, "late", move |user, socket| {
            user.sleep(50);
            user.set_flags(socket.fd, O_NONBLOCK).expect("it is open");
            let answer = user.next_request(socket).map(|request| request.opcode);
            assert_eq!(answer, error(EAGAIN));
            heard.add("nothing came");
        });
        let client = user.fork(|user| {
            user.open("late:x", O_RDWR).ok();
        });
        until_waiting(user, client, "reply");
        kill(user, client);
        assert_eq!(user.wait_for(server), Ended::Exited(0));
        assert_eq!(notes.all(), ["nothing came"]);
    });
}

#[test]
fn who_waits_for_an_open_when_the_daemon_dies_hears_of_its_death() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let server = silent_until(user, "brief", |request| is(request, Opcode::OpenAt));
            assert_eq!(user.open("brief:x", O_RDWR), error(ENODEV));
            user.wait_for(server);
        });
    });
}

#[test]
fn clients_and_daemon_may_die_at_any_moment() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            for round in 0..6 {
                let server = daemon(user, "mortal", file_server(Notes::default()));
                let clients: Vec<_> = (0..4)
                    .map(|_| {
                        user.fork(|user| {
                            loop {
                                let Ok(fd) = user.open("mortal:x", O_RDWR) else { return };
                                user.write(fd, b"hello").ok();
                                user.read(fd, 100).ok();
                                user.dup(fd, b"more").ok();
                            }
                        })
                    })
                    .collect();
                user.work((round + 1) * MS / 5);
                for client in &clients[..2] {
                    user.kill(*client as isize, SIGKILL).expect("it lives");
                }
                user.work(MS / 5);
                kill(user, server);
                for client in clients {
                    user.wait_for(client);
                }
            }
        });
    });
}

#[test]
fn an_answer_given_before_the_daemon_ends_arrives() {
    story_on_any(|user| {
        for _ in 0..5 {
            let server = daemon_that(user, "farewell", |user, socket| {
                loop {
                    let request = user.next_request(socket).expect("the socket is open");
                    if is(&request, Opcode::OpenAt) {
                        user.answer(socket, &request, Ok(1)).expect("it is owed");
                    } else {
                        let count = user.fill_payload(&request, b"goodbye");
                        user.answer(socket, &request, Ok(count)).expect("it is owed");
                        return;
                    }
                }
            });
            let fd = user.open("farewell:x", O_RDWR).expect("it is served");
            assert_eq!(user.read(fd, 100).as_deref(), Ok(&b"goodbye"[..]));
            assert_eq!(user.read(fd, 100), error(ENODEV));
            user.wait_for(server);
            user.close(fd).expect("it is open");
        }
    });
}

#[test]
fn a_scheme_ends_with_its_daemon_whoever_else_holds_the_socket() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let server = daemon_that(user, "held", |user, socket| {
                user.fork(|user| user.sleep(50));
                loop {
                    let request = user.next_request(socket).expect("the socket is open");
                    if is(&request, Opcode::OpenAt) {
                        user.answer(socket, &request, Ok(1)).expect("it is owed");
                    } else {
                        return;
                    }
                }
            });
            let fd = user.open("held:x", O_RDWR).expect("it is served");
            assert_eq!(user.read(fd, 8), error(ENODEV));
            assert_eq!(user.open("held:x", O_RDWR), error(ENOENT));
            assert_eq!(user.write(fd, b"x"), error(ENODEV));
            user.close(fd).expect("it is open");
            user.wait_for(server);
            assert_eq!(user.wait(-1).map(|(_, ended)| ended), Ok(Ended::Exited(0)));
        });
    });
}

#[test]
fn a_daemon_that_becomes_another_program_serves_no_more() {
    story_on_any(|user| {
        let program = user.program(|user| user.sleep(50));
        let server = daemon_that(user, "former", move |user, socket| {
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                if is(&request, Opcode::OpenAt) {
                    user.answer(socket, &request, Ok(1)).expect("it is owed");
                } else {
                    user.exec("/bin/other", &program, &[], &[]);
                }
            }
        });
        let fd = user.open("former:x", O_RDWR).expect("it is served");
        assert_eq!(user.read(fd, 8), error(ENODEV));
        assert_eq!(user.write(fd, b"x"), error(ENODEV));
        assert_eq!(user.wait_for(server), Ended::Exited(0));
    });
}
