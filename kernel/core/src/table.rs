//! Numbered things: a table that hands out the number of a free place.
//!
//! The places lie in pieces of a fixed size. A table in one piece would move when it grows, and
//! ask the kernel's heap for ever larger blocks, which no watermark can promise; anybody who opens
//! enough files could end the kernel that way.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// Places in a piece.
const PIECE: usize = 32;

/// A place: taken, or free and naming the next free one.
enum Place<T> {
    Taken(T),
    Free(usize),
}

/// The table.
pub struct Table<T> {
    pieces: Vec<Box<[Place<T>; PIECE]>>,
    /// The place that is taken next; the end of the table when none is free.
    next: usize,
    taken: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Table<T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { pieces: Vec::new(), next: 0, taken: 0 }
    }

    /// How many things there are.
    pub fn len(&self) -> usize {
        self.taken
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The number that the next insertion gives out.
    pub fn vacant_key(&self) -> usize {
        self.next
    }

    /// Puts a thing into a free place and returns its number.
    pub fn insert(&mut self, thing: T) -> usize {
        let number = self.next;
        if number / PIECE == self.pieces.len() {
            // Made on the heap: a piece of large things is too much for a stack.
            let places: Box<[_]> = (1..=PIECE).map(|step| Place::Free(number + step)).collect();
            self.pieces.extend(places.try_into().ok());
        }
        let place = &mut self.pieces[number / PIECE][number % PIECE];
        if let Place::Free(next) = *place {
            self.next = next;
        }
        *place = Place::Taken(thing);
        self.taken += 1;
        number
    }

    /// Takes a thing out.
    ///
    /// # Panics
    /// When there is none of that number: the caller lost track.
    pub fn remove(&mut self, number: usize) -> T {
        let place = &mut self.pieces[number / PIECE][number % PIECE];
        match core::mem::replace(place, Place::Free(self.next)) {
            Place::Taken(thing) => {
                self.next = number;
                self.taken -= 1;
                thing
            }
            Place::Free(_) => panic!("nothing has the number {number}"),
        }
    }

    /// The thing with a number.
    #[inline]
    pub fn get(&self, number: usize) -> Option<&T> {
        match &self.pieces.get(number / PIECE)?[number % PIECE] {
            Place::Taken(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }

    /// The same, to change it.
    #[inline]
    pub fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        match &mut self.pieces.get_mut(number / PIECE)?[number % PIECE] {
            Place::Taken(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }

    /// One past the highest number there may be.
    pub fn limit(&self) -> usize {
        self.pieces.len() * PIECE
    }

    /// Whether something has this number.
    pub fn contains(&self, number: usize) -> bool {
        self.get(number).is_some()
    }

    /// All things by number, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let places = self.pieces.iter().flat_map(|piece| piece.iter()).enumerate();
        places.filter_map(|(number, place)| match place {
            Place::Taken(thing) => Some((number, thing)),
            Place::Free(_) => None,
        })
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        let places = self.pieces.iter_mut().flat_map(|piece| piece.iter_mut()).enumerate();
        places.filter_map(|(number, place)| match place {
            Place::Taken(thing) => Some((number, thing)),
            Place::Free(_) => None,
        })
    }

    /// Takes out all things that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(usize, &mut T) -> bool) {
        for number in 0..self.pieces.len() * PIECE {
            if self.get_mut(number).is_some_and(|thing| !keep(number, thing)) {
                self.remove(number);
            }
        }
    }
}

impl<T> Index<usize> for Table<T> {
    type Output = T;

    #[inline]
    fn index(&self, number: usize) -> &T {
        self.get(number).expect("a number is kept only as long as what it names")
    }
}

impl<T> IndexMut<usize> for Table<T> {
    #[inline]
    fn index_mut(&mut self, number: usize) -> &mut T {
        self.get_mut(number).expect("a number is kept only as long as what it names")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_table_is_a_map_that_chooses_its_keys(
            steps in prop::collection::vec(prop::option::weighted(0.6, any::<u16>()), 1..300),
        ) {
            let mut table = Table::new();
            let mut model = BTreeMap::new();
            for step in steps {
                match step {
                    Some(value) => {
                        let promised = table.vacant_key();
                        let number = table.insert(value);
                        prop_assert_eq!(number, promised);
                        prop_assert!(model.insert(number, value).is_none());
                    }
                    None => {
                        let Some((number, value)) = model.pop_first() else { continue };
                        prop_assert_eq!(table.remove(number), value);
                        prop_assert!(table.get(number).is_none());
                    }
                }
                prop_assert_eq!(table.len(), model.len());
            }
            prop_assert!(table.iter().eq(model.iter().map(|(key, value)| (*key, value))));
            table.retain(|_, value| *value % 2 == 0);
            model.retain(|_, value| *value % 2 == 0);
            prop_assert!(table.iter_mut().eq(model.iter_mut().map(|(key, value)| (*key, value))));
        }
    }

    #[test]
    fn free_places_are_used_again() {
        let mut table = Table::new();
        for _ in 0..2 {
            let numbers: Vec<usize> = (0..100).map(|value| table.insert(value)).collect();
            assert!(numbers.iter().all(|number| *number < 100 && table.contains(*number)));
            assert!(!table.contains(100) && !table.contains(4_000));
            let sum: i32 = numbers.into_iter().map(|number| table.remove(number)).sum();
            assert_eq!((sum, table.is_empty()), (4_950, true));
        }
    }

    #[test]
    #[should_panic(expected = "nothing has the number 1")]
    fn removing_nothing_is_a_mistake() {
        let mut table = Table::new();
        table.insert(());
        table.remove(1);
    }
}
