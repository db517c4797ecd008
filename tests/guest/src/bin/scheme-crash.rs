//! `scheme-crash` — a daemon that dies keeps nobody waiting.
//!
//! Each case has a daemon that takes a request, never answers it, and ends in its own way. The
//! client must get `ENODEV` at once, and so must every later call on its file; the name must be
//! free for the next daemon.

use guest::abi::redox::error::{EBADF, EEXIST, ENODEV, ENOENT, EOPNOTSUPP};
use guest::abi::redox::flag::O_RDWR;
use guest::abi::redox::schemev2::{Opcode, Sqe};
use guest::file::{File, close, open_both, pipe};
use guest::process::{Child, Ended, exit};
use guest::report::{Case, Check, Failure, equal, holds, refused, run};
use guest::scheme::Socket;
use guest::signal::{SIGKILL, SIGSEGV};
use guest::time::{now, sleep_ms};
use guest::{Error, errno};
use std::process::ExitCode;

const HELP: &str = "\
scheme-crash - see that a daemon that dies keeps nobody waiting

Usage: scheme-crash [--list | CASE...]
";

const CASES: &[Case] = &[
    ("exit", || crash(|| exit(0), Ended::Exited(0))),
    ("fault", || crash(fault, Ended::Signalled(SIGSEGV as u8))),
    ("killed", killed),
    ("killed-while-queued", killed_while_queued),
    ("killed-while-opening", killed_while_opening),
    ("many-clients", many_clients),
    ("name-is-free-again", name_is_free_again),
    ("name-is-taken", name_is_taken),
    ("nonsense-answers", nonsense_answers),
];

const NAME: &str = "crash";
const PATH: &str = "crash:file";
/// How soon a client must know, in nanoseconds.
const AT_ONCE: u64 = 2_000_000_000;

fn main() -> ExitCode {
    run("scheme-crash", HELP, CASES)
}

fn fault() -> ! {
    // SAFETY: none; the process is meant to die here.
    unsafe { (16 as *mut u8).write_volatile(1) };
    exit(1)
}

/// What the daemon does with requests: opening works; on the first read, `end`.
fn reply(request: &Sqe, end: fn() -> !) -> guest::Result<usize> {
    match Opcode::try_from_raw(request.opcode) {
        Some(Opcode::OpenAt) => Ok(1),
        Some(Opcode::Read) => end(),
        _ => Err(Error::new(EOPNOTSUPP)),
    }
}

/// A daemon that serves `crash:` until `serve` returns. Comes back when the name is there.
fn daemon(serve: impl Fn(&Socket) -> u8) -> Result<Child, Failure> {
    let (ready, tell) = pipe()?;
    let child = Child::start(|| match Socket::register(NAME) {
        Ok(socket) => {
            // The parent waits for this; if it is gone nobody needs to know.
            let _ = tell.write(b"x");
            let _ = close(tell.0);
            serve(&socket)
        }
        Err(error) => error.errno as u8,
    })?;
    drop(tell);
    equal("the daemon's sign of life", ready.read(&mut [0])?, 1)?;
    Ok(child)
}

fn serving(end: fn() -> !) -> Result<Child, Failure> {
    daemon(|socket| socket.serve(|request| reply(request, end)).errno as u8)
}

fn crash(end: fn() -> !, ended: Ended) -> Check {
    let child = serving(end)?;
    let file = open_both(PATH)?;
    let start = now();
    refused("the read that kills the daemon", file.read(&mut [0; 8]), ENODEV)?;
    holds("at once", now() - start < AT_ONCE)?;
    equal("the daemon", child.wait()?, ended)?;
    gone(&file)
}

/// What must be true of files and names of a dead daemon.
fn gone(file: &File) -> Check {
    refused("a later read", file.read(&mut [0; 8]), ENODEV)?;
    refused("a later write", file.write(&[0; 8]), ENODEV)?;
    equal("a later stat", errno(file.stat()), ENODEV)?;
    equal("opening the name", errno(open_both(PATH)), ENOENT)
}

fn never() -> ! {
    loop {
        sleep_ms(1_000);
    }
}

