//! Schemes served by daemons, in the bytes of the protocol.

use abi::redox::number::*;
use host_stories::*;

/// Whether a request has this opcode.
fn is(request: &Sqe, opcode: Opcode) -> bool {
    request.opcode == opcode as u8
}

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
fn a_daemon_serves_its_clients() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = daemon(user, "files", file_server(notes.clone()));
        let fd = user.open("files:some/path", O_RDWR).expect("it is served");
        assert_eq!(user.write(fd, b"hello"), Ok(5));
        assert_eq!(user.read(fd, 100).as_deref(), Ok(&b"this is file 1"[..]));
        assert_eq!(user.read(fd, 4).as_deref(), Ok(&b"this"[..]));
        let copy = user.dup(fd, b"").expect("no question to the daemon");
        let other = user.dup(fd, b"again").expect("it is served");
        assert_eq!(user.read(other, 100).as_deref(), Ok(&b"this is file 2"[..]));
        assert_eq!(user.open("files:missing", O_RDWR), error(ENOENT));
        user.close(fd).expect("it is open");
        user.close(other).expect("it is open");
        assert_eq!(user.read(copy, 100).as_deref(), Ok(&b"this is file 1"[..]));
        user.close(copy).expect("it is open");
        assert_eq!(user.open("/scheme/files/x", O_RDWR), Ok(copy.min(fd)));
        let golden = [
            "open some/path",
            "write 1 hello",
            "read 1",
            "read 1",
            "dup 1 again",
            "read 2",
            "open missing",
            "close 2",
            "read 1",
            "close 1",
            "open x",
        ];
        assert_eq!(notes.all(), golden);
        kill(user, server);
    });
}

