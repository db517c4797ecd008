//! Timers that send a signal: `timer_create` and its like, over the kernel's timers.

use crate::errno::{self, Answer};
use crate::pointer;
use crate::sys::{Result, error, syscall};
use abi::number::{TIMER_END, TIMER_NEW, TIMER_SET};
use abi::redox::data::TimeSpec;
use core::ffi::c_void;
use libc::{c_int, c_long, clockid_t, time_t, timespec};

/// How a program hears of the end, by the usual numbers.
const SIGEV_SIGNAL: c_int = 0;
const SIGEV_NONE: c_int = 1;
/// The time is of the clock, not from now on.
const TIMER_ABSTIME: c_int = 1;
const SECOND: i64 = 1_000_000_000;

/// The beginning of C's `struct sigevent`. The libc crate has no name for it on this target.
#[repr(C)]
struct Event {
    value: usize,
    signal: c_int,
    notify: c_int,
}

/// C's `struct itimerspec`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Times {
    interval: timespec,
    value: timespec,
}

/// A timer as C has it: never null, and with its clock.
struct Timer {
    number: usize,
    clock: clockid_t,
}

impl Timer {
    fn to_pointer(&self) -> *mut c_void {
        (self.number << 8 | self.clock as usize) as *mut c_void
    }

    fn from_pointer(pointer: *mut c_void) -> Self {
        let word = pointer as usize;
        Self { number: word >> 8, clock: (word & 0xFF) as clockid_t }
    }

    /// Sets it, and tells what it was.
    fn set(&self, new: Option<[TimeSpec; 2]>) -> Result<[TimeSpec; 2]> {
        let mut old = [TimeSpec::default(); 2];
        let place = new.as_ref().map_or(0, |new| &raw const *new as usize);
        // SAFETY: the kernel reads the new times and fills the old ones.
        unsafe { syscall(TIMER_SET, [self.number, place, &raw mut old as usize]) }?;
        Ok(old)
    }

    /// How long it is until a moment of the clock; the shortest time for one that is past.
    fn until(&self, moment: TimeSpec) -> Result<TimeSpec> {
        let now = crate::time::read(self.clock)?;
        let seconds = moment.tv_sec.saturating_sub(now.seconds);
        let nanoseconds = i64::from(moment.tv_nsec) - now.nanoseconds;
        let left = i128::from(seconds) * i128::from(SECOND) + i128::from(nanoseconds);
        let left = left.max(1);
        let (seconds, rest) = (left / i128::from(SECOND), left % i128::from(SECOND));
        let tv_sec = i64::try_from(seconds).unwrap_or(i64::MAX);
        Ok(TimeSpec { tv_sec, tv_nsec: rest as i32 })
    }
}

fn to_kernel(time: timespec) -> Result<TimeSpec> {
    if time.tv_sec < 0 || !(0..SECOND).contains(&time.tv_nsec) {
        return error(libc::EINVAL);
    }
    Ok(TimeSpec { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec as i32 })
}

fn from_kernel(time: TimeSpec) -> timespec {
    timespec { tv_sec: time.tv_sec as time_t, tv_nsec: c_long::from(time.tv_nsec) }
}

/// Makes a timer; `SIGALRM` unless the program wants something else. No function is called at its end
/// (`SIGEV_THREAD`), and handlers are not told `sigev_value`.
#[unsafe(no_mangle)]
unsafe extern "C" fn timer_create(
    clock: clockid_t,
    event: *const c_void,
    place: *mut *mut c_void,
) -> c_int {
    let made = || {
        if !matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC) {
            return error(libc::EINVAL);
        }
        // SAFETY: the caller's structure is null or readable.
        let signal = match unsafe { event.cast::<Event>().as_ref() } {
            None => libc::SIGALRM,
            Some(Event { notify: SIGEV_SIGNAL, signal: 0, .. }) => return error(libc::EINVAL),
            Some(Event { notify: SIGEV_SIGNAL, signal, .. }) => *signal,
            Some(Event { notify: SIGEV_NONE, .. }) => 0,
            Some(_) => return error(libc::ENOTSUP),
        };
        // SAFETY: no memory is involved.
        let number = unsafe { syscall(TIMER_NEW, [signal as usize]) }?;
        // SAFETY: the caller gave a place.
        unsafe { place.write(Timer { number, clock }.to_pointer()) };
        Ok(0_usize)
    };
    made().zero()
}

/// Sets a timer, and tells what it was.
#[unsafe(no_mangle)]
unsafe extern "C" fn timer_settime(
    timer: *mut c_void,
    flags: c_int,
    new: *const Times,
    old: *mut Times,
) -> c_int {
    let timer = Timer::from_pointer(timer);
    let set = || {
        // SAFETY: the caller's times are readable.
        let Some(new) = (unsafe { pointer::load(new) }) else { return error(libc::EINVAL) };
        let (mut value, interval) = (to_kernel(new.value)?, to_kernel(new.interval)?);
        if flags & TIMER_ABSTIME != 0 && value != TimeSpec::default() {
            value = timer.until(value)?;
        }
        let [value, interval] = timer.set(Some([value, interval]))?.map(from_kernel);
        // SAFETY: the caller gave a place for the answer, or null.
        unsafe { pointer::store(old, Times { interval, value }) };
        Ok(0_usize)
    };
    set().zero()
}

/// How long it is until a timer's end, and between later ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn timer_gettime(timer: *mut c_void, place: *mut Times) -> c_int {
    let told = Timer::from_pointer(timer).set(None).map(|old| {
        let [value, interval] = old.map(from_kernel);
        // SAFETY: the caller gave a place for the answer.
        unsafe { pointer::store(place, Times { interval, value }) };
        0_usize
    });
    told.zero()
}

/// Forgets a timer.
#[unsafe(no_mangle)]
extern "C" fn timer_delete(timer: *mut c_void) -> c_int {
    // SAFETY: no memory is involved.
    unsafe { syscall(TIMER_END, [Timer::from_pointer(timer).number]) }.zero()
}

/// Refused: ends that nobody has heard of yet are not counted.
#[unsafe(no_mangle)]
extern "C" fn timer_getoverrun(_timer: *mut c_void) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}
