//! `sys:log` — the kernel's own log: the newest lines, in one piece of memory that never grows.
//!
//! A line looks like `[    1.234567] cpu0 INFO  sched: started 4 CPUs`. When room runs out the
//! oldest lines go, always whole ones. Readers keep their own position, counted in bytes since
//! boot, so many can follow at once and each can tell how much it missed. Writing never allocates
//! and never fails, and what it writes is safe to print: a message of several lines gets the same
//! prefix on each, control characters become `?`.

mod line;
mod ring;

pub use line::{LINE_MAX, Level, Line};
pub use ring::{Log, Piece};
