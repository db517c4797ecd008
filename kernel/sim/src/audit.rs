//! The books: does every reference belong to somebody?

use crate::hardware::Sim;
use kernel_core::handle::DescriptionId;
use kernel_core::kernel::Kernel;
use kernel_core::machine::{Access, Machine};
use kernel_core::memory::{Frame, Kind, Page, Pages, SpaceId};
use kernel_core::namespace::Root;
use kernel_core::task::State;
use kernel_core::trace::Phase;
use std::collections::{BTreeMap, BTreeSet};

/// Everything there is to map.
const EVERYTHING: Pages = Pages { start: Page(0), end: Page(usize::MAX) };

/// Checks what must hold whenever the kernel's lock is free.
///
/// # Panics
/// When something does not, with a sentence.
pub fn audit(kernel: &Kernel<Sim>) {
    check_frames(kernel);
    check_spaces(kernel);
    check_fetches(kernel);
    check_threads(kernel);
    check_descriptions(kernel);
    check_sessions(kernel);
}

/// Tracers and traced threads know each other; a thread is stopped exactly as long as its session
/// says so, or as it waits to be let go.
fn check_sessions(kernel: &Kernel<Sim>) {
    let sessions = &kernel.traces.sessions;
    for (index, session) in sessions.iter() {
        let Some(task) = session.task else { continue };
        let have = kernel.tasks.get(task.0).and_then(|task| task.session);
        assert_eq!(have.map(|id| id.0), Some(index), "{task:?} does not know its session");
    }
    for (index, task) in kernel.tasks.iter() {
        let phase = task.session.map(|id| sessions.get(id.0).expect("a session exists").phase);
        let is_stopped = matches!(phase, Some(Phase::Stopped(_)));
        if task.state == State::Traced {
            assert!(is_stopped || task.is_held, "nobody holds the stopped thread {index}");
        } else {
            assert!(
                !is_stopped,
                "thread {index} is {:?} and its session says it is stopped",
                task.state
            );
        }
    }
}

/// Every frame has as many references as mappings, tables and reserves.
fn check_frames(kernel: &Kernel<Sim>) {
    let mut expected: BTreeMap<Frame, u32> = BTreeMap::new();
    *expected.entry(kernel.zero).or_default() += 1;
    kernel.ranges.dma_frames().for_each(|f| *expected.entry(f).or_default() += 1);
    kernel.emergency.store.own_frames().for_each(|f| *expected.entry(f).or_default() += 1);
    let coming = kernel.emergency.home.run.into_iter();
    let coming = coming.flat_map(|run| (run.frame.0..run.frame.0 + run.count).map(Frame));
    coming.for_each(|frame| *expected.entry(frame).or_default() += 1);
    for tables in kernel.machine.spaces.values() {
        tables.frames.iter().for_each(|frame| *expected.entry(*frame).or_default() += 1);
        let mapped = tables.mapped(EVERYTHING).filter(|(.., how)| !how.contains(Access::DEVICE));
        mapped.for_each(|(_, frame, _)| *expected.entry(frame).or_default() += 1);
    }
    let totals = kernel.frames.totals();
    let used = expected.keys().filter(|frame| !is_archive(kernel, **frame)).count();
    if let Some(boot) = &kernel.archive {
        let pages = boot.archive.bytes().len().div_ceil(abi::PAGE_SIZE) as u32;
        let frames = boot.first_frame.0..boot.first_frame.0 + pages;
        frames.for_each(|frame| *expected.entry(Frame(frame)).or_default() += 1);
    }
    for (frame, count) in expected {
        let have = kernel.frames.references(frame);
        assert_eq!(have, count, "{frame:?} has {have} references, and {count} uses");
    }
    let used = used + kernel.machine.heap.map_or(0, |heap| heap.frames);
    assert_eq!(totals.total - totals.free, used, "frames are in use that nobody uses");
}

fn is_archive(kernel: &Kernel<Sim>, frame: Frame) -> bool {
    kernel.archive.as_ref().is_some_and(|boot| frame >= boot.first_frame)
}

