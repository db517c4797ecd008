//! `console:` — a terminal on top of the raw bytes of `debug:`.
//!
//! [`Terminal`] is the whole line discipline as a state machine: bytes from the keyboard and
//! writes from programs go in; bytes for the screen, signals, and finished input come out. It does
//! no I/O and reads no clock. `foreground`, which asks the kernel who may use it, and `reading`, which keeps
//! the reads that wait, are for daemons: this one, and `ptyd`.

pub mod column;
#[cfg(target_os = "redox")]
pub mod foreground;
pub mod handle;
pub mod line;
pub mod output;
pub mod queue;
#[cfg(target_os = "redox")]
pub mod reading;
pub mod settings;
pub mod terminal;
pub mod text;

pub use terminal::Terminal;
