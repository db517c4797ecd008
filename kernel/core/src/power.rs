//! `sys:kstop` — how the system ends, and the codes it leaves behind.

/// The exit device's code for an orderly end.
pub const SUCCESS: u8 = 0x10;
/// The exit device's code for a panic, or for PID 1 ending.
pub const FAILURE: u8 = 0x11;
