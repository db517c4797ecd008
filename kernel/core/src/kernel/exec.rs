//! `EXEC` — bringing a program into an address space of its own.
//!
//! The new space is built beside the old one. Whole pages of the file that lie right are shared
//! copy-on-write instead of copied, so starting a program from the boot archive or from a
//! page-aligned buffer moves hardly any bytes.

use super::{Caller, Kernel};
use crate::elf::{Image, Plan, Protection, Segment};
use crate::error::*;
use crate::machine::{Access, Context, Machine};
use crate::memory::{Frame, Kind, Page, Pages, PhysicalAddress, Region, Space, SpaceId, UserSlice};
use crate::schedule::{Account, Priority};
use crate::task::{ProcessId, TaskId};
use abi::exec::*;
use abi::{PAGE_SIZE, STACK_SIZE, STACK_TOP};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// Where programs that can lie anywhere are put.
const LOAD_BASE: usize = 0x4000_0000;
/// What `proc:PID/maps` calls the first thread's stack.
const STACK: &str = "[stack]";

/// Where the bytes of a program file are.
#[derive(Clone, Copy)]
enum Source {
    /// In a program's memory.
    Memory { space: SpaceId, image: UserSlice },
    /// In the boot archive.
    Archive { first: Frame, length: usize },
}

/// The strings a program starts with.
struct Strings {
    path: Arc<str>,
    args: Vec<u8>,
    envs: Vec<u8>,
}

/// A program ready to run.
struct Loaded {
    space: SpaceId,
    entry: usize,
    stack: usize,
}

struct ImageReader<'a, M: Machine> {
    kernel: RefCell<&'a mut Kernel<M>>,
    source: Source,
}

impl<M: Machine> Image for ImageReader<'_, M> {
    fn len(&self) -> u64 {
        self.source.length() as u64
    }

    fn read(&self, at: u64, into: &mut [u8]) -> abi::redox::error::Result<()> {
        let mut kernel = self.kernel.borrow_mut();
        let read = kernel.read_image(self.source, at as usize, into);
        read.map_err(|errno| abi::redox::error::Error::new(errno.0))
    }
}

