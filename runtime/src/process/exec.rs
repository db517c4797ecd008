//! `exec`: reading a program whole, and becoming it.
//!
//! The kernel takes the image from memory. A scheme that can map its files gives it without a
//! copy; from any other the file is read. A `#!` script is replaced by its interpreter here.

use crate::environment;
use crate::errno;
use crate::fs::path::Given;
use crate::pointer;
use crate::sys::file::File;
use crate::sys::map::Pages;
use crate::sys::{Error, Result, error, syscall};
use abi::exec::ExecArgs;
use abi::number::{EXEC, O_CLOEXEC};
use abi::redox::flag::{MODE_DIR, MODE_TYPE, O_RDONLY};
use alloc::vec::Vec;
use core::ffi::c_char;
use libc::c_int;
use logic::{script, search};

/// How many interpreters may need an interpreter themselves.
const SCRIPTS_MAX: usize = 4;

/// Strings one after the other, each with its NUL, as the kernel takes them.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    count: usize,
}

impl Strings {
    fn push(&mut self, text: &[u8]) -> Result<()> {
        self.bytes.try_reserve(text.len() + 1).or_else(|_| error(libc::ENOMEM))?;
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        self.count += 1;
        Ok(())
    }

    fn collect<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Result<Self> {
        let mut strings = Self::default();
        for text in texts {
            strings.push(text)?;
        }
        Ok(strings)
    }

    /// The same without the first one.
    fn rest(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|&byte| byte == 0).skip(1).map(|text| &text[..text.len() - 1])
    }
}

/// The bytes of a program file.
fn image(path: &[u8]) -> Result<Pages> {
    let file = File::open(path, O_RDONLY | O_CLOEXEC)?;
    let stat = file.stat()?;
    if stat.st_mode & MODE_TYPE == MODE_DIR || stat.st_mode & 0o111 == 0 {
        return error(libc::EACCES);
    }
    let length = usize::try_from(stat.st_size).or_else(|_| error(libc::EFBIG))?;
    if length == 0 {
        return error(libc::ENOEXEC);
    }
    if let Ok(pages) = Pages::of_file(file.fd(), length) {
        return Ok(pages);
    }
    let mut pages = Pages::new(length)?;
    if file.read_full(pages.as_mut_slice())? != length {
        // It became shorter meanwhile: whatever it is, it is not the program it was.
        return error(libc::ENOEXEC);
    }
    Ok(pages)
}

/// Becomes the program at `path`; returns only with an error.
fn run(path: &[u8], arguments: Strings, environment: &Strings) -> Error {
    match replace(path, arguments, environment) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn replace(
    path: &[u8],
    mut arguments: Strings,
    environment: &Strings,
) -> Result<core::convert::Infallible> {
    let mut program = Vec::new();
    program.try_reserve(path.len()).or_else(|_| error(libc::ENOMEM))?;
    program.extend_from_slice(path);
    for _ in 0..=SCRIPTS_MAX {
        let absolute = Given::new(&program).resolve()?;
        let image = image(absolute.as_bytes())?;
        let Some(script) = script::parse(image.as_slice()) else {
            return Err(become_image(
                image.as_slice(),
                absolute.as_bytes(),
                &arguments,
                environment,
            ));
        };
        let mut next = Strings::default();
        next.push(script.interpreter)?;
        if let Some(argument) = script.argument {
            next.push(argument)?;
        }
        next.push(&program)?;
        for argument in arguments.rest() {
            next.push(argument)?;
        }
        arguments = next;
        program.clear();
        let length = script.interpreter.len();
        program.try_reserve(length).or_else(|_| error(libc::ENOMEM))?;
        program.extend_from_slice(script.interpreter);
    }
    error(libc::ELOOP)
}

/// The call itself.
fn become_image(image: &[u8], path: &[u8], arguments: &Strings, environment: &Strings) -> Error {
    let arguments = ExecArgs {
        image: image.as_ptr() as usize,
        image_len: image.len(),
        args: arguments.bytes.as_ptr() as usize,
        args_len: arguments.bytes.len(),
        args_count: arguments.count,
        envs: environment.bytes.as_ptr() as usize,
        envs_len: environment.bytes.len(),
        envs_count: environment.count,
        path: path.as_ptr() as usize,
        path_len: path.len(),
    };
    // SAFETY: the kernel only reads what is described; on success nothing of ours is left.
    match unsafe { syscall(EXEC, [&raw const arguments as usize]) } {
        Err(error) => error,
        Ok(_) => Error::new(libc::EIO),
    }
}

/// Becomes `path`, with all that C gives as pointers.
unsafe fn from_pointers(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's string and arrays are well-formed.
    let outcome = unsafe {
        let path = pointer::string(path);
        Strings::collect(pointer::strings(argv)).and_then(|arguments| {
            let environment = Strings::collect(pointer::strings(envp))?;
            Ok(run(path, arguments, &environment))
        })
    };
    errno::fail(outcome.unwrap_or_else(|error| error).errno) as c_int
}

/// Becomes the program at a path.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn execve(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { from_pointers(path, argv, envp) }
}

/// Becomes the program at a path, with the current environment.
#[unsafe(no_mangle)]
unsafe extern "C" fn execv(path: *const c_char, argv: *const *const c_char) -> c_int {
    // SAFETY: the same contract; `environ` is well-formed.
    unsafe { from_pointers(path, argv, environment::environ.cast_const().cast()) }
}

/// Becomes a program that is looked for in `PATH`, with the current environment.
#[unsafe(no_mangle)]
unsafe extern "C" fn execvp(name: *const c_char, argv: *const *const c_char) -> c_int {
    // SAFETY: the same contract; `environ` is well-formed.
    unsafe { execvpe(name, argv, environment::environ.cast_const().cast()) }
}

/// Becomes a program that is looked for in `PATH`.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn execvpe(
    name: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    let text = unsafe { pointer::string(name) };
    if search::is_path(text) {
        // SAFETY: the same contract.
        return unsafe { from_pointers(name, argv, envp) };
    }
    // SAFETY: the caller's arrays are well-formed.
    let error = unsafe { find_and_run(text, argv, envp) };
    errno::fail(error.errno) as c_int
}

/// Tries the directories of `PATH` in turn. A program that may not be run is remembered, in case
/// no other is found.
unsafe fn find_and_run(
    name: &[u8],
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> Error {
    if name.is_empty() {
        return Error::new(libc::ENOENT);
    }
    let mut answer = Error::new(libc::ENOENT);
    let path = environment::value(b"PATH").unwrap_or(search::DEFAULT_PATH);
    for directory in search::directories(path) {
        // SAFETY: the caller's arrays are well-formed.
        let tried = unsafe { try_in(directory, name, argv, envp) };
        match tried.errno {
            libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENAMETOOLONG => {}
            libc::EACCES => answer = tried,
            _ => return tried,
        }
    }
    answer
}

unsafe fn try_in(
    directory: &[u8],
    name: &[u8],
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> Error {
    let attempt = || {
        let mut path = Given::new(directory).resolve()?;
        path.push_parts(name).or_else(|_| error(libc::ENAMETOOLONG))?;
        // SAFETY: the caller's arrays are well-formed.
        let (arguments, environment) = unsafe {
            (Strings::collect(pointer::strings(argv))?, Strings::collect(pointer::strings(envp))?)
        };
        Ok(run(path.as_bytes(), arguments, &environment))
    };
    attempt().unwrap_or_else(|error| error)
}
