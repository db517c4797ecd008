//! Reads of a terminal that wait: since when, and when the first of them may no longer.

use redox_scheme::{CallerCtx, Id};
use syscall::error::{EIO, EWOULDBLOCK, Error, Result};

use crate::foreground::{Standing, signal_group, standing};
use crate::terminal::Read;

/// The reads that wait for a daemon's terminals.
#[derive(Default)]
pub struct Reads {
    /// Each, and when it began (ns).
    waiting: Vec<(Id, u64)>,
    /// When the first of them may no longer wait (ns).
    deadline: Option<u64>,
}

impl Reads {
    /// Tries a read of a terminal whose foreground group this is. `read` is told since when it waits.
    ///
    /// # Errors
    /// `EWOULDBLOCK` while it has to wait: for input, or for its group to have the terminal. `EIO` when
    /// its group has not, and nothing would stop it. What `read` says.
    pub fn try_read(
        &mut self,
        ctx: &CallerCtx,
        group: Option<u32>,
        now: u64,
        read: impl FnOnce(u64) -> Result<Read>,
    ) -> Result<usize> {
        let began = self.waiting.iter().find(|(id, _)| *id == ctx.id).map(|&(_, began)| began);
        match standing(ctx.pid, group, libc::SIGTTIN) {
            Standing::Foreground => {}
            Standing::Deaf => return Err(Error::new(EIO)),
            Standing::Background { group } => {
                // Told once. The read waits until its group has the terminal.
                if began.is_none() {
                    self.waiting.push((ctx.id, now));
                    signal_group(group, libc::SIGTTIN);
                }
                return Err(Error::new(EWOULDBLOCK));
            }
        }
        match read(began.unwrap_or(now))? {
            Read::Done(length) => {
                self.ended(ctx.id);
                Ok(length)
            }
            Read::Wait(until) => {
                if began.is_none() {
                    self.waiting.push((ctx.id, now));
                }
                self.deadline = [self.deadline, until].into_iter().flatten().min();
                Err(Error::new(EWOULDBLOCK))
            }
        }
    }

    /// A read waits no more.
    pub fn ended(&mut self, request: Id) {
        self.waiting.retain(|&(id, _)| id != request);
    }

    /// When to try the waiting reads again at the latest (ns).
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// All are about to be tried again: those that go on waiting say anew until when.
    pub fn begin_anew(&mut self) {
        self.deadline = None;
    }
}
