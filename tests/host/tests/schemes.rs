//! Schemes served by daemons, in the bytes of the protocol.

use abi::redox::number::*;
use host_stories::*;

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
fn a_message_without_bytes_has_an_address_all_the_same() {
    use abi::redox::number::SYS_CALL;
    story(|user| {
        daemon(user, "talk", |_, _, request| match Opcode::try_from_raw(request.opcode) {
            Some(Opcode::OpenAt) => Some(Ok(1)),
            Some(Opcode::Call | Opcode::StdFsCall) => {
                let [_, address, length, one, two, three] = request.args;
                assert_eq!((length, one, two, three), (0, 7, 8, 9));
                assert!(address != 0 && address % PAGE_SIZE as u64 == 0, "{address:#x}");
                Some(Ok(5))
            }
            _ => None,
        });
        let fd = user.open("talk:x", O_RDWR).expect("it is served");
        let words: Vec<u8> = [7usize, 8, 9].iter().flat_map(|word| word.to_ne_bytes()).collect();
        for flags in [CallFlags::empty(), CallFlags::READ, CallFlags::STD_FS] {
            let flags = flags.bits() | 3;
            let told = user.with(&words, |user, at| user.call(SYS_CALL, [fd, 0, 0, flags, at, 0]));
            assert_eq!(told, Ok(5));
        }
    });
}
