//! Locks on ranges of bytes, by process or by open handle: what C's `fcntl` asks for.
//!
//! An owner has at most one kind of lock on a byte, so its locks never overlap; a new one replaces
//! what it covers. Who waits, and for what, is kept here too, so that a circle of processes that
//! wait for each other is found before it closes. Handles are not looked for in circles: several
//! processes may have one, and another of them may give the lock back.

use std::collections::BTreeMap;

use syscall::error::{EAGAIN, EDEADLK, ENOLCK, EWOULDBLOCK, Error, Result};

/// Most locks of one owner on one file.
const OWN_MAX: usize = 1024;

/// Bytes of a file, up to the last one that there could be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    /// The first one.
    pub(super) start: u64,
    /// Behind the last one; `u64::MAX` for a range without end.
    pub(super) end: u64,
}

impl Range {
    /// `length` bytes from `start`; all that follow for 0. `None` where no file reaches.
    pub(super) fn new(start: u64, length: u64) -> Option<Self> {
        let end = match length {
            0 => u64::MAX,
            length => start.checked_add(length)?,
        };
        (start < end && start <= i64::MAX as u64).then_some(Self { start, end })
    }

    /// All bytes.
    pub(super) const ALL: Self = Self { start: 0, end: u64::MAX };

    /// Its length, 0 for one without end.
    pub(super) fn length(self) -> u64 {
        if self.end == u64::MAX { 0 } else { self.end - self.start }
    }

    fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Whose a lock is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// A process's, by number.
    Process(usize),
    /// An open handle's.
    Handle(usize),
}

/// A lock that somebody has, or wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lock {
    /// Whose.
    pub(super) owner: Owner,
    /// On what.
    pub(super) range: Range,
    /// Whether nobody else may have one there.
    pub(super) is_exclusive: bool,
}

impl Lock {
    fn is_kept_out_by(&self, other: &Self) -> bool {
        self.owner != other.owner
            && (self.is_exclusive || other.is_exclusive)
            && self.range.overlaps(other.range)
    }
}

/// A request that waits.
struct Waiting<F, R> {
    request: R,
    file: F,
    lock: Lock,
}

/// The locks on ranges of a scheme's files. `F` names a file, `R` a request.
pub(super) struct Ranges<F, R> {
    /// No list is empty.
    files: BTreeMap<F, Vec<Lock>>,
    waiting: Vec<Waiting<F, R>>,
    pub(super) has_changed: bool,
}

impl<F, R> Default for Ranges<F, R> {
    fn default() -> Self {
        Self { files: BTreeMap::new(), waiting: Vec::new(), has_changed: false }
    }
}

impl<F: Ord + Copy, R: Copy + PartialEq> Ranges<F, R> {
    fn keepers(&self, file: F, lock: Lock) -> impl Iterator<Item = &Lock> {
        let locks = self.files.get(&file).into_iter().flatten();
        locks.filter(move |held| lock.is_kept_out_by(held))
    }

    /// What would keep a lock out.
    pub(super) fn test(&self, file: F, lock: Lock) -> Option<Lock> {
        self.keepers(file, lock).next().copied()
    }

    /// Takes a lock, or leaves everything as it was.
    ///
    /// # Errors
    /// `EAGAIN` when it is kept out and does not wait, `EWOULDBLOCK` when it does, `EDEADLK` when it
    /// would wait for itself, `ENOLCK` when the owner has too many.
    pub(super) fn take(&mut self, file: F, lock: Lock, request: R, may_wait: bool) -> Result<()> {
        self.cancelled(request);
        if self.test(file, lock).is_none() {
            let own = self.files.get(&file).into_iter().flatten();
            if own.filter(|held| held.owner == lock.owner).count() >= OWN_MAX {
                return Err(Error::new(ENOLCK));
            }
            self.cut(file, lock.owner, lock.range);
            self.join(file, lock);
            return Ok(());
        }
        if !may_wait {
            return Err(Error::new(EAGAIN));
        }
        if self.is_circle(file, lock) {
            return Err(Error::new(EDEADLK));
        }
        self.waiting.push(Waiting { request, file, lock });
        Err(Error::new(EWOULDBLOCK))
    }

    /// Adds a lock where its owner has none, as one with those of its kind that it touches.
    fn join(&mut self, file: F, mut lock: Lock) {
        let locks = self.files.entry(file).or_default();
        locks.retain(|held| {
            let touches = held.range.end == lock.range.start || lock.range.end == held.range.start;
            let joins =
                touches && (held.owner, held.is_exclusive) == (lock.owner, lock.is_exclusive);
            if joins {
                lock.range.start = lock.range.start.min(held.range.start);
                lock.range.end = lock.range.end.max(held.range.end);
            }
            !joins
        });
        locks.push(lock);
    }

    /// An owner gives back what it has of a range.
    pub(super) fn cut(&mut self, file: F, owner: Owner, range: Range) {
        let Some(locks) = self.files.get_mut(&file) else { return };
        let mut rest = Vec::with_capacity(locks.len() + 1);
        for held in locks.drain(..) {
            if held.owner != owner || !held.range.overlaps(range) {
                rest.push(held);
                continue;
            }
            self.has_changed = true;
            let before = Range { start: held.range.start, end: range.start };
            let behind = Range { start: range.end, end: held.range.end };
            let parts = [before, behind].into_iter().filter(|part| part.start < part.end);
            rest.extend(parts.map(|range| Lock { range, ..held }));
        }
        *locks = rest;
        if locks.is_empty() {
            self.files.remove(&file);
        }
    }

    /// Whether one whom this lock would wait for waits, at whatever distance, for its process.
    fn is_circle(&self, file: F, lock: Lock) -> bool {
        let mut seen = Vec::new();
        let mut next: Vec<Owner> = self.keepers(file, lock).map(|held| held.owner).collect();
        while let Some(owner) = next.pop() {
            let is_process = matches!(owner, Owner::Process(_));
            if is_process && owner == lock.owner {
                return true;
            }
            if !is_process || seen.contains(&owner) {
                continue;
            }
            seen.push(owner);
            for waiting in self.waiting.iter().filter(|waiting| waiting.lock.owner == owner) {
                next.extend(self.keepers(waiting.file, waiting.lock).map(|held| held.owner));
            }
        }
        false
    }

    /// A request does not wait any more.
    pub(super) fn cancelled(&mut self, request: R) {
        self.waiting.retain(|waiting| waiting.request != request);
    }
}

#[cfg(test)]
mod tests;
