//! Futexes, yielding, and events between two processes.

use crate::pipes::{get, put};
use crate::sample::Bench;
use guest::Result;
use guest::abi::redox::data::Event;
use guest::abi::redox::flag::{EventFlags, FUTEX_WAIT, FUTEX_WAKE};
use guest::abi::redox::number::SYS_FUTEX;
use guest::call::{call3, call4};
use guest::event::Queue;
use guest::file::{File, pipe};
use guest::memory::{Mapping, SHARED};
use guest::process::{Child, yield_turn};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let own = AtomicU32::new(0);
    bench.row("futex_wake_nobody", 100, 3000, || wake(&own));
    bench.row("futex_wait_eagain", 100, 3000, || wait(&own, 1));
    futex_round_trip(bench)?;
    event_round_trip(bench)?;
    let child = Child::start(|| {
        loop {
            yield_turn();
        }
    })?;
    bench.row("sched_yield_2proc", 200, 3000, yield_turn);
    drop(child);
    Ok(())
}

fn futex_round_trip(bench: &mut Bench) -> Result<()> {
    let page = Mapping::new(4096, SHARED)?;
    // SAFETY: the page is zeroes, aligned, and lives until the child has gone; both processes only
    // use it as atomics.
    let words = unsafe { &*(page.address as *const [AtomicU32; 32]) };
    let (ask, reply) = (&words[0], &words[16]);
    let child = Child::start(|| {
        loop {
            while ask.load(Ordering::SeqCst) == 0 {
                wait(ask, 0);
            }
            ask.store(0, Ordering::SeqCst);
            reply.store(1, Ordering::SeqCst);
            wake(reply);
        }
    })?;
    bench.row("futex_rt", 200, 2000, || {
        ask.store(1, Ordering::SeqCst);
        wake(ask);
        while reply.load(Ordering::SeqCst) == 0 {
            wait(reply, 0);
        }
        reply.store(0, Ordering::SeqCst);
    });
    drop(child);
    Ok(())
}

#[inline(always)]
pub(crate) fn wait(word: &AtomicU32, value: u32) {
    // SAFETY: the kernel only reads the word.
    unsafe { call4(SYS_FUTEX, word.as_ptr() as usize, FUTEX_WAIT, value as usize, 0) };
}

#[inline(always)]
fn wake(word: &AtomicU32) {
    // SAFETY: the kernel only takes the address.
    unsafe { call3(SYS_FUTEX, word.as_ptr() as usize, FUTEX_WAKE, 1) };
}

/// Both sides wait on an event queue before they read.
fn event_round_trip(bench: &mut Bench) -> Result<()> {
    let (here, there) = (pipe()?, pipe()?);
    let child = Child::start(|| match watch(&here.0) {
        Ok(queue) => loop {
            turn(&queue, &here.0);
            put(&there.1, (&raw const queue) as usize, 1);
        },
        Err(_) => 1,
    })?;
    let queue = watch(&there.0)?;
    let byte = 0u8;
    bench.row("event_pipe_rt", 200, 2000, || {
        put(&here.1, &raw const byte as usize, 1);
        turn(&queue, &there.0);
    });
    drop(child);
    Ok(())
}

fn watch(file: &File) -> Result<Queue> {
    let queue = Queue::new(0)?;
    queue.watch(file.0, EventFlags::EVENT_READ, 0)?;
    Ok(queue)
}

/// Waits for the event, then reads the byte.
#[inline(always)]
fn turn(queue: &Queue, file: &File) {
    let mut event = Event::default();
    let mut byte = 0u8;
    get(&queue.0, &raw mut event as usize, size_of::<Event>());
    get(file, &raw mut byte as usize, 1);
}
