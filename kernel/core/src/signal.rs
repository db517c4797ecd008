//! Signals: what is pending, what is blocked, what a process wants done.
//!
//! This file keeps the books. Delivering — building the handler's frame, ending the process — is
//! in `kernel/deliver.rs`.

use crate::error::{EINVAL, ENOMEM, Errno};
use crate::machine::Machine;
use crate::memory::UserSlice;
use abi::signal::{
    QUEUE_MAX, SI_TIMER, SIG_DFL, SIG_IGN, SIGKILL, SIGNAL_MAX, SIGNAL_STACK_MIN, SIGSTOP,
    SigAction, SigInfo, is_queued,
};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The mask bit of a signal.
pub const fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

/// Signals nobody can block, catch or ignore.
pub const UNSTOPPABLE: u64 = bit(SIGKILL) | bit(SIGSTOP);

/// Whether `signal` is a signal's number.
pub const fn is_signal(signal: usize) -> bool {
    signal >= 1 && signal <= SIGNAL_MAX
}

/// Signals sent and not yet taken: ordinary ones at most once, real-time ones one behind the other.
#[derive(Default)]
pub struct Pending {
    mask: u64,
    /// The first of each.
    infos: BTreeMap<usize, SigInfo>,
    /// The others, oldest first, at most [`QUEUE_MAX`].
    later: Vec<SigInfo>,
}

impl Pending {
    /// Adds a signal, unless that one is pending and there is no second place for it. Returns whether it
    /// has one of its own.
    pub fn add(&mut self, info: SigInfo) -> bool {
        let signal = info.signo as usize;
        if self.mask & bit(signal) == 0 {
            self.mask |= bit(signal);
            self.infos.insert(signal, info);
            return true;
        }
        let has_room =
            is_queued(signal) && self.later.len() < QUEUE_MAX && self.later.try_reserve(1).is_ok();
        if has_room {
            self.later.push(info);
        }
        has_room
    }

    /// Adds a signal before others of its number: it had been taken.
    pub fn put_back(&mut self, info: SigInfo) {
        let next = self.infos.insert(info.signo as usize, info);
        self.mask |= bit(info.signo as usize);
        if let Some(next) = next.filter(|next| is_queued(next.signo as usize)) {
            self.later.insert(0, next);
        }
    }

    /// Whether a timer's signal is among them.
    pub fn has_timer(&self, timer: usize) -> bool {
        let is_it = |info: &SigInfo| info.code == SI_TIMER && info.pid as usize == timer;
        self.infos.values().any(is_it) || self.later.iter().any(is_it)
    }

    /// Which are pending.
    pub fn mask(&self) -> u64 {
        self.mask
    }

    /// What is known of a pending signal.
    pub fn find(&self, signal: usize) -> Option<SigInfo> {
        self.infos.get(&signal).copied()
    }

    /// Takes the lowest one that `allowed` has, `SIGKILL` before all others; of one number the oldest.
    pub fn take(&mut self, allowed: u64) -> Option<SigInfo> {
        let candidates = self.mask & allowed;
        if candidates == 0 {
            return None;
        }
        let lowest = candidates.trailing_zeros() as usize + 1;
        let signal = if candidates & bit(SIGKILL) != 0 { SIGKILL } else { lowest };
        let info = self.infos.remove(&signal);
        match self.later.iter().position(|later| later.signo as usize == signal) {
            Some(next) => _ = self.infos.insert(signal, self.later.remove(next)),
            None => self.mask &= !bit(signal),
        }
        info
    }

    /// Forgets the signals of a mask.
    pub fn forget(&mut self, which: u64) {
        self.mask &= !which;
        self.infos.retain(|signal, _| bit(*signal) & which == 0);
        self.later.retain(|info| bit(info.signo as usize) & which == 0);
    }
}

/// What a process has decided about signals.
#[derive(Default)]
pub struct ProcessSignals {
    actions: BTreeMap<usize, SigAction>,
    /// For any thread that does not block them.
    pub pending: Pending,
}

impl ProcessSignals {
    /// The action for a signal.
    pub fn action(&self, signal: usize) -> SigAction {
        self.actions.get(&signal).copied().unwrap_or_default()
    }

    /// Sets the action for a signal.
    pub fn set_action(&mut self, signal: usize, action: SigAction) {
        if action.handler == SIG_DFL {
            self.actions.remove(&signal);
        } else {
            self.actions.insert(signal, action);
        }
    }

    /// The signals that are ignored on purpose, and those that have a handler.
    pub fn dispositions(&self) -> (u64, u64) {
        self.actions.iter().fold((0, 0), |(ignored, caught), (signal, action)| {
            match action.handler == SIG_IGN {
                true => (ignored | bit(*signal), caught),
                false => (ignored, caught | bit(*signal)),
            }
        })
    }

    /// What `fork` passes on: actions, not pending signals.
    pub fn for_child(&self) -> Self {
        Self { actions: self.actions.clone(), pending: Pending::default() }
    }

    /// What `exec` keeps: ignored stays ignored, caught goes back to the default.
    pub fn forget_handlers(&mut self) {
        self.actions.retain(|_, action| action.handler == SIG_IGN);
    }
}

