//! Files and directories.
//!
//! Paths are made absolute here ([`path`]); everything else is asked of the kernel. `*at` functions
//! with a directory descriptor join its path (`FPATH`) with the relative one.

mod access;
mod cwd;
pub(crate) mod descriptor;
pub(crate) mod dir;
mod io;
mod link;
mod lock;
pub(crate) mod metadata;
pub(crate) mod name;
pub(crate) mod open;
pub(crate) mod path;
mod pipe;
mod real;
pub(crate) mod stat;
mod temporary;
pub(crate) mod volume;
