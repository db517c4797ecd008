//! `EXEC` — the arguments, and what a new program finds at its first instruction.
//!
//! The caller has read the whole program file into its own memory and passes it as `image`. The
//! kernel checks it (ELF64, little-endian, x86-64, `ET_EXEC` or `ET_DYN` without interpreter),
//! builds a new address space beside the old one, and only then lets go of the old.
//!
//! Descriptors stay open, but for those marked close-on-exec. Caught signals go back to their
//! default; ignored ones stay ignored. The mask, ids and working directory stay.
//!
//! # At the first instruction
//!
//! `rip` is the ELF entry, every general register but `rsp` is zero, `rsp` is 16-byte aligned and
//! points at the start block, laid out as System V x86-64 has it:
//!
//! ```text
//! rsp → argc | argv[0..argc] | 0 | envp[..] | 0 | auxv pairs | AT_NULL, 0 | strings
//! ```
//!
//! The auxiliary vector holds [`AT_PHDR`], [`AT_PHENT`], [`AT_PHNUM`], [`AT_PAGESZ`],
//! [`AT_ENTRY`].
//!
//! # Errors
//!
//! `ENOEXEC` not a program we run (also truncated or garbage), `E2BIG` more than
//! [`ARGUMENTS_MAX`] bytes of strings or [`STRINGS_MAX`] of them, `EFAULT`, `ENOMEM`, `EINVAL` counts
//! and strings differ.

/// What `EXEC` takes. Strings are NUL-terminated, one after the other, without gaps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecArgs {
    /// The program file in the caller's memory. Page-aligned images are shared, not copied.
    pub image: usize,
    /// Its length in bytes.
    pub image_len: usize,
    /// The argument strings.
    pub args: usize,
    /// Their length in bytes, NULs included.
    pub args_len: usize,
    /// How many there are.
    pub args_count: usize,
    /// The environment strings, `KEY=value`.
    pub envs: usize,
    /// Their length in bytes, NULs included.
    pub envs_len: usize,
    /// How many there are.
    pub envs_count: usize,
    /// The program's path, shown by `proc:PID/exe`; its last part is the name in `ps`.
    pub path: usize,
    /// Its length in bytes, without NUL.
    pub path_len: usize,
}

/// Most bytes of arguments and environment together.
pub const ARGUMENTS_MAX: usize = 256 << 10;

/// Most arguments and variables together.
pub const STRINGS_MAX: usize = 16 << 10;

/// Address of the program headers in memory.
pub const AT_PHDR: usize = 3;
/// Size of one program header.
pub const AT_PHENT: usize = 4;
/// Number of program headers.
pub const AT_PHNUM: usize = 5;
/// Bytes in a page.
pub const AT_PAGESZ: usize = 6;
/// The ELF entry point.
pub const AT_ENTRY: usize = 9;
/// End of the vector.
pub const AT_NULL: usize = 0;
