//! Booting a machine, and waiting for its end.

use crate::audit::audit;
use crate::code::{Code, once};
use crate::computer::{Computer, run_cpu};
use crate::disk::Disk;
use crate::hardware::{Heap, Picture, Sim};
use crate::image::image;
use crate::report::{describe, log};
use crate::user::User;
use abi::PAGE_SIZE;
use initfs_format::{Archive, Builder};
use kernel_core::emergency::reserve_words;
use kernel_core::kernel::{BootArchive, Handover, Kernel};
use kernel_core::machine::{CpuId, Machine, PowerOff};
use kernel_core::memory::{Frame, FrameInfo, Frames, Range};
use std::thread;
use std::time::Duration;

/// A story that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);
/// The stack of a CPU in the kernel, in bytes: little, as on hardware, though more than there,
/// because unoptimised code needs more.
const CPU_STACK: usize = 256 << 10;
/// Memory of a machine that nobody asked for more or less, in bytes.
const MEMORY: usize = 32 << 20;

/// A machine to be booted.
pub struct System {
    cpus: u32,
    memory: usize,
    archive: Builder,
    command_line: String,
    disk: Option<Disk>,
    typing: Vec<(u64, String)>,
    heap_grows: Option<usize>,
    pressing: Vec<(u64, Vec<u8>)>,
    screen: Option<(usize, usize)>,
}

/// What is left of a machine.
pub struct Finished {
    /// What the console was sent.
    pub console: String,
    /// The text on the screen, if there is one.
    pub screen: Option<String>,
    /// The kernel's log.
    pub log: String,
    /// How it was switched off, if it was.
    pub off: Option<PowerOff>,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    /// One CPU, 32 MiB, an archive with nothing but the first program.
    pub fn new() -> Self {
        let command_line = "story=1 quiet".into();
        Self {
            cpus: 1,
            memory: MEMORY,
            archive: Builder::new(),
            command_line,
            disk: None,
            typing: Vec::new(),
            heap_grows: None,
            pressing: Vec::new(),
            screen: None,
        }
    }

    /// With so many CPUs.
    pub fn cpus(self, cpus: u32) -> Self {
        Self { cpus, ..self }
    }

    /// With so many bytes of memory beside the boot archive.
    pub fn memory(self, bytes: usize) -> Self {
        Self { memory: bytes, ..self }
    }

    /// With a disk for the emergency store.
    pub fn disk(self, disk: &Disk) -> Self {
        Self { disk: Some(disk.clone()), ..self }
    }

    /// With a kernel heap that may grow so many times. Needs a global allocator that asks
    /// [`crate::note_bytes`], and one CPU.
    pub fn heap_grows(self, times: usize) -> Self {
        Self { heap_grows: Some(times), ..self }
    }

    /// Somebody types `keys` at the console, `after` nanoseconds from the start.
    pub fn typing(mut self, after: u64, keys: &str) -> Self {
        self.typing.push((after, keys.to_owned()));
        self
    }

    /// With a keyboard, and a screen of so many pixels.
    pub fn screen(self, width: usize, height: usize) -> Self {
        Self { screen: Some((width, height)), ..self }
    }

    /// The keyboard sends `codes`, `after` nanoseconds from the start.
    pub fn pressing(mut self, after: u64, codes: &[u8]) -> Self {
        self.pressing.push((after, codes.to_vec()));
        self
    }

    /// With a file in the boot archive.
    pub fn file(mut self, path: &str, bytes: &[u8]) -> Self {
        self.archive.file(path, 0o644, bytes.to_vec()).expect("a good path");
        self
    }

    /// With a word on the boot command line.
    pub fn option(self, word: &str) -> Self {
        Self { command_line: format!("{} {word}", self.command_line), ..self }
    }

    /// Boots, runs `init` as PID 1 until it returns, and checks the books.
    ///
    /// # Panics
    /// When anything in the machine does, when a program waits for ever, when the books are
    /// wrong.
    pub fn run(self, init: impl FnOnce(&mut User) + Send + 'static) -> Finished {
        let cpus = self.cpus;
        let computer = self.boot(once(move |user: &mut User| {
            init(user);
            user.end_story();
        }));
        let threads: Vec<_> = (0..cpus)
            .map(|number| {
                let computer = computer.clone();
                let name = format!("cpu {number}");
                let cpu = thread::Builder::new().name(name).stack_size(CPU_STACK);
                cpu.spawn(move || run_cpu(&computer, CpuId(number))).expect("the host has threads")
            })
            .collect();
        if !computer.outside().wait_for_end(LIMIT) {
            let story = computer.try_kernel().map(|mut kernel| describe(&mut kernel));
            panic!("the story hangs: {}", story.as_deref().unwrap_or("in the kernel"));
        }
        threads.into_iter().for_each(|cpu| cpu.join().expect("a CPU notes its panics"));
        if let Some(failure) = computer.outside().failure() {
            let log = log(&computer.kernel());
            computer.join_programs();
            panic!("{failure}\nthe log:\n{log}");
        }
        let kernel = computer.kernel();
        audit(&kernel);
        let console = String::from_utf8_lossy(&kernel.machine.console).into_owned();
        let screen = kernel.machine.screen.as_ref().map(Picture::text);
        let off = kernel.machine.off;
        let finished = Finished { console, screen, log: log(&kernel), off };
        drop(kernel);
        computer.join_programs();
        finished
    }

    /// The kernel as it is after boot, with `/bin/init` ready to run.
    fn boot(mut self, init: Code) -> Computer {
        let first_code = crate::code::first_address();
        let program = image(first_code, b"the data of init");
        self.archive.file("/bin/init", 0o755, program).expect("a good path");
        let bytes: &'static [u8] = self.archive.build().leak();
        let archive = Archive::parse(bytes).expect("what was built can be read");
        let end = (self.memory / PAGE_SIZE) as u32;
        let total = end + bytes.len().div_ceil(PAGE_SIZE) as u32;
        let mut machine = Sim::new(self.cpus, total);
        let heap = |grows| Heap { size: 0, aside: 0, grows, frames: 0 };
        machine.write(Frame(end).start(), bytes);
        let infos = vec![FrameInfo::default(); total as usize].leak();
        let frames = Frames::new(infos, &[Range { start: 1, end }]);
        let archive = Some(BootArchive { archive, first_frame: Frame(end) });
        let words = if self.disk.is_some() { reserve_words(total as usize) } else { 0 };
        let reserve = vec![0; words].leak();
        let command_line = self.command_line;
        let handover = Handover { frames, archive, command_line, reserve };
        for (after, keys) in self.typing {
            machine.type_after(after, keys.as_bytes());
        }
        for (after, codes) in self.pressing {
            machine.press_after(after, &codes);
        }
        machine.screen = self.screen.map(|(width, height)| Picture::new(width, height));
        let mut kernel = Kernel::new(machine, handover);
        if let Some(disk) = self.disk {
            kernel.register_block_io(Box::new(disk));
        }
        kernel.start();
        kernel.machine.heap = self.heap_grows.map(heap);
        let computer = Computer::new(kernel);
        assert_eq!(computer.codes().add(init), first_code);
        computer
    }
}