/// A thread as a handler interrupted it.
pub struct Interrupted<M: Machine> {
    /// Its registers.
    pub context: M::Context,
    /// Its mask.
    pub mask: u64,
}

impl<M: Machine> Clone for Interrupted<M> {
    fn clone(&self) -> Self {
        Self { context: self.context.clone(), mask: self.mask }
    }
}

/// Memory that handlers with `SA_ONSTACK` run on.
#[derive(Clone, Copy)]
pub struct AlternateStack {
    /// Its lowest byte.
    pub address: usize,
    /// Its size.
    pub size: usize,
}

impl AlternateStack {
    /// The stack at these addresses, none for size 0. `EINVAL`, `ENOMEM`.
    pub fn new(address: usize, size: usize) -> Result<Option<Self>, Errno> {
        if size == 0 {
            return Ok(None);
        }
        UserSlice::new(address, size).map_err(|_| Errno(EINVAL))?;
        if size < SIGNAL_STACK_MIN {
            return Err(Errno(ENOMEM));
        }
        Ok(Some(Self { address, size }))
    }

    /// The address behind it, where a handler begins.
    pub fn top(self) -> usize {
        self.address + self.size
    }

    /// Whether a stack pointer is on it. An empty stack's pointer is its top.
    pub fn holds(self, pointer: usize) -> bool {
        pointer > self.address && pointer <= self.top()
    }
}

/// What a thread has of signals.
pub struct TaskSignals<M: Machine> {
    /// Blocked.
    pub mask: u64,
    /// For this thread only.
    pub pending: Pending,
    /// Handlers it is in, innermost last.
    pub interrupted: Vec<Interrupted<M>>,
    /// Where handlers with `SA_ONSTACK` run.
    pub alternate: Option<AlternateStack>,
    /// The mask to go back to once a wait with another one is over.
    pub suspended_mask: Option<u64>,
    /// Signals that `SIGTIMEDWAIT` waits for, blocked or not.
    pub awaited: u64,
}

impl<M: Machine> TaskSignals<M> {
    /// Whether the thread wants to hear of a signal at once.
    pub fn hears(&self, signal: usize) -> bool {
        (!self.mask | self.awaited | UNSTOPPABLE) & bit(signal) != 0
    }
}

impl<M: Machine> Default for TaskSignals<M> {
    fn default() -> Self {
        Self {
            mask: 0,
            pending: Pending::default(),
            interrupted: Vec::new(),
            alternate: None,
            suspended_mask: None,
            awaited: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::signal::{SIGHUP, SIGTERM};

    fn info(signal: usize) -> SigInfo {
        SigInfo { signo: signal as i32, ..SigInfo::default() }
    }

    #[test]
    fn kill_comes_first_then_the_lowest() {
        let mut pending = Pending::default();
        let kept = [SIGTERM, SIGKILL, SIGHUP, SIGTERM].map(|signal| pending.add(info(signal)));
        assert_eq!(kept, [true, true, true, false]);
        let order: Vec<i32> =
            core::iter::from_fn(|| pending.take(u64::MAX)).map(|i| i.signo).collect();
        assert_eq!(order, [SIGKILL as i32, SIGHUP as i32, SIGTERM as i32]);
    }

    #[test]
    fn a_blocked_signal_stays_pending() {
        let mut pending = Pending::default();
        pending.add(info(SIGTERM));
        assert!(pending.take(!bit(SIGTERM)).is_none());
        assert!(pending.take(u64::MAX).is_some());
    }

    #[test]
    fn real_time_signals_stand_in_line_up_to_a_limit() {
        let mut pending = Pending::default();
        let with = |signal, value| SigInfo { value, ..info(signal) };
        assert!(pending.add(with(41, 0)));
        let kept = (0..QUEUE_MAX + 3).filter(|value| pending.add(with(40, *value))).count();
        assert_eq!(kept, QUEUE_MAX + 1, "the first one needs no place in the line");
        assert!(pending.add(with(42, 0)), "the first of a number always has its place");
        assert!(!pending.add(with(42, 1)));
        let first = pending.take(bit(40)).expect("it is pending");
        pending.put_back(first);
        for value in 0..=QUEUE_MAX {
            assert_eq!(pending.mask() & bit(40), bit(40));
            assert_eq!(pending.take(u64::MAX), Some(with(40, value)));
        }
        assert_eq!(pending.take(u64::MAX), Some(with(41, 0)));
        pending.forget(bit(42));
        assert_eq!((pending.mask(), pending.take(u64::MAX)), (0, None));
    }

    #[test]
    fn exec_keeps_what_is_ignored() {
        let mut signals = ProcessSignals::default();
        signals.set_action(SIGHUP, SigAction { handler: SIG_IGN, ..SigAction::default() });
        signals.set_action(SIGTERM, SigAction { handler: 0x1234, ..SigAction::default() });
        signals.forget_handlers();
        assert_eq!(signals.action(SIGHUP).handler, SIG_IGN);
        assert_eq!(signals.action(SIGTERM).handler, SIG_DFL);
    }
}
