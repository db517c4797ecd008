//! What a driver does: begin commands, tell which are done.

use std::fmt;
use std::time::Duration;

use crate::memory::Span;

/// Bytes that offsets in `disk:info` and GPTs count in when a disk does not say otherwise.
pub const BLOCK: usize = 512;

/// What a disk is.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The kind of device, in a word.
    pub kind: &'static str,
    /// What its maker calls it.
    pub model: String,
    /// Bytes of a block.
    pub block: usize,
    /// How many blocks it has.
    pub blocks: u64,
    /// Whether it refuses to be written.
    pub is_read_only: bool,
    /// How many commands may be under way: slots are numbered from 0.
    pub depth: usize,
    /// The most bytes of one command.
    pub longest: usize,
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub enum Command<'a> {
    /// Fills the memory from this block on.
    Read(u64, &'a [Span]),
    /// Writes the memory from this block on.
    Write(u64, &'a [Span]),
    /// Done when everything that was written before is safe from a power cut.
    Flush,
}

/// A command that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The slot it had.
    pub slot: usize,
    /// What the device said of it; as an error, its status in words.
    pub outcome: Result<(), String>,
}

/// Nothing more can be done with the device as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It was taken out.
    Gone,
    /// It breaks its own rules or does not answer.
    Unruly(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the device is gone"),
            Self::Unruly(reason) => f.write_str(reason),
        }
    }
}

impl From<String> for Broken {
    fn from(reason: String) -> Self {
        Self::Unruly(reason)
    }
}

impl From<&str> for Broken {
    fn from(reason: &str) -> Self {
        Self::Unruly(reason.to_owned())
    }
}

/// A disk's hardware.
pub trait Device {
    /// What it is.
    fn facts(&self) -> &Facts;

    /// Hands a command to the device. The slot is free, the memory whole blocks of the device, at
    /// most [`Facts::longest`] bytes of it, and it belongs to the device until the command is done.
    fn begin(&mut self, slot: usize, command: Command<'_>) -> Result<(), Broken>;

    /// The next command that is done, if there is one. Never waits.
    fn finished(&mut self) -> Result<Option<Done>, Broken>;

    /// Finds out whether it is still there and works, when it takes long.
    fn is_there(&mut self) -> Result<(), Broken> {
        Ok(())
    }

    /// Returns when the device has interrupted, or after so long.
    fn wait(&mut self, limit: Duration);
}
