//! `tlb` — no CPU goes on using a page that another one took away.
//!
//! With one CPU the cases must pass too; with several they show that every CPU that runs the
//! address space is told.

use guest::abi::redox::data::Map;
use guest::abi::redox::flag::MapFlags;
use guest::abi::{ANONYMOUS, PAGE_SIZE};
use guest::file::pipe;
use guest::memory::{Mapping, READ_WRITE, map, protect, unmap};
use guest::process::{Child, Ended, exit, thread, yield_turn};
use guest::report::{Case, Check, Failure, equal, run};
use guest::signal::SIGSEGV;
use guest::time::sleep_ms;
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

const HELP: &str = "\
tlb - see that no CPU uses a page that another one took away

Usage: tlb [--list | CASE...]
";

const CASES: &[Case] = &[
    ("unmapped-under-readers", || deadly(Access::Read, Taken::Unmapped)),
    ("forbidden-under-readers", || deadly(Access::Read, Taken::Forbidden)),
    ("unmapped-under-writers", || deadly(Access::Write, Taken::Unmapped)),
    ("read-only-under-writers", || deadly(Access::Write, Taken::ReadOnly)),
    ("replaced-under-readers", replaced_under_readers),
    ("forked-under-writers", forked_under_writers),
];

/// How often each case is tried: a stale entry need not be there every time.
const ROUNDS: usize = 12;
const THREADS: usize = 3;
/// A child's status when a thread went on using what was gone.
const STALE: u8 = 42;
const STACK: usize = 65_536;

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Read,
    Write,
}

#[derive(Clone, Copy)]
enum Taken {
    Unmapped,
    Forbidden,
    ReadOnly,
}

fn main() -> ExitCode {
    run("tlb", HELP, CASES)
}

/// Ends the process when something goes wrong that is not what is tested. Its threads still use
/// what the caller has, so it must not return.
fn must<T, E: Into<Failure>>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            eprintln!("tlb: {}", error.into());
            exit(1)
        }
    }
}

/// What the threads of a child share. Lives on the stack of its first thread.
struct Work {
    page: usize,
    access: Access,
    /// Accesses by all threads.
    count: AtomicU64,
    /// The lowest value that may still be seen.
    least: AtomicU64,
    stale: AtomicU64,
}

impl Work {
    fn new(page: usize, access: Access) -> Self {
        let [count, least, stale] = [const { AtomicU64::new(0) }; 3];
        Self { page, access, count, least, stale }
    }

    /// The word that everybody uses.
    fn word(&self) -> &AtomicU64 {
        // SAFETY: an aligned word; touching it after it was taken away is what is tested, and ends
        // the process.
        unsafe { &*(self.page as *const AtomicU64) }
    }

    fn start(&self, entry: extern "C" fn(usize) -> !) {
        for _ in 0..THREADS {
            let stack = ManuallyDrop::new(must(Mapping::pages(STACK / PAGE_SIZE)));
            // SAFETY: the stack is the thread's alone and lives as long as the process.
            must(unsafe { thread(entry, stack.address + STACK, &raw const *self as usize) });
        }
    }

    /// Waits until the threads have had the page for a while.
    fn warm_up(&self) {
        let start = self.count.load(Ordering::SeqCst);
        while self.count.load(Ordering::SeqCst) < start + 20_000 {
            yield_turn();
        }
    }
}

/// # Safety
///
/// `work` is the address of a `Work` that lives as long as the process.
unsafe fn work_at<'a>(work: usize) -> &'a Work {
    // SAFETY: the caller's.
    unsafe { &*(work as *const Work) }
}