#[test]
fn a_megabyte_arrives_as_it_was_sent() {
    story_on_any(|user| {
        let size = 1 << 20;
        let server = daemon(user, "big", move |user, _, request| {
            let fill = |seed: u64| (0..size).map(move |n| (n as u64 * 7 + seed) as u8);
            match Opcode::try_from_raw(request.opcode) {
                Some(Opcode::Write) => {
                    assert!(user.payload(request).into_iter().eq(fill(1)));
                    Some(Ok(size))
                }
                Some(Opcode::Read) => {
                    let bytes: Vec<u8> = fill(2).collect();
                    Some(Ok(user.fill_payload(request, &bytes)))
                }
                _ => Some(Ok(1)),
            }
        });
        let fd = user.open("big:", O_RDWR).expect("it is served");
        let at = user.allocate(2 * size);
        let bytes: Vec<u8> = (0..size).map(|n| (n as u64 * 7 + 1) as u8).collect();
        user.store(at + 5, &bytes);
        assert_eq!(user.call(SYS_WRITE, [fd, at + 5, size]), Ok(size));
        // More than a request may bring is cut, as any read may be.
        assert_eq!(user.call(SYS_READ, [fd, at + 3, size + 1000]), Ok(size));
        let read = user.load(at + 3, size);
        assert!(read.into_iter().eq((0..size).map(|n| (n as u64 * 7 + 2) as u8)));
        kill(user, server);
    });
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
fn nonsense_costs_the_daemon_not_the_client() {
    story_on_any(|user| {
        let server = daemon(user, "mad", |user, socket, request| {
            let lie = |user: &mut User, cqe: Cqe| user.write(socket.fd, &cqe);
            let good = Cqe { tag: request.tag, ..Cqe::default() };
            assert_eq!(lie(user, Cqe { tag: !request.tag, ..good }), error(EINVAL));
            assert_eq!(lie(user, Cqe { tag: request.tag ^ 0x1_0000, ..good }), error(EINVAL));
            assert_eq!(lie(user, Cqe { flags: 7, ..good }), error(EINVAL));
            assert_eq!(user.write(socket.fd, &good[..8]), error(EINVAL));
            let with_fd = CqeOpcode::RespondWithFd as u8;
            let no_fd = Cqe { flags: with_fd, result: 999, ..good };
            assert_eq!(lie(user, no_fd), error(EBADF));
            if is(request, Opcode::Read) {
                // A file where bytes were asked for.
                let wrong = Cqe { flags: with_fd, result: socket.fd as u64, ..good };
                assert_eq!(lie(user, wrong), error(EINVAL));
                user.answer(socket, request, Ok(request.args[2] as usize + 1))
                    .expect("well formed");
                assert_eq!(lie(user, good), error(EINVAL), "answered already");
                return None;
            }
            if is(request, Opcode::Write) {
                return Some(Ok(usize::MAX >> 1));
            }
            Some(Ok(5))
        });
        let fd = user.open("mad:x", O_RDWR).expect("the right answer counts");
        assert_eq!(user.read(fd, 8), error(EIO));
        assert_eq!(user.write(fd, b"four"), error(EIO));
        assert_eq!(user.path(fd).err(), None);
        kill(user, server);
    });
}

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
fn when_the_window_is_full_clients_wait_for_room() {
    story_on_any(|user| {
        let server = daemon_that(user, "narrow", |user, socket| {
            let mut owed = Vec::new();
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                if is(&request, Opcode::OpenAt) {
                    user.answer(socket, &request, Ok(1)).expect("it is owed");
                } else if is(&request, Opcode::Write) {
                    owed.push(request);
                } else if is(&request, Opcode::Fsync) {
                    user.answer(socket, &request, Ok(0)).expect("it is owed");
                    break;
                }
            }
            // From now on it does its work.
            loop {
                while let Some(request) = owed.pop() {
                    let length = request.args[2] as usize;
                    user.answer(socket, &request, Ok(length)).expect("it is owed");
                }
                owed.push(user.next_request(socket).expect("the socket is open"));
                owed.retain(|request| is(request, Opcode::Write));
            }
        });
        let fd = user.open("narrow:x", O_RDWR).expect("it is served");
        let size = 1 << 20;
        let at = user.allocate(size);
        user.store(at, &[1]);
        let clients: Vec<_> = (0..12)
            .map(|_| {
                user.fork(move |user| assert_eq!(user.call(SYS_WRITE, [fd, at, size]), Ok(size)))
            })
            .collect();
        let waits = |user: &mut User, reason: &str| {
            clients.iter().filter(|pid| status_of(user, **pid, "Wait") == reason).count()
        };
        while waits(user, "reply") + waits(user, "window") < 12 {
            user.sleep(1);
        }
        assert!(waits(user, "window") >= 4);
        assert_eq!(user.call(SYS_FSYNC, [fd]), Ok(0));
        for client in clients {
            assert_eq!(user.wait_for(client), Ended::Exited(0));
        }
        kill(user, server);
    });
}

#[test]
fn a_daemon_can_hand_over_a_file_of_another_scheme() {
    story_on_any(|user| {
        let server = daemon(user, "broker", |user, socket, request| {
            if is(request, Opcode::OpenAt) {
                let (reader, writer) = user.pipe();
                user.write(writer, b"from the pipe").expect("there is room");
                let flags = CqeOpcode::RespondWithFd as u8;
                let result = reader as u64;
                let cqe = Cqe { flags, tag: request.tag, result, ..Cqe::default() };
                user.write(socket.fd, &cqe).expect("it is owed");
                user.close(reader).expect("it is open");
                user.close(writer).expect("it is open");
            }
            None
        });
        let fd = user.open("broker:x", O_RDWR).expect("it is served");
        assert_eq!(user.read(fd, 100).as_deref(), Ok(&b"from the pipe"[..]));
        assert_eq!(user.read(fd, 100), Ok(vec![]));
        kill(user, server);
        assert_eq!(user.read(fd, 100), Ok(vec![]));
    });
}

