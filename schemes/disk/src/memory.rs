//! Memory that a device reaches.

use std::ptr::NonNull;

/// A run of such memory, in one piece for the device too. It must not be touched while the device
/// has it, so it is reached only through copies.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    start: NonNull<u8>,
    physical: u64,
    length: usize,
}

impl Span {
    /// Memory that begins at `start` for this process and at `physical` for the device.
    ///
    /// # Safety
    /// It stays mapped, readable and writable, as long as the span or a part of it is used.
    pub unsafe fn new(start: NonNull<u8>, physical: u64, length: usize) -> Self {
        Self { start, physical, length }
    }

    /// Where the device finds it.
    pub fn physical(self) -> u64 {
        self.physical
    }

    /// How many bytes it has.
    pub fn length(self) -> usize {
        self.length
    }

    /// Where this process finds it.
    pub fn start(self) -> NonNull<u8> {
        self.start
    }

    /// Bytes from `offset` on.
    ///
    /// # Panics
    /// When they lie outside.
    pub fn part(self, offset: usize, length: usize) -> Self {
        assert!(offset.checked_add(length).is_some_and(|end| end <= self.length), "outside");
        // SAFETY: the offset lies inside, as was just checked.
        let start = unsafe { self.start.add(offset) };
        Self { start, physical: self.physical + offset as u64, length }
    }

    /// Copies its first bytes out.
    ///
    /// # Panics
    /// When it has fewer.
    pub fn read(self, into: &mut [u8]) {
        assert!(into.len() <= self.length, "outside");
        // SAFETY: the memory is mapped, has that many bytes, and is nobody's buffer but ours.
        unsafe { self.start.as_ptr().copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) }
    }

    /// Copies bytes in, to its beginning.
    ///
    /// # Panics
    /// When there is no room.
    pub fn write(self, from: &[u8]) {
        assert!(from.len() <= self.length, "outside");
        // SAFETY: as for `read`.
        unsafe { self.start.as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) }
    }

    /// The word at `offset`, as the device has it now.
    ///
    /// # Panics
    /// When it lies outside, or askew.
    pub fn load(self, offset: usize) -> u32 {
        let place = self.word(offset);
        // SAFETY: `word` has checked it; a device may change it at any time.
        u32::from_le(unsafe { place.read_volatile() })
    }

    /// Makes the device see a word.
    ///
    /// # Panics
    /// As [`Span::load`].
    pub fn store(self, offset: usize, value: u32) {
        let place = self.word(offset);
        // SAFETY: as for `load`.
        unsafe { place.write_volatile(value.to_le()) }
    }

    fn word(self, offset: usize) -> *mut u32 {
        let place = self.part(offset, 4).start.as_ptr();
        assert!(place.addr().is_multiple_of(4), "a word lies on a multiple of 4");
        place.cast()
    }
}

/// Where drivers get such memory from.
pub trait Source {
    /// So many bytes, zeroed and in whole pages of 4096. They are there for the life of the
    /// process.
    fn memory(&self, length: usize) -> syscall::Result<Span>;
}
