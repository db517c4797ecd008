//! `console:`, as far as nobody types.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use libredox::call::dup;

use super::{Check, Checked, fails, ok, same};

pub(super) const CHECKS: &[Check] = &[
    ("console_settings_read_back", settings),
    ("console_sizes_come_in_two_lengths", size),
    ("console_raw_reads_need_not_wait", raw),
    ("console_refuses_nonsense", bad),
];

fn open() -> Result<File, String> {
    let options = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).clone();
    ok("open", options.open("/scheme/console"))
}

/// What belongs to the terminal, by name.
fn part(file: &File, name: &str) -> Result<libredox::Fd, String> {
    let fd = dup(file.as_raw_fd() as usize, name.as_bytes());
    fd.map(libredox::Fd::new).map_err(|error| format!("{name}: {error}"))
}

fn get(fd: &libredox::Fd, length: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; length];
    let read = fd.read(&mut bytes).map_err(|error| format!("read: {error}"))?;
    bytes.truncate(read);
    Ok(bytes)
}

fn put(fd: &libredox::Fd, bytes: &[u8]) -> Checked {
    let written = fd.write(bytes).map_err(|error| format!("write: {error}"))?;
    same("written", written, bytes.len())
}

fn settings() -> Checked {
    let console = open()?;
    let settings = part(&console, "termios")?;
    let (long, short) = (get(&settings, 60)?, get(&settings, 48)?);
    same("lengths", (long.len(), short.len()), (60, 48))?;
    same("the same flags", &long[..16], &short[..16])?;
    put(&settings, &long)?;
    same("unchanged", get(&settings, 60)?, long)
}

fn size() -> Checked {
    let console = open()?;
    let size = part(&console, "winsize")?;
    let (long, short) = (get(&size, 8)?, get(&size, 4)?);
    same("the same size", &long[..4], &short[..])?;
    put(&size, &short)
}

/// With `VMIN` and `VTIME` zero, or a tenth of a second, and nobody typing.
fn raw() -> Checked {
    const LOCAL: usize = 12;
    const VMIN: usize = 17 + 16;
    const VTIME: usize = 17 + 17;
    let mut console = open()?;
    let settings = part(&console, "termios")?;
    let before = get(&settings, 60)?;
    let mut bytes = before.clone();
    bytes[LOCAL..LOCAL + 4].fill(0);
    let mut lengths = [9; 2];
    for (tenths, length) in lengths.iter_mut().enumerate() {
        (bytes[VMIN], bytes[VTIME]) = (0, tenths as u8);
        put(&settings, &bytes)?;
        *length = ok("read", console.read(&mut [0; 8]))?;
    }
    put(&settings, &before)?;
    same("nothing typed", lengths, [0, 0])
}

fn bad() -> Checked {
    let mut console = open()?;
    let nonsense = dup(console.as_raw_fd() as usize, b"nonsense");
    same("dup", nonsense.err().map(|error| error.errno()), Some(libc::EINVAL))?;
    let settings = part(&console, "termios")?;
    let written = settings.write(&[0; 7]).err().map(|error| error.errno());
    same("settings", written, Some(libc::EINVAL))?;
    fails("below", File::open("/scheme/console/x"), libc::ENOENT)?;
    ok("empty write", console.write(b"").map(|_| ()))
}