extern "C" fn use_page(work: usize) -> ! {
    // SAFETY: `Work::start` passes it.
    let work = unsafe { work_at(work) };
    loop {
        match work.access {
            Access::Read => drop(work.word().load(Ordering::Relaxed)),
            Access::Write => work.word().store(1, Ordering::Relaxed),
        }
        work.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The threads must die the moment the page is taken.
fn deadly(access: Access, taken: Taken) -> Check {
    for round in 0..ROUNDS {
        let child = Child::start(|| take_away(access, taken))?;
        let ended = child.wait_within(60_000)?;
        let wanted = Some(Ended::Signalled(SIGSEGV as u8));
        equal(&format!("round {round}, how the child ended"), ended, wanted)?;
    }
    Ok(())
}

fn take_away(access: Access, taken: Taken) -> ! {
    let page = must(Mapping::pages(1));
    page.touch(0);
    let work = Work::new(page.address, access);
    work.start(use_page);
    work.warm_up();
    // SAFETY: that the threads still use the page is the point.
    unsafe {
        match taken {
            Taken::Unmapped => must(unmap(page.address, PAGE_SIZE)),
            Taken::Forbidden => must(protect(page.address, PAGE_SIZE, MapFlags::PROT_NONE)),
            Taken::ReadOnly => must(protect(page.address, PAGE_SIZE, MapFlags::PROT_READ)),
        }
    };
    // Were the CPUs told, the next access of any thread ends all. A thread may be between an access
    // and counting it, and on a busy host it may be long before it runs again.
    let last = work.count.load(Ordering::SeqCst) + THREADS as u64;
    while work.count.load(Ordering::SeqCst) <= last {
        sleep_ms(1);
    }
    exit(STALE)
}

extern "C" fn check_page(work: usize) -> ! {
    // SAFETY: `Work::start` passes it.
    let work = unsafe { work_at(work) };
    loop {
        let least = work.least.load(Ordering::SeqCst);
        let found = work.word().load(Ordering::SeqCst);
        // 0 is a new page that has not been written yet; anything else below is an old page.
        if found != 0 && found < least {
            work.stale.fetch_add(1, Ordering::SeqCst);
        }
        work.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The page is replaced again and again: nobody sees an earlier one.
fn replaced_under_readers() -> Check {
    let child = Child::start(|| replace_pages())?;
    equal("the child", child.wait_within(60_000)?, Some(Ended::Exited(0)))
}

fn replace_pages() -> ! {
    let page = must(Mapping::pages(1));
    let work = Work::new(page.address, Access::Read);
    work.word().store(1, Ordering::SeqCst);
    work.start(check_page);
    work.warm_up();
    for generation in 2..300 {
        let flags = READ_WRITE | MapFlags::MAP_FIXED;
        let fresh = Map { offset: 0, size: PAGE_SIZE, flags, address: page.address };
        // SAFETY: replaces the mapping's own page by one of the same kind.
        must(unsafe { map(ANONYMOUS, &fresh) });
        work.word().store(generation, Ordering::SeqCst);
        work.least.store(generation, Ordering::SeqCst);
        if generation % 16 == 0 {
            yield_turn();
        }
    }
    exit(if work.stale.load(Ordering::SeqCst) == 0 { 0 } else { STALE })
}

extern "C" fn count_up(work: usize) -> ! {
    // SAFETY: `Work::start` passes it.
    let work = unsafe { work_at(work) };
    loop {
        work.word().fetch_add(1, Ordering::SeqCst);
        work.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A fork while other threads write: what the child got does not change any more.
fn forked_under_writers() -> Check {
    let child = Child::start(|| fork_repeatedly())?;
    equal("the child", child.wait_within(60_000)?, Some(Ended::Exited(0)))
}

fn fork_repeatedly() -> ! {
    let page = must(Mapping::pages(1));
    let work = Work::new(page.address, Access::Write);
    work.start(count_up);
    for _ in 0..ROUNDS {
        work.warm_up();
        let (reader, writer) = must(pipe());
        let child = must(Child::start(|| {
            let first = work.word().load(Ordering::SeqCst);
            // The parent's threads write on meanwhile.
            let _ = reader.read(&mut [0]);
            if work.word().load(Ordering::SeqCst) == first { 0 } else { STALE }
        }));
        work.warm_up();
        must(writer.write(b"x"));
        let ended = must(child.wait_within(10_000));
        must(equal("the copy", ended, Some(Ended::Exited(0))));
    }
    exit(0)
}
