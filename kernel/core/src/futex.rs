//! Threads waiting for a word of memory.

use crate::memory::{Frame, SpaceId};
use crate::task::QueueId;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// Which word. Private memory is named by address, so that copy-on-write and coming back from
/// elsewhere do not lose waiters; shared memory by frame, so that other spaces meet there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FutexKey {
    /// An address of one space.
    Private(SpaceId, usize),
    /// A place in a shared frame.
    Shared(Frame, usize),
}

/// The words that somebody waits for, or did.
#[derive(Default)]
pub struct Futexes {
    queues: HashMap<FutexKey, QueueId>,
}

impl Futexes {
    /// The queue for a word, if it has one. It may be empty.
    pub fn find(&self, key: FutexKey) -> Option<QueueId> {
        self.queues.get(&key).copied()
    }

    /// Makes room for one word more. False when the kernel's heap has none.
    pub fn has_room(&mut self) -> bool {
        self.queues.try_reserve(1).is_ok()
    }

    /// Notes the queue for a word.
    pub fn add(&mut self, key: FutexKey, queue: QueueId) {
        self.queues.insert(key, queue);
    }

    /// Forgets every word whose queue `is_empty`; returns the queues.
    pub fn sweep(&mut self, is_empty: impl Fn(QueueId) -> bool) -> Vec<QueueId> {
        self.queues.extract_if(|_, queue| is_empty(*queue)).map(|(_, queue)| queue).collect()
    }

    /// How many words have a queue.
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}
