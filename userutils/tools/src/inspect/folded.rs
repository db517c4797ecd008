//! Folded stacks: `program;outer;inner COUNT`, one line for each stack, as flame graph tools read
//! them.

use crate::columns::{Cell, Listing};
use abi::watch::SAMPLE_HEAD;
use std::collections::{BTreeMap, BTreeSet};

/// One look at a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) pid: u32,
    /// How many were lost before it.
    pub(super) lost: usize,
    /// The instruction, then return addresses.
    pub(super) places: Vec<u64>,
}

impl Sample {
    /// The samples of what `proc:PID/profile` has given.
    pub(super) fn all(bytes: &[u8]) -> Vec<Self> {
        let words = bytes.chunks_exact(8);
        let words: Vec<u64> =
            words.map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default())).collect();
        let mut rest = words.as_slice();
        let mut samples = Vec::new();
        while let Some(count) = rest.first().map(|count| *count as usize)
            && (SAMPLE_HEAD..=rest.len()).contains(&count)
        {
            let (sample, behind) = rest.split_at(count);
            let (pid, lost) = (sample[1] as u32, sample[4] as usize);
            samples.push(Self { pid, lost, places: sample[SAMPLE_HEAD..].to_vec() });
            rest = behind;
        }
        samples
    }
}

/// How often each stack was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folded(BTreeMap<String, u64>);

impl Folded {
    /// Counts a stack, the outermost name first.
    pub(super) fn add<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let stack: Vec<String> = names.map(|name| name.replace(';', ":")).collect();
        *self.0.entry(stack.join(";")).or_default() += 1;
    }

    /// How many samples there are.
    pub(super) fn count(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(stack, count)| format!("{stack} {count}\n")).collect()
    }

    /// Reads a text; fails with the number of a line that is none.
    pub(super) fn parse(text: &str) -> Result<Self, usize> {
        let mut folded = Self::default();
        for (number, line) in text.lines().enumerate() {
            let (stack, count) = line.rsplit_once(' ').ok_or(number + 1)?;
            let count: u64 = count.parse().map_err(|_| number + 1)?;
            *folded.0.entry(stack.to_owned()).or_default() += count;
        }
        Ok(folded)
    }

    /// Functions with their shares, the busiest first.
    pub(super) fn report(&self) -> String {
        let mut shares: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        for (stack, count) in &self.0 {
            let names: Vec<&str> = stack.split(';').skip(1).collect();
            if let Some(inner) = names.last() {
                shares.entry(inner).or_default()[0] += count;
            }
            // One that calls itself counts once.
            for name in names.into_iter().collect::<BTreeSet<&str>>() {
                shares.entry(name).or_default()[1] += count;
            }
        }
        let mut rows: Vec<(&str, [u64; 2])> = shares.into_iter().collect();
        rows.sort_by_key(|(name, [own, all])| (std::cmp::Reverse((*own, *all)), *name));
        let columns = [
            ("SELF", "self"),
            ("TOTAL", "total"),
            ("SAMPLES", "samples"),
            ("FUNCTION", "function"),
        ];
        let mut listing = Listing::new(&columns);
        let total = self.count().max(1);
        let share = |count: u64| {
            let tenths = count * 1000 / total;
            Cell::Shown(count, format!("{}.{}%", tenths / 10, tenths % 10))
        };
        let row = |(name, [own, all]): (&str, [u64; 2])| {
            vec![share(own), share(all), Cell::Number(own), Cell::Text(name.to_owned())]
        };
        listing.rows = rows.into_iter().map(row).collect();
        listing.render(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_cut_out_of_bytes() {
        let words = [7, 5, 6, 1, 2, 0x10, 0x20, 5, 8, 8, 1, 0, 99, 1];
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
        let sample = |pid, lost, places: &[u64]| Sample { pid, lost, places: places.to_vec() };
        assert_eq!(Sample::all(&bytes), [sample(5, 2, &[0x10, 0x20]), sample(8, 0, &[])]);
        assert_eq!(Sample::all(&[1, 2, 3]), []);
    }

    #[test]
    fn stacks_are_counted_written_and_read() {
        let mut folded = Folded::default();
        for stack in [["ls", "main", "list"], ["ls", "main", "list"], ["ls", "main", "a;b"]] {
            folded.add(stack.into_iter());
        }
        assert_eq!(folded.text(), "ls;main;a:b 1\nls;main;list 2\n");
        assert_eq!(Folded::parse(&folded.text()), Ok(folded.clone()));
        assert_eq!(Folded::parse("a 1\nb\n"), Err(2));
        let report = " SELF   TOTAL  SAMPLES  FUNCTION\n\
            66.6%   66.6%        2  list\n\
            33.3%   33.3%        1  a:b\n 0.0%  100.0%        0  main\n";
        assert_eq!(folded.report(), report);
    }
}
