//! Signals.

use crate::{Check, Outcome, same};
use std::mem::zeroed;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("signals/a-handler-runs-and-returns", handler),
    ("signals/a-blocked-signal-waits", blocked),
    ("signals/an-ignored-signal-is-gone", ignored),
    ("signals/a-sleep-goes-on-after-a-signal", sleep),
    ("signals/sets-keep-their-members", sets),
    ("signals/a-handler-runs-on-its-own-stack", own_stack),
    ("signals/threads-begin-with-a-stack-for-handlers", first_stack),
];

static SEEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: i32) {
    SEEN.store(signal, Ordering::SeqCst);
}

fn catch(signal: i32) -> i32 {
    // SAFETY: the handler only stores; all zero is a valid action.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = note as *const () as usize;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    }
}

fn handler() -> Outcome {
    same!(catch(libc::SIGUSR1), 0);
    SEEN.store(0, Ordering::SeqCst);
    // SAFETY: the signal is caught.
    same!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    same!(SEEN.load(Ordering::SeqCst), libc::SIGUSR1);
    SEEN.store(0, Ordering::SeqCst);
    // SAFETY: as above.
    same!(unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) }, 0);
    same!(SEEN.load(Ordering::SeqCst), libc::SIGUSR1);
    Ok(())
}

fn blocked() -> Outcome {
    same!(catch(libc::SIGUSR2), 0);
    SEEN.store(0, Ordering::SeqCst);
    // SAFETY: the sets are ours, and the signal is caught.
    unsafe {
        let mut set: libc::sigset_t = 0;
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGUSR2);
        same!(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()), 0);
        libc::raise(libc::SIGUSR2);
        same!(SEEN.load(Ordering::SeqCst), 0);
        let mut pending: libc::sigset_t = 0;
        same!(libc::sigpending(&mut pending), 0);
        same!(libc::sigismember(&pending, libc::SIGUSR2), 1);
        same!(libc::sigprocmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()), 0);
    }
    same!(SEEN.load(Ordering::SeqCst), libc::SIGUSR2);
    Ok(())
}

fn ignored() -> Outcome {
    // SAFETY: the signal is ignored, then has its default action again.
    unsafe {
        let old = libc::signal(libc::SIGTERM, libc::SIG_IGN);
        same!(old, libc::SIG_DFL);
        same!(libc::raise(libc::SIGTERM), 0);
        same!(libc::signal(libc::SIGTERM, old), libc::SIG_IGN);
    }
    Ok(())
}

fn sleep() -> Outcome {
    same!(catch(libc::SIGUSR1), 0);
    SEEN.store(0, Ordering::SeqCst);
    // SAFETY: only asks.
    let main = unsafe { libc::pthread_self() } as usize;
    let start = Instant::now();
    let wanted = Duration::from_millis(150);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        // SAFETY: the main thread is there as long as this check runs.
        unsafe { libc::pthread_kill(main as libc::pthread_t, libc::SIGUSR1) }
    });
    std::thread::sleep(wanted);
    let slept = start.elapsed();
    same!(thread.join().map_err(|_| "the thread panicked")?, 0);
    same!((SEEN.load(Ordering::SeqCst), slept >= wanted), (libc::SIGUSR1, true));
    Ok(())
}

fn sets() -> Outcome {
    // SAFETY: the set is ours.
    unsafe {
        let mut set: libc::sigset_t = 0;
        libc::sigfillset(&mut set);
        same!(libc::sigdelset(&mut set, libc::SIGINT), 0);
        same!(libc::sigismember(&set, libc::SIGINT), 0);
        same!(libc::sigismember(&set, libc::SIGTERM), 1);
        same!(libc::sigaddset(&mut set, 0), -1);
        same!(libc::sigaddset(&mut set, 65), -1);
    }
    Ok(())
}

/// Where the last handler's frame was.
static FRAME: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note_frame(_signal: i32) {
    let here = 0_u8;
    FRAME.store(std::hint::black_box(&raw const here) as usize, Ordering::SeqCst);
}

/// The stack for handlers of the calling thread.
fn alternate() -> libc::stack_t {
    // SAFETY: all zero is a valid structure, and ours to fill.
    unsafe {
        let mut stack: libc::stack_t = zeroed();
        libc::sigaltstack(std::ptr::null(), &mut stack);
        stack
    }
}

fn own_stack() -> Outcome {
    let first = alternate();
    let mut room = vec![0_u8; 16_384];
    let range = room.as_ptr_range();
    let inside = |at: usize| (range.start as usize..range.end as usize).contains(&at);
    // SAFETY: the handler only stores; the memory outlives its use as a stack.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = note_frame as *const () as usize;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
        let mut stack: libc::stack_t = zeroed();
        stack.ss_sp = room.as_mut_ptr().cast();
        stack.ss_size = 1024;
        same!(libc::sigaltstack(&stack, std::ptr::null_mut()), -1);
        stack.ss_size = room.len();
        same!(libc::sigaltstack(&stack, std::ptr::null_mut()), 0);
        libc::raise(libc::SIGUSR1);
        same!(inside(FRAME.load(Ordering::SeqCst)), false);
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
        libc::raise(libc::SIGUSR1);
        same!(inside(FRAME.load(Ordering::SeqCst)), true);
        same!(libc::sigaltstack(&first, std::ptr::null_mut()), 0);
    }
    drop(room);
    Ok(())
}

fn first_stack() -> Outcome {
    let own = alternate();
    let others = std::thread::spawn(|| alternate().ss_sp as usize).join();
    let others = others.map_err(|_| "the thread panicked")?;
    same!((own.ss_flags, own.ss_sp.is_null(), others == 0), (0, false, false));
    same!(own.ss_sp as usize == others, false);
    Ok(())
}
