//! `survivor` — whatever programs hold and wait for is as it was after an emergency.
//!
//! Each round has children that share memory, sleep, wait for a word, for an event and for a
//! tracer, and keep values in vector registers; then a leak fills memory until the policy ends it.
//! Everybody checks what is theirs. At the end no memory may be missing.

use guest::abi::PAGE_SIZE;
use guest::abi::redox::data::Event;
use guest::abi::redox::flag::{EventFlags, FUTEX_WAIT, FUTEX_WAKE, PtraceFlags};
use guest::abi::redox::number::SYS_FUTEX;
use guest::abi::wait::ENDED_BY_EMERGENCY;
use guest::call::{answer, call2, call4};
use guest::event::Queue;
use guest::file::{File, number_of, pipe, read_path};
use guest::memory::{Mapping, SHARED};
use guest::process::{Child, Ended};
use guest::report::{Check, Failure, equal, holds};
use guest::time::{now, sleep_ms};
use guest::trace::Tracer;
use std::arch::asm;
use std::process::ExitCode;

const HELP: &str = "\
survivor - live through emergencies, and check that everything is as it was

Usage: survivor ROUNDS
       survivor crowd PROCESSES

For a machine whose policy decides at once. Prints a line when all is well. A
crowd is so many jobs of one process each, and a leak among them.
";

/// Pages of a document.
const PAGES: usize = 64;
/// Bytes that may be missing after all rounds but the first.
const FRAMES_BOUND: i64 = 128 << 10;
const HEAP_BOUND: i64 = 64 << 10;
/// How long a sleeper sleeps, in milliseconds.
const NAP_MS: u64 = 300;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (count, result) = match words[..] {
        ["crowd", count] if count.parse::<u32>().is_ok() => (count, crowd(count)),
        [rounds] if rounds.parse::<u32>().is_ok() => {
            (rounds, live(rounds.parse().unwrap_or_default()))
        }
        _ => {
            print!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) if words.len() == 2 => {
            println!("survivor: a crowd of {count}, everybody is there");
            ExitCode::SUCCESS
        }
        Ok(()) => {
            println!("survivor: {count} emergencies, everything as it was");
            ExitCode::SUCCESS
        }
        Err(Failure(why)) => {
            println!("survivor: DAMAGED: {why}");
            ExitCode::FAILURE
        }
    }
}

fn live(rounds: u32) -> Check {
    round(0)?;
    let before = in_use()?;
    for number in 1..rounds {
        round(number)?;
    }
    let after = in_use()?;
    let (frames, heap) = (after.0 - before.0, after.1 - before.1);
    holds(&format!("{frames} bytes are missing"), frames <= FRAMES_BOUND)?;
    holds(&format!("{heap} bytes of the heap are missing"), heap <= HEAP_BOUND)
}

/// An emergency among very many jobs: the leak ends, and nobody else.
fn crowd(count: &str) -> Check {
    let mut people = Vec::new();
    for _ in 0..count.parse::<usize>().unwrap_or_default() {
        people.push(Child::start(|| {
            // SAFETY: no memory is involved.
            let led = answer(unsafe { call2(guest::abi::number::SETPGID, 0, 0) });
            if led.is_err() {
                return 1;
            }
            loop {
                sleep_ms(1_000_000);
            }
        })?);
    }
    equal("the leak's end", Child::start(leak)?.wait()?, Ended::Signalled(ENDED_BY_EMERGENCY))?;
    for child in people {
        child.signal(guest::signal::SIGKILL)?;
        let ended = child.wait()?;
        equal("somebody's end", ended, Ended::Signalled(guest::signal::SIGKILL as u8))?;
    }
    Ok(())
}

/// Bytes in use outside the kernel's heap, and inside.
fn in_use() -> Result<(i64, i64), Failure> {
    sleep_ms(50);
    let mut text = [0; 1024];
    let text = read_path("sys:mem", &mut text)?;
    let number = |key| {
        let found = number_of(text, key).map(u64::cast_signed);
        found.ok_or_else(|| Failure(format!("sys:mem does not tell {key}")))
    };
    let heap = number("heap_used")?;
    Ok((number("used")? - heap - number("heap_free")?, heap))
}

fn round(number: u32) -> Check {
    let mut shared = Mapping::new(4 * PAGE_SIZE, SHARED)?;
    shared.bytes().fill(0);
    let mut document = Mapping::pages(PAGES)?;
    fill(&mut document, number);
    let (reader, writer) = pipe()?;
    writer.write(b"in the pipe")?;
    let (event_reader, event_writer) = pipe()?;

    let word = shared.address;
    let sharer = Child::start(|| wait_for_word(word, &mut document, number))?;
    let sleeper = Child::start(|| sleep(&mut document, number))?;
    let vectors = Child::start(|| keep_vectors(word + PAGE_SIZE))?;
    let listener = Child::start(|| listen(&event_reader))?;
    let traced = Child::start(|| {
        loop {
            sleep_ms(1);
        }
    })?;
    sleep_ms(20);
    let session = Tracer::attach(traced.pid)?;
    let stopped = session.registers()?.rip;

    let leak = Child::start(leak)?;
    let ended = leak.wait()?;
    equal("the leak's end", ended, Ended::Signalled(ENDED_BY_EMERGENCY))?;

    check(&mut document, number)?;
    let mut bytes = [0; 32];
    let count = reader.read(&mut bytes)?;
    equal("what was in the pipe", &bytes[..count], &b"in the pipe"[..])?;
    equal("where the traced thread stands", session.registers()?.rip, stopped)?;
    session.go(PtraceFlags::PTRACE_STOP_PRE_SYSCALL.bits())?;
    session.next()?;
    drop(session);
    drop(traced);
    event_writer.write(b"!")?;
    equal("the listener", listener.wait()?, Ended::Exited(0))?;
    wake(word)?;
    wake(word + PAGE_SIZE)?;
    equal("who shares memory", sharer.wait()?, Ended::Exited(0))?;
    equal("the sleeper", sleeper.wait()?, Ended::Exited(0))?;
    equal("who keeps vectors", vectors.wait()?, Ended::Exited(0))?;
    equal("what the other wrote", &shared.bytes()[100..103], &b"too"[..])
}

