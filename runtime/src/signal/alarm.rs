//! A process's alarm: `alarm`, `setitimer`, `getitimer`.

use crate::errno::Answer;
use crate::pointer;
use crate::sys::{Result, error, syscall};
use abi::number::SETTIMER;
use abi::redox::data::TimeSpec;
use libc::{c_int, c_uint, itimerval, suseconds_t, time_t, timeval};

/// The timer of real time, which is the only one. POSIX gives it this number; the libc crate has no
/// name for it on this target.
const ITIMER_REAL: c_int = 0;
/// Those of a process's own time.
const OTHERS: core::ops::RangeInclusive<c_int> = 1..=2;
const MICROSECONDS: i64 = 1_000_000;

/// How long until, and between, in this order for the kernel.
fn exchange(new: Option<[TimeSpec; 2]>) -> Result<[TimeSpec; 2]> {
    let mut old = [TimeSpec::default(); 2];
    let new = new.as_ref().map_or(0, |new| &raw const *new as usize);
    // SAFETY: the kernel reads the new times and fills the old ones.
    unsafe { syscall(SETTIMER, [new, &raw mut old as usize]) }?;
    Ok(old)
}

fn to_kernel(time: timeval) -> Result<TimeSpec> {
    let microseconds = i64::from(time.tv_usec);
    if time.tv_sec < 0 || !(0..MICROSECONDS).contains(&microseconds) {
        return error(libc::EINVAL);
    }
    Ok(TimeSpec { tv_sec: time.tv_sec, tv_nsec: (microseconds * 1000) as i32 })
}

/// Rounded up, so that what is left is not nothing.
fn from_kernel(time: TimeSpec) -> timeval {
    let microseconds = (i64::from(time.tv_nsec) + 999) / 1000;
    let (more, rest) = (microseconds / MICROSECONDS, microseconds % MICROSECONDS);
    timeval { tv_sec: (time.tv_sec + more) as time_t, tv_usec: rest as suseconds_t }
}

/// Sets a timer and tells what it was.
unsafe fn set(which: c_int, new: *const itimerval, old: *mut itimerval) -> Result<usize> {
    match which {
        ITIMER_REAL => {}
        which if OTHERS.contains(&which) => return error(libc::ENOSYS),
        _ => return error(libc::EINVAL),
    }
    // SAFETY: the caller's structure is null or readable.
    let new = match unsafe { pointer::load(new) } {
        None => None,
        Some(new) => Some([to_kernel(new.it_value)?, to_kernel(new.it_interval)?]),
    };
    let [value, interval] = exchange(new)?.map(from_kernel);
    // SAFETY: the caller gave a place for the answer, or null.
    unsafe { pointer::store(old, itimerval { it_interval: interval, it_value: value }) };
    Ok(0)
}

/// Sets the timer whose end is a `SIGALRM`.
#[unsafe(no_mangle)]
unsafe extern "C" fn setitimer(which: c_int, new: *const itimerval, old: *mut itimerval) -> c_int {
    // SAFETY: the same contract.
    unsafe { set(which, new, old) }.int()
}

/// How long it is until the timer's end, and between later ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn getitimer(which: c_int, place: *mut itimerval) -> c_int {
    // SAFETY: the same contract.
    unsafe { set(which, core::ptr::null(), place) }.int()
}

/// Has a `SIGALRM` come in so many seconds; none for 0. Returns in how many the last one would have.
#[unsafe(no_mangle)]
extern "C" fn alarm(seconds: c_uint) -> c_uint {
    let once = [TimeSpec { tv_sec: i64::from(seconds), tv_nsec: 0 }, TimeSpec::default()];
    // It cannot fail: the times are good.
    let [left, _] = exchange(Some(once)).unwrap_or_default();
    let seconds = left.tv_sec + i64::from(left.tv_nsec > 0);
    c_uint::try_from(seconds).unwrap_or(c_uint::MAX)
}
