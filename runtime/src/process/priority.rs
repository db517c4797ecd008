//! Priorities, as nice values: `proc:PID/priority` is 20 less such a value.

use crate::errno::{self, Answer};
use crate::fs::dir;
use crate::process::ids;
use crate::sys::file::File;
use crate::sys::{Error, Result, error};
use crate::system::read_file;
use abi::number::O_CLOEXEC;
use abi::redox::flag::O_WRONLY;
use libc::{c_int, id_t};
use logic::numbers::{after_key, decimal, leading};

/// Nice values: what everybody has, and the ends.
const NORMAL: c_int = 20;
const MOST_URGENT: c_int = -20;
const LEAST_URGENT: c_int = 19;
/// Where processes are.
const PROCESSES: &[u8] = b"/scheme/proc/";
/// Room for a path there.
const PATH_ROOM: usize = 48;
/// Room for `status`.
const STATUS_ROOM: usize = 2048;

/// Calls `act` with the path of a process's file.
fn with_path<T>(pid: u64, file: &[u8], act: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    let mut digits = [0; 20];
    let mut path = [0; PATH_ROOM];
    let mut length = 0;
    for part in [PROCESSES, decimal(pid, &mut digits), b"/", file] {
        path[length..][..part.len()].copy_from_slice(part);
        length += part.len();
    }
    // A process that is not there has no files.
    let known = |error: Error| match error.errno {
        libc::ENOENT => Error::new(libc::ESRCH),
        errno => Error::new(errno),
    };
    act(&path[..length]).map_err(known)
}

/// The nice value of a process. One that is idle has the highest, too.
fn nice_of(pid: u64) -> Result<c_int> {
    let mut buffer = [0; 8];
    let number = with_path(pid, b"priority", |path| {
        let text = read_file(path, &mut buffer)?;
        leading(text).map_or_else(|| error(libc::EIO), |(number, _)| Ok(number as c_int))
    })?;
    Ok((NORMAL - number).min(LEAST_URGENT))
}

/// Gives a process a nice value, or the nearest one that there is.
fn set_nice(pid: u64, nice: c_int) -> Result<()> {
    let number = NORMAL - nice.clamp(MOST_URGENT, LEAST_URGENT);
    with_path(pid, b"priority", |path| {
        let file = File::open(path, O_WRONLY | O_CLOEXEC)?;
        file.write(decimal(number as u64, &mut [0; 20])).map(drop)
    })
}

/// Calls `act` for every process that `who` of a kind stands for. `ESRCH` when there is none.
fn for_each(kind: c_int, who: id_t, mut act: impl FnMut(u64) -> Result<()>) -> Result<()> {
    let (key, who): (&[u8], id_t) = match (kind, who) {
        (libc::PRIO_PROCESS, 0) => return act(ids::process() as u64),
        (libc::PRIO_PROCESS, who) => return act(u64::from(who)),
        (libc::PRIO_PGRP, 0) => (b"Pgid:", ids::getpgid(0) as id_t),
        (libc::PRIO_PGRP, who) => (b"Pgid:", who),
        (libc::PRIO_USER, 0) => (b"Uid:", ids::ids()?.user),
        (libc::PRIO_USER, who) => (b"Uid:", who),
        _ => return error(libc::EINVAL),
    };
    let mut outcome = error(libc::ESRCH);
    dir::for_each(PROCESSES, |name| {
        let Some((pid, _)) = leading(name) else { return };
        let mut buffer = [0; STATUS_ROOM];
        let status = with_path(pid, b"status", |path| read_file(path, &mut buffer));
        if status.is_ok_and(|text| after_key(text, key) == Some(u64::from(who))) {
            let done = act(pid);
            // The first failure counts, but not that one ended meanwhile.
            if outcome.is_ok() || is_missing(&outcome) {
                outcome = done;
            }
        }
    })?;
    outcome
}

fn is_missing(outcome: &Result<()>) -> bool {
    outcome.as_ref().is_err_and(|error| error.errno == libc::ESRCH)
}

/// The most urgent nice value among some processes. −1 may be one: whoever asks clears `errno` first.
#[unsafe(no_mangle)]
extern "C" fn getpriority(kind: c_int, who: id_t) -> c_int {
    let mut most_urgent = LEAST_URGENT;
    let found = for_each(kind, who, |pid| {
        most_urgent = most_urgent.min(nice_of(pid)?);
        Ok(())
    });
    match found {
        Ok(()) => most_urgent,
        Err(error) => errno::fail(error.errno) as c_int,
    }
}

/// Gives processes a nice value.
#[unsafe(no_mangle)]
extern "C" fn setpriority(kind: c_int, who: id_t, nice: c_int) -> c_int {
    for_each(kind, who, |pid| set_nice(pid, nice)).map(|()| 0_isize).zero()
}

/// Makes this process nicer by so much, and tells its new nice value.
#[unsafe(no_mangle)]
extern "C" fn nice(by: c_int) -> c_int {
    let pid = ids::process() as u64;
    let wanted = nice_of(pid).map(|have| have.saturating_add(by));
    let nice = wanted.and_then(|nice| set_nice(pid, nice)).and_then(|()| nice_of(pid));
    nice.unwrap_or_else(|error| {
        // What `setpriority` calls `EACCES` has another name here.
        let errno = if error.errno == libc::EACCES { libc::EPERM } else { error.errno };
        errno::fail(errno) as c_int
    })
}
