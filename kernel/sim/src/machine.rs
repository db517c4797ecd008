//! The simulated machine behind the kernel lock.

use crate::context::SimContext;
use crate::outside::Outside;
use crate::tables::{Cache, Tables};
use abi::PAGE_SIZE;
use kernel_core::machine::{Access, CpuFacts, CpuId, Interrupt, Machine, PowerOff};
use kernel_core::memory::{Frame, Frames, NoMemory, Page, Pages, PhysicalAddress};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the clock shows when the kernel gets the machine, in nanoseconds.
const FIRMWARE_NS: u64 = 2_000_000_000;
/// Reading the clock takes this long, in nanoseconds, so that time passes at all.
const CLOCK_READ_NS: u64 = 100;
/// Fresh memory holds this, so that a frame somebody forgot to zero shows.
const GARBAGE: u8 = 0xA5;
/// Seconds since 1970 when every simulated machine boots.
const BOOT_TIME: u64 = 1_700_000_000;
/// The console's interrupt line.
const CONSOLE_LINE: u8 = 4;

thread_local! {
    static THIS_CPU: Cell<Option<CpuId>> = const { Cell::new(None) };
}

/// Makes the calling host thread a CPU.
pub(crate) fn become_cpu(cpu: CpuId) {
    THIS_CPU.set(Some(cpu));
}

/// Which CPU the calling host thread is; the boot CPU for threads that are none.
pub(crate) fn this_cpu() -> CpuId {
    THIS_CPU.get().unwrap_or(CpuId(0))
}

/// The name of an address space. The tables are the machine's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SpaceNumber(u64);

/// One CPU, as far as it is hardware.
#[derive(Default)]
pub(crate) struct SimCpu {
    interrupts: VecDeque<Interrupt>,
    timer: Option<u64>,
    /// The space it runs, or keeps from running it last.
    space: Option<SpaceNumber>,
    cache: Cache,
    is_asleep: bool,
}

/// What a program's access to its memory comes to.
pub(crate) enum Touched {
    /// The byte is here, and so many follow in the same frame.
    Memory(PhysicalAddress, usize),
    /// A device's register, of which the simulation has none.
    Device(usize),
    /// The tables do not allow it.
    Fault,
}

/// The simulated machine.
pub struct Sim {
    memory: Vec<u8>,
    pub(crate) spaces: BTreeMap<SpaceNumber, Tables>,
    next_space: u64,
    pub(crate) cpus: Vec<SimCpu>,
    clock: AtomicU64,
    random: u64,
    /// What the console has been sent.
    pub console: Vec<u8>,
    typed: VecDeque<u8>,
    /// Moments at which something will be typed.
    typing: VecDeque<(u64, Vec<u8>)>,
    /// Lines that may interrupt.
    unmasked: BTreeSet<u8>,
    pub(crate) outside: Arc<Outside>,
    /// How it was switched off.
    pub off: Option<PowerOff>,
}

impl Sim {
    pub(crate) fn new(cpus: u32, frames: u32) -> Self {
        Self {
            memory: vec![GARBAGE; frames as usize * PAGE_SIZE],
            spaces: BTreeMap::new(),
            next_space: 0,
            cpus: (0..cpus).map(|_| SimCpu::default()).collect(),
            clock: AtomicU64::new(FIRMWARE_NS),
            random: 0x9E37_79B9_7F4A_7C15,
            console: Vec::new(),
            typed: VecDeque::new(),
            typing: VecDeque::new(),
            unmasked: BTreeSet::new(),
            outside: Arc::default(),
            off: None,
        }
    }

