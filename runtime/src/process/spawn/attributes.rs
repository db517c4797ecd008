//! `posix_spawnattr_*`: group, session, identity and signals of the child.

use crate::errno;
use crate::sys::{Error, Result};
use core::ffi::c_short;
use libc::{c_int, pid_t, sigset_t};

/// `POSIX_SPAWN_*`, with their usual numbers.
const RESETIDS: c_short = 1;
const SETPGROUP: c_short = 2;
const SETSIGDEF: c_short = 4;
/// The child has the mask of the attributes.
pub(super) const SETSIGMASK: c_short = 8;
/// There is nothing that it would do, or not do.
const USEVFORK: c_short = 64;
const SETSID: c_short = 128;
const KNOWN: c_short = RESETIDS | SETPGROUP | SETSIGDEF | SETSIGMASK | USEVFORK | SETSID;

/// The attributes, in as much room as other C libraries reserve.
#[repr(C)]
pub(super) struct Attributes {
    flags: c_short,
    group: pid_t,
    defaults: sigset_t,
    pub(super) mask: sigset_t,
    reserved: [usize; 39],
}

const _: () = assert!(size_of::<Attributes>() == 336);

fn answer(value: c_int) -> Result<()> {
    if value < 0 { Err(Error::new(errno::get())) } else { Ok(()) }
}

impl Attributes {
    /// Whether a flag is set.
    pub(super) fn has(&self, flag: c_short) -> bool {
        self.flags & flag != 0
    }

    /// In the child: all but the mask, which comes last.
    pub(super) fn apply(&self) -> Result<()> {
        // SAFETY: no memory is involved.
        unsafe {
            if self.has(SETSID) {
                answer(libc::setsid())?;
            }
            if self.has(SETPGROUP) {
                answer(libc::setpgid(0, self.group))?;
            }
            if self.has(RESETIDS) {
                answer(libc::setegid(libc::getgid()))?;
                answer(libc::seteuid(libc::getuid()))?;
            }
            if self.has(SETSIGDEF) {
                for signal in (1..=64).filter(|signal| self.defaults >> (signal - 1) & 1 != 0) {
                    // `SIGKILL` and `SIGSTOP` have no other action.
                    libc::signal(signal, libc::SIG_DFL);
                }
            }
        }
        Ok(())
    }
}

/// Nothing is asked for yet.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_init(place: *mut Attributes) -> c_int {
    let attributes = Attributes { flags: 0, group: 0, defaults: 0, mask: 0, reserved: [0; 39] };
    // SAFETY: the caller gave a place.
    unsafe { place.write(attributes) };
    0
}

/// There is nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn posix_spawnattr_destroy(_place: *mut Attributes) -> c_int {
    0
}

/// Which attributes count. `EINVAL` for those of scheduling, which there are not.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_setflags(place: *mut Attributes, flags: c_short) -> c_int {
    if flags & !KNOWN != 0 {
        return libc::EINVAL;
    }
    // SAFETY: the caller's structure was made by `init`.
    unsafe { (*place).flags = flags };
    0
}

/// Sets the mask that the child gets.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_setsigmask(
    place: *mut Attributes,
    value: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's structure was made by `init`, and its value can be read.
    unsafe { (*place).mask = value.read() };
    0
}

/// Tells the mask that the child gets.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_getsigmask(
    place: *const Attributes,
    value: *mut sigset_t,
) -> c_int {
    // SAFETY: as above, and there is room for the answer.
    unsafe { value.write((*place).mask) };
    0
}

/// Sets the signals whose default actions the child gets back.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_setsigdefault(
    place: *mut Attributes,
    value: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's structure was made by `init`, and its value can be read.
    unsafe { (*place).defaults = value.read() };
    0
}

/// Tells the signals whose default actions the child gets back.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_getsigdefault(
    place: *const Attributes,
    value: *mut sigset_t,
) -> c_int {
    // SAFETY: as above, and there is room for the answer.
    unsafe { value.write((*place).defaults) };
    0
}

/// The child's group; 0 for one of its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_setpgroup(place: *mut Attributes, group: pid_t) -> c_int {
    // SAFETY: the caller's structure was made by `init`.
    unsafe { (*place).group = group };
    0
}

/// Which group the child gets.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_getpgroup(
    place: *const Attributes,
    value: *mut pid_t,
) -> c_int {
    // SAFETY: as above, and there is room for the answer.
    unsafe { value.write((*place).group) };
    0
}

/// Which attributes count.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnattr_getflags(
    place: *const Attributes,
    value: *mut c_short,
) -> c_int {
    // SAFETY: as above.
    unsafe { value.write((*place).flags) };
    0
}
