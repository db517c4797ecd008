//! `CALL` with [`LOCK`] or [`RANGE`] — advisory locks on files, for schemes that keep files.
//!
//! [`LOCK`] is for whole files: two words of metadata and no payload, the second an operation with
//! the numbers of C's `flock`. A lock belongs to the open file, which descriptors share after `dup`
//! and `fork`, and goes with its last descriptor. `EWOULDBLOCK` when others are in the way and
//! [`NO_WAIT`] is set; without it the call waits. `EINVAL` for an unknown operation.
//!
//! [`RANGE`] is for bytes of a file, with the same operations: the payload begins with two words,
//! the first byte and how many ([`RangeLock`]). A lock belongs to the process, and goes when it closes
//! a descriptor of an open file that it has locked through, or ends; with [`OPEN_FILE`] to the open file.
//! `EDEADLK` when those in the way wait for the caller, `ENOLCK` when it has too many. Locks on whole files
//! and on ranges know nothing of each other.

/// The first word: whole files.
pub const LOCK: u64 = 1;
/// The first word: ranges of bytes.
pub const RANGE: u64 = 2;

/// Others may have it shared, too.
pub const SHARED: u64 = 1;
/// Nobody else may have it.
pub const EXCLUSIVE: u64 = 2;
/// Fail rather than wait.
pub const NO_WAIT: u64 = 4;
/// Give it back.
pub const UNLOCK: u64 = 8;
/// [`RANGE`]: with [`SHARED`] or [`EXCLUSIVE`], only tell what is in the way. The answer is 1 when
/// something is, and the payload then holds it.
pub const TEST: u64 = 16;
/// [`RANGE`], with an operation: the lock belongs to the open file, as those on whole files do, and goes with
/// its last descriptor. No circle is looked for.
pub const OPEN_FILE: u64 = 32;

/// The payload of [`RANGE`], as words of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RangeLock {
    /// The first byte.
    pub start: u64,
    /// How many; 0 for all that follow, whether they are there or not.
    pub length: u64,
    /// In an answer: [`SHARED`] or [`EXCLUSIVE`].
    pub kind: u64,
    /// In an answer: whose; all ones for that of an open file.
    pub pid: u64,
}

impl RangeLock {
    /// Bytes of it.
    pub const SIZE: usize = 32;

    /// As the payload has it.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let words = [self.start, self.length, self.kind, self.pid];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// What a payload holds.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut words = [0; 4];
        for (word, place) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_ne_bytes(*place);
        }
        let [start, length, kind, pid] = words;
        Self { start, length, kind, pid }
    }
}
