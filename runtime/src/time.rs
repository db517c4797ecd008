//! Clocks and sleeping.

use crate::errno::{self, Answer};
use crate::pointer;
use crate::sys::{Error, Result, error, syscall};
use abi::redox::data::TimeSpec;
use abi::redox::number::{SYS_CLOCK_GETTIME, SYS_NANOSLEEP};
use core::ffi::{c_char, c_void};
use core::ptr::null_mut;
use libc::{c_int, c_uint, clockid_t, time_t, timespec, timeval, tm};
use logic::calendar::{self, Moment};
use logic::time::{SECOND, Time};

/// Reads a clock.
pub(crate) fn now(clock: clockid_t) -> Result<TimeSpec> {
    let mut time = TimeSpec::default();
    // SAFETY: the kernel fills the time.
    unsafe { syscall(SYS_CLOCK_GETTIME, [clock as usize, &raw mut time as usize]) }?;
    Ok(time)
}

/// Reads a clock, in the form that sums are done in.
pub(crate) fn read(clock: clockid_t) -> Result<Time> {
    let time = now(clock)?;
    Ok(Time { seconds: time.tv_sec, nanoseconds: time.tv_nsec.into() })
}

/// A moment on some clock as a moment on the monotonic one, by which futexes wait.
pub(crate) fn on_monotonic(moment: Time, clock: clockid_t) -> Result<Time> {
    if clock == libc::CLOCK_MONOTONIC {
        return Ok(moment);
    }
    let monotonic = read(libc::CLOCK_MONOTONIC)?;
    let left = moment.since(read(clock)?).unwrap_or(Time { seconds: 0, nanoseconds: 0 });
    Ok(left.after(monotonic))
}

/// A time that a program gave.
pub(crate) fn checked(time: &timespec) -> Result<Time> {
    Time::checked(time.tv_sec, time.tv_nsec).map_or_else(|| error(libc::EINVAL), Ok)
}

/// Sleeps. On an error the second value is what was left; the kernel does not say, so it is counted
/// here.
fn sleep_for(time: Time) -> core::result::Result<(), (Error, Time)> {
    let clock = libc::CLOCK_MONOTONIC;
    let end = time.after(read(clock).map_err(|error| (error, time))?);
    let wanted = TimeSpec { tv_sec: time.seconds, tv_nsec: time.nanoseconds as i32 };
    // SAFETY: the kernel only reads the time.
    unsafe { syscall(SYS_NANOSLEEP, [&raw const wanted as usize, 0]) }.map(drop).map_err(|error| {
        let left = read(clock).ok().and_then(|now| end.since(now));
        (error, left.unwrap_or(Time { seconds: 0, nanoseconds: 0 }))
    })
}

/// Reads a clock.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, place: *mut timespec) -> c_int {
    let answer = read(clock).map(|time| {
        let time = timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds };
        // SAFETY: the caller gave a place for the answer.
        unsafe { pointer::store(place, time) };
        0_isize
    });
    answer.int()
}

/// How finely a clock counts: nanoseconds, all of them.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_getres(clock: clockid_t, place: *mut timespec) -> c_int {
    let answer = now(clock).map(|_| {
        // SAFETY: the caller gave a place for the answer, or null.
        unsafe { pointer::store(place, timespec { tv_sec: 0, tv_nsec: 1 }) };
        0_isize
    });
    answer.int()
}

/// Refused: the time of day is set through `sys:`.
#[unsafe(no_mangle)]
extern "C" fn clock_settime(_clock: clockid_t, _time: *const timespec) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// Sleeps; on a signal tells what was left.
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(wanted: *const timespec, left: *mut timespec) -> c_int {
    // SAFETY: the same contract.
    errno_form(unsafe { sleep_relative(wanted, left) })
}

fn errno_form(code: c_int) -> c_int {
    if code == 0 { 0 } else { errno::fail(code) as c_int }
}

/// Sleeps; returns an error number.
unsafe fn sleep_relative(wanted: *const timespec, left: *mut timespec) -> c_int {
    // SAFETY: the caller's time is readable.
    let time = match checked(unsafe { &*wanted }) {
        Ok(time) if time.seconds >= 0 => time,
        _ => return libc::EINVAL,
    };
    match sleep_for(time) {
        Ok(()) => 0,
        Err((error, rest)) => {
            let rest = timespec { tv_sec: rest.seconds, tv_nsec: rest.nanoseconds };
            // SAFETY: the caller gave a place for the rest, or null.
            unsafe { pointer::store(left, rest) };
            error.errno
        }
    }
}

/// `TIMER_ABSTIME`: sleep until a moment, not for a while.
const UNTIL: c_int = 1;

