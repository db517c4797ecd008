//! A disk or a part of it as bytes: where an offset lies, and where the end is.

/// A run of blocks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first byte.
    pub start: u64,
    /// How many bytes.
    pub size: u64,
}

impl Extent {
    /// How many of `length` bytes from `offset` on there are.
    pub fn clip(self, offset: u64, length: usize) -> usize {
        let rest = self.size.saturating_sub(offset);
        usize::try_from(rest).map_or(length, |rest| rest.min(length))
    }

    /// Where on the disk an offset lies, which is not behind the end.
    pub fn place(self, offset: u64) -> u64 {
        self.start + offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lies_behind_the_end() {
        let extent = Extent { start: 4096, size: 1000 };
        assert_eq!(extent.clip(0, 100), 100);
        assert_eq!(extent.clip(990, 100), 10);
        assert_eq!(extent.clip(1000, 1), 0);
        assert_eq!(extent.clip(u64::MAX, 1), 0);
        assert_eq!(extent.place(10), 4106);
    }
}
