//! `sys:stat` — counters.

/// How one CPU has spent its time, in the machine's ticks.
#[derive(Clone, Copy, Default, Debug)]
pub struct Times {
    /// In user code.
    pub user: u64,
    /// In the kernel.
    pub kernel: u64,
    /// Halted.
    pub idle: u64,
}

/// What one CPU has done.
#[derive(Clone, Copy, Default, Debug)]
pub struct CpuStats {
    /// Interrupts taken.
    pub interrupts: u64,
    /// Threads given to it.
    pub switches: u64,
}

/// What the whole kernel has counted.
pub struct Stats {
    /// When user code first ran, in ticks; 0 before.
    pub first_user: u64,
    /// Processes and threads ever made.
    pub contexts_created: u64,
    /// Page faults of user code.
    pub faults: u64,
    /// Calls by slot of the call table; the last is for unknown numbers.
    pub calls: [u64; crate::syscall::SLOTS + 1],
    /// Interrupts by line.
    pub lines: [u64; 256],
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            first_user: 0,
            contexts_created: 0,
            faults: 0,
            calls: [0; crate::syscall::SLOTS + 1],
            lines: [0; 256],
        }
    }
}
