//! `epoll_*`, over a queue of `event:`. An edge there is an edge here.
//!
//! What was asked for without `EPOLLET` is kept in a list of the process, and registered again
//! before the next wait: a queue tells at once about what is ready.

use crate::errno::Answer;
use crate::event::{ENDED, HANGUP, read_queue};
use crate::lock::Lock;
use crate::pointer;
use crate::sys::file::{self, File};
use crate::sys::{Result, error};
use abi::redox::data::Event;
use abi::redox::flag::{EVENT_READ, EVENT_TIMEOUT_ID, EVENT_WRITE, EventFlags, O_RDWR};
use alloc::vec::Vec;
use libc::{c_int, epoll_event, sigset_t};

const IN: u32 = (libc::EPOLLIN | libc::EPOLLRDNORM) as u32;
const OUT: u32 = (libc::EPOLLOUT | libc::EPOLLWRNORM) as u32;
const READ_HANGUP: u32 = libc::EPOLLRDHUP as u32;
const EDGE: u32 = libc::EPOLLET as u32;
const ONCE: u32 = libc::EPOLLONESHOT as u32;

/// Events taken from a queue at a time.
const BATCH: usize = 64;

/// A watch that ends, or begins anew, when it has been told of.
pub(crate) struct Watch {
    queue: usize,
    event: Event,
    once: bool,
    told: bool,
}

/// All such watches of the process. `fork` holds the lock.
pub(crate) static WATCHES: Lock<Vec<Watch>> = Lock::new(Vec::new());

fn forget(queue: usize, fd: Option<usize>) {
    let is_it = |watch: &Watch| watch.queue == queue && fd.is_none_or(|fd| fd == watch.event.id);
    WATCHES.lock().retain(|watch| !is_it(watch));
}

fn create(flags: c_int) -> Result<usize> {
    if flags & !libc::EPOLL_CLOEXEC != 0 {
        return error(libc::EINVAL);
    }
    let queue = File::open(b"event:", O_RDWR | flags as usize)?;
    // An earlier queue with this number is closed.
    forget(queue.fd(), None);
    Ok(queue.into_fd())
}

fn watch(queue: usize, fd: usize, wanted: &epoll_event) -> Result<usize> {
    let mut flags = EventFlags::empty();
    flags.set(EVENT_READ, wanted.events & IN != 0);
    flags.set(EVENT_WRITE, wanted.events & OUT != 0);
    flags.set(ENDED, wanted.events & READ_HANGUP != 0);
    let flags = flags | HANGUP;
    let event = Event { id: fd, flags, data: wanted.u64 as usize };
    let told = file::write(queue, &event);
    // Plain files are always ready; Linux, too, refuses to watch them.
    if told.is_err_and(|error| matches!(error.errno, libc::EOPNOTSUPP | libc::ENOSYS)) {
        return error(libc::EPERM);
    }
    told?;
    forget(queue, Some(fd));
    if wanted.events & EDGE == 0 || wanted.events & ONCE != 0 {
        let once = wanted.events & ONCE != 0;
        WATCHES.lock().push(Watch { queue, event, once, told: false });
    }
    Ok(0)
}

fn unwatch(queue: usize, fd: usize) -> Result<usize> {
    file::write(queue, &Event { id: fd, flags: EventFlags::empty(), data: 0 })?;
    forget(queue, Some(fd));
    Ok(0)
}

/// Has the queue tell again of what it told before, if that is still so.
fn renew(queue: usize) {
    WATCHES.lock().retain_mut(|watch| {
        let due = watch.queue == queue && watch.told && !watch.once;
        watch.told &= !due;
        // A descriptor that was closed is not watched any more.
        !due || file::write(queue, &watch.event).is_ok()
    });
}

/// Notes that a descriptor was told of.
fn note(queue: usize, fd: usize) {
    let mut watches = WATCHES.lock();
    let is_it = |watch: &&mut Watch| watch.queue == queue && watch.event.id == fd;
    let Some(watch) = watches.iter_mut().find(is_it) else { return };
    watch.told = true;
    if watch.once {
        // It fails when the descriptor was closed, which ends the watch as well.
        let _ = file::write(queue, &Event { flags: EventFlags::empty(), ..watch.event });
    }
}

