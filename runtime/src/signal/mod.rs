//! Signals: a thin layer over the kernel's, which keeps dispositions, masks and contexts.

mod alarm;
mod timer;
mod wait;

use crate::errno::{self, Answer};
use crate::process::ids;
use crate::sys::{Result, error, syscall};
use crate::thread::record::{self, Thread};
use abi::number::{
    KILL, SIGACTION, SIGALTSTACK, SIGPENDING, SIGPROCMASK, SIGQUEUE, SIGRETURN, SIGSUSPEND, TGKILL,
};
use abi::signal::{SIG_DFL, SIGNAL_MAX, SigAction, SignalStack};
use core::arch::naked_asm;
use core::mem::zeroed;
use core::ptr::null;
use core::sync::atomic::Ordering::Relaxed;
use libc::{c_char, c_int, pid_t, sighandler_t, sigset_t};

/// The flags that reach the kernel; `SA_SIGINFO` needs nothing, for every handler gets all three
/// arguments.
const FLAGS: usize = abi::signal::SA_NOCLDSTOP
    | abi::signal::SA_ONSTACK
    | abi::signal::SA_RESTART
    | abi::signal::SA_NODEFER
    | abi::signal::SA_RESETHAND;

/// Where every handler returns to.
#[unsafe(naked)]
unsafe extern "C" fn restorer() -> ! {
    naked_asm!("mov eax, {number}", "syscall", "ud2", number = const SIGRETURN)
}

fn number(signal: c_int) -> Result<usize> {
    match usize::try_from(signal) {
        Ok(signal @ 1..=SIGNAL_MAX) => Ok(signal),
        _ => error(libc::EINVAL),
    }
}

/// Sets and asks for what happens on a signal.
fn act(signal: c_int, new: Option<&SigAction>) -> Result<SigAction> {
    let mut old = SigAction::default();
    let new = new.map_or(null(), |new| &raw const *new);
    // SAFETY: the kernel reads the new action and fills the old one.
    unsafe { syscall(SIGACTION, [number(signal)?, new as usize, &raw mut old as usize]) }?;
    Ok(old)
}

fn action(handler: usize, flags: usize, mask: u64) -> SigAction {
    SigAction { handler, flags: flags & FLAGS, mask, restorer: restorer as *const () as usize }
}