fn killed() -> Check {
    let child = serving(never)?;
    let file = open_both(PATH)?;
    let killer = after_a_moment(&child)?;
    let start = now();
    refused("the read that waits", file.read(&mut [0; 8]), ENODEV)?;
    holds("at once", now() - start < AT_ONCE)?;
    equal("the daemon", child.wait()?, Ended::Signalled(SIGKILL as u8))?;
    equal("who killed it", killer.wait()?, Ended::Exited(0))?;
    gone(&file)
}

/// Kills a child from another process, while this one waits for it.
fn after_a_moment(child: &Child) -> Result<Child, Failure> {
    Ok(Child::start(|| {
        sleep_ms(30);
        child.signal(SIGKILL).map_or(1, |_| 0)
    })?)
}

/// The daemon never even reads the request.
fn killed_while_queued() -> Check {
    let child = daemon(|socket| {
        let mut one = [Sqe::default()];
        // The open; after it nothing is read any more.
        if let Ok(1) = socket.requests(&mut one) {
            let _ = socket.answer(&one[0], Ok(1));
        }
        never()
    })?;
    let file = open_both(PATH)?;
    let _killer = after_a_moment(&child)?;
    refused("a write in the queue", file.write(b"12345678"), ENODEV)?;
    drop(child);
    gone(&file)
}

fn killed_while_opening() -> Check {
    let child = daemon(|_| never())?;
    let _killer = after_a_moment(&child)?;
    equal("opening", errno(open_both(PATH)), ENODEV)
}

/// One client whose request the daemon has, and two whose requests wait behind it.
fn many_clients() -> Check {
    let child = serving(never)?;
    let client = || match open_both(PATH) {
        Ok(file) => errno(file.read(&mut [0; 8])) as u8,
        Err(error) => errno::<()>(Err(error)) as u8,
    };
    let first = Child::start(client)?;
    sleep_ms(20);
    let others = [Child::start(client)?, Child::start(client)?];
    sleep_ms(20);
    drop(child);
    for client in std::iter::once(first).chain(others) {
        let ended = client.wait_within(AT_ONCE / 1_000_000)?;
        equal("a client", ended, Some(Ended::Exited(ENODEV as u8)))?;
    }
    Ok(())
}

fn name_is_free_again() -> Check {
    for _ in 0..20 {
        let child = serving(|| exit(0))?;
        let file = open_both(PATH)?;
        refused("the read", file.read(&mut [0; 8]), ENODEV)?;
        equal("the daemon", child.wait()?, Ended::Exited(0))?;
    }
    Ok(())
}

fn name_is_taken() -> Check {
    let _child = serving(never)?;
    let second = Child::start(|| match Socket::register(NAME) {
        Ok(_) => 0,
        Err(error) => error.errno as u8,
    })?;
    equal("registering twice", second.wait()?, Ended::Exited(EEXIST as u8))
}

/// A daemon that answers what nobody asked hurts only itself.
fn nonsense_answers() -> Check {
    let child = daemon(|socket| {
        let mut one = [Sqe::default()];
        let Ok(1) = socket.requests(&mut one) else { return 1 };
        for tag in [0, 1, u32::MAX, one[0].tag ^ 1] {
            let wrong = Sqe { tag, ..one[0] };
            if tag != one[0].tag && socket.answer(&wrong, Ok(7)).is_ok() {
                return 2;
            }
        }
        if socket.answer(&one[0], Ok(1)).is_err() {
            return 3;
        }
        if socket.answer(&one[0], Ok(1)).is_ok() {
            return 4;
        }
        socket.serve(|request| match Opcode::try_from_raw(request.opcode) {
            Some(Opcode::Read) => Ok(usize::MAX / 2),
            _ => Ok(usize::MAX / 2),
        });
        0
    })?;
    let file = guest::file::open(PATH, O_RDWR)?;
    holds("more bytes than asked for", file.read(&mut [0; 8]).is_err())?;
    holds("more bytes than given", file.write(&[0; 8]).is_err())?;
    drop(file);
    holds("the daemon lives", child.signal(0).is_ok())?;
    refused("a file that is closed", guest::file::close(9_999), EBADF)
}
