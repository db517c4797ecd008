//! `proc:PID/limits` — what a process uses of what it may use, and how much memory it may have.
//!
//! Writing `memory SIZE` limits the process, and each child it makes from then on; `job SIZE` limits
//! it together with all those children. `none` takes a limit away. `descriptors NUMBER` bounds those it
//! opens from then on, and with `core 0` nobody collects what is left when it crashes (`core none`). Who may signal a process may
//! lower its limits; raising them is for root.

use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::Pages;
use crate::task::ProcessId;
use abi::exec::ARGUMENTS_MAX;
use abi::signal::NESTING_MAX;
use abi::{PAGE_SIZE, PATH_MAX, STACK_SIZE, STACK_TOP};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

/// `key: in use, most` lines; `none` where only the machine's size is a limit.
pub(super) fn read<M: Machine>(k: &mut Kernel<M>, process: ProcessId) -> String {
    let record = &k.processes[process.0];
    let handlers = record.threads.iter().map(|task| k.tasks[task.0].signals.interrupted.len());
    let space = record.space.and_then(|space| k.spaces.get(space.0));
    let budget = space.and_then(|space| space.budget);
    let (job_used, job_most) = match budget {
        Some(budget) => k.frames.budgets.counts(budget),
        None => (0, usize::MAX),
    };
    format!(
        "Descriptors: {} {}\nThreads: {} {}\nHandlers: {} {NESTING_MAX}\n\
         Memory: {} {}\nJob: {} {}\nStack: {} {STACK_SIZE}\nArguments: {} {ARGUMENTS_MAX}\n\
         Path: {} {PATH_MAX}\nCore: 0 {}\n",
        record.files.iter().count(),
        record.files.limit(),
        record.threads.len(),
        k.tasks_max(),
        handlers.max().unwrap_or(0),
        space.map_or(0, |space| space.resident * PAGE_SIZE),
        bytes(space.map_or(usize::MAX, |space| space.limit)),
        job_used * PAGE_SIZE,
        bytes(job_most),
        space.map_or(0, |space| space.present_in(&k.machine, stack_pages()) * PAGE_SIZE),
        record.command_line.len(),
        record.cwd.len(),
        if record.leaves_core { "none" } else { "0" },
    )
}

fn bytes(pages: usize) -> String {
    if pages == usize::MAX { "none".to_owned() } else { (pages * PAGE_SIZE).to_string() }
}

/// Where the first thread's stack may grow to.
fn stack_pages() -> Pages {
    Pages::covering(STACK_TOP - STACK_SIZE, STACK_SIZE)
}

/// Sets a limit. `EINVAL` for nonsense, `EPERM` for raising one without being root, `E2BIG` when too
/// many jobs lie inside each other.
pub(super) fn write<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    process: ProcessId,
    text: &str,
) -> Outcome<()> {
    let (what, size) = text.split_once(' ').ok_or(Errno(EINVAL))?;
    check_owner(k, caller, process)?;
    let is_root = k.processes[caller.process.0].ids.euid == 0;
    match what {
        "descriptors" => return limit_descriptors(k, process, size.trim(), is_root),
        "core" => return limit_core(k, process, size.trim(), is_root),
        _ => {}
    }
    let pages = parse(size.trim()).ok_or(Errno(EINVAL))?;
    let space = k.processes[process.0].space.ok_or(Errno(ESRCH))?;
    let space = &mut k.spaces[space.0];
    match what {
        "memory" if pages > space.limit && !is_root => fail(EPERM),
        "memory" => {
            space.limit = pages;
            Ok(())
        }
        "job" if pages == usize::MAX => {
            let Some(budget) = space.budget else { return Ok(()) };
            if !is_root {
                return fail(EPERM);
            }
            let above = k.frames.budgets.above(budget);
            space.move_to(&mut k.frames, above);
            Ok(())
        }
        "job" => {
            let budget = k.frames.budgets.create(pages, space.budget).ok_or(Errno(E2BIG))?;
            space.move_to(&mut k.frames, Some(budget));
            Ok(())
        }
        _ => fail(EINVAL),
    }
}

fn limit_descriptors<M: Machine>(
    k: &mut Kernel<M>,
    process: ProcessId,
    text: &str,
    is_root: bool,
) -> Outcome<()> {
    let limit = text.parse().map_err(|_| Errno(EINVAL))?;
    let files = &mut k.processes[process.0].files;
    match limit > files.limit() && !is_root {
        true => fail(EPERM),
        false if files.set_limit(limit) => Ok(()),
        false => fail(EINVAL),
    }
}

fn limit_core<M: Machine>(
    k: &mut Kernel<M>,
    process: ProcessId,
    text: &str,
    is_root: bool,
) -> Outcome<()> {
    let record = &mut k.processes[process.0];
    record.leaves_core = match text {
        "0" => false,
        "none" if record.leaves_core || is_root => true,
        "none" => return fail(EPERM),
        _ => return fail(EINVAL),
    };
    Ok(())
}

/// `EPERM` unless the caller is root or of the process's user.
pub(super) fn check_owner<M: Machine>(
    k: &Kernel<M>,
    caller: Caller,
    process: ProcessId,
) -> Outcome<()> {
    let own = k.processes[caller.process.0].ids;
    let ids = k.processes[process.0].ids;
    if own.euid != 0 && own.euid != ids.ruid && own.ruid != ids.ruid {
        return fail(EPERM);
    }
    Ok(())
}

/// `none`, or bytes with or without `K`, `M`, `G`, in whole pages.
fn parse(text: &str) -> Option<usize> {
    if text == "none" {
        return Some(usize::MAX);
    }
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    let number: usize = digits.parse().ok()?;
    Some(number.checked_mul(1 << shift)? / PAGE_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_nonsense_is_refused() {
        let pages = ["4096", "64K", "32M", "1G", "none", "0"].map(|text| parse(text).unwrap());
        assert_eq!(pages, [1, 16, 8192, 1 << 18, usize::MAX, 0]);
        for text in ["", "M", "-1", "3MM", "3T", "99999999999999G", "12 M"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
