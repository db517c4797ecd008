//! Advisory locks on files: what [`abi::lock`] asks a scheme for. Whole files are locked by open
//! handle, ranges of bytes by process or by open handle ([`ranges`]).
//!
//! The scheme says which file a handle stands for, when a handle is closed, and when a process lets go
//! of one. Who waits is in the serving loop: a lock that others have is `EWOULDBLOCK`, and tried again
//! after [`Locks::progress`].

mod ranges;

use std::collections::BTreeMap;

use abi::lock::{EXCLUSIVE, LOCK, NO_WAIT, OPEN_FILE, RANGE, RangeLock, SHARED, TEST, UNLOCK};
use ranges::{Lock, Owner, Range, Ranges};
use syscall::error::{EAGAIN, EINVAL, EOPNOTSUPP, EWOULDBLOCK, Error, Result};

/// Who asks for a lock.
#[derive(Clone, Copy)]
pub struct Client<R> {
    /// The handle of the message.
    pub handle: usize,
    /// The process that sent it.
    pub pid: usize,
    /// The request, as it is named when it is taken back.
    pub request: R,
}

/// Who has a file locked. Never empty.
enum Held {
    Exclusive(usize),
    Shared(Vec<usize>),
}

/// The locks of a scheme. `F` names a file, `R` a request.
pub struct Locks<F, R> {
    files: BTreeMap<F, Held>,
    handles: BTreeMap<usize, F>,
    /// Handles that may have ranges locked.
    with_ranges: BTreeMap<usize, F>,
    ranges: Ranges<F, R>,
    has_changed: bool,
    is_for_process: bool,
}

impl<F, R> Default for Locks<F, R> {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            handles: BTreeMap::new(),
            with_ranges: BTreeMap::new(),
            ranges: Ranges::default(),
            has_changed: false,
            is_for_process: false,
        }
    }
}

impl<F: Ord + Copy, R: Copy + PartialEq> Locks<F, R> {
    /// Does what a message with [`LOCK`] or [`RANGE`] asks for.
    ///
    /// # Errors
    /// `EOPNOTSUPP` when it asks for something else, `EINVAL`, `EWOULDBLOCK` for the serving loop to
    /// wait, `EAGAIN` when the client does not want to, `EDEADLK`, `ENOLCK`.
    pub fn call(
        &mut self,
        file: F,
        client: Client<R>,
        payload: &mut [u8],
        metadata: &[u64],
    ) -> Result<usize> {
        match *metadata {
            [LOCK, operation, ..] => self.whole(file, client.handle, operation),
            [RANGE, operation, ..] => self.range(file, client, payload, operation),
            _ => Err(Error::new(EOPNOTSUPP)),
        }
    }

    fn range(
        &mut self,
        file: F,
        client: Client<R>,
        payload: &mut [u8],
        operation: u64,
    ) -> Result<usize> {
        let payload: &mut [u8; RangeLock::SIZE] = payload.try_into().or(Err(Error::new(EINVAL)))?;
        let RangeLock { start, length, .. } = RangeLock::from_bytes(payload);
        let range = Range::new(start, length).ok_or(Error::new(EINVAL))?;
        let owner = match operation & OPEN_FILE {
            0 => Owner::Process(client.pid),
            _ => Owner::Handle(client.handle),
        };
        let operation = operation & !OPEN_FILE;
        let is_exclusive = match operation & !(NO_WAIT | TEST) {
            UNLOCK if operation == UNLOCK => {
                self.ranges.cut(file, owner, range);
                return Ok(0);
            }
            SHARED => false,
            EXCLUSIVE => true,
            _ => return Err(Error::new(EINVAL)),
        };
        let lock = Lock { owner, range, is_exclusive };
        if operation & TEST == 0 {
            self.ranges.take(file, lock, client.request, operation & NO_WAIT == 0)?;
            match owner {
                Owner::Process(_) => self.is_for_process = true,
                Owner::Handle(handle) => _ = self.with_ranges.insert(handle, file),
            }
            return Ok(0);
        }
        let Some(held) = self.ranges.test(file, lock) else { return Ok(0) };
        let told = RangeLock {
            start: held.range.start,
            length: held.range.length(),
            kind: if held.is_exclusive { EXCLUSIVE } else { SHARED },
            pid: match held.owner {
                Owner::Process(pid) => pid as u64,
                Owner::Handle(_) => u64::MAX,
            },
        };
        *payload = told.to_bytes();
        Ok(1)
    }