/// Sets and asks for what happens on a signal, in the C form.
///
/// # Safety
///
/// `new` is null or points at an action whose handler is a handler; `old` is null or writable.
pub(crate) unsafe fn exchange(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> Result<usize> {
    // SAFETY: as promised by the caller. Fields are read one by one, for padding may hold anything.
    let new = (!new.is_null()).then(|| unsafe {
        action((*new).sa_sigaction, (*new).sa_flags as u32 as usize, (*new).sa_mask)
    });
    let was = act(signal, new.as_ref())?;
    if !old.is_null() {
        // SAFETY: as promised by the caller; all zero is a valid `sigaction`. The kernel's flags
        // are those of C, so they fit an `int`.
        unsafe {
            old.write(zeroed());
            (*old).sa_sigaction = was.handler;
            (*old).sa_flags = was.flags as c_int;
            (*old).sa_mask = was.mask;
        }
    }
    Ok(0)
}

/// Changes this thread's mask.
///
/// # Safety
///
/// `new` is null or readable, `old` is null or writable.
pub(crate) unsafe fn change_mask(
    how: c_int,
    new: *const sigset_t,
    old: *mut sigset_t,
) -> Result<usize> {
    // SAFETY: as promised by the caller.
    unsafe { syscall(SIGPROCMASK, [how as usize, new as usize, old as usize]) }
}

/// Takes a signal off this thread's mask.
pub(crate) fn unblock(signal: c_int) {
    let set: sigset_t = 1 << (signal - 1);
    // SAFETY: the kernel only reads the set.
    let changed = unsafe { change_mask(libc::SIG_UNBLOCK, &raw const set, core::ptr::null_mut()) };
    debug_assert!(changed.is_ok());
}

/// Gives a signal its default action.
pub(crate) fn reset(signal: c_int) {
    let changed = act(signal, Some(&action(SIG_DFL, 0, 0)));
    debug_assert!(changed.is_ok());
}

/// Sends a signal to this thread.
pub(crate) fn send_self(signal: c_int) -> c_int {
    send_to_thread(record::current_id() as usize, signal).zero()
}

/// A signal's number, or the 0 that only asks whether one could be sent.
fn number_or_none(signal: c_int) -> Result<usize> {
    if signal == 0 { Ok(0) } else { number(signal) }
}

fn send_to_thread(thread: usize, signal: c_int) -> Result<usize> {
    // SAFETY: no memory is involved.
    unsafe { syscall(TGKILL, [ids::process(), thread, number_or_none(signal)?]) }
}

/// Sends a signal to what `pid` describes.
pub(crate) fn send(pid: isize, signal: c_int) -> Result<usize> {
    // SAFETY: no memory is involved.
    unsafe { syscall(KILL, [pid as usize, number_or_none(signal)?]) }
}

/// Sends a signal to a process, a group or all.
#[unsafe(no_mangle)]
extern "C" fn kill(pid: pid_t, signal: c_int) -> c_int {
    send(pid as isize, signal).zero()
}

/// Sends a signal to a group.
#[unsafe(no_mangle)]
extern "C" fn killpg(group: pid_t, signal: c_int) -> c_int {
    if group < 0 {
        return errno::fail(libc::EINVAL) as c_int;
    }
    kill(-group, signal)
}

/// Sends a signal to a process, with a value for who takes it.
#[unsafe(no_mangle)]
extern "C" fn sigqueue(pid: pid_t, signal: c_int, value: libc::sigval) -> c_int {
    let sent = number_or_none(signal).and_then(|signal| {
        // A group cannot be meant: such a number is nobody's.
        let arguments = [pid as isize as usize, signal, value.sival_ptr as usize];
        // SAFETY: the value goes through the kernel as a number.
        unsafe { syscall(SIGQUEUE, arguments) }
    });
    sent.zero()
}

/// Sends a signal to the calling thread.
#[unsafe(no_mangle)]
extern "C" fn raise(signal: c_int) -> c_int {
    send_self(signal)
}

/// Sends a signal to a thread. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_kill(thread: libc::pthread_t, signal: c_int) -> c_int {
    // SAFETY: the caller's thread has not been joined.
    let id = unsafe { &*thread.cast::<Thread>() }.id.load(Relaxed);
    let id =
        if core::ptr::eq(thread.cast(), record::current()) { record::current_id() } else { id };
    errno::code(send_to_thread(id as usize, signal).map(drop))
}

/// Sets and asks for what happens on a signal.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { exchange(signal, new, old) }.zero()
}

/// Sets what happens on a signal, and returns what did.
#[unsafe(no_mangle)]
extern "C" fn signal(signal: c_int, handler: sighandler_t) -> sighandler_t {
    match act(signal, Some(&action(handler, abi::signal::SA_RESTART, 0))) {
        Ok(old) => old.handler,
        Err(error) => {
            errno::set(error.errno);
            libc::SIG_ERR
        }
    }
}

/// Changes this thread's mask.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigprocmask(how: c_int, new: *const sigset_t, old: *mut sigset_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { change_mask(how, new, old) }.zero()
}

/// Changes this thread's mask. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_sigmask(
    how: c_int,
    new: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    // SAFETY: the same contract.
    errno::code(unsafe { change_mask(how, new, old) }.map(drop))
}

/// The signals that wait for this thread to unblock them.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigpending(set: *mut sigset_t) -> c_int {
    // SAFETY: the caller gave a place for the answer.
    unsafe { syscall(SIGPENDING, [set as usize]) }.zero()
}

