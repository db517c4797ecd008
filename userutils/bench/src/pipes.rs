//! Pipes, within a process and between two.

use crate::sample::Bench;
use guest::Result;
use guest::abi::redox::data::Event;
use guest::abi::redox::flag::{EventFlags, O_RDONLY};
use guest::abi::redox::number::{SYS_CLOSE, SYS_DUP_INTO, SYS_READ, SYS_WRITE};
use guest::abi::{LOWEST_FREE, number};
use guest::call::{call1, call3, call4};
use guest::event::Queue;
use guest::file::{File, pipe};
use guest::memory::Mapping;
use guest::process::Child;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    round_trip(bench, "pipe_rt", 2000)?;
    let (reader, writer) = pipe()?;
    let buffer = Mapping::pages(16)?;
    (0..16).for_each(|page| buffer.touch(page));
    for (name, length, warm, count) in [
        ("pipe_self_wr_rd", 1, 100, 3000),
        ("pipe_self_wr_rd_4k", 4096, 50, 1000),
        ("pipe_self_wr_rd_32k", 32768, 10, 200),
        ("pipe_self_wr_rd_64k", 65536, 10, 200),
    ] {
        bench.row(name, warm, count, || {
            put(&writer, buffer.address, length);
            get(&reader, buffer.address, length);
        });
    }
    events(bench, &reader, &writer, buffer.address)?;
    bench.row("pipe_create_close", 20, 500, || {
        // SAFETY: the kernel only reads the path and the argument.
        unsafe {
            let reader = call3(number::OPEN, "pipe:".as_ptr() as usize, 5, O_RDONLY);
            let writer = call4(SYS_DUP_INTO, reader, "write".as_ptr() as usize, 5, LOWEST_FREE);
            call1(SYS_CLOSE, writer);
            call1(SYS_CLOSE, reader);
        }
    });
    Ok(())
}

fn events(bench: &mut Bench, reader: &File, writer: &File, buffer: usize) -> Result<()> {
    let queue = Queue::new(0)?;
    queue.watch(reader.0, EventFlags::EVENT_READ, 7)?;
    let mut event = Event::default();
    let event = &raw mut event as usize;
    bench.row("event_pipe_wr_wait_rd", 100, 2000, || {
        put(writer, buffer, 1);
        get(&queue.0, event, size_of::<Event>());
        get(reader, buffer, 1);
    });
    Ok(())
}

/// One byte there, one back, with a child at the other end.
pub(crate) fn round_trip(bench: &mut Bench, name: &str, count: usize) -> Result<()> {
    let (here, there) = (pipe()?, pipe()?);
    let child = Child::start(|| echo(&here.0, &there.1))?;
    let mut byte = 0u8;
    let byte = &raw mut byte as usize;
    bench.row(name, 200, count, || {
        put(&here.1, byte, 1);
        get(&there.0, byte, 1);
    });
    drop(child);
    Ok(())
}

/// Sends back every byte.
fn echo(from: &File, to: &File) -> u8 {
    let mut byte = 0u8;
    let byte = &raw mut byte as usize;
    while get(from, byte, 1) == 1 {
        put(to, byte, 1);
    }
    0
}

#[inline(always)]
pub(crate) fn put(file: &File, address: usize, length: usize) -> usize {
    // SAFETY: the kernel only reads.
    unsafe { call3(SYS_WRITE, file.0, address, length) }
}

#[inline(always)]
pub(crate) fn get(file: &File, address: usize, length: usize) -> usize {
    // SAFETY: all callers pass buffers of their own, at least as long as they say.
    unsafe { call3(SYS_READ, file.0, address, length) }
}
