//! What the simulated hardware does by itself: time, interrupts, translation, a console.

use crate::allocations::as_hardware;
use crate::outside::Outside;
use crate::tables::{Cache, Tables};
use abi::PAGE_SIZE;
use kernel_core::machine::{Access, CpuId, Interrupt, PowerOff};
use kernel_core::memory::{Frames, Page, PhysicalAddress};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terminal::{Font, Mode, read};

/// What the clock shows when the kernel gets the machine, in nanoseconds.
const FIRMWARE_NS: u64 = 2_000_000_000;
/// Fresh memory holds this, so that a frame somebody forgot to zero shows.
const GARBAGE: u8 = 0xA5;
/// The console's interrupt line.
pub(crate) const CONSOLE_LINE: u8 = 4;
/// The keyboard's.
pub(crate) const KEYBOARD_LINE: u8 = 1;

thread_local! {
    static THIS_CPU: Cell<Option<CpuId>> = const { Cell::new(None) };
}

/// Makes the calling host thread a CPU.
pub(crate) fn become_cpu(cpu: CpuId) {
    THIS_CPU.set(Some(cpu));
}

/// Whether the calling host thread is a CPU. For an allocator to ask, so it must not allocate.
pub(crate) fn is_cpu() -> bool {
    THIS_CPU.try_with(|cpu| cpu.get().is_some()).unwrap_or(false)
}

/// Which CPU the calling host thread is; the boot CPU for threads that are none.
pub(crate) fn this_cpu() -> CpuId {
    THIS_CPU.get().unwrap_or(CpuId(0))
}

/// The name of an address space. The tables are the machine's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SpaceNumber(pub(crate) u64);

/// One CPU, as far as it is hardware.
#[derive(Default)]
pub(crate) struct SimCpu {
    pub(crate) interrupts: VecDeque<Interrupt>,
    pub(crate) timer: Option<u64>,
    /// The space it runs, or keeps from running it last.
    pub(crate) space: Option<SpaceNumber>,
    pub(crate) cache: Cache,
    pub(crate) is_asleep: bool,
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

/// A heap that ends: what it has, and how often it may still grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heap {
    /// Bytes that it has, with those set aside.
    pub(crate) size: isize,
    /// Bytes set aside last.
    pub(crate) aside: isize,
    /// Times that it may grow.
    pub(crate) grows: usize,
    /// Frames that it got.
    pub(crate) frames: usize,
}

impl Heap {
    /// Bytes not in use.
    pub(crate) fn free(&self) -> usize {
        usize::try_from(self.size - crate::allocations::bytes()).unwrap_or(0)
    }

    /// Bytes set aside and not begun.
    pub(crate) fn reserve(&self) -> usize {
        if self.free() as isize >= self.aside { self.aside as usize } else { 0 }
    }
}

/// What somebody does at some moment.
pub(crate) enum Keys {
    /// Types bytes at the console.
    Typed(Vec<u8>),
    /// Presses keys of the keyboard, which sends these codes.
    Pressed(Vec<u8>),
}

/// A screen.
pub(crate) struct Picture {
    pub(crate) mode: Mode,
    /// Row by row, without anything between.
    pub(crate) pixels: Vec<u32>,
}

impl Picture {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let mode = Mode { width, height, shifts: [16, 8, 0] };
        // Whatever the firmware left there.
        Self { mode, pixels: vec![0xA5_A5A5; width * height] }
    }

    /// The text on it.
    pub(crate) fn text(&self) -> String {
        let Mode { width, height, .. } = self.mode;
        read::text(&self.pixels, width, height, Font::for_size(width, height))
    }
}

/// The simulated machine.
pub struct Sim {
    pub(crate) memory: Vec<u8>,
    pub(crate) spaces: BTreeMap<SpaceNumber, Tables>,
    pub(crate) next_space: u64,
    pub(crate) cpus: Vec<SimCpu>,
    pub(crate) clock: AtomicU64,
    pub(crate) random: u64,
    /// What the console has been sent.
    pub console: Vec<u8>,
    pub(crate) typed: VecDeque<u8>,
    /// Moments at which something will be typed.
    pub(crate) typing: VecDeque<(u64, Keys)>,
    /// What the keyboard has sent.
    pub(crate) codes: VecDeque<u8>,
    /// The screen, if it has one; with it comes a keyboard.
    pub(crate) screen: Option<Picture>,
    /// The kernel's heap, on machines that limit it.
    pub(crate) heap: Option<Heap>,
    /// Lines that may interrupt.
    pub(crate) unmasked: BTreeSet<u8>,
    /// Where lines were led that were led anywhere; `None` is to all CPUs.
    pub(crate) routes: BTreeMap<u8, Option<CpuId>>,
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
            heap: None,
            codes: VecDeque::new(),
            screen: None,
            unmasked: BTreeSet::new(),
            routes: BTreeMap::new(),
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

    /// Whether a device line may fire.
    pub fn is_unmasked(&self, line: u8) -> bool {
        self.unmasked.contains(&line)
    }

    /// Where a line was led, if it was: `None` in it is to all CPUs.
    pub fn route_of(&self, line: u8) -> Option<Option<CpuId>> {
        self.routes.get(&line).copied()
    }

    /// Somebody will type `bytes` at the console `after` nanoseconds from now.
    pub fn type_after(&mut self, after: u64, bytes: &[u8]) {
        self.later(after, Keys::Typed(bytes.to_vec()));
    }

    /// The keyboard will send `codes`.
    pub fn press_after(&mut self, after: u64, codes: &[u8]) {
        self.later(after, Keys::Pressed(codes.to_vec()));
    }

    fn later(&mut self, after: u64, keys: Keys) {
        let moment = self.clock.load(Ordering::Relaxed) + after;
        self.typing.push_back((moment, keys));
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
    pub(crate) fn look_at_clock(&mut self) {
        as_hardware(|| self.act_by_clock());
    }

    fn act_by_clock(&mut self) {
        let now = self.clock.load(Ordering::Relaxed);
        for cpu in &mut self.cpus {
            if cpu.timer.is_some_and(|moment| moment <= now) {
                cpu.timer = None;
                cpu.interrupts.push_back(Interrupt::Timer);
                self.outside.stirred.notify_all();
            }
        }
        while self.typing.front().is_some_and(|(moment, _)| *moment <= now) {
            let line = match self.typing.pop_front() {
                Some((_, Keys::Typed(bytes))) => {
                    self.typed.extend(bytes);
                    CONSOLE_LINE
                }
                Some((_, Keys::Pressed(codes))) => {
                    self.codes.extend(codes);
                    KEYBOARD_LINE
                }
                None => break,
            };
            self.cpus[0].interrupts.push_back(Interrupt::Line(line));
            self.outside.stirred.notify_all();
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

    pub(crate) fn tables(&self, space: &SpaceNumber) -> &Tables {
        self.spaces.get(space).expect("a space is used after it was dropped")
    }

    pub(crate) fn tables_mut(&mut self, space: &SpaceNumber) -> &mut Tables {
        self.spaces.get_mut(space).expect("a space is used after it was dropped")
    }
}
