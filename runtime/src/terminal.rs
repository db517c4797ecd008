//! Terminals: settings, window size and foreground group, each a descriptor of its own that
//! `dup` with a name opens.

use crate::errno::{self, Answer};
use crate::sys::file::{self, File};
use crate::sys::{Result, error};
use core::ffi::{c_char, c_void};
use core::mem::zeroed;
use core::slice;
use libc::{c_int, c_ulong, pid_t, size_t, speed_t, termios, winsize};

/// Structures that travel to and from a terminal as bytes.
///
/// # Safety
///
/// Any bits are valid, and none is padding that must not be read.
pub(crate) unsafe trait Plain: Sized {}

// SAFETY: numbers only; the padding before `c_ispeed` is zeroed or came from a terminal.
unsafe impl Plain for termios {}
// SAFETY: four numbers.
unsafe impl Plain for winsize {}
// SAFETY: a number.
unsafe impl Plain for pid_t {}

fn aspect(fd: c_int, name: &[u8]) -> Result<File> {
    let opened = file::number(fd).and_then(|fd| file::dup(fd, name));
    match opened.map_err(|error| error.errno) {
        Ok(fd) => Ok(File::adopt(fd)),
        // A thing that knows no such name is no terminal.
        Err(libc::EINVAL | libc::ENOENT | libc::EOPNOTSUPP | libc::ENOSYS) => error(libc::ENOTTY),
        Err(code) => error(code),
    }
}

fn get<T: Plain>(fd: c_int, name: &[u8]) -> Result<T> {
    let file = aspect(fd, name)?;
    // SAFETY: any bits are valid, zero too.
    let mut value: T = unsafe { zeroed() };
    // SAFETY: plain, so it may be seen as bytes.
    let bytes = unsafe { slice::from_raw_parts_mut((&raw mut value).cast(), size_of::<T>()) };
    // A terminal may know less of it, such as no pixels of a window; the rest stays zero.
    if file.read(bytes)? == 0 {
        return error(libc::EIO);
    }
    Ok(value)
}

pub(crate) fn set<T: Plain>(fd: c_int, name: &[u8], value: &T) -> Result<usize> {
    let file = aspect(fd, name)?;
    // SAFETY: plain, so it may be seen as bytes.
    file.write(unsafe { slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) })
}

/// Gets into the caller's memory.
unsafe fn get_into<T: Plain>(fd: c_int, name: &[u8], place: *mut T) -> Result<usize> {
    let value = get(fd, name)?;
    // SAFETY: the caller gave a place for the answer.
    unsafe { place.write(value) };
    Ok(0)
}

/// Whether a descriptor is a terminal.
#[unsafe(no_mangle)]
extern "C" fn isatty(fd: c_int) -> c_int {
    match aspect(fd, b"termios") {
        Ok(_) => 1,
        Err(error) => {
            errno::set(error.errno);
            0
        }
    }
}

/// Reads a terminal's settings.
#[unsafe(no_mangle)]
unsafe extern "C" fn tcgetattr(fd: c_int, place: *mut termios) -> c_int {
    // SAFETY: the same contract.
    unsafe { get_into(fd, b"termios", place) }.zero()
}

/// Changes a terminal's settings. Output is never held back, so there is nothing to drain first;
/// `TCSAFLUSH` throws typed-ahead input away.
#[unsafe(no_mangle)]
unsafe extern "C" fn tcsetattr(fd: c_int, when: c_int, settings: *const termios) -> c_int {
    if !(libc::TCSANOW..=libc::TCSAFLUSH).contains(&when) {
        return errno::fail(libc::EINVAL) as c_int;
    }
    if when == libc::TCSAFLUSH && tcflush(fd, libc::TCIFLUSH) != 0 {
        // A terminal that cannot flush can still be set.
        errno::set(0);
    }
    // SAFETY: the caller's settings are readable.
    set(fd, b"termios", unsafe { &*settings }).zero()
}

/// Throws away what was typed or what was not sent.
#[unsafe(no_mangle)]
extern "C" fn tcflush(fd: c_int, what: c_int) -> c_int {
    set(fd, b"flush", &what).zero()
}

/// Waits until output has been sent.
#[unsafe(no_mangle)]
extern "C" fn tcdrain(fd: c_int) -> c_int {
    // A write to a terminal returns when the terminal has taken it, so there is nothing to wait
    // for; but the descriptor has to be one.
    aspect(fd, b"termios").map(|_| 0_isize).int()
}

/// Refused: terminals have no flow to hold.
#[unsafe(no_mangle)]
extern "C" fn tcflow(_fd: c_int, _action: c_int) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// Refused: terminals have no break condition.
#[unsafe(no_mangle)]
extern "C" fn tcsendbreak(_fd: c_int, _duration: c_int) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// The group that the terminal's signals go to.
#[unsafe(no_mangle)]
extern "C" fn tcgetpgrp(fd: c_int) -> pid_t {
    get::<pid_t>(fd, b"pgrp").map(|group| group as isize).int()
}

