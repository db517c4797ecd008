//! `proc:PID/maps`, read.

use elf_files::symbols::Segment;

/// One range of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) end: u64,
    /// `r`, `w`, `x` or `-`.
    pub(super) rights: String,
    /// `private`, `shared`, `device`, `window`.
    pub(super) kind: String,
}

/// The ranges of a text; lines that are none are left out.
pub(super) fn parse(text: &str) -> Vec<Range> {
    let range = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let hex = |word| u64::from_str_radix(word, 16).ok();
        let (start, end) = (hex(start)?, hex(end)?);
        let (rights, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Range { start, end, rights, kind })
    };
    text.lines().filter_map(range).collect()
}

impl Range {
    pub(super) fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether an address is inside.
    pub(super) fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether a part of a program is inside.
    pub(super) fn touches(&self, segment: &Segment) -> bool {
        segment.start < self.end && self.start < segment.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let ranges = parse("000000200000-000000205000 r-x private\nnoise\n0-1 rw- shared\n");
        let (start, end) = (0x20_0000, 0x20_5000);
        let first = Range { start, end, rights: "r-x".into(), kind: "private".into() };
        assert_eq!(ranges.len(), 2);
        assert_eq!(ranges[0], first);
        assert_eq!((first.length(), first.holds(end), first.holds(end - 1)), (0x5000, false, true));
        let segment = |start, end| Segment { start, end, offset: 0 };
        assert!(first.touches(&segment(0x20_4FFF, 0x20_5001)));
        assert!(!first.touches(&segment(0x20_5000, 0x20_6000)));
    }
}