#[test]
fn two_threads_can_serve_one_scheme() {
    story_on_any(|user| {
        let server = daemon_that(user, "team", |user, socket| {
            let work = move |user: &mut User| loop {
                let request = user.next_request(socket).expect("the socket is open");
                if !is(&request, Opcode::CloseMsg) {
                    user.answer(socket, &request, Ok(3)).expect("it is owed");
                }
            };
            user.thread(work);
            work(user);
        });
        let clients: Vec<_> = (0..4)
            .map(|_| {
                user.fork(|user| {
                    for _ in 0..20 {
                        let fd = user.open("team:x", O_RDWR).expect("it is served");
                        assert_eq!(user.call(SYS_FSYNC, [fd]), Ok(3));
                        user.close(fd).expect("it is open");
                    }
                })
            })
            .collect();
        for client in clients {
            assert_eq!(user.wait_for(client), Ended::Exited(0));
        }
        kill(user, server);
    });
}

#[test]
fn a_daemon_lends_memory_to_its_clients() {
    story_on_any(|user| {
        let server = daemon_that(user, "lender", |user, socket| {
            let at = user.allocate(2 * PAGE_SIZE);
            user.store(at, b"lent");
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                let answer = match Opcode::try_from_raw(request.opcode) {
                    Some(Opcode::MmapPrep) => Ok(at),
                    Some(Opcode::Fsize) => {
                        let bytes = user.load(at, 6);
                        Ok(usize::from(bytes == b"shared"))
                    }
                    _ => Ok(1),
                };
                if !is(&request, Opcode::CloseMsg) {
                    user.answer(socket, &request, answer).expect("it is owed");
                }
            }
        });
        let fd = user.open("lender:x", O_RDWR).expect("it is served");
        let flags = MapFlags::PROT_READ | MapFlags::PROT_WRITE;
        let map = |kind| Map { offset: 0, size: 2 * PAGE_SIZE, flags: flags | kind, address: 0 };
        let private = user.map(fd, map(MapFlags::MAP_PRIVATE)).expect("it is lent");
        assert_eq!(user.load(private, 4), b"lent");
        user.store(private, b"mine");
        let shared = user.map(fd, map(MapFlags::MAP_SHARED)).expect("it is lent");
        assert_eq!(user.load(shared, 4), b"lent");
        user.store(shared, b"shared");
        assert_eq!(user.seek(fd, 0, SEEK_END), error(ESPIPE));
        assert_eq!(user.load(private, 4), b"mine");
        kill(user, server);
        assert_eq!(user.load(shared, 6), b"shared");
        assert_eq!(user.load(private, 4), b"mine");
    });
}

