//! `SIGTERM`: what was written is committed before the daemon ends.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The end that the handler writes to.
static TOLD: AtomicI32 = AtomicI32::new(-1);

/// Only passes the word on: everything else happens in the daemon's loop.
extern "C" fn on_stop(_: libc::c_int) {
    let word = [0u8];
    // SAFETY: `write` may be called in a handler, and the byte outlives the call. A pipe that is
    // full has told enough.
    unsafe { libc::write(TOLD.load(Ordering::Relaxed), word.as_ptr().cast(), 1) };
}

/// From here on `SIGTERM` makes the pipe readable instead of ending the daemon.
pub fn watch() -> io::Result<PipeReader> {
    let (reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
    TOLD.store(writer.into_raw_fd(), Ordering::Relaxed);
    // SAFETY: all zeroes is a valid value: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_stop as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART as _;
    // SAFETY: the handler only writes to a pipe, which is async-signal-safe.
    if unsafe { libc::sigaction(libc::SIGTERM, &action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(reader)
}

/// The descriptor to wait for.
pub fn descriptor(reader: &PipeReader) -> usize {
    reader.as_raw_fd() as usize
}
