//! Whatever programs share and wait for is as it was after an emergency, many times in a row.
//!
//! Every round has a cast of its own, drawn by its number. `make test` tells a hundred rounds;
//! `make soak` sets `LIFEBOAT_SOAK` to more.

use host_stories::emergency::*;
use host_stories::tracer::{self, Tracer};
use host_stories::*;

const MEMORY: usize = 8 << 20;
/// How often, for all machines together.
const ROUNDS: usize = 100;
/// Bytes that a part of a cast keeps.
const SIZE: usize = 20 * PAGE_SIZE;

/// Draws lots; the same number draws the same (Marsaglia's xorshift).
struct Lots(u64);

impl Lots {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// What is to be checked when the emergency is over.
type After = Box<dyn FnOnce(&mut User)>;

fn close_all(user: &mut User, all: &[usize]) {
    all.iter().for_each(|fd| assert_eq!(user.close(*fd), Ok(0)));
}

/// A child ends well.
fn ends_well(user: &mut User, child: usize) {
    assert_eq!(user.wait_for(child), Ended::Exited(0));
}

/// Memory that grandparents, parents and children have until one of them writes.
fn copies(user: &mut User, number: usize, lots: &mut Lots) -> After {
    let at = write_document(user, number, SIZE / PAGE_SIZE);
    let (reader, writer) = user.pipe();
    let depth = 1 + lots.draw(3);
    let page = lots.draw((SIZE / PAGE_SIZE) as u64) as usize;
    fn descend(user: &mut User, depth: u64, at: usize, number: usize, page: usize, reader: usize) {
        let child = (depth > 1)
            .then(|| user.fork(move |user| descend(user, depth - 1, at, number, page, reader)));
        let place = at + page * PAGE_SIZE + depth as usize;
        let before = user.load(place, 1);
        user.store(place, &[!before[0]]);
        assert_eq!(user.read(reader, 1).as_deref(), Ok(&b"!"[..]));
        user.store(place, &before);
        check_document(user, number, at, SIZE / PAGE_SIZE);
        if let Some(child) = child {
            ends_well(user, child);
        }
    }
    let child = user.fork(move |user| {
        lead(user);
        descend(user, depth, at, number, page, reader);
    });
    until_waiting(user, child, "readable");
    Box::new(move |user| {
        check_document(user, number, at, SIZE / PAGE_SIZE);
        user.write(writer, &vec![b'!'; depth as usize]).expect("there is room");
        ends_well(user, child);
        user.unmap(at, SIZE).expect("it is mapped");
        user.close(reader).expect("it is open");
        user.close(writer).expect("it is open");
    })
}

/// A word of shared memory that two programs meet at.
fn meeting(user: &mut User) -> After {
    let shared = user.allocate_shared(4 * PAGE_SIZE);
    let child = user.fork(move |user| {
        lead(user);
        user.futex_wait(shared, 0, None).expect("it is woken, once");
        assert_eq!(user.load(shared + 64, 3), b"yes", "what the other wrote");
        user.store(shared + 100, b"too");
    });
    until_waiting(user, child, "futex");
    Box::new(move |user| {
        user.store(shared + 64, b"yes");
        user.store_word(shared, 1);
        assert_eq!(user.futex_wake(shared, 5), Ok(1), "somebody is woken, once");
        ends_well(user, child);
        assert_eq!(user.load(shared + 100, 3), b"too", "memory is still shared");
        user.unmap(shared, 4 * PAGE_SIZE).expect("it is mapped");
    })
}

/// A sleeper, whose clock does not run meanwhile.
fn sleeper(user: &mut User, lots: &mut Lots) -> After {
    let millis = 1_000 + lots.draw(1_000);
    let child = user.fork(move |user| {
        lead(user);
        let before = user.now();
        user.sleep(millis);
        let slept = user.now() - before;
        assert!((millis * MS..(millis + 1_000) * MS).contains(&slept), "slept {slept} ns");
    });
    until_waiting(user, child, "time");
    Box::new(move |user| ends_well(user, child))
}

/// Bytes in a pipe, and an event queue that waits for more.
fn listener(user: &mut User) -> After {
    let (reader, writer) = user.pipe();
    let child = user.fork(move |user| {
        lead(user);
        let queue = user.event_queue();
        user.watch(queue, reader, EventFlags::EVENT_READ, 7).expect("it can be watched");
        let event = user.next_event(queue).expect("one comes");
        assert_eq!((event.id, event.data), (reader, 7));
        assert_eq!(user.read(reader, 64).as_deref(), Ok(&b"news"[..]));
    });
    until_waiting(user, child, "event");
    let (full, filler) = user.pipe();
    user.write(filler, b"in the pipe").expect("there is room");
    Box::new(move |user| {
        user.write(writer, b"news").expect("there is room");
        ends_well(user, child);
        assert_eq!(user.read(full, 64).as_deref(), Ok(&b"in the pipe"[..]));
        close_all(user, &[reader, writer, full, filler]);
    })
}

/// Two threads with one memory, and a lock that one of them holds.
fn threads(user: &mut User) -> After {
    let (reader, writer) = user.pipe();
    let child = user.fork(move |user| {
        lead(user);
        let lock = user.allocate(PAGE_SIZE);
        user.lock(lock);
        let other = user.thread(move |user| {
            user.lock(lock);
            assert_eq!(user.load(lock + 64, 4), b"held");
            user.unlock(lock);
        });
        user.store(lock + 64, b"held");
        assert_eq!(user.read(reader, 1).as_deref(), Ok(&b"!"[..]));
        user.unlock(lock);
        user.join(other);
    });
    until_waiting(user, child, "readable");
    Box::new(move |user| {
        user.write(writer, b"!").expect("there is room");
        ends_well(user, child);
        close_all(user, &[reader, writer]);
    })
}

/// A thread that its tracer has stopped.
fn traced(user: &mut User) -> After {
    let child = tracer::chatterer(user);
    let session = Tracer::attach(user, child);
    let before = session.registers(user).rip;
    Box::new(move |user| {
        assert_eq!({ session.registers(user).rip }, before, "it stands where it stood");
        session.until(user, tracer::PRE, tracer::PRE);
        session.end(user);
        tracer::bury(user, child);
    })
}

/// A client that a daemon owes an answer to.
fn client(user: &mut User) -> After {
    let (reader, writer) = user.pipe();
    let mut serve = file_server(Notes::default());
    let server = daemon(user, "slow", move |user, socket, request| {
        if !is(request, Opcode::Read) {
            return serve(user, socket, request);
        }
        assert_eq!(user.read(reader, 1).as_deref(), Ok(&b"!"[..]));
        Some(Ok(user.fill_payload(request, b"late")))
    });
    let child = user.fork(move |user| {
        lead(user);
        let fd = user.open("slow:x", O_RDWR).expect("it is served");
        assert_eq!(user.read(fd, 64).as_deref(), Ok(&b"late"[..]));
    });
    until_waiting(user, child, "reply");
    Box::new(move |user| {
        user.write(writer, b"!").expect("there is room");
        ends_well(user, child);
        kill(user, server);
        close_all(user, &[reader, writer]);
    })
}

/// What the kernel keeps, but for words that somebody has waited for: those are forgotten when there
/// are many. (Nor the timer of the pressure, which ticks until memory is plenty.)
fn kept(user: &mut User) -> [usize; 9] {
    user.peek(|kernel| {
        let (queues, interests) = kernel.events.counts();
        [
            kernel.frames.totals().free,
            kernel.spaces.len(),
            kernel.tasks.len(),
            kernel.processes.len(),
            kernel.descriptions.len(),
            kernel.pipes.table.len(),
            kernel.user_schemes.len(),
            kernel.waits.count() - kernel.futexes.len(),
            queues + interests,
        ]
    })
}

/// One round: a cast, a leak, and everything as it was.
fn round(user: &mut User, number: usize) {
    let mut lots = Lots(0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1) << 20);
    lots.draw(2);
    let own = write_document(user, number, SIZE / PAGE_SIZE);
    let cast: Vec<After> = (0..2 + lots.draw(4))
        .map(|part| match lots.draw(7) {
            0 => copies(user, number + part as usize, &mut lots),
            1 => meeting(user),
            2 => sleeper(user, &mut lots),
            3 => listener(user),
            4 => threads(user),
            // One daemon of a name.
            5 if part == 0 => client(user),
            _ => traced(user),
        })
        .collect();
    let leak = leak(user);
    assert_eq!(user.wait_for(leak), sacrificed());
    check_document(user, number, own, SIZE / PAGE_SIZE);
    cast.into_iter().for_each(|after| after(user));
    user.unmap(own, SIZE).expect("it is mapped");
    user.peek(|kernel| audit(kernel));
}

