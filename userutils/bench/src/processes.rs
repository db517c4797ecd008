//! Processes and threads: made, ended, waited for.

use crate::pipes::{get, round_trip};
use crate::sample::Bench;
use crate::sync::wait;
use guest::abi::number;
use guest::call::{call0, call3};
use guest::file::pipe;
use guest::memory::Mapping;
use guest::process::{Child, exit, exit_thread, kill, thread, yield_turn};
use guest::program::{HELLO, build, exec};
use guest::signal::SIGKILL;
use guest::{Error, Result};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a thread's stack.
const STACK: usize = 65536;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    threads(bench)?;
    bench.row("fork_exit_wait", 10, 300, || match fork() {
        0 => exit(0),
        pid => reap(pid),
    });
    let (image, length) = build(&HELLO)?;
    bench.row("fork_exec_wait_hello", 10, 200, || match fork() {
        0 => {
            exec(image.address, length);
            exit(1)
        }
        pid => reap(pid),
    });
    kill_and_wait(bench)
}

fn threads(bench: &mut Bench) -> Result<()> {
    let stack = Mapping::pages(STACK / 4096)?;
    stack.touch(STACK / 4096 - 1);
    let done = AtomicU32::new(0);
    let start = || {
        done.store(1, Ordering::SeqCst);
        // SAFETY: the stack is free again once `done` is 0.
        let started = unsafe { thread(end, stack.address + STACK, done.as_ptr() as usize) };
        while started.is_ok() && done.load(Ordering::SeqCst) != 0 {
            wait(&done, 1);
        }
    };
    bench.row("clone_thread_join", 20, 500, start);
    let value = bench.row("clone_thread_join_again", 0, 500, start);
    bench.curve("thread_create_exit_join", 1000, value);
    Ok(())
}

extern "C" fn end(done: usize) -> ! {
    exit_thread(done as *mut u32)
}

fn kill_and_wait(bench: &mut Bench) -> Result<()> {
    let (reader, _writer) = pipe()?;
    let mut byte = 0u8;
    let byte = &raw mut byte as usize;
    for _ in 0..100 {
        let pid = match fork() {
            0 => exit(get(&reader, byte, 1) as u8),
            pid => pid,
        };
        (0..10).for_each(|_| yield_turn());
        bench.sample(&mut || {
            // The child is there, and ours.
            let _ = kill(pid as isize, SIGKILL);
            reap(pid);
        });
    }
    bench.report("kill_wait", 1);
    Ok(())
}

/// Fork against touched memory, and against the number of processes.
pub(crate) fn growth(bench: &mut Bench) -> Result<()> {
    for pages in [0, 64, 256, 1024, 4096] {
        let memory = Mapping::pages(pages.max(1))?;
        (0..pages).for_each(|page| memory.touch(page));
        let value = fork_row(bench, &format!("fork_exit_wait_{pages}pg"), 30);
        bench.curve("fork_pages", pages, value);
    }
    let (reader, _writer) = pipe()?;
    let mut sleepers = Vec::new();
    for processes in [1, 8, 64, 512] {
        while sleepers.len() < processes {
            let mut byte = [0];
            sleepers.push(Child::start(|| reader.read(&mut byte).map_or(1, |_| 0))?);
        }
        (0..processes).for_each(|_| yield_turn());
        let value = fork_row(bench, &format!("fork_exit_wait_{processes}proc"), 50);
        bench.curve("fork_processes", processes, value);
    }
    round_trip(bench, "pipe_rt_512sleepers", 1000)
}

fn fork_row(bench: &mut Bench, name: &str, count: usize) -> f64 {
    bench.row(name, 3, count, || match fork() {
        0 => exit(0),
        pid => reap(pid),
    })
}

/// 0 in the child. A fork that fails ends the program: no row that needs it means anything then.
#[inline(always)]
fn fork() -> usize {
    // SAFETY: the child only makes calls.
    let answer = unsafe { call0(number::FORK) };
    if let Err(error) = guest::call::answer(answer) {
        no_fork(error);
    }
    answer
}

#[cold]
fn no_fork(error: Error) -> ! {
    eprintln!("bench: fork: {error}");
    std::process::exit(1)
}

/// Waits for a child.
#[inline(always)]
fn reap(pid: usize) {
    let mut status = 0i32;
    // SAFETY: `status` is ours.
    unsafe { call3(number::WAIT, pid, &raw mut status as usize, 0) };
}
