//! The kernel: one value, reached under one lock.
//!
//! Everything that parks or wakes a thread is in this folder; everything else returns values.
//! `run` gives CPUs threads and takes their traps, `turns` says whose turn it is, `calls` ends and
//! parks calls, `copy` moves bytes between programs and the kernel, `files` opens and closes,
//! `life` starts and ends processes, `deliver` brings signals, `handlers` enters what handles them.

mod alarm;
mod calls;
mod copy;
mod cpus;
mod crash;
mod deliver;
mod emergency;
mod exec;
mod faults;
mod fetch;
mod files;
mod handlers;
mod heap;
mod life;
mod profile;
mod run;
mod standstill;
mod start;
mod timers;
mod trace;
mod turns;

pub use alarm::Alarms;
pub(crate) use alarm::Ring;
pub use cpus::{CPUS_MAX, Cpu, Cpus};
pub use fetch::Fetches;
pub(crate) use fetch::{PAGES_AT_ONCE, shown};
pub(crate) use handlers::info_bytes;
pub use run::Chosen;
pub use timers::{TimerKey, Timers, Waiter};

use crate::boot::{KernelState, Pipeline};
use crate::crash::Crashes;
use crate::display::Display;
use crate::emergency::Emergency;
use crate::event::{Events, Key};
use crate::futex::Futexes;
use crate::handle::Description;
use crate::irq::Lines;
use crate::log::{Level, Line, Log};
use crate::machine::Machine;
use crate::memory::{Frame, Frames, Space, SpaceId};
use crate::namespace::{Namespace, Root};
use crate::pipe::Pipes;
use crate::profile::Profiles;
use crate::schedule::Queue;
use crate::scheme::text::Texts;
use crate::scheme::user::UserScheme;
use crate::scheme::{Clocks, Console, KernelSchemes, Ranges, SchemeId, place, user_socket};
use crate::stats::Stats;
use crate::table::Table;
use crate::task::{Pid, Process, ProcessId, QueueId, Reason, State, Task, TaskId, WaitQueues};
use crate::trace::Traces;
use abi::redox::flag::EventFlags;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use hashbrown::HashMap;
use initfs_format::Archive;

/// How much of the log is kept, in bytes.
const LOG_BYTES: usize = 64 << 10;

/// Who makes a call: looked up once, passed along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The thread.
    pub task: TaskId,
    /// Its process.
    pub process: ProcessId,
    /// Its memory.
    pub space: SpaceId,
}

impl Caller {
    /// Of a CPU without a thread.
    const NOBODY: Self =
        Self { task: TaskId(usize::MAX), process: ProcessId::NONE, space: SpaceId(usize::MAX) };
}

/// The boot archive and where it lies in physical memory.
pub struct BootArchive {
    /// Its contents.
    pub archive: Archive<'static>,
    /// The frame of its first byte.
    pub first_frame: Frame,
}

impl BootArchive {
    /// Whether the frame is part of it.
    pub fn holds(&self, frame: Frame) -> bool {
        let pages = self.archive.bytes().len().div_ceil(abi::PAGE_SIZE) as u32;
        (self.first_frame.0..self.first_frame.0 + pages).contains(&frame.0)
    }
}

/// What the machine hands over at boot.
pub struct Handover {
    /// Free memory.
    pub frames: Frames,
    /// The boot archive, when there was one.
    pub archive: Option<BootArchive>,
    /// The boot command line.
    pub command_line: String,
    /// Words for what the emergency store notes of each frame, as many as
    /// [`crate::emergency::reserve_words`] says; none on a machine without a disk for it.
    pub reserve: &'static mut [u64],
}

