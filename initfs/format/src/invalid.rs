//! What can be wrong with an archive.

use core::fmt;

/// Why [`crate::Archive::parse`] refused; entries are named by their index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalid {
    /// It does not begin with the magic bytes.
    Magic,
    /// It was written by another version of this format.
    Version(u32),
    /// It is shorter than its own header says.
    Truncated,
    /// The parts named in the header overlap or are out of order.
    Header,
    /// There is no entry 0, or it is not a directory.
    Root,
    /// An unknown kind, a reserved bit, or a mode outside [`crate::MODE_MASK`].
    Entry(u32),
    /// A name that is empty, too long, not UTF-8, `.`, `..`, or holds `/` or NUL.
    Name(u32),
    /// Siblings out of order or with the same name.
    Order(u32),
    /// A directory whose children are not where the order of entries puts them.
    Children(u32),
    /// An entry that names another directory as its parent than the one that lists it.
    Parent(u32),
    /// File contents outside the data area or not on a page boundary.
    Data(u32),
    /// A link target that is empty, too long, not UTF-8 or holds NUL.
    Target(u32),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("not a boot archive"),
            Self::Version(version) => write!(f, "boot archive version {version} is not known"),
            Self::Truncated => f.write_str("boot archive is cut short"),
            Self::Header => f.write_str("boot archive header contradicts itself"),
            Self::Root => f.write_str("boot archive has no root directory"),
            Self::Entry(index) => write!(f, "entry {index} has an unknown kind or mode"),
            Self::Name(index) => write!(f, "entry {index} has an impossible name"),
            Self::Order(index) => write!(f, "entry {index} is out of order in its directory"),
            Self::Children(index) => write!(f, "directory {index} claims entries not its own"),
            Self::Parent(index) => write!(f, "entry {index} names the wrong parent"),
            Self::Data(index) => write!(f, "file {index} lies outside the archive's data"),
            Self::Target(index) => write!(f, "link {index} has an impossible target"),
        }
    }
}

impl core::error::Error for Invalid {}
