//! `disk:` — block devices and their partitions, every one a file.
//!
//! A driver is a [`drive::Drive`]: blocks in, blocks out, and a flush. What files need beyond
//! that, any offset and any length, is in [`volume`]; which parts of a disk are files of their
//! own, in [`partition`].

pub mod drive;
pub mod partition;
pub mod volume;
