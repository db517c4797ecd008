//! One bit for each frame, in memory reserved at boot.

use core::ops::Range;

/// The bits.
#[derive(Debug, Default)]
pub struct Bits {
    words: &'static mut [u64],
    count: usize,
}

impl Bits {
    /// Takes over the words; all bits become zero.
    pub fn new(words: &'static mut [u64]) -> Self {
        words.fill(0);
        Self { words, count: 0 }
    }

    /// Whether the bit is one. Bits there is no room for are zero.
    pub fn has(&self, bit: usize) -> bool {
        self.words.get(bit / 64).is_some_and(|word| word & 1 << (bit % 64) != 0)
    }

    /// Makes the bit one.
    pub fn set(&mut self, bit: usize) {
        if !self.has(bit)
            && let Some(word) = self.words.get_mut(bit / 64)
        {
            *word |= 1 << (bit % 64);
            self.count += 1;
        }
    }

    /// Makes the bit zero.
    pub fn clear(&mut self, bit: usize) {
        if self.has(bit) {
            self.words[bit / 64] &= !(1 << (bit % 64));
            self.count -= 1;
        }
    }

    /// Makes all bits zero.
    pub fn clear_all(&mut self) {
        self.words.fill(0);
        self.count = 0;
    }

    /// How many bits are one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first one at or behind `bit`.
    pub fn next(&self, bit: usize) -> Option<usize> {
        let first = bit / 64;
        let mask = u64::MAX << (bit % 64);
        let words = self.words.iter().enumerate().skip(first);
        let masked = words.map(|(at, word)| (at, if at == first { word & mask } else { *word }));
        let (at, word) = masked.into_iter().find(|(_, word)| *word != 0)?;
        Some(at * 64 + word.trailing_zeros() as usize)
    }

    /// The first run of ones at or behind `bit`, of at most `most`: where, and how many.
    pub fn next_run(&self, bit: usize, most: u32) -> Option<(usize, u32)> {
        let start = self.next(bit)?;
        let mut count = 0;
        while count < most {
            let at = start + count as usize;
            let word = self.words.get(at / 64).copied().unwrap_or_default();
            let ones = (word >> (at % 64)).trailing_ones();
            count += ones;
            if ones < 64 - (at % 64) as u32 {
                break;
            }
        }
        Some((start, count.min(most)))
    }

    /// Makes all bits of a range one.
    pub fn set_run(&mut self, range: Range<usize>) {
        self.change(range, |word, mask| word | mask);
    }

    /// Makes all bits of a range zero.
    pub fn clear_run(&mut self, range: Range<usize>) {
        self.change(range, |word, mask| word & !mask);
    }

    fn change(&mut self, range: Range<usize>, change: impl Fn(u64, u64) -> u64) {
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min((at / 64 + 1) * 64);
            let mask = u64::MAX >> (64 - (end - at)) << (at % 64);
            if let Some(word) = self.words.get_mut(at / 64) {
                let new = change(*word, mask);
                self.count += new.count_ones() as usize;
                self.count -= core::mem::replace(word, new).count_ones() as usize;
            }
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn runs_are_found_across_words() {
        let mut bits = Bits::new(vec![u64::MAX; 4].leak());
        assert_eq!(bits.next(0), None);
        (60..70).chain([130]).chain([255, 256, 1000]).for_each(|bit| bits.set(bit));
        assert_eq!(bits.count(), 12);
        assert_eq!(bits.next_run(0, 256), Some((60, 10)));
        assert_eq!(bits.next_run(62, 4), Some((62, 4)));
        assert_eq!(bits.next_run(70, 256), Some((130, 1)));
        assert_eq!(bits.next_run(131, 256), Some((255, 1)));
        assert_eq!(bits.next(256), None);
        bits.clear(255);
        bits.clear(255);
        assert_eq!((bits.count(), bits.next(131)), (11, None));
    }

    #[test]
    fn ranges_change_as_their_bits_one_by_one() {
        for (start, end) in [(0, 0), (0, 1), (3, 64), (0, 64), (63, 65), (10, 200), (64, 128)] {
            let mut bits = Bits::new(vec![0; 4].leak());
            bits.set(12);
            bits.set_run(start..end);
            let ones = (0..256).filter(|bit| bits.has(*bit)).count();
            let inside = usize::from((start..end).contains(&12));
            assert_eq!((bits.count(), ones), (end - start + 1 - inside, ones));
            assert_eq!(bits.next_run(start, 256).map(|run| run.0), bits.next(start));
            assert!(
                end == start || bits.next_run(start, 256) == Some((start, (end - start) as u32))
            );
            bits.clear_run(start..end);
            assert_eq!(bits.count(), 1 - inside);
        }
    }
}
