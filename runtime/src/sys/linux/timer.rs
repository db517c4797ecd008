//! Timers of a process, over Linux's. Lifeboat's numbers begin with 1, Linux's with 0.

use super::{Time, fail, failed, linux, number};
use abi::number as own;
use abi::redox::data::TimeSpec;

/// How Linux is told what happens at the end.
#[repr(C)]
struct Event {
    value: usize,
    signal: i32,
    notify: i32,
    thread: usize,
    rest: [usize; 5],
}

pub(super) unsafe fn call(call: usize, a: [usize; 6]) -> Option<usize> {
    // SAFETY: as promised by the caller.
    Some(unsafe {
        match call {
            own::TIMER_NEW => create(a[0], a[1], a[2]),
            own::TIMER_SET => set(a[0], a[1] as *const [TimeSpec; 2], a[2] as *mut [TimeSpec; 2]),
            own::TIMER_END => linux(number::TIMER_DELETE, [a[0].wrapping_sub(1)]),
            own::TIMER_MISSED => linux(number::TIMER_GETOVERRUN, [a[0].wrapping_sub(1)]),
            _ => return None,
        }
    })
}

fn create(signal: usize, value: usize, thread: usize) -> usize {
    const MONOTONIC: usize = 1;
    const NONE: i32 = 1;
    const THREAD: i32 = 4;
    let Ok(signal @ 0..=64) = i32::try_from(signal) else { return fail(libc::EINVAL) };
    let notify = match (signal, thread) {
        (0, _) => NONE,
        (_, 0) => 0,
        _ => THREAD,
    };
    let event = Event { value, signal, notify, thread, rest: [0; 5] };
    let mut made = 0_i32;
    let places = [MONOTONIC, &raw const event as usize, &raw mut made as usize];
    // SAFETY: both places are ours.
    let answer = unsafe { linux(number::TIMER_CREATE, places) };
    if failed(answer) { answer } else { made as usize + 1 }
}

unsafe fn set(timer: usize, new: *const [TimeSpec; 2], old: *mut [TimeSpec; 2]) -> usize {
    let timer = timer.wrapping_sub(1);
    let mut was = [Time::default(); 2];
    // SAFETY: the caller's times are null, or may be read and written.
    unsafe {
        let answer = match crate::pointer::load(new) {
            Some([value, interval]) => {
                let new = [Time::from(&interval), Time::from(&value)];
                let places = [timer, 0, new.as_ptr() as usize, was.as_mut_ptr() as usize];
                linux(number::TIMER_SETTIME, places)
            }
            None => linux(number::TIMER_GETTIME, [timer, was.as_mut_ptr() as usize]),
        };
        let [interval, value] = was.map(Time::told);
        crate::pointer::store(old, [value, interval]);
        answer
    }
}
