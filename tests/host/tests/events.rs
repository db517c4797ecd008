//! Event queues: waiting for many things.

use abi::redox::number::SYS_CALL;
use abi::socket::{SHUT_WRITE, SHUTDOWN};
use host_stories::*;

const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;

#[test]
fn a_queue_tells_which_pipe_has_something() {
    story_on_any(|user| {
        let queue = user.event_queue();
        let pipes = [user.pipe(), user.pipe(), user.pipe()];
        for (number, (reader, _)) in pipes.iter().enumerate() {
            user.watch(queue, *reader, READ, 100 + number).expect("it can be watched");
        }
        let writer = pipes[1].1;
        let child = user.fork(move |user| {
            user.sleep(1);
            user.write(writer, b"x").expect("somebody reads");
        });
        let event = user.next_event(queue).expect("something happens");
        assert_eq!((event.id, event.flags, event.data), (pipes[1].0, READ, 101));
        user.wait_for(child);
        user.set_flags(queue, O_NONBLOCK).expect("it is open");
        assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)), "an event is told once");
        user.write(writer, b"x").expect("there is room");
        assert!(user.next_event(queue).is_ok(), "the next write is news");
    });
}

#[test]
fn what_is_ready_already_is_told_at_once() {
    story_on_any(|user| {
        let queue = user.event_queue();
        let (reader, writer) = user.pipe();
        user.write(writer, b"early").expect("there is room");
        user.watch(queue, reader, READ | WRITE, 1).expect("it can be watched");
        user.watch(queue, writer, READ | WRITE, 2).expect("it can be watched");
        let told = [(); 2].map(|()| user.next_event(queue).expect("it is ready"));
        assert_eq!(told.map(|event| (event.data, event.flags)), [(1, READ), (2, WRITE)]);
    });
}

#[test]
fn the_end_of_a_pipe_is_an_event_too() {
    story_on_any(|user| {
        let queue = user.event_queue();
        let (reader, writer) = user.pipe();
        user.watch(queue, reader, READ, 0).expect("it can be watched");
        let child = user.fork(move |user| user.sleep(2));
        user.close(writer).expect("it is open");
        assert_eq!(user.next_event(queue).map(|event| event.id), Ok(reader));
        assert_eq!(user.read(reader, 1), Ok(vec![]));
        user.wait_for(child);
    });
}

#[test]
fn bytes_and_the_end_behind_them_are_told_apart() {
    story_on_any(|user| {
        let (queue, hangup) = (user.event_queue(), EventFlags::from_bits_retain(abi::EVENT_HANGUP));
        let (reader, writer) = user.pipe();
        user.watch(queue, reader, READ | hangup, 0).expect("it can be watched");
        user.write(writer, b"x").expect("there is room");
        user.close(writer).expect("it is open");
        assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(READ | hangup));
        let (reader, writer) = user.pipe();
        user.close(reader).expect("it is open");
        user.watch(queue, writer, hangup, 0).expect("it can be watched");
        assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(hangup));
    });
}

#[test]
fn nobody_is_told_what_he_no_longer_wants() {
    story(|user| {
        let queue = user.event_queue();
        user.set_flags(queue, O_NONBLOCK).expect("it is open");
        let (reader, writer) = user.pipe();
        user.watch(queue, reader, READ, 0).expect("it can be watched");
        user.write(writer, b"x").expect("there is room");
        user.watch(queue, reader, EventFlags::empty(), 0).expect("it can be unwatched");
        assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)));
        user.watch(queue, reader, READ, 0).expect("it can be watched");
        user.close(reader).expect("it is open");
        assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)));
        assert_eq!(user.watch(queue, reader, READ, 0), error(EBADF));
        assert_eq!(user.watch(queue, queue, READ, 0), error(EINVAL));
    });
}

#[test]
fn a_queue_can_wait_for_a_moment() {
    story_on_any(|user| {
        let queue = user.event_queue();
        let before = user.now();
        user.watch(queue, EVENT_TIMEOUT_ID, READ, 30).expect("it can be set");
        assert_eq!(user.next_event(queue).map(|event| event.id), Ok(EVENT_TIMEOUT_ID));
        assert!(user.now() - before >= 30 * MS);
        // A later moment replaces an earlier one.
        user.watch(queue, EVENT_TIMEOUT_ID, READ, 10).expect("it can be set");
        user.watch(queue, EVENT_TIMEOUT_ID, READ, 50).expect("it can be set");
        let before = user.now();
        assert!(user.next_event(queue).is_ok());
        assert!(user.now() - before >= 45 * MS);
    });
}

