//! `trace-waits` — attaching to a thread in every kind of wait: it shows itself standing before its call,
//! and what it waits for is not lost.
//!
//! Waiting for memory is not here: then the world stands still. Nor is waiting for a tracer, for who
//! does has one already; see `trace-races`.

use guest::abi::call::find;
use guest::abi::redox::data::Event;
use guest::abi::redox::error::{ESRCH, Error};
use guest::abi::redox::flag::{EventFlags, FUTEX_WAIT, FUTEX_WAKE, MapFlags, O_RDWR};
use guest::abi::redox::number::SYS_FUTEX;
use guest::abi::redox::schemev2::{Opcode, Sqe};
use guest::abi::signal::{SIGKILL, SIGUSR1, SigInfo};
use guest::abi::trace::STOP_NOW;
use guest::abi::{PAGE_SIZE, number};
use guest::call::{call1, call3, call4};
use guest::event::Queue;
use guest::file::{File, close, open, pipe, read_path};
use guest::memory::Mapping;
use guest::process::{Child, Ended, kill};
use guest::report::{Case, Check, Failure, equal, holds, run};
use guest::scheme::Socket;
use guest::signal::catch;
use guest::time::{Deadline, sleep_ms};
use guest::trace::{POST, PRE, Tracer};
use guest::{Result, errno};
use std::process::ExitCode;

const HELP: &str = "\
trace-waits - attach to threads in every kind of wait

Usage: trace-waits [--list | CASE...]
";

const CASES: &[Case] = &[
    ("reply", reply),
    ("readable", readable),
    ("writable", writable),
    ("window", window),
    ("event", event),
    ("child", child),
    ("time", time),
    ("futex", futex),
    ("signal", signal),
    ("tracee", tracee),
];

fn main() -> ExitCode {
    run("trace-waits", HELP, CASES)
}

/// What a process waits for, as `proc:PID/status` has it.
fn reason(pid: usize) -> Result<String> {
    let mut text = [0; 1024];
    let text = read_path(&format!("proc:{pid}/status"), &mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix("Wait: "));
    Ok(line.unwrap_or_default().to_string())
}

fn until_waiting(pid: usize, wanted: &str) -> Check {
    let deadline = Deadline::in_ms(10_000);
    while reason(pid)? != wanted {
        holds("it comes to wait", !deadline.has_passed())?;
        sleep_ms(1);
    }
    Ok(())
}

fn attach(pid: usize) -> std::result::Result<Tracer, Failure> {
    let tracer = Tracer::attach(pid)?;
    let registers = tracer.registers()?;
    let mut text = [0; 256];
    let text = read_path(&format!("proc:{pid}/syscall"), &mut text)?;
    let name = text.split('(').next();
    equal("the call it stands before", find(registers.rax).map(|call| call.name), name)?;
    equal("the registers again", &tracer.registers()?[..], &registers[..])?;
    Ok(tracer)
}

/// The whole story of one process that waits.
fn survives(waiter: Child, word: &str, release: impl FnOnce() -> Check) -> Check {
    let pid = waiter.pid;
    until_waiting(pid, word)?;
    for _ in 0..3 {
        drop(attach(pid)?);
        until_waiting(pid, word)?;
    }
    let tracer = attach(pid)?;
    let number = tracer.registers()?.rax;
    tracer.go(PRE | POST)?;
    until_waiting(pid, word)?;
    tracer.go(STOP_NOW)?;
    equal("the stop", tracer.next()?.cause.bits(), STOP_NOW)?;
    release()?;
    sleep_ms(5);
    equal("it is stopped, and waits for nothing", reason(pid)?.as_str(), "-")?;
    equal("the end of its call", tracer.until(PRE | POST, POST)?.a, number)?;
    drop(tracer);
    equal("the end", waiter.wait()?, Ended::Exited(0))
}

/// The status of a child that ends well when a call has answered this.
fn status<T: PartialEq>(found: Result<T>, wanted: T) -> u8 {
    u8::from(!found.is_ok_and(|found| found == wanted))
}

fn readable() -> Check {
    let (reader, writer) = pipe()?;
    let waiter = Child::start(|| status(reader.read(&mut [0; 8]), 1))?;
    survives(waiter, "readable", || equal("written", writer.write(b"x")?, 1))
}

fn writable() -> Check {
    const PIECES: usize = 64;
    let (reader, writer) = pipe()?;
    let waiter = Child::start(|| {
        let all = (0..PIECES).all(|_| writer.write(&[7; PAGE_SIZE]) == Ok(PAGE_SIZE));
        u8::from(!all)
    })?;
    // The writer is stopped when it is let go, so somebody else waits for the rest; who must not have
    // a copy of the session.
    let (gate, key) = pipe()?;
    let end = writer.into_raw();
    let drain = Child::start(|| {
        let mut room = [0; PAGE_SIZE];
        if close(end).and_then(|_| gate.read(&mut room[..1])).is_err() {
            return 1;
        }
        while reader.read(&mut room).is_ok_and(|count| count > 0) {}
        0
    })?;
    survives(waiter, "writable", || {
        close(end)?;
        equal("written", key.write(b"x")?, 1)
    })?;
    equal("the reader", drain.wait()?, Ended::Exited(0))
}

