//! A partition of `disk:`, in the blocks that people copy with. What is written is what was read
//! there, so the partition stays as it is.
//!
//! A row is the time until the answer, the device's included. `CPU` lines are the time that all
//! CPUs worked for one operation, the client, the kernel and the driver together: on a machine that
//! counts instructions, their number.

use crate::sample::Bench;
use guest::Result;
use guest::abi::redox::flag::O_RDWR;
use guest::abi::redox::number::{SYS_READ2, SYS_WRITE2};
use guest::call::call5;
use guest::file::open;
use guest::memory::Mapping;

const PATH: &str = "disk:0p2";
/// Bytes that are gone through, again and again.
const LENGTH: usize = 32 << 20;
/// Operations of which the CPUs' time is taken; milliseconds are the unit, so they are many.
const COUNTED: usize = 4000;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let Ok(file) = open(PATH, O_RDWR) else {
        bench.remark("raw_disk: left out, there is no disk:0p2 to write to");
        return Ok(());
    };
    let buffer = Mapping::pages(256)?;
    let mut place = 0;
    let mut act = |call, length| {
        // SAFETY: the buffer has 1 MiB, and no operation is longer.
        let done = unsafe { call5(call, file.0, buffer.address, length, place, 0) };
        place = (place + length) % LENGTH;
        done
    };
    for (reads, writes, length, count) in [
        ("disk_read4k", "disk_write4k", 4096, 1000),
        ("disk_read64k", "disk_write64k", 65536, 200),
        ("disk_read1m", "disk_write1m", 1 << 20, 60),
    ] {
        bench.row(reads, 10, count, || {
            act(SYS_READ2, length);
        });
        // Over and over one place, which the buffer holds.
        // SAFETY: the buffer has 1 MiB.
        unsafe { call5(SYS_READ2, file.0, buffer.address, length, 0, 0) };
        bench.row(writes, 10, count, || {
            // SAFETY: as above.
            unsafe { call5(SYS_WRITE2, file.0, buffer.address, length, 0, 0) };
        });
    }
    if let Some(before) = busy_ms() {
        (0..COUNTED).for_each(|_| {
            act(SYS_READ2, 4096);
        });
        let spent = busy_ms().unwrap_or(before) - before;
        bench
            .remark(&format!("CPU disk_read4k nanoseconds={}", spent * 1_000_000 / COUNTED as u64));
    }
    Ok(())
}

/// Milliseconds that all CPUs have worked since boot: in user code and in the kernel.
fn busy_ms() -> Option<u64> {
    let text = std::fs::read_to_string("/scheme/sys/stat").ok()?;
    let words: Vec<u64> =
        text.lines().next()?.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Some(words.first()? + words.get(2)?)
}
