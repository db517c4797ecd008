//! `ram:` — files that live in memory, mounted at `/tmp`.
//!
//! [`Tree`] is the whole file system as plain calls: it knows nothing of the scheme protocol, takes
//! the caller's ids and the time as arguments, and answers with the error the caller is to see.
//! Every call looks first and changes last, so one that fails has changed nothing.
//!
//! Nothing here outlives the daemon, and nothing is ever thrown away to make room: when the space
//! is used up, writing fails with `ENOSPC`.

pub mod directory;
pub mod file;
pub mod node;
pub mod open;
pub mod pageset;
pub mod size;
pub mod space;
pub mod tree;
pub mod walk;

pub use node::Caller;
pub use tree::Tree;
