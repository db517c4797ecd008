//! The contents of a regular file: bytes with holes.
//!
//! A page that was never written has no memory and reads as zeros. An area of the smallest fitting
//! class holds the rest; a file that outgrows its class is copied into the next one. A file that a
//! client wants to map is moved to the largest class first, which can never be outgrown: from then
//! on its bytes keep their addresses until the file is gone.

use std::ops::Range;

use syscall::error::{EFBIG, EINVAL, ENOSPC, ENXIO, Error, Result};

use crate::pageset::PageSet;
use crate::space::Space;
use scheme::area::{Area, PAGE};

/// Pages of the smaller classes. The largest class holds as many pages as the whole file system.
const CLASSES: [usize; 3] = [16, 512, 16_384];

/// One file's contents.
#[derive(Debug, Default)]
pub struct File {
    area: Option<Area>,
    present: PageSet,
    size: u64,
}

impl File {
    /// The length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many pages have memory.
    pub fn pages(&self) -> usize {
        self.present.len()
    }

    /// Copies bytes out; fewer at the end, none behind it.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = self.size.saturating_sub(offset);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(start) = usize::try_from(offset).ok().filter(|_| length > 0) else { return 0 };
        for piece in by_page(start..start + length) {
            let target = &mut buffer[piece.start - start..piece.end - start];
            match &self.area {
                Some(area) if self.present.contains(piece.start / PAGE) => {
                    target.copy_from_slice(&area.bytes()[piece]);
                }
                _ => target.fill(0),
            }
        }
        length
    }

    /// Copies bytes in, growing the file. As many as there is space for; `ENOSPC` if that is none,
    /// `EFBIG` if the place is beyond what a file may hold.
    pub fn write(&mut self, offset: u64, bytes: &[u8], space: &mut Space) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let limit = limit(space);
        let start = usize::try_from(offset).ok().filter(|&start| start < limit);
        let start = start.ok_or(Error::new(EFBIG))?;
        let wanted = start..start.saturating_add(bytes.len()).min(limit);
        let end = self.affordable(wanted, space.free_pages()).ok_or(Error::new(ENOSPC))?;
        let pages = start / PAGE..end.div_ceil(PAGE);
        let area = self.area(pages.end, space)?;
        area.bytes_mut()[start..end].copy_from_slice(&bytes[..end - start]);
        space.charge_pages(self.present.missing(pages.clone()))?;
        self.present.insert(pages);
        self.size = self.size.max(end as u64);
        Ok(end - start)
    }

    /// Cuts the file short or lets it end in a hole.
    pub fn truncate(&mut self, size: u64, space: &mut Space) -> Result<()> {
        if size > limit(space) as u64 {
            return Err(Error::new(EFBIG));
        }
        let end = size as usize;
        if let Some(area) = self.area.as_mut().filter(|_| size < self.size) {
            let first = end.div_ceil(PAGE);
            if self.present.contains(end / PAGE) && !end.is_multiple_of(PAGE) {
                // What grows back later must be zero.
                area.bytes_mut()[end..first * PAGE].fill(0);
            }
            let cut = self.present.cut(first);
            if cut > 0 {
                area.discard(first..area.pages());
                space.release_pages(cut);
            }
        }
        self.size = size;
        Ok(())
    }

    /// Makes a range of whole pages ready to be mapped and says where it is. Holes in it get
    /// memory, because a client may write them.
    pub fn map(&mut self, offset: u64, length: usize, space: &mut Space) -> Result<usize> {
        let start = usize::try_from(offset).map_err(|_| Error::new(ENXIO))?;
        if !start.is_multiple_of(PAGE) || length == 0 {
            return Err(Error::new(EINVAL));
        }
        let end = start.checked_add(length).ok_or(Error::new(ENXIO))?.div_ceil(PAGE);
        if end as u64 > self.size.div_ceil(PAGE as u64) {
            return Err(Error::new(ENXIO));
        }
        let pages = start / PAGE..end;
        let missing = self.present.missing(pages.clone());
        if missing > space.free_pages() {
            return Err(Error::new(ENOSPC));
        }
        let address = self.area(limit(space) / PAGE, space)?.address() + start;
        space.charge_pages(missing)?;
        self.present.insert(pages);
        Ok(address)
    }

    /// How far into `wanted` one can write with so many free pages.
    fn affordable(&self, wanted: Range<usize>, free: usize) -> Option<usize> {
        let pages = wanted.start / PAGE..wanted.end.div_ceil(PAGE);
        let first_too_many = pages.filter(|&page| !self.present.contains(page)).nth(free);
        let end = first_too_many.map_or(wanted.end, |page| page * PAGE);
        (end > wanted.start).then_some(end)
    }

    /// The area, moved to a larger class if it has fewer pages than needed.
    fn area(&mut self, pages: usize, space: &Space) -> Result<&mut Area> {
        let too_small = self.area.as_ref().is_none_or(|area| area.pages() < pages);
        if too_small {
            let largest = limit(space) / PAGE;
            let class = CLASSES.into_iter().find(|&class| class >= pages && class < largest);
            let mut larger = Area::reserve(class.unwrap_or(largest))?;
            if let Some(area) = &self.area {
                for page in self.present.iter() {
                    let range = page * PAGE..(page + 1) * PAGE;
                    larger.bytes_mut()[range.clone()].copy_from_slice(&area.bytes()[range]);
                }
            }
            self.area = Some(larger);
        }
        self.area.as_mut().ok_or(Error::new(ENOSPC))
    }
}