/// A job of its own that takes memory until it is ended.
fn leak() -> u8 {
    // SAFETY: no memory is involved.
    if answer(unsafe { call2(guest::abi::number::SETPGID, 0, 0) }).is_err() {
        return 1;
    }
    let Ok(room) = Mapping::pages(1 << 20) else { return 2 };
    (0..1 << 20).for_each(|page| room.touch(page));
    3
}

fn pattern(number: u32, at: usize) -> u8 {
    ((at as u64 ^ u64::from(number) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn fill(document: &mut Mapping, number: u32) {
    let bytes = document.bytes().iter_mut().enumerate();
    bytes.for_each(|(at, byte)| *byte = pattern(number, at));
}

fn check(document: &mut Mapping, number: u32) -> Check {
    let bytes = document.bytes().iter().enumerate();
    let wrong = bytes.filter(|(at, byte)| **byte != pattern(number, *at)).count();
    equal("changed bytes of a document", wrong, 0)
}

/// Waits at a word of shared memory, and has its parent's document until one of them writes.
fn wait_for_word(word: usize, document: &mut Mapping, number: u32) -> u8 {
    // Its own copy of one page.
    document.bytes()[5] ^= 0xFF;
    while value_at(word) == 0 {
        // SAFETY: the word is shared memory that outlives both.
        let _ = answer(unsafe { call4(SYS_FUTEX, word, FUTEX_WAIT, 0, 0) });
    }
    document.bytes()[5] ^= 0xFF;
    // SAFETY: inside the shared mapping.
    unsafe { core::ptr::copy_nonoverlapping(b"too".as_ptr(), (word + 100) as *mut u8, 3) };
    u8::from(check(document, number).is_err())
}

fn value_at(word: usize) -> u32 {
    // SAFETY: the word is shared memory that outlives both.
    unsafe { (word as *const u32).read_volatile() }
}

fn wake(word: usize) -> Check {
    // SAFETY: the word is shared memory of ours.
    unsafe { (word as *mut u32).write_volatile(1) };
    // SAFETY: as above.
    answer(unsafe { call4(SYS_FUTEX, word, FUTEX_WAKE, 1, 0) })?;
    Ok(())
}

/// Nobody's clock runs while the world stands still: the nap is as long as it is.
fn sleep(document: &mut Mapping, number: u32) -> u8 {
    let before = now();
    sleep_ms(NAP_MS);
    let slept = (now() - before) / 1_000_000;
    let is_long_enough = slept >= NAP_MS;
    u8::from(!is_long_enough || check(document, number).is_err())
}

fn listen(reader: &File) -> u8 {
    let wait = || -> Check {
        let queue = Queue::new(0)?;
        queue.watch(reader.0, EventFlags::EVENT_READ, 42)?;
        let mut events = [Event::default(); 1];
        equal("events", queue.take(&mut events)?, 1)?;
        equal("whose it is", events[0].data, 42)
    };
    u8::from(wait().is_err())
}

/// Keeps values in every vector register while it waits, and looks at them afterwards.
fn keep_vectors(word: usize) -> u8 {
    let values: [[u64; 4]; 4] = core::array::from_fn(|register| {
        core::array::from_fn(|lane| {
            0x0123_4567_89AB_CDEF_u64.rotate_left((register * 4 + lane) as u32)
        })
    });
    let mut kept = [[0_u64; 4]; 4];
    // SAFETY: AVX is there, as CPUID says; the loop only reads the word.
    unsafe {
        if !std::arch::is_x86_feature_detected!("avx") {
            while value_at(word) == 0 {}
            return 0;
        }
        asm!(
            "vmovups ymm4, [{from}]",
            "vmovups ymm5, [{from} + 32]",
            "vmovups ymm6, [{from} + 64]",
            "vmovups ymm7, [{from} + 96]",
            "2: pause",
            "cmp dword ptr [{word}], 0",
            "je 2b",
            "vmovups [{to}], ymm4",
            "vmovups [{to} + 32], ymm5",
            "vmovups [{to} + 64], ymm6",
            "vmovups [{to} + 96], ymm7",
            from = in(reg) values.as_ptr(),
            to = in(reg) kept.as_mut_ptr(),
            word = in(reg) word,
            out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
            options(nostack),
        );
    }
    u8::from(kept != values)
}