/// Everything the kernel knows.
pub struct Kernel<M: Machine> {
    /// The hardware.
    pub machine: M,
    /// Physical memory.
    pub frames: Frames,
    /// The frame of zeroes that untouched memory reads from.
    pub zero: Frame,
    /// Address spaces.
    pub spaces: Table<Space<M>>,
    /// Threads.
    pub tasks: Table<Task<M>>,
    /// Processes.
    pub processes: Table<Process>,
    /// Processes by number.
    pub pids: HashMap<Pid, ProcessId>,
    /// Threads by number.
    pub tids: HashMap<u32, TaskId>,
    next_pid: Pid,
    /// Every number has been given out once.
    are_pids_used: bool,
    /// Open files.
    pub descriptions: Table<Description>,
    /// How many of them have timeouts.
    pub(crate) impatient: usize,
    /// The schemes' names, and the mounts.
    pub namespace: Namespace,
    /// Wait queues.
    pub waits: WaitQueues,
    /// Event queues.
    pub events: Events,
    /// Pipes.
    pub pipes: Pipes,
    /// Schemes of daemons.
    pub user_schemes: Table<UserScheme>,
    /// Moments that somebody waits for.
    pub timers: Timers,
    /// What tracers have open.
    pub traces: Traces,
    /// Processes that have crashed, and who writes them down.
    pub crashes: Crashes,
    /// Who wants samples of what runs.
    pub profiles: Profiles,
    /// Threads waiting for a word of memory.
    pub futexes: Futexes,
    /// Pages of mapped files that daemons are to bring.
    pub fetches: Fetches,
    /// Who runs next.
    pub queue: Queue,
    /// One record per CPU.
    pub cpus: Cpus,
    /// The boot archive.
    pub archive: Option<BootArchive>,
    /// Open files of `sys:` and `proc:`.
    pub texts: Texts,
    /// Open files of `time:`, and the clocks.
    pub clocks: Clocks,
    /// Open files of `irq:`.
    pub lines: Lines,
    /// Open files of `memory:` that stand for a range.
    pub ranges: Ranges,
    /// What `debug:` has received.
    pub console: Console,
    /// The same of the second port.
    pub second: Console,
    /// What the keyboard has sent.
    pub keyboard: Console,
    /// The screen, where there is one.
    pub display: Display,
    /// The kernel's log.
    pub log: Log,
    /// Counters.
    pub stats: Stats,
    /// Who last used a call number that does not exist.
    pub(crate) last_unknown: ProcessId,
    /// The boot command line.
    pub command_line: String,
    /// What the kernel as a whole is doing.
    pub state: KernelState,
    /// What happens when memory runs out.
    pub emergency: Box<Emergency<M>>,
    /// The boot stages, once they have been put in order.
    pub pipeline: Option<Pipeline<Kernel<M>>>,
}

impl<M: Machine> Kernel<M> {
    /// A kernel on `machine`, with no process yet.
    ///
    /// # Panics
    /// When there is not a single free frame.
    pub fn new(mut machine: M, handover: Handover) -> Self {
        let Handover { mut frames, archive, command_line, reserve } = handover;
        let zero = frames.allocate().expect("a machine has at least one frame of memory");
        machine.zero(zero);
        if let Some(boot) = &archive {
            let pages = boot.archive.bytes().len().div_ceil(abi::PAGE_SIZE);
            frames.adopt(boot.first_frame, pages as u32);
        }
        let mut waits = WaitQueues::default();
        let console = Console::new(waits.create());
        let second = Console::new(waits.create());
        let crashes = Crashes::new(waits.create());
        let keyboard = Console::new(waits.create());
        let mut display = Display::new(machine.screen(), waits.create());
        display.begin(&mut machine);
        let started = machine.ticks();
        let queues = [waits.create(), waits.create(), waits.create()];
        let emergency = Emergency::new(queues, reserve, frames.limit());
        let turn_ticks =
            machine.cpu_facts(machine.this_cpu()).ticks_per_second / turns::TURNS_PER_SECOND;
        let cpus = Cpus::new(machine.cpu_count(), started, turn_ticks);
        Self {
            machine,
            frames,
            zero,
            spaces: Table::new(),
            tasks: Table::new(),
            processes: Table::new(),
            pids: HashMap::new(),
            tids: HashMap::new(),
            next_pid: 1,
            are_pids_used: false,
            descriptions: Table::new(),
            impatient: 0,
            namespace: Namespace::default(),
            waits,
            events: Events::default(),
            pipes: Pipes::default(),
            user_schemes: Table::new(),
            timers: Timers::default(),
            traces: Traces::default(),
            crashes,
            profiles: Profiles::new(),
            futexes: Futexes::default(),
            fetches: Fetches::default(),
            queue: Queue::default(),
            cpus,
            archive,
            texts: Texts::default(),
            clocks: Clocks::default(),
            lines: Lines::default(),
            ranges: Ranges::default(),
            console,
            second,
            keyboard,
            display,
            log: Log::new(LOG_BYTES),
            stats: Stats::default(),
            last_unknown: ProcessId::NONE,
            command_line,
            state: KernelState::default(),
            emergency,
            pipeline: None,
        }
    }

    /// The kernel's schemes, and `/` leading to the boot archive.
    pub(crate) fn first_namespace() -> Namespace {
        let mut namespace = Namespace::default();
        for (place, scheme) in KernelSchemes::<M>::ALL.iter().enumerate() {
            let root = Root::Kernel(SchemeId::Kernel(place as u8));
            namespace.register(scheme.name(), root).expect("the kernel's schemes have good names");
        }
        namespace.mount("/", "initfs:/").expect("a good mount");
        namespace
    }

    /// Nanoseconds since boot, without the time that the world stood still.
    pub fn now(&self) -> u64 {
        self.now_at(self.machine.ticks())
    }

