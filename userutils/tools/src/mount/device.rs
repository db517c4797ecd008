//! Daemons for devices: started by `mount`, ended by `unmount`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::Failure;
use crate::mkfs::DAEMONS;
use crate::source;

/// What the schemes of these daemons are called: this, and the device.
pub(crate) const PREFIX: &str = "disk-";
/// How long a daemon may take to begin or to end: 30 seconds.
const TRIES: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(50);

/// The part of a device's path behind `disk:`.
fn name_of(device: &str) -> Option<&str> {
    let name = device.strip_prefix("disk:").or_else(|| device.strip_prefix("/scheme/disk/"))?;
    let name = name.trim_start_matches('/');
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Whether a path is one of a disk or partition.
pub(super) fn is_one(device: &str) -> bool {
    name_of(device).is_some()
}

/// Starts a daemon for what is on the device. Returns the path of its root.
pub(super) fn serve(device: &str, kind: Option<&str>) -> Result<String, Failure> {
    let scheme = format!("{PREFIX}{}", name_of(device).unwrap_or_default());
    let path = format!("/scheme/{scheme}");
    if Path::new(&path).exists() {
        return Err(Failure::of(device, "it is mounted already"));
    }
    let kind = match kind {
        Some(kind) => kind,
        None => look(device)?.ok_or(Failure::of(device, "no file system that is known"))?,
    };
    let daemon = DAEMONS.iter().find(|(name, _)| *name == kind).map(|(_, daemon)| *daemon);
    let daemon = daemon.ok_or(Failure::Usage(format!("{kind}: no such type")))?;
    // Its own group: what is typed at this terminal does not concern it.
    let mut command = Command::new(daemon);
    command.args(["--scheme", &scheme, device]).process_group(0).stdin(Stdio::null());
    let mut child = command.spawn().map_err(|error| Failure::of(daemon, error))?;
    for _ in 0..TRIES {
        if Path::new(&path).exists() {
            return Ok(format!("{scheme}:/"));
        }
        if let Ok(Some(_)) = child.try_wait() {
            return Err(Failure::of(device, "it cannot be mounted"));
        }
        sleep(BETWEEN);
    }
    Err(Failure::of(device, "its daemon does not begin"))
}

/// What file system is on a device.
fn look(device: &str) -> Result<Option<&'static str>, Failure> {
    // RedoxFS has 256 headers of 4 KiB, of which one is the newest.
    const HEADER: u64 = 4096;
    let failed = |error| Failure::of(device, error);
    let file = File::open(device).map_err(failed)?;
    let mut block = [0; 512];
    file.read_exact_at(&mut block, 0).map_err(failed)?;
    if block[510..] == [0x55, 0xAA] && (&block[54..57] == b"FAT" || &block[82..85] == b"FAT") {
        return Ok(Some("fat"));
    }
    let is_header = |number: u64| {
        let mut start = [0; 8];
        file.read_exact_at(&mut start, number * HEADER).is_ok() && &start == b"RedoxFS\0"
    };
    Ok((0..256).any(is_header).then_some("redoxfs"))
}

/// Ends the daemon behind a target, if `mount` started it, and waits until it has.
pub(super) fn end(target: &str) -> Result<(), Failure> {
    let Some((scheme, _)) = target.split_once(':').filter(|(name, _)| name.starts_with(PREFIX))
    else {
        return Ok(());
    };
    let list = source::read("sys", "scheme")?;
    let Some(pid) = list.lines().find_map(|line| owner(line, scheme)) else { return Ok(()) };
    kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|error| Failure::of(scheme, error))?;
    let path = format!("/scheme/{scheme}");
    for _ in 0..TRIES {
        if !Path::new(&path).exists() {
            return Ok(());
        }
        sleep(BETWEEN);
    }
    Err(Failure::of(scheme, "its daemon does not end"))
}

/// The process that serves a scheme, by its line of `sys:scheme`.
fn owner(line: &str, scheme: &str) -> Option<i32> {
    let mut words = line.split_whitespace();
    (words.next()? == scheme).then(|| words.find_map(|word| word.parse().ok()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_from_prefixes() {
        assert_eq!(name_of("disk:0p1"), Some("0p1"));
        assert_eq!(name_of("/scheme/disk/1"), Some("1"));
        assert!(!is_one("/tmp") && !is_one("disk:") && !is_one("disk:0/x"));
    }

    #[test]
    fn the_owner_of_a_scheme_is_found() {
        assert_eq!(owner("disk-1 user 17", "disk-1"), Some(17));
        assert_eq!(owner("disk-1 user 17", "disk-11"), None);
    }
}
