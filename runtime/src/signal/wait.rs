//! Taking signals without handlers: `sigwait`, `sigwaitinfo`, `sigtimedwait`.

use crate::errno::Answer;
use crate::pointer;
use crate::sys::{Result, error, syscall};
use abi::number::SIGTIMEDWAIT;
use abi::redox::data::TimeSpec;
use abi::signal::SigInfo;
use core::mem::offset_of;
use libc::{c_int, siginfo_t, sigset_t, timespec};
use logic::time::Time;

const _: () = assert!(size_of::<SigInfo>() == size_of::<siginfo_t>());
const _: () = assert!(offset_of!(SigInfo, value) == offset_of!(siginfo_t, si_value));

/// Takes a signal of a set, once there is one, unless the time is over first.
///
/// # Safety
///
/// `set` is readable; `place` and `timeout` are null or what they should be.
unsafe fn take(
    set: *const sigset_t,
    place: *mut siginfo_t,
    timeout: *const timespec,
) -> Result<usize> {
    // SAFETY: as promised by the caller.
    let timeout = match unsafe { pointer::load(timeout) } {
        None => None,
        Some(time) => {
            let time = Time::checked(time.tv_sec, time.tv_nsec).filter(|time| time.seconds >= 0);
            let time = time.map_or_else(|| error(libc::EINVAL), Ok)?;
            Some(TimeSpec { tv_sec: time.seconds, tv_nsec: time.nanoseconds as i32 })
        }
    };
    let timeout = timeout.as_ref().map_or(0, |timeout| &raw const *timeout as usize);
    let mut info = SigInfo::default();
    let arguments = [set as usize, &raw mut info as usize, timeout];
    // SAFETY: the kernel reads set and timeout, and fills the structure.
    let signal = unsafe { syscall(SIGTIMEDWAIT, arguments) }?;
    // SAFETY: the place is the caller's, or null; the two have one layout.
    unsafe { pointer::store(place.cast(), info) };
    Ok(signal)
}

/// Takes a signal of a set, at most until a time has passed: `EAGAIN`.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigtimedwait(
    set: *const sigset_t,
    place: *mut siginfo_t,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { take(set, place, timeout) }.int()
}

/// Takes a signal of a set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigwaitinfo(set: *const sigset_t, place: *mut siginfo_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { take(set, place, core::ptr::null()) }.int()
}

/// Takes a signal of a set. Returns an error number; goes on after handlers of others.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigwait(set: *const sigset_t, place: *mut c_int) -> c_int {
    loop {
        // SAFETY: the same contract.
        match unsafe { take(set, core::ptr::null_mut(), core::ptr::null()) } {
            Ok(signal) => {
                // SAFETY: the caller gave a place for the answer.
                unsafe { place.write(signal as c_int) };
                return 0;
            }
            Err(error) if error.errno == libc::EINTR => {}
            Err(error) => return error.errno,
        }
    }
}
