//! Pipes: `pipe:` is the reading end, its `write` the other.

use crate::errno::Answer;
use crate::sys::file::{self, File};
use crate::sys::{Result, error};
use abi::number::O_CLOEXEC;
use abi::redox::flag::O_RDONLY;
use libc::c_int;

fn create(flags: c_int) -> Result<(File, File)> {
    if flags & !(libc::O_CLOEXEC | libc::O_NONBLOCK) != 0 {
        return error(libc::EINVAL);
    }
    let flags = flags as usize;
    let reading = File::open(b"pipe:", O_RDONLY | flags)?;
    // The writing end inherits `O_NONBLOCK`, but not close-on-exec.
    let writing = File::adopt(file::dup(reading.fd(), b"write")?);
    if flags & O_CLOEXEC != 0 {
        file::set_close_on_exec(writing.fd())?;
    }
    Ok((reading, writing))
}

/// Makes a pipe with flags.
#[unsafe(no_mangle)]
unsafe extern "C" fn pipe2(places: *mut c_int, flags: c_int) -> c_int {
    let made = create(flags).map(|(reading, writing)| {
        // SAFETY: the caller gave two places.
        unsafe {
            places.write(reading.into_fd() as c_int);
            places.add(1).write(writing.into_fd() as c_int);
        }
        0_isize
    });
    made.int()
}

/// Makes a pipe.
#[unsafe(no_mangle)]
unsafe extern "C" fn pipe(places: *mut c_int) -> c_int {
    // SAFETY: the same contract.
    unsafe { pipe2(places, 0) }
}
