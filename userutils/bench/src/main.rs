//! `bench` — what the kernel's operations cost, counted with the CPU's own clock.
//!
//! A row is measured operation by operation: `rdtsc`, the operation, `rdtsc`, less what an empty
//! pair costs. On a machine that counts instructions (`make bench`) a tick is one instruction and
//! two runs are equal to the last digit; elsewhere a tick is a tick. Rows carry the names of
//! tests/bench/reference.json, so that Linux and Redox can stand beside them.
//!
//! Output, one line each; everything else is for people:
//!
//! ```text
//! CAL nop1000=1000 rep_movsq_512=516 ...
//! BENCH pipe_rt n=2000 min=1.0 med=1.0 mean=1.0 p99=1.0
//! CURVE ring_hop N=8 value=1.0
//! MEM pipes used=0 free=123
//! BOOT first_user=1
//! ```
//!
//! `BOOT` is `first_user_ticks` of `sys:boot`: the kernel's first instruction, where firmware hands
//! over, to the first one of user code. `bench boot` adds what ran until it did, from the kernel's
//! first instruction and from the loader's.
//! `CURVE` repeats a median as a point of a curve. `MEM` tells how much more memory is in use than
//! before a group, and how much is free, in bytes.

mod basic;
mod boot;
mod calibrate;
mod disk;
mod events;
mod files;
mod library;
mod memory;
mod pipes;
mod processes;
mod rates;
mod raw_disk;
mod ring;
mod sample;
mod schemes;
mod signals;
mod sync;
mod trace;

use guest::{Result, file};
use sample::Bench;
use std::process::ExitCode;

const HELP: &str = "\
bench - count what the kernel's operations cost

Usage:
  bench [GROUP]...

Without a group: all of them.

Groups:
  boot       what ran until now; only when it is named
  basic      the simplest calls
  pipes      pipes, within a process and between two
  sync       futexes, yielding, events between two processes
  ring       a token going round many processes
  schemes    calls to a scheme that a daemon serves
  files      files of ram:
  disk       a file system on a disk in memory
  processes  fork, exec, wait, threads, kill
  growth     fork against memory and against processes
  memory     faults, mapping, protecting
  events     event queues with many descriptors
  signals    signals to oneself
  trace      stops of a traced thread, its registers and memory
  raw_disk   a partition of disk:, disk:0p2, which stays as it is
  rates      256 MiB written and read, by file: and by disk:, in MiB/s
  names      10,000 names in a directory on the disk: seconds
  library    std's threads, locks and memory

Options:
  -h, --help     this text
      --version  name and version

Lines of output:
  BOOT   from the kernel's first instruction to the first one of user code
  CAL    what nothing, 1,000 instructions and string instructions take
  BENCH  name, samples, then ticks: least, median, mean, 99th percentile
  CURVE  a median as a point of a curve
  MEM    memory in use after a group, less before; memory free; in bytes

Examples:
  bench
  bench basic pipes
";

/// A group of rows.
type Group = fn(&mut Bench) -> Result<()>;

const GROUPS: [(&str, Group); 18] = [
    ("boot", boot::run),
    ("basic", basic::run),
    ("pipes", pipes::run),
    ("sync", sync::run),
    ("ring", ring::run),
    ("schemes", schemes::run),
    ("files", files::run),
    ("disk", disk::run),
    ("processes", processes::run),
    ("growth", processes::growth),
    ("memory", memory::run),
    ("events", events::run),
    ("signals", signals::run),
    ("library", library::run),
    ("trace", trace::run),
    ("raw_disk", raw_disk::run),
    ("rates", rates::run),
    ("names", rates::names),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for word in &wanted {
        match word.as_str() {
            "-h" | "--help" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            "--version" => {
                println!("bench {}", env!("CARGO_PKG_VERSION"));
                return ExitCode::SUCCESS;
            }
            word if GROUPS.iter().any(|(name, _)| *name == word) => {}
            word => {
                eprintln!("bench: no such group: {word}\nTry 'bench --help'.");
                return ExitCode::from(2);
            }
        }
    }
    measure(&wanted)
}

fn measure(wanted: &[String]) -> ExitCode {
    let mut bench = Bench::new();
    println!("{}", calibrate::line(bench.overhead()));
    if let Some(ticks) = boot_ticks() {
        println!("BOOT first_user={ticks}");
    }
    let mut status = ExitCode::SUCCESS;
    for (name, group) in GROUPS {
        let is_named = wanted.iter().any(|word| word == name);
        if !is_named && (!wanted.is_empty() || name == "boot") {
            continue;
        }
        let before = memory_used();
        let result = group(&mut bench);
        print!("{}", bench.take_text());
        if let Err(error) = result {
            eprintln!("bench: {name}: {error}");
            status = ExitCode::FAILURE;
        }
        if let (Some((before, _)), Some((used, free))) = (before, memory_used()) {
            println!("MEM {name} used={} free={free}", used.cast_signed() - before.cast_signed());
        }
    }
    status
}

/// From the kernel's first instruction to the first one of user code.
fn boot_ticks() -> Option<u64> {
    let mut text = [0; 4096];
    let text = file::read_path("sys:boot", &mut text).ok()?;
    file::number_of(text, "first_user_ticks")
}

/// Bytes of memory in use, and free.
fn memory_used() -> Option<(u64, u64)> {
    let mut text = [0; 1024];
    let text = file::read_path("sys:mem", &mut text).ok()?;
    Some((file::number_of(text, "used")?, file::number_of(text, "free")?))
}
