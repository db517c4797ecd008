//! FIFOs among a scheme's files: which pipe each has, and who waits to open one.
//!
//! The pipe is the kernel's (`pipe:fifo`), and so are the ends that clients get: the bytes never come
//! here. Who opens waits until somebody opens for the other direction, in the serving loop: `EWOULDBLOCK`,
//! tried again after [`Fifos::progress`].

use std::collections::BTreeMap;

use syscall::error::{EINVAL, ENXIO, EWOULDBLOCK, Error, Result};
use syscall::flag::{O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};

/// Pipes that are kept, at most, unless more are in use: what a kept one costs is a descriptor.
const KEPT_MAX: usize = 64;

/// What keeps a pipe while it has no ends.
pub trait Keeper: Sized {
    /// One end.
    type End;

    /// A new pipe.
    ///
    /// # Errors
    /// Those of opening.
    fn new() -> Result<Self>;

    /// An end: `read`, `write` or `both`; with `-met` only if there is one of the other kind.
    ///
    /// # Errors
    /// `ENXIO` when there is none, and those of opening.
    fn end(&self, kind: &str, nonblocking: bool) -> Result<Self::End>;

    /// Whether it has ends.
    fn is_used(&self) -> bool;
}

/// What somebody opens for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Reads,
    Writes,
    Both,
}

/// Who waits to open.
struct Waiting<F, R> {
    request: R,
    file: F,
    side: Side,
}

/// The FIFOs of a scheme. `F` names a file, `R` a request.
pub struct Fifos<K, F, R> {
    kept: BTreeMap<F, K>,
    waiting: Vec<Waiting<F, R>>,
    has_changed: bool,
}

impl<K, F, R> Default for Fifos<K, F, R> {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), waiting: Vec::new(), has_changed: false }
    }
}

impl<K: Keeper, F: Ord + Copy, R: PartialEq> Fifos<K, F, R> {
    /// An end for a client that opens the file with these `O_*`.
    ///
    /// # Errors
    /// `EWOULDBLOCK` for the serving loop to wait, `ENXIO` for who does not want to and writes where
    /// nobody reads, `EINVAL` for neither direction, and those of opening.
    pub fn open(&mut self, file: F, flags: usize, request: R) -> Result<K::End> {
        self.cancelled(&request);
        let side = match flags & O_ACCMODE {
            O_RDONLY => Side::Reads,
            O_WRONLY => Side::Writes,
            O_RDWR => Side::Both,
            _ => return Err(Error::new(EINVAL)),
        };
        let may_wait = flags & O_NONBLOCK == 0;
        let of_file = || self.waiting.iter().filter(|waiting| waiting.file == file);
        let meets = of_file().any(|waiting| waiting.side != side);
        let is_waited_for = of_file().next().is_some();
        let needs_none = meets || (!may_wait && side == Side::Reads);
        let kind = match (side, needs_none) {
            (Side::Reads, true) => "read",
            (Side::Reads, false) => "read-met",
            (Side::Writes, true) => "write",
            (Side::Writes, false) => "write-met",
            (Side::Both, _) => "both",
        };
        match self.keeper(file)?.end(kind, !may_wait) {
            Err(Error { errno: ENXIO }) if may_wait => {
                self.waiting.push(Waiting { request, file, side });
                Err(Error::new(EWOULDBLOCK))
            }
            Ok(end) => {
                self.has_changed |= is_waited_for;
                Ok(end)
            }
            refused => refused,
        }
    }

