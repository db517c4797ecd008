//! As much of everything as there is, and everything given back.

use crate::trial::in_child;
use guest::abi::redox::data::Event;
use guest::abi::redox::error::{EAGAIN, EBADF, ECHILD, EINVAL, EMFILE};
use guest::abi::redox::flag::*;
use guest::abi::redox::number::{SYS_DUP2, SYS_FUTEX};
use guest::abi::{FD_MAX, PAGE_SIZE, number::WNOHANG};
use guest::call::{answer, call4};
use guest::event::Queue;
use guest::file::{File, close, open, pipe};
use guest::memory::{Mapping, READ_WRITE};
use guest::process::{Child, Ended, exit_thread, kill, pid, thread, wait};
use guest::report::{Check, equal, holds, refused};
use guest::signal::{SIG_DFL, SIGUSR1, bit, mask};

fn dup2(from: usize, to: usize) -> guest::Result<usize> {
    // SAFETY: no memory is involved.
    answer(unsafe { call4(SYS_DUP2, from, to, 0, 0) })
}

pub(crate) fn descriptors() -> Check {
    in_child("every descriptor", || {
        let file = open("sys:uname", O_RDONLY)?;
        equal("the highest", dup2(file.0, FD_MAX - 1)?, FD_MAX - 1)?;
        refused("one higher", dup2(file.0, FD_MAX), EBADF)?;
        close(FD_MAX - 1)?;
        let mut last = 0;
        let error = loop {
            match file.dup(b"") {
                Ok(copy) => last = copy.into_raw(),
                Err(error) => break error,
            }
        };
        equal("how it ends", error.errno, EMFILE)?;
        equal("the last one", last, FD_MAX - 1)?;
        equal("another file", guest::errno(open("sys:cpu", O_RDONLY)), EMFILE)?;
        close(last)?;
        equal("one is free again", file.dup(b"")?.into_raw(), last)
    })
}

pub(crate) fn files() -> Check {
    in_child("10,000 files", || {
        let mut files = Vec::new();
        for index in 0..10_000 {
            let path = ["sys:uname", "time:4", "memory:", "sys:"][index % 4];
            files.push(open(path, O_RDONLY)?);
        }
        let mut byte = [0];
        equal("the last one works", files[9_996].read(&mut byte)?, 1)
    })
}

pub(crate) fn forks() -> Check {
    const COUNT: usize = 500;
    in_child("500 children at once", || {
        let (reader, writer) = pipe()?;
        for _ in 0..COUNT {
            let child = Child::start(|| {
                // Only the parent keeps a write end, so that closing it is the end of the file.
                let _ = close(writer.0);
                reader.read(&mut [0]).map_or(1, |_| 0)
            })?;
            std::mem::forget(child);
        }
        equal("none has ended", wait(-1, WNOHANG)?, None)?;
        drop(writer);
        for _ in 0..COUNT {
            let (_, ended) = wait(-1, 0)?.ok_or_else(|| String::from("no child"))?;
            equal("a child", ended, Ended::Exited(0))?;
        }
        equal("nobody is left", guest::errno(wait(-1, 0)), ECHILD)
    })
}

extern "C" fn sleeper(word: usize) -> ! {
    loop {
        // SAFETY: the kernel only reads the word.
        unsafe { call4(SYS_FUTEX, word, FUTEX_WAIT, 0, 0) };
        // SAFETY: the word lives as long as the process.
        if unsafe { (word as *const u32).read_volatile() } != 0 {
            exit_thread(std::ptr::null_mut());
        }
    }
}

pub(crate) fn threads() -> Check {
    in_child("500 threads at once", || {
        let word = 0u32;
        // The threads use both until the process ends.
        let stacks = std::mem::ManuallyDrop::new(Mapping::pages(500)?);
        for index in 1..=500 {
            let top = stacks.address + index * PAGE_SIZE;
            // SAFETY: each thread has a page of stack of its own, which lives as long.
            unsafe { thread(sleeper, top, &raw const word as usize) }?;
        }
        guest::time::sleep_ms(20);
        guest::process::exit(0)
    })
}

