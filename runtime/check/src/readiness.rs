//! `poll` and `select`.

use crate::{Check, Outcome, holds, same};
use std::io::{PipeWriter, Read, Write, pipe};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("readiness/an-empty-pipe-is-not-readable", empty),
    ("readiness/bytes-make-it-readable", bytes),
    ("readiness/it-stays-so-until-read", level),
    ("readiness/the-end-is-readable", end),
    ("readiness/a-timeout-is-kept", timeout),
    ("readiness/a-late-writer-wakes-the-waiter", late),
    ("readiness/bad-descriptors-are-told", bad),
    ("readiness/the-same-descriptor-twice", twice),
    ("readiness/select-says-the-same", select),
    ("readiness/a-pair-goes-both-ways", pair),
];

fn entry(fd: RawFd, events: i16) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

fn poll(list: &mut [libc::pollfd], timeout: i32) -> i32 {
    // SAFETY: the list is as long as told.
    unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, timeout) }
}

fn empty() -> Outcome {
    let (reader, writer) = pipe()?;
    let mut list =
        [entry(reader.as_raw_fd(), libc::POLLIN), entry(writer.as_raw_fd(), libc::POLLOUT)];
    same!(poll(&mut list[..1], 0), 0);
    same!(poll(&mut list, 0), 1);
    same!((list[0].revents, list[1].revents), (0, libc::POLLOUT));
    Ok(())
}

fn bytes() -> Outcome {
    let (reader, mut writer) = pipe()?;
    writer.write_all(b"x")?;
    let mut list = [entry(reader.as_raw_fd(), libc::POLLIN)];
    same!((poll(&mut list, -1), list[0].revents), (1, libc::POLLIN));
    Ok(())
}

fn level() -> Outcome {
    let (reader, mut writer) = pipe()?;
    writer.write_all(b"x")?;
    for _ in 0..3 {
        same!(poll(&mut [entry(reader.as_raw_fd(), libc::POLLIN)], 0), 1);
    }
    Ok(())
}

fn end() -> Outcome {
    let (reader, writer) = pipe()?;
    drop(writer);
    let mut list = [entry(reader.as_raw_fd(), libc::POLLIN)];
    same!(poll(&mut list, -1), 1);
    holds!(list[0].revents & (libc::POLLIN | libc::POLLHUP) != 0);
    Ok(())
}

fn timeout() -> Outcome {
    let (reader, _writer) = pipe()?;
    let start = Instant::now();
    same!(poll(&mut [entry(reader.as_raw_fd(), libc::POLLIN)], 30), 0);
    holds!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());
    same!(poll(&mut [], 5), 0);
    Ok(())
}

fn write_later(mut writer: PipeWriter) -> std::thread::JoinHandle<std::io::Result<()>> {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        writer.write_all(b"x")
    })
}

fn late() -> Outcome {
    let (reader, writer) = pipe()?;
    let thread = write_later(writer);
    same!(poll(&mut [entry(reader.as_raw_fd(), libc::POLLIN)], 5000), 1);
    thread.join().map_err(|_| "the writer panicked")??;
    Ok(())
}

fn bad() -> Outcome {
    let mut list = [entry(-1, libc::POLLIN), entry(60_000, libc::POLLIN)];
    same!(poll(&mut list, 100), 1);
    same!((list[0].revents, list[1].revents), (0, libc::POLLNVAL));
    Ok(())
}

fn twice() -> Outcome {
    let (reader, mut writer) = pipe()?;
    writer.write_all(b"x")?;
    let fd = reader.as_raw_fd();
    let mut list = [entry(fd, libc::POLLIN), entry(fd, 0), entry(fd, libc::POLLIN)];
    same!(poll(&mut list, 100), 2);
    same!(list.map(|entry| entry.revents), [libc::POLLIN, 0, libc::POLLIN]);
    Ok(())
}

fn select() -> Outcome {
    let (reader, mut writer) = pipe()?;
    writer.write_all(b"x")?;
    // SAFETY: the sets are ours, and the descriptors lie within them.
    unsafe {
        let mut read: libc::fd_set = std::mem::zeroed();
        let mut write: libc::fd_set = std::mem::zeroed();
        libc::FD_SET(reader.as_raw_fd(), &mut read);
        libc::FD_SET(writer.as_raw_fd(), &mut write);
        let mut timeout = libc::timeval { tv_sec: 5, tv_usec: 0 };
        let none = std::ptr::null_mut();
        same!(libc::select(64, &mut read, &mut write, none, &mut timeout), 2);
        holds!(libc::FD_ISSET(reader.as_raw_fd(), &read));
        holds!(libc::FD_ISSET(writer.as_raw_fd(), &write));
    }
    Ok(())
}

fn pair() -> Outcome {
    let (mut one, mut other) = UnixStream::pair()?;
    let mut word = [0; 4];
    one.write_all(b"ping")?;
    other.read_exact(&mut word)?;
    other.write_all(b"pong")?;
    one.read_exact(&mut word)?;
    same!(&word, b"pong");
    let mut list = [entry(one.as_raw_fd(), libc::POLLIN | libc::POLLOUT)];
    same!((poll(&mut list, 0), list[0].revents), (1, libc::POLLOUT));
    one.set_nonblocking(true)?;
    let kind = one.read(&mut word).map_err(|error| error.kind()).err();
    same!(kind, Some(std::io::ErrorKind::WouldBlock));
    other.write_all(b"x")?;
    drop(other);
    same!(one.read(&mut word)?, 1);
    same!(one.read(&mut word)?, 0);
    let kind = one.write_all(b"x").map_err(|error| error.kind()).err();
    same!(kind, Some(std::io::ErrorKind::BrokenPipe));
    Ok(())
}
