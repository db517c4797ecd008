//! Memory: the heap, and mappings by hand.

pub(crate) mod cache;
pub(crate) mod heap;
pub(crate) mod map;
