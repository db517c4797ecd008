//! How far the system has come, from power-on to halt. Only ever forward.

use core::fmt;

/// A part of the system's life. Every boot stage belongs to one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum LifecyclePhase {
    /// The boot loader has just handed over.
    #[default]
    Boot,
    /// Before there is a heap: descriptor tables, traps.
    EarlyInit,
    /// Memory, interrupts, the other CPUs.
    CoreInit,
    /// Drivers, file systems, the first program.
    LateInit,
    /// Programs run.
    Running,
    /// Stages are undone, last first.
    ShuttingDown,
    /// Nothing will happen any more.
    Halted,
}

impl LifecyclePhase {
    /// Goes on to a later phase; false, changing nothing, when `to` is not later.
    pub fn advance(&mut self, to: Self) -> bool {
        let is_later = to > *self;
        if is_later {
            *self = to;
        }
        is_later
    }
}

impl fmt::Display for LifecyclePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Boot => "Boot",
            Self::EarlyInit => "EarlyInit",
            Self::CoreInit => "CoreInit",
            Self::LateInit => "LateInit",
            Self::Running => "Running",
            Self::ShuttingDown => "ShuttingDown",
            Self::Halted => "Halted",
        })
    }
}
