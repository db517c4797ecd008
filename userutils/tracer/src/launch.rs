//! Starting a program so that its tracer sees it from its first instruction on.

use super::{Session, Start};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, pipe};

/// What a shell reports when there is no such program.
const NOT_FOUND: i32 = 127;

/// A program that is about to start: its process waits before `exec`, stopped.
#[derive(Debug)]
pub struct Launched {
    /// The session with it.
    pub session: Session,
    /// Closing it lets the process go on to `exec`.
    gate: io::PipeWriter,
}

impl Launched {
    /// Opens the gate. The thread still needs to be told to go.
    pub fn into_session(self) -> Session {
        drop(self.gate);
        self.session
    }
}

/// Makes a process that becomes the program `words[0]`, looked for in `PATH`, once it is let go.
/// If there is none it says so in the name of `tool` and ends with status 127.
///
/// # Errors
/// When there is no room for a process.
pub fn launch(tool: &str, words: &[String], is_deadly: bool) -> io::Result<Launched> {
    let arguments: Result<Vec<CString>, _> =
        words.iter().map(|word| CString::new(word.as_str())).collect();
    let arguments = arguments.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut pointers: Vec<*const libc::c_char> = arguments.iter().map(|a| a.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let (reader, gate) = pipe()?;
    // SAFETY: this program has one thread, so the child's copy of everything is sound.
    let pid = unsafe { libc::fork() };
    match pid {
        ..0 => Err(io::Error::last_os_error()),
        0 => {
            drop(gate);
            become_program(tool, reader, &pointers)
        }
        pid => {
            drop(reader);
            let pid = pid as u32;
            let start = Start { stops: true, is_deadly };
            match Session::open(pid, pid, start) {
                Ok(session) => Ok(Launched { session, gate }),
                Err(error) => {
                    // SAFETY: no memory is involved.
                    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
                    Err(error)
                }
            }
        }
    }
}

fn become_program(tool: &str, reader: io::PipeReader, words: &[*const libc::c_char]) -> ! {
    let _ = File::from(std::os::fd::OwnedFd::from(reader)).read(&mut [0]);
    // SAFETY: the pointers lead to strings with an end, and the last one is null.
    unsafe { libc::execvp(words[0], words.as_ptr()) };
    let error = io::Error::last_os_error();
    // SAFETY: as above.
    let name = unsafe { std::ffi::CStr::from_ptr(words[0]) };
    eprintln!("{tool}: {}: {error}", name.to_string_lossy());
    std::process::exit(NOT_FOUND)
}
