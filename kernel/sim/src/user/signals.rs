//! Signals.

use super::{Answer, User};
use crate::code::{Code, TEXT};
use abi::number::*;
use abi::signal::{SIG_DFL, SIG_IGN, SigAction};
use std::sync::Arc;

/// Where handlers return to. Nothing runs there: [`User`] makes the call itself.
pub(super) const RESTORER: usize = TEXT + 8;

/// A closure that runs with the signal's number.
pub type Handler = Arc<dyn Fn(&mut User, usize) + Send + Sync>;

/// What to do on a signal.
pub enum Action {
    /// What the kernel thinks best.
    Default,
    /// Nothing.
    Ignore,
    /// Run this with the signal's number.
    Run(Handler),
}

impl Action {
    /// Runs a closure.
    pub fn run(handler: impl Fn(&mut User, usize) + Send + Sync + 'static) -> Self {
        Self::Run(Arc::new(handler))
    }
}

impl User {
    /// Sends a signal.
    ///
    /// # Errors
    /// As the call.
    pub fn kill(&mut self, pid: isize, signal: usize) -> Answer {
        self.call(KILL, [pid as usize, signal])
    }

    /// Chooses what to do on a signal. `flags` are `SA_*`.
    pub fn on(&mut self, signal: usize, flags: usize, action: Action) {
        let handler = match action {
            Action::Default => SIG_DFL,
            Action::Ignore => SIG_IGN,
            Action::Run(run) => self.computer.codes().add(handler_code(run)),
        };
        let action = SigAction { handler, flags, mask: 0, restorer: RESTORER };
        self.set_action(signal, action).expect("a good action");
    }

    /// The call itself.
    ///
    /// # Errors
    /// As the call.
    pub fn set_action(&mut self, signal: usize, action: SigAction) -> Answer {
        let SigAction { handler, flags, mask, restorer } = action;
        let words = [handler, flags, mask as usize, restorer];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.with(&bytes, |user, at| user.call(SIGACTION, [signal, at, 0]))
    }

    /// Changes its mask: 0 blocks `set`, 1 unblocks it, 2 sets it. Returns the old one.
    pub fn mask(&mut self, how: usize, set: u64) -> u64 {
        self.with(&set.to_ne_bytes(), |user, new| {
            user.with_room(8, |user, old| {
                user.call(SIGPROCMASK, [how, new, old]).expect("a good mask");
                user.load_word(old) as u64
            })
        })
    }

    /// Signals that wait for this thread.
    pub fn pending(&mut self) -> u64 {
        self.with_room(8, |user, at| {
            user.call(SIGPENDING, [at]).expect("a good address");
            user.load_word(at) as u64
        })
    }

    /// Waits for a signal with another mask.
    ///
    /// # Errors
    /// `EINTR`, always.
    pub fn suspend(&mut self, mask: u64) -> Answer {
        self.with(&mask.to_ne_bytes(), |user, at| user.call(SIGSUSPEND, [at]))
    }
}

/// A handler as a function: checks what it finds on entry, runs, returns to the restorer.
fn handler_code(run: Handler) -> Code {
    Arc::new(move |user: &mut User| {
        let stack = user.registers.rsp;
        assert_eq!(stack % 16, 8, "a function is entered with the return address just pushed");
        assert_eq!(user.load_word(stack), RESTORER);
        let signal = user.registers.rdi;
        assert_eq!(user.load_u32(user.registers.rsi) as usize, signal, "the record agrees");
        run(user, signal);
        user.return_from_handler();
    })
}
