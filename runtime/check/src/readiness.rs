//! `poll` and `select`.

use crate::{Check, Outcome, holds, same};
use std::io::{PipeWriter, Read, Write, pipe};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
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
    ("readiness/epoll-tells-edges-once", epoll_edge),
    ("readiness/epoll-tells-levels-until-read", epoll_level),
    ("readiness/epoll-keeps-its-timeout", epoll_timeout),
    ("readiness/epoll-ends-a-watch", epoll_end),
    ("readiness/epoll-tells-bytes-from-the-end", epoll_hangup),
    ("readiness/half-an-end-of-sockets-is-told", half_ended),
    ("readiness/epoll-tells-half-an-end", epoll_half_ended),
    ("readiness/a-mask-holds-only-while-waiting", masked),
];

/// `POLLRDHUP`, which `libc` does not have for this target.
const READ_HANGUP: i16 = 0x2000;

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
    same!(list[0].revents, libc::POLLIN | libc::POLLHUP);
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

/// A queue of `epoll`, closed at the end.
struct Epoll(OwnedFd);

impl Epoll {
    fn new() -> std::io::Result<Self> {
        // SAFETY: no memory is involved.
        match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
            -1 => Err(std::io::Error::last_os_error()),
            // SAFETY: the number is new, and nobody else closes it.
            fd => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    fn control(&self, operation: i32, fd: RawFd, events: i32, word: u64) -> i32 {
        let mut event = libc::epoll_event { events: events as u32, u64: word, _pad: 0 };
        // SAFETY: the event is ours.
        unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &mut event) }
    }

    /// What happened: which events, with which word.
    fn wait(&self, timeout: i32) -> Vec<(i32, u64)> {
        let mut events = [libc::epoll_event { events: 0, u64: 0, _pad: 0 }; 8];
        // SAFETY: there is room for as many events as told.
        let count =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), 8, timeout) };
        let count = usize::try_from(count).unwrap_or(0);
        events[..count].iter().map(|event| (event.events as i32, event.u64)).collect()
    }
}

const READABLE: i32 = libc::EPOLLIN | libc::EPOLLRDNORM;

fn epoll_edge() -> Outcome {
    let (queue, (reader, mut writer)) = (Epoll::new()?, pipe()?);
    let wanted = libc::EPOLLIN | libc::EPOLLET;
    same!(queue.control(libc::EPOLL_CTL_ADD, reader.as_raw_fd(), wanted, u64::MAX), 0);
    same!(queue.wait(0), []);
    writer.write_all(b"x")?;
    same!(queue.wait(-1), [(READABLE, u64::MAX)]);
    same!(queue.wait(0), []);
    writer.write_all(b"y")?;
    same!(queue.wait(-1), [(READABLE, u64::MAX)]);
    Ok(())
}

fn epoll_level() -> Outcome {
    let (queue, (mut reader, mut writer)) = (Epoll::new()?, pipe()?);
    same!(queue.control(libc::EPOLL_CTL_ADD, reader.as_raw_fd(), libc::EPOLLIN, 7), 0);
    writer.write_all(b"x")?;
    same!(queue.wait(-1), [(READABLE, 7)]);
    same!(queue.wait(-1), [(READABLE, 7)]);
    reader.read_exact(&mut [0])?;
    same!(queue.wait(0), []);
    Ok(())
}

fn epoll_timeout() -> Outcome {
    let queue = Epoll::new()?;
    let start = Instant::now();
    same!(queue.wait(30), []);
    holds!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());
    Ok(())
}

fn epoll_end() -> Outcome {
    let (queue, (reader, mut writer)) = (Epoll::new()?, pipe()?);
    let fd = reader.as_raw_fd();
    same!(queue.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN | libc::EPOLLONESHOT, 1), 0);
    writer.write_all(b"x")?;
    same!(queue.wait(-1), [(READABLE, 1)]);
    same!(queue.wait(0), []);
    same!(queue.control(libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN, 2), 0);
    same!(queue.wait(-1), [(READABLE, 2)]);
    same!(queue.control(libc::EPOLL_CTL_DEL, fd, 0, 0), 0);
    same!(queue.wait(0), []);
    Ok(())
}

/// Bytes and the end arrive as one event, which must say both: whoever reads the bytes waits for
/// another edge, and there will be none.
/// Who writes no more is told of to those who ask.
fn half_ended() -> Outcome {
    let (near, far) = UnixStream::pair()?;
    far.shutdown(Shutdown::Write)?;
    let asked = [libc::POLLIN, READ_HANGUP, libc::POLLOUT];
    let mut list = asked.map(|events| entry(near.as_raw_fd(), events));
    same!(poll(&mut list, 0), 3);
    same!(list.map(|entry| entry.revents), asked);
    Ok(())
}

/// The same, and that the other side is gone when neither direction is left.
fn epoll_half_ended() -> Outcome {
    let (queue, (near, mut far)) = (Epoll::new()?, UnixStream::pair()?);
    let fd = near.as_raw_fd();
    let wanted = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
    same!(queue.control(libc::EPOLL_CTL_ADD, fd, wanted, 1), 0);
    same!(queue.wait(0), []);
    far.write_all(b"x")?;
    far.shutdown(Shutdown::Write)?;
    same!(queue.wait(-1), [(READABLE | libc::EPOLLRDHUP, 1)]);
    near.shutdown(Shutdown::Write)?;
    same!(queue.wait(-1), [(libc::EPOLLHUP, 1)]);
    same!(queue.control(libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN, 2), 0);
    same!(queue.wait(-1), [(READABLE | libc::EPOLLHUP, 2)]);
    Ok(())
}

fn epoll_hangup() -> Outcome {
    let (queue, (reader, mut writer)) = (Epoll::new()?, pipe()?);
    let wanted = libc::EPOLLIN | libc::EPOLLET;
    same!(queue.control(libc::EPOLL_CTL_ADD, reader.as_raw_fd(), wanted, 1), 0);
    writer.write_all(b"x")?;
    drop(writer);
    same!(queue.wait(-1), [(READABLE | libc::EPOLLHUP, 1)]);
    Ok(())
}

unsafe extern "C" {
    fn ppoll(
        list: *mut libc::pollfd,
        count: libc::nfds_t,
        timeout: *const libc::timespec,
        mask: *const libc::sigset_t,
    ) -> i32;
}

extern "C" fn note(_signal: i32) {
    NOTED.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
}

static NOTED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

fn masked() -> Outcome {
    let (reader, mut writer) = pipe()?;
    let noted = || NOTED.load(std::sync::atomic::Ordering::SeqCst);
    let set: libc::sigset_t = 1 << (libc::SIGUSR1 - 1);
    let mut list = [entry(reader.as_raw_fd(), libc::POLLIN)];
    // SAFETY: the handler only counts; the places are ours.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = note as *const () as usize;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
        same!(libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()), 0);
        libc::kill(libc::getpid(), libc::SIGUSR1);
        same!(noted(), 0);
        // It is pending already, and the wait lets it in: it must not be missed.
        same!(ppoll(list.as_mut_ptr(), 1, std::ptr::null(), &0), -1);
        same!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINTR));
        same!(noted(), 1);
        let mut now: libc::sigset_t = 0;
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut now);
        same!(now & set, set);
        writer.write_all(b"x")?;
        same!(ppoll(list.as_mut_ptr(), 1, std::ptr::null(), &0), 1);
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut now);
        same!(now & set, set);
        same!(libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()), 0);
    }
    Ok(())
}