#[test]
fn a_clock_file_is_ready_when_its_moment_comes() {
    story_on_any(|user| {
        let queue = user.event_queue();
        let clock = user.open("time:4", O_RDWR).expect("there is this clock");
        user.watch(queue, clock, READ, 9).expect("it can be watched");
        let moment = user.now() + 20 * MS;
        let mut time = [0; 16];
        time[..8].copy_from_slice(&(moment / SECOND).to_ne_bytes());
        time[8..].copy_from_slice(&(moment % SECOND).to_ne_bytes());
        assert_eq!(user.write(clock, &time), Ok(16));
        assert_eq!(user.next_event(queue).map(|event| event.data), Ok(9));
        assert!(user.now() >= moment);
        assert_eq!(user.read(clock, 16).map(|bytes| bytes.len()), Ok(16));
    });
}

#[test]
fn half_an_end_is_told_to_who_asks() {
    story_on_any(|user| {
        let [hangup, ended] =
            [abi::EVENT_HANGUP, abi::EVENT_ENDED].map(EventFlags::from_bits_retain);
        for path in ["pipe:pair", "packet:sequence"] {
            let queue = user.event_queue();
            user.set_flags(queue, O_NONBLOCK).expect("it is open");
            let near = user.open(path, O_RDWR).expect("a pair");
            let far = user.dup(near, b"peer").expect("its other end");
            user.watch(queue, near, READ | hangup | ended, 0).expect("it can be watched");
            let words = [SHUTDOWN, SHUT_WRITE].map(u64::to_ne_bytes);
            let shut = |user: &mut User, end| {
                user.with(words.as_flattened(), |user, at| user.call(SYS_CALL, [end, 0, 0, 2, at]))
            };
            user.write(far, b"x").expect("there is room");
            assert_eq!(shut(user, far), Ok(0));
            assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(READ | ended));
            assert_eq!(shut(user, near), Ok(0));
            let told = user.next_event(queue).map(|event| event.flags);
            assert!(told.is_ok_and(|flags| flags.contains(hangup)), "{path}: {told:?}");
            user.watch(queue, near, hangup | ended, 0).expect("it can be watched");
            assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(hangup | ended));
        }
    });
}

#[test]
fn what_is_no_longer_so_is_not_told() {
    story_on_any(|user| {
        let queue = user.event_queue();
        user.set_flags(queue, O_NONBLOCK).expect("it is open");
        for path in ["pipe:pair", "packet:sequence"] {
            let near = user.open(path, O_RDWR).expect("a pair");
            let far = user.dup(near, b"peer").expect("its other end");
            user.set_flags(near, O_NONBLOCK).expect("it is open");
            // Writable when it is registered, and full when the queue is read.
            user.watch(queue, near, READ | WRITE, 0).expect("it can be watched");
            while user.write(near, &[0; 512]).is_ok() {}
            assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)), "{path}");
            // What happens next is told, and only that.
            user.write(far, b"x").expect("there is room");
            assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(READ));
            user.write(far, b"y").expect("there is room");
            while user.read(near, 8).is_ok() {}
            assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)), "{path}");
            for _ in 0..16 {
                user.read(far, 512).expect("there is something");
            }
            assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(WRITE));
        }
    });
}

#[test]
fn who_has_both_ends_of_a_fifo_is_told_too() {
    story(|user| {
        let queue = user.event_queue();
        user.set_flags(queue, O_NONBLOCK).expect("it is open");
        let fifo = user.open("pipe:fifo", O_RDWR).expect("a pipe without ends");
        let both = user.dup(fifo, b"both").expect("both ends");
        user.set_flags(both, O_NONBLOCK).expect("it is open");
        while user.write(both, &[0; 4096]).is_ok() {}
        let [reader, writer] =
            [b"read-met".as_slice(), b"write-met"].map(|end| user.dup(fifo, end));
        let (reader, writer) = (reader.expect("an end"), writer.expect("an end"));
        user.watch(queue, both, WRITE, 0).expect("it can be watched");
        assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)));
        user.read(reader, 65_536).expect("it is full");
        assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(WRITE));
        user.watch(queue, both, READ, 0).expect("it can be watched");
        assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)));
        user.write(writer, b"x").expect("there is room");
        assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(READ));
    });
}

