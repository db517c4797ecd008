//! Priorities, as nice values.

use crate::{Check, Outcome, same};
use std::io;

pub(crate) const CHECKS: &[Check] = &[
    ("priorities/nice-values-can-be-set", set),
    ("priorities/groups-and-users-have-them", many),
    ("priorities/only-root-makes-somebody-more-urgent", rights),
];

/// A call's answer, and its error: −1 is a nice value too.
fn told(call: impl FnOnce() -> libc::c_int) -> Result<libc::c_int, i32> {
    // SAFETY: it is this thread's own.
    unsafe { *libc::__errno_location() = 0 };
    let answer = call();
    match io::Error::last_os_error().raw_os_error() {
        Some(errno) if answer == -1 && errno != 0 => Err(errno),
        _ => Ok(answer),
    }
}

fn get(kind: libc::c_int, who: libc::id_t) -> Result<libc::c_int, i32> {
    // SAFETY: no memory is involved.
    told(|| unsafe { libc::getpriority(kind, who) })
}

fn put(kind: libc::c_int, who: libc::id_t, nice: libc::c_int) -> Result<libc::c_int, i32> {
    // SAFETY: no memory is involved.
    told(|| unsafe { libc::setpriority(kind, who, nice) })
}

fn nicer(by: libc::c_int) -> Result<libc::c_int, i32> {
    // SAFETY: no memory is involved.
    told(|| unsafe { libc::nice(by) })
}

/// In a child, so that this process stays as urgent as it is.
fn in_child(act: impl FnOnce() -> Outcome) -> Outcome {
    // SAFETY: the child only makes calls, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let failed = act().map_err(|error| eprintln!("{error}")).is_err();
        // SAFETY: the child's end.
        unsafe { libc::_exit(i32::from(failed)) };
    }
    let mut status = 0;
    // SAFETY: the status is ours.
    same!((unsafe { libc::waitpid(child, &mut status, 0) }, status), (child, 0));
    Ok(())
}

fn set() -> Outcome {
    same!(get(libc::PRIO_PROCESS, 0), Ok(0));
    in_child(|| {
        same!(put(libc::PRIO_PROCESS, 0, -1), Ok(0));
        same!(get(libc::PRIO_PROCESS, 0), Ok(-1));
        same!(nicer(6), Ok(5));
        in_child(|| {
            same!(get(libc::PRIO_PROCESS, 0), Ok(5));
            Ok(())
        })?;
        for (wanted, had) in [(-100, -20), (100, 19), (-20, -20), (19, 19)] {
            same!(put(libc::PRIO_PROCESS, 0, wanted), Ok(0));
            same!(get(libc::PRIO_PROCESS, std::process::id()), Ok(had));
        }
        same!(nicer(libc::c_int::MAX), Ok(19));
        same!(nicer(-100), Ok(-20));
        same!(get(9, 0), Err(libc::EINVAL));
        same!(get(libc::PRIO_PROCESS, 99_998), Err(libc::ESRCH));
        same!(put(libc::PRIO_PROCESS, 99_998, 0), Err(libc::ESRCH));
        // What runs only when nobody else would is as nice as can be.
        std::fs::write("/scheme/proc/self/priority", "0")?;
        same!(get(libc::PRIO_PROCESS, 0), Ok(19));
        Ok(())
    })?;
    same!(get(libc::PRIO_PROCESS, 0), Ok(0));
    Ok(())
}

fn many() -> Outcome {
    in_child(|| {
        // SAFETY: no memory is involved.
        let group = unsafe { libc::setpgid(0, 0) + libc::getpgrp() } as libc::id_t;
        in_child(|| {
            same!(put(libc::PRIO_PROCESS, 0, 7), Ok(0));
            // The most urgent counts.
            same!(get(libc::PRIO_PGRP, 0), Ok(0));
            same!(put(libc::PRIO_PGRP, group, 3), Ok(0));
            same!(get(libc::PRIO_PROCESS, 0), Ok(3));
            Ok(())
        })?;
        same!(get(libc::PRIO_PROCESS, 0), Ok(3));
        // SAFETY: no memory is involved.
        same!(unsafe { libc::setuid(4711) }, 0);
        same!(put(libc::PRIO_USER, 0, 4), Ok(0));
        same!(get(libc::PRIO_USER, 4711), Ok(4));
        same!(get(libc::PRIO_USER, 4712), Err(libc::ESRCH));
        same!(get(libc::PRIO_PGRP, 99_998), Err(libc::ESRCH));
        Ok(())
    })
}

fn rights() -> Outcome {
    in_child(|| {
        // SAFETY: no memory is involved.
        let parent = unsafe { libc::getppid() } as libc::id_t;
        same!(nicer(2), Ok(2));
        // SAFETY: no memory is involved.
        same!(unsafe { libc::setuid(4711) }, 0);
        same!(put(libc::PRIO_PROCESS, parent, 10), Err(libc::EPERM));
        same!(put(libc::PRIO_PROCESS, 0, 1), Err(libc::EACCES));
        same!(nicer(-1), Err(libc::EPERM));
        same!(nicer(0), Ok(2));
        same!(nicer(1), Ok(3));
        same!(get(libc::PRIO_PROCESS, 0), Ok(3));
        Ok(())
    })
}
