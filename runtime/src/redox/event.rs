//! Event queues, for `redox_event`.

use super::{Raw, raw};
use crate::event::{Patience, checked, read_queue};
use crate::sys::file::{self, File};
use crate::sys::{Result, error};
use abi::number::O_CLOEXEC;
use abi::redox::data::Event;
use abi::redox::flag::{EVENT_TIMEOUT_ID, EventFlags, O_RDWR};
use libc::{sigset_t, timespec};

/// An event as `redox_event` has it.
#[repr(C)]
struct RawEvent {
    fd: usize,
    user_data: usize,
    flags: u32,
}

const _: () = assert!(size_of::<RawEvent>() == size_of::<Event>());

#[unsafe(no_mangle)]
extern "C" fn redox_event_queue_create_v1(flags: u32) -> Raw {
    if flags != 0 {
        return raw(error(libc::EINVAL));
    }
    raw(File::open(b"event:", O_RDWR | O_CLOEXEC).map(File::into_fd))
}

#[unsafe(no_mangle)]
extern "C" fn redox_event_queue_destroy_v1(queue: usize) -> Raw {
    raw(file::close(queue))
}

/// Registers a descriptor; no flags unregister it.
#[unsafe(no_mangle)]
extern "C" fn redox_event_queue_ctl_v1(
    queue: usize,
    fd: usize,
    flags: u32,
    user_data: usize,
) -> Raw {
    let flags = EventFlags::from_bits_retain(flags as usize);
    raw(file::write(queue, &Event { id: fd, flags, data: user_data }).map(|_| 0))
}

/// Waits for events. Returns how many were written, 0 when the time is over.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_event_queue_get_events_v1(
    queue: usize,
    place: *mut RawEvent,
    room: usize,
    flags: u32,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> Raw {
    if flags != 0 {
        return raw(error(libc::ENOSYS));
    }
    // SAFETY: the same contract; the mask is null or readable.
    raw(unsafe { get(queue, place, room, timeout, crate::pointer::load(mask)) })
}

unsafe fn get(
    queue: usize,
    place: *mut RawEvent,
    room: usize,
    timeout: *const timespec,
    mask: Option<sigset_t>,
) -> Result<usize> {
    // SAFETY: the caller's timeout is null or readable.
    let timeout = unsafe { crate::pointer::load(timeout) };
    let milliseconds = match checked(timeout.map(|time| (time.tv_sec, time.tv_nsec)))? {
        Patience::Forever => None,
        Patience::None => Some(0),
        Patience::Milliseconds(count) => Some(count),
    };
    if let Some(data) = milliseconds {
        let flags = EventFlags::empty();
        file::write(queue, &Event { id: EVENT_TIMEOUT_ID, flags, data })?;
    }
    loop {
        // SAFETY: the same contract.
        let kept = unsafe { read_once(queue, place, room, mask) }?;
        // The timer of an earlier call may have been left over; it ends no wait that has none.
        if kept > 0 || milliseconds.is_some() {
            return Ok(kept);
        }
    }
}

/// Reads events once; the timer's is left out.
unsafe fn read_once(
    queue: usize,
    place: *mut RawEvent,
    room: usize,
    mask: Option<sigset_t>,
) -> Result<usize> {
    // SAFETY: the caller gave `room` places, and each is as large as an event.
    let size = unsafe { read_queue(queue, place as usize, room * size_of::<Event>(), mask) }?;
    let mut kept = 0;
    for index in 0..size / size_of::<Event>() {
        // SAFETY: the kernel wrote so many events. The place of the one that is written lies before
        // or at the one that is read, and both forms have the same size.
        unsafe {
            let event = place.add(index).cast::<Event>().read();
            if event.id != EVENT_TIMEOUT_ID {
                let flags = event.flags.bits() as u32;
                place.add(kept).write(RawEvent { fd: event.id, user_data: event.data, flags });
                kept += 1;
            }
        }
    }
    Ok(kept)
}
