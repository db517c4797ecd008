//! The boot archive behind `initfs:` — a read-only tree of directories, files and symbolic links.
//!
//! The host writes it ([`Builder`]), the boot loader hands it over as one piece of memory, and the
//! kernel reads it where it lies ([`Archive`]). File contents start on page boundaries and are
//! padded with zeroes to the next, so the kernel maps them without copying. Nothing in an archive
//! is trusted before [`Archive::parse`] has accepted it, and nothing is ever written to it.
//!
//! # Layout
//!
//! All numbers are little-endian; offsets count from the first byte of the archive.
//!
//! ```text
//! 0      header      64 bytes   magic, version, entry count, where names and data begin, length
//! 64     entries     40 bytes each
//!        names       entry names and link targets, one after the other, no separators
//!        data        from the next page boundary on; every file on its own pages
//! ```
//!
//! Entry 0 is the root. The children of a directory are neighbours, sorted by name, and lie behind
//! their directory; directories claim their children in order and without gaps. So an archive that
//! passes one linear check is a tree: no cycles, no orphans, no entry with two parents.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod invalid;
mod layout;
mod lookup;
mod read;
mod write;

pub use invalid::Invalid;
pub use lookup::{LINKS_MAX, LookupError};
pub use read::{Archive, Children, Entry, Kind};
pub use write::{BuildError, Builder};

/// Bytes in a page: the alignment of file contents.
pub const PAGE_SIZE: usize = 4096;

/// The longest name of one entry, in bytes.
pub const NAME_MAX: usize = 255;

/// The longest target of a symbolic link, in bytes.
pub const TARGET_MAX: usize = 4096;

/// The permission bits an entry may carry.
pub const MODE_MASK: u16 = 0o7777;
