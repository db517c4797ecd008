//! Random bytes, from `rand:`. Without that scheme there are none: no weaker source stands in.

use crate::errno::Answer;
use crate::sys::file::File;
use crate::sys::{Result, error};
use abi::number::O_CLOEXEC;
use abi::redox::flag::O_RDONLY;
use core::ffi::c_void;
use core::slice;
use libc::{c_int, c_uint, size_t, ssize_t};

/// The most that `getentropy` gives.
const ENTROPY_MAX: usize = 256;

/// Fills a buffer.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<usize> {
    let file = File::open(b"/scheme/rand", O_RDONLY | O_CLOEXEC)?;
    if file.read_full(buffer)? != buffer.len() {
        return error(libc::EIO);
    }
    Ok(buffer.len())
}

/// # Safety
///
/// `buffer` has `length` bytes that may be written.
unsafe fn fill_at(buffer: *mut c_void, length: size_t) -> Result<usize> {
    if length == 0 {
        return Ok(0);
    }
    // SAFETY: as promised by the caller; zeroed first, so that every byte has a value.
    fill(unsafe {
        buffer.cast::<u8>().write_bytes(0, length);
        slice::from_raw_parts_mut(buffer.cast::<u8>(), length)
    })
}

/// Fills a buffer.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if flags & !(libc::GRND_NONBLOCK | libc::GRND_RANDOM) != 0 {
        return error::<usize>(libc::EINVAL).size();
    }
    // SAFETY: the same contract.
    unsafe { fill_at(buffer, length) }.size()
}

/// Fills a buffer of at most 256 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(buffer: *mut c_void, length: size_t) -> c_int {
    if length > ENTROPY_MAX {
        return error::<usize>(libc::EIO).zero();
    }
    // SAFETY: the same contract.
    unsafe { fill_at(buffer, length) }.zero()
}

/// Fills a buffer; cannot fail, so it ends the program when there is no randomness.
#[unsafe(no_mangle)]
unsafe extern "C" fn arc4random_buf(buffer: *mut c_void, length: size_t) {
    // SAFETY: the same contract.
    unsafe { fill_at(buffer, length) }.expect("arc4random needs the scheme rand:");
}

/// A random number.
#[unsafe(no_mangle)]
extern "C" fn arc4random() -> u32 {
    let mut bytes = [0; 4];
    fill(&mut bytes).expect("arc4random needs the scheme rand:");
    u32::from_ne_bytes(bytes)
}

/// A random number below `bound`, each as likely as the others.
#[unsafe(no_mangle)]
extern "C" fn arc4random_uniform(bound: u32) -> u32 {
    if bound < 2 {
        return 0;
    }
    // The lowest numbers would come up once too often; those tries are thrown away.
    let unfair = bound.wrapping_neg() % bound;
    loop {
        let number = arc4random();
        if number >= unfair {
            return number % bound;
        }
    }
}
