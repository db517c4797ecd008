//! Pseudo terminals: `pty:new` is a new one's master, `pty:NUMBER` the terminal.

use crate::errno::{self, Answer};
use crate::sys::file::{self, File};
use crate::sys::{Result, error};
use crate::terminal::set;
use abi::redox::flag::O_RDWR;
use core::ffi::c_char;
use libc::{c_int, size_t, termios, winsize};

/// What a master's path begins with, before the number.
const MASTER: &[u8] = b"/scheme/pty/master/";
/// What a terminal's path begins with.
const TERMINAL: &[u8] = b"/scheme/pty/";
/// Room for either.
const ROOM: usize = 48;

/// The path of a terminal.
struct Name {
    bytes: [u8; ROOM],
    length: usize,
}

impl Name {
    /// Of the terminal that a descriptor is the master of. `ENOTTY` when it is none.
    fn of(fd: usize) -> Result<Self> {
        let mut path = [0; ROOM];
        let length = file::path(fd, &mut path)?.min(ROOM);
        let Some(number) = path[..length].strip_prefix(MASTER) else { return error(libc::ENOTTY) };
        let mut name = Self { bytes: [0; ROOM], length: TERMINAL.len() + number.len() };
        name.bytes[..TERMINAL.len()].copy_from_slice(TERMINAL);
        name.bytes[TERMINAL.len()..name.length].copy_from_slice(number);
        Ok(name)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Writes it with a NUL.
    ///
    /// # Safety
    ///
    /// There is room for so many bytes at the place.
    unsafe fn write(&self, place: *mut c_char, room: usize) -> Result<()> {
        if self.length >= room {
            return error(libc::ERANGE);
        }
        // SAFETY: as promised by the caller; the rest of the bytes is zero.
        unsafe { place.cast::<u8>().copy_from(self.bytes.as_ptr(), self.length + 1) };
        Ok(())
    }
}

fn open_master(flags: usize) -> Result<File> {
    File::open(b"/scheme/pty/new", flags).map_err(|error| match error.errno {
        // Nobody serves them.
        libc::ENODEV => crate::sys::Error::new(libc::ENOENT),
        _ => error,
    })
}

/// A new pseudo terminal's master.
#[unsafe(no_mangle)]
extern "C" fn posix_openpt(flags: c_int) -> c_int {
    let known = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
    open_master((flags & known) as usize).map(File::into_fd).int()
}

/// The terminal is its user's own from the beginning; only looks whether this is a master.
#[unsafe(no_mangle)]
extern "C" fn grantpt(fd: c_int) -> c_int {
    file::number(fd).and_then(Name::of).map(|_| 0_isize).zero()
}

/// The terminal is never locked; only looks whether this is a master.
#[unsafe(no_mangle)]
extern "C" fn unlockpt(fd: c_int) -> c_int {
    grantpt(fd)
}

/// The path of a master's terminal. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn ptsname_r(fd: c_int, place: *mut c_char, room: size_t) -> c_int {
    let name = file::number(fd).and_then(Name::of);
    // SAFETY: the caller gave `room` bytes.
    errno::code(name.and_then(|name| unsafe { name.write(place, room) }))
}

/// The path of a master's terminal, until the next call.
#[unsafe(no_mangle)]
unsafe extern "C" fn ptsname(fd: c_int) -> *mut c_char {
    static mut PLACE: [c_char; ROOM] = [0; ROOM];
    let place = (&raw mut PLACE).cast();
    // SAFETY: C programs know that there is one place, and call this from one thread at a time.
    match unsafe { ptsname_r(fd, place, ROOM) } {
        0 => place,
        code => {
            errno::set(code);
            core::ptr::null_mut()
        }
    }
}

/// Both ends of a new pseudo terminal, with settings and a size if they are given.
///
/// # Safety
///
/// `settings` and `window` are null or readable.
unsafe fn open_both(settings: *const termios, window: *const winsize) -> Result<(File, File)> {
    let master = open_master(O_RDWR)?;
    let terminal = File::open(Name::of(master.fd())?.bytes(), O_RDWR)?;
    let fd = terminal.fd() as c_int;
    // SAFETY: as promised by the caller.
    unsafe {
        if let Some(settings) = settings.as_ref() {
            set(fd, b"termios", settings)?;
        }
        if let Some(window) = window.as_ref() {
            set(fd, b"winsize", window)?;
        }
    }
    Ok((master, terminal))
}

/// Both ends of a new pseudo terminal.
#[unsafe(no_mangle)]
unsafe extern "C" fn openpty(
    master: *mut c_int,
    terminal: *mut c_int,
    name: *mut c_char,
    settings: *const termios,
    window: *const winsize,
) -> c_int {
    // SAFETY: the caller's structures are null or readable, and its places can be written; C has no
    // length for the name's, for which a path of a terminal is short enough.
    let opened = unsafe { open_both(settings, window) }.and_then(|(near, far)| {
        // SAFETY: as above.
        unsafe {
            if !name.is_null() {
                Name::of(near.fd())?.write(name, ROOM)?;
            }
            master.write(near.into_fd() as c_int);
            terminal.write(far.into_fd() as c_int);
        }
        Ok(0_usize)
    });
    opened.zero()
}

/// Makes a terminal what the process and its children read and write, in a session of their own.
#[unsafe(no_mangle)]
extern "C" fn login_tty(fd: c_int) -> c_int {
    // SAFETY: no memory is involved.
    unsafe {
        if libc::setsid() < 0 || libc::tcsetpgrp(fd, libc::getpid()) < 0 {
            return -1;
        }
        for wanted in 0..3 {
            if libc::dup2(fd, wanted) < 0 {
                return -1;
            }
        }
        if fd > 2 { libc::close(fd) } else { 0 }
    }
}

/// A child in a new pseudo terminal, whose master the parent has.
#[unsafe(no_mangle)]
unsafe extern "C" fn forkpty(
    master: *mut c_int,
    name: *mut c_char,
    settings: *const termios,
    window: *const winsize,
) -> libc::pid_t {
    let (mut near, mut far) = (0, 0);
    // SAFETY: the same contract; the child has a copy of everything.
    unsafe {
        if openpty(&mut near, &mut far, name, settings, window) < 0 {
            return -1;
        }
        match libc::fork() {
            0 => {
                libc::close(near);
                if login_tty(far) < 0 {
                    libc::_exit(1);
                }
                0
            }
            child => {
                libc::close(far);
                match child {
                    -1 => _ = libc::close(near),
                    _ => master.write(near),
                }
                child
            }
        }
    }
}