#[test]
fn a_fifo_that_nobody_has_written_to_yet_has_not_ended() {
    story(|user| {
        let (queue, hangup) = (user.event_queue(), EventFlags::from_bits_retain(abi::EVENT_HANGUP));
        user.set_flags(queue, O_NONBLOCK).expect("it is open");
        let fifo = user.open("pipe:fifo", O_RDWR).expect("a pipe without ends");
        let reader = user.dup(fifo, b"read").expect("an end");
        user.watch(queue, reader, READ | hangup, 0).expect("it can be watched");
        assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)));
        let writer = user.dup(fifo, b"write").expect("an end");
        assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)));
        user.close(writer).expect("it is open");
        assert_eq!(user.next_event(queue).map(|event| event.flags), Ok(READ | hangup));
    });
}

#[test]
fn what_is_typed_is_an_event_and_can_be_read() {
    story_on_any(|user| {
        let queue = user.event_queue();
        let console = user.open("debug:", O_RDWR).expect("root may");
        user.watch(queue, console, READ, 0).expect("it can be watched");
        user.peek(|kernel| kernel.machine.type_after(5 * MS, b"ls\r"));
        assert!(user.next_event(queue).is_ok());
        assert_eq!(user.read(console, 10).as_deref(), Ok(&b"ls\r"[..]));
        user.peek(|kernel| kernel.machine.type_after(5 * MS, b"again"));
        assert_eq!(user.read(console, 2).as_deref(), Ok(&b"ag"[..]));
        assert_eq!(user.read(console, 10).as_deref(), Ok(&b"ain"[..]));
    });
}

#[test]
fn a_device_line_is_an_event_until_it_is_acknowledged() {
    story_on_any(|user| {
        let line = user.open("irq:5", O_RDWR).expect("root may");
        let queue = user.event_queue();
        user.watch(queue, line, READ, 0).expect("it can be watched");
        for round in 1..=3u64 {
            user.peek(|kernel| kernel.machine.fire_line(5));
            assert!(user.next_event(queue).is_ok());
            assert_eq!(user.read(line, 8), Ok(round.to_ne_bytes().to_vec()));
            assert_eq!(user.write(line, &7u64.to_ne_bytes()), error(EINVAL));
            assert_eq!(user.write(line, &round.to_ne_bytes()), Ok(8));
        }
        assert_eq!(user.open("irq:4", O_RDWR), error(EBUSY), "the console's own");
        assert_eq!(user.open("irq:24", O_RDWR), error(ENOENT));
    });
}

/// Two devices on one wire: each has its own count, and the wire is quiet until both have looked.
#[test]
fn a_shared_line_waits_for_all_who_share_it() {
    story_on_any(|user| {
        let first = user.open("irq:5?shared", O_RDWR).expect("root may");
        let second = user.open("irq:5?shared", O_RDWR).expect("it is shared");
        assert_eq!(user.open("irq:5", O_RDWR), error(EBUSY), "not for one alone");
        let is_unmasked = |user: &mut User| user.peek(|kernel| kernel.machine.is_unmasked(5));
        user.peek(|kernel| kernel.machine.fire_line(5));
        let one = 1u64.to_ne_bytes();
        assert_eq!(user.read(first, 8), Ok(one.to_vec()));
        assert_eq!(user.write(first, &one), Ok(8));
        assert!(!is_unmasked(user), "the other has not looked");
        assert_eq!(user.read(second, 8), Ok(one.to_vec()));
        assert_eq!(user.write(second, &one), Ok(8));
        assert!(is_unmasked(user));
        // One that goes away keeps nobody waiting.
        user.peek(|kernel| kernel.machine.fire_line(5));
        let two = 2u64.to_ne_bytes();
        assert_eq!(user.read(first, 8), Ok(two.to_vec()));
        assert_eq!(user.write(first, &two), Ok(8));
        user.close(second).expect("it is open");
        assert!(is_unmasked(user));
        user.close(first).expect("it is open");
        let alone = user.open("irq:5", O_RDWR).expect("nobody has it");
        assert_eq!(user.open("irq:5?shared", O_RDWR), error(EBUSY), "it is somebody's alone");
        user.close(alone).expect("it is open");
    });
}

