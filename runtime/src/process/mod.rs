//! Processes: making, becoming, waiting for, ending, naming them.

mod exec;
mod fork;
pub(crate) mod ids;
pub(crate) mod limits;
mod priority;
mod spawn;
mod usage;
pub(crate) mod wait;