    /// Lets simulated time pass.
    pub fn pass(&mut self, nanoseconds: u64) {
        self.clock.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Makes a device line fire, if it is not masked.
    pub fn fire_line(&mut self, line: u8) {
        if self.unmasked.remove(&line) {
            self.cpus[0].interrupts.push_back(Interrupt::Line(line));
            self.outside.stirred.notify_all();
        }
    }

    /// Somebody will type `bytes` at the console `after` nanoseconds from now.
    pub fn type_after(&mut self, after: u64, bytes: &[u8]) {
        let moment = self.clock.load(Ordering::Relaxed) + after;
        self.typing.push_back((moment, bytes.to_vec()));
        self.typing.make_contiguous().sort_by_key(|(moment, _)| *moment);
    }

    /// Whether an interrupt waits for this CPU.
    pub(crate) fn has_interrupt(&mut self, cpu: CpuId) -> bool {
        self.look_at_clock();
        !self.cpus[cpu.0 as usize].interrupts.is_empty()
    }

    /// Notes that a CPU halts, or goes on.
    pub(crate) fn set_asleep(&mut self, cpu: CpuId, is_asleep: bool) {
        self.cpus[cpu.0 as usize].is_asleep = is_asleep;
    }

    /// Whether every CPU sleeps with no interrupt waiting.
    pub(crate) fn is_all_asleep(&self) -> bool {
        self.cpus.iter().all(|cpu| cpu.is_asleep && cpu.interrupts.is_empty())
    }

    /// Jumps to the next moment something happens. False when nothing ever will.
    pub(crate) fn jump(&mut self) -> bool {
        let timers = self.cpus.iter().filter_map(|cpu| cpu.timer);
        let typing = self.typing.front().map(|(moment, _)| *moment);
        let Some(next) = timers.chain(typing).min() else { return false };
        self.clock.fetch_max(next, Ordering::Relaxed);
        self.look_at_clock();
        true
    }

    /// Turns moments that have come into interrupts.
    fn look_at_clock(&mut self) {
        let now = self.clock.load(Ordering::Relaxed);
        for cpu in &mut self.cpus {
            if cpu.timer.is_some_and(|moment| moment <= now) {
                cpu.timer = None;
                cpu.interrupts.push_back(Interrupt::Timer);
                self.outside.stirred.notify_all();
            }
        }
        while self.typing.front().is_some_and(|(moment, _)| *moment <= now) {
            if let Some((_, bytes)) = self.typing.pop_front() {
                self.typed.extend(bytes);
                self.cpus[0].interrupts.push_back(Interrupt::Line(CONSOLE_LINE));
                self.outside.stirred.notify_all();
            }
        }
    }

    /// A program on `cpu` touches its memory, as the processor does it: first the cache of
    /// translations, then the tables.
    pub(crate) fn touch(
        &mut self,
        frames: &Frames,
        cpu: CpuId,
        space: SpaceNumber,
        address: usize,
        access: Access,
    ) -> Touched {
        let page = Page::containing(address);
        let core = &mut self.cpus[cpu.0 as usize];
        assert_eq!(core.space, Some(space), "{cpu:?} runs a space that it has not loaded");
        let cached = core.cache.get(page).filter(|(_, have)| have.contains(access));
        let found = cached.or_else(|| self.spaces[&space].lookup(page));
        let Some((frame, have)) = found.filter(|(_, have)| have.contains(access)) else {
            return Touched::Fault;
        };
        core.cache.keep(page, frame, have);
        let room = PAGE_SIZE - address % PAGE_SIZE;
        if have.contains(Access::DEVICE) {
            return Touched::Device(room);
        }
        assert!(frames.references(frame) > 0, "{cpu:?} still reaches the freed {frame:?}");
        Touched::Memory(frame.at(address % PAGE_SIZE), room)
    }

    /// Counts a CPU as running `space` from now on.
    pub(crate) fn load(&mut self, space: SpaceNumber) -> SpaceNumber {
        let core = &mut self.cpus[this_cpu().0 as usize];
        if core.space != Some(space) {
            core.space = Some(space);
            core.cache = Cache::default();
        }
        space
    }

    fn tables(&self, space: &SpaceNumber) -> &Tables {
        self.spaces.get(space).expect("a space is used after it was dropped")
    }

    fn tables_mut(&mut self, space: &SpaceNumber) -> &mut Tables {
        self.spaces.get_mut(space).expect("a space is used after it was dropped")
    }
}

impl Machine for Sim {
    type Context = SimContext;
    type Space = SpaceNumber;

    fn read(&self, at: PhysicalAddress, into: &mut [u8]) {
        into.copy_from_slice(&self.memory[at.0 as usize..][..into.len()]);
    }

    fn write(&mut self, at: PhysicalAddress, from: &[u8]) {
        self.memory[at.0 as usize..][..from.len()].copy_from_slice(from);
    }

    fn copy(&mut self, from: PhysicalAddress, to: PhysicalAddress, length: usize) {
        assert!(from.0.abs_diff(to.0) >= length as u64, "{from:?} and {to:?} overlap");
        let from = from.0 as usize;
        self.memory.copy_within(from..from + length, to.0 as usize);
    }

    fn zero(&mut self, frame: Frame) {
        self.memory[frame.start().0 as usize..][..PAGE_SIZE].fill(0);
    }

    fn compare_exchange(&mut self, at: PhysicalAddress, old: u32, new: u32) -> u32 {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes);
        let have = u32::from_ne_bytes(bytes);
        if have == old {
            self.write(at, &new.to_ne_bytes());
        }
        have
    }

