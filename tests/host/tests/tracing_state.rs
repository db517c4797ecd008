//! Looking inside a traced program: memory, registers, its stack, its limits.

use host_stories::tracer::*;
use host_stories::*;

#[test]
fn memory_is_read_and_written_and_text_breaks_sharing() {
    story_on_any(|user| {
        let page = user.allocate(PAGE_SIZE);
        user.store(page, b"parent's");
        let (reader, writer) = user.pipe();
        let (child, tracer) = traced_child(user, move |user| {
            user.read(reader, 1).expect("it comes");
            assert_eq!(user.load(page, 8), b"changed!");
        });
        let fd = user.open(&tracer.path("mem"), O_RDWR).expect("it may");
        user.seek(fd, page as isize, SEEK_SET).expect("any address is a place");
        assert_eq!(user.read(fd, 8), Ok(b"parent's".to_vec()));
        user.seek(fd, page as isize, SEEK_SET).expect("any address is a place");
        assert_eq!(user.write(fd, b"changed!"), Ok(8));
        assert_eq!(user.load(page, 8), b"parent's");
        user.seek(fd, (STACK_TOP - 4) as isize, SEEK_SET).expect("a place");
        assert_eq!(user.read(fd, 8).map(|bytes| bytes.len()), Ok(4));
        user.seek(fd, 0x10, SEEK_SET).expect("a place");
        assert_eq!(user.read(fd, 8), error(EFAULT));
        assert_eq!(user.write(fd, b"x"), error(EFAULT));
        // Text is shared with the parent and may not be written by anybody.
        let text = tracer.registers(user).rip & !(PAGE_SIZE - 1);
        let before = user.load(text, 16);
        user.seek(fd, text as isize, SEEK_SET).expect("a place");
        assert_eq!(user.write(fd, &[0xCC; 16]), Ok(16));
        assert_eq!(user.load(text, 16), before);
        user.seek(fd, text as isize, SEEK_SET).expect("a place");
        assert_eq!(user.read(fd, 16), Ok(vec![0xCC; 16]));
        user.close(fd).expect("it was open");
        tracer.end(user);
        user.write(writer, b"!").expect("there is room");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn borrowed_writes_are_taken_back() {
    story_on_any(|user| {
        let page = user.allocate(PAGE_SIZE);
        user.store(page, b"abcdef");
        let child = chatterer(user);
        let look = |user: &mut User, fd: usize| {
            user.seek(fd, page as isize, SEEK_SET).expect("a place");
            user.read(fd, 6).expect("it is there")
        };
        let plain = user.open(&format!("proc:{child}/mem"), O_RDWR).expect("it may");
        let fd = user.open(&format!("proc:{child}/mem"), O_RDWR | O_EXCL).expect("it may");
        for (at, bytes) in [(1, b"X"), (3, b"Y"), (3, b"Z")] {
            user.seek(fd, (page + at) as isize, SEEK_SET).expect("a place");
            assert_eq!(user.write(fd, bytes), Ok(1));
        }
        assert_eq!(look(user, plain), b"aXcZef");
        user.seek(fd, (page + 1) as isize, SEEK_SET).expect("a place");
        assert_eq!(user.write(fd, b"b"), Ok(1));
        assert_eq!(user.write(fd, &[0; 17]), error(EINVAL));
        user.close(fd).expect("it was open");
        assert_eq!(look(user, plain), b"abcdef");
        user.close(plain).expect("it was open");
        bury(user, child);
    });
}

#[test]
fn many_places_are_read_in_one_call() {
    story_on_any(|user| {
        let page = user.allocate(3 * PAGE_SIZE);
        user.unmap(page + 2 * PAGE_SIZE, PAGE_SIZE).expect("it was mapped");
        user.store(page, b"one two three");
        let child = chatterer(user);
        let fd = user.open(&format!("proc:{child}/mem"), O_RDONLY).expect("it may");
        let places = [(page, 3), (page + 4, 3), (0x10, 5), (page + 2 * PAGE_SIZE - 2, 4)];
        let pairs = places.iter().flat_map(|(at, length)| [*at, *length]);
        let mut payload: Vec<u8> = pairs.flat_map(usize::to_ne_bytes).collect();
        payload.resize(payload.len() + 15, b'.');
        let (found, payload) = user.with_room(payload.len(), |user, at| {
            user.store(at, &payload);
            let words = [abi::trace::READ_VECTOR, places.len()];
            let words: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let found = user.with(&words, |user, words| {
                let call = abi::redox::number::SYS_CALL;
                user.call(call, [fd, at, payload.len(), words_flags(2), words])
            });
            (found, user.load(at, payload.len()))
        });
        assert_eq!(found, Ok(8));
        assert_eq!(&payload[64..], b"onetwo.....\0\0..");
        let lengths = [24, 40, 56].map(|at| payload[at]);
        assert_eq!(lengths, [3, 0, 2]);
        user.close(fd).expect("it was open");
        bury(user, child);
    });
}

/// The flags of a call with so many words of metadata.
fn words_flags(count: usize) -> usize {
    CallFlags::READ.bits() | count
}

#[test]
fn registers_cannot_be_set_to_leave_the_program() {
    story_on_any(|user| {
        let child = chatterer(user);
        let tracer = Tracer::attach(user, child);
        let good = tracer.registers(user);
        for address in [USER_END, usize::MAX, 0xFFFF_8000_0000_0000] {
            let mut bad = good;
            bad.rip = address;
            assert_eq!(tracer.set_registers(user, &bad), error(EINVAL));
            let bytes = [address.to_ne_bytes(), 0usize.to_ne_bytes()].concat();
            if address > USER_END {
                assert_eq!(tracer.poke(user, "regs/env", &bytes), error(EINVAL));
            }
            let debug: Vec<u8> =
                [address, 0, 0, 0, 0, 1].iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert_eq!(tracer.poke(user, "regs/debug", &debug), error(EINVAL));
        }
        assert_eq!(tracer.registers(user)[..], good[..]);
        for name in ["regs/int", "regs/float", "regs/xsave", "regs/env", "regs/debug"] {
            let bytes = tracer.peek(user, name, 4096).expect("it is stopped");
            assert_eq!(tracer.poke(user, name, &bytes), Ok(bytes.len()));
            assert_eq!(tracer.poke(user, name, &bytes[1..]), error(EINVAL));
            assert_eq!(tracer.peek(user, name, 4096), Ok(bytes));
        }
        tracer.end(user);
        bury(user, child);
    });
}

#[test]
fn the_stack_is_walked_as_far_as_it_makes_sense() {
    story_on_any(|user| {
        let child = chatterer(user);
        let tracer = Tracer::attach(user, child);
        let mut registers = tracer.registers(user);
        let at = STACK_TOP - PAGE_SIZE;
        let memory = user.open(&tracer.path("mem"), O_RDWR).expect("it may");
        let put = |user: &mut User, at: usize, words: [usize; 2]| {
            user.seek(memory, at as isize, SEEK_SET).expect("a place");
            let bytes = words.map(usize::to_ne_bytes).concat();
            assert_eq!(user.write(memory, &bytes), Ok(16));
        };
        let rip = registers.rip;
        let mut walk = |user: &mut User, frame: usize| -> Vec<String> {
            registers.rbp = frame;
            tracer.set_registers(user, &registers).expect("it is stopped");
            let text = user.read_text(&tracer.path("stack")).expect("it is stopped");
            text.lines().map(str::to_owned).collect()
        };
        let line = |instruction: usize, frame: usize| format!("{instruction:#x} {frame:#x}");
        put(user, at, [at + 0x40, 0x1001]);
        put(user, at + 0x40, [at + 0x80, 0x1002]);
        put(user, at + 0x80, [0, 0x1003]);
        let outer = [line(0x1002, at + 0x80), line(0x1003, 0)];
        let whole = [&[line(rip, at), line(0x1001, at + 0x40)], &outer[..]].concat();
        assert_eq!(walk(user, at), whole);
        // A frame below the last one, and no return address.
        put(user, at + 0x80, [at, 0x1003]);
        assert_eq!(walk(user, at), whole);
        put(user, at + 0x80, [at + 0x100, 0]);
        assert_eq!(walk(user, at), whole[..3]);
        put(user, at + 0x80, [at + 0x100, USER_END]);
        assert_eq!(walk(user, at), whole[..3]);
        // What leads nowhere is the end.
        for nowhere in [0, at + 1, 8, STACK_TOP - 8, USER_END, usize::MAX - 7] {
            assert_eq!(walk(user, nowhere), [line(rip, nowhere)]);
        }
        // A chain without end is cut.
        for place in 0..300 {
            let frame = at - 0x4000 + place * 16;
            put(user, frame, [frame + 16, 0x2000]);
        }
        assert_eq!(walk(user, at - 0x4000).len(), 256);
        let path = format!("proc:{child}/thread/{child}/stack");
        assert_eq!(user.read_text(&path).map(|text| text.lines().count()), Ok(256));
        tracer.end(user);
        user.close(memory).expect("it was open");
        bury(user, child);
    });
}

#[test]
fn a_stack_is_not_shown_while_its_thread_runs() {
    story_on_any(|user| {
        assert_eq!(user.read_text("proc:self/stack"), error(EBUSY));
        let sleeper = user.fork(|user| user.sleep(1_000_000));
        until_waiting(user, sleeper, "time");
        let text = user.read_text(&format!("proc:{sleeper}/stack")).expect("it waits");
        assert!(text.starts_with("0x"), "{text}");
        bury(user, sleeper);
    });
}

#[test]
fn maps_say_where_memory_comes_from() {
    let bytes = vec![b'x'; 3 * PAGE_SIZE];
    System::new().file("/etc/three", &bytes).run(|user| {
        let fd = user.open("initfs:etc/three", O_RDONLY).expect("it is there");
        let map = Map {
            offset: PAGE_SIZE,
            size: 2 * PAGE_SIZE,
            flags: MapFlags::PROT_READ | MapFlags::MAP_PRIVATE,
            address: 0,
        };
        let at = user.map(fd, map).expect("a file can be mapped");
        user.unmap(at, PAGE_SIZE).expect("it was mapped");
        let child = user.fork(|user| user.sleep(1_000_000));
        let maps = user.read_text(&format!("proc:{child}/maps")).expect("it is there");
        let line = |start: usize, end: usize, rest: &str| format!("{start:012x}-{end:012x} {rest}");
        let mapped =
            line(at + PAGE_SIZE, at + 2 * PAGE_SIZE, "r-- private 0x2000 initfs:etc/three");
        let stack = line(STACK_TOP - STACK_SIZE, STACK_TOP, "rw- private 0x0 [stack]");
        for expected in [&mapped, &stack] {
            assert!(maps.lines().any(|line| line == expected), "{expected} in\n{maps}");
        }
        let is_text = |line: &str| line.contains(" r-x private 0x") && line.ends_with(" /bin/init");
        assert!(maps.lines().any(is_text), "{maps}");
        bury(user, child);
    });
}

#[test]
fn limits_say_what_is_used_and_what_is_most() {
    story(|user| {
        let limit = |user: &mut User, key: &str| -> [usize; 2] {
            let text = user.read_text("proc:self/limits").expect("it is there");
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            let line = line.unwrap_or_else(|| panic!("no {key} in {text}"));
            let words = line.split(' ').map(|word| word.parse().unwrap_or(usize::MAX));
            words.collect::<Vec<_>>().try_into().expect("two numbers")
        };
        let [before, most] = limit(user, "Descriptors");
        assert_eq!(most, abi::FD_MAX);
        let fd = user.open("sys:uname", O_RDONLY).expect("it is there");
        assert_eq!(limit(user, "Descriptors"), [before + 1, most]);
        user.close(fd).expect("it was open");
        let [used, most] = limit(user, "Stack");
        assert!(used <= most && most == STACK_SIZE);
        assert_eq!(limit(user, "Threads")[0], 1);
        assert_eq!(limit(user, "Memory")[1], usize::MAX, "none");
        assert_eq!(limit(user, "Path"), ["/".len(), abi::PATH_MAX]);
        assert_eq!(limit(user, "Handlers"), [0, NESTING_MAX]);
        assert_eq!(limit(user, "Arguments")[1], abi::exec::ARGUMENTS_MAX);
    });
}
