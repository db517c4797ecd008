//! Event queues.

use crate::file::{File, open};
use abi::redox::data::Event;
use abi::redox::error::Result;
use abi::redox::flag::{EventFlags, O_RDWR};

/// A queue of events.
#[derive(Debug)]
pub struct Queue(pub File);

impl Queue {
    /// A new queue. `flags` such as `O_NONBLOCK` are added.
    pub fn new(flags: usize) -> Result<Self> {
        open("event:", O_RDWR | flags).map(Self)
    }

    /// Watches a descriptor; no flags: no longer. `data` comes back with its events.
    #[inline(always)]
    pub fn watch(&self, fd: usize, flags: EventFlags, data: usize) -> Result<usize> {
        self.0.write(&Event { id: fd, flags, data })
    }

    /// Takes events; returns how many.
    #[inline(always)]
    pub fn take(&self, events: &mut [Event]) -> Result<usize> {
        let length = core::mem::size_of_val(events);
        // SAFETY: an event is three plain words.
        let bytes =
            unsafe { core::slice::from_raw_parts_mut(events.as_mut_ptr().cast::<u8>(), length) };
        self.0.read(bytes).map(|count| count / size_of::<Event>())
    }
}
