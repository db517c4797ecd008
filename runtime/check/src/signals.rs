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
    ("signals/a-signal-is-taken-without-a-handler", taken),
    ("signals/a-thread-waits-for-signals-of-the-process", sigwait_thread),
    ("signals/an-alarm-rings", alarms),
    ("signals/timers-send-what-they-were-made-for", timers),
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

unsafe extern "C" {
    fn setitimer(which: i32, new: *const libc::itimerval, old: *mut libc::itimerval) -> i32;
    fn getitimer(which: i32, place: *mut libc::itimerval) -> i32;
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    signals.iter().fold(0, |set, signal| set | 1 << (signal - 1))
}

fn taken() -> Outcome {
    let set = set_of(&[libc::SIGUSR1, libc::SIGUSR2]);
    // SAFETY: all places are ours, and the signals are blocked.
    unsafe {
        same!(libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()), 0);
        let soon = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let mut info: libc::siginfo_t = zeroed();
        let start = Instant::now();
        same!(libc::sigtimedwait(&set, &mut info, &soon), -1);
        same!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EAGAIN));
        same!(start.elapsed() >= Duration::from_millis(20), true);
        libc::kill(libc::getpid(), libc::SIGUSR2);
        same!(libc::sigtimedwait(&set, &mut info, &soon), libc::SIGUSR2);
        same!((info.si_signo, info.si_pid), (libc::SIGUSR2, libc::getpid()));
        let bad = libc::timespec { tv_sec: -1, tv_nsec: 0 };
        same!(libc::sigtimedwait(&set, &mut info, &bad), -1);
        same!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
        same!(libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()), 0);
    }
    Ok(())
}

fn sigwait_thread() -> Outcome {
    let set = set_of(&[libc::SIGUSR1, libc::SIGUSR2]);
    // SAFETY: the signals are blocked before the thread begins, which has the mask from here.
    unsafe {
        same!(libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()), 0);
        let waiter = std::thread::spawn(move || {
            let mut seen = [0; 2];
            for place in &mut seen {
                libc::sigwait(&set, place);
            }
            seen
        });
        same!(libc::kill(libc::getpid(), libc::SIGUSR1), 0);
        let mut pending = set;
        while pending & set_of(&[libc::SIGUSR1]) != 0 {
            std::thread::yield_now();
            libc::sigpending(&mut pending);
        }
        same!(libc::kill(libc::getpid(), libc::SIGUSR2), 0);
        same!(waiter.join().map_err(|_| "the thread panicked")?, [libc::SIGUSR1, libc::SIGUSR2]);
        same!(libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut()), 0);
    }
    Ok(())
}

fn alarms() -> Outcome {
    same!(catch(libc::SIGALRM), 0);
    SEEN.store(0, Ordering::SeqCst);
    let wait = || {
        while SEEN.swap(0, Ordering::SeqCst) != libc::SIGALRM {
            std::thread::yield_now();
        }
    };
    let every = libc::timeval { tv_sec: 0, tv_usec: 15_000 };
    // SAFETY: the signal is caught, the places are ours.
    unsafe {
        let start = Instant::now();
        let timer = libc::itimerval { it_interval: every, it_value: every };
        same!(setitimer(0, &timer, std::ptr::null_mut()), 0);
        (0..3).for_each(|_| wait());
        same!(start.elapsed() >= Duration::from_millis(45), true);
        let mut now: libc::itimerval = zeroed();
        same!(getitimer(0, &mut now), 0);
        same!(now.it_interval.tv_usec, 15_000);
        same!(libc::alarm(100), 1);
        same!((99..=100).contains(&libc::alarm(0)), true);
        same!(libc::alarm(0), 0);
        same!(setitimer(1, &timer, std::ptr::null_mut()), -1);
        same!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOSYS));
        same!(setitimer(9, &timer, std::ptr::null_mut()), -1);
        same!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
        libc::alarm(1);
        wait();
    }
    Ok(())
}

/// As C programs know them; the libc crate does not declare them for this target.
#[repr(C)]
pub(crate) struct Event {
    pub(crate) value: usize,
    pub(crate) signal: i32,
    pub(crate) notify: i32,
    pub(crate) function: Option<extern "C" fn(libc::sigval)>,
    pub(crate) attributes: *const libc::pthread_attr_t,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) interval: libc::timespec,
    pub(crate) value: libc::timespec,
}

unsafe extern "C" {
    pub(crate) fn timer_create(
        clock: i32,
        event: *const Event,
        place: *mut *mut libc::c_void,
    ) -> i32;
    pub(crate) fn timer_settime(
        timer: *mut libc::c_void,
        flags: i32,
        new: *const Times,
        old: *mut Times,
    ) -> i32;
    fn timer_gettime(timer: *mut libc::c_void, place: *mut Times) -> i32;
    pub(crate) fn timer_delete(timer: *mut libc::c_void) -> i32;
}

fn time(milliseconds: i64) -> libc::timespec {
    libc::timespec {
        tv_sec: milliseconds / 1000,
        tv_nsec: (milliseconds % 1000 * 1_000_000) as libc::c_long,
    }
}

fn timers() -> Outcome {
    const ABSOLUTE: i32 = 1;
    let none = Times { interval: time(0), value: time(0) };
    let (mut timer, mut old) = (std::ptr::null_mut(), none);
    let attributes = std::ptr::null();
    let event = |notify, signal| Event { value: 0, signal, notify, function: None, attributes };
    let mut set = 0;
    // SAFETY: the structures and the set are ours, and the signals are blocked.
    unsafe {
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGUSR1);
        libc::sigaddset(&mut set, libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        let made = timer_create(libc::CLOCK_MONOTONIC, &event(3, libc::SIGUSR1), &mut timer);
        same!((made, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EINVAL)));
        same!(timer_create(libc::CLOCK_MONOTONIC, &event(0, libc::SIGUSR1), &mut timer), 0);
        let soon = Times { interval: time(5), value: time(20) };
        let begun = std::time::Instant::now();
        same!(timer_settime(timer, 0, &soon, &mut old), 0);
        same!((old.value.tv_sec, old.value.tv_nsec), (0, 0));
        let mut signal = 0;
        for _ in 0..2 {
            same!((libc::sigwait(&set, &mut signal), signal), (0, libc::SIGUSR1));
        }
        same!(begun.elapsed().as_millis() >= 25, true);
        same!(timer_gettime(timer, &mut old), 0);
        same!((old.interval.tv_sec, old.interval.tv_nsec), (0, 5_000_000));
        same!(timer_settime(timer, 0, &none, std::ptr::null_mut()), 0);
        // At a moment that is past it rings at once.
        let mut now = time(0);
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now);
        let past = Times { interval: time(0), value: now };
        let mut other = std::ptr::null_mut();
        same!(timer_create(libc::CLOCK_MONOTONIC, std::ptr::null(), &mut other), 0);
        same!(timer_settime(other, ABSOLUTE, &past, std::ptr::null_mut()), 0);
        while signal != libc::SIGALRM {
            same!(libc::sigwait(&set, &mut signal), 0);
        }
        same!(timer_delete(other), 0);
        same!(timer_delete(timer), 0);
        same!(timer_settime(timer, 0, &soon, std::ptr::null_mut()), -1);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
    }
    Ok(())
}
