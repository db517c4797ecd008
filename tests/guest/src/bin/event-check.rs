//! `event-check` — event queues keep their promises.

use guest::abi::redox::data::Event;
use guest::abi::redox::error::{EAGAIN, EBADF, EINVAL};
use guest::abi::redox::flag::{EVENT_TIMEOUT_ID, EventFlags, O_NONBLOCK, O_RDONLY};
use guest::event::Queue;
use guest::file::{File, open, pipe, ready};
use guest::process::Child;
use guest::report::{Case, Check, Failure, equal, holds, refused, run};
use guest::time::{now, sleep_ms};
use std::process::ExitCode;

const HELP: &str = "\
event-check - see that event queues keep their promises

Usage: event-check [--list | CASE...]
";

const CASES: &[Case] = &[
    ("nothing-yet", nothing_yet),
    ("once-until-read", once_until_read),
    ("ready-before", ready_before),
    ("many-in-one-read", many_in_one_read),
    ("two-queues", two_queues),
    ("no-longer", no_longer),
    ("end-of-file", end_of_file),
    ("room-to-write", room_to_write),
    ("closed-while-watched", closed_while_watched),
    ("timeout", timeout),
    ("another-process", another_process),
    ("time-file", time_file),
    ("what-is-ready", what_is_ready),
    ("nonsense", nonsense),
];

const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;

fn main() -> ExitCode {
    run("event-check", HELP, CASES)
}

/// A pipe whose read end a fresh queue watches.
struct Watched {
    queue: Queue,
    reader: File,
    writer: File,
}

fn watched(data: usize) -> Result<Watched, Failure> {
    let (reader, writer) = pipe()?;
    let queue = Queue::new(O_NONBLOCK)?;
    queue.watch(reader.0, READ, data)?;
    Ok(Watched { queue, reader, writer })
}