#[test]
fn names_are_given_once_and_only_by_root() {
    story(|user| {
        let socket = user.serve("mine");
        let root = user.new_file(socket, 1).expect("it is mine");
        assert_eq!(user.register("mine", root), error(EEXIST));
        assert_eq!(user.register("sys", root), error(EEXIST));
        for bad in ["", "a/b", "a:b", "a b"] {
            assert_eq!(user.register(bad, root), error(EINVAL), "{bad:?}");
        }
        let not_a_root = user.open("sys:uname", O_RDONLY).expect("it is there");
        assert_eq!(user.register("other", not_a_root), error(EINVAL));
        let ended = fate(user, move |user| {
            let namespace = user.open("namespace:", O_RDWR).expect("root may");
            let ids = [7u32; 4].map(u32::to_ne_bytes).concat();
            user.with(&ids, |user, at| user.call(abi::number::SETIDS, [at])).expect("root may");
            assert_eq!(user.open("namespace:", O_RDWR), error(EACCES));
            assert_eq!(user.open("namespace:scheme-creation-cap", O_RDWR), error(EACCES));
            let name = b"evil";
            let arguments = |at| [namespace, at, name.len(), root];
            let answer =
                user.with(name, |user, at| user.call(abi::number::REGISTER_SCHEME, arguments(at)));
            assert_eq!(answer, error(EPERM));
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}

#[test]
fn only_its_daemon_reads_a_socket() {
    story_on_any(|user| {
        let socket = user.serve("private");
        let ended = fate(user, move |user| {
            assert_eq!(user.next_request(socket).err(), Some(Errno(EINVAL)));
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}

#[test]
fn a_bad_buffer_costs_the_client_and_gives_its_room_back() {
    story(|user| {
        let server = daemon(user, "careful", file_server(Notes::default()));
        let fd = user.open("careful:x", O_RDWR).expect("it is served");
        // Many more than the window has pages.
        for _ in 0..3000 {
            assert_eq!(user.call(SYS_READ, [fd, USER_START, 8]), error(EFAULT));
            assert_eq!(user.call(SYS_WRITE, [fd, USER_START, 8]), error(EFAULT));
        }
        assert_eq!(user.read(fd, 4).as_deref(), Ok(&b"this"[..]));
        kill(user, server);
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
fn a_descriptor_closed_under_a_waiting_call_is_bad_and_its_answer_dropped() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let server = daemon(user, "patient", |user, _, request| {
                if is(request, Opcode::CloseMsg) {
                    return None;
                }
                if is(request, Opcode::Read) {
                    user.sleep(10);
                }
                Some(Ok(1))
            });
            let ended = fate(user, |user| {
                let fd = user.open("patient:x", O_RDWR).expect("it is served");
                let reader = user.thread(move |user| {
                    assert_eq!(user.read(fd, 8), error(EBADF));
                });
                user.sleep(1);
                user.close(fd).expect("it is open");
                user.join(reader);
            });
            assert_eq!(ended, Ended::Exited(0));
            kill(user, server);
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
fn a_path_that_changes_while_it_is_opened_opens_what_it_names_in_the_end() {
    story_on_any(|user| {
        let servers = [("one", 77), ("two", 5)].map(|(name, number)| {
            daemon(user, name, move |user, _, request| {
                user.sleep(10);
                match Opcode::try_from_raw(request.opcode) {
                    Some(Opcode::OpenAt) => Some(Ok(number)),
                    Some(Opcode::CloseMsg) => None,
                    _ => {
                        assert_eq!(request.args[0] as usize, number, "it gets its own files");
                        Some(Ok(number))
                    }
                }
            })
        });
        let path = user.allocate(PAGE_SIZE);
        user.store(path, b"one:x");
        let changer = user.thread(move |user| {
            user.sleep(5);
            user.store(path, b"two:x");
        });
        let fd = user.call(abi::number::OPEN, [path, 5, O_RDWR]).expect("both are served");
        assert_eq!(user.call(SYS_FSYNC, [fd]), Ok(5));
        user.join(changer);
        servers.into_iter().for_each(|server| kill(user, server));
    });
}

#[test]
fn no_more_is_mapped_than_the_daemon_was_asked_for() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon_that(user, "exact", move |user, socket| {
            let at = user.allocate(2 * PAGE_SIZE);
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                if is(&request, Opcode::MmapPrep) {
                    heard.add(format!("{} bytes", request.args[1]));
                    user.sleep(10);
                }
                let answer = if is(&request, Opcode::MmapPrep) { at } else { 1 };
                user.answer(socket, &request, Ok(answer)).expect("it is owed");
            }
        });
        let fd = user.open("exact:x", O_RDWR).expect("it is served");
        let flags = MapFlags::PROT_READ | MapFlags::MAP_SHARED;
        let map = Map { offset: 0, size: PAGE_SIZE, flags, address: 0 };
        let wish = user.allocate(PAGE_SIZE);
        user.store(wish, &map);
        let changer = user.thread(move |user| {
            user.sleep(5);
            user.store(wish, &Map { size: 2 * PAGE_SIZE, ..map });
        });
        user.call(SYS_FMAP, [fd, wish, size_of::<Map>()]).expect("it is lent");
        assert_eq!(notes.all(), ["4096 bytes", "8192 bytes"]);
        user.join(changer);
        kill(user, server);
    });
}

#[test]
fn room_in_the_window_is_not_lost_with_the_client_it_was_for() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon_that(user, "tight", move |user, socket| {
            let mut owed = Vec::new();
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                if is(&request, Opcode::OpenAt) {
                    user.answer(socket, &request, Ok(1)).expect("it is owed");
                } else if is(&request, Opcode::Write) {
                    heard.add("write");
                    owed.push(request);
                } else if is(&request, Opcode::Fsync) {
                    user.answer(socket, &request, Ok(0)).expect("it is owed");
                    for request in owed.drain(..1) {
                        user.answer(socket, &request, Ok(1)).expect("it is owed");
                    }
                }
            }
        });
        let fd = user.open("tight:x", O_RDWR).expect("it is served");
        let size = 1 << 20;
        let at = user.allocate(size);
        let write = move |user: &mut User| {
            user.call(SYS_WRITE, [fd, at, size]).ok();
        };
        let holders: Vec<_> = (0..8).map(|_| user.fork(write)).collect();
        while notes.all().len() < 8 {
            user.sleep(1);
        }
        let waiting = [user.fork(write), user.fork(write)];
        waiting.iter().for_each(|client| until_waiting(user, *client, "window"));
        // The first to be woken is stopped and cannot use the room.
        user.kill(waiting[0] as isize, SIGSTOP).expect("it lives");
        user.sleep(1);
        user.call(SYS_FSYNC, [fd]).expect("it is served");
        until_waiting(user, waiting[1], "reply");
        for client in holders.into_iter().chain(waiting) {
            user.kill(client as isize, SIGKILL).ok();
            user.wait_for(client);
        }
        kill(user, server);
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

#[test]
fn the_request_window_cannot_be_taken_away() {
    story(|user| {
        let server = daemon(user, "windowed", |user, _, request| {
            let page = request.args[1] as usize / PAGE_SIZE * PAGE_SIZE;
            if is(request, Opcode::Write) {
                let both = MapFlags::PROT_READ | MapFlags::PROT_WRITE;
                let flags = both | MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
                let map = Map { offset: 0, size: PAGE_SIZE, flags, address: page };
                assert_eq!(user.unmap(page, PAGE_SIZE), error(EBUSY));
                assert_eq!(user.protect(page, PAGE_SIZE, MapFlags::PROT_READ), error(EBUSY));
                assert_eq!(user.map(ANONYMOUS, map), error(EBUSY));
                assert_eq!(user.payload(request), b"still here");
            }
            (!is(request, Opcode::CloseMsg)).then_some(Ok(1))
        });
        let fd = user.open("windowed:x", O_RDWR).expect("it is served");
        assert_eq!(user.write(fd, b"still here"), Ok(1));
        kill(user, server);
    });
}

#[test]
fn a_daemon_cannot_lend_for_writing_what_it_may_not_write() {
    story(|user| {
        let server = daemon_that(user, "poor", move |user, socket| {
            let at = user.allocate(PAGE_SIZE);
            user.load(at, 1);
            user.protect(at, PAGE_SIZE, MapFlags::PROT_READ).expect("it is mapped");
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                let answer = if is(&request, Opcode::MmapPrep) { at } else { 1 };
                user.answer(socket, &request, Ok(answer)).expect("it is owed");
            }
        });
        let fd = user.open("poor:x", O_RDWR).expect("it is served");
        let flags = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED;
        let map = Map { offset: 0, size: PAGE_SIZE, flags, address: 0 };
        if let Ok(at) = user.map(fd, map) {
            user.store(at, b"scribble");
        }
        let fresh = user.allocate(PAGE_SIZE);
        assert_eq!(user.load(fresh, 8), [0; 8], "everybody's zeroes");
        assert_eq!(user.map(fd, map), error(EIO));
        kill(user, server);
    });
}

#[test]
fn a_daemon_cannot_lend_more_than_it_has() {
    story(|user| {
        let server = daemon_that(user, "boaster", move |user, socket| {
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                let answer = if is(&request, Opcode::MmapPrep) { USER_START } else { 1 };
                user.answer(socket, &request, Ok(answer)).expect("it is owed");
            }
        });
        let fd = user.open("boaster:x", O_RDWR).expect("it is served");
        for size in [PAGE_SIZE, 1 << 40, USER_END - 2 * USER_START, USER_END] {
            let flags = MapFlags::PROT_READ | MapFlags::MAP_PRIVATE;
            let map = Map { offset: 0, size, flags, address: 0 };
            assert_eq!(user.map(fd, map), error(EIO));
        }
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
