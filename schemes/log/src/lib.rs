//! `log:` — what the services have to say, in memory, in order.
//!
//! [`store::Store`] keeps lines up to a limit, for each tag and altogether; [`reader::Reader`]
//! walks through them and says so where lines are missing; [`writer::Writer`] makes lines of
//! whatever is written. Nothing is sent anywhere, and nothing outlives the daemon.

pub mod line;
pub mod path;
pub mod reader;
pub mod store;
pub mod writer;
