//! Programs' instructions: closures, each with an address.

use crate::user::User;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What runs when the instruction pointer gets to an address.
pub(crate) type Code = Arc<dyn Fn(&mut User) + Send + Sync>;

/// Where every program image has its code.
pub(crate) const TEXT: usize = 0x40_0000;
/// How much code there can be.
pub(crate) const TEXT_SIZE: usize = 1 << 20;
/// Threads that have stopped have their instruction pointer here, at numbered places.
const POINTS: usize = TEXT + TEXT_SIZE / 2;
/// The distance between two addresses given out.
const STEP: usize = 16;

/// All closures of a machine by address.
#[derive(Default)]
pub(crate) struct Codes {
    by_address: Mutex<BTreeMap<usize, Code>>,
}

impl Codes {
    /// Gives a closure an address.
    pub(crate) fn add(&self, code: Code) -> usize {
        let mut codes = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let address = codes.last_key_value().map_or(TEXT, |(last, _)| *last) + STEP;
        assert!(address < POINTS, "a story has too much code");
        codes.insert(address, code);
        address
    }

    /// The closure at an address.
    pub(crate) fn find(&self, address: usize) -> Option<Code> {
        let codes = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        codes.get(&address).cloned()
    }
}

/// Makes code of something that can run only once.
pub(crate) fn once(run: impl FnOnce(&mut User) + Send + 'static) -> Code {
    let run = Mutex::new(Some(run));
    Arc::new(move |user: &mut User| {
        let taken = run.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.expect("this code runs once")(user);
    })
}

/// The instruction pointer of a thread that stops for the `count`th time.
pub(crate) fn point(count: usize) -> usize {
    POINTS + STEP + count % (TEXT_SIZE / 2 / STEP - 1) * STEP
}

/// The address of the first code a machine gets.
pub(crate) fn first_address() -> usize {
    TEXT + STEP
}
