//! `posix_spawn`: a child that becomes another program, made with `fork` and `exec`.
//!
//! The child tells why it could not become the program through a pipe that `exec` closes, so the
//! caller gets the error and there is no child.

mod actions;
mod attributes;

use super::exec::{execve, execvpe};
use crate::errno;
use crate::sys::file::{self, File};
use crate::sys::{Error, Result, error, syscall};
use abi::number::{O_CLOEXEC, SIGPROCMASK};
use abi::redox::flag::O_RDONLY;
use actions::Actions;
use attributes::{Attributes, SETSIGMASK};
use core::ffi::c_char;
use libc::{c_int, pid_t};

/// What a child that could not become the program ends with.
const FAILED: c_int = 127;
/// `sigprocmask`: the set is the new mask.
const SET: usize = 2;

type Exec =
    unsafe extern "C" fn(*const c_char, *const *const c_char, *const *const c_char) -> c_int;

/// What becomes of the child.
struct Plan<'a> {
    exec: Exec,
    name: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    actions: Option<&'a Actions>,
    attributes: Option<&'a Attributes>,
}

impl Plan<'_> {
    /// In the child: everything in its order, and the program. Returns only with an error.
    ///
    /// # Safety
    ///
    /// Name and arrays are well-formed.
    unsafe fn run(&self, old_mask: u64) -> Error {
        let prepared = || {
            self.attributes.map_or(Ok(()), Attributes::apply)?;
            self.actions.map_or(Ok(()), Actions::run)
        };
        if let Err(error) = prepared() {
            return error;
        }
        let wanted = self.attributes.filter(|attributes| attributes.has(SETSIGMASK));
        swap_mask(wanted.map_or(old_mask, |attributes| attributes.mask));
        // SAFETY: as promised by the caller.
        unsafe { (self.exec)(self.name, self.argv, self.envp) };
        Error::new(errno::get())
    }

    /// Makes the child.
    ///
    /// # Safety
    ///
    /// Name and arrays are well-formed.
    unsafe fn spawn(&self) -> Result<pid_t> {
        let reader = File::open(b"pipe:", O_RDONLY | O_CLOEXEC)?;
        let given = File::adopt(file::dup(reader.fd(), b"write")?);
        // Where no action of the child's puts anything.
        let above = self.actions.map_or(0, Actions::highest) + 1;
        let command = libc::F_DUPFD_CLOEXEC as usize;
        let writer = File::adopt(file::fcntl(given.fd(), command, above)?);
        drop(given);
        // No handler of the parent's runs in the child before it is another program.
        let old_mask = swap_mask(u64::MAX);
        // SAFETY: the child does what is planned, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as promised by the caller.
            let error = unsafe { self.run(old_mask) };
            // When nobody reads it there is nobody to tell.
            let _ = writer.write(&error.errno.to_ne_bytes());
            // SAFETY: the child's only end.
            unsafe { libc::_exit(FAILED) };
        }
        let failure = Error::new(errno::get());
        swap_mask(old_mask);
        drop(writer);
        if child < 0 {
            return Err(failure);
        }
        let mut code = [0; size_of::<c_int>()];
        if reader.read_full(&mut code)? < code.len() {
            return Ok(child);
        }
        // SAFETY: no status is wanted.
        while unsafe { libc::waitpid(child, core::ptr::null_mut(), 0) } < 0
            && errno::get() == libc::EINTR
        {}
        error(c_int::from_ne_bytes(code))
    }
}

/// Sets this thread's mask, and returns what it was.
fn swap_mask(mask: u64) -> u64 {
    let mut old = 0_u64;
    let places = [SET, &raw const mask as usize, &raw mut old as usize];
    // SAFETY: both places are ours. It cannot fail.
    let _ = unsafe { syscall(SIGPROCMASK, places) };
    old
}

/// What both functions do.
unsafe fn spawn(place: *mut pid_t, plan: &Plan<'_>) -> c_int {
    let kept = errno::get();
    // SAFETY: the caller's contract is the same.
    let spawned = unsafe { plan.spawn() };
    errno::set(kept);
    errno::code(spawned.map(|child| {
        // SAFETY: the caller gave a place, or null.
        unsafe { crate::pointer::store(place, child) };
    }))
}

/// Starts the program at a path. Returns an error number, that of `exec` too.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn(
    place: *mut pid_t,
    path: *const c_char,
    actions: *const actions::Given,
    attributes: *const Attributes,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's structures are null or were made by the functions below.
    unsafe {
        let (actions, attributes) = (Actions::of(actions), attributes.as_ref());
        let plan = Plan { exec: execve, name: path, argv, envp, actions, attributes };
        spawn(place, &plan)
    }
}

/// Starts a program that is looked for in `PATH`.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnp(
    place: *mut pid_t,
    name: *const c_char,
    actions: *const actions::Given,
    attributes: *const Attributes,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        let (actions, attributes) = (Actions::of(actions), attributes.as_ref());
        let plan = Plan { exec: execvpe, name, argv, envp, actions, attributes };
        spawn(place, &plan)
    }
}
