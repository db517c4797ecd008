//! `leak` — what is given back is given back whole.
//!
//! Each case does something a thousand times and looks at `sys:mem` before and after. A page or a
//! kernel object lost each time would show as megabytes or as tens of kilobytes; the bounds leave
//! room for what other processes do meanwhile.

use guest::abi::PAGE_SIZE;
use guest::abi::redox::data::Event;
use guest::abi::redox::flag::{EventFlags, O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR};
use guest::event::Queue;
use guest::file::{number_of, open, open_both, pipe, read_path, unlink};
use guest::memory::{Mapping, SHARED};
use guest::process::{Child, Ended};
use guest::program::{HELLO, build, exec};
use guest::report::{Case, Check, Failure, equal, holds, run};
use guest::scheme::Socket;
use guest::signal::{SIGKILL, SIGSEGV};
use guest::time::sleep_ms;
use std::process::ExitCode;

const HELP: &str = "\
leak - see that what is given back is given back whole

Usage: leak [--list | CASE...]

Each case does something 1,000 times and compares sys:mem. Bounds: 256 KiB of memory outside the
kernel's heap, 32 KiB inside.
";

const CASES: &[Case] = &[
    ("opens", || repeat(1_000, opens)),
    ("pipes", || repeat(1_000, pipes)),
    ("events", || repeat(1_000, events)),
    ("maps", || repeat(1_000, maps)),
    ("forks", || repeat(1_000, || child(|| 0, Ended::Exited(0)))),
    ("forks-that-leave-things-open", || repeat(1_000, untidy_fork)),
    ("kills", || repeat(1_000, kills)),
    ("faults", || repeat(200, || child(fault, Ended::Signalled(SIGSEGV as u8)))),
    ("execs", || repeat(500, execs)),
    ("failed-execs", || repeat(1_000, failed_execs)),
    ("threads", || repeat(500, threads)),
    ("schemes", || repeat(200, schemes)),
    ("files", || repeat(500, files)),
];

/// Bytes that may be missing outside the kernel's heap.
const FRAMES_BOUND: i64 = 256 << 10;
/// Bytes that may be missing inside it.
const HEAP_BOUND: i64 = 32 << 10;

fn main() -> ExitCode {
    run("leak", HELP, CASES)
}

/// Bytes in use outside the kernel's heap, and inside.
fn in_use() -> Result<(i64, i64), Failure> {
    let mut text = [0; 1024];
    let text = read_path("sys:mem", &mut text)?;
    let number = |key| {
        let found = number_of(text, key).map(u64::cast_signed);
        found.ok_or_else(|| Failure(format!("sys:mem does not tell {key}")))
    };
    let heap = number("heap_used")?;
    Ok((number("used")? - heap - number("heap_free")?, heap))
}

fn repeat(count: usize, mut once: impl FnMut() -> Check) -> Check {
    // The first times may well leave something that is used again: tables that have grown.
    for _ in 0..count / 10 {
        once()?;
    }
    sleep_ms(20);
    let before = in_use()?;
    for _ in 0..count {
        once()?;
    }
    sleep_ms(20);
    let after = in_use()?;
    let (frames, heap) = (after.0 - before.0, after.1 - before.1);
    holds(&format!("{frames} bytes of frames are missing"), frames <= FRAMES_BOUND)?;
    holds(&format!("{heap} bytes of the kernel's heap are missing"), heap <= HEAP_BOUND)
}

fn opens() -> Check {
    for path in ["sys:uname", "time:4", "sys:", "proc:self/status", "event:", "memory:"] {
        let file = open(path, O_RDONLY)?;
        file.dup(b"")?;
        file.stat()?;
    }
    open("sys:uname", O_RDONLY)?.read(&mut [0; 100])?;
    Ok(())
}

fn pipes() -> Check {
    let (reader, writer) = pipe()?;
    writer.write(&[7; 5_000])?;
    reader.read(&mut [0; 100])?;
    Ok(())
}

fn events() -> Check {
    let (reader, writer) = pipe()?;
    let queue = Queue::new(O_NONBLOCK)?;
    queue.watch(reader.0, EventFlags::EVENT_READ, 1)?;
    writer.write(b"x")?;
    equal("events", queue.take(&mut [Event::default()])?, 1)
}

fn maps() -> Check {
    let private = Mapping::pages(64)?;
    let shared = Mapping::new(16 * PAGE_SIZE, SHARED)?;
    (0..64).step_by(3).for_each(|page| private.touch(page));
    (0..16).for_each(|page| shared.touch(page));
    Ok(())
}

fn child(body: fn() -> u8, wanted: Ended) -> Check {
    equal("the child", Child::start(body)?.wait()?, wanted)
}

fn fault() -> u8 {
    // SAFETY: none; the process is meant to die here.
    unsafe { (16 as *const u8).read_volatile() }
}

/// A child that ends with files, pipes, queues and memory open.
fn untidy_fork() -> Check {
    child(
        || {
            let leave = || -> Check {
                let (reader, _) = pipe()?;
                Queue::new(0)?.watch(reader.0, EventFlags::EVENT_READ, 1)?;
                std::mem::forget((reader, pipe()?, Queue::new(0)?, open("sys:cpu", O_RDONLY)?));
                let memory = Mapping::pages(32)?;
                (0..32).for_each(|page| memory.touch(page));
                std::mem::forget(memory);
                Ok(())
            };
            leave().map_or(1, |()| 0)
        },
        Ended::Exited(0),
    )
}

fn kills() -> Check {
    let (reader, _writer) = pipe()?;
    let child = Child::start(|| reader.read(&mut [0]).map_or(1, |_| 0))?;
    child.signal(SIGKILL)?;
    equal("the child", child.wait()?, Ended::Signalled(SIGKILL as u8))
}

fn execs() -> Check {
    let (image, length) = build(&HELLO)?;
    let child = Child::start(|| exec(image.address, length).errno as u8)?;
    equal("the child", child.wait()?, Ended::Exited(0))
}

fn failed_execs() -> Check {
    let (image, length) = build(&HELLO)?;
    let error = exec(image.address, length - 1);
    equal("a truncated program", error.errno, guest::abi::redox::error::ENOEXEC)
}

fn threads() -> Check {
    let thread = std::thread::spawn(|| 7);
    equal("the thread's value", thread.join().ok(), Some(7))
}

fn schemes() -> Check {
    let (ready, tell) = pipe()?;
    let daemon = Child::start(|| match Socket::register("leak") {
        Ok(_socket) => {
            let _ = tell.write(b"x");
            sleep_ms(60_000);
            0
        }
        Err(error) => error.errno as u8,
    })?;
    equal("the daemon's sign of life", ready.read(&mut [0])?, 1)?;
    let client = Child::start(|| open_both("leak:x").map_or(0, |_| 1))?;
    sleep_ms(1);
    drop(daemon);
    equal("the client", client.wait()?, Ended::Exited(0))
}

/// Files of `ram:`, which a daemon serves.
fn files() -> Check {
    let path = "ram:leak-test";
    let file = open(path, O_CREAT | O_RDWR | 0o600)?;
    file.write(&[1; 10_000])?;
    drop(file);
    unlink(path)?;
    Ok(())
}
