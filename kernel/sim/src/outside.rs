//! What threads of the host wait for outside the kernel lock: interrupts, and the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Shared by the machine, its CPUs and whoever waits for its end.
#[derive(Default)]
pub(crate) struct Outside {
    /// An interrupt for a sleeping CPU, or the end. Goes with the kernel lock.
    pub(crate) stirred: Condvar,
    is_over: AtomicBool,
    end: Mutex<End>,
    ended: Condvar,
}

#[derive(Default)]
struct End {
    has_come: bool,
    failure: Option<String>,
}

impl Outside {
    /// The machine has done what it was for.
    pub(crate) fn finish(&self) {
        self.end(None);
    }

    /// Something is wrong. The first failure counts, and one counts more than a good end.
    pub(crate) fn fail(&self, message: String) {
        self.end(Some(message));
    }

    fn end(&self, failure: Option<String>) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.has_come = true;
        end.failure = end.failure.take().or(failure);
        self.is_over.store(true, Ordering::SeqCst);
        self.ended.notify_all();
        self.stirred.notify_all();
    }

    /// Whether CPUs must leave their loops.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Waits for the end. False when it does not come in time.
    pub(crate) fn wait_for_end(&self, limit: Duration) -> bool {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(end, limit, |end| !end.has_come);
        waited.unwrap_or_else(PoisonError::into_inner).0.has_come
    }

    /// What went wrong, if anything did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).failure.clone()
    }
}