/// The most bytes one file may span: as much as everything together, so that any file fits the
/// largest class.
fn limit(space: &Space) -> usize {
    space.limit_pages() * PAGE
}

/// Cuts a byte range where pages end.
fn by_page(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let end = (start / PAGE + 1).saturating_mul(PAGE).min(range.end);
        let piece = (start < end).then_some(start..end);
        start = end;
        piece
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: u64 = 40 * PAGE as u64;

    fn errno<T>(result: Result<T>) -> i32 {
        result.err().map_or(0, |error| error.errno)
    }

    fn contents(file: &File) -> Vec<u8> {
        let mut bytes = vec![0xAA; file.size() as usize];
        assert_eq!(file.read(0, &mut bytes), bytes.len());
        bytes
    }

    #[test]
    fn a_hole_costs_nothing_and_reads_as_zeros() {
        let (mut file, mut space) = (File::default(), Space::new(LIMIT));
        assert_eq!(file.write(30 * PAGE as u64, b"end", &mut space), Ok(3));
        assert_eq!((file.pages(), space.used()), (1, PAGE as u64));
        let bytes = contents(&file);
        assert!(bytes[..30 * PAGE].iter().all(|&byte| byte == 0));
        assert_eq!(&bytes[30 * PAGE..], b"end");
    }

    #[test]
    fn a_write_takes_what_fits_and_then_says_no_space() {
        let (mut file, mut space) = (File::default(), Space::new(LIMIT));
        space.charge_pages(38).expect("somebody else's pages");
        assert_eq!(file.write(10, &[1; 5 * PAGE], &mut space), Ok(2 * PAGE - 10));
        assert_eq!(errno(file.write(2 * PAGE as u64, b"x", &mut space)), ENOSPC);
        assert_eq!(file.write(0, b"over", &mut space), Ok(4), "old pages are paid for");
        assert_eq!(file.size(), 2 * PAGE as u64);
    }

    #[test]
    fn nothing_reaches_beyond_the_largest_file() {
        let (mut file, mut space) = (File::default(), Space::new(LIMIT));
        assert_eq!(errno(file.write(LIMIT, b"x", &mut space)), EFBIG);
        assert_eq!(errno(file.write(u64::MAX, b"x", &mut space)), EFBIG);
        assert_eq!(file.write(LIMIT - 1, b"xyz", &mut space), Ok(1));
        assert_eq!(errno(file.truncate(LIMIT + 1, &mut space)), EFBIG);
        assert_eq!(file.read(u64::MAX, &mut [0; 8]), 0);
    }

    #[test]
    fn a_mapped_file_keeps_its_address_while_it_grows() {
        let (mut file, mut space) = (File::default(), Space::new(LIMIT));
        file.write(0, b"first", &mut space).expect("room");
        let address = file.map(0, PAGE, &mut space).expect("mapped");
        assert_eq!(address % PAGE, 0);
        file.write(20 * PAGE as u64, b"far", &mut space).expect("room");
        assert_eq!(file.map(0, 21 * PAGE, &mut space), Ok(address));
        assert_eq!(file.map(PAGE as u64, PAGE, &mut space), Ok(address + PAGE));
        assert_eq!(file.pages(), 21, "mapping fills the holes");
        assert_eq!(space.used(), 21 * PAGE as u64);
    }

    #[test]
    fn only_whole_pages_of_the_file_are_mapped() {
        let (mut file, mut space) = (File::default(), Space::new(LIMIT));
        assert_eq!(errno(file.map(0, PAGE, &mut space)), ENXIO);
        file.write(0, b"x", &mut space).expect("room");
        assert_eq!(errno(file.map(1, PAGE, &mut space)), EINVAL);
        assert_eq!(errno(file.map(0, 0, &mut space)), EINVAL);
        assert_eq!(errno(file.map(0, PAGE + 1, &mut space)), ENXIO);
        assert_eq!(errno(file.map(0, usize::MAX, &mut space)), ENXIO);
        file.truncate(LIMIT, &mut space).expect("a hole");
        space.charge_pages(20).expect("somebody else's pages");
        assert_eq!(errno(file.map(0, LIMIT as usize, &mut space)), ENOSPC);
        assert_eq!(file.pages(), 1, "a refused mapping costs nothing");
    }

    #[derive(Clone, Debug)]
    enum Act {
        Write(u64, usize, u8),
        Truncate(u64),
        Read(u64, usize),
        Map(u64, usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        let place = 0..LIMIT + 5000;
        let length = 0..3 * PAGE;
        prop_oneof![
            3 => (place.clone(), length.clone(), any::<u8>())
                .prop_map(|(at, length, byte)| Act::Write(at, length, byte)),
            1 => place.clone().prop_map(Act::Truncate),
            2 => (place, length).prop_map(|(at, length)| Act::Read(at, length)),
            1 => (0..40u64, 1..5usize)
                .prop_map(|(page, pages)| Act::Map(page * PAGE as u64, pages * PAGE)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn it_holds_what_was_written(acts in prop::collection::vec(act(), 0..30)) {
            let (mut file, mut space) = (File::default(), Space::new(LIMIT));
            let mut model: Vec<u8> = Vec::new();
            for act in acts {
                match act {
                    Act::Write(at, length, byte) => {
                        if let Ok(written) = file.write(at, &vec![byte; length], &mut space) {
                            prop_assert!(written <= length);
                            let end = at as usize + written;
                            if written > 0 {
                                model.resize(model.len().max(end), 0);
                                model[at as usize..end].fill(byte);
                            }
                        } else {
                            prop_assert!(at >= LIMIT || space.free_pages() == 0);
                        }
                    }
                    Act::Truncate(size) => {
                        let done = file.truncate(size, &mut space).is_ok();
                        prop_assert_eq!(done, size <= LIMIT);
                        if done {
                            model.resize(size as usize, 0);
                        }
                    }
                    Act::Read(at, length) => {
                        let mut buffer = vec![0x55; length];
                        let read = file.read(at, &mut buffer);
                        let from = (at as usize).min(model.len());
                        let to = (from + length).min(model.len());
                        prop_assert_eq!(&buffer[..read], &model[from..to]);
                        prop_assert!(buffer[read..].iter().all(|&byte| byte == 0x55));
                    }
                    Act::Map(at, length) => {
                        let fits = at as usize + length <= model.len().next_multiple_of(PAGE);
                        prop_assert!(fits || file.map(at, length, &mut space).is_err());
                        if fits {
                            let _ = file.map(at, length, &mut space);
                        }
                    }
                }
                prop_assert_eq!(contents(&file), model.clone());
                prop_assert_eq!(space.used(), file.pages() as u64 * PAGE as u64);
            }
        }
    }
}
