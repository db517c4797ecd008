//! `emergency.restore=lazy` — pages that come back after the world goes on, when they are touched
//! or when their turn comes. What is known of that; the doing is in `kernel/emergency/homecoming`.

use super::block::Run;
use crate::kernel::TimerKey;
use crate::task::QueueId;

/// Pages on their way home.
#[derive(Debug)]
pub struct Homecoming {
    /// Threads that touched a page that is away wait here.
    pub queue: QueueId,
    /// What is being read. Its frames have a reference each for as long, so that whatever their
    /// owners do they are nobody else's.
    pub run: Option<Run>,
    /// How often the disk was asked for the one page that is being read.
    pub tries: u8,
    /// Up to here page by page, because a run came back wrong.
    pub narrow_until: usize,
    /// The next frame of the sweep.
    pub next: usize,
    /// The next step.
    pub timer: Option<TimerKey>,
    /// Pages that came back because they were touched.
    pub touched: usize,
    /// Pages that came back in all.
    pub restored: usize,
    /// Of those, read from the disk.
    pub read_back: usize,
    /// Pages that could not be brought back.
    pub lost: usize,
}

impl Homecoming {
    /// None is on its way. Whoever waits for one waits in `queue`.
    pub fn new(queue: QueueId) -> Self {
        Self {
            queue,
            run: None,
            tries: 0,
            narrow_until: 0,
            next: 0,
            timer: None,
            touched: 0,
            restored: 0,
            read_back: 0,
            lost: 0,
        }
    }
}