/// The events a queue has now, as (id, flags, data).
fn taken(queue: &Queue) -> Result<Vec<(usize, EventFlags, usize)>, Failure> {
    let mut events = [Event::default(); 8];
    match queue.take(&mut events) {
        Ok(count) => Ok(events[..count].iter().map(|e| (e.id, e.flags, e.data)).collect()),
        Err(error) if error.errno == EAGAIN => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn nothing_yet() -> Check {
    let w = watched(1)?;
    equal("events of an empty pipe", taken(&w.queue)?, vec![])
}

fn once_until_read() -> Check {
    let w = watched(77)?;
    w.writer.write(b"a")?;
    w.writer.write(b"b")?;
    equal("after two writes", taken(&w.queue)?, vec![(w.reader.0, READ, 77)])?;
    equal("nothing new", taken(&w.queue)?, vec![])?;
    w.writer.write(b"c")?;
    equal("after another write", taken(&w.queue)?, vec![(w.reader.0, READ, 77)])
}

fn ready_before() -> Check {
    let (reader, writer) = pipe()?;
    writer.write(b"x")?;
    let queue = Queue::new(O_NONBLOCK)?;
    queue.watch(reader.0, READ, 5)?;
    equal("watched when ready", taken(&queue)?, vec![(reader.0, READ, 5)])
}

fn many_in_one_read() -> Check {
    let pipes = [pipe()?, pipe()?, pipe()?];
    let queue = Queue::new(O_NONBLOCK)?;
    for (index, (reader, _)) in pipes.iter().enumerate() {
        queue.watch(reader.0, READ, index)?;
    }
    for index in [2, 0, 1] {
        pipes[index].1.write(b"x")?;
    }
    let order: Vec<usize> = taken(&queue)?.iter().map(|event| event.2).collect();
    equal("in the order they came", order, vec![2, 0, 1])
}

fn two_queues() -> Check {
    let w = watched(1)?;
    let other = Queue::new(O_NONBLOCK)?;
    other.watch(w.reader.0, READ, 2)?;
    w.writer.write(b"x")?;
    equal("the first", taken(&w.queue)?, vec![(w.reader.0, READ, 1)])?;
    equal("the second", taken(&other)?, vec![(w.reader.0, READ, 2)])
}

fn no_longer() -> Check {
    let w = watched(1)?;
    w.writer.write(b"x")?;
    w.queue.watch(w.reader.0, EventFlags::empty(), 0)?;
    equal("pending when it ended", taken(&w.queue)?, vec![])?;
    w.writer.write(b"x")?;
    equal("after it ended", taken(&w.queue)?, vec![])
}

fn end_of_file() -> Check {
    let Watched { queue, reader, writer } = watched(1)?;
    drop(writer);
    equal("the writer has gone", taken(&queue)?, vec![(reader.0, READ, 1)])?;
    equal("end of file", reader.read(&mut [0; 4])?, 0)
}

fn room_to_write() -> Check {
    let (reader, writer) = pipe()?;
    let queue = Queue::new(O_NONBLOCK)?;
    queue.watch(writer.0, WRITE, 9)?;
    equal("an empty pipe has room", taken(&queue)?, vec![(writer.0, WRITE, 9)])?;
    let mut bytes = vec![0; 65_536];
    equal("all it holds", writer.write(&bytes)?, bytes.len())?;
    equal("full: nothing", taken(&queue)?, vec![])?;
    reader.read(&mut bytes)?;
    equal("room again", taken(&queue)?, vec![(writer.0, WRITE, 9)])
}

fn closed_while_watched() -> Check {
    let Watched { queue, reader, writer } = watched(1)?;
    let number = reader.0;
    writer.write(b"x")?;
    drop(reader);
    equal("a file that is no more", taken(&queue)?, vec![])?;
    let (again, writer) = pipe()?;
    equal("the number is free again", again.0, number)?;
    writer.write(b"x")?;
    equal("another file of that number", taken(&queue)?, vec![])
}

fn timeout() -> Check {
    let (reader, _writer) = pipe()?;
    let queue = Queue::new(0)?;
    queue.watch(reader.0, READ, 1)?;
    let start = now();
    queue.watch(EVENT_TIMEOUT_ID, READ, 30)?;
    let mut event = [Event::default()];
    equal("events", queue.take(&mut event)?, 1)?;
    equal("the timeout's", event[0].id, EVENT_TIMEOUT_ID)?;
    let waited = (now() - start) / 1_000_000;
    holds(&format!("30 ms took {waited} ms"), (30..5_000).contains(&waited))
}

fn another_process() -> Check {
    let (reader, writer) = pipe()?;
    let queue = Queue::new(0)?;
    queue.watch(reader.0, READ, 3)?;
    let child = Child::start(|| {
        sleep_ms(20);
        writer.write(b"x").map_or(1, |_| 0)
    })?;
    let mut event = [Event::default()];
    equal("events", queue.take(&mut event)?, 1)?;
    equal("data", event[0].data, 3)?;
    equal("the child", child.wait()?, guest::process::Ended::Exited(0))
}

/// A moment written to `time:` makes the file readable when it has come.
fn time_file() -> Check {
    let clock = guest::file::open_both("time:4")?;
    let queue = Queue::new(0)?;
    queue.watch(clock.0, READ, 4)?;
    let moment = now() + 20_000_000;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(moment / 1_000_000_000).to_ne_bytes());
    bytes[8..12].copy_from_slice(&((moment % 1_000_000_000) as u32).to_ne_bytes());
    clock.write(&bytes)?;
    let mut event = [Event::default()];
    equal("events", queue.take(&mut event)?, 1)?;
    holds("not before its time", now() >= moment)
}

fn what_is_ready() -> Check {
    let (reader, writer) = pipe()?;
    equal("an empty pipe's end", ready(reader.0, READ.bits())?, 0)?;
    equal("its other end", ready(writer.0, WRITE.bits())?, WRITE.bits())?;
    writer.write(b"x")?;
    equal("with a byte in it", ready(reader.0, READ.bits())?, READ.bits())
}

fn nonsense() -> Check {
    let queue = Queue::new(O_NONBLOCK)?;
    for fd in [9_999, usize::MAX - 1, 1 << 40] {
        refused("watching no descriptor", queue.watch(fd, READ, 0), EBADF)?;
    }
    refused("watching itself", queue.watch(queue.0.0, READ, 0), EINVAL)?;
    refused("half an event in", queue.0.write(&[0; 7]), EINVAL)?;
    refused("half an event out", queue.0.read(&mut [0; 23]), EINVAL)?;
    let text = open("sys:uname", O_RDONLY)?;
    queue.watch(text.0, EventFlags::from_bits_retain(usize::MAX), usize::MAX)?;
    let events = taken(&queue)?;
    holds("flags nobody knows are left out", events.iter().all(|e| (READ | WRITE).contains(e.1)))
}
