//! `proc:PID/maps` — where the pages of a space come from: the program's file, a mapped file, the
//! stack.
//!
//! Names only: what is at a page, and what user code may do there, is the space's own business.

use super::address::{Page, Pages};
use abi::PAGE_SIZE;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// A run of pages that come from one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Which pages.
    pub pages: Pages,
    /// Path of the file, or a word in brackets.
    pub name: Arc<str>,
    /// Where in the file the first page begins.
    pub offset: u64,
}

impl Origin {
    /// The part of it from `start` up to `end`.
    fn part(&self, start: Page, end: Page) -> Self {
        let skipped = (start.0 - self.pages.start.0) * PAGE_SIZE;
        // A daemon may map a piece of a file that reaches beyond the last offset.
        let offset = self.offset.wrapping_add(skipped as u64);
        Self { pages: Pages { start, end }, name: self.name.clone(), offset }
    }
}

/// All origins of a space. Pages without one are anonymous.
#[derive(Clone, Default)]
pub(super) struct Origins {
    /// Keyed by first page; they do not overlap.
    by_start: BTreeMap<usize, Origin>,
}

impl Origins {
    /// Notes where pages come from.
    pub(super) fn add(&mut self, origin: Origin) {
        self.remove(origin.pages);
        self.by_start.insert(origin.pages.start.0, origin);
    }

    /// Forgets pages that are unmapped.
    pub(super) fn remove(&mut self, pages: Pages) {
        while let Some((_, found)) = self.by_start.range(..pages.end.0).next_back()
            && found.pages.end > pages.start
        {
            let start = found.pages.start.0;
            let Some(origin) = self.by_start.remove(&start) else { return };
            if pages.end < origin.pages.end {
                self.by_start.insert(pages.end.0, origin.part(pages.end, origin.pages.end));
            }
            if origin.pages.start < pages.start {
                self.by_start.insert(start, origin.part(origin.pages.start, pages.start));
            }
        }
    }

    /// Cuts a run of pages where the origin changes. Every piece comes with its origin, if it has
    /// one.
    pub(super) fn pieces(&self, pages: Pages) -> impl Iterator<Item = (Pages, Option<Origin>)> {
        let mut start = pages.start;
        core::iter::from_fn(move || {
            if start >= pages.end {
                return None;
            }
            let before = self.by_start.range(..=start.0).next_back().map(|(_, origin)| origin);
            let here = before.filter(|origin| origin.pages.contains(start));
            let next = self.by_start.range(start.0 + 1..).next().map(|(start, _)| Page(*start));
            let end = here.map_or(next, |origin| Some(origin.pages.end));
            let end = end.map_or(pages.end, |end| end.min(pages.end));
            let piece = (Pages { start, end }, here.map(|origin| origin.part(start, end)));
            start = end;
            Some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use alloc::{format, vec};
    use proptest::prelude::*;

    fn run(start: usize, end: usize) -> Pages {
        Pages { start: Page(start), end: Page(end) }
    }

    fn origin(pages: Pages, name: &str) -> Origin {
        Origin { pages, name: name.into(), offset: pages.start.start() as u64 }
    }

    #[test]
    fn the_last_offset_is_no_end() {
        let mut origins = Origins::default();
        let offset = u64::MAX - (PAGE_SIZE as u64 - 1);
        origins.add(Origin { pages: run(1, 3), name: "far".into(), offset });
        origins.remove(run(1, 2));
        assert_eq!(shown(&origins, run(1, 3)), ["1-2", "2-3 far 0x0"]);
    }

    fn shown(origins: &Origins, pages: Pages) -> Vec<String> {
        let line = |(pages, origin): (Pages, Option<Origin>)| {
            let what = origin.map(|o| format!(" {} {:#x}", o.name, o.offset)).unwrap_or_default();
            format!("{}-{}{what}", pages.start.0, pages.end.0)
        };
        origins.pieces(pages).map(line).collect()
    }

    #[test]
    fn a_hole_keeps_the_offsets_of_both_sides() {
        let mut origins = Origins::default();
        origins.add(origin(run(10, 20), "a"));
        origins.remove(run(13, 15));
        let expected = vec!["8-10", "10-13 a 0xa000", "13-15", "15-20 a 0xf000", "20-22"];
        assert_eq!(shown(&origins, run(8, 22)), expected);
        assert_eq!(shown(&origins, run(16, 18)), ["16-18 a 0x10000"]);
    }

    proptest! {
        #[test]
        fn origins_are_what_a_table_of_pages_would_say(
            steps in prop::collection::vec((0usize..40, 1usize..12, prop::option::of(0u8..4)), 0..60)
        ) {
            let mut origins = Origins::default();
            let mut table = vec![None; 60];
            for (start, count, name) in steps {
                let pages = run(start, start + count);
                match name {
                    Some(name) => origins.add(origin(pages, &format!("{name}"))),
                    None => origins.remove(pages),
                }
                table[start..start + count].fill(name.map(|name| format!("{name}")));
            }
            let mut found = Vec::new();
            for (pages, origin) in origins.pieces(run(0, 60)) {
                for _ in pages.start.0..pages.end.0 {
                    let first = origin.as_ref().map(|o| o.offset - pages.start.start() as u64);
                    prop_assert!(first.is_none_or(|first| first == 0));
                    found.push(origin.as_ref().map(|o| String::from(&*o.name)));
                }
            }
            prop_assert_eq!(found, table);
        }
    }
}
