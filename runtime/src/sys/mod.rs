//! The one door to the kernel, and the calls behind it as Rust functions.

pub(crate) mod file;
pub(crate) mod futex;
pub(crate) mod map;

#[cfg_attr(feature = "linux", path = "linux/mod.rs")]
mod kernel;

pub(crate) use abi::redox::error::{Error, Result};

/// Makes a system call with up to six arguments.
///
/// # Safety
///
/// The kernel checks every pointer, but writes to what it is given: memory that the call fills
/// must be the caller's to fill.
#[inline]
pub(crate) unsafe fn syscall<const N: usize>(
    number: usize,
    arguments: [usize; N],
) -> Result<usize> {
    const { assert!(N <= 6) };
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    // SAFETY: as promised by the caller.
    Error::demux(unsafe { kernel::call(number, all) })
}

/// An error by its number.
pub(crate) fn error<T>(code: i32) -> Result<T> {
    Err(Error::new(code))
}