pub(crate) fn pipes() -> Check {
    in_child("one full pipe", || {
        let (reader, writer) = nonblocking_pipe()?;
        let bytes = [5; 1_000];
        let mut total = 0;
        let error = loop {
            match writer.write(&bytes) {
                Ok(count) => total += count,
                Err(error) => break error,
            }
        };
        equal("how it ends", error.errno, EAGAIN)?;
        equal("whole writes only", total, 65_000)?;
        let mut room = vec![0; 100_000];
        equal("all of it", reader.read(&mut room)?, total)?;
        refused("nothing more", reader.read(&mut room), EAGAIN)
    })?;
    in_child("300 full pipes", || {
        let bytes = vec![1; 65_536];
        let pipes: Vec<_> = (0..300).map(|_| pipe()).collect::<guest::Result<_>>()?;
        for (_, writer) in &pipes {
            equal("bytes", writer.write(&bytes)?, bytes.len())?;
        }
        Ok(())
    })?;
    in_child("2,000 empty ones", || {
        let pipes: Vec<_> = (0..2_000).map(|_| pipe()).collect::<guest::Result<_>>()?;
        equal("pipes", pipes.len(), 2_000)
    })
}

/// Both ends answer `EAGAIN` instead of waiting.
fn nonblocking_pipe() -> guest::Result<(File, File)> {
    let reader = open("pipe:", O_RDONLY | O_NONBLOCK)?;
    let writer = reader.dup(b"write")?;
    Ok((reader, writer))
}

pub(crate) fn mappings() -> Check {
    in_child("10,000 mappings", || {
        let mut kept = Vec::new();
        for index in 0..10_000 {
            let read_only = MapFlags::PROT_READ | MapFlags::MAP_PRIVATE;
            kept.push(Mapping::new(
                PAGE_SIZE,
                if index % 2 == 0 { READ_WRITE } else { read_only },
            )?);
        }
        kept[5_000].touch(0);
        equal("what was written", kept[5_000].peek(0), 1)
    })
}

pub(crate) fn watches() -> Check {
    in_child("2,000 watched files", || {
        let queue = Queue::new(O_NONBLOCK)?;
        let mut pipes = Vec::new();
        for index in 0..2_000 {
            let pair = pipe()?;
            queue.watch(pair.0.0, EventFlags::EVENT_READ, index)?;
            pair.1.write(b"x")?;
            pipes.push(pair);
        }
        let mut events = vec![Event::default(); 3_000];
        equal("events in one read", queue.take(&mut events)?, 2_000)?;
        pipes.truncate(10);
        refused("nothing more", queue.take(&mut events), EAGAIN)
    })?;
    in_child("1,000 queues on one file", || {
        let (reader, writer) = pipe()?;
        let queues: Vec<_> =
            (0..1_000).map(|_| Queue::new(O_NONBLOCK)).collect::<guest::Result<_>>()?;
        for queue in &queues {
            queue.watch(reader.0, EventFlags::EVENT_READ, 1)?;
        }
        writer.write(b"x")?;
        for queue in &queues {
            equal("events", queue.take(&mut [Event::default(); 4])?, 1)?;
        }
        Ok(())
    })
}

/// A blocked signal sent often is pending once.
pub(crate) fn signals() -> Check {
    in_child("10,000 signals", || {
        mask(0, bit(SIGUSR1))?;
        for _ in 0..10_000 {
            kill(pid() as isize, SIGUSR1)?;
        }
        guest::signal::set(SIGUSR1, guest::signal::SIG_IGN, 0)?;
        mask(1, bit(SIGUSR1))?;
        guest::signal::set(SIGUSR1, SIG_DFL, 0)?;
        refused("signal 65", kill(pid() as isize, 65), EINVAL)?;
        holds("still here", true)
    })
}
