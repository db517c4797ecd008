//! Attaching to a thread in every kind of wait: it shows itself standing before its call, and what it
//! waits for is not lost.

use abi::redox::number::{SYS_FSYNC, SYS_WRITE};
use host_stories::emergency::*;
use host_stories::tracer::*;
use host_stories::*;
use kernel_core::task::Reason;

/// A process that waits, and what gives it what it waits for.
struct Waiter {
    pid: usize,
    release: Box<dyn FnOnce(&mut User)>,
}

impl Waiter {
    fn new(pid: usize, release: impl FnOnce(&mut User) + 'static) -> Self {
        Self { pid, release: Box::new(release) }
    }
}

/// A process that waits for this reason. Two reasons have stories of their own: while somebody waits
/// for memory the world stands still, and who waits for a tracer has one.
fn waiter(user: &mut User, reason: Reason) -> Option<Waiter> {
    Some(match reason {
        Reason::Reply => owed_an_answer(user),
        Reason::Window => without_room(user),
        Reason::Page => without_a_page(user),
        Reason::Readable => {
            let (reader, writer) = user.pipe();
            let pid = user.fork(move |user| assert_eq!(user.read(reader, 8), Ok(b"x".to_vec())));
            Waiter::new(pid, move |user| {
                user.write(writer, b"x").expect("there is room");
            })
        }
        Reason::Writable => {
            const PIECES: usize = 64;
            let (reader, writer) = user.pipe();
            let pid = user.fork(move |user| {
                for _ in 0..PIECES {
                    assert_eq!(user.write(writer, &[7; PAGE_SIZE]), Ok(PAGE_SIZE));
                }
            });
            // The writer may be stopped when it is let go, so somebody else waits for the rest; who must
            // not have a copy of the session.
            let (gate, key) = user.pipe();
            user.fork(move |user| {
                user.close(writer).expect("it was open");
                user.read(gate, 1).expect("it comes");
                while !user.read(reader, PAGE_SIZE).expect("it can be read").is_empty() {}
            });
            Waiter::new(pid, move |user| {
                user.close(writer).expect("it was open");
                user.write(key, b"x").expect("there is room");
            })
        }
        Reason::Event => {
            let (reader, writer) = user.pipe();
            let pid = user.fork(move |user| {
                let queue = user.event_queue();
                user.watch(queue, reader, EventFlags::EVENT_READ, 5).expect("it can be watched");
                assert_eq!(user.next_event(queue).map(|event| event.data), Ok(5));
            });
            Waiter::new(pid, move |user| {
                user.write(writer, b"x").expect("there is room");
            })
        }
        Reason::Child => {
            let (reader, writer) = user.pipe();
            let pid = user.fork(move |user| {
                let child = user.fork(move |user| drop(user.read(reader, 1)));
                assert_eq!(user.wait_for(child), Ended::Exited(0));
            });
            Waiter::new(pid, move |user| {
                user.write(writer, b"x").expect("there is room");
            })
        }
        Reason::Time => Waiter::new(user.fork(|user| user.sleep(300)), |_| {}),
        Reason::Futex => {
            let word = user.allocate_shared(PAGE_SIZE);
            let pid = user.fork(move |user| {
                while user.load_u32(word) == 0 {
                    user.futex_wait(word, 0, None).ok();
                }
            });
            Waiter::new(pid, move |user| {
                user.store(word, &[1]);
                user.futex_wake(word, 1).expect("a good address");
            })
        }
        Reason::Signal => {
            let pid = user.fork(|user| {
                user.on(SIGUSR1, 0, Action::run(|_, _| {}));
                assert_eq!(user.suspend(0), error(EINTR));
            });
            Waiter::new(pid, move |user| {
                user.kill(pid as isize, SIGUSR1).ok();
            })
        }
        Reason::Tracee => {
            let number = user.allocate_shared(PAGE_SIZE);
            let pid = user.fork(move |user| {
                let child = user.fork(|user| user.sleep(1_000_000));
                user.store_word(number, child);
                let tracer = Tracer::seize(user, child);
                assert_eq!(tracer.next(user).err(), Some(Errno(ESRCH)));
                assert_eq!(user.wait_for(child), killed_by(SIGKILL));
            });
            Waiter::new(pid, move |user| {
                let child = user.load_word(number);
                user.kill(child as isize, SIGKILL).expect("it lives");
            })
        }
        Reason::Memory | Reason::Tracer => return None,
    })
}

