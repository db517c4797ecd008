//! Which pages of a file have memory: one bit each.

use std::ops::Range;

const BITS: usize = u64::BITS as usize;

/// A set of page numbers that knows its size.
#[derive(Clone, Debug, Default)]
pub struct PageSet {
    words: Vec<u64>,
    count: usize,
}

impl PageSet {
    /// How many pages are in the set.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no page is in the set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether this page is in the set.
    pub fn contains(&self, page: usize) -> bool {
        self.words.get(page / BITS).is_some_and(|word| word >> (page % BITS) & 1 != 0)
    }

    /// How many of these pages are not in the set.
    pub fn missing(&self, pages: Range<usize>) -> usize {
        pages.filter(|&page| !self.contains(page)).count()
    }

    /// Adds these pages.
    pub fn insert(&mut self, pages: Range<usize>) {
        if self.words.len() * BITS < pages.end {
            self.words.resize(pages.end.div_ceil(BITS), 0);
        }
        for page in pages {
            if !self.contains(page) {
                self.words[page / BITS] |= 1 << (page % BITS);
                self.count += 1;
            }
        }
    }

    /// Takes out every page from this one on; says how many there were.
    pub fn cut(&mut self, first: usize) -> usize {
        let before = self.count;
        let last = self.words.len() * BITS;
        for page in first..last {
            if self.contains(page) {
                self.words[page / BITS] &= !(1 << (page % BITS));
                self.count -= 1;
            }
        }
        self.words.truncate(first.div_ceil(BITS));
        before - self.count
    }

    /// The pages, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.words.len() * BITS).filter(|&page| self.contains(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_set(
            acts in prop::collection::vec((any::<bool>(), 0usize..300, 0usize..20), 0..40),
        ) {
            let (mut set, mut model) = (PageSet::default(), BTreeSet::new());
            for (insert, page, length) in acts {
                if insert {
                    set.insert(page..page + length);
                    model.extend(page..page + length);
                } else {
                    let cut = set.cut(page);
                    prop_assert_eq!(cut, model.split_off(&page).len());
                }
                prop_assert_eq!(set.len(), model.len());
                prop_assert_eq!(set.is_empty(), model.is_empty());
                prop_assert_eq!(set.iter().collect::<Vec<_>>(), Vec::from_iter(model.clone()));
                prop_assert_eq!(set.missing(0..400), 400 - model.len());
            }
        }
    }
}
