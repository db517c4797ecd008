//! How booting went: from the loader, or the kernel's first instruction, to this program.

use crate::sample::{Bench, ticks};
use guest::{Result, file};

/// On a machine that counts instructions a tick is a nanosecond.
const TICKS_PER_MS: u64 = 1_000_000;

/// Prints rows of what was executed until now: by the loader, if one says so, and by everybody. What
/// a CPU spent halted does not count.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let now = ticks();
    let mut text = [0; 4096];
    let boot = file::read_path("sys:boot", &mut text)?;
    let entered = file::number_of(boot, "entered_ticks").unwrap_or(now);
    let loader = file::number_of(boot, "loader_ticks");
    let mut text = [0; 4096];
    let idle = idle_ms(file::read_path("sys:stat", &mut text)?).unwrap_or(0) * TICKS_PER_MS;
    let command = (now - entered).saturating_sub(idle);
    bench.remark(&format!("BOOT command={command}"));
    if let Some(loader) = loader {
        bench.remark(&format!("BOOT loader={loader} loader_command={}", loader + command));
    }
    Ok(())
}

/// Milliseconds that all CPUs were halted, from `sys:stat`.
fn idle_ms(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    line.split_whitespace().nth(3)?.parse().ok()
}
