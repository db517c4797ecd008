//! Resource limits and use: the kernel keeps none yet, and the answers say so.

use crate::errno;
use libc::{c_int, id_t, rlimit, rusage};

/// What a limit is: the fixed ones of the kernel, or none.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrlimit(resource: c_int, place: *mut rlimit) -> c_int {
    let limit = match resource {
        libc::RLIMIT_NOFILE => abi::FD_MAX as u64,
        libc::RLIMIT_STACK => abi::STACK_SIZE as u64,
        0..libc::RLIMIT_NLIMITS => libc::RLIM_INFINITY,
        _ => return errno::fail(libc::EINVAL) as c_int,
    };
    // SAFETY: the caller gave a place for the answer.
    unsafe { place.write(rlimit { rlim_cur: limit, rlim_max: limit }) };
    0
}

/// Refused: there is nothing to set.
#[unsafe(no_mangle)]
extern "C" fn setrlimit(_resource: c_int, _limit: *const rlimit) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// Refused: times are in `proc:PID`.
#[unsafe(no_mangle)]
extern "C" fn getrusage(_who: c_int, _place: *mut rusage) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// Refused: there are no priorities.
#[unsafe(no_mangle)]
extern "C" fn getpriority(_which: c_int, _who: id_t) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// Refused: there are no priorities.
#[unsafe(no_mangle)]
extern "C" fn setpriority(_which: c_int, _who: id_t, _priority: c_int) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// Refused: there are no priorities.
#[unsafe(no_mangle)]
extern "C" fn nice(_by: c_int) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}
