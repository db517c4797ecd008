//! `fat:` — a FAT file system on a partition, for exchange with other systems and for the EFI
//! partition.
//!
//! The format is the `fatfs` crate's business. [`disk`] stands under it: blocks in memory, written
//! when the daemon has nothing else to do, and a limit to what one request may read, because a
//! damaged table of clusters can lead in a circle. [`tree`] gives it files, directories and errors
//! as programs know them. FAT knows no owners: everything is root's, and others only read.

mod calendar;
pub mod disk;
pub mod tree;