#[test]
fn a_line_is_led_where_its_route_says() {
    story_on_any(|user| {
        let route = user.open("irq:5/route", O_RDWR).expect("root may");
        assert_eq!(user.read(route, 32).as_deref(), Ok(&b"cpu=0\n"[..]));
        for text in ["cpu=0", "rr", "lowest", "all\n"] {
            assert_eq!(user.write(route, text.as_bytes()), Ok(text.len()), "{text}");
        }
        assert_eq!(user.peek(|kernel| kernel.machine.route_of(5)), Some(None), "to all");
        for text in ["", "cpu=", "cpu=999", "some", "a text that is much too long"] {
            assert_eq!(user.write(route, text.as_bytes()), error(EINVAL), "{text}");
        }
        let again = user.open("irq:5/route", O_RDWR).expect("root may");
        assert_eq!(user.read(again, 32).as_deref(), Ok(&b"all\n"[..]));
        let line = user.open("irq:5", O_RDWR).expect("root may");
        user.peek(|kernel| kernel.machine.fire_line(5));
        assert!(user.read(line, 8).is_ok());
        let info = user.open("irq:info", O_RDONLY).expect("anybody may");
        let text = String::from_utf8(user.read(info, 4096).expect("it is text")).expect("as is");
        assert!(text.starts_with("LINE USE ROUTE FILES COUNT CPU0"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("5 alone all 1 1")), "{text}");
        assert_eq!(user.read(info, 4096), Ok(Vec::new()));
        assert_eq!(user.open("irq:msi?cpu=999", O_RDWR), error(ENOENT));
    });
}

/// The line that a device makes fire by writing the message.
fn line_of(user: &mut User, line: usize) -> u8 {
    let teller = user.dup(line, b"message").expect("it has one");
    let message = user.read(teller, 16).expect("it can be read");
    user.close(teller).expect("it is open");
    message[8]
}

#[test]
fn a_device_may_interrupt_by_writing_to_memory() {
    story_on_any(|user| {
        let line = user.open("irq:msi", O_RDWR).expect("root may");
        let teller = user.dup(line, b"message").expect("it has one");
        let message = user.read(teller, 16).expect("it can be read");
        let number = message[8];
        assert_eq!(message[..8], 0xFEE0_0000u64.to_ne_bytes());
        assert_eq!(user.write(teller, &[0; 8]), error(EBADF));
        user.peek(|kernel| kernel.machine.fire_line(number));
        assert_eq!(user.read(line, 8), Ok(1u64.to_ne_bytes().to_vec()));
        assert_eq!(user.write(line, &1u64.to_ne_bytes()), Ok(8));
        // The line is taken until both files are closed.
        user.close(line).expect("it is open");
        let other = user.open("irq:msi", O_RDWR).expect("there are several");
        assert_ne!(line_of(user, other), number);
        user.close(teller).expect("it is open");
        let again = user.open("irq:msi", O_RDWR).expect("there are several");
        assert_eq!(line_of(user, again), number);
        let wire = user.open("irq:5", O_RDWR).expect("root may");
        assert_eq!(user.dup(wire, b"message"), error(EOPNOTSUPP));
    });
}

#[test]
fn a_daemon_raises_events_for_its_files() {
    story_on_any(|user| {
        let server = daemon_that(user, "noisy", |user, socket| {
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                match Opcode::try_from_raw(request.opcode) {
                    Some(Opcode::Fevent) => {
                        assert_eq!(request.args[1], READ.bits() as u64);
                        user.answer(socket, &request, Ok(0)).expect("it is owed");
                        user.sleep(5);
                        let flags = CqeOpcode::SendFevent as u8;
                        let tag = READ.bits() as u32;
                        let cqe = Cqe { flags, tag, result: request.args[0], ..Cqe::default() };
                        user.write(socket.fd, &cqe).expect("it may raise events");
                    }
                    Some(Opcode::OpenAt) => {
                        user.answer(socket, &request, Ok(12)).expect("it is owed");
                    }
                    _ => {}
                }
            }
        });
        let queue = user.event_queue();
        let fd = user.open("noisy:x", O_RDWR).expect("it is served");
        user.watch(queue, fd, READ, 77).expect("it can be watched");
        let event = user.next_event(queue).expect("the daemon raises it");
        assert_eq!((event.id, event.flags, event.data), (fd, READ, 77));
        kill(user, server);
    });
}

#[test]
fn a_daemon_can_wait_for_requests_among_other_things() {
    story_on_any(|user| {
        let server = daemon_that(user, "busy", |user, socket| {
            let queue = user.event_queue();
            user.watch(queue, socket.fd, READ, 1).expect("it can be watched");
            user.set_flags(socket.fd, O_NONBLOCK).expect("it is open");
            loop {
                assert_eq!(user.next_event(queue).map(|event| event.data), Ok(1));
                while let Ok(request) = user.next_request(socket) {
                    if request.opcode != Opcode::CloseMsg as u8 {
                        user.answer(socket, &request, Ok(6)).expect("it is owed");
                    }
                }
            }
        });
        for _ in 0..10 {
            let fd = user.open("busy:x", O_RDWR).expect("it is served");
            user.close(fd).expect("it is open");
        }
        kill(user, server);
    });
}