    /// The same for a moment in ticks.
    fn now_at(&self, ticks: u64) -> u64 {
        self.machine.nanoseconds(ticks) - self.emergency.paused_ns
    }

    /// Adds a line to the log, and shows it on the console if it matters enough.
    pub fn log(&mut self, level: Level, target: &str, message: fmt::Arguments<'_>) {
        let line =
            Line { level, time_ns: self.now(), cpu: self.machine.this_cpu().0, target, message };
        let Some(range) = self.log.write(&line) else { return };
        let mut position = range.start;
        while position < range.end {
            let mut bytes = [0; 128];
            let piece = self.log.read(position, &mut bytes);
            // The console is a terminal in raw mode: it wants both halves of a line end.
            for part in bytes[..piece.count].split_inclusive(|byte| *byte == b'\n') {
                let text = part.strip_suffix(b"\n").unwrap_or(part);
                self.write_console(None, text);
                if text.len() < part.len() {
                    self.write_console(None, b"\r\n");
                }
            }
            position = piece.next;
        }
    }

    /// The process with this number.
    pub fn find_process(&self, pid: Pid) -> Option<ProcessId> {
        self.pids.get(&pid).copied()
    }

    /// The value of `key=value` on the boot command line.
    pub fn boot_option(&self, key: &str) -> Option<&str> {
        let words = self.command_line.split_ascii_whitespace();
        words.filter_map(|word| word.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// Whether `word` stands on the boot command line.
    pub fn has_boot_flag(&self, word: &str) -> bool {
        self.command_line.split_ascii_whitespace().any(|have| have == word)
    }

    /// Makes a parked thread ready; its call runs again when it is chosen.
    pub(crate) fn wake_task(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        let State::Parked(wait) = thread.state else { return };
        let timer = thread.unpark();
        if let Some(queue) = wait.queue {
            self.waits.remove(&mut self.tasks, queue, task);
        }
        self.run_soon(task, timer);
    }

    /// Wakes everybody who waits in a queue.
    pub(crate) fn wake_all(&mut self, queue: QueueId) {
        while let Some((task, are_more)) = self.waits.pop(&mut self.tasks, queue) {
            let timer = self.tasks[task.0].unpark();
            self.run_soon(task, timer);
            if !are_more {
                return;
            }
        }
    }

    /// Forgets a wait queue. Who waits in it finds out that what it waited for is gone.
    pub(crate) fn end_queue(&mut self, queue: QueueId) {
        self.wake_all(queue);
        self.waits.destroy(queue);
    }

    /// Tells event queues that a file is ready.
    #[inline(always)]
    pub(crate) fn raise(&mut self, key: Key, flags: EventFlags) {
        if !self.events.is_unwatched(key) {
            self.raise_all(key, flags);
        }
    }

    /// An event queue is a file too, so queues nest. The chain may be long: it is walked, not
    /// recursed.
    fn raise_all(&mut self, key: Key, flags: EventFlags) {
        let mut woken = Vec::new();
        self.events.raise(key, flags, |number, queue| woken.push((number, queue)));
        while let Some((number, queue)) = woken.pop() {
            self.wake_all(queue);
            let key = (place::EVENT, number);
            self.events.raise(key, EventFlags::EVENT_READ, |number, queue| {
                woken.push((number, queue));
            });
        }
    }

    /// Tells one event queue, which has just registered it, what a file is ready for.
    pub(crate) fn raise_one(&mut self, number: usize, key: Key, flags: EventFlags) {
        if let Some(queue) = self.events.raise_one(number, key, flags) {
            self.wake_all(queue);
            self.raise((place::EVENT, number), EventFlags::EVENT_READ);
        }
    }

    /// Tells event queues that a daemon's socket has requests.
    pub(crate) fn raise_socket(&mut self, scheme: usize) {
        let key = (place::NAMESPACE, user_socket(scheme));
        self.raise(key, EventFlags::EVENT_READ);
    }

    /// Tells event queues that a scheme name came or went: `sys:scheme` has changed.
    pub(crate) fn raise_scheme_list(&mut self) {
        for number in self.texts.showing(crate::scheme::scheme_rows::<M>) {
            self.raise((place::SYS, number), EventFlags::EVENT_READ);
        }
    }

    /// The reason a thread is parked, for `ps`.
    pub fn parked_reason(&self, task: TaskId) -> Option<Reason> {
        match self.tasks.get(task.0)?.state {
            State::Parked(wait) => Some(wait.reason),
            _ => None,
        }
    }

    /// The user-visible path of an open file.
    pub fn path_of(&self, description: crate::handle::DescriptionId) -> String {
        self.descriptions.get(description.0).map_or(String::new(), |d| d.path.to_string())
    }
}
