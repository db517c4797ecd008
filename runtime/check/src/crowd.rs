//! Many threads, processes and pipes at once: nothing is mixed up, and nothing is left of them.

use crate::{Check, Outcome, holds, same};
use std::io::{Read, Write, pipe};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

pub(crate) const CHECKS: &[Check] = &[
    ("crowd/children-find-the-heap-whole-while-threads-allocate", forks_while_allocating),
    ("crowd/nothing-is-left-of-64-threads-100-processes-1000-pipes", nothing_left),
];

const THREADS: usize = 64;
const PROCESSES: usize = 100;
const PIPES: usize = 1000;

/// Allocates, fills, checks and frees blocks of many sizes.
fn churn(seed: usize) -> bool {
    let block = |number: usize| {
        let size = 1 + (seed * 31 + number * 97) % 3000;
        vec![(seed + number) as u8; size]
    };
    let mut blocks: Vec<Vec<u8>> = (0..20).map(block).collect();
    for (number, block) in blocks.iter_mut().enumerate() {
        block.resize(block.len() * 2, (seed + number) as u8);
    }
    blocks.iter().enumerate().all(|(number, it)| it.iter().all(|&b| b == (seed + number) as u8))
}

/// What the child of a `fork` in the middle of everything does: it uses the heap, and ends.
fn fork_and_churn(seed: usize) -> Outcome {
    // SAFETY: the child allocates, which this system's `fork` allows, and ends without returning.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error().into()),
        0 => {
            let whole = churn(seed);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(if whole { 7 } else { 8 }) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: the status is ours.
            same!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            same!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 7));
            Ok(())
        }
    }
}

fn forks_while_allocating() -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let churning = |seed| {
        let stop = stop.clone();
        thread::spawn(move || {
            let mut whole = true;
            while !stop.load(Ordering::Relaxed) {
                whole &= churn(seed);
            }
            whole
        })
    };
    let threads: Vec<_> = (0..4).map(churning).collect();
    let outcome = (0..15).try_for_each(fork_and_churn);
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        holds!(thread.join().is_ok_and(|whole| whole), "a thread found foreign bytes");
    }
    outcome
}

/// Bytes that the whole system uses, in whole frames.
fn in_use() -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/scheme/sys/mem")?;
    let line = text.lines().find_map(|line| line.strip_prefix("used: "));
    Ok(line.ok_or("sys:mem does not tell what is used")?.parse()?)
}

/// Gathers a crowd and returns what is in use when it is gone.
fn after_a_crowd() -> Result<u64, Box<dyn std::error::Error>> {
    let status = Command::new(std::env::current_exe()?).args(["child", "crowd"]).status()?;
    holds!(status.success(), "{status}");
    // Daemons forget a process a moment after its end.
    thread::sleep(std::time::Duration::from_millis(100));
    in_use()
}

/// The kernel's heap keeps tables that grew with the largest crowd so far, so the first crowds may
/// leave more than was there before; what a crowd loses, every crowd loses.
fn nothing_left() -> Outcome {
    let mut seen = vec![after_a_crowd()?];
    for _ in 0..6 {
        let now = after_a_crowd()?;
        if seen.contains(&now) {
            return Ok(());
        }
        seen.push(now);
    }
    Err(format!("after each crowd more is in use: {seen:?}").into())
}

/// One thread's share: pipes with bytes in them, children that copy words.
fn share(number: usize) -> Outcome {
    let mine = |all: usize| all / THREADS + usize::from(number < all % THREADS);
    let mut pipes = Vec::new();
    for index in 0..mine(PIPES) {
        let (reader, mut writer) = pipe()?;
        writer.write_all(&[number as u8, index as u8])?;
        pipes.push((reader, writer));
    }
    for _ in 0..mine(PROCESSES) {
        let word = format!("child of {number}");
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.args(["child", "print", &word]).stdin(Stdio::null()).output()?;
        same!(String::from_utf8(output.stdout)?, word);
    }
    for (index, (reader, writer)) in pipes.iter_mut().enumerate() {
        writer.write_all(b"x")?;
        let mut bytes = [0; 3];
        reader.read_exact(&mut bytes)?;
        same!(bytes, [number as u8, index as u8, b'x']);
    }
    Ok(())
}

/// The crowd itself, in a process of its own.
pub(crate) fn gather() -> Result<(), String> {
    let start = Arc::new(std::sync::Barrier::new(THREADS));
    let thread = |number| {
        let start = start.clone();
        thread::spawn(move || {
            start.wait();
            share(number).map_err(|error| format!("thread {number}: {error}"))
        })
    };
    let threads: Vec<_> = (0..THREADS).map(thread).collect();
    threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a panic")?)
}
