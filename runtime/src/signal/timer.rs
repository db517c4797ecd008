//! Timers that send a signal or have a function called: `timer_create` and its like, over the kernel's
//! timers.

mod caller;

use crate::errno::Answer;
use crate::pointer;
use crate::sys::{Result, error, syscall};
use abi::number::{TIMER_END, TIMER_MISSED, TIMER_NEW, TIMER_SET};
use abi::redox::data::TimeSpec;
use caller::Function;
use core::ffi::c_void;
use libc::{c_int, c_long, clockid_t, pthread_attr_t, time_t, timespec};

/// How a program hears of the end, by the usual numbers.
const SIGEV_SIGNAL: c_int = 0;
const SIGEV_NONE: c_int = 1;
const SIGEV_THREAD: c_int = 2;
/// The time is of the clock, not from now on.
const TIMER_ABSTIME: c_int = 1;
const SECOND: i64 = 1_000_000_000;

/// C's `struct sigevent`. The libc crate has no name for it on this target.
#[repr(C)]
struct Event {
    value: usize,
    signal: c_int,
    notify: c_int,
    /// This and the next one only for [`SIGEV_THREAD`].
    function: Option<Function>,
    attributes: *const pthread_attr_t,
}

/// C's `struct itimerspec`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Times {
    interval: timespec,
    value: timespec,
}

/// A timer as C has it: never null, and with its clock and the thread that calls its function, if it has
/// one.
struct Timer {
    number: usize,
    thread: u32,
    clock: clockid_t,
}

impl Timer {
    /// Makes one of the kernel's that sends a signal with a value, to the thread if there is one.
    fn new(clock: clockid_t, signal: c_int, value: usize, thread: u32) -> Result<Self> {
        // SAFETY: no memory is involved.
        let number = unsafe { syscall(TIMER_NEW, [signal as usize, value, thread as usize]) }?;
        Ok(Self { number, thread, clock })
    }

    fn to_pointer(&self) -> *mut c_void {
        (self.number << 40 | (self.thread as usize) << 8 | self.clock as usize) as *mut c_void
    }

    fn from_pointer(pointer: *mut c_void) -> Self {
        let word = pointer as usize;
        let (number, thread) = (word >> 40, (word >> 8) as u32);
        Self { number, thread, clock: (word & 0xFF) as clockid_t }
    }

    /// Forgets it, and ends its thread.
    fn end(&self) -> Result<usize> {
        // SAFETY: no memory is involved.
        unsafe { syscall(TIMER_END, [self.number]) }?;
        if self.thread != 0 {
            caller::dismiss(self.thread);
        }
        Ok(0)
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

/// Makes a timer; `SIGALRM` without a value unless the program wants something else.
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
        // SAFETY: the caller's structure is null or readable; programs that want no function may have
        // made a shorter one, whose rest is not looked at.
        let timer = unsafe {
            match event.cast::<Event>() {
                event if event.is_null() => Timer::new(clock, libc::SIGALRM, 0, 0)?,
                event => match ((*event).notify, (*event).signal) {
                    (SIGEV_SIGNAL, 0) => return error(libc::EINVAL),
                    (SIGEV_SIGNAL, signal) => Timer::new(clock, signal, (*event).value, 0)?,
                    (SIGEV_NONE, _) => Timer::new(clock, 0, 0, 0)?,
                    (SIGEV_THREAD, _) => with_thread(clock, &*event)?,
                    _ => return error(libc::EINVAL),
                },
            }
        };
        // SAFETY: the caller gave a place.
        unsafe { place.write(timer.to_pointer()) };
        Ok(0_usize)
    };
    made().zero()
}

/// Makes a timer with a thread that calls a function at its end.
///
/// # Safety
///
/// The function and the attributes are what they should be.
unsafe fn with_thread(clock: clockid_t, event: &Event) -> Result<Timer> {
    let Some(function) = event.function else { return error(libc::EINVAL) };
    // SAFETY: as promised by the caller.
    let thread = unsafe { caller::start(function, event.attributes) }?;
    let made = Timer::new(clock, caller::RING, event.value, thread);
    if made.is_err() {
        caller::dismiss(thread);
    }
    made
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
    Timer::from_pointer(timer).end().zero()
}

/// How often a timer had rung again before its last signal was taken.
#[unsafe(no_mangle)]
extern "C" fn timer_getoverrun(timer: *mut c_void) -> c_int {
    // SAFETY: no memory is involved.
    unsafe { syscall(TIMER_MISSED, [Timer::from_pointer(timer).number]) }.int()
}