impl Source {
    fn length(self) -> usize {
        match self {
            Source::Memory { image, .. } => image.length,
            Source::Archive { length, .. } => length,
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// The caller becomes another program.
    pub(crate) fn exec(&mut self, caller: Caller, arguments: usize) -> Outcome {
        let words: [usize; size_of::<ExecArgs>() / 8] =
            self.copy_in_words(caller.space, arguments)?;
        let [
            image,
            image_len,
            args,
            args_len,
            args_count,
            envs,
            envs_len,
            envs_count,
            path,
            path_len,
        ] = words;
        let strings_len = args_len.checked_add(envs_len).ok_or(Errno(E2BIG))?;
        if strings_len > ARGUMENTS_MAX {
            return fail(E2BIG);
        }
        let path = self.copy_path(caller.space, path, path_len)?;
        let strings = Strings {
            path: path.as_str().into(),
            args: self.copy_strings(caller, args, args_len, args_count)?,
            envs: self.copy_strings(caller, envs, envs_len, envs_count)?,
        };
        // Very many empty strings are little, but the pointers to them are not.
        if args_count + envs_count > STRINGS_MAX {
            return fail(E2BIG);
        }
        let image = UserSlice::new(image, image_len)?;
        let source = Source::Memory { space: caller.space, image };
        let loaded = self.load(source, &strings)?;
        let (old, new) = (&self.spaces[caller.space.0], &self.spaces[loaded.space.0]);
        let more = new.resident.saturating_sub(old.resident);
        if !self.frames.budgets.may_add(old.budget, more) {
            self.drop_space(loaded.space);
            return fail(ENOMEM);
        }
        let budget = old.budget;
        self.spaces[loaded.space.0].move_to(&mut self.frames, budget);
        self.become_program(caller, loaded, path, strings.args);
        Err(Stop::Replaced)
    }

    /// Starts the first process from the boot archive.
    ///
    /// # Errors
    /// A sentence for the boot log.
    pub fn start_init(&mut self, path: &str) -> Result<(), String> {
        let boot = self.archive.as_ref().ok_or("there is no boot archive")?;
        let entry = boot
            .archive
            .lookup(path, true)
            .map_err(|_| alloc::format!("the boot archive has no {path}"))?;
        let range = entry.data_range();
        let first = Frame(boot.first_frame.0 + (range.start / PAGE_SIZE) as u32);
        let source = Source::Archive { first, length: range.len() };
        let mut args = path.as_bytes().to_owned();
        args.push(0);
        let strings = Strings { path: path.into(), args, envs: Vec::new() };
        let loaded = self
            .load(source, &strings)
            .map_err(|errno| alloc::format!("{path} cannot be loaded: {errno:?}"))?;
        let process = self.add_process(loaded.space, None);
        let record = &mut self.processes[process.0];
        record.exe = path.to_owned();
        record.command_line = strings.args;
        let context = M::Context::start(loaded.entry, loaded.stack);
        let task = self.add_thread(process, context, Account::new(Priority::NORMAL));
        self.open_console(process, task, loaded.space).map_err(|e| alloc::format!("{e:?}"))
    }

    /// Descriptors 0, 1 and 2 of the first process are `debug:`.
    fn open_console(&mut self, process: ProcessId, task: TaskId, space: SpaceId) -> Outcome<()> {
        use abi::redox::flag::O_RDWR;
        let caller = Caller { task, process, space };
        for _ in 0..3 {
            let description = self.open_path(caller, "debug:".to_owned(), O_RDWR)?;
            self.install(process, description, abi::LOWEST_FREE, 0)?;
        }
        Ok(())
    }

    fn copy_strings(
        &mut self,
        caller: Caller,
        address: usize,
        length: usize,
        count: usize,
    ) -> Outcome<Vec<u8>> {
        let bytes = self.copy_in_vec(caller.space, UserSlice::new(address, length)?)?;
        let is_good = bytes.iter().filter(|b| **b == 0).count() == count
            && bytes.last().is_none_or(|last| *last == 0);
        if is_good { Ok(bytes) } else { fail(EINVAL) }
    }

    /// Builds the new space. On error nothing of it is left.
    fn load(&mut self, source: Source, strings: &Strings) -> Result<Loaded, Errno> {
        let reader = ImageReader { kernel: RefCell::new(self), source };
        let plan = Plan::read(&reader, LOAD_BASE).map_err(|error| Errno(error.errno))?;
        let mut space = Space::new(&mut self.machine, &mut self.frames)?;
        if let Source::Memory { space: old, .. } = source {
            space.limit = self.spaces[old.0].limit;
        }
        let space = SpaceId(self.spaces.insert(space));
        let filled = self.fill_space(space, source, &plan, strings);
        match filled {
            Ok(stack) => Ok(Loaded { space, entry: plan.entry, stack }),
            Err(errno) => {
                self.drop_space(space);
                Err(errno)
            }
        }
    }

    fn fill_space(
        &mut self,
        space: SpaceId,
        source: Source,
        plan: &Plan,
        strings: &Strings,
    ) -> Result<usize, Errno> {
        for segment in &plan.segments {
            self.load_segment(space, source, segment, &strings.path)?;
        }
        let pages = Pages::covering(STACK_TOP - STACK_SIZE, STACK_SIZE);
        let access = Access::READ | Access::WRITE;
        self.spaces[space.0].add(Region::new(pages, access, Kind::Private));
        self.spaces[space.0].note_origin(pages, &STACK.into(), 0);
        let (stack, block) = start_block(plan, strings);
        let slice = UserSlice::new(stack, block.len())?;
        match self.copy_out(space, slice, &block) {
            Ok(()) => Ok(stack),
            Err(Stop::Error(errno)) => Err(errno),
            Err(_) => Err(Errno(ENOMEM)),
        }
    }

    fn load_segment(
        &mut self,
        space: SpaceId,
        source: Source,
        segment: &Segment,
        path: &Arc<str>,
    ) -> Result<(), Errno> {
        let range = segment.page_range();
        let pages = Pages::covering(range.start, range.len());
        let access = match segment.protection {
            Protection::Read => Access::READ,
            Protection::ReadWrite => Access::READ | Access::WRITE,
            Protection::ReadExecute => Access::READ | Access::EXECUTE,
        };
        self.spaces[space.0].add(Region::new(pages, access, Kind::Private));
        let file_end = segment.address + segment.file_size;
        let file_pages = Pages::covering(segment.address, segment.file_size);
        if file_pages.count() > 0 {
            let inside = segment.address % PAGE_SIZE;
            let offset = segment.file_offset.saturating_sub(inside as u64);
            self.spaces[space.0].note_origin(file_pages, path, offset);
        }
        for number in file_pages.start.0..file_pages.end.0 {
            let page = Page(number);
            let from = page.start().max(segment.address);
            let to = (page.start() + PAGE_SIZE).min(file_end);
            let at = segment.file_offset as usize + (from - segment.address);
            let whole = to - from == PAGE_SIZE;
            let shared = if whole { self.image_frame(source, at) } else { None };
            match shared {
                Some(frame) => {
                    self.frames.add_reference(frame);
                    self.place_page(space, page, frame, access - Access::WRITE)?;
                }
                None => self.copy_page(space, page, access, source, at, from..to)?,
            }
        }
        Ok(())
    }

    /// A frame that holds exactly the page of the file at `at`, if there is one to share.
    fn image_frame(&mut self, source: Source, at: usize) -> Option<Frame> {
        match source {
            Source::Archive { first, .. } => {
                at.is_multiple_of(PAGE_SIZE).then(|| Frame(first.0 + (at / PAGE_SIZE) as u32))
            }
            Source::Memory { space, image } => {
                let address = image.address + at;
                let page = Page::containing(address);
                let region = self.spaces[space.0].region(page)?;
                if !address.is_multiple_of(PAGE_SIZE) || region.kind != Kind::Private {
                    return None;
                }
                let (at, _) = self.readable_at(space, image.part(at, PAGE_SIZE)).ok()?;
                Some(at.frame())
            }
        }
    }

    /// A page of its own: the file's bytes where `range` is, zeroes elsewhere.
    fn copy_page(
        &mut self,
        space: SpaceId,
        page: Page,
        access: Access,
        source: Source,
        at: usize,
        range: core::ops::Range<usize>,
    ) -> Result<(), Errno> {
        let mut bytes = [0; PAGE_SIZE];
        let inside = range.start - page.start();
        self.read_image(source, at, &mut bytes[inside..inside + range.len()])?;
        let frame = self.frames.allocate().ok_or(Errno(ENOMEM))?;
        self.machine.write(frame.start(), &bytes);
        self.place_page(space, page, frame, access)
    }

    fn place_page(
        &mut self,
        space: SpaceId,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), Errno> {
        let space = &mut self.spaces[space.0];
        Ok(space.place(&mut self.machine, &mut self.frames, page, frame, access)?)
    }

    fn read_image(&mut self, source: Source, at: usize, into: &mut [u8]) -> Result<(), Errno> {
        match source {
            Source::Archive { first, .. } => {
                self.machine.read(PhysicalAddress(first.start().0 + at as u64), into);
                Ok(())
            }
            Source::Memory { space, image } => {
                let length = into.len();
                match self.copy_in(space, image.part(at, length), into) {
                    Ok(()) => Ok(()),
                    Err(Stop::Error(errno)) => Err(errno),
                    Err(_) => Err(Errno(EFAULT)),
                }
            }
        }
    }

    /// The point of no return: the old program is gone.
    fn become_program(&mut self, caller: Caller, loaded: Loaded, path: String, args: Vec<u8>) {
        self.end_other_threads(caller);
        let record = &mut self.processes[caller.process.0];
        record.exe = path;
        record.command_line = args;
        record.signals.forget_handlers();
        record.space = Some(loaded.space);
        let pid = record.pid;
        self.end_alarms(caller.process, false);
        let record = &mut self.processes[caller.process.0];
        let closing: Vec<usize> =
            record.files.iter().filter(|(_, fd)| fd.is_close_on_exec).map(|(n, _)| n).collect();
        for fd in closing {
            let closed = self.close(caller.process, fd);
            debug_assert!(closed.is_ok(), "a listed descriptor is open");
        }
        let peak = self.spaces[caller.space.0].peak();
        let space = &mut self.spaces[loaded.space.0];
        space.follows(peak);
        space.users += 1;
        self.stop_using(caller.space);
        self.moved_to(caller.task, loaded.space);
        let thread = &mut self.tasks[caller.task.0];
        // Whichever thread it was, it is the first one now, with the number that goes with that.
        let old_tid = core::mem::replace(&mut thread.tid, pid);
        if old_tid != pid {
            self.tids.remove(&old_tid);
            self.tids.insert(pid, caller.task);
        }
        thread.signals.interrupted.clear();
        thread.signals.alternate = None;
        thread.unfinished = Default::default();
        self.machine.suspend(thread.context());
        *thread.context() = M::Context::start(loaded.entry, loaded.stack);
        self.program_changed(Caller { space: loaded.space, ..caller });
    }
}

/// The bytes at the top of the first stack, and the address of the first of them: counts,
/// pointers, auxiliary vector, strings (System V x86-64 ABI, 3.4.1). Takes of the kernel's heap
/// exactly what it needs.
fn start_block(plan: &Plan, strings: &Strings) -> (usize, Vec<u8>) {
    let Strings { args, envs, .. } = strings;
    let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == 0).count();
    let (arg_count, env_count) = (count(args), count(envs));
    let auxiliary = [
        (AT_PHDR, plan.headers.unwrap_or(0)),
        (AT_PHENT, crate::elf::HEADER_SIZE),
        (AT_PHNUM, plan.header_count),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_ENTRY, plan.entry),
        (AT_NULL, 0),
    ];
    let word_count = 1 + arg_count + 1 + env_count + 1 + 2 * auxiliary.len();
    let strings_at = (STACK_TOP - args.len() - envs.len()) & !15;
    let start = (strings_at - word_count * 8) & !15;
    let mut block = Vec::with_capacity(strings_at - start + args.len() + envs.len());
    let mut put = |word: usize| block.extend_from_slice(&word.to_ne_bytes());
    put(arg_count);
    for (bytes, at) in [(args, strings_at), (envs, strings_at + args.len())] {
        let mut pointer = at;
        for string in bytes.split_inclusive(|byte| *byte == 0) {
            put(pointer);
            pointer += string.len();
        }
        put(0);
    }
    auxiliary.iter().flat_map(|(key, value)| [*key, *value]).for_each(put);
    block.resize(strings_at - start, 0);
    block.extend_from_slice(args);
    block.extend_from_slice(envs);
    (start, block)
}