/// What an event says in the words of `epoll`.
fn translate(event: &Event) -> epoll_event {
    let mut events = 0;
    if event.flags.contains(EVENT_READ) {
        events |= libc::EPOLLIN | libc::EPOLLRDNORM;
    }
    if event.flags.contains(EVENT_WRITE) {
        events |= libc::EPOLLOUT | libc::EPOLLWRNORM;
    }
    if event.flags.contains(ENDED) {
        events |= libc::EPOLLRDHUP;
    }
    if event.flags.contains(HANGUP) {
        events |= libc::EPOLLHUP;
    }
    epoll_event { events: events as u32, u64: event.data as u64, _pad: 0 }
}

/// Waits; returns how many events there are, none when the time is over.
fn wait(
    queue: usize,
    events: &mut [Event],
    timeout: c_int,
    mask: Option<sigset_t>,
) -> Result<usize> {
    if let Ok(data) = usize::try_from(timeout) {
        file::write(queue, &Event { id: EVENT_TIMEOUT_ID, flags: EventFlags::empty(), data })?;
    }
    loop {
        let (place, room) = (events.as_mut_ptr() as usize, size_of_val(events));
        // SAFETY: the events are ours to fill, and any bits are valid in them.
        let size = unsafe { read_queue(queue, place, room, mask) }?;
        let count = size / size_of::<Event>();
        let mut kept = 0;
        for index in 0..count {
            if events[index].id != EVENT_TIMEOUT_ID {
                events[kept] = events[index];
                kept += 1;
            }
        }
        // The timer of an earlier call may have been left over; it ends no wait that has none.
        if kept > 0 || timeout >= 0 {
            return Ok(kept);
        }
    }
}

/// Makes a queue.
#[unsafe(no_mangle)]
extern "C" fn epoll_create1(flags: c_int) -> c_int {
    create(flags).int()
}

/// Makes a queue; the size means nothing, but must not be 0.
#[unsafe(no_mangle)]
extern "C" fn epoll_create(size: c_int) -> c_int {
    let flags = if size > 0 { Ok(0) } else { error(libc::EINVAL) };
    flags.and_then(create).int()
}

/// Begins, changes or ends a watch. Beginning one that is there changes it.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_ctl(
    queue: c_int,
    operation: c_int,
    fd: c_int,
    event: *const epoll_event,
) -> c_int {
    // SAFETY: the caller's event is null or readable.
    let event = unsafe { pointer::load(event) };
    let done = file::number(queue).and_then(|queue| {
        let fd = file::number(fd)?;
        match (operation, event) {
            (libc::EPOLL_CTL_ADD | libc::EPOLL_CTL_MOD, Some(event)) => watch(queue, fd, &event),
            (libc::EPOLL_CTL_DEL, _) => unwatch(queue, fd),
            _ => error(libc::EINVAL),
        }
    });
    done.int()
}

/// Waits for events, at most `timeout` milliseconds unless negative; returns how many there are.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    queue: c_int,
    place: *mut epoll_event,
    room: c_int,
    timeout: c_int,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { epoll_pwait(queue, place, room, timeout, core::ptr::null()) }
}

/// The same, under another mask of signals while it waits.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_pwait(
    queue: c_int,
    place: *mut epoll_event,
    room: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's mask is null or readable.
    let mask = unsafe { pointer::load(mask) };
    let room = usize::try_from(room).ok().filter(|&room| room > 0);
    let waited = file::number(queue).and_then(|queue| {
        let room = room.map_or_else(|| error(libc::EINVAL), Ok)?;
        renew(queue);
        let mut events = [Event::default(); BATCH];
        let count = wait(queue, &mut events[..room.min(BATCH)], timeout, mask)?;
        for (index, event) in events[..count].iter().enumerate() {
            note(queue, event.id);
            // SAFETY: the caller gave room for so many.
            unsafe { place.add(index).write(translate(event)) };
        }
        Ok(count)
    });
    waited.int()
}