#[test]
fn the_list_of_schemes_tells_when_it_changes() {
    story_on_any(|user| {
        let queue = user.event_queue();
        let list = user.open("sys:scheme", O_RDONLY).expect("it is there");
        user.read(list, 4096).expect("it can be read");
        user.watch(queue, list, READ, 0).expect("it can be watched");
        user.next_event(queue).expect("it is readable");
        let server = daemon(user, "news", file_server(Notes::default()));
        user.next_event(queue).expect("a name came");
        kill(user, server);
        user.next_event(queue).expect("a name went");
    });
}

#[test]
fn queues_leave_nothing_behind() {
    story(|user| {
        leaves_nothing(user, |user| {
            for _ in 0..50 {
                let queue = user.event_queue();
                let (reader, writer) = user.pipe();
                user.watch(queue, reader, READ, 0).expect("it can be watched");
                user.watch(queue, writer, WRITE, 0).expect("it can be watched");
                user.watch(queue, EVENT_TIMEOUT_ID, READ, 1000).expect("it can be set");
                user.close(reader).expect("it is open");
                user.close(queue).expect("it is open");
                user.close(writer).expect("it is open");
            }
        });
    });
}

#[test]
fn a_queue_can_watch_another() {
    story_on_any(|user| {
        let (outer, inner) = (user.event_queue(), user.event_queue());
        let (reader, writer) = user.pipe();
        user.watch(outer, inner, READ, 1).expect("it can be watched");
        user.watch(inner, reader, READ, 2).expect("it can be watched");
        let child = user.fork(move |user| {
            user.sleep(2);
            user.write(writer, b"x").expect("somebody reads");
        });
        assert_eq!(user.next_event(outer).map(|event| event.data), Ok(1));
        assert_eq!(user.next_event(inner).map(|event| event.data), Ok(2));
        user.wait_for(child);
        // The news may also be that something watched from now on was ready before.
        user.watch(inner, writer, WRITE, 3).expect("it can be watched");
        assert_eq!(user.next_event(outer).map(|event| event.data), Ok(1));
        assert_eq!(user.next_event(inner).map(|event| event.data), Ok(3));
        // Or that a moment has come.
        user.watch(inner, EVENT_TIMEOUT_ID, READ, 5).expect("it can be set");
        assert_eq!(user.next_event(outer).map(|event| event.data), Ok(1));
        assert_eq!(user.next_event(inner).map(|event| event.id), Ok(EVENT_TIMEOUT_ID));
    });
}

#[test]
fn a_queue_whose_moment_has_come_is_ready_when_it_is_watched() {
    story(|user| {
        let (outer, inner) = (user.event_queue(), user.event_queue());
        user.watch(inner, EVENT_TIMEOUT_ID, READ, 1).expect("it can be set");
        user.sleep(5);
        user.watch(outer, inner, READ, 1).expect("it can be watched");
        assert_eq!(user.next_event(outer).map(|event| event.data), Ok(1));
    });
}

#[test]
fn a_long_chain_of_queues_is_no_danger() {
    story(|user| {
        let queues: Vec<_> = (0..5000).map(|_| user.event_queue()).collect();
        for pair in queues.windows(2) {
            user.watch(pair[0], pair[1], READ, 0).expect("it can be watched");
        }
        let last = queues[queues.len() - 1];
        user.watch(last, queues[0], READ, 0).expect("even in a ring");
        let (reader, writer) = user.pipe();
        user.watch(last, reader, READ, 0).expect("it can be watched");
        user.write(writer, b"x").expect("there is room");
        assert!(user.next_event(queues[0]).is_ok());
    });
}

#[test]
fn nothing_written_is_no_news() {
    story(|user| {
        let queue = user.event_queue();
        user.set_flags(queue, O_NONBLOCK).expect("it is open");
        let (reader, writer) = user.pipe();
        user.watch(queue, reader, READ, 0).expect("it can be watched");
        assert_eq!(user.write(writer, b""), Ok(0));
        assert_eq!(user.next_event(queue).err(), Some(Errno(EAGAIN)));
    });
}

#[test]
fn who_watches_a_file_hears_when_its_daemon_dies() {
    story_on_any(|user| {
        let server = daemon(user, "frail", |_, _, request| {
            let answers = request.opcode != Opcode::CloseMsg as u8;
            answers.then_some(Ok(0))
        });
        let queue = user.event_queue();
        let fd = user.open("frail:x", O_RDWR).expect("it is served");
        user.watch(queue, fd, READ, 3).expect("it can be watched");
        kill(user, server);
        assert_eq!(user.next_event(queue).map(|event| event.data), Ok(3));
        assert_eq!(user.read(fd, 1), error(ENODEV));
    });
}
