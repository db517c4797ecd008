//! Locks on ranges of bytes: `fcntl` and `lockf`.

use crate::files::place;
use crate::{Check, Outcome, holds, same};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("locks/ranges-keep-other-processes-out", ranges),
    ("locks/what-is-in-the-way-is-told", told),
    ("locks/closing-any-copy-gives-them-back", closed),
    ("locks/whoever-ends-gives-them-back", killed),
    ("locks/waiting-in-a-circle-is-refused", circle),
    ("locks/lockf-locks-from-the-position-on", lockf),
    ("locks/ranges-can-belong-to-the-open-file", open_file),
    ("locks/nonsense-is-refused", nonsense),
];

/// As this target's C library lays it out; the libc crate has no name for it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    kind: i16,
    whence: i16,
    start: i64,
    length: i64,
    pid: i32,
}

const READ: i16 = 0;
const WRITE: i16 = 1;
const NONE: i16 = 2;

fn range(kind: i16, start: i64, length: i64) -> Range {
    Range { kind, whence: libc::SEEK_SET as i16, start, length, pid: 0 }
}

fn control(file: &File, command: i32, range: &mut Range) -> Option<i32> {
    // SAFETY: the structure is what the commands for locks take.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut *range) } {
        -1 => io::Error::last_os_error().raw_os_error(),
        _ => None,
    }
}

fn set(file: &File, kind: i16, start: i64, length: i64) -> Option<i32> {
    control(file, libc::F_SETLK, &mut range(kind, start, length))
}

/// By their usual numbers; the libc crate has no names for them.
const OPEN_FILE_GET: i32 = 36;
const OPEN_FILE_SET: i32 = 37;
const OPEN_FILE_WAIT: i32 = 38;

fn open_file() -> Outcome {
    let path = place("open-file");
    let (one, other) = (open(&path)?, open(&path)?);
    let set = |file: &File, kind, start| control(file, OPEN_FILE_SET, &mut range(kind, start, 10));
    same!(set(&one, WRITE, 0), None);
    // The same process is in its own way, by another open file or as a process.
    same!(set(&other, READ, 5), Some(libc::EAGAIN));
    same!(control(&one, libc::F_SETLK, &mut range(READ, 5, 1)), Some(libc::EAGAIN));
    let mut told = range(WRITE, 5, 1);
    same!(control(&other, OPEN_FILE_GET, &mut told), None);
    same!(told, Range { pid: -1, ..range(WRITE, 0, 10) });
    let mut bad = Range { pid: 1, ..range(WRITE, 20, 1) };
    same!(control(&one, OPEN_FILE_SET, &mut bad), Some(libc::EINVAL));
    // A child has the open file, too, and closing a copy gives nothing back.
    same!(in_child(|| errno(set(&one, WRITE, 0)))?, 0);
    drop(one.try_clone()?);
    same!(set(&other, READ, 5), Some(libc::EAGAIN));
    let copy = one.as_raw_fd();
    let waiter = start(|| {
        // SAFETY: the child does not use it.
        unsafe { libc::close(copy) };
        errno(control(&other, OPEN_FILE_WAIT, &mut range(WRITE, 5, 1)))
    })?;
    std::thread::sleep(Duration::from_millis(50));
    drop(one);
    same!(finish(waiter)?, 0);
    same!(set(&other, NONE, 0), None);
    fs::remove_file(&path)?;
    Ok(())
}

/// What a child finds out, as its status.
fn in_child(act: impl FnOnce() -> i32) -> io::Result<i32> {
    let pid = start(act)?;
    finish(pid)
}

fn start(act: impl FnOnce() -> i32) -> io::Result<i32> {
    // SAFETY: the child only makes calls, and ends.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let status = act();
            // SAFETY: the child's end.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(pid),
    }
}

