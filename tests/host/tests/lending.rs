//! The memory of a daemon: its request window, and what it lends to clients.

use abi::redox::number::*;
use host_stories::*;

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
