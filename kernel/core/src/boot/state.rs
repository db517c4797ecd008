//! `sys:state` — what the kernel as a whole is doing, and which changes of that are legal.

use core::fmt;

/// What the kernel is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u32)]
pub enum KernelState {
    /// The boot loader has just handed over.
    #[default]
    EarlyBoot = 0,
    /// The boot stages run.
    Initializing = 1,
    /// Programs run.
    Running = 2,
    /// The stages are being undone.
    ShuttingDown = 3,
    /// It found itself broken.
    Panic = 4,
    /// Asleep.
    Suspended = 5,
}

/// A change of state that is not legal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IllegalChange {
    /// The state it is in, and stays in.
    pub from: KernelState,
    /// The state asked for.
    pub to: KernelState,
}

impl fmt::Display for IllegalChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot go from {:?} to {:?}", self.from, self.to)
    }
}

impl KernelState {
    /// All states, by number.
    pub const ALL: [Self; 6] = [
        Self::EarlyBoot,
        Self::Initializing,
        Self::Running,
        Self::ShuttingDown,
        Self::Panic,
        Self::Suspended,
    ];

    /// Whether the kernel may go from this state to `to`.
    pub const fn may_become(self, to: Self) -> bool {
        use KernelState::*;
        matches!(
            (self, to),
            (EarlyBoot, Initializing)
                | (Initializing, Running)
                | (Initializing, Panic)
                | (Running, ShuttingDown)
                | (Running, Panic)
                | (Running, Suspended)
                | (Suspended, Running)
        )
    }

    /// Changes the state.
    ///
    /// # Errors
    ///
    /// The change is not legal; the state stays.
    pub fn change(&mut self, to: Self) -> Result<(), IllegalChange> {
        if !self.may_become(to) {
            return Err(IllegalChange { from: *self, to });
        }
        *self = to;
        Ok(())
    }
}

/// Name and number, as `sys:state` shows it: `Running 2`.
impl fmt::Display for KernelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} {}", *self as u32)
    }
}
