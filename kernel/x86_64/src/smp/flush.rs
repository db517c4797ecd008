//! Making other CPUs forget translations.
//!
//! Whoever asks holds the kernel lock, so there is one request at a time, and no CPU changes its
//! space meanwhile. A CPU that is asked is in user mode or hibernates (the interrupt reaches it),
//! or waits for the lock (and looks at its own request while it waits).

use crate::cpu::Cpu;
use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use kernel_core::memory::{Frame, Page, Pages};
use x86::controlregs::{cr3, cr3_write};

use super::online;
use crate::interrupt::{local, vector};

/// Beyond this many pages it is cheaper to forget all.
const SINGLE_MAX: usize = 32;

/// The request, valid while `waiting` is not 0.
struct Request {
    /// The first page, and how many.
    first: AtomicUsize,
    count: AtomicUsize,
    /// The top-level table to load, when the space is to be left; else 0.
    leave_for: AtomicU64,
    /// CPUs that have not done it yet.
    waiting: AtomicU32,
}

static REQUEST: Request = Request {
    first: AtomicUsize::new(0),
    count: AtomicUsize::new(0),
    leave_for: AtomicU64::new(0),
    waiting: AtomicU32::new(0),
};

/// How often another CPU was asked, ever.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Does what `cpu`, the one this runs on, was asked for, if anything.
#[inline]
pub(crate) fn answer(cpu: &Cpu) {
    if !cpu.flush_wanted.load(Ordering::Acquire) {
        return;
    }
    cpu.flush_wanted.store(false, Ordering::Relaxed);
    match REQUEST.leave_for.load(Ordering::Relaxed) {
        0 => {
            let start = Page(REQUEST.first.load(Ordering::Relaxed));
            let end = Page(start.0 + REQUEST.count.load(Ordering::Relaxed));
            forget(Pages { start, end });
        }
        root => load(cpu, root),
    }
    REQUEST.waiting.fetch_sub(1, Ordering::Release);
}

/// Makes this CPU forget `pages`, if it has the tables at `root` loaded.
pub(crate) fn here(root: Frame, pages: Pages) {
    if Cpu::this().space.load(Ordering::Relaxed) == root.start().0 {
        forget(pages);
    }
}

/// Makes every CPU that has the tables at `root` loaded forget `pages`.
pub(crate) fn everywhere(root: Frame, pages: Pages) {
    let cpu = Cpu::this();
    here(root, pages);
    REQUEST.first.store(pages.start.0, Ordering::Relaxed);
    REQUEST.count.store(pages.count(), Ordering::Relaxed);
    ask(cpu, root, 0);
}

/// Makes every CPU that has the tables at `root` loaded load those at `other` instead.
pub(crate) fn leave(root: Frame, other: Frame) {
    let cpu = Cpu::this();
    if cpu.space.load(Ordering::Relaxed) == root.start().0 {
        load(cpu, other.start().0);
    }
    ask(cpu, root, other.start().0);
}

/// Loads a top-level table, unless it is loaded.
#[inline]
pub(crate) fn enter(cpu: &Cpu, root: Frame) {
    if cpu.space.load(Ordering::Relaxed) != root.start().0 {
        load(cpu, root.start().0);
    }
}

fn load(cpu: &Cpu, root: u64) {
    cpu.space.store(root, Ordering::Relaxed);
    // SAFETY: every top-level table has the kernel's half, so nothing the kernel uses moves.
    unsafe { cr3_write(root) };
}

fn ask(cpu: &Cpu, root: Frame, leave_for: u64) {
    if super::count() == 1 {
        return;
    }
    let concerns =
        |other: &&Cpu| other.id != cpu.id && other.space.load(Ordering::Relaxed) == root.start().0;
    let count = online().filter(concerns).count() as u32;
    if count == 0 {
        return;
    }
    ASKED.fetch_add(count.into(), Ordering::Relaxed);
    REQUEST.leave_for.store(leave_for, Ordering::Relaxed);
    REQUEST.waiting.store(count, Ordering::Relaxed);
    // Marked once: a CPU that leaves the space at once no longer "concerns".
    let mut asked = [false; crate::cpu::CPUS_MAX];
    online().filter(concerns).for_each(|other| asked[other.id as usize] = true);
    for other in online().filter(|other| asked[other.id as usize]) {
        other.flush_wanted.store(true, Ordering::Release);
        local::send(other.apic_id(), local::command::FIXED | u32::from(vector::FLUSH));
    }
    while REQUEST.waiting.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

/// Makes this CPU forget `pages` of the space it has loaded.
fn forget(pages: Pages) {
    if pages.count() > SINGLE_MAX {
        // SAFETY: loads what is loaded.
        unsafe { cr3_write(cr3()) };
        return;
    }
    for page in pages.start.0..pages.end.0 {
        // SAFETY: forgetting a translation is always allowed.
        unsafe {
            asm!("invlpg [{}]", in(reg) Page(page).start(), options(nostack, preserves_flags));
        }
    }
}