fn event() -> Check {
    let (reader, writer) = pipe()?;
    let waiter = Child::start(|| {
        let Ok(queue) = Queue::new(0) else { return 1 };
        let mut events = [Event::default(); 2];
        let watched = queue.watch(reader.0, EventFlags::EVENT_READ, 5);
        u8::from(watched.is_err()) | status(queue.take(&mut events), 1)
    })?;
    survives(waiter, "event", || equal("written", writer.write(b"x")?, 1))
}

fn child() -> Check {
    let (reader, writer) = pipe()?;
    let waiter = Child::start(|| match Child::start(|| status(reader.read(&mut [0]), 1)) {
        Ok(child) => status(child.wait(), Ended::Exited(0)),
        Err(_) => 1,
    })?;
    survives(waiter, "child", || equal("written", writer.write(b"x")?, 1))
}

fn time() -> Check {
    let waiter = Child::start(|| {
        sleep_ms(1_000);
        0
    })?;
    survives(waiter, "time", || Ok(()))
}

fn shared_page() -> Result<Mapping> {
    let flags = MapFlags::MAP_SHARED | MapFlags::PROT_READ | MapFlags::PROT_WRITE;
    Mapping::new(PAGE_SIZE, flags)
}

fn futex() -> Check {
    let mut word = shared_page()?;
    let at = word.bytes().as_ptr() as usize;
    let waiter = Child::start(|| {
        while word.peek(0) == 0 {
            // SAFETY: the word is mapped.
            unsafe { call4(SYS_FUTEX, at, FUTEX_WAIT, 0, 0) };
        }
        0
    })?;
    survives(waiter, "futex", || {
        word.touch(0);
        // SAFETY: the word is mapped.
        unsafe { call3(SYS_FUTEX, at, FUTEX_WAKE, 1) };
        Ok(())
    })
}

extern "C" fn nothing(_: usize, _: &SigInfo, _: usize) {}

fn signal() -> Check {
    let waiter = Child::start(|| {
        let mask = 0u64;
        let caught = catch(SIGUSR1, nothing, 0);
        // SAFETY: the kernel only reads the mask.
        unsafe { call1(number::SIGSUSPEND, &raw const mask as usize) };
        u8::from(caught.is_err())
    })?;
    let pid = waiter.pid as isize;
    survives(waiter, "signal", || kill(pid, SIGUSR1).map(|_| ()).map_err(Failure::from))
}

fn tracee() -> Check {
    let mut number = shared_page()?;
    let place = number.bytes().as_mut_ptr().cast::<usize>();
    let waiter = Child::start(|| {
        let Ok(child) = Child::start(|| {
            sleep_ms(1_000_000);
            0
        }) else {
            return 1;
        };
        // SAFETY: the page is shared with the parent, which reads it later.
        unsafe { place.write_volatile(child.pid) };
        let Ok(tracer) = Tracer::open(child.pid, child.pid, 0) else { return 2 };
        let told = errno(tracer.next().map(|_| 0));
        drop(tracer);
        u8::from(told != ESRCH) | status(child.wait(), Ended::Signalled(SIGKILL as u8))
    })?;
    survives(waiter, "tracee", || {
        // SAFETY: as above.
        let child = unsafe { place.read_volatile() };
        kill(child as isize, SIGKILL).map(|_| ()).map_err(Failure::from)
    })
}

/// A daemon that answers openings, and everything else once it may.
fn daemon(name: &str, key: &File) -> std::result::Result<Child, Failure> {
    let (ready, tell) = pipe()?;
    let child = Child::start(|| {
        let Ok(socket) = Socket::register(name) else { return 1 };
        if tell.write(b"x").is_err() {
            return 3;
        }
        let mut request = [Sqe::default()];
        let opened = socket.requests(&mut request).and_then(|_| socket.answer(&request[0], Ok(1)));
        let may = opened.and_then(|_| key.read(&mut [0]));
        if may.is_err() {
            return 2;
        }
        let length = |request: &Sqe| match Opcode::try_from_raw(request.opcode) {
            Some(Opcode::Write) => Ok(request.args[2] as usize),
            Some(Opcode::Read) => Ok(0),
            _ => Err(Error::new(guest::abi::redox::error::EOPNOTSUPP)),
        };
        socket.serve(length).errno as u8
    })?;
    equal("the daemon's sign of life", ready.read(&mut [0])?, 1)?;
    Ok(child)
}

fn reply() -> Check {
    let (key, writer) = pipe()?;
    let _server = daemon("traced-owing", &key)?;
    let file = open("traced-owing:x", O_RDWR)?;
    let waiter = Child::start(|| status(file.read(&mut [0; 8]), 0))?;
    survives(waiter, "reply", || equal("written", writer.write(b"x")?, 1))
}

fn window() -> Check {
    const SIZE: usize = 1 << 20;
    let (key, writer) = pipe()?;
    let _server = daemon("traced-narrow", &key)?;
    let file = open("traced-narrow:x", O_RDWR)?;
    let mut bytes = Mapping::pages(SIZE / PAGE_SIZE)?;
    let bytes: &[u8] = bytes.bytes();
    let client = || Child::start(|| status(file.write(bytes), SIZE));
    let mut others = Vec::new();
    let waiter = loop {
        let child = client()?;
        while reason(child.pid)? == "-" {
            sleep_ms(1);
        }
        if reason(child.pid)? == "window" {
            break child;
        }
        others.push(child);
        holds("the window has an end", others.len() < 32)?;
    };
    survives(waiter, "window", || equal("written", writer.write(b"x")?, 1))?;
    for other in others {
        equal("another's end", other.wait()?, Ended::Exited(0))?;
    }
    Ok(())
}
