//! `event:` over Linux's epoll, as far as `poll` and `select` use it: what a queue is told about a
//! descriptor carries no word of the program's own.

use super::{fail, failed, linux, number};
use abi::redox::data::Event;
use abi::redox::flag::{EVENT_READ, EVENT_TIMEOUT_ID, EVENT_WRITE, EventFlags};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const CTL_ADD: usize = 1;
const CTL_DEL: usize = 2;
const CTL_MOD: usize = 3;
const IN: u32 = 1;
const OUT: u32 = 4;
const BROKEN: u32 = 8;
const HANGUP: u32 = 16;
const READ_HANGUP: u32 = 0x2000;
const EDGE: u32 = 1 << 31;

/// Most events told at once.
const BATCH: usize = 16;
/// Queues' numbers are below this.
const QUEUES: usize = 1024;

/// For how many milliseconds each queue's next read waits, and one more; 0 is for ever.
static PATIENCE: [AtomicUsize; QUEUES] = [const { AtomicUsize::new(0) }; QUEUES];

/// An event as Linux lays it out.
#[repr(C, packed)]
#[derive(Clone, Copy, Default)]
struct HostEvent {
    events: u32,
    descriptor: u64,
}

/// A new queue.
pub(super) fn open(close_on_exec: usize) -> usize {
    // SAFETY: no memory is involved.
    let queue = unsafe { linux(number::EPOLL_CREATE1, [close_on_exec]) };
    if failed(queue) {
        return queue;
    }
    match PATIENCE.get(queue) {
        Some(patience) => patience.store(0, Relaxed),
        None => return fail(libc::EMFILE),
    }
    queue
}

/// A queue does not wait: what `O_NONBLOCK` means for one.
pub(super) fn set_patience(queue: usize, milliseconds: usize) {
    if let Some(patience) = PATIENCE.get(queue) {
        patience.store(milliseconds.saturating_add(1), Relaxed);
    }
}

/// Tells a queue what to look for. What is no queue says `EINVAL`.
pub(super) fn tell(queue: usize, event: &Event) -> usize {
    if event.id == EVENT_TIMEOUT_ID {
        set_patience(queue, event.data);
        return size_of::<Event>();
    }
    let mut wanted = EDGE;
    if event.flags.contains(EVENT_READ) {
        wanted |= IN;
    }
    if event.flags.contains(EVENT_WRITE) {
        wanted |= OUT;
    }
    if event.flags.bits() & abi::EVENT_ENDED != 0 {
        wanted |= READ_HANGUP;
    }
    let host = HostEvent { events: wanted, descriptor: event.id as u64 };
    let control = |how| {
        // SAFETY: the event is only read.
        unsafe { linux(number::EPOLL_CTL, [queue, how, event.id, &raw const host as usize]) }
    };
    let answer = match control(if event.flags.is_empty() { CTL_DEL } else { CTL_ADD }) {
        known if known == fail(libc::EEXIST) => control(CTL_MOD),
        answer => answer,
    };
    if failed(answer) { answer } else { size_of::<Event>() }
}

/// Waits for what a queue has to tell, under the mask of signals at an address, if there is one.
///
/// # Safety
///
/// The buffer is the caller's to fill.
pub(super) unsafe fn read(queue: usize, buffer: usize, room: usize, mask: usize) -> usize {
    let mut events = [HostEvent::default(); BATCH];
    let patience = PATIENCE.get(queue).map_or(0, |patience| patience.swap(0, Relaxed));
    let count = BATCH.min(room / size_of::<Event>());
    // SAFETY: so many events fit.
    let told = unsafe {
        let place = events.as_mut_ptr() as usize;
        // 0 is for ever, which epoll calls −1.
        linux(number::EPOLL_PWAIT, [queue, place, count, patience.wrapping_sub(1), mask, 8])
    };
    if failed(told) {
        return told;
    }
    let mut place = buffer as *mut Event;
    for host in &events[..told] {
        let (bits, descriptor) = (host.events, host.descriptor);
        let mut flags = EventFlags::empty();
        flags.set(EVENT_READ, bits & (IN | BROKEN) != 0);
        flags.set(EVENT_WRITE, bits & (OUT | BROKEN) != 0);
        flags.set(EventFlags::from_bits_retain(abi::EVENT_HANGUP), bits & HANGUP != 0);
        flags.set(EventFlags::from_bits_retain(abi::EVENT_ENDED), bits & READ_HANGUP != 0);
        // SAFETY: there is room for as many as were asked for.
        unsafe {
            place.write(Event { id: descriptor as usize, flags, data: 0 });
            place = place.add(1);
        }
    }
    match told {
        0 if patience == 1 => fail(libc::EAGAIN),
        0 => {
            let flags = EventFlags::empty();
            // SAFETY: nothing was written before, and one fits.
            unsafe { place.write(Event { id: EVENT_TIMEOUT_ID, flags, data: 0 }) };
            size_of::<Event>()
        }
        told => told * size_of::<Event>(),
    }
}
