//! The application binary interface: what a program may rely on.
//!
//! Numbers, flags, errors and structures that `redox_syscall` 0.9.5 has are taken from there
//! (re-exported as [`redox`]). This crate holds only what Lifeboat keeps in its kernel and Redox
//! moved out of its own: opening by path, processes, waiting, signals, identity.
//!
//! # Calling
//!
//! `syscall`, or `int 0x80` with the same registers: number in `rax`, arguments in `rdi rsi rdx
//! r10 r8 r9`, the answer in `rax` (a value, or `-errno` as Redox numbers errors). `syscall`
//! destroys `rcx` and `r11`; every other register is preserved, the floating-point ones too.
//!
//! # Extensions to calls that Redox has
//!
//! | call | extension |
//! | --- | --- |
//! | `OPENAT_INTO2`, `DUP_INTO` | the wanted descriptor may be [`LOWEST_FREE`]: the kernel picks |
//! | `FCNTL` | `F_DUPFD`, `F_GETFD` and `F_SETFD` work: the kernel keeps close-on-exec |
//! | `FMAP` | descriptor [`ANONYMOUS`]: zero-filled memory. Its offset, if not 0, is that of a page in it that may not be touched, a guard |
//! | `FUTEX` | private to the address space unless the memory is mapped shared |
//!
//! `OPENAT_INTO` (987), which Redox itself is retiring, is not there.
#![no_std]
#![forbid(unsafe_code)]

pub mod call;
pub mod errno;
pub mod exec;
pub mod lock;
pub mod number;
pub mod partition;
pub mod signal;
pub mod socket;
pub mod trace;
pub mod wait;
pub mod watch;

/// The types, errors and flags this interface shares with Redox.
pub use syscall as redox;

/// In place of a wanted descriptor: take the lowest free one.
pub const LOWEST_FREE: usize = usize::MAX;

/// In place of a descriptor for `FMAP`: anonymous, zero-filled memory.
pub const ANONYMOUS: usize = usize::MAX;

/// A third flag for `event:`, beside readable and writable: the other side is gone for good. Told only
/// to those who ask for it, and only by the kernel's own schemes.
pub const EVENT_HANGUP: usize = 1 << 2;

/// A fourth: nothing more comes after what can be read now. Told like [`EVENT_HANGUP`].
pub const EVENT_ENDED: usize = 1 << 3;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// The lowest address a program may map: the first 64 KiB catch null pointers.
pub const USER_START: usize = 0x1_0000;

/// One past the highest address a program may use (the lower canonical half, less one page so
/// that no `syscall` instruction can end at a non-canonical address).
pub const USER_END: usize = 0x7FFF_FFFF_F000;

/// Where the first thread's stack ends; `exec` builds the start block just below.
pub const STACK_TOP: usize = 0x7FFF_FFF0_0000;

/// Most bytes the first thread's stack may grow to; the page below is never mapped.
pub const STACK_SIZE: usize = 8 << 20;

/// The longest path, in bytes.
pub const PATH_MAX: usize = 4096;

/// Most descriptors one process may hold.
pub const FD_MAX: usize = 65_536;