/// Sets the group that the terminal's signals go to.
#[unsafe(no_mangle)]
extern "C" fn tcsetpgrp(fd: c_int, group: pid_t) -> c_int {
    set(fd, b"pgrp", &group).zero()
}

/// Turns settings into those for raw input: every byte at once, nothing echoed or changed.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfmakeraw(settings: *mut termios) {
    // SAFETY: the caller's settings may be changed.
    let settings = unsafe { &mut *settings };
    settings.c_iflag &= !(libc::IGNBRK
        | libc::BRKINT
        | libc::PARMRK
        | libc::ISTRIP
        | libc::INLCR
        | libc::IGNCR
        | libc::ICRNL
        | libc::IXON);
    settings.c_oflag &= !libc::OPOST;
    settings.c_lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG | libc::IEXTEN);
    settings.c_cflag = settings.c_cflag & !(libc::CSIZE | libc::PARENB) | libc::CS8;
    settings.c_cc[libc::VMIN] = 1;
    settings.c_cc[libc::VTIME] = 0;
}

/// The input speed.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfgetispeed(settings: *const termios) -> speed_t {
    // SAFETY: the caller's settings are readable.
    unsafe { (*settings).c_ispeed }
}

/// The output speed.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfgetospeed(settings: *const termios) -> speed_t {
    // SAFETY: the caller's settings are readable.
    unsafe { (*settings).c_ospeed }
}

/// Sets the input speed.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfsetispeed(settings: *mut termios, speed: speed_t) -> c_int {
    // SAFETY: the caller's settings may be changed.
    unsafe { (*settings).c_ispeed = speed };
    0
}

/// Sets the output speed.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfsetospeed(settings: *mut termios, speed: speed_t) -> c_int {
    // SAFETY: the caller's settings may be changed.
    unsafe { (*settings).c_ospeed = speed };
    0
}

/// Sets both speeds.
#[unsafe(no_mangle)]
unsafe extern "C" fn cfsetspeed(settings: *mut termios, speed: speed_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { cfsetispeed(settings, speed) + cfsetospeed(settings, speed) }
}

/// `TCSETSW` and `TCSETSF`, which follow `TCSETS`.
const TCSETSW: c_ulong = libc::TCSETS + 1;
const TCSETSF: c_ulong = libc::TCSETS + 2;

/// Requests to a device. C declares the argument variadic; on x86-64 it travels in the same
/// register.
#[unsafe(no_mangle)]
unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    // SAFETY: the caller's argument is what the request wants.
    unsafe {
        match request {
            libc::TCGETS => tcgetattr(fd, argument.cast()),
            libc::TCSETS => tcsetattr(fd, libc::TCSANOW, argument.cast()),
            TCSETSW => tcsetattr(fd, libc::TCSADRAIN, argument.cast()),
            TCSETSF => tcsetattr(fd, libc::TCSAFLUSH, argument.cast()),
            libc::TCFLSH => tcflush(fd, argument as c_int),
            libc::TIOCGPGRP => get_into::<pid_t>(fd, b"pgrp", argument.cast()).zero(),
            libc::TIOCSPGRP => tcsetpgrp(fd, argument.cast::<pid_t>().read()),
            libc::TIOCGWINSZ => get_into::<winsize>(fd, b"winsize", argument.cast()).zero(),
            libc::TIOCSWINSZ => set(fd, b"winsize", &*argument.cast::<winsize>()).zero(),
            libc::TIOCSCTTY => tcsetpgrp(fd, libc::getpgrp()),
            libc::FIONBIO => {
                let on = argument.cast::<c_int>().read() != 0;
                let flag = abi::redox::flag::O_NONBLOCK;
                file::number(fd).and_then(|fd| file::set_status_flag(fd, flag, on)).zero()
            }
            libc::FIOCLEX => file::number(fd).and_then(file::set_close_on_exec).zero(),
            _ => errno::fail(libc::ENOTTY) as c_int,
        }
    }
}

/// The path of a terminal. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn ttyname_r(fd: c_int, place: *mut c_char, room: size_t) -> c_int {
    let name = || {
        drop(aspect(fd, b"termios")?);
        if room == 0 {
            return error(libc::ERANGE);
        }
        // SAFETY: the caller gave `room` bytes; one is kept for the NUL.
        let bytes = unsafe {
            place.cast::<u8>().write_bytes(0, room);
            slice::from_raw_parts_mut(place.cast::<u8>(), room - 1)
        };
        file::path(file::number(fd)?, bytes)
    };
    errno::code(name().map(drop))
}
