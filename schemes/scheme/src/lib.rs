//! What every scheme daemon shares: the command line ([`command`]), stateless character devices
//! ([`device`]), the serving loop (`serve`), waiting for
//! several things at once (`events`), the file calls that arrive as messages
//! (`file_call`), locks on files ([`locks`]), FIFOs among them ([`fifos`]), memory that clients may map ([`area`]), being
//! told to stop (`stop`), and the command line of file systems ([`options`]).
//!
//! A daemon is a library of plain logic, tested on the host, and a small program that joins it to
//! the scheme protocol. Only the modules that know the protocol exist on Lifeboat alone. Nothing
//! in this crate uses a hash map with random keys, so a daemon may run before `rand:` does.

pub mod area;
pub mod command;
pub mod device;
#[cfg(target_os = "redox")]
pub mod device_scheme;
#[cfg(target_os = "redox")]
pub mod events;
#[cfg(target_os = "redox")]
pub mod fifo_pipe;
pub mod fifos;
#[cfg(target_os = "redox")]
pub mod file_call;
pub mod locks;
pub mod options;
#[cfg(target_os = "redox")]
pub mod serve;
#[cfg(target_os = "redox")]
pub mod stop;

#[cfg(target_os = "redox")]
pub use serve::{Daemon, Server, Turn, hand_over};
