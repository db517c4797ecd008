//! A file system on a disk in memory: `filed` on a file of `ram:`. So nothing waits for a device, and
//! everything on the way is counted: the client's call, `filed`, RedoxFS, the call to the disk's
//! daemon and back.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use crate::sample::Bench;
use guest::abi::number;
use guest::abi::redox::flag::O_RDONLY;
use guest::abi::redox::number::{SYS_CLOSE, SYS_FSYNC, SYS_READ2, SYS_WRITE2};
use guest::abi::signal::SIGTERM;
use guest::call::{call1, call2, call3, call5};
use guest::file::{open, open_both};
use guest::memory::Mapping;
use guest::{Error, Result};

const DISK: &str = "/scheme/ram/bench-disk";
const DISK_SIZE: u64 = 64 << 20;
const SCHEME: &str = "bench-disk";
const ROOT: &str = "/scheme/bench-disk";
const PATH: &str = "bench-disk:file";
const SIZE: usize = 16 << 20;
const MIB: usize = 1 << 20;
const PAGE: usize = 4096;
/// Blocks in one sample of reading at random.
const SHARE: usize = 1024;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    if !Path::new("/bin/filed").exists() || !prepare() {
        bench.remark("disk: left out, there is no filed or no room in ram:");
        return Ok(());
    }
    let measured = rows(bench);
    // What the disk took is given back also when something went wrong.
    std::fs::remove_file(DISK).ok();
    measured
}

/// Makes the disk and a file system on it.
fn prepare() -> bool {
    let made = File::create(DISK).and_then(|file| file.set_len(DISK_SIZE));
    let make = || Command::new("/bin/filed").args(["--make", DISK]).status();
    made.is_ok() && make().is_ok_and(|status| status.success())
}

fn failed<T>(_: T) -> Error {
    Error::new(guest::abi::redox::error::EIO)
}

/// A `filed` that ends with this value.
struct Filed(Child);

impl Filed {
    fn start() -> Result<Self> {
        let daemon = Command::new("/bin/filed").args(["--scheme", SCHEME, DISK]).spawn();
        let daemon = Self(daemon.map_err(failed)?);
        for _ in 0..1000 {
            if Path::new(ROOT).exists() {
                return Ok(daemon);
            }
            sleep(Duration::from_millis(10));
        }
        Err(failed(()))
    }
}

impl Drop for Filed {
    fn drop(&mut self) {
        // SAFETY: no memory is involved.
        unsafe { call2(number::KILL, self.0.id() as usize, SIGTERM) };
        // It ends when everything is written.
        self.0.wait().ok();
    }
}

fn rows(bench: &mut Bench) -> Result<()> {
    let mut buffer = Mapping::pages(MIB / PAGE)?;
    // Noise cannot be compressed.
    let mut state = 1_u32;
    buffer.bytes().fill_with(|| next(&mut state) as u8);
    let address = buffer.address;
    let daemon = Filed::start()?;
    File::create("/scheme/bench-disk/file").map_err(failed)?;
    let file = open_both(PATH)?;
    for at in (0..SIZE).step_by(MIB) {
        // SAFETY: the kernel only reads the buffer.
        bench.sample(&mut || unsafe { call5(SYS_WRITE2, file.0, address, MIB, at, 0) });
    }
    bench.report("file_write_1m", 1);
    // SAFETY: no memory is involved.
    bench.sample(&mut || unsafe { call1(SYS_FSYNC, file.0) });
    bench.report("file_fsync", 1);
    drop(file);
    drop(daemon);

    let daemon = Filed::start()?;
    let file = open(PATH, O_RDONLY)?;
    for part in 0..SIZE / PAGE / SHARE {
        let mut blocks: Vec<usize> = (part * SHARE..(part + 1) * SHARE).collect();
        for at in (1..SHARE).rev() {
            blocks.swap(at, next(&mut state) as usize % (at + 1));
        }
        bench.sample(&mut || {
            for block in &blocks {
                // SAFETY: the buffer has a page.
                unsafe { call5(SYS_READ2, file.0, address, PAGE, block * PAGE, 0) };
            }
        });
    }
    bench.report("file_read4k_random", SHARE);
    bench.row("file_read4k_cached", 50, 1000, || {
        // SAFETY: the buffer has a page.
        unsafe { call5(SYS_READ2, file.0, address, PAGE, 3 * PAGE, 0) };
    });
    bench.row("file_open_close", 50, 1000, || {
        // SAFETY: the kernel only reads the path.
        unsafe {
            let fd = call3(number::OPEN, PATH.as_ptr() as usize, PATH.len(), O_RDONLY);
            call1(SYS_CLOSE, fd);
        }
    });
    drop(file);
    drop(daemon);

    let _daemon = Filed::start()?;
    let file = open(PATH, O_RDONLY)?;
    for at in (0..SIZE).step_by(MIB) {
        // SAFETY: the buffer has a MiB.
        bench.sample(&mut || unsafe { call5(SYS_READ2, file.0, address, MIB, at, 0) });
    }
    bench.report("file_read_1m", 1);
    Ok(())
}

/// The next of a row of numbers that look like chance (Marsaglia's xorshift).
fn next(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}