fn finish(pid: i32) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: the status is ours.
    match unsafe { libc::waitpid(pid, &mut status, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(libc::WEXITSTATUS(status)),
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

fn errno(code: Option<i32>) -> i32 {
    code.unwrap_or_default()
}

fn ranges() -> Outcome {
    let path = place("ranges");
    let file = open(&path)?;
    same!(set(&file, WRITE, 0, 10), None);
    same!(set(&file, READ, 20, 0), None);
    // The process itself is not in its own way.
    let second = open(&path)?;
    same!(set(&second, WRITE, 5, 5), None);
    same!(set(&file, WRITE, 0, 10), None);
    for (kind, start, length, outcome) in [
        (WRITE, 9, 1, libc::EAGAIN),
        (READ, 9, 1, libc::EAGAIN),
        (WRITE, 10, 10, 0),
        (READ, 1000, 1, 0),
        (WRITE, 1000, 1, libc::EAGAIN),
    ] {
        let seen = in_child(|| errno(set(&file, kind, start, length)))?;
        same!((kind, start, seen), (kind, start, outcome));
    }
    // Given back in the middle.
    same!(set(&file, NONE, 4, 2), None);
    same!(in_child(|| errno(set(&file, WRITE, 4, 2)))?, 0);
    same!(in_child(|| errno(set(&file, WRITE, 3, 2)))?, libc::EAGAIN);
    // One that waits gets it.
    let begun = Instant::now();
    let waiter = start(|| errno(control(&file, libc::F_SETLKW, &mut range(WRITE, 0, 4))))?;
    std::thread::sleep(Duration::from_millis(50));
    same!(set(&file, NONE, 0, 0), None);
    same!(finish(waiter)?, 0);
    holds!(begun.elapsed() >= Duration::from_millis(50));
    drop(second);
    fs::remove_file(&path)?;
    Ok(())
}

fn told() -> Outcome {
    let path = place("told");
    let mut file = open(&path)?;
    file.write_all(b"0123456789")?;
    same!(control(&file, libc::F_SETLK, &mut Range { whence: 2, ..range(WRITE, -4, 2) }), None);
    let own = std::process::id() as i32;
    let seen = in_child(|| {
        let mut found = range(READ, 0, 0);
        let told = control(&file, libc::F_GETLK, &mut found);
        i32::from(told.is_some() || found != Range { pid: own, ..range(WRITE, 6, 2) })
    })?;
    same!(seen, 0);
    let mut found = range(WRITE, 0, 0);
    same!(control(&file, libc::F_GETLK, &mut found), None);
    same!(found, range(NONE, 0, 0));
    fs::remove_file(&path)?;
    Ok(())
}

fn closed() -> Outcome {
    let path = place("closed-range");
    let (file, other) = (open(&path)?, open(&path)?);
    same!(set(&file, WRITE, 0, 0), None);
    // A child that closes its copy gives nothing back.
    let seen = in_child(|| {
        drop(file.try_clone());
        errno(set(&other, WRITE, 0, 0))
    })?;
    same!(seen, libc::EAGAIN);
    drop(file.try_clone()?);
    same!(in_child(|| errno(set(&other, WRITE, 0, 0)))?, 0);
    fs::remove_file(&path)?;
    Ok(())
}

fn killed() -> Outcome {
    let path = place("killed-range");
    let file = open(&path)?;
    let (mut reader, mut writer) = io::pipe()?;
    // Its file stays open here, which a lock of the process does not care for.
    let holder = start(|| {
        let locked = set(&file, WRITE, 0, 0).is_none();
        let _ = writer.write(&[u8::from(locked)]);
        loop {
            // SAFETY: only waits.
            unsafe { libc::pause() };
        }
    })?;
    let mut locked = [0];
    reader.read_exact(&mut locked)?;
    same!((locked, set(&file, WRITE, 0, 0)), ([1], Some(libc::EAGAIN)));
    let waiter = start(|| errno(control(&file, libc::F_SETLKW, &mut range(READ, 0, 0))))?;
    std::thread::sleep(Duration::from_millis(20));
    // SAFETY: a child of ours.
    same!(unsafe { libc::kill(holder, libc::SIGKILL) }, 0);
    same!(finish(waiter)?, 0);
    finish(holder)?;
    same!(set(&file, WRITE, 0, 0), None);
    fs::remove_file(&path)?;
    Ok(())
}

fn circle() -> Outcome {
    let path = place("circle");
    let file = open(&path)?;
    same!(set(&file, WRITE, 0, 1), None);
    let (mut reader, mut writer) = io::pipe()?;
    let other = start(|| {
        let first = set(&file, WRITE, 1, 1);
        let _ = writer.write(&[0]);
        let second = control(&file, libc::F_SETLKW, &mut range(WRITE, 0, 1));
        errno(first.or(second))
    })?;
    reader.read_exact(&mut [0])?;
    // It waits, or will soon; then the circle would be closed.
    let mut refused = None;
    for _ in 0..500 {
        std::thread::sleep(Duration::from_millis(10));
        let mut wanted = range(WRITE, 1, 1);
        refused = match set(&file, WRITE, 1, 1) {
            Some(libc::EAGAIN) => waits(other).then(|| control(&file, libc::F_SETLKW, &mut wanted)),
            answer => Some(answer),
        };
        if refused.is_some() {
            break;
        }
    }
    same!(refused, Some(Some(libc::EDEADLK)));
    same!(set(&file, NONE, 0, 0), None);
    same!(finish(other)?, 0);
    fs::remove_file(&path)?;
    Ok(())
}

/// Whether a process waits for a daemon's answer.
fn waits(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/scheme/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line == "Wait: reply")
}

fn lockf() -> Outcome {
    let path = place("lockf");
    let mut file = open(&path)?;
    file.write_all(b"0123")?;
    // SAFETY: no memory is involved.
    let lockf = |command, length| match unsafe { libc::lockf(file.as_raw_fd(), command, length) } {
        -1 => io::Error::last_os_error().raw_os_error().unwrap_or_default(),
        _ => 0,
    };
    same!(lockf(libc::F_LOCK, 4), 0);
    same!(in_child(|| lockf(libc::F_TEST, 1))?, libc::EAGAIN);
    same!(in_child(|| lockf(libc::F_TLOCK, 1))?, libc::EAGAIN);
    same!(in_child(|| lockf(libc::F_TEST, -4))?, 0);
    same!(lockf(libc::F_ULOCK, 0), 0);
    same!(in_child(|| lockf(libc::F_TLOCK, 0))?, 0);
    fs::remove_file(&path)?;
    Ok(())
}

fn nonsense() -> Outcome {
    let path = place("nonsense");
    fs::write(&path, "text")?;
    let file = File::open(&path)?;
    same!(set(&file, WRITE, 0, 0), Some(libc::EBADF));
    same!(set(&file, READ, -1, 1), Some(libc::EINVAL));
    same!(set(&file, READ, i64::MAX, i64::MAX), Some(libc::EOVERFLOW));
    same!(set(&file, 9, 0, 0), Some(libc::EINVAL));
    same!(control(&file, libc::F_GETLK, &mut range(NONE, 0, 0)), Some(libc::EINVAL));
    same!(
        control(&file, libc::F_SETLK, &mut Range { whence: 7, ..range(READ, 0, 0) }),
        Some(libc::EINVAL)
    );
    let (pipe, _writer) = io::pipe()?;
    let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
    same!(set(&pipe, READ, 0, 0), Some(libc::EOPNOTSUPP));
    fs::remove_file(&path)?;
    Ok(())
}
