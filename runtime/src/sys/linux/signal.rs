//! Signals over Linux. Numbers and masks are the same; flags and the order of fields are not.

use super::{Time, failed, linux, number};
use abi::number as own;
use abi::redox::data::TimeSpec;
use abi::signal::{
    SA_NOCLDSTOP, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SIG_IGN, SigAction, SigInfo,
};
use core::arch::naked_asm;

/// Bytes in a mask.
const MASK: usize = 8;
/// Handlers get three arguments, and the action names where they return to.
const ALWAYS: usize = 4 | 0x0400_0000;

/// Lifeboat's flags and Linux's.
const FLAGS: [(usize, usize); 5] = [
    (SA_NOCLDSTOP, 1),
    (SA_ONSTACK, 0x0800_0000),
    (SA_RESTART, 0x1000_0000),
    (SA_NODEFER, 0x4000_0000),
    (SA_RESETHAND, 0x8000_0000),
];

/// An action as Linux lays it out.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

pub(super) unsafe fn call(call: usize, a: [usize; 6]) -> Option<usize> {
    // SAFETY: as promised by the caller.
    Some(unsafe {
        match call {
            own::SIGACTION => act(a[0], a[1] as *const SigAction, a[2] as *mut SigAction),
            own::SIGPROCMASK => linux(number::RT_SIGPROCMASK, [a[0], a[1], a[2], MASK]),
            own::SIGPENDING => linux(number::RT_SIGPENDING, [a[0], MASK]),
            own::SIGSUSPEND => linux(number::RT_SIGSUSPEND, [a[0], MASK]),
            own::SIGTIMEDWAIT => wait(a[0], a[1] as *mut SigInfo, a[2] as *const TimeSpec),
            own::SETTIMER => set_timer(a[0] as *const [TimeSpec; 2], a[1] as *mut [TimeSpec; 2]),
            own::SIGALTSTACK => linux(number::SIGALTSTACK, [a[0], a[1]]),
            own::SIGQUEUE => queue(a[0], a[1], a[2]),
            own::KILL => linux(number::KILL, [a[0], a[1]]),
            own::TGKILL => linux(number::TGKILL, [a[0], a[1], a[2]]),
            _ => return None,
        }
    })
}

#[unsafe(naked)]
unsafe extern "C" fn restorer() -> ! {
    naked_asm!("mov eax, {number}", "syscall", "ud2", number = const number::RT_SIGRETURN)
}

/// Bits of one system's flags as the other's.
fn translated(flags: usize, pairs: impl Iterator<Item = (usize, usize)>) -> usize {
    pairs.filter(|pair| flags & pair.0 != 0).fold(0, |all, pair| all | pair.1)
}

unsafe fn act(signal: usize, new: *const SigAction, old: *mut SigAction) -> usize {
    let mut was = Action::default();
    // SAFETY: the caller's actions are null, or may be read and written.
    unsafe {
        let action = crate::pointer::load(new).map(|new| Action {
            handler: new.handler,
            flags: translated(new.flags, FLAGS.into_iter()) | ALWAYS,
            restorer: restorer as *const () as usize,
            mask: new.mask,
        });
        let new = action.as_ref().map_or(0, |action| &raw const *action as usize);
        let answer = linux(number::RT_SIGACTION, [signal, new, &raw mut was as usize, MASK]);
        if !failed(answer) {
            let flags = translated(was.flags, FLAGS.into_iter().map(|(own, linux)| (linux, own)));
            let restorer = if was.handler <= SIG_IGN { 0 } else { was.restorer };
            let was = SigAction { handler: was.handler, flags, mask: was.mask, restorer };
            crate::pointer::store(old, was);
        }
        answer
    }
}

/// What Linux tells of a signal: its number comes first, its sender behind three numbers and a gap. A
/// value lies where a child's status is.
#[repr(C)]
struct HostInfo {
    signo: i32,
    errno: i32,
    code: i32,
    pad: i32,
    pid: i32,
    uid: u32,
    value: usize,
    more: [usize; 12],
}

unsafe fn queue(pid: usize, signal: usize, value: usize) -> usize {
    const QUEUED: i32 = abi::signal::SI_QUEUE;
    // SAFETY: all zero is a valid structure, which Linux only reads.
    unsafe {
        let mut told: HostInfo = core::mem::zeroed();
        told.code = QUEUED;
        told.pid = linux(number::GETPID, []) as i32;
        told.uid = linux(number::GETUID, []) as u32;
        told.value = value;
        linux(number::RT_SIGQUEUEINFO, [pid, signal, &raw const told as usize])
    }
}

unsafe fn wait(set: usize, place: *mut SigInfo, timeout: *const TimeSpec) -> usize {
    // SAFETY: the caller's timeout is null or readable, its place is writable or null.
    unsafe {
        let mut told: HostInfo = core::mem::zeroed();
        let time = crate::pointer::load(timeout).map(|time| Time::from(&time));
        let timeout = time.as_ref().map_or(0, |time| &raw const *time as usize);
        let arguments = [set, &raw mut told as usize, timeout, MASK];
        let answer = linux(number::RT_SIGTIMEDWAIT, arguments);
        if !failed(answer) {
            let HostInfo { signo, code, pid, uid, value, .. } = told;
            let status = value as i32;
            crate::pointer::store(
                place,
                SigInfo { signo, code, pid, uid, status, value, ..SigInfo::default() },
            );
        }
        answer
    }
}

/// Linux counts microseconds, and has the time between first.
unsafe fn set_timer(new: *const [TimeSpec; 2], old: *mut [TimeSpec; 2]) -> usize {
    const REAL: usize = 0;
    let microseconds = |time: TimeSpec| Time {
        seconds: time.tv_sec,
        nanoseconds: (i64::from(time.tv_nsec) + 999) / 1000,
    };
    let mut was = [Time::default(); 2];
    // SAFETY: the caller's times are null, or may be read and written.
    unsafe {
        let answer = match crate::pointer::load(new) {
            Some([value, interval]) => {
                let new = [microseconds(interval), microseconds(value)];
                let places = [REAL, new.as_ptr() as usize, was.as_mut_ptr() as usize];
                linux(number::SETITIMER, places)
            }
            None => linux(number::GETITIMER, [REAL, was.as_mut_ptr() as usize]),
        };
        let told = was.map(|time| Time { nanoseconds: time.nanoseconds * 1000, ..time }.told());
        crate::pointer::store(old, [told[1], told[0]]);
        answer
    }
}
