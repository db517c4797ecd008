//! Waiting for descriptors: `poll` and `select`, each by an `event:` queue of its own.
//!
//! A queue tells at once about what is ready already, so asking afresh each time gives the level,
//! not the edge. What cannot be waited for (a plain file) is always ready.

use crate::errno::Answer;
use crate::pointer;
use crate::sys::file::File;
use crate::sys::{Result, error, syscall};
use abi::number::{O_CLOEXEC, READ_MASKED};
use abi::redox::data::Event;
use abi::redox::flag::{EVENT_READ, EVENT_TIMEOUT_ID, EVENT_WRITE, EventFlags, O_NONBLOCK, O_RDWR};
use abi::redox::number::SYS_READ;
use core::slice;
use libc::{c_int, c_short, c_ulong, fd_set, nfds_t, pollfd, sigset_t, timespec, timeval};
use logic::time::Time;

/// Ready for reading.
const IN: c_short = libc::POLLIN | libc::POLLRDNORM;
/// Ready for writing.
const OUT: c_short = libc::POLLOUT | libc::POLLWRNORM;

/// Nothing more comes after what can be read. `libc` does not have it for this target.
const READ_HANGUP: c_short = 0x2000;

/// The other side is gone, told whether it was asked for or not.
pub(crate) const HANGUP: EventFlags = EventFlags::from_bits_retain(abi::EVENT_HANGUP);
/// Nothing more comes after what can be read.
pub(crate) const ENDED: EventFlags = EventFlags::from_bits_retain(abi::EVENT_ENDED);

/// Events taken from a queue at a time.
const BATCH: usize = 16;

/// How long to wait.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    None,
    Milliseconds(usize),
    Forever,
}

impl Patience {
    /// From a time that a program gave; none means for ever.
    fn from_time(time: Option<Time>) -> Self {
        match time.map(Time::milliseconds) {
            None => Self::Forever,
            Some(0) => Self::None,
            Some(count) => Self::Milliseconds(count),
        }
    }
}

/// Reads from a queue; under another mask of signals, if there is one, for as long as it waits.
///
/// # Safety
///
/// The bytes are the caller's to fill.
pub(crate) unsafe fn read_queue(
    queue: usize,
    place: usize,
    size: usize,
    mask: Option<sigset_t>,
) -> Result<usize> {
    // SAFETY: as promised by the caller.
    unsafe {
        match mask {
            None => syscall(SYS_READ, [queue, place, size]),
            Some(mask) => syscall(READ_MASKED, [queue, place, size, &raw const mask as usize]),
        }
    }
}

/// A queue for one call.
struct Queue {
    file: File,
    patience: Patience,
    mask: Option<sigset_t>,
}

impl Queue {
    fn new(patience: Patience, mask: Option<sigset_t>) -> Result<Self> {
        let nonblocking = if matches!(patience, Patience::None) { O_NONBLOCK } else { 0 };
        let file = File::open(b"event:", O_RDWR | O_CLOEXEC | nonblocking)?;
        Ok(Self { file, patience, mask })
    }

    fn tell(&self, event: &Event) -> Result<usize> {
        self.file.write(event)
    }

