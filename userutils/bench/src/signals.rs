//! Signals to oneself.

use crate::sample::{Bench, ticks};
use guest::Result;
use guest::process::{pid, tid};
use guest::signal::{SIG_DFL, SIGUSR1, SigInfo, catch, mask, raise, set};
use std::sync::atomic::{AtomicU64, Ordering};

/// When the handler was entered.
static ENTERED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_: usize, _: &SigInfo, _: usize) {
    ENTERED.store(ticks(), Ordering::Relaxed);
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    // The row's calls cannot fail: the arguments are good.
    bench.row("sigaction", 50, 2000, || catch(SIGUSR1, handler, 0));
    bench.row("sigprocmask", 50, 2000, || mask(0, 0));
    let (process, thread) = (pid(), tid());
    bench.row("signal_self_rt", 50, 2000, || raise(process, thread, SIGUSR1));
    for _ in 0..2000 {
        let start = ticks();
        raise(process, thread, SIGUSR1)?;
        bench.add(ENTERED.load(Ordering::Relaxed).saturating_sub(start));
    }
    bench.report("signal_to_handler", 1);
    set(SIGUSR1, SIG_DFL, 0)?;
    Ok(())
}