/// A client of a daemon that answers reads when somebody asks it to sync.
fn owed_an_answer(user: &mut User) -> Waiter {
    let server = daemon_that(user, "owing", |user, socket| {
        let mut owed = Vec::new();
        loop {
            let request = user.next_request(socket).expect("the socket is open");
            match Opcode::try_from_raw(request.opcode) {
                Some(Opcode::OpenAt) => user.answer(socket, &request, Ok(1)).expect("it is owed"),
                Some(Opcode::Fsync) => {
                    for request in owed.drain(..) {
                        let count = user.fill_payload(&request, b"owed");
                        user.answer(socket, &request, Ok(count)).ok();
                    }
                    user.answer(socket, &request, Ok(0)).expect("it is owed")
                }
                Some(Opcode::Read) => {
                    owed.push(request);
                    continue;
                }
                _ => continue,
            };
        }
    });
    let fd = user.open("owing:x", O_RDONLY).expect("it is served");
    let pid = user.fork(move |user| assert_eq!(user.read(fd, 8), Ok(b"owed".to_vec())));
    Waiter::new(pid, move |user| {
        user.call(SYS_FSYNC, [fd]).expect("it is served");
        user.close(fd).expect("it was open");
        kill(user, server);
    })
}

/// Writes from a page of a mapped file, which its daemon gives when somebody asks it to sync.
fn without_a_page(user: &mut User) -> Waiter {
    const PAGES: usize = 64;
    let server = daemon_that(user, "paging", |user, socket| {
        let at = user.allocate(PAGES * PAGE_SIZE);
        let mut owed = Vec::new();
        loop {
            let request = user.next_request(socket).expect("the socket is open");
            let answer = match Opcode::try_from_raw(request.opcode) {
                Some(Opcode::MmapPrep) if request.args[3] > 0 => {
                    owed.push(request);
                    continue;
                }
                Some(Opcode::MmapPrep) => at,
                Some(Opcode::Fsync) => {
                    for request in owed.drain(..) {
                        let place = at + request.args[3] as usize;
                        user.answer(socket, &request, Ok(place)).ok();
                    }
                    0
                }
                Some(Opcode::OpenAt) => 1,
                _ => continue,
            };
            user.answer(socket, &request, Ok(answer)).expect("it is owed");
        }
    });
    let fd = user.open("paging:x", O_RDONLY).expect("it is served");
    let flags = MapFlags::PROT_READ | MapFlags::MAP_SHARED;
    let map = Map { offset: 0, size: PAGES * PAGE_SIZE, flags, address: 0 };
    let at = user.map(fd, map).expect("it is a file");
    let (_, writer) = user.pipe();
    let pid = user.fork(move |user| {
        let page = at + 40 * PAGE_SIZE;
        assert_eq!(user.call(SYS_WRITE, [writer, page, 8]), Ok(8));
    });
    Waiter::new(pid, move |user| {
        user.call(SYS_FSYNC, [fd]).expect("it is served");
        user.close(fd).expect("it was open");
        kill(user, server);
    })
}

/// A client of a daemon whose window others have filled.
fn without_room(user: &mut User) -> Waiter {
    const SIZE: usize = 1 << 20;
    let (gate, key) = user.pipe();
    daemon_that(user, "narrow", move |user, socket| {
        let request = user.next_request(socket).expect("the socket is open");
        user.answer(socket, &request, Ok(1)).expect("it is owed");
        user.read(gate, 1).expect("it comes");
        loop {
            let request = user.next_request(socket).expect("the socket is open");
            if is(&request, Opcode::Write) {
                user.answer(socket, &request, Ok(request.args[2] as usize)).ok();
            }
        }
    });
    let fd = user.open("narrow:x", O_RDWR).expect("it is served");
    let at = user.allocate(SIZE);
    user.store(at, &[1]);
    let client = |user: &mut User| {
        user.fork(move |user| assert_eq!(user.call(SYS_WRITE, [fd, at, SIZE]), Ok(SIZE)))
    };
    let mut others = Vec::new();
    let pid = loop {
        let pid = client(user);
        let wait = loop {
            match status_of(user, pid, "Wait").as_str() {
                "-" => user.sleep(1),
                word => break word.to_owned(),
            }
        };
        if wait == "window" {
            break pid;
        }
        others.push(pid);
    };
    Waiter::new(pid, move |user| {
        user.write(key, b"x").expect("there is room");
        // The daemon stays: the one that is stopped still needs it.
        for pid in others {
            assert_eq!(user.wait_for(pid), Ended::Exited(0));
        }
    })
}

/// Attaches, and sees the thread before the call that it waits in.
fn attach_to_waiting(user: &mut User, pid: usize) -> Tracer {
    let tracer = Tracer::attach(user, pid);
    let registers = tracer.registers(user);
    let call = user.read_text(&tracer.path("syscall")).expect("it is stopped");
    let name = call.split('(').next().expect("a text has a start");
    assert_eq!(abi::call::find(registers.rax).map(|call| call.name), Some(name));
    assert_eq!(tracer.registers(user)[..], registers[..]);
    tracer
}

