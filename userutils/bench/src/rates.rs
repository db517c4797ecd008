//! What the disk does for programs: long files through `file:` beside the disk itself through
//! `disk:`, and a directory with many names.
//!
//! These are times, not instructions, so they are only as good as the host is quiet. Both sides of a
//! comparison take turns of 16 MiB, which gives each its share of the noise.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::sample::Bench;
use guest::{Error, Result};

/// What is there only with a disk; `/home` leads there.
const HOME: &str = "/scheme/file/home";
const FILE: &str = "/home/bench-rates";
const NAMES: &str = "/home/bench-names";
/// The partition that the file is on, which is only read, and one to write to, which stays as it is.
const ROOT: &str = "/scheme/disk/0p1";
const SPARE: &str = "/scheme/disk/0p2";
const MIB: u64 = 1 << 20;
/// Bytes of the file.
const LENGTH: u64 = 256 * MIB;
/// Bytes of a turn.
const TURN: u64 = 16 * MIB;
/// Names in the directory.
const COUNT: u32 = 10_000;

/// Times reading and writing.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    if !Path::new(HOME).is_dir() || !Path::new(SPARE).exists() {
        bench.remark("rates: left out, there is no /home on a disk with a second partition");
        return Ok(());
    }
    let measured = rates(bench);
    fs::remove_file(FILE).ok();
    measured.map_err(failed)
}

/// Times a directory with many names.
pub(crate) fn names(bench: &mut Bench) -> Result<()> {
    if !Path::new(HOME).is_dir() {
        bench.remark("names: left out, there is no /home");
        return Ok(());
    }
    many_names(bench).map_err(failed)
}

fn failed(error: io::Error) -> Error {
    Error::new(error.raw_os_error().unwrap_or(guest::abi::redox::error::EIO))
}

fn rates(bench: &mut Bench) -> io::Result<()> {
    let (root, spare) = (File::open(ROOT)?, both(SPARE)?);
    let spare_length = spare.metadata()?.len() / TURN * TURN;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(FILE)?;
    let mut noise = noise();
    let mut old = vec![0; MIB as usize];
    let (mut by_file, mut by_disk) = (Duration::ZERO, Duration::ZERO);
    for turn in (0..LENGTH).step_by(TURN as usize) {
        by_file += timed(|| {
            for at in (turn..turn + TURN).step_by(MIB as usize) {
                // No two pieces are alike.
                noise[..8].copy_from_slice(&at.to_le_bytes());
                file.write_all_at(&noise, at)?;
            }
            file.sync_all()
        })?;
        let start = turn % spare_length;
        spare.read_exact_at(&mut old, start)?;
        let mut pieces = vec![old.clone()];
        for at in (start + MIB..start + TURN).step_by(MIB as usize) {
            spare.read_exact_at(&mut old, at)?;
            pieces.push(old.clone());
        }
        by_disk += timed(|| {
            for (at, piece) in (start..).step_by(MIB as usize).zip(&pieces) {
                spare.write_all_at(piece, at)?;
            }
            spare.sync_all()
        })?;
    }
    tell(bench, "write", by_file, by_disk);
    let (mut by_file, mut by_disk) = (Duration::ZERO, Duration::ZERO);
    for turn in (0..LENGTH).step_by(TURN as usize) {
        by_file += timed(|| read(&file, turn, &mut old))?;
        by_disk += timed(|| read(&root, turn, &mut old))?;
    }
    tell(bench, "read", by_file, by_disk);
    Ok(())
}

fn both(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn read(file: &File, turn: u64, into: &mut [u8]) -> io::Result<()> {
    (turn..turn + TURN).step_by(into.len()).try_for_each(|at| file.read_exact_at(into, at))
}

/// A MiB that cannot be compressed.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..MIB / 8).flat_map(|_| next().to_le_bytes()).collect()
}

fn timed(act: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let begun = Instant::now();
    act().map(|()| begun.elapsed())
}

fn tell(bench: &mut Bench, what: &str, by_file: Duration, by_disk: Duration) {
    let rate = |time: Duration| LENGTH as f64 / MIB as f64 / time.as_secs_f64();
    let (file, disk) = (rate(by_file), rate(by_disk));
    let percent = file / disk * 100.0;
    bench.remark(&format!("RATE {what} file={file:.1} disk={disk:.1} MiB/s percent={percent:.0}"));
}

fn many_names(bench: &mut Bench) -> io::Result<()> {
    fs::create_dir(NAMES)?;
    let path = |number: u32| format!("{NAMES}/name{number}");
    let making = timed(|| (0..COUNT).try_for_each(|number| File::create(path(number)).map(drop)))?;
    // In an order that is not theirs; the factor has no divisor in common with their number.
    let mixed = |number: u32| (u64::from(number) * 7919 % u64::from(COUNT)) as u32;
    let finding =
        timed(|| (0..COUNT).try_for_each(|number| fs::metadata(path(mixed(number))).map(drop)))?;
    let mut listed = Vec::new();
    let listing = timed(|| {
        for entry in fs::read_dir(NAMES)? {
            listed.push(entry?.file_name());
        }
        Ok(())
    })?;
    listed.sort();
    listed.dedup();
    if listed.len() != COUNT as usize {
        return Err(io::Error::from_raw_os_error(guest::abi::redox::error::EIO));
    }
    let removing = timed(|| {
        (0..COUNT).try_for_each(|number| fs::remove_file(path(mixed(number))))?;
        fs::remove_dir(NAMES)
    })?;
    for (what, time) in
        [("make", making), ("find", finding), ("list", listing), ("remove", removing)]
    {
        let each = time.as_secs_f64() * 1e6 / f64::from(COUNT);
        bench.remark(&format!(
            "NAMES {what} n={COUNT} seconds={:.1} each={each:.1} us",
            time.as_secs_f64()
        ));
    }
    Ok(())
}