    /// Waits until something happens. Returns how many events it wrote; 0 when the time is over.
    fn wait(&self, events: &mut [Event; BATCH]) -> Result<usize> {
        if let Patience::Milliseconds(data) = self.patience {
            let flags = EventFlags::empty();
            self.tell(&Event { id: EVENT_TIMEOUT_ID, flags, data })?;
        }
        let (place, size) = (events.as_mut_ptr() as usize, size_of_val(events));
        // SAFETY: the events are ours to fill, and any bits are valid in them.
        match unsafe { read_queue(self.file.fd(), place, size, self.mask) } {
            Ok(count) => Ok(count / size_of::<Event>()),
            Err(error) if error.errno == libc::EAGAIN => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// What all entries for the same descriptor want together: a queue knows each only once.
fn wishes(list: &[pollfd], fd: c_int) -> EventFlags {
    let same = list.iter().filter(|entry| entry.fd == fd);
    let wanted = same.fold(0, |all, entry| all | entry.events);
    let mut flags = HANGUP;
    flags.set(EVENT_READ, wanted & IN != 0);
    flags.set(EVENT_WRITE, wanted & OUT != 0);
    flags.set(ENDED, wanted & READ_HANGUP != 0);
    flags
}

/// Registers one entry; returns what it already is.
fn register(queue: &Queue, list: &[pollfd], index: usize) -> Result<c_short> {
    let pollfd { fd, events, .. } = list[index];
    let flags = wishes(list, fd);
    let first = list[..index].iter().all(|entry| entry.fd != fd);
    if fd < 0 || !first {
        return Ok(0);
    }
    let told = queue.tell(&Event { id: fd as usize, flags, data: 0 });
    match told.map_err(|error| error.errno) {
        Ok(_) => Ok(0),
        Err(libc::EBADF) => Ok(libc::POLLNVAL),
        // Not a thing that has readiness.
        Err(libc::EOPNOTSUPP | libc::EPERM | libc::ENOSYS) => Ok(events & (IN | OUT)),
        Err(code) => error(code),
    }
}

/// Notes an event at every entry for its descriptor.
fn note(list: &mut [pollfd], event: &Event) {
    let mut ready = 0;
    if event.flags.contains(EVENT_READ) {
        ready |= IN;
    }
    if event.flags.contains(EVENT_WRITE) {
        ready |= OUT;
    }
    if event.flags.contains(ENDED) {
        ready |= READ_HANGUP;
    }
    let hangup = if event.flags.contains(HANGUP) { libc::POLLHUP } else { 0 };
    for entry in list.iter_mut().filter(|entry| entry.fd >= 0 && entry.fd as usize == event.id) {
        entry.revents |= entry.events & ready | hangup;
    }
}

fn count_ready(list: &[pollfd]) -> usize {
    list.iter().filter(|entry| entry.revents != 0).count()
}

/// Waits until an entry is ready; returns how many are.
fn wait(list: &mut [pollfd], patience: Patience, mask: Option<sigset_t>) -> Result<usize> {
    let queue = Queue::new(patience, mask)?;
    for entry in &mut *list {
        entry.revents = 0;
    }
    for index in 0..list.len() {
        let ready = register(&queue, list, index)?;
        let fd = list[index].fd;
        if ready == 0 {
            continue;
        }
        for entry in list.iter_mut().filter(|entry| entry.fd == fd) {
            entry.revents = if ready == libc::POLLNVAL { ready } else { entry.events & (IN | OUT) };
        }
    }
    let mut events = [Event::default(); BATCH];
    if count_ready(list) > 0 {
        // Something is ready without waiting; the others may be, too.
        let at_once = Queue { patience: Patience::None, ..queue };
        crate::sys::file::set_status_flag(at_once.file.fd(), O_NONBLOCK, true)?;
        let count = at_once.wait(&mut events)?;
        events[..count].iter().for_each(|event| note(list, event));
        return Ok(count_ready(list));
    }
    loop {
        let count = queue.wait(&mut events)?;
        events[..count].iter().for_each(|event| note(list, event));
        let over = events[..count].iter().any(|event| event.id == EVENT_TIMEOUT_ID);
        let ready = count_ready(list);
        if ready > 0 || over || count == 0 {
            return Ok(ready);
        }
    }
}

/// The caller's entries.
unsafe fn entries<'a>(list: *mut pollfd, count: nfds_t) -> Result<&'a mut [pollfd]> {
    let count = count as usize;
    if count > abi::FD_MAX {
        return error(libc::EINVAL);
    }
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: the caller gave so many entries.
    Ok(unsafe { slice::from_raw_parts_mut(list, count) })
}

/// Waits until a descriptor is ready, at most `timeout` milliseconds unless negative.
#[unsafe(no_mangle)]
unsafe extern "C" fn poll(list: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    let patience = match timeout {
        0 => Patience::None,
        1.. => Patience::Milliseconds(timeout as usize),
        _ => Patience::Forever,
    };
    // SAFETY: the same contract.
    unsafe { entries(list, count) }.and_then(|list| wait(list, patience, None)).int()
}

/// `poll` with a finer timeout, under another mask of signals while it waits.
#[unsafe(no_mangle)]
unsafe extern "C" fn ppoll(
    list: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's timeout and mask are null or readable.
    let (timeout, mask) = unsafe { (pointer::load(timeout), pointer::load(mask)) };
    let waited = checked(timeout.map(|time| (time.tv_sec, time.tv_nsec))).and_then(|patience| {
        // SAFETY: the same contract.
        wait(unsafe { entries(list, count) }?, patience, mask)
    });
    waited.int()
}

/// A timeout that a program gave, in seconds and nanoseconds.
pub(crate) fn checked(time: Option<(i64, i64)>) -> Result<Patience> {
    let Some((seconds, nanoseconds)) = time else {
        return Ok(Patience::Forever);
    };
    match Time::checked(seconds, nanoseconds).filter(|_| seconds >= 0) {
        Some(time) => Ok(Patience::from_time(Some(time))),
        None => error(libc::EINVAL),
    }
}

/// Bits of one word of an `fd_set`.
const WORD_BITS: usize = c_ulong::BITS as usize;

/// One of the three sets of `select`; null is empty.
#[derive(Clone, Copy)]
struct Set(*mut c_ulong);

impl Set {
    /// # Safety
    ///
    /// The set is null or has a bit for `fd`.
    unsafe fn has(self, fd: usize) -> bool {
        // SAFETY: as promised by the caller.
        !self.0.is_null()
            && unsafe { self.0.add(fd / WORD_BITS).read() } >> (fd % WORD_BITS) & 1 != 0
    }

    /// # Safety
    ///
    /// The set is null or has a bit for `fd`.
    unsafe fn set(self, fd: usize, on: bool) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: as promised by the caller.
        unsafe {
            let word = self.0.add(fd / WORD_BITS);
            let bit = 1 << (fd % WORD_BITS);
            word.write(if on { word.read() | bit } else { word.read() & !bit });
        }
    }
}

/// Waits until a descriptor of the sets is ready. The timeout is left as it was.
#[unsafe(no_mangle)]
unsafe extern "C" fn select(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    // SAFETY: the caller's timeout is null or readable.
    let timeout = unsafe { pointer::load(timeout.cast_const()) };
    let time = timeout.map(|time| (time.tv_sec, i64::from(time.tv_usec).saturating_mul(1000)));
    let sets = [Set(read.cast()), Set(write.cast()), Set(except.cast())];
    // SAFETY: the caller's sets are null or have a bit for every descriptor.
    checked(time).and_then(|patience| unsafe { select_sets(count, sets, patience, None) }).int()
}

/// `select` with a finer timeout, under another mask of signals while it waits.
#[unsafe(no_mangle)]
unsafe extern "C" fn pselect(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's timeout and mask are null or readable.
    let (timeout, mask) = unsafe { (pointer::load(timeout), pointer::load(mask)) };
    let time = timeout.map(|time| (time.tv_sec, time.tv_nsec));
    let sets = [Set(read.cast()), Set(write.cast()), Set(except.cast())];
    // SAFETY: the caller's sets are null or have a bit for every descriptor.
    checked(time).and_then(|patience| unsafe { select_sets(count, sets, patience, mask) }).int()
}

unsafe fn select_sets(
    count: c_int,
    sets: [Set; 3],
    patience: Patience,
    mask: Option<sigset_t>,
) -> Result<usize> {
    let count = usize::try_from(count).ok().filter(|&count| count <= libc::FD_SETSIZE);
    let Some(count) = count else {
        return error(libc::EINVAL);
    };
    let none = pollfd { fd: -1, events: 0, revents: 0 };
    let mut list = [none; libc::FD_SETSIZE];
    let mut used = 0;
    for fd in 0..count {
        let mut events = 0;
        // SAFETY: as promised by the caller.
        unsafe {
            if sets[0].has(fd) {
                events |= libc::POLLIN;
            }
            if sets[1].has(fd) {
                events |= libc::POLLOUT;
            }
        }
        if events != 0 {
            list[used] = pollfd { fd: fd as c_int, events, revents: 0 };
            used += 1;
        }
    }
    let list = &mut list[..used];
    wait(list, patience, mask)?;
    if list.iter().any(|entry| entry.revents & libc::POLLNVAL != 0) {
        return error(libc::EBADF);
    }
    for fd in 0..count {
        // SAFETY: as promised by the caller.
        sets.iter().for_each(|set| unsafe { set.set(fd, false) });
    }
    let mut ready = 0;
    for entry in list.iter() {
        for (set, event) in [(sets[0], libc::POLLIN), (sets[1], libc::POLLOUT)] {
            if entry.events & entry.revents & event != 0 {
                // SAFETY: as promised by the caller.
                unsafe { set.set(entry.fd as usize, true) };
                ready += 1;
            }
        }
    }
    Ok(ready)
}
