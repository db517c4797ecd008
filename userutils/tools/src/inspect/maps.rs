//! `proc:PID/maps`, read.

/// One range of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) end: u64,
    /// `r`, `w`, `x` or `-`.
    pub(super) rights: String,
    /// `private`, `shared`, `device`, `window`.
    pub(super) kind: String,
    /// Where in a file it begins, and the file's path; or `[stack]`.
    pub(super) origin: Option<(u64, String)>,
}

/// The ranges of a text; lines that are none are left out.
pub(super) fn parse(text: &str) -> Vec<Range> {
    let range = |line: &str| {
        let mut words = line.splitn(5, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let hex = |word| u64::from_str_radix(word, 16).ok();
        let (start, end) = (hex(start)?, hex(end)?);
        let (rights, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        let offset = words.next().and_then(|word| hex(word.trim_start_matches("0x")));
        let origin = offset.zip(words.next().map(str::to_owned));
        Some(Range { start, end, rights, kind, origin })
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let text = "000000200000-000000205000 r-x private 0x1000 /bin/a b\nnoise\n0-1 rw- shared\n";
        let ranges = parse(text);
        let (start, end) = (0x20_0000, 0x20_5000);
        let origin = Some((0x1000, "/bin/a b".into()));
        let first = Range { start, end, rights: "r-x".into(), kind: "private".into(), origin };
        assert_eq!(ranges.len(), 2);
        assert_eq!(ranges[0], first);
        assert_eq!((ranges[1].kind.as_str(), &ranges[1].origin), ("shared", &None));
        assert_eq!((first.length(), first.holds(end), first.holds(end - 1)), (0x5000, false, true));
    }
}