/// What is mapped lies in a region that allows it; threads and pages are counted right.
fn check_spaces(kernel: &Kernel<Sim>) {
    assert_eq!(kernel.spaces.len(), kernel.machine.spaces.len(), "spaces without tables");
    for (index, space) in kernel.spaces.iter() {
        let users = kernel.tasks.iter().filter(|(_, task)| task.space == SpaceId(index)).count();
        assert_eq!(space.users, users, "space {index} counts its threads wrong");
        let mut resident = 0;
        let mut next = EVERYTHING;
        while let Some((page, frame, access)) = kernel.machine.next_mapped(&space.tables, next) {
            next.start = page.next();
            let is_locked = access.is_empty() || kernel.emergency.is_active();
            assert!(is_locked || !kernel.frames.is_away(frame), "{page:?} is away and open");
            let region = space.region(page).expect("a mapped page lies in a region");
            let allowed = region.access | access & Access::DEVICE;
            assert!(allowed.contains(access), "{page:?} is {access:?} in {region:?}");
            assert_eq!(region.kind == Kind::Device, access.contains(Access::DEVICE), "{region:?}");
            resident += usize::from(region.kind != Kind::Device);
        }
        assert_eq!(space.resident, resident, "space {index} counts its pages wrong");
    }
}

/// Pages that are under way lie where a file is shown, each once, and nobody is left to wait for a
/// page that nobody asks for.
fn check_fetches(kernel: &Kernel<Sim>) {
    let mut coming = BTreeSet::new();
    for (space, pages) in kernel.fetches.pages() {
        for page in (pages.start.0..pages.end.0).map(Page) {
            let region = kernel.spaces[space.0].region(page);
            assert!(region.is_some_and(|region| region.file.is_some()), "{page:?} is in no file");
            assert!(coming.insert((space, page)), "{page:?} comes twice");
        }
    }
    assert!(kernel.fetches.awaited().is_none(), "somebody was refused a page and does not wait");
}

/// Threads and processes know each other, and only running threads have their registers out.
fn check_threads(kernel: &Kernel<Sim>) {
    for (index, task) in kernel.tasks.iter() {
        let process = kernel.processes.get(task.process.0).expect("a thread has a process");
        let is_known = process.threads.iter().any(|have| have.0 == index);
        assert!(is_known, "process {} does not know its thread {index}", process.pid);
        let is_on_cpu =
            kernel.cpus.iter().any(|cpu| cpu.current().is_some_and(|have| have.task.0 == index));
        let may_be_out = matches!(task.state, State::Running(_) | State::Ending);
        assert_eq!(is_on_cpu, may_be_out, "thread {index} is {:?}", task.state);
        assert!(task.context.is_some() || may_be_out, "thread {index} lost its registers");
    }
    for (_, process) in kernel.processes.iter() {
        let children = process.children.iter().map(|pid| kernel.find_process(*pid));
        for child in children {
            let child = child.expect("a child that has not been waited for is known");
            assert_eq!(kernel.processes[child.0].parent, process.pid);
        }
    }
}

/// Every open file has at least as many references as descriptors, names and mappings lead to it; without
/// daemons, exactly as many.
fn check_descriptions(kernel: &Kernel<Sim>) {
    let mut expected: BTreeMap<usize, u32> = BTreeMap::new();
    let mut count = |DescriptionId(id): DescriptionId| *expected.entry(id).or_default() += 1;
    for (_, process) in kernel.processes.iter() {
        process.files.iter().for_each(|(_, fd)| count(fd.description));
    }
    for (_, root) in kernel.namespace.schemes() {
        if let Root::User(id) = root {
            count(id);
        }
    }
    for (_, space) in kernel.spaces.iter() {
        space.held().for_each(&mut count);
    }
    kernel.pipes.table.iter().for_each(|(_, pipe)| pipe.files().for_each(&mut count));
    kernel.pipes.packets.iter().for_each(|(_, packets)| packets.files().for_each(&mut count));
    let is_answering = kernel.user_schemes.iter().any(|(_, scheme)| scheme.waiting() > 0);
    for (index, description) in kernel.descriptions.iter() {
        let (have, uses) = (description.references, expected.remove(&index).unwrap_or_default());
        let path = &description.path;
        assert!(
            have == uses || is_answering && have > uses,
            "{path}: {have} references, {uses} uses"
        );
    }
    assert!(expected.is_empty(), "descriptors lead nowhere: {expected:?}");
}