    /// Whether the last message gave its process something that goes when it lets go of the handle.
    /// Asked once for each.
    pub fn is_for_process(&mut self) -> bool {
        std::mem::take(&mut self.is_for_process)
    }

    /// A process has closed a descriptor of a file, or has ended.
    pub fn detached(&mut self, file: F, pid: usize) {
        self.ranges.cut(file, Owner::Process(pid), Range::ALL);
    }

    /// A request that waited was taken back.
    pub fn cancelled(&mut self, request: R) {
        self.ranges.cancelled(request);
    }

    fn whole(&mut self, file: F, handle: usize, operation: u64) -> Result<usize> {
        let may_wait = operation & NO_WAIT == 0;
        let is_exclusive = match operation & !NO_WAIT {
            UNLOCK => {
                self.give_back(handle);
                return Ok(0);
            }
            SHARED => false,
            EXCLUSIVE => true,
            _ => return Err(Error::new(EINVAL)),
        };
        if self.take(file, handle, is_exclusive) {
            return Ok(0);
        }
        if !may_wait {
            return Err(Error::new(EAGAIN));
        }
        // Two that each wait for the other's shared lock to go would wait for ever.
        self.give_back(handle);
        Err(Error::new(EWOULDBLOCK))
    }

    /// Gives a handle its lock, or leaves everything as it was.
    fn take(&mut self, file: F, handle: usize, is_exclusive: bool) -> bool {
        let others = match self.files.get(&file) {
            None => false,
            Some(Held::Exclusive(owner)) => *owner != handle,
            Some(Held::Shared(owners)) => is_exclusive && owners.iter().any(|it| *it != handle),
        };
        if others {
            return false;
        }
        match self.files.get_mut(&file) {
            Some(Held::Shared(owners)) if !is_exclusive => {
                if !owners.contains(&handle) {
                    owners.push(handle);
                }
            }
            _ => {
                // From exclusive to shared, others may come in.
                self.has_changed |= !is_exclusive;
                let held = match is_exclusive {
                    true => Held::Exclusive(handle),
                    false => Held::Shared(vec![handle]),
                };
                self.files.insert(file, held);
            }
        }
        self.handles.insert(handle, file);
        true
    }

    /// A handle is closed.
    pub fn close(&mut self, handle: usize) {
        self.give_back(handle);
        if let Some(file) = self.with_ranges.remove(&handle) {
            self.ranges.cut(file, Owner::Handle(handle), Range::ALL);
        }
    }

    /// A handle gives back its lock on the whole file.
    fn give_back(&mut self, handle: usize) {
        let Some(file) = self.handles.remove(&handle) else { return };
        let is_free = match self.files.get_mut(&file) {
            Some(Held::Shared(owners)) => {
                owners.retain(|owner| *owner != handle);
                owners.is_empty()
            }
            Some(Held::Exclusive(_)) => true,
            None => false,
        };
        if is_free {
            self.files.remove(&file);
        }
        self.has_changed = true;
    }

