//! Signals that come with a value, and as often as they were sent; timers that say who they are.

use crate::signals::{Event, Times, timer_create, timer_delete, timer_settime};
use crate::{Check, Outcome, same};
use std::io::Error;
use std::mem::zeroed;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("values/real-time-signals-come-in-line", in_line),
    ("values/a-handler-is-told-the-value", handler),
    ("values/the-line-has-an-end", limit),
    ("values/who-may-not-send-is-told", refused),
    ("values/a-timer-says-its-value-and-what-was-missed", timer),
    ("values/a-timer-calls-a-function", function),
    ("values/a-timers-thread-ends-with-it", thread_ends),
];

/// The first real-time signal; the libc crate has no name for it on this target.
const RTMIN: i32 = 35;
const RTMAX: i32 = 64;
/// How a signal came.
const SI_QUEUE: i32 = -1;
const SI_TIMER: i32 = -2;
const SIGEV_SIGNAL: i32 = 0;
const SIGEV_THREAD: i32 = 2;

unsafe extern "C" {
    fn timer_getoverrun(timer: *mut libc::c_void) -> i32;
}

fn value(value: usize) -> libc::sigval {
    libc::sigval { sival_ptr: value as *mut libc::c_void }
}

fn send(signal: i32, number: usize) -> i32 {
    // SAFETY: no memory is involved.
    unsafe { libc::sigqueue(libc::getpid(), signal, value(number)) }
}

fn milliseconds(count: i64) -> libc::timespec {
    libc::timespec { tv_sec: 0, tv_nsec: count * 1_000_000 }
}

/// Blocks signals, and gives the set of them.
fn block(signals: &[i32]) -> libc::sigset_t {
    let set = signals.iter().fold(0, |set, signal| set | 1 << (signal - 1));
    // SAFETY: the set is ours.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, null_mut()) };
    set
}

fn unblock(set: libc::sigset_t) {
    // SAFETY: the set is ours.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, null_mut()) };
}

/// Takes a signal that is pending: its number, how it came, its value.
fn take(set: libc::sigset_t) -> Option<(i32, i32, usize)> {
    // SAFETY: the places are ours, and the signals are blocked.
    unsafe {
        let mut info: libc::siginfo_t = zeroed();
        let signal = libc::sigtimedwait(&set, &mut info, &milliseconds(0));
        (signal > 0).then_some((signal, info.si_code, info.si_value.sival_ptr as usize))
    }
}

fn in_line() -> Outcome {
    let set = block(&[RTMIN, RTMAX, libc::SIGUSR1]);
    for (signal, number) in [(RTMAX, 1), (RTMIN, 2), (RTMIN, 3), (libc::SIGUSR1, 4)] {
        same!(send(signal, number), 0);
    }
    // An ordinary one that is pending is not sent twice, a real-time one is, even without a value.
    same!(send(libc::SIGUSR1, 5), 0);
    // SAFETY: no memory is involved.
    same!(unsafe { libc::kill(libc::getpid(), RTMIN) }, 0);
    same!(take(set), Some((libc::SIGUSR1, SI_QUEUE, 4)));
    same!(take(set), Some((RTMIN, SI_QUEUE, 2)));
    same!(take(set), Some((RTMIN, SI_QUEUE, 3)));
    same!(take(set), Some((RTMIN, 0, 0)));
    same!(take(set), Some((RTMAX, SI_QUEUE, 1)));
    same!(take(set), None);
    unblock(set);
    Ok(())
}

/// The values that handlers have seen, one digit each.
static SEEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note(_: i32, info: *const libc::siginfo_t, _: *const libc::c_void) {
    // SAFETY: the system has filled it for this handler.
    let info = unsafe { &*info };
    let is_own = info.si_code == SI_QUEUE && info.si_pid == std::process::id() as i32;
    let digit = if is_own { info.si_value.sival_ptr as usize } else { 9 };
    SEEN.store(SEEN.load(SeqCst) * 10 + digit, SeqCst);
}

fn handler() -> Outcome {
    // SAFETY: the handler only reads and stores; all zero is a valid action.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = note as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        same!(libc::sigaction(RTMIN + 1, &action, null_mut()), 0);
    }
    SEEN.store(0, SeqCst);
    same!(send(RTMIN + 1, 7), 0);
    same!(SEEN.load(SeqCst), 7);
    let set = block(&[RTMIN + 1]);
    same!([send(RTMIN + 1, 1), send(RTMIN + 1, 2), send(RTMIN + 1, 3)], [0; 3]);
    unblock(set);
    same!(SEEN.load(SeqCst), 7123);
    Ok(())
}

