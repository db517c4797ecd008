//! `posix_spawn`. The libc crate does not declare it for this target, so it is declared here, as C
//! programs would.

use crate::{Check, Outcome, same};
use std::ffi::{CString, c_char, c_int, c_short};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};

pub(crate) const CHECKS: &[Check] = &[
    ("spawn/a-program-starts-and-ends", status),
    ("spawn/errors-of-exec-are-the-callers", errors),
    ("spawn/descriptors-are-arranged", arranged),
    ("spawn/attributes-take-effect", attributes),
];

#[repr(C, align(8))]
struct Actions([u8; 80]);
#[repr(C, align(8))]
struct Attributes([u8; 336]);

unsafe extern "C" {
    fn posix_spawn(
        pid: *mut i32,
        path: *const c_char,
        actions: *const Actions,
        attributes: *const Attributes,
        argv: *const *const c_char,
        envp: *const *const c_char,
    ) -> c_int;
    fn posix_spawnp(
        pid: *mut i32,
        name: *const c_char,
        actions: *const Actions,
        attributes: *const Attributes,
        argv: *const *const c_char,
        envp: *const *const c_char,
    ) -> c_int;
    fn posix_spawn_file_actions_init(actions: *mut Actions) -> c_int;
    fn posix_spawn_file_actions_destroy(actions: *mut Actions) -> c_int;
    fn posix_spawn_file_actions_addopen(
        actions: *mut Actions,
        fd: c_int,
        path: *const c_char,
        flags: c_int,
        mode: libc::mode_t,
    ) -> c_int;
    fn posix_spawn_file_actions_addclose(actions: *mut Actions, fd: c_int) -> c_int;
    fn posix_spawn_file_actions_adddup2(actions: *mut Actions, fd: c_int, to: c_int) -> c_int;
    fn posix_spawn_file_actions_addchdir_np(actions: *mut Actions, path: *const c_char) -> c_int;
    fn posix_spawnattr_init(attributes: *mut Attributes) -> c_int;
    fn posix_spawnattr_setflags(attributes: *mut Attributes, flags: c_short) -> c_int;
    fn posix_spawnattr_setpgroup(attributes: *mut Attributes, group: i32) -> c_int;
    fn posix_spawnattr_setsigmask(attributes: *mut Attributes, mask: *const u64) -> c_int;
    fn posix_spawnattr_setsigdefault(attributes: *mut Attributes, signals: *const u64) -> c_int;
}

/// Starts this program as its own child. With what it is started, as C has it.
fn start(
    words: &[&str],
    actions: *const Actions,
    attributes: *const Attributes,
) -> Result<Result<i32, i32>, Box<dyn std::error::Error>> {
    let own = std::env::current_exe()?.into_os_string().into_string().map_err(|_| "no text")?;
    let own = CString::new(own)?;
    let words: Vec<CString> = ["runtime-check", "child"]
        .iter()
        .chain(words)
        .map(|word| CString::new(*word))
        .collect::<Result<_, _>>()?;
    let argv: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([null()]).collect();
    let mut pid = 0;
    // SAFETY: strings and arrays are well-formed; the structures come from their functions.
    let error = unsafe {
        posix_spawn(&mut pid, own.as_ptr(), actions, attributes, argv.as_ptr(), [null()].as_ptr())
    };
    Ok(if error == 0 { Ok(pid) } else { Err(error) })
}

fn finish(pid: i32) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: the status is ours.
    match unsafe { libc::waitpid(pid, &mut status, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(status),
    }
}

fn status() -> Outcome {
    let child = start(&["exit", "7"], null(), null())?.map_err(io::Error::from_raw_os_error)?;
    same!(libc::WEXITSTATUS(finish(child)?), 7);
    Ok(())
}

