//! Event queues with many descriptors.

use crate::pipes::{get, put};
use crate::sample::Bench;
use guest::Result;
use guest::abi::LOWEST_FREE;
use guest::abi::redox::data::Event;
use guest::abi::redox::flag::{EventFlags, O_NONBLOCK};
use guest::abi::redox::number::{SYS_CLOSE, SYS_DUP_INTO};
use guest::call::{call1, call4};
use guest::event::Queue;
use guest::file::{File, pipe};

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let queue = Queue::new(O_NONBLOCK)?;
    let mut pipes: Vec<(File, File)> = Vec::new();
    let mut byte = 0u8;
    let byte = &raw mut byte as usize;
    let mut events = vec![Event::default(); 1024];
    let (room, all) = (events.as_mut_ptr() as usize, size_of::<Event>() * events.len());
    bench.row("event_wait_none", 100, 2000, || get(&queue.0, room, all));
    for count in [1, 10, 100, 1000] {
        while pipes.len() < count {
            let pair = pipe()?;
            queue.watch(pair.0.0, EventFlags::EVENT_READ, pipes.len())?;
            pipes.push(pair);
        }
        let (reader, writer) = &pipes[count - 1];
        let name = format!("event_pipe_wr_wait_rd_{count}fd");
        let value = bench.row(&name, 50, 1000, || {
            put(writer, byte, 1);
            get(&queue.0, room, size_of::<Event>());
            get(reader, byte, 1);
        });
        bench.curve("event_wait", count, value);
        let value = bench.row(&format!("dup_close_{count}fd"), 20, 500, || {
            // SAFETY: no memory is involved.
            unsafe {
                let fd = call4(SYS_DUP_INTO, reader.0, 0, 0, LOWEST_FREE);
                call1(SYS_CLOSE, fd);
            }
        });
        bench.curve("dup_close", count, value);
    }
    for ready in [1, 10, 100, 1000] {
        let value = drain(bench, &queue, &pipes[..ready], room, all);
        bench.curve("event_drain", ready, value);
    }
    let first = pipes[0].0.0;
    bench.row("event_watch_unwatch", 50, 1000, || {
        // The descriptor is open: neither can fail.
        let _ = queue.watch(first, EventFlags::EVENT_NONE, 0);
        let _ = queue.watch(first, EventFlags::EVENT_READ, 0);
    });
    Ok(())
}

/// Many ready descriptors, taken by one call. Returns ticks an event.
fn drain(bench: &mut Bench, queue: &Queue, pipes: &[(File, File)], room: usize, all: usize) -> f64 {
    let mut byte = 0u8;
    let byte = &raw mut byte as usize;
    for _ in 0..50 {
        for (_, writer) in pipes {
            put(writer, byte, 1);
        }
        bench.sample(&mut || get(&queue.0, room, all));
        for (reader, _) in pipes {
            get(reader, byte, 1);
        }
        get(&queue.0, room, all);
    }
    bench.report(&format!("event_drain_{}ready", pipes.len()), pipes.len())
}
