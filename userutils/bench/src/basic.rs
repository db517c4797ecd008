//! The simplest calls.

use crate::sample::Bench;
use guest::Result;
use guest::abi::number::GETPPID;
use guest::abi::redox::data::{Stat, TimeSpec};
use guest::abi::redox::flag::{CLOCK_MONOTONIC, O_RDONLY, O_WRONLY};
use guest::abi::redox::number::*;
use guest::abi::{LOWEST_FREE, number};
use guest::call::{call0, call1, call2, call3, call4, call5};
use guest::file::{open, pipe};

/// A number that no call has.
const UNKNOWN: usize = 5000;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let mut byte = 0u8;
    let byte = &raw mut byte as usize;
    let mut time = TimeSpec::default();
    let time = &raw mut time as usize;
    bench.row("empty", 10, 2000, || {});
    // SAFETY: no memory is involved in these.
    unsafe {
        bench.row("sys_enosys", 100, 5000, || call0(UNKNOWN));
        bench.row("sys_getppid", 100, 5000, || call0(GETPPID));
        bench.row("sys_close_badfd", 100, 5000, || call1(SYS_CLOSE, 9999));
        bench.row("sched_yield_alone", 100, 5000, || call0(SYS_YIELD));
    }
    bench.row("sys_clock_gettime", 100, 5000, || {
        // SAFETY: `time` is ours.
        unsafe { call2(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, time) };
    });
    let text = open("sys:uname", O_RDONLY)?;
    // At offset 0 the text is made anew; behind it, the object is only read.
    bench.row("read1_sys_uname", 100, 2000, || {
        // SAFETY: `byte` is ours.
        unsafe { call5(SYS_READ2, text.0, byte, 1, 0, 0) };
    });
    bench.row("read1_devzero", 100, 5000, || {
        // SAFETY: `byte` is ours.
        unsafe { call5(SYS_READ2, text.0, byte, 1, 1, 0) };
    });
    let clock = open("time:4", O_RDONLY)?;
    bench.row("read_time16", 100, 5000, || {
        // SAFETY: `time` is ours.
        unsafe { call3(SYS_READ, clock.0, time, size_of::<TimeSpec>()) };
    });
    if let Ok(null) = open("null:", O_WRONLY) {
        bench.row("write1_devnull", 100, 2000, || {
            // SAFETY: the kernel reads one byte of ours.
            unsafe { call3(SYS_WRITE, null.0, byte, 1) };
        });
    }
    opens(bench)
}

fn opens(bench: &mut Bench) -> Result<()> {
    let (reader, _writer) = pipe()?;
    let mut stat = Stat::default();
    let stat = &raw mut stat as usize;
    bench.row("fstat_pipe", 50, 2000, || {
        // SAFETY: `stat` is ours.
        unsafe { call3(SYS_FSTAT, reader.0, stat, size_of::<Stat>()) };
    });
    bench.row("dup_close", 100, 3000, || {
        // SAFETY: no memory is involved.
        unsafe {
            let fd = call4(SYS_DUP_INTO, reader.0, 0, 0, LOWEST_FREE);
            call1(SYS_CLOSE, fd);
        }
    });
    for (name, path) in
        [("open_close", "time:4"), ("open_close_event", "event:"), ("open_close_debug", "debug:")]
    {
        bench.row(name, 100, 2000, || {
            // SAFETY: the kernel only reads the path.
            unsafe {
                let fd = call3(number::OPEN, path.as_ptr() as usize, path.len(), O_RDONLY);
                call1(SYS_CLOSE, fd);
            }
        });
    }
    Ok(())
}
