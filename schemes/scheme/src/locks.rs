//! Advisory locks on files, by open handle: what [`abi::lock`] asks a scheme for.
//!
//! The scheme says which file a handle stands for, and when a handle is closed. Who waits is in the
//! serving loop: a lock that others have is `EWOULDBLOCK`, and tried again after
//! [`Locks::progress`].

use std::collections::BTreeMap;

use abi::lock::{EXCLUSIVE, LOCK, NO_WAIT, SHARED, UNLOCK};
use syscall::error::{EAGAIN, EINVAL, EOPNOTSUPP, EWOULDBLOCK, Error, Result};

/// Who has a file locked. Never empty.
enum Held {
    Exclusive(usize),
    Shared(Vec<usize>),
}

/// The locks of a scheme. `F` names a file.
#[derive(Default)]
pub struct Locks<F> {
    files: BTreeMap<F, Held>,
    handles: BTreeMap<usize, F>,
    has_changed: bool,
}

impl<F: Ord + Copy> Locks<F> {
    /// Does what a message with [`LOCK`] asks for.
    ///
    /// # Errors
    /// `EOPNOTSUPP` when it asks for something else, `EINVAL`, `EWOULDBLOCK` for the serving loop to
    /// wait, `EAGAIN` when the client does not want to.
    pub fn call(&mut self, file: F, handle: usize, metadata: &[u64]) -> Result<usize> {
        let &[LOCK, operation, ..] = metadata else { return Err(Error::new(EOPNOTSUPP)) };
        let may_wait = operation & NO_WAIT == 0;
        let is_exclusive = match operation & !NO_WAIT {
            UNLOCK => {
                self.close(handle);
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
        self.close(handle);
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

    /// A handle gives its lock back, or is closed.
    pub fn close(&mut self, handle: usize) {
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
        std::mem::take(&mut self.has_changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `flock` on a handle of file 0 comes to.
    fn lock(locks: &mut Locks<u64>, handle: usize, operation: u64) -> Option<i32> {
        locks.call(0, handle, &[LOCK, operation]).err().map(|error| error.errno)
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
        assert!(locks.call(7, 1, &[LOCK, EXCLUSIVE | NO_WAIT]).is_ok());
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
        assert_eq!(locks.call(0, 1, &[]).err(), Some(Error::new(EOPNOTSUPP)));
    }
}