    fn keeper(&mut self, file: F) -> Result<&K> {
        if self.kept.len() >= KEPT_MAX && !self.kept.contains_key(&file) {
            self.kept.retain(|_, keeper| keeper.is_used());
        }
        Ok(match self.kept.entry(file) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => free.insert(K::new()?),
        })
    }

    /// A file was made that may have the number of one that is gone. Who still waits for that one is
    /// met by nobody, and tried again.
    pub fn forget(&mut self, file: F) {
        self.kept.remove(&file);
        self.has_changed |= self.waiting.iter().any(|waiting| waiting.file == file);
        self.waiting.retain(|waiting| waiting.file != file);
    }

    /// A request that waited was taken back.
    pub fn cancelled(&mut self, request: &R) {
        self.waiting.retain(|waiting| waiting.request != *request);
    }

    /// Whether somebody who waits may have better luck now. Asked once for each change.
    pub fn progress(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    /// Counts its ends: readers, writers.
    #[derive(Clone, Default)]
    struct Pipe(Rc<[Cell<u32>; 2]>);

    struct End(Pipe, [u32; 2]);

    impl Pipe {
        fn count(&self, ends: [u32; 2], change: fn(u32, u32) -> u32) {
            for (count, ends) in self.0.iter().zip(ends) {
                count.set(change(count.get(), ends));
            }
        }
    }

    impl Drop for End {
        fn drop(&mut self) {
            self.0.count(self.1, |count, ends| count - ends);
        }
    }

    impl Keeper for Pipe {
        type End = End;

        fn new() -> Result<Self> {
            Ok(Self::default())
        }

        fn end(&self, kind: &str, _: bool) -> Result<End> {
            let (ends, other) = match kind {
                "read" => ([1, 0], 1),
                "write" => ([0, 1], 1),
                "both" => ([1, 1], 1),
                "read-met" => ([1, 0], self.0[1].get()),
                "write-met" => ([0, 1], self.0[0].get()),
                _ => return Err(Error::new(EINVAL)),
            };
            if other == 0 {
                return Err(Error::new(ENXIO));
            }
            self.count(ends, |count, ends| count + ends);
            Ok(End(self.clone(), ends))
        }

        fn is_used(&self) -> bool {
            self.0.iter().any(|count| count.get() > 0)
        }
    }

    type Opened = Fifos<Pipe, u64, u32>;

    fn errno(answer: Result<End>) -> i32 {
        answer.err().map_or(0, |error| error.errno)
    }

    #[test]
    fn who_opens_waits_for_the_other_direction() {
        for (first, second) in [(O_RDONLY, O_WRONLY), (O_WRONLY, O_RDONLY)] {
            let mut fifos = Opened::default();
            assert_eq!(errno(fifos.open(1, first, 1)), EWOULDBLOCK);
            assert_eq!(errno(fifos.open(1, first, 2)), EWOULDBLOCK, "the same is no help");
            assert_eq!(errno(fifos.open(2, second, 3)), EWOULDBLOCK, "nor is another file");
            assert!(!fifos.progress());
            let other = fifos.open(1, second, 4);
            assert!(other.is_ok() && fifos.progress());
            // Both that wait are tried again, and stay out of each other's way.
            let ends = [fifos.open(1, first, 1), fifos.open(1, first, 2)];
            assert!(ends.iter().all(Result::is_ok));
            drop((other, ends));
            assert_eq!(errno(fifos.open(1, first, 5)), EWOULDBLOCK, "all are gone again");
        }
    }

    #[test]
    fn who_does_not_wait_reads_or_is_told() {
        let mut fifos = Opened::default();
        assert_eq!(errno(fifos.open(1, O_WRONLY | O_NONBLOCK, 1)), ENXIO);
        let reader = fifos.open(1, O_RDONLY | O_NONBLOCK, 2);
        assert!(reader.is_ok());
        assert!(fifos.open(1, O_WRONLY | O_NONBLOCK, 3).is_ok());
        assert!(fifos.open(1, O_WRONLY, 4).is_ok());
        // One that waits to read is met by a writer that does not wait.
        assert_eq!(errno(fifos.open(2, O_RDONLY, 5)), EWOULDBLOCK);
        let writer = fifos.open(2, O_WRONLY | O_NONBLOCK, 6);
        assert!(writer.is_ok() && fifos.progress());
        assert!(fifos.open(2, O_RDONLY, 5).is_ok());
        assert_eq!(errno(fifos.open(2, 0, 8)), EINVAL);
    }

    #[test]
    fn who_opens_for_both_waits_for_nobody_and_is_met_by_all() {
        let mut fifos = Opened::default();
        assert_eq!(errno(fifos.open(1, O_RDONLY, 1)), EWOULDBLOCK);
        assert_eq!(errno(fifos.open(1, O_RDONLY, 2)), EWOULDBLOCK);
        let both = fifos.open(1, O_RDWR, 3);
        assert!(both.is_ok() && fifos.progress());
        assert!(fifos.open(1, O_RDONLY, 1).is_ok() && fifos.open(1, O_RDONLY, 2).is_ok());
        assert!(fifos.open(1, O_WRONLY, 4).is_ok());
        drop(both);
        assert_eq!(errno(fifos.open(1, O_WRONLY, 5)), EWOULDBLOCK);
    }

    #[test]
    fn who_gave_up_waiting_is_met_by_nobody() {
        let mut fifos = Opened::default();
        assert_eq!(errno(fifos.open(1, O_RDONLY, 1)), EWOULDBLOCK);
        fifos.cancelled(&1);
        assert_eq!(errno(fifos.open(1, O_WRONLY, 2)), EWOULDBLOCK);
        assert!(!fifos.progress());
    }

    #[test]
    fn a_new_file_has_a_pipe_of_its_own() {
        let mut fifos = Opened::default();
        let _old = fifos.open(1, O_RDONLY | O_NONBLOCK, 1);
        fifos.forget(1);
        assert_eq!(errno(fifos.open(1, O_WRONLY | O_NONBLOCK, 2)), ENXIO);
        assert_eq!(errno(fifos.open(1, O_RDONLY, 3)), EWOULDBLOCK);
        assert!(!fifos.progress());
        fifos.forget(1);
        assert!(fifos.progress(), "it may find out that its file is gone");
        assert_eq!(errno(fifos.open(1, O_WRONLY, 4)), EWOULDBLOCK);
    }

    #[test]
    fn pipes_that_nobody_uses_are_given_up() {
        let mut fifos = Opened::default();
        let held = fifos.open(7, O_RDONLY | O_NONBLOCK, 0);
        for file in 100..1_000 {
            assert!(fifos.open(file, O_RDONLY | O_NONBLOCK, 0).is_ok());
            assert!(fifos.kept.len() <= KEPT_MAX);
        }
        assert!(fifos.open(7, O_WRONLY | O_NONBLOCK, 0).is_ok(), "this one was used");
        drop(held);
    }
}