fn errors() -> Outcome {
    let argv = [c"x".as_ptr(), null()];
    let envp = [null()];
    let directory = std::env::temp_dir().into_os_string().into_string().map_err(|_| "no text")?;
    let directory = CString::new(directory)?;
    let mut pid = -5;
    // SAFETY: strings and arrays are well-formed.
    unsafe {
        let mut spawn = |path: *const c_char, actions: *const Actions| {
            posix_spawn(&mut pid, path, actions, null(), argv.as_ptr(), envp.as_ptr())
        };
        same!(spawn(c"/no/such/program".as_ptr(), null()), libc::ENOENT);
        same!(spawn(directory.as_ptr(), null()), libc::EACCES);
        let mut actions = Actions([0; 80]);
        same!(posix_spawn_file_actions_init(&mut actions), 0);
        same!(posix_spawn_file_actions_adddup2(&mut actions, 99, 0), 0);
        same!(spawn(c"/bin/true".as_ptr(), &actions), libc::EBADF);
        same!(posix_spawn_file_actions_adddup2(&mut actions, -1, 0), libc::EBADF);
        same!(posix_spawn_file_actions_destroy(&mut actions), 0);
        let name = c"no-such-program".as_ptr();
        let spawned = posix_spawnp(null_mut(), name, null(), null(), argv.as_ptr(), envp.as_ptr());
        same!(spawned, libc::ENOENT);
    }
    same!(pid, -5);
    // No child is left over.
    same!(finish(-1).map_err(|error| error.raw_os_error()), Err(Some(libc::ECHILD)));
    Ok(())
}

fn arranged() -> Outcome {
    let (mut reader, writer) = io::pipe()?;
    let mut actions = Actions([0; 80]);
    let directory = std::env::temp_dir();
    let text =
        CString::new(directory.clone().into_os_string().into_string().map_err(|_| "no text")?)?;
    // SAFETY: the structure is ours.
    unsafe {
        same!(posix_spawn_file_actions_init(&mut actions), 0);
        same!(posix_spawn_file_actions_adddup2(&mut actions, writer.as_raw_fd(), 1), 0);
        same!(posix_spawn_file_actions_addclose(&mut actions, 77), 0);
        same!(
            posix_spawn_file_actions_addopen(&mut actions, 5, c"/".as_ptr(), libc::O_RDONLY, 0),
            0
        );
        same!(posix_spawn_file_actions_addchdir_np(&mut actions, text.as_ptr()), 0);
    }
    let child = start(&["where"], &actions, null())?.map_err(io::Error::from_raw_os_error)?;
    drop(writer);
    let mut told = String::new();
    reader.read_to_string(&mut told)?;
    same!(finish(child)?, 0);
    let there = directory.canonicalize()?;
    same!(Some(told.as_str()), there.to_str());
    // SAFETY: as above.
    same!(unsafe { posix_spawn_file_actions_destroy(&mut actions) }, 0);
    Ok(())
}

fn attributes() -> Outcome {
    const GROUP_DEFAULTS_AND_MASK: c_short = 2 | 4 | 8;
    let mut attributes = Attributes([0; 336]);
    let blocked = 1_u64 << (libc::SIGTERM - 1);
    // Who started this program may have had it ignore SIGINT, as shells do in the background.
    let made_default = 1_u64 << (libc::SIGINT - 1);
    // SAFETY: the structure is ours.
    unsafe {
        same!(posix_spawnattr_init(&mut attributes), 0);
        same!(posix_spawnattr_setflags(&mut attributes, 16), libc::EINVAL);
        same!(posix_spawnattr_setflags(&mut attributes, GROUP_DEFAULTS_AND_MASK), 0);
        same!(posix_spawnattr_setpgroup(&mut attributes, 0), 0);
        same!(posix_spawnattr_setsigmask(&mut attributes, &blocked), 0);
        same!(posix_spawnattr_setsigdefault(&mut attributes, &made_default), 0);
    }
    let child = start(&["sleep"], null(), &attributes)?.map_err(io::Error::from_raw_os_error)?;
    // SAFETY: a child of ours.
    unsafe {
        same!(libc::getpgid(child), child);
        same!(libc::kill(child, libc::SIGTERM), 0);
        same!(libc::kill(-child, libc::SIGINT), 0);
    }
    // The first one is blocked, the other ends it.
    same!(libc::WTERMSIG(finish(child)?), libc::SIGINT);
    Ok(())
}