    /// Whether somebody who waits may have better luck now. Asked once for each change.
    pub fn progress(&mut self) -> bool {
        // Both, so that neither is told twice.
        std::mem::take(&mut self.has_changed) | std::mem::take(&mut self.ranges.has_changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `flock` on a handle of file 0 comes to.
    fn lock(locks: &mut Locks<u64, u32>, handle: usize, operation: u64) -> Option<i32> {
        locks.call(0, by(handle), &mut [], &[LOCK, operation]).err().map(|error| error.errno)
    }

    fn by(handle: usize) -> Client<u32> {
        Client { handle, pid: handle, request: handle as u32 }
    }

    /// What `fcntl` on 10 bytes from a first one comes to, and the payload that is left.
    fn range(
        locks: &mut Locks<u64, u32>,
        pid: usize,
        start: u64,
        operation: u64,
    ) -> (Result<usize>, RangeLock) {
        let mut payload = RangeLock { start, length: 10, ..RangeLock::default() }.to_bytes();
        let answer = locks.call(0, by(pid), &mut payload, &[RANGE, operation]);
        (answer, RangeLock::from_bytes(&payload))
    }

    #[test]
    fn ranges_go_with_their_process() {
        let mut locks = Locks::default();
        assert_eq!(range(&mut locks, 1, 5, EXCLUSIVE).0, Ok(0));
        assert!(locks.is_for_process() && !locks.is_for_process());
        let (answer, told) = range(&mut locks, 2, 0, SHARED | TEST);
        assert_eq!(answer, Ok(1));
        assert_eq!(told, RangeLock { start: 5, length: 10, kind: EXCLUSIVE, pid: 1 });
        assert_eq!(range(&mut locks, 2, 0, SHARED | NO_WAIT).0, Err(Error::new(EAGAIN)));
        assert_eq!(range(&mut locks, 2, 0, SHARED).0, Err(Error::new(EWOULDBLOCK)));
        assert!(!locks.is_for_process() && !locks.progress());
        // Whole files are another matter.
        assert_eq!(lock(&mut locks, 2, EXCLUSIVE), None);
        locks.close(1);
        assert!(!locks.progress());
        locks.detached(0, 1);
        assert!(locks.progress() && !locks.progress());
        assert_eq!(range(&mut locks, 2, 0, SHARED).0, Ok(0));
        assert_eq!(range(&mut locks, 2, 0, UNLOCK).0, Ok(0));
        assert_eq!(range(&mut locks, 1, 0, EXCLUSIVE | TEST).0, Ok(0));
        for nonsense in [0, SHARED | EXCLUSIVE, UNLOCK | TEST, NO_WAIT] {
            assert_eq!(range(&mut locks, 1, 0, nonsense).0, Err(Error::new(EINVAL)));
        }
        assert_eq!(range(&mut locks, 1, u64::MAX, SHARED).0, Err(Error::new(EINVAL)));
        let short = locks.call(0, by(1), &mut [0; 31], &[RANGE, SHARED]);
        assert_eq!(short, Err(Error::new(EINVAL)));
    }

    #[test]
    fn ranges_of_a_handle_go_with_it() {
        let mut locks = Locks::default();
        let with = |locks: &mut Locks<u64, u32>, (handle, pid), start, operation| {
            let mut payload = RangeLock { start, length: 10, ..RangeLock::default() }.to_bytes();
            let client = Client { handle, pid, request: handle as u32 };
            let answer = locks.call(0, client, &mut payload, &[RANGE, operation]);
            (answer, RangeLock::from_bytes(&payload))
        };
        assert_eq!(with(&mut locks, (1, 7), 0, EXCLUSIVE | OPEN_FILE).0, Ok(0));
        assert!(!locks.is_for_process());
        // Whoever sends through the handle has it, and nobody else, not even the same process.
        assert_eq!(with(&mut locks, (1, 8), 0, EXCLUSIVE | OPEN_FILE).0, Ok(0));
        let refused = Err(Error::new(EAGAIN));
        assert_eq!(with(&mut locks, (2, 7), 5, SHARED | NO_WAIT | OPEN_FILE).0, refused);
        assert_eq!(with(&mut locks, (1, 7), 5, SHARED | NO_WAIT).0, refused);
        let (answer, told) = with(&mut locks, (2, 9), 5, SHARED | TEST | OPEN_FILE);
        assert_eq!(answer, Ok(1));
        assert_eq!(told, RangeLock { start: 0, length: 10, kind: EXCLUSIVE, pid: u64::MAX });
        // A process that goes leaves it, and two that wait for each other's are no circle.
        locks.progress();
        locks.detached(0, 7);
        assert!(!locks.progress());
        assert_eq!(with(&mut locks, (2, 7), 20, EXCLUSIVE | OPEN_FILE).0, Ok(0));
        let waits = Err(Error::new(EWOULDBLOCK));
        assert_eq!(with(&mut locks, (2, 7), 0, EXCLUSIVE | OPEN_FILE).0, waits);
        assert_eq!(with(&mut locks, (1, 7), 20, EXCLUSIVE | OPEN_FILE).0, waits);
        assert_eq!(lock(&mut locks, 1, EXCLUSIVE), None);
        assert_eq!(lock(&mut locks, 1, UNLOCK), None);
        assert_eq!(
            with(&mut locks, (2, 7), 0, EXCLUSIVE | OPEN_FILE).0,
            waits,
            "it has its ranges"
        );
        locks.close(1);
        assert!(locks.progress());
        assert_eq!(with(&mut locks, (2, 7), 0, EXCLUSIVE | OPEN_FILE).0, Ok(0));
        assert_eq!(with(&mut locks, (2, 7), 0, UNLOCK | OPEN_FILE).0, Ok(0));
        assert_eq!(with(&mut locks, (1, 7), 0, EXCLUSIVE | NO_WAIT).0, Ok(0));
    }

    #[test]
    fn one_writes_or_many_read() {
        let mut locks = Locks::default();
        assert_eq!(lock(&mut locks, 1, SHARED), None);
        assert_eq!(lock(&mut locks, 2, SHARED), None);
        assert_eq!(lock(&mut locks, 3, EXCLUSIVE | NO_WAIT), Some(EAGAIN));
        assert_eq!(lock(&mut locks, 1, UNLOCK), None);
        assert_eq!(lock(&mut locks, 2, UNLOCK), None);
        assert_eq!(lock(&mut locks, 3, EXCLUSIVE), None);
        assert_eq!(lock(&mut locks, 1, SHARED | NO_WAIT), Some(EAGAIN));
        assert_eq!(lock(&mut locks, 1, SHARED), Some(EWOULDBLOCK));
        // Another file is another lock.
        assert!(locks.call(7, by(1), &mut [], &[LOCK, EXCLUSIVE | NO_WAIT]).is_ok());
    }

    #[test]
    fn a_closed_handle_lets_others_in() {
        let mut locks = Locks::default();
        assert_eq!(lock(&mut locks, 1, EXCLUSIVE), None);
        assert!(!locks.progress());
        locks.close(1);
        assert!(locks.progress());
        assert!(!locks.progress());
        assert_eq!(lock(&mut locks, 2, EXCLUSIVE | NO_WAIT), None);
    }

    #[test]
    fn a_lock_changes_its_kind() {
        let mut locks = Locks::default();
        assert_eq!(lock(&mut locks, 1, EXCLUSIVE), None);
        assert_eq!(lock(&mut locks, 1, SHARED), None);
        assert!(locks.progress());
        assert_eq!(lock(&mut locks, 2, SHARED), None);
        // Refused at once, it keeps what it has; waiting, it lets go, so that one of two gets on.
        assert_eq!(lock(&mut locks, 1, EXCLUSIVE | NO_WAIT), Some(EAGAIN));
        assert_eq!(lock(&mut locks, 2, EXCLUSIVE | NO_WAIT), Some(EAGAIN));
        assert_eq!(lock(&mut locks, 1, EXCLUSIVE), Some(EWOULDBLOCK));
        assert_eq!(lock(&mut locks, 2, EXCLUSIVE), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut locks = Locks::default();
        assert_eq!(lock(&mut locks, 1, 0), Some(EINVAL));
        assert_eq!(lock(&mut locks, 1, SHARED | EXCLUSIVE), Some(EINVAL));
        assert_eq!(locks.call(0, by(1), &mut [], &[]).err(), Some(Error::new(EOPNOTSUPP)));
    }
}
