//! `posix_spawn_file_actions_*`: what the child does with its descriptors before it is the program.

use crate::errno;
use crate::pointer;
use crate::sys::{Error, Result, error, file};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::c_char;
use libc::{c_int, mode_t};

/// A path of the caller's, with its NUL.
type Path = Vec<u8>;

enum Action {
    Open { fd: c_int, path: Path, flags: c_int, mode: mode_t },
    Close(c_int),
    Duplicate { fd: c_int, wanted: c_int },
    ChangeDirectory(Path),
    ChangeToOpenDirectory(c_int),
}

/// The actions, in the order they were added.
#[derive(Default)]
pub(super) struct Actions(Vec<Action>);

/// What C code reserves for them: as much as other C libraries do, for what they call theirs.
#[repr(C)]
pub(super) struct Given {
    actions: *mut Actions,
    reserved: [usize; 9],
}

fn answer(value: c_int) -> Result<()> {
    if value < 0 { Err(Error::new(errno::get())) } else { Ok(()) }
}

impl Action {
    fn run(&self) -> Result<()> {
        // SAFETY: paths end with a NUL.
        unsafe {
            match self {
                Self::Open { fd, path, flags, mode } => {
                    let opened = libc::open(path.as_ptr().cast(), *flags, c_int::from(*mode));
                    answer(opened)?;
                    if opened != *fd {
                        answer(libc::dup2(opened, *fd))?;
                        answer(libc::close(opened))?;
                    }
                    Ok(())
                }
                // One that is not open is closed already.
                Self::Close(fd) => answer(libc::close(*fd)).or_else(|error| match error.errno {
                    libc::EBADF => Ok(()),
                    _ => Err(error),
                }),
                // The same one is kept for the program.
                Self::Duplicate { fd, wanted } if fd == wanted => {
                    answer(libc::fcntl(*fd, libc::F_SETFD, 0))
                }
                Self::Duplicate { fd, wanted } => answer(libc::dup2(*fd, *wanted)),
                Self::ChangeDirectory(path) => answer(libc::chdir(path.as_ptr().cast())),
                Self::ChangeToOpenDirectory(fd) => answer(libc::fchdir(*fd)),
            }
        }
    }

    /// The highest descriptor it means.
    fn highest(&self) -> c_int {
        match self {
            Self::Open { fd, .. } | Self::Close(fd) | Self::ChangeToOpenDirectory(fd) => *fd,
            Self::Duplicate { fd, wanted } => *fd.max(wanted),
            Self::ChangeDirectory(_) => 0,
        }
    }
}

impl Actions {
    /// Those of a caller, if it gave any.
    ///
    /// # Safety
    ///
    /// The pointer is null, or to what `posix_spawn_file_actions_init` has made.
    pub(super) unsafe fn of<'a>(given: *const Given) -> Option<&'a Self> {
        // SAFETY: as promised by the caller.
        unsafe { given.as_ref().and_then(|given| given.actions.as_ref()) }
    }

    /// Does them all.
    pub(super) fn run(&self) -> Result<()> {
        self.0.iter().try_for_each(Action::run)
    }

    /// The highest descriptor that they mean.
    pub(super) fn highest(&self) -> usize {
        self.0.iter().map(Action::highest).max().unwrap_or_default() as usize
    }
}

/// Adds an action. Returns an error number.
unsafe fn add(given: *mut Given, action: Result<Action>) -> c_int {
    errno::code(action.and_then(|action| {
        // SAFETY: the caller's structure was made by `init`.
        let actions = unsafe { (*given).actions.as_mut() };
        let Some(Actions(actions)) = actions else { return error(libc::EINVAL) };
        actions.try_reserve(1).or_else(|_| error(libc::ENOMEM))?;
        actions.push(action);
        Ok(())
    }))
}

fn checked(fd: c_int) -> Result<c_int> {
    file::number(fd).map(|_| fd)
}

/// A copy of a caller's path.
unsafe fn copied(path: *const c_char) -> Result<Path> {
    // SAFETY: the caller's string ends with a NUL.
    let text = unsafe { pointer::string(path) };
    let mut copy = Vec::new();
    copy.try_reserve_exact(text.len() + 1).or_else(|_| error(libc::ENOMEM))?;
    copy.extend_from_slice(text);
    copy.push(0);
    Ok(copy)
}

/// No actions yet. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn_file_actions_init(given: *mut Given) -> c_int {
    let actions = Box::into_raw(Box::new(Actions::default()));
    // SAFETY: the caller gave a place.
    unsafe { given.write(Given { actions, reserved: [0; 9] }) };
    0
}

/// Forgets the actions.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn_file_actions_destroy(given: *mut Given) -> c_int {
    // SAFETY: the caller's structure was made by `init`, and is not used any more.
    unsafe {
        let actions = core::mem::replace(&mut (*given).actions, core::ptr::null_mut());
        if !actions.is_null() {
            drop(Box::from_raw(actions));
        }
    }
    0
}

/// Opens a file at a descriptor.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn_file_actions_addopen(
    given: *mut Given,
    fd: c_int,
    path: *const c_char,
    flags: c_int,
    mode: mode_t,
) -> c_int {
    // SAFETY: the same contract.
    unsafe {
        let path = checked(fd).and_then(|_| copied(path));
        add(given, path.map(|path| Action::Open { fd, path, flags, mode }))
    }
}

/// Closes a descriptor.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn_file_actions_addclose(given: *mut Given, fd: c_int) -> c_int {
    // SAFETY: the same contract.
    unsafe { add(given, checked(fd).map(Action::Close)) }
}

/// Puts a descriptor in another one's place.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn_file_actions_adddup2(
    given: *mut Given,
    fd: c_int,
    wanted: c_int,
) -> c_int {
    let action = checked(fd).and_then(|_| checked(wanted));
    // SAFETY: the same contract.
    unsafe { add(given, action.map(|_| Action::Duplicate { fd, wanted })) }
}

/// Changes the working directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn_file_actions_addchdir_np(
    given: *mut Given,
    path: *const c_char,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { add(given, copied(path).map(Action::ChangeDirectory)) }
}

/// Changes the working directory to an open one.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn_file_actions_addfchdir_np(given: *mut Given, fd: c_int) -> c_int {
    // SAFETY: the same contract.
    unsafe { add(given, checked(fd).map(Action::ChangeToOpenDirectory)) }
}
