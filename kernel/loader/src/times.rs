//! When the loader did what, for the kernel's `sys:boot`.

use boot_info::LoaderTimes;

/// The times so far. `ended` is noted last, by whoever enters the kernel.
pub(crate) struct Times(LoaderTimes);

impl Times {
    /// The loader begins now.
    pub(crate) fn begin() -> Self {
        Self(LoaderTimes { began: now(), ..LoaderTimes::default() })
    }

    /// Does what waits for a person; that time is no work.
    pub(crate) fn waiting<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let before = now();
        let result = wait();
        self.0.waited += now() - before;
        result
    }

    /// The loader is done.
    pub(crate) fn end(self) -> LoaderTimes {
        LoaderTimes { ended: now(), ..self.0 }
    }
}

/// The time-stamp counter.
fn now() -> u64 {
    // SAFETY: reading the counter changes nothing.
    unsafe { core::arch::x86_64::_rdtsc() }
}
