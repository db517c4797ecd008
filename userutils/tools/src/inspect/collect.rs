//! `core --collect` — writes down every process that crashes.

use super::capture::{self, Death};
use crate::failure::Failure;
use crate::source;
use abi::watch::CRASH_WORDS;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

/// Only the owner may read what was in a program's memory.
const MODE: u32 = 0o600;

/// What somebody else's collecting means to the user.
const BUSY: &str = "the service `core` has it: write a pattern to sys:core";

/// Collects for ever.
pub(super) fn run(pattern: Option<&str>) -> Result<u8, Failure> {
    let failed = |error: Error| match error.kind() {
        ErrorKind::ResourceBusy => Failure::Failed(format!("proc:crashes: {error}; {BUSY}")),
        _ => Failure::of("proc:crashes", error),
    };
    let mut crashes = File::open("/scheme/proc/crashes").map_err(failed)?;
    if let Some(pattern) = pattern {
        source::write("sys", "core", pattern)?;
    }
    loop {
        let mut bytes = [0; CRASH_WORDS * 8];
        crashes.read_exact(&mut bytes).map_err(failed)?;
        let word =
            |n: usize| u64::from_ne_bytes(bytes[n * 8..n * 8 + 8].try_into().unwrap_or_default());
        let (pid, tid, signal) = (word(0) as u32, word(1) as u32, word(2) as u32);
        let death = Death { signal, tid, fault: (word(3) as i32, word(4)) };
        tell(&match save(pid, death) {
            Ok((path, size)) => format!("process {pid}: {size} bytes in {path}"),
            Err(Failure::Failed(text)) => format!("ERROR process {pid}: {text}"),
            Err(_) => format!("ERROR process {pid}: not written"),
        });
    }
}

/// A line for `log:core`, or where there is no log for standard error.
fn tell(line: &str) {
    let log = OpenOptions::new().write(true).open("/scheme/log/core");
    let told = log.and_then(|mut log| log.write_all(format!("{line}\n").as_bytes()));
    if told.is_err() {
        eprintln!("core: {line}");
    }
}

fn save(pid: u32, death: Death) -> Result<(String, u64), Failure> {
    let pattern = source::read("sys", "core")?;
    let name = super::text(pid, "name")?;
    let path = expand(pattern.trim_end(), pid, death.signal, name.trim_end());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(MODE);
    let mut out = options.open(&path).map_err(|error| Failure::of(&path, error))?;
    let size = capture::write(pid, death, &mut out)?;
    out.sync_all().map_err(|error| Failure::of(&path, error))?;
    Ok((path, size))
}

/// `%p` is the process, `%s` the signal, `%n` the program's name, `%%` a percent sign.
fn expand(pattern: &str, pid: u32, signal: u32, name: &str) -> String {
    let mut path = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match (letter, letters.clone().next()) {
            ('%', Some('p')) => path += &pid.to_string(),
            ('%', Some('s')) => path += &signal.to_string(),
            // A name must not lead elsewhere.
            ('%', Some('n')) => path += &name.replace('/', "_"),
            ('%', Some('%')) => path.push('%'),
            _ => {
                path.push(letter);
                continue;
            }
        }
        letters.next();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_in() {
        assert_eq!(expand("/tmp/%n.%p.%s", 12, 11, "a/b"), "/tmp/a_b.12.11");
        assert_eq!(expand("100%% %x %", 1, 2, "n"), "100% %x %");
    }
}
