//! The baton: a CPU hands it to a program's thread, and gets it back with the reason.

use crate::context::Child;
use crate::hardware::SpaceNumber;
use abi::redox::IntRegisters;
use kernel_core::machine::{CpuId, Trap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a program's thread gets with the baton.
#[derive(Clone, Copy)]
pub(crate) struct Go {
    pub(crate) registers: IntRegisters,
    pub(crate) cpu: CpuId,
    pub(crate) space: SpaceNumber,
    /// It is to stop after one access.
    pub(crate) is_stepping: bool,
    /// The registers are not those it stopped with, and are not meant to be.
    pub(crate) is_rewritten: bool,
}

/// What the CPU gets back with it.
pub(crate) struct Stop {
    pub(crate) trap: Trap,
    pub(crate) registers: IntRegisters,
    /// What a forked child will run.
    pub(crate) child: Option<Arc<Child>>,
}

enum Turn {
    /// The kernel has the registers.
    Kernel,
    /// The program may go on.
    Program(Go),
    /// The program has gone on.
    Running,
    /// The program has stopped.
    Stopped(Stop),
    /// The kernel has thrown the registers away: the program is no more.
    Gone,
}

/// Shared by a program's thread and whoever has its registers.
pub(crate) struct Baton {
    turn: Mutex<Turn>,
    changed: Condvar,
}

impl Baton {
    pub(crate) fn new() -> Self {
        Self { turn: Mutex::new(Turn::Kernel), changed: Condvar::new() }
    }

    /// The CPU's side: lets the program run until it stops.
    pub(crate) fn run(&self, go: Go) -> Stop {
        let mut turn = self.lock();
        *turn = Turn::Program(go);
        self.changed.notify_all();
        loop {
            if let Turn::Stopped(_) = &*turn
                && let Turn::Stopped(stop) = std::mem::replace(&mut *turn, Turn::Kernel)
            {
                return stop;
            }
            turn = self.wait(turn);
        }
    }

    /// The program's side: hands the baton back without waiting for it.
    pub(crate) fn hand_back(&self, stop: Stop) {
        let mut turn = self.lock();
        if !matches!(*turn, Turn::Gone) {
            *turn = Turn::Stopped(stop);
            self.changed.notify_all();
        }
    }

    /// The program's side: waits for the baton. `None` when it will never come again.
    pub(crate) fn wait_for_turn(&self) -> Option<Go> {
        let mut turn = self.lock();
        loop {
            match *turn {
                Turn::Program(go) => {
                    *turn = Turn::Running;
                    return Some(go);
                }
                Turn::Gone => return None,
                _ => turn = self.wait(turn),
            }
        }
    }

    fn abandon(&self) {
        *self.lock() = Turn::Gone;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, turn: MutexGuard<'a, Turn>) -> MutexGuard<'a, Turn> {
        self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kernel's end of a baton. When the last one goes, so does the program.
pub(crate) struct Handle(pub(crate) Arc<Baton>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
