//! What processes have used, which `proc:self` tells.

use crate::errno::Answer;
use crate::process::ids;
use crate::sys::{Result, error};
use crate::system::{self, read_file};
use core::mem::zeroed;
use libc::{c_int, clock_t, rusage, suseconds_t, time_t, timeval, tms};
use logic::numbers::{after_key, decimal};

/// Room for what is read there.
const ROOM: usize = 2048;
const MICROSECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000_000;

/// What somebody has used so far.
struct Use {
    /// Nanoseconds in own code, and in the kernel.
    times: [u64; 2],
    /// The most bytes of memory that were present at once.
    peak: u64,
}

/// Of this process, and of its children that it has waited for.
fn own_and_children() -> Result<[Use; 2]> {
    let mut buffer = [0; ROOM];
    let text = read_file(b"/scheme/proc/self/status", &mut buffer)?;
    let value = |key: &[u8]| after_key(text, key).map_or_else(|| error(libc::EIO), Ok);
    Ok([
        Use { times: [value(b"UserTime:")?, value(b"KernelTime:")?], peak: value(b"Peak:")? },
        Use {
            times: [value(b"ChildUserTime:")?, value(b"ChildKernelTime:")?],
            peak: value(b"ChildPeak:")?,
        },
    ])
}

/// Of this thread; the memory is the process's.
fn thread() -> Result<Use> {
    const FOLDER: &[u8] = b"/scheme/proc/self/thread/";
    const FILE: &[u8] = b"/usage";
    let mut digits = [0; 20];
    let digits = decimal(u64::from(ids::thread()), &mut digits);
    let mut path = [0; FOLDER.len() + 20 + FILE.len()];
    let mut length = 0;
    for part in [FOLDER, digits, FILE] {
        path[length..][..part.len()].copy_from_slice(part);
        length += part.len();
    }
    let mut buffer = [0; ROOM];
    let text = read_file(&path[..length], &mut buffer)?;
    let value = |key: &[u8]| after_key(text, key).map_or_else(|| error(libc::EIO), Ok);
    let times = [value(b"user:")?, value(b"kernel:")?];
    let [own, _] = own_and_children()?;
    Ok(Use { times, peak: own.peak })
}

fn used_by(who: c_int) -> Result<Use> {
    if who == libc::RUSAGE_THREAD {
        return thread();
    }
    let [own, children] = own_and_children()?;
    match who {
        libc::RUSAGE_SELF => Ok(own),
        libc::RUSAGE_CHILDREN => Ok(children),
        libc::RUSAGE_BOTH => Ok(Use {
            times: [own.times[0] + children.times[0], own.times[1] + children.times[1]],
            peak: own.peak.max(children.peak),
        }),
        _ => error(libc::EINVAL),
    }
}

fn time(nanoseconds: u64) -> timeval {
    timeval {
        tv_sec: (nanoseconds / SECOND) as time_t,
        tv_usec: (nanoseconds % SECOND / MICROSECOND) as suseconds_t,
    }
}

/// The times and the most memory of this process, of this thread, or of the children that were waited
/// for.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrusage(who: c_int, place: *mut rusage) -> c_int {
    let told = used_by(who).map(|used| {
        // SAFETY: the caller gave a place for the answer; all zero is a valid one.
        unsafe {
            place.write(zeroed());
            (*place).ru_utime = time(used.times[0]);
            (*place).ru_stime = time(used.times[1]);
            // In KiB, as on other systems.
            (*place).ru_maxrss = (used.peak >> 10) as libc::c_long;
        }
        0_isize
    });
    told.int()
}

/// The times of this process and of the children that were waited for, in ticks, and ticks since the
/// machine started.
#[unsafe(no_mangle)]
unsafe extern "C" fn times(place: *mut tms) -> clock_t {
    let tick = SECOND / system::TICKS as u64;
    let told = own_and_children().and_then(|used| {
        let now = crate::time::read(libc::CLOCK_MONOTONIC)?;
        let now = now.seconds as u64 * SECOND + now.nanoseconds as u64;
        let [[user, kernel], [child_user, child_kernel]] =
            used.map(|used| used.times.map(|time| (time / tick) as clock_t));
        let all = tms {
            tms_utime: user,
            tms_stime: kernel,
            tms_cutime: child_user,
            tms_cstime: child_kernel,
        };
        // SAFETY: the caller gave a place for the answer, or null.
        unsafe { crate::pointer::store(place, all) };
        Ok((now / tick) as isize)
    });
    told.size() as clock_t
}
