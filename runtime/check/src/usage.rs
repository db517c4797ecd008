//! What processes have used, and waiting that leaves the child as it is.

use crate::{Check, Outcome, holds, same};
use std::io;
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("usage/children-count-once-they-are-waited-for", children),
    ("usage/a-thread-has-its-own", threads),
    ("usage/the-most-memory-is-told", memory),
    ("usage/waitid-can-leave-the-child", left),
    ("usage/waitid-can-ask-for-the-living", living),
];

/// `P_PID`, which the `libc` crate does not have for this target.
const P_PID: i32 = 1;

unsafe extern "C" {
    fn waitid(kind: i32, id: libc::pid_t, info: *mut i32, options: i32) -> i32;
}

fn usage(who: libc::c_int) -> libc::rusage {
    // SAFETY: all zero is a valid one, and the place is ours.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    }
}

/// Time in user code.
fn user(who: libc::c_int) -> Duration {
    let time = usage(who).ru_utime;
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

/// Computes until this process has had so much more time.
fn spin(milliseconds: u64) {
    let end = user(libc::RUSAGE_SELF) + Duration::from_millis(milliseconds);
    while user(libc::RUSAGE_SELF) < end {
        let moment = Instant::now();
        while moment.elapsed() < Duration::from_micros(500) {
            std::hint::spin_loop();
        }
    }
}

fn child(act: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child only computes, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        act();
        // SAFETY: the child's end.
        unsafe { libc::_exit(5) };
    }
    child
}

fn wait(pid: libc::pid_t) -> libc::pid_t {
    // SAFETY: nothing is told.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }
}

fn wait_id(pid: libc::pid_t, options: libc::c_int) -> Result<[i32; 32], i32> {
    let mut info = [0; 32];
    // SAFETY: the place is ours, and as large as `siginfo_t`.
    match unsafe { waitid(P_PID, pid, info.as_mut_ptr(), options) } {
        0 => Ok(info),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or_default()),
    }
}

fn children() -> Outcome {
    let before = user(libc::RUSAGE_CHILDREN);
    let pid = child(|| {
        wait(child(|| spin(40)));
        spin(20);
    });
    std::thread::sleep(Duration::from_millis(20));
    same!(user(libc::RUSAGE_CHILDREN), before);
    same!(wait(pid), pid);
    let used = user(libc::RUSAGE_CHILDREN) - before;
    holds!(used >= Duration::from_millis(59), "{used:?}");
    let both = user(libc::RUSAGE_BOTH);
    holds!(both >= user(libc::RUSAGE_CHILDREN) + user(libc::RUSAGE_SELF) / 2, "{both:?}");
    // SAFETY: all zero is a valid one, and the place is ours.
    let ticks = unsafe {
        let mut ticks: libc::tms = std::mem::zeroed();
        libc::times(&mut ticks);
        ticks
    };
    same!(ticks.tms_cutime as u128, user(libc::RUSAGE_CHILDREN).as_millis() / 10);
    // SAFETY: the place is ours.
    same!(unsafe { libc::getrusage(7, &mut std::mem::zeroed()) }, -1);
    same!(io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
    Ok(())
}

fn threads() -> Outcome {
    let other = std::thread::spawn(|| {
        spin(20);
        user(libc::RUSAGE_THREAD)
    });
    let other = other.join().map_err(|_| "the other thread failed")?;
    holds!(other >= Duration::from_millis(10), "{other:?}");
    let own = user(libc::RUSAGE_THREAD);
    holds!(own + other <= user(libc::RUSAGE_SELF) + Duration::from_millis(1), "{own:?} {other:?}");
    Ok(())
}

fn memory() -> Outcome {
    const MIB: i64 = 1 << 10;
    let pid = child(|| drop(std::hint::black_box(vec![1_u8; 24 << 20])));
    same!(wait(pid), pid);
    let most = usage(libc::RUSAGE_CHILDREN).ru_maxrss;
    holds!(most >= 24 * MIB, "{most} KiB");
    Ok(())
}

fn left() -> Outcome {
    let pid = child(|| {});
    for _ in 0..2 {
        let told = wait_id(pid, libc::WEXITED | libc::WNOWAIT);
        same!(told.map(|info| info[0]), Ok(libc::SIGCHLD));
    }
    same!(wait(pid), pid);
    same!(wait_id(pid, libc::WEXITED | libc::WNOWAIT).err(), Some(libc::ECHILD));
    for nothing in [0, libc::WNOHANG, libc::WNOWAIT] {
        same!(wait_id(pid, nothing).err(), Some(libc::EINVAL));
    }
    Ok(())
}

fn living() -> Outcome {
    let pid = child(|| {
        // SAFETY: it stops itself, and ends when it goes on.
        unsafe { libc::raise(libc::SIGSTOP) };
    });
    let stopped = wait_id(pid, libc::WSTOPPED | libc::WNOWAIT);
    same!(stopped.map(|info| info[0]), Ok(libc::SIGCHLD));
    same!(wait_id(pid, libc::WSTOPPED).map(|info| info[0]), Ok(libc::SIGCHLD));
    same!(wait_id(pid, libc::WSTOPPED | libc::WNOHANG).map(|info| info[0]), Ok(0));
    // SAFETY: it is our child.
    same!(unsafe { libc::kill(pid, libc::SIGCONT) }, 0);
    same!(wait_id(pid, libc::WCONTINUED).map(|info| info[0]), Ok(libc::SIGCHLD));
    same!(wait_id(pid, libc::WEXITED | libc::WNOWAIT).map(|info| info[0]), Ok(libc::SIGCHLD));
    same!(wait_id(pid, libc::WSTOPPED).err(), Some(libc::ECHILD));
    same!(wait(pid), pid);
    Ok(())
}
