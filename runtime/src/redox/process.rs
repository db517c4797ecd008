//! Processes, signals, time, texts of errors.

use super::{Raw, raw};
use crate::process::{ids, wait};
use crate::sys::{Result, error};
use crate::{errno, pointer, signal, time};
use libc::{c_int, clockid_t, pid_t, timespec};

#[unsafe(no_mangle)]
extern "C" fn redox_get_pid_v1() -> Raw {
    ids::process()
}

fn id(choose: impl FnOnce(ids::Ids) -> u32) -> Raw {
    raw(ids::ids().map(choose).map(|id| id as usize))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_euid_v1() -> Raw {
    id(|ids| ids.effective_user)
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_ruid_v1() -> Raw {
    id(|ids| ids.user)
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_egid_v1() -> Raw {
    id(|ids| ids.effective_group)
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_rgid_v1() -> Raw {
    id(|ids| ids.group)
}

/// Who another process is: not there yet; a request carries its caller's ids.
#[unsafe(no_mangle)]
extern "C" fn redox_get_proc_credentials_v1(
    _capability: usize,
    _pid: usize,
    _place: *mut u8,
    _length: usize,
) -> Raw {
    raw(error(libc::ENOSYS))
}

#[unsafe(no_mangle)]
extern "C" fn redox_kill_v1(pid: usize, number: u32) -> Raw {
    raw(signal::send(pid as isize, number as c_int))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_waitpid_v1(pid: usize, status: *mut c_int, options: u32) -> Raw {
    let waited = wait::wait_for(pid as pid_t, options as c_int).map(|(child, word)| {
        // SAFETY: the caller gave a place for the answer, or null.
        unsafe { pointer::store(status, word) };
        child
    });
    raw(waited)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_sigprocmask_v1(how: u32, new: *const u64, old: *mut u64) -> Raw {
    // SAFETY: the same contract.
    raw(unsafe { signal::change_mask(how as c_int, new, old) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_sigaction_v1(
    number: u32,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> Raw {
    // SAFETY: the same contract.
    raw(unsafe { signal::exchange(number as c_int, new, old) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_clock_gettime_v1(clock: usize, place: *mut timespec) -> Raw {
    let answer = time::read(clock as clockid_t).map(|time| {
        let time = timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds };
        // SAFETY: the caller gave a place for the answer.
        unsafe { pointer::store(place, time) };
        0
    });
    raw(answer)
}

/// Writes the text of an error, cut. Returns how much was written; `*length` becomes the whole.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_strerror_v1(place: *mut u8, length: *mut usize, code: u32) -> Raw {
    let write = || -> Result<usize> {
        let text = errno::text(code as c_int).map_or_else(|| error(libc::EINVAL), Ok)?;
        // SAFETY: the caller gave `*length` bytes, and a place for the length.
        unsafe {
            let count = text.len().min(length.replace(text.len()));
            place.copy_from_nonoverlapping(text.as_ptr(), count);
            Ok(count)
        }
    };
    raw(write())
}
