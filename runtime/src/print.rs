//! `snprintf` and `vsnprintf`: texts for C libraries that programs bring along.

use crate::errno;
use crate::pointer;
use core::ffi::{VaList, c_char};
use libc::{c_int, size_t};
use logic::printf::{self, Arguments, Output};

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
    let mut output = Output::new(room);
    match printf::format(format, &mut Variadic(&mut arguments), &mut output) {
        Ok(()) => c_int::try_from(output.length())
            .unwrap_or_else(|_| errno::fail(libc::EOVERFLOW) as c_int),
        Err(printf::Unknown) => errno::fail(libc::ENOSYS) as c_int,
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