/// Waits for a signal under another mask.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigsuspend(mask: *const sigset_t) -> c_int {
    // SAFETY: the kernel only reads the mask.
    unsafe { syscall(SIGSUSPEND, [mask as usize]) }.zero()
}

/// Waits for a signal.
#[unsafe(no_mangle)]
extern "C" fn pause() -> c_int {
    let mut mask: sigset_t = 0;
    // SAFETY: the kernel fills the mask, then reads it.
    unsafe {
        match change_mask(libc::SIG_BLOCK, null(), &raw mut mask) {
            Ok(_) => sigsuspend(&raw const mask),
            Err(error) => errno::fail(error.errno) as c_int,
        }
    }
}

/// Empties a set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigemptyset(set: *mut sigset_t) -> c_int {
    // SAFETY: the caller gave a place for the answer.
    unsafe { set.write(0) };
    0
}

/// Fills a set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigfillset(set: *mut sigset_t) -> c_int {
    // SAFETY: the caller gave a place for the answer.
    unsafe { set.write(sigset_t::MAX) };
    0
}

/// Reads and changes one bit of a set.
unsafe fn change_set(
    set: *mut sigset_t,
    signal: c_int,
    change: impl FnOnce(sigset_t, sigset_t) -> sigset_t,
) -> c_int {
    let changed = number(signal).map(|signal| {
        // SAFETY: the caller's set may be read and written.
        unsafe { set.write(change(set.read(), 1 << (signal - 1))) };
        0_isize
    });
    changed.int()
}

/// Adds a signal.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaddset(set: *mut sigset_t, signal: c_int) -> c_int {
    // SAFETY: the same contract.
    unsafe { change_set(set, signal, |set, bit| set | bit) }
}

/// Removes a signal.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigdelset(set: *mut sigset_t, signal: c_int) -> c_int {
    // SAFETY: the same contract.
    unsafe { change_set(set, signal, |set, bit| set & !bit) }
}

/// Whether a signal is in a set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigismember(set: *const sigset_t, signal: c_int) -> c_int {
    // SAFETY: the caller's set may be read.
    number(signal).map(|signal| unsafe { set.read() } >> (signal - 1) & 1).int()
}

/// Gives handlers with `SA_ONSTACK` another stack, on this thread, and tells which they had. Each
/// thread begins with one, which is enough for a message.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaltstack(new: *const libc::stack_t, old: *mut libc::stack_t) -> c_int {
    // SAFETY: the kernel reads the new one and fills the old one, whose layout it shares.
    unsafe { syscall(SIGALTSTACK, [new as usize, old as usize]) }.zero()
}

/// Gives the calling thread its first stack for handlers.
pub(crate) fn set_alternate_stack(address: usize, size: usize) -> Result<usize> {
    let stack = SignalStack { address, flags: 0, size };
    // SAFETY: the kernel only reads the structure.
    unsafe { syscall(SIGALTSTACK, [&raw const stack as usize, 0]) }
}

const _: () = assert!(size_of::<libc::stack_t>() == size_of::<SignalStack>());

/// What a signal is called.
#[unsafe(no_mangle)]
extern "C" fn strsignal(signal: c_int) -> *const c_char {
    let names = &NAMES;
    let name = usize::try_from(signal).ok().and_then(|signal| names.get(signal));
    name.unwrap_or(&names[0]).as_ptr().cast()
}

/// Names with a NUL, by number.
static NAMES: [[u8; 16]; 32] = {
    let mut names = [*b"Unknown signal\0\0"; 32];
    let mut signal = 1;
    while signal < 32 {
        let name = abi::signal::name(signal).expect("31 signals have names").as_bytes();
        names[signal] = [0; 16];
        let mut at = 0;
        while at < name.len() {
            names[signal][at] = name[at];
            at += 1;
        }
        signal += 1;
    }
    names
};
