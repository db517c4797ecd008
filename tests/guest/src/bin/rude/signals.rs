//! Signals, sent and caught in every wrong way.

use crate::trial::{Places, dies, in_child};
use guest::abi::redox::error::{EINVAL, EPERM, EPIPE, ESRCH};
use guest::file::pipe;
use guest::process::{Child, Ended, kill, pid, tid};
use guest::report::{Check, equal, refused};
use guest::signal::*;
use guest::time::sleep_ms;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes where nobody may.
fn fault() {
    // SAFETY: ends the process, or is caught, which is the point.
    unsafe { (16 as *mut u8).write_volatile(1) };
}

pub(crate) fn bad_numbers() -> Check {
    let own = pid() as isize;
    for signal in [SIGNAL_MAX + 1, 1 << 32 | SIGUSR1, usize::MAX, 1 << 63] {
        refused(&format!("kill, {signal:#x}"), kill(own, signal), EINVAL)?;
        refused(&format!("tgkill, {signal:#x}"), raise(pid(), tid(), signal), EINVAL)?;
        refused(&format!("sigaction, {signal:#x}"), set(signal, SIG_IGN, 0), EINVAL)?;
    }
    refused("sigaction, 0", set(0, SIG_IGN, 0), EINVAL)?;
    for signal in [SIGKILL, SIGSTOP] {
        refused(&format!("catching {signal}"), set(signal, SIG_IGN, 0), EINVAL)?;
    }
    equal("signal 0 only asks", kill(own, 0), Ok(0))
}

/// A handler that cannot be entered ends the process.
pub(crate) fn bad_handlers() -> Check {
    let places = Places::new()?;
    let addresses = [
        0x10,
        places.good.address,
        places.forbidden(),
        0x7FFF_FFFF_F000,
        0x8000_0000_0000,
        0xDEAD_BEEF_0000_0000,
        0xFFFF_8000_0000_0000,
        0xFFFF_FFFF_8010_0000,
        usize::MAX,
    ];
    for address in addresses {
        dies(&format!("a handler at {address:#x}"), SIGSEGV, || {
            // An address that cannot be a handler's may also be refused at once.
            match set(SIGUSR1, address, 0) {
                Ok(_) => drop(raise(pid(), tid(), SIGUSR1)),
                Err(_) => fault(),
            }
        })?;
    }
    Ok(())
}

static DEPTH: AtomicUsize = AtomicUsize::new(0);
static DEEPEST: AtomicUsize = AtomicUsize::new(0);

/// Sends itself the same signal until it is `DEEPEST` deep.
extern "C" fn nest(signal: usize, _: &SigInfo, _: usize) {
    if DEPTH.fetch_add(1, Ordering::SeqCst) + 1 < DEEPEST.load(Ordering::SeqCst) {
        // The arguments are good.
        let _ = raise(pid(), tid(), signal);
    }
}

pub(crate) fn deep_nesting() -> Check {
    in_child("as deep as may be", || {
        DEEPEST.store(NESTING_MAX, Ordering::SeqCst);
        catch(SIGUSR1, nest, SA_NODEFER)?;
        raise(pid(), tid(), SIGUSR1)?;
        equal("handlers entered", DEPTH.load(Ordering::SeqCst), NESTING_MAX)
    })?;
    dies("one deeper", SIGUSR1, || {
        DEEPEST.store(usize::MAX, Ordering::SeqCst);
        let _ = catch(SIGUSR1, nest, SA_NODEFER);
        let _ = raise(pid(), tid(), SIGUSR1);
    })
}

pub(crate) fn unstoppable() -> Check {
    let child = Child::start(|| {
        // Everything blocked, everything ignored.
        let _ = mask(2, u64::MAX);
        for signal in 1..=SIGNAL_MAX {
            let _ = set(signal, SIG_IGN, 0);
        }
        sleep_ms(60_000);
        0
    })?;
    sleep_ms(20);
    child.signal(SIGTERM)?;
    child.signal(SIGKILL)?;
    let wanted = Some(Ended::Signalled(SIGKILL as u8));
    equal("who blocks everything", child.wait_within(10_000)?, wanted)?;
    let child = Child::start(|| {
        loop {
            std::hint::spin_loop();
        }
    })?;
    sleep_ms(10);
    child.signal(SIGSTOP)?;
    sleep_ms(10);
    child.signal(SIGKILL)?;
    let wanted = Some(Ended::Signalled(SIGKILL as u8));
    equal("who is stopped", child.wait_within(10_000)?, wanted)
}

extern "C" fn faulty(_: usize, _: &SigInfo, _: usize) {
    fault();
}

/// A fault that is blocked, ignored, or happens in the handler for it, ends the process.
pub(crate) fn hidden_faults() -> Check {
    dies("blocked", SIGSEGV, || {
        let _ = mask(0, bit(SIGSEGV));
        fault();
    })?;
    dies("ignored", SIGSEGV, || {
        let _ = set(SIGSEGV, SIG_IGN, 0);
        fault();
    })?;
    dies("in its own handler", SIGSEGV, || {
        let _ = catch(SIGSEGV, faulty, 0);
        fault();
    })?;
    dies("in its own handler, again and again", SIGSEGV, || {
        let _ = catch(SIGSEGV, faulty, SA_NODEFER);
        fault();
    })
}

pub(crate) fn broken_pipe() -> Check {
    dies("nobody reads", SIGPIPE, || {
        // std has every program ignore it.
        let _ = set(SIGPIPE, SIG_DFL, 0);
        if let Ok((reader, writer)) = pipe() {
            drop(reader);
            let _ = writer.write(b"x");
        }
    })?;
    in_child("nobody reads, and that is fine", || {
        set(SIGPIPE, SIG_IGN, 0)?;
        let (reader, writer) = pipe()?;
        drop(reader);
        refused("the write", writer.write(b"x"), EPIPE)
    })
}

pub(crate) fn bad_targets() -> Check {
    let far = isize::MIN;
    for target in [99_999, 1 << 40, -99_999, far, far + 1] {
        refused(&format!("kill {target}"), kill(target, SIGTERM), ESRCH)?;
    }
    refused("killing the first process", kill(1, SIGKILL), EPERM)?;
    refused("stopping it", kill(1, SIGSTOP), EPERM)?;
    refused("a thread of another process", raise(1, tid(), 0), ESRCH)?;
    refused("no thread", raise(pid(), 99_999, 0), ESRCH)?;
    refused("a thread of too many bits", raise(pid(), tid() | 1 << 32, 0), ESRCH)?;
    let child = Child::start(|| {
        sleep_ms(60_000);
        0
    })?;
    let status = guest::process::wait(far, guest::abi::number::WNOHANG);
    equal("a group that cannot be", guest::errno(status), guest::abi::redox::error::ECHILD)?;
    drop(child);
    Ok(())
}
