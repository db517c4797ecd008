//! Tools that take a process apart: `pmap`, `lsof`, `pstack`, `core`, `prof`. All they know is in
//! `proc:`.

mod capture;
mod collect;
pub(crate) mod core;
mod descriptors;
mod folded;
pub(crate) mod lsof;
mod maps;
pub(crate) mod pmap;
pub(crate) mod prof;
pub(crate) mod pstack;

use crate::failure::Failure;
use elf_files::symbols::Program;
use std::fs::{self, File};
use tracer::{Session, Start};

/// A process that somebody has named.
fn number(word: &str) -> Result<u32, Failure> {
    word.parse().map_err(|_| Failure::Usage(format!("{word}: not a process's number")))
}

/// One of a process's text files.
fn text(pid: u32, name: &str) -> Result<String, Failure> {
    let path = format!("/scheme/proc/{pid}/{name}");
    let bytes =
        fs::read(path).map_err(|error| Failure::of(format_args!("process {pid}"), error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The program's path, and what its file tells. A file that cannot be read tells nothing.
fn program(pid: u32) -> (String, Program) {
    let path = text(pid, "exe").unwrap_or_default().trim_end().to_owned();
    let cache = File::open(&path).map(object::ReadCache::new);
    let program = cache.ok().and_then(|cache| Program::read(&cache)).unwrap_or_default();
    (path, program)
}

/// Stops all threads of a process; dropping the sessions lets them go. A thread that somebody else
/// traces is left to them.
fn stop_all(pid: u32) -> Result<Vec<Session>, Failure> {
    let failed = |error| Failure::of(format_args!("process {pid}"), error);
    let mut sessions = Vec::new();
    for tid in tracer::threads(pid).map_err(failed)? {
        match Session::open(pid, tid, Start { stops: true, is_deadly: false }) {
            Ok(session) => sessions.push(session),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            // It has ended since.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(sessions)
}
