//! `sys:boot` — the machine's part: what each of its steps needs, when it ran, how it is undone.
//!
//! These steps make the heap, the stack and the kernel that a pipeline of stages works with, so
//! they run by themselves and are timed; the kernel's pipeline takes them over, checks that their
//! order was the declared one, and undoes them last.

use crate::interrupt::io;
use crate::pc::Pc;
use crate::{serial, smp, time};
use alloc::vec::Vec;
use boot_info::LoaderTimes;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_core::boot::LifecyclePhase::{self, CoreInit, EarlyInit};
use kernel_core::boot::{BootError, LoaderTicks, Past, Stage};
use kernel_core::kernel::Kernel;

/// One of the machine's steps.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Loader,
    Serial,
    Processor,
    Traps,
    Ram,
    Paging,
    Acpi,
    Interrupts,
    Clocks,
    Cpus,
}

type Stop = fn(&mut Kernel<Pc>) -> Result<(), BootError>;

const fn step(
    name: &'static str,
    phase: LifecyclePhase,
    needs: &'static [&'static str],
    stop: Stop,
) -> Stage<Kernel<Pc>> {
    Stage { name, phase, needs, run: was_left_out, stop }
}

const NOTHING: Stop = |_| Ok(());
const DRAIN: Stop = |_| {
    serial::drain();
    Ok(())
};
const MASK: Stop = |_| {
    io::mask_all();
    Ok(())
};
const NO_TIMER: Stop = |_| {
    time::set_timer(None);
    Ok(())
};
const STOP_OTHERS: Stop = |_| {
    smp::stop_others();
    Ok(())
};

/// No step is left to the pipeline.
fn was_left_out(_: &mut Kernel<Pc>) -> Result<(), BootError> {
    Err(BootError::Fatal("the machine has not done it"))
}

/// How many steps there are.
const COUNT: usize = 10;

/// All steps, in the order of [`Step`].
const fn declared() -> [Stage<Kernel<Pc>>; COUNT] {
    [
        step("loader", EarlyInit, &[], NOTHING),
        step("serial", EarlyInit, &[], DRAIN),
        step("processor", EarlyInit, &["serial"], NOTHING),
        step("traps", EarlyInit, &["processor"], NOTHING),
        step("ram", EarlyInit, &["traps"], NOTHING),
        step("paging", EarlyInit, &["ram"], NOTHING),
        step("acpi", CoreInit, &["paging"], NOTHING),
        step("interrupts", CoreInit, &["acpi"], MASK),
        step("clocks", CoreInit, &["interrupts"], NO_TIMER),
        step("cpus", CoreInit, &["clocks"], STOP_OTHERS),
    ]
}

/// When each step began and ended, in ticks; 0 for not yet.
static TIMES: [[AtomicU64; 2]; COUNT] =
    [const { [AtomicU64::new(0), AtomicU64::new(0)] }; COUNT];

/// Does a step and notes how long it took.
pub(crate) fn timed<T>(step: Step, act: impl FnOnce() -> T) -> T {
    let [start, end] = &TIMES[step as usize];
    start.store(time::ticks(), Ordering::Relaxed);
    let result = act();
    end.store(time::ticks(), Ordering::Relaxed);
    result
}

/// Ticks that the loader waited for a key.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// Notes when the loader ran, which is a step like the others. QEMU's own has no times.
pub(crate) fn loader_ran(times: &LoaderTimes) {
    if times.is_sane(time::entered()) {
        let [start, end] = &TIMES[Step::Loader as usize];
        start.store(times.began, Ordering::Relaxed);
        end.store(times.ended, Ordering::Relaxed);
        WAITED.store(times.waited, Ordering::Relaxed);
    }
}

/// What [`kernel_core::machine::Machine::loader`] answers.
pub(crate) fn loader() -> Option<LoaderTicks> {
    let [start, end] = TIMES[Step::Loader as usize].each_ref().map(|at| at.load(Ordering::Relaxed));
    let waited = WAITED.load(Ordering::Relaxed);
    (end != 0).then_some(LoaderTicks { worked: end - start - waited, waited })
}

/// What [`kernel_core::machine::Machine::stages`] answers.
pub(crate) fn all() -> Vec<Stage<Kernel<Pc>>> {
    let is_there = |stage: &Stage<_>| stage.name != "loader" || loader().is_some();
    declared().into_iter().filter(is_there).collect()
}

/// What [`kernel_core::machine::Machine::past_stages`] answers.
pub(crate) fn past() -> Vec<Past> {
    let times = TIMES.iter().map(|times| times.each_ref().map(|at| at.load(Ordering::Relaxed)));
    let done = declared().into_iter().zip(times).filter(|(_, [_, end])| *end != 0);
    done.map(|(stage, [start, end])| Past { name: stage.name, start, end }).collect()
}
