//! `printf` and its kin: texts for C libraries that programs bring along.
//!
//! There are no streams: what is printed goes to its descriptor at once.

use crate::errno::Answer;
use crate::pointer;
use crate::sys::{Error, Result, file};
use alloc::vec::Vec;
use core::ffi::{VaList, c_char};
use libc::{c_int, size_t};
use logic::printf::{self, Arguments, Output};

/// Texts up to this long are printed without asking for memory.
const SHORT: usize = 256;

/// The arguments of a C function with as many as there are.
struct Variadic<'a, 'f>(&'a mut VaList<'f>);

impl Arguments for Variadic<'_, '_> {
    fn int(&mut self) -> i32 {
        // SAFETY: the format says that this was passed, and the caller's format is true.
        unsafe { self.0.arg() }
    }

    fn long(&mut self) -> i64 {
        // SAFETY: as above.
        unsafe { self.0.arg() }
    }

    fn double(&mut self) -> f64 {
        // SAFETY: as above.
        unsafe { self.0.arg() }
    }

    fn text(&mut self, most: usize) -> &[u8] {
        // SAFETY: as above; the string ends with a NUL, or is as long as the precision says.
        unsafe {
            let text: *const c_char = self.0.arg();
            if text.is_null() {
                return b"(null)";
            }
            core::slice::from_raw_parts(text.cast(), crate::string::strnlen(text, most))
        }
    }
}

/// Writes a text, cut and NUL-terminated. Returns how long it would have been, or −1 when the format
/// asks for what is not known.
#[unsafe(no_mangle)]
unsafe extern "C" fn vsnprintf(
    place: *mut c_char,
    room: size_t,
    format: *const c_char,
    mut arguments: VaList<'_>,
) -> c_int {
    // SAFETY: the caller's format is NUL-terminated, and there is so much room.
    let (format, room) = unsafe {
        let room = match room {
            0 => &mut [],
            room => {
                place.cast::<u8>().write_bytes(0, room);
                core::slice::from_raw_parts_mut(place.cast::<u8>(), room - 1)
            }
        };
        (pointer::string(format), room)
    };
    told(room, format, &mut arguments).int()
}

/// Writes as much of a text as there is room for, and returns how long all of it is.
fn told(room: &mut [u8], format: &[u8], arguments: &mut VaList<'_>) -> Result<usize> {
    let mut output = Output::new(room);
    match printf::format(format, &mut Variadic(arguments), &mut output) {
        Ok(()) if c_int::try_from(output.length()).is_ok() => Ok(output.length()),
        Ok(()) => Err(Error::new(libc::EOVERFLOW)),
        Err(printf::Unknown) => Err(Error::new(libc::ENOSYS)),
    }
}

/// The same, with the arguments themselves.
#[unsafe(no_mangle)]
unsafe extern "C" fn snprintf(
    place: *mut c_char,
    room: size_t,
    format: *const c_char,
    arguments: ...
) -> c_int {
    // SAFETY: the same contract.
    unsafe { vsnprintf(place, room, format, arguments) }
}

/// Writes a text to a descriptor. Returns how long it is, or −1.
#[unsafe(no_mangle)]
unsafe extern "C" fn vdprintf(
    fd: c_int,
    format: *const c_char,
    mut arguments: VaList<'_>,
) -> c_int {
    // SAFETY: the caller's format is NUL-terminated.
    let format = unsafe { pointer::string(format) };
    let mut print = || {
        let mut short = [0; SHORT];
        let length = told(&mut short, format, &mut arguments.clone())?;
        if let Some(text) = short.get(..length) {
            return print(fd, text);
        }
        let mut long = Vec::new();
        long.try_reserve_exact(length).map_err(|_| Error::new(libc::ENOMEM))?;
        long.resize(length, 0);
        told(&mut long, format, &mut arguments)?;
        print(fd, &long)
    };
    print().int()
}

/// Writes all of a text.
fn print(fd: c_int, text: &[u8]) -> Result<usize> {
    let fd = file::number(fd)?;
    let mut rest = text;
    while !rest.is_empty() {
        match file::write(fd, rest)? {
            0 => return Err(Error::new(libc::EIO)),
            count => rest = &rest[count..],
        }
    }
    Ok(text.len())
}

/// The same, with the arguments themselves.
#[unsafe(no_mangle)]
unsafe extern "C" fn dprintf(fd: c_int, format: *const c_char, arguments: ...) -> c_int {
    // SAFETY: the same contract.
    unsafe { vdprintf(fd, format, arguments) }
}

/// The same to standard output.
#[unsafe(no_mangle)]
unsafe extern "C" fn vprintf(format: *const c_char, arguments: VaList<'_>) -> c_int {
    // SAFETY: the same contract.
    unsafe { vdprintf(libc::STDOUT_FILENO, format, arguments) }
}

/// The same to standard output, with the arguments themselves.
#[unsafe(no_mangle)]
unsafe extern "C" fn printf(format: *const c_char, arguments: ...) -> c_int {
    // SAFETY: the same contract.
    unsafe { vdprintf(libc::STDOUT_FILENO, format, arguments) }
}

/// Prints a text and a line's end. Compilers ask for it where a program has `printf("...\n")`.
#[unsafe(no_mangle)]
unsafe extern "C" fn puts(text: *const c_char) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    unsafe { printf(c"%s\n".as_ptr(), text) }
}

/// Prints one letter. Compilers ask for it, too.
#[unsafe(no_mangle)]
extern "C" fn putchar(letter: c_int) -> c_int {
    let letter = letter as u8;
    print(libc::STDOUT_FILENO, &[letter]).map(|_| letter).int()
}
