//! Signals.

use crate::{Check, Outcome, same};
use std::mem::zeroed;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("signals/a-handler-runs-and-returns", handler),
    ("signals/a-blocked-signal-waits", blocked),
    ("signals/an-ignored-signal-is-gone", ignored),
    ("signals/a-sleep-goes-on-after-a-signal", sleep),
    ("signals/sets-keep-their-members", sets),
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