    fn new_space(&mut self, frames: &mut Frames) -> Result<SpaceNumber, NoMemory> {
        let tables = Tables::new(frames)?;
        self.next_space += 1;
        let number = SpaceNumber(self.next_space);
        self.spaces.insert(number, tables);
        Ok(number)
    }

    fn drop_space(&mut self, frames: &mut Frames, space: SpaceNumber) {
        for core in self.cpus.iter_mut().filter(|core| core.space == Some(space)) {
            core.space = None;
            core.cache = Cache::default();
        }
        let tables = self.spaces.remove(&space).expect("a space is dropped once");
        tables.give_back(frames);
    }

    fn map(
        &mut self,
        frames: &mut Frames,
        space: &mut SpaceNumber,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory> {
        self.tables_mut(space).map(frames, page, frame, access)
    }

    fn lookup(&self, space: &SpaceNumber, page: Page) -> Option<(Frame, Access)> {
        self.tables(space).lookup(page)
    }

    fn next_mapped(&self, space: &SpaceNumber, pages: Pages) -> Option<(Page, Frame, Access)> {
        self.tables(space).mapped(pages).next()
    }

    fn unmap(
        &mut self,
        space: &mut SpaceNumber,
        pages: Pages,
        removed: &mut [Frame],
    ) -> (usize, Page) {
        self.tables_mut(space).unmap(pages, removed)
    }

    fn protect(&mut self, space: &mut SpaceNumber, pages: Pages, access: Access) {
        self.tables_mut(space).protect(pages, access);
    }

    fn share(
        &mut self,
        frames: &mut Frames,
        from: &mut SpaceNumber,
        to: &mut SpaceNumber,
        pages: Pages,
        copy_on_write: bool,
    ) -> Result<usize, NoMemory> {
        let found: Vec<_> = self.tables(from).mapped(pages).collect();
        for (page, frame, access) in &found {
            let access = if copy_on_write { *access - Access::WRITE } else { *access };
            self.tables_mut(to).map(frames, *page, *frame, access)?;
            frames.add_reference(*frame);
            self.tables_mut(from).protect(Pages::one(*page), access);
        }
        Ok(found.len())
    }

    fn flush(&mut self, space: &SpaceNumber, pages: Pages) {
        for core in self.cpus.iter_mut().filter(|core| core.space == Some(*space)) {
            core.cache.forget(pages);
        }
    }

    fn suspend(&mut self, _: &mut SimContext) {}

    fn this_cpu(&self) -> CpuId {
        this_cpu()
    }

    fn cpu_count(&self) -> u32 {
        self.cpus.len() as u32
    }

    fn ticks(&self) -> u64 {
        self.clock.fetch_add(CLOCK_READ_NS, Ordering::Relaxed)
    }

    fn nanoseconds(&self, ticks: u64) -> u64 {
        ticks
    }

    fn boot_time(&self) -> u64 {
        BOOT_TIME
    }

    fn set_timer(&mut self, deadline: Option<u64>) {
        let cpu = self.this_cpu();
        self.cpus[cpu.0 as usize].timer = deadline;
    }

    fn kick(&mut self, cpu: CpuId) {
        self.cpus[cpu.0 as usize].interrupts.push_back(Interrupt::Kick);
        self.outside.stirred.notify_all();
    }

    fn next_interrupt(&mut self) -> Option<Interrupt> {
        self.look_at_clock();
        let cpu = self.this_cpu();
        self.cpus[cpu.0 as usize].interrupts.pop_front()
    }

    fn unmask_line(&mut self, line: u8) {
        self.unmasked.insert(line);
    }

    fn cpu_facts(&self, _: CpuId) -> CpuFacts {
        CpuFacts {
            vendor: "Lifeboat".into(),
            model: "simulated".into(),
            features: String::new(),
            ticks_per_second: 1_000_000_000,
        }
    }

    fn random(&mut self) -> Option<u64> {
        // Marsaglia's xorshift: the same numbers in every run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Some(self.random)
    }

    fn console_write(&mut self, bytes: &[u8]) -> usize {
        self.console.extend_from_slice(bytes);
        bytes.len()
    }

    fn console_read(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.typed.len());
        for (place, byte) in into.iter_mut().zip(self.typed.drain(..count)) {
            *place = byte;
        }
        count
    }

    fn console_line(&self) -> u8 {
        CONSOLE_LINE
    }

    fn power_off(&mut self, how: PowerOff) {
        self.off.get_or_insert(how);
        self.outside.finish();
    }

    fn heap_free(&self) -> usize {
        usize::MAX
    }

    fn heap_used(&self) -> usize {
        0
    }

    fn heap_reserve(&self) -> usize {
        usize::MAX
    }

    fn grow_heap(&mut self, _: Frame, _: usize) {}
}