fn limit() -> Outcome {
    let set = block(&[RTMIN]);
    // SAFETY: only asks.
    let most = unsafe { libc::sysconf(libc::_SC_SIGQUEUE_MAX) } as usize;
    same!(most >= 32, true);
    let sent = (0..).take_while(|number| send(RTMIN, *number) == 0).count();
    same!(Error::last_os_error().raw_os_error(), Some(libc::EAGAIN));
    same!(sent >= most, true);
    // Sending without a value succeeds: one more could not be told from the last.
    // SAFETY: no memory is involved.
    same!(unsafe { libc::kill(libc::getpid(), RTMIN) }, 0);
    for number in 0..sent {
        same!(take(set), Some((RTMIN, SI_QUEUE, number)));
    }
    while take(set).is_some() {}
    same!(send(RTMIN, 1), 0);
    same!(take(set), Some((RTMIN, SI_QUEUE, 1)));
    unblock(set);
    Ok(())
}

fn refused() -> Outcome {
    same!(send(0, 1), 0);
    for (signal, pid, errno) in [
        (65, std::process::id() as i32, libc::EINVAL),
        (-1, std::process::id() as i32, libc::EINVAL),
        (libc::SIGUSR1, 99_999_999, libc::ESRCH),
    ] {
        // SAFETY: no memory is involved.
        same!(unsafe { libc::sigqueue(pid, signal, value(0)) }, -1);
        same!(Error::last_os_error().raw_os_error(), Some(errno));
    }
    Ok(())
}

/// A timer that rings every so many milliseconds.
fn timer_of(event: &Event, every: i64) -> Result<*mut libc::c_void, Error> {
    let mut timer = null_mut();
    let times = Times { interval: milliseconds(every), value: milliseconds(every) };
    // SAFETY: the structures are ours.
    let made = unsafe {
        timer_create(libc::CLOCK_MONOTONIC, event, &mut timer) == 0
            && timer_settime(timer, 0, &times, null_mut()) == 0
    };
    made.then_some(timer).ok_or_else(Error::last_os_error)
}

fn timer() -> Outcome {
    let set = block(&[RTMIN]);
    let event = Event {
        value: 77,
        signal: RTMIN,
        notify: SIGEV_SIGNAL,
        function: None,
        attributes: null(),
    };
    let timer = timer_of(&event, 5)?;
    // SAFETY: the timer is there; the place is ours.
    unsafe {
        let mut info: libc::siginfo_t = zeroed();
        let mut missed = 0;
        let start = Instant::now();
        for round in 0..2 {
            if round == 1 {
                std::thread::sleep(Duration::from_millis(40));
            }
            same!(libc::sigtimedwait(&set, &mut info, null()), RTMIN);
            same!((info.si_code, info.si_value.sival_ptr as usize), (SI_TIMER, 77));
            missed += timer_getoverrun(timer);
        }
        let most = start.elapsed().as_millis() as i32 / 5;
        same!((4..=most).contains(&missed), true);
        same!(timer_delete(timer), 0);
        same!(timer_getoverrun(timer), -1);
    }
    while take(set).is_some() {}
    unblock(set);
    Ok(())
}

/// What the function of a timer was told, and which thread called it.
static TOLD: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
static CALLS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn called(value: libc::sigval) {
    TOLD[0].store(value.sival_ptr as usize, SeqCst);
    // SAFETY: only asks.
    TOLD[1].store(unsafe { libc::pthread_self() } as usize, SeqCst);
    CALLS.fetch_add(1, SeqCst);
}

/// A timer that has [`called`] called every 2 ms.
fn calling() -> Result<*mut libc::c_void, Error> {
    let function = Some(called as extern "C" fn(libc::sigval));
    let event = Event { value: 88, signal: 0, notify: SIGEV_THREAD, function, attributes: null() };
    timer_of(&event, 2)
}

fn function() -> Outcome {
    CALLS.store(0, SeqCst);
    let timer = calling()?;
    while CALLS.load(SeqCst) < 3 {
        std::thread::yield_now();
    }
    same!(TOLD[0].load(SeqCst), 88);
    // SAFETY: only asks.
    same!(TOLD[1].load(SeqCst) == unsafe { libc::pthread_self() } as usize, false);
    // SAFETY: the timer is there.
    same!(unsafe { timer_delete(timer) }, 0);
    // One call may be under way.
    std::thread::sleep(Duration::from_millis(20));
    let calls = CALLS.load(SeqCst);
    std::thread::sleep(Duration::from_millis(20));
    same!(CALLS.load(SeqCst), calls);
    Ok(())
}

fn thread_ends() -> Outcome {
    // More than a process may have timers, and each thread takes 2 MiB of addresses.
    for _ in 0..100 {
        let timer = calling()?;
        // SAFETY: the timer is there.
        same!(unsafe { timer_delete(timer) }, 0);
    }
    let event =
        Event { value: 0, signal: 0, notify: SIGEV_THREAD, function: None, attributes: null() };
    same!(timer_of(&event, 1).err().and_then(|error| error.raw_os_error()), Some(libc::EINVAL));
    Ok(())
}
