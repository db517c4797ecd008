//! Resource limits, which `proc:self` tells, and CPUs.

use crate::errno::Answer;
use crate::sys::file::File;
use crate::sys::{Result, error};
use crate::system::{self, read_file};
use abi::number::O_CLOEXEC;
use abi::redox::flag::O_WRONLY;
use core::fmt::{self, Write};
use libc::{c_int, rlim_t, rlimit};

/// Where the limits are.
const LIMITS: &[u8] = b"/scheme/proc/self/limits";
/// Room for what is read there.
const ROOM: usize = 2048;

/// What `proc:self/limits` has for a limit that can be set: its key there, and what it is called
/// when it is written.
fn keys(resource: c_int) -> Option<(&'static [u8], &'static str)> {
    match resource {
        libc::RLIMIT_NOFILE => Some((b"Descriptors:", "descriptors")),
        libc::RLIMIT_AS => Some((b"Memory:", "memory")),
        libc::RLIMIT_CORE => Some((b"Core:", "core")),
        _ => None,
    }
}

/// What a limit is.
pub(crate) fn limit(resource: c_int) -> Result<rlim_t> {
    let Some((key, _)) = keys(resource) else {
        return match resource {
            libc::RLIMIT_STACK => Ok(abi::STACK_SIZE as rlim_t),
            0..libc::RLIMIT_NLIMITS => Ok(libc::RLIM_INFINITY),
            _ => error(libc::EINVAL),
        };
    };
    let mut buffer = [0; ROOM];
    let text = read_file(LIMITS, &mut buffer)?;
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key));
    // In use, and the most.
    let most = line.and_then(|line| line.split(|byte| *byte == b' ').nth(2));
    match most {
        Some(b"none") => Ok(libc::RLIM_INFINITY),
        Some(digits) => {
            let number = core::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
            number.map_or_else(|| error(libc::EIO), Ok)
        }
        None => error(libc::EIO),
    }
}

/// What a limit is: the hard one is the same.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrlimit(resource: c_int, place: *mut rlimit) -> c_int {
    let told = limit(resource).map(|limit| {
        // SAFETY: the caller gave a place for the answer.
        unsafe { place.write(rlimit { rlim_cur: limit, rlim_max: limit }) };
        0_isize
    });
    told.zero()
}

/// Sets a limit that the kernel knows; the others may be set to what they are.
fn set(resource: c_int, wanted: rlimit) -> Result<usize> {
    let have = limit(resource)?;
    if wanted.rlim_cur > wanted.rlim_max {
        return error(libc::EINVAL);
    }
    let most = wanted.rlim_cur;
    if most == have {
        return Ok(0);
    }
    let Some((_, name)) = keys(resource) else { return error(libc::EINVAL) };
    let mut text = Text { bytes: [0; 40], length: 0 };
    let written = match most {
        libc::RLIM_INFINITY => write!(text, "{name} none"),
        most => write!(text, "{name} {most}"),
    };
    written.or_else(|_| error(libc::EINVAL))?;
    let file = File::open(LIMITS, O_WRONLY | O_CLOEXEC)?;
    file.write(text.bytes())
}

/// Sets a limit: of memory, of descriptors, or that there is to be no core. There is one limit for
/// each, so the hard one becomes what the soft one is.
#[unsafe(no_mangle)]
unsafe extern "C" fn setrlimit(resource: c_int, place: *const rlimit) -> c_int {
    // SAFETY: the caller's limit is readable.
    set(resource, unsafe { place.read() }).zero()
}

/// A few words.
struct Text {
    bytes: [u8; 40],
    length: usize,
}

impl Text {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes[self.length..].get_mut(..text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// The CPUs that a process may run on: all, one bit for each.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(
    _pid: libc::pid_t,
    size: libc::size_t,
    set: *mut core::ffi::c_void,
) -> c_int {
    let told = system::cpus().and_then(|count| {
        let count = count as usize;
        if size * 8 < count {
            return error(libc::EINVAL);
        }
        // SAFETY: the caller gave `size` bytes.
        let bytes = unsafe {
            set.cast::<u8>().write_bytes(0, size);
            core::slice::from_raw_parts_mut(set.cast::<u8>(), size)
        };
        for cpu in 0..count {
            bytes[cpu / 8] |= 1 << (cpu % 8);
        }
        Ok(0_isize)
    });
    told.int()
}