/// Sleeps by a clock. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    wanted: *const timespec,
    left: *mut timespec,
) -> c_int {
    if flags & UNTIL == 0 {
        // SAFETY: the same contract.
        return unsafe { sleep_relative(wanted, left) };
    }
    // SAFETY: the caller's time is readable.
    let rest = checked(unsafe { &*wanted }).and_then(|time| Ok(time.since(read(clock)?)));
    match rest {
        Ok(None) => 0,
        Ok(Some(time)) => sleep_for(time).map_or_else(|(error, _)| error.errno, |()| 0),
        Err(error) => error.errno,
    }
}

/// Sleeps for seconds; returns those left after a signal.
#[unsafe(no_mangle)]
extern "C" fn sleep(seconds: c_uint) -> c_uint {
    match sleep_for(Time { seconds: seconds.into(), nanoseconds: 0 }) {
        Ok(()) => 0,
        Err((_, left)) => left.seconds.try_into().unwrap_or(seconds),
    }
}

/// Sleeps for microseconds.
#[unsafe(no_mangle)]
extern "C" fn usleep(microseconds: c_uint) -> c_int {
    let nanoseconds = i64::from(microseconds) * 1000;
    let time = Time { seconds: nanoseconds / SECOND, nanoseconds: nanoseconds % SECOND };
    errno_form(sleep_for(time).map_or_else(|(error, _)| error.errno, |()| 0))
}

/// The time of day.
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(place: *mut timeval, _zone: *mut c_void) -> c_int {
    let answer = read(libc::CLOCK_REALTIME).map(|time| {
        let microseconds = (time.nanoseconds / 1000) as libc::suseconds_t;
        // SAFETY: the caller gave a place for the answer, or null.
        unsafe { pointer::store(place, timeval { tv_sec: time.seconds, tv_usec: microseconds }) };
        0_isize
    });
    answer.int()
}

/// Seconds since 1970.
#[unsafe(no_mangle)]
unsafe extern "C" fn time(place: *mut time_t) -> time_t {
    match read(libc::CLOCK_REALTIME) {
        Ok(time) => {
            // SAFETY: the caller gave a place for the answer, or null.
            unsafe { pointer::store(place, time.seconds) };
            time.seconds
        }
        Err(error) => errno::fail(error.errno) as time_t,
    }
}

/// The only time zone.
static UTC: [u8; 4] = *b"UTC\0";

/// A moment as a date, in the caller's memory; null when the year does not fit.
#[unsafe(no_mangle)]
unsafe extern "C" fn gmtime_r(seconds: *const time_t, place: *mut tm) -> *mut tm {
    // SAFETY: the caller's number is readable.
    let moment = calendar::from_seconds(unsafe { seconds.read() });
    let Ok(year) = c_int::try_from(moment.year - 1900) else {
        errno::set(libc::EOVERFLOW);
        return null_mut();
    };
    // SAFETY: the caller gave a place for the answer.
    unsafe {
        place.write(tm {
            tm_sec: moment.second,
            tm_min: moment.minute,
            tm_hour: moment.hour,
            tm_mday: moment.day,
            tm_mon: moment.month - 1,
            tm_year: year,
            tm_wday: moment.weekday,
            tm_yday: moment.day_of_year,
            tm_isdst: 0,
            tm_gmtoff: 0,
            tm_zone: UTC.as_ptr().cast::<c_char>(),
        });
    }
    place
}

/// The same: local time is UTC.
#[unsafe(no_mangle)]
unsafe extern "C" fn localtime_r(seconds: *const time_t, place: *mut tm) -> *mut tm {
    // SAFETY: the same contract.
    unsafe { gmtime_r(seconds, place) }
}

/// A date, whose parts may be out of range, as a moment; the date is put right.
#[unsafe(no_mangle)]
unsafe extern "C" fn timegm(place: *mut tm) -> time_t {
    // SAFETY: the caller's date may be read and written.
    unsafe {
        let date = &*place;
        let seconds = calendar::to_seconds(&Moment {
            year: i64::from(date.tm_year) + 1900,
            month: date.tm_mon.saturating_add(1),
            day: date.tm_mday,
            hour: date.tm_hour,
            minute: date.tm_min,
            second: date.tm_sec,
            weekday: 0,
            day_of_year: 0,
        });
        gmtime_r(&raw const seconds, place);
        seconds
    }
}

/// The same: local time is UTC.
#[unsafe(no_mangle)]
unsafe extern "C" fn mktime(place: *mut tm) -> time_t {
    // SAFETY: the same contract.
    unsafe { timegm(place) }
}

/// Reads the time zone: there is one.
#[unsafe(no_mangle)]
extern "C" fn tzset() {}