#[test]
fn every_kind_of_wait_survives_being_attached_to() {
    story_on_any(|user| {
        for reason in Reason::ALL {
            let Some(Waiter { pid, release }) = waiter(user, *reason) else { continue };
            until_waiting(user, pid, reason.word());
            for _ in 0..3 {
                attach_to_waiting(user, pid).end(user);
                until_waiting(user, pid, reason.word());
            }
            // It goes on waiting under its tracer's eyes: the call has begun, only its end is news.
            let tracer = attach_to_waiting(user, pid);
            let number = tracer.registers(user).rax;
            tracer.go(user, PRE | POST).expect("it is there");
            until_waiting(user, pid, reason.word());
            // What it waits for comes while it is stopped.
            tracer.go(user, abi::trace::STOP_NOW).expect("it is there");
            tracer.is_told(user, abi::trace::STOP_NOW);
            release(user);
            user.sleep(2);
            assert_eq!(status_of(user, pid, "State"), "t (traced)");
            assert_eq!(tracer.until(user, PRE | POST, POST).a, number);
            tracer.end(user);
            assert_eq!(user.wait_for(pid), Ended::Exited(0), "{reason:?}");
        }
    });
}

#[test]
fn who_is_attached_to_in_a_wait_can_be_killed() {
    story_on_any(|user| {
        for reason in Reason::ALL {
            let Some(Waiter { pid, release }) = waiter(user, *reason) else { continue };
            until_waiting(user, pid, reason.word());
            let tracer = attach_to_waiting(user, pid);
            user.kill(pid as isize, SIGKILL).expect("it lives");
            assert_eq!(user.wait_for(pid), killed_by(SIGKILL), "{reason:?}");
            assert_eq!(tracer.next(user).err(), Some(Errno(ESRCH)));
            tracer.end(user);
            release(user);
        }
    });
}

/// A traced process whose tracer does not read the news, in the wait that this leads to.
fn with_much_news(user: &mut User) -> (usize, Tracer) {
    let (child, tracer) = traced_child(user, |user| {
        for _ in 0..100 {
            user.fork(|_| {});
        }
        for _ in 0..100 {
            user.wait(-1).expect("there are children");
        }
    });
    tracer.go(user, CLONE).expect("it is there");
    until_waiting(user, child, Reason::Tracer.word());
    (child, tracer)
}

#[test]
fn who_waits_for_its_tracer_can_be_stopped_let_go_and_killed() {
    story_on_any(|user| {
        let (child, tracer) = with_much_news(user);
        assert_eq!(Tracer::open(user, child, O_TRUNC).err(), Some(Errno(EBUSY)));
        tracer.go(user, CLONE | abi::trace::STOP_NOW).expect("it is there");
        assert_eq!(tracer.registers(user).rax, abi::number::FORK);
        let mut news = 0;
        while tracer.next(user).expect("news come").cause.bits() == CLONE {
            news += 1;
        }
        assert_eq!(news, 64);
        tracer.end(user);
        assert_eq!(user.wait_for(child), Ended::Exited(0), "nobody asks any more");
        let (child, tracer) = with_much_news(user);
        bury(user, child);
        for _ in 0..64 {
            tracer.is_told(user, CLONE);
        }
        assert_eq!(tracer.next(user).err(), Some(Errno(ESRCH)));
        tracer.end(user);
        while user.call(abi::number::WAIT, [usize::MAX, 0, 0]).is_ok() {}
    });
}

/// A leak and a document, both traced, go through an emergency: the leak is ended while it waits for
/// memory, the document comes back to its stopped owner.
#[test]
fn an_emergency_goes_by_while_tracers_have_their_hands_on_everybody() {
    const PAGES: usize = 100;
    for cpus in [1, 2, 4] {
        let machine = System::new().memory(8 << 20).cpus(cpus);
        let disk = Disk::new((8 << 20) / PAGE_SIZE + 200);
        machine.disk(&disk).option("emergency.format=any").typing(60 * SECOND, "\ry").run(|user| {
            let (reader, writer) = user.pipe();
            let place = user.allocate_shared(PAGE_SIZE);
            let keeper = user.fork(move |user| {
                lead(user);
                user.close(writer).expect("it was open");
                let at = write_document(user, 1, PAGES);
                user.store_word(place, at);
                assert_eq!(user.read(reader, 1), Ok(vec![]));
                check_document(user, 1, at, PAGES);
            });
            until_waiting(user, keeper, "readable");
            let stopped = Tracer::attach(user, keeper);
            let registers = stopped.registers(user);
            let leak = leak(user);
            let watching = Tracer::seize(user, leak);
            watching.go(user, EXIT | SIGNAL).expect("it is there");
            assert_eq!(watching.is_told(user, EXIT).a as i32, sacrificed().status());
            assert_eq!(watching.next(user).err(), Some(Errno(ESRCH)));
            watching.end(user);
            assert_eq!(user.wait_for(leak), sacrificed());
            assert_eq!(stopped.registers(user)[..], registers[..]);
            let at = user.load_word(place);
            let memory = user.open(&stopped.path("mem"), O_RDONLY).expect("it may");
            user.seek(memory, at as isize, SEEK_SET).expect("a place");
            let bytes = user.read(memory, PAGES * PAGE_SIZE).expect("it is there");
            assert_eq!(bytes.len(), PAGES * PAGE_SIZE);
            user.close(memory).expect("it was open");
            stopped.end(user);
            user.close(writer).expect("it was open");
            assert_eq!(user.wait_for(keeper), Ended::Exited(0));
        });
    }
}
