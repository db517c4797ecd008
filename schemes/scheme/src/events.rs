//! Waiting for several descriptors at once, by an `event:` queue.

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDWR};
use syscall::data::Event;
use syscall::error::Result;
use syscall::flag::{EVENT_TIMEOUT_ID, EventFlags};

/// A queue of events.
pub struct Events {
    queue: Fd,
}

/// What [`Events::wait`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The descriptor watched under this number became ready.
    Ready(usize),
    /// The time is over.
    TimedOut,
}

impl Events {
    /// An empty queue.
    pub fn new() -> Result<Self> {
        Ok(Self { queue: Fd::open("/scheme/event", O_RDWR | O_CLOEXEC, 0)? })
    }

    /// Watches a descriptor until it can be read, under this number. One that can be read already
    /// is reported at once.
    pub fn watch(&self, descriptor: usize, number: usize) -> Result<()> {
        self.tell(Event { id: descriptor, flags: EventFlags::EVENT_READ, data: number })
    }

    /// Ends the next wait after so many milliseconds at the latest.
    pub fn limit(&self, milliseconds: usize) -> Result<()> {
        self.tell(Event { id: EVENT_TIMEOUT_ID, flags: EventFlags::empty(), data: milliseconds })
    }

    /// Waits for the next thing to happen.
    pub fn wait(&self) -> Result<Happened> {
        let mut event = Event::default();
        self.queue.read(&mut event)?;
        Ok(match event.id {
            EVENT_TIMEOUT_ID => Happened::TimedOut,
            _ => Happened::Ready(event.data),
        })
    }

    fn tell(&self, event: Event) -> Result<()> {
        self.queue.write(&event)?;
        Ok(())
    }
}