#[test]
fn a_hundred_emergencies_change_nothing_and_leave_nothing() {
    let all = std::env::var("LIFEBOAT_SOAK").ok().and_then(|text| text.parse().ok());
    let machines = [
        (1, "disk"),
        (2, "disk"),
        (4, "disk"),
        (4, "ram"),
        (1, "disk,lazy"),
        (2, "lazy"),
        (4, "disk,lazy"),
    ];
    let rounds = all.unwrap_or(ROUNDS).div_ceil(machines.len());
    for (machine, (cpus, restore)) in machines.into_iter().enumerate() {
        let disk = Disk::new(MEMORY / PAGE_SIZE + 200);
        System::new()
            .memory(MEMORY)
            .cpus(cpus)
            .disk(&disk)
            .option("emergency.format=any")
            .option(&format!("emergency.restore={restore}"))
            .option("emergency.auto=fastest-growing,1s")
            .run(move |user| {
                let first = machine * rounds;
                round(user, first);
                let before = kept(user);
                for number in first + 1..first + rounds {
                    round(user, number);
                }
                while status_number(user, "slots_used") > 0 {
                    user.sleep(10);
                }
                assert_eq!(kept(user), before, "something is left");
                assert_eq!(status_number(user, "count"), rounds as u64);
                assert_eq!(status_number(user, "lost_pages"), 0);
                assert_eq!(status_number(user, "allocations"), 0);
            });
    }
}
