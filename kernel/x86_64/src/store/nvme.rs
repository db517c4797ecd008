//! An NVMe disk (NVM Express 1.4), polled: one queue of its own, one run at a time, in as many
//! commands as the controller wants it cut into.

use super::disk::{Polled, wait_until};
use super::pci::Device;
use crate::boot::memory::BootMemory;
use crate::paging::kernel::KernelTables;
use crate::physical;
use core::sync::atomic::{Ordering, fence};
use kernel_core::emergency::block::{IoError, Operation, RUN_MAX, Run};
use kernel_core::memory::PhysicalAddress;

/// Mass storage, non-volatile memory, NVM Express.
const CLASS: u32 = 0x01_08_02;

/// Registers (3.1).
mod register {
    pub(super) const CAPABILITIES: usize = 0x00;
    pub(super) const CONFIGURATION: usize = 0x14;
    pub(super) const STATUS: usize = 0x1C;
    pub(super) const ADMIN_SIZES: usize = 0x24;
    pub(super) const ADMIN_SUBMISSION: usize = 0x28;
    pub(super) const ADMIN_COMPLETION: usize = 0x30;
    /// The first doorbell: of the admin submission queue.
    pub(super) const DOORBELLS: u64 = 0x1000;
}

/// In the configuration: on; entries of 64 and of 16 bytes.
const ENABLE: u32 = 1 | 6 << 16 | 4 << 20;
/// In the status: it is on; it has failed for good.
const READY: u32 = 1;
const FATAL: u32 = 2;

/// Commands for the admin queue (5) and for the other (6).
const CREATE_SUBMISSION: u32 = 0x01;
const CREATE_COMPLETION: u32 = 0x05;
const IDENTIFY: u32 = 0x06;
const FLUSH: u32 = 0x00;
const WRITE: u32 = 0x01;
const READ: u32 = 0x02;
/// What to identify (5.15): a namespace, or the controller.
const NAMESPACE: u32 = 0;
const CONTROLLER: u32 = 1;
/// The namespace that is used.
const FIRST_NAMESPACE: u32 = 1;
/// A queue in one piece of memory (5.3, 5.4).
const CONTIGUOUS: u32 = 1;

const PAGE: u64 = 4096;
/// Entries of each queue.
const ENTRIES: u16 = 16;
/// Commands that one run is cut into at most.
const COMMANDS: usize = 8;
/// The driver's pages: four queues, one page of lists for each command, one for answers.
const SUBMISSION: [u64; 2] = [0, 2];
const COMPLETION: [u64; 2] = [1, 3];
const LISTS: u64 = 4;
const ANSWER: u64 = LISTS + COMMANDS as u64;
const PAGES: usize = ANSWER as usize + 1;

/// The queue for commands about the controller, and the one for data.
const ADMIN: usize = 0;
const DATA: usize = 1;

/// One of the two queues.
#[derive(Clone, Copy, Default)]
struct Queue {
    tail: u16,
    head: u16,
    /// The phase of entries that are new: it turns over with each round.
    phase: bool,
    /// Where the two doorbells are.
    bells: [usize; 2],
}

/// The disk.
pub(super) struct Nvme {
    registers: usize,
    memory: PhysicalAddress,
    queues: [Queue; 2],
    pages: u64,
    /// Blocks in a page.
    blocks: u64,
    /// Pages in one command.
    most: u32,
    /// Commands that have not been answered, and whether one of the others failed.
    pending: usize,
    has_failed: bool,
    is_up: bool,
}

impl Nvme {
    /// Sets a disk up. `None` when it is none that we can drive.
    pub(super) fn new(
        device: Device,
        tables: &mut KernelTables,
        memory: &mut BootMemory,
    ) -> Option<Self> {
        if device.class() != CLASS {
            return None;
        }
        let base = device.memory(0)?;
        device.enable();
        let registers = tables.map_device(memory, PhysicalAddress(base));
        let mut disk = Self {
            registers,
            memory: memory.run(PAGES),
            queues: [Queue { phase: true, ..Queue::default() }; 2],
            pages: 0,
            blocks: 0,
            most: 0,
            pending: 0,
            has_failed: false,
            is_up: false,
        };
        // The doorbells' distance (3.1.1, bits 32 to 35).
        let stride = 4_u64 << (disk.get64(register::CAPABILITIES) >> 32 & 0xF);
        for (queue, number) in [(ADMIN, 0), (DATA, 1)] {
            let bell = |place| {
                let at = base + register::DOORBELLS + place * stride;
                tables.map_device(memory, PhysicalAddress(at))
            };
            disk.queues[queue].bells = [2 * number, 2 * number + 1].map(bell);
        }
        let is_usable = disk.set_up().is_some();
        if !is_usable {
            disk.let_go();
        }
        is_usable.then_some(disk)
    }

    /// Resets the controller and makes its queues (7.6.1).
    fn set_up(&mut self) -> Option<()> {
        self.let_go();
        // SAFETY: the pages are this driver's alone, and the controller has just been stopped.
        unsafe { physical::pointer::<u8>(self.memory).write_bytes(0, PAGES * PAGE as usize) };
        let last = u32::from(ENTRIES - 1);
        self.put(register::ADMIN_SIZES, last << 16 | last);
        self.put64(register::ADMIN_SUBMISSION, self.page(SUBMISSION[ADMIN]));
        self.put64(register::ADMIN_COMPLETION, self.page(COMPLETION[ADMIN]));
        self.put(register::CONFIGURATION, ENABLE);
        let is_on = wait_until(|| self.get(register::STATUS) & (READY | FATAL) != 0);
        if !is_on || self.get(register::STATUS) & FATAL != 0 {
            return None;
        }
        self.identify()?;
        let size = last << 16 | 1;
        let [submission, completion] = [SUBMISSION[DATA], COMPLETION[DATA]];
        self.admin(CREATE_COMPLETION, 0, self.page(completion), [size, CONTIGUOUS])?;
        // It answers into queue 1.
        self.admin(CREATE_SUBMISSION, 0, self.page(submission), [size, 1 << 16 | CONTIGUOUS])?;
        self.is_up = true;
        Some(())
    }

    /// How large the disk, its blocks and its commands are (5.15.2).
    fn identify(&mut self) -> Option<()> {
        const LIMIT_AT: usize = 77;
        const FORMAT_AT: usize = 26;
        const FORMATS_AT: usize = 128;
        let answer = self.page(ANSWER);
        let byte = |at: usize| {
            // SAFETY: the page is this driver's, and the command that filled it is over.
            unsafe { physical::pointer::<u8>(PhysicalAddress(answer)).add(at).read_volatile() }
        };
        self.admin(IDENTIFY, 0, answer, [CONTROLLER, 0])?;
        // In units of the smallest page, which is 4 KiB on whatever can use the kernel's pages.
        self.most = match byte(LIMIT_AT) {
            0 => RUN_MAX,
            power => 1_u32.checked_shl(power.into()).unwrap_or(RUN_MAX).min(RUN_MAX),
        };
        self.admin(IDENTIFY, FIRST_NAMESPACE, answer, [NAMESPACE, 0])?;
        let blocks = (0..8).rev().fold(0, |size, at| size << 8 | u64::from(byte(at)));
        let format = FORMATS_AT + 4 * usize::from(byte(FORMAT_AT) & 0xF);
        let (metadata, block) = (byte(format) | byte(format + 1), byte(format + 2));
        let fits = self.most as usize * COMMANDS >= RUN_MAX as usize;
        if metadata != 0 || !(9..=12).contains(&block) || !fits {
            return None;
        }
        self.blocks = PAGE >> block;
        self.pages = blocks / self.blocks;
        Some(())
    }

    /// Has a command about the controller carried out.
    fn admin(&mut self, opcode: u32, namespace: u32, data: u64, rest: [u32; 2]) -> Option<()> {
        let words = [rest[0], rest[1], 0];
        self.submit(ADMIN, 0, opcode, namespace, [data, 0], words);
        let mut is_done = false;
        let has_come = wait_until(|| match self.take_answer(ADMIN) {
            Some(is_good) => {
                is_done = is_good;
                true
            }
            None => false,
        });
        (has_come && is_done).then_some(())
    }

    /// Puts a command into a queue and rings (4.2).
    fn submit(
        &mut self,
        queue: usize,
        number: u16,
        opcode: u32,
        namespace: u32,
        data: [u64; 2],
        rest: [u32; 3],
    ) {
        let state = &mut self.queues[queue];
        let at = self.memory.0 + SUBMISSION[queue] * PAGE + 64 * u64::from(state.tail);
        let mut words = [0_u32; 16];
        words[0] = opcode | u32::from(number) << 16;
        words[1] = namespace;
        for (half, address) in data.iter().enumerate() {
            words[6 + 2 * half] = *address as u32;
            words[7 + 2 * half] = (address >> 32) as u32;
        }
        words[10..13].copy_from_slice(&rest);
        state.tail = (state.tail + 1) % ENTRIES;
        // SAFETY: the entry lies in this driver's pages, and the controller does not look at it
        // before the doorbell rings, which is the controller's own register.
        unsafe {
            physical::pointer::<[u32; 16]>(PhysicalAddress(at)).write_volatile(words);
            fence(Ordering::SeqCst);
            (state.bells[0] as *mut u32).write_volatile(state.tail.into());
        }
    }

    /// Takes the next answer from a queue: whether the command was carried out (4.6).
    fn take_answer(&mut self, queue: usize) -> Option<bool> {
        let state = &mut self.queues[queue];
        let at = self.memory.0 + COMPLETION[queue] * PAGE + 16 * u64::from(state.head);
        // SAFETY: the entry lies in this driver's pages; the status is its last word.
        let status = unsafe { physical::pointer::<u32>(PhysicalAddress(at + 12)).read_volatile() };
        if (status >> 16 & 1 != 0) != state.phase {
            return None;
        }
        fence(Ordering::SeqCst);
        state.head = (state.head + 1) % ENTRIES;
        state.phase ^= state.head == 0;
        // SAFETY: the controller's own register.
        unsafe { (state.bells[1] as *mut u32).write_volatile(state.head.into()) };
        Some(status >> 17 == 0)
    }

    /// Sends a part of a run; the pages behind the first two are in a list (4.3).
    fn transfer(&mut self, number: usize, opcode: u32, part: Run) {
        let start = part.frame.start().0;
        let list = self.page(LISTS + number as u64);
        for page in 1..u64::from(part.count) {
            let at = PhysicalAddress(list + 8 * (page - 1));
            // SAFETY: at most 255 entries in a page of this driver.
            unsafe { physical::pointer::<u64>(at).write_volatile(start + page * PAGE) };
        }
        let second = match part.count {
            1 => 0,
            2 => start + PAGE,
            _ => list,
        };
        let block = part.page * self.blocks;
        let count = u64::from(part.count) * self.blocks - 1;
        let rest = [block as u32, (block >> 32) as u32, count as u32];
        self.submit(DATA, number as u16, opcode, FIRST_NAMESPACE, [start, second], rest);
    }

    fn page(&self, number: u64) -> u64 {
        self.memory.0 + number * PAGE
    }

    fn get(&self, at: usize) -> u32 {
        // SAFETY: one of the registers named above; reading them changes nothing.
        unsafe { ((self.registers + at) as *const u32).read_volatile() }
    }

    fn get64(&self, at: usize) -> u64 {
        u64::from(self.get(at)) | u64::from(self.get(at + 4)) << 32
    }

    fn put(&self, at: usize, value: u32) {
        // SAFETY: as above; what is written is for the callers here to get right.
        unsafe { ((self.registers + at) as *mut u32).write_volatile(value) };
    }

    fn put64(&self, at: usize, value: u64) {
        self.put(at, value as u32);
        self.put(at + 4, (value >> 32) as u32);
    }
}

impl Polled for Nvme {
    fn pages(&self) -> u64 {
        self.pages
    }

    fn send(&mut self, operation: Operation) -> Result<(), IoError> {
        if !self.is_up {
            return Err(IoError::Failed);
        }
        (self.pending, self.has_failed) = (0, false);
        let (opcode, run) = match operation {
            Operation::Write(run) => (WRITE, run),
            Operation::Read(run) => (READ, run),
            Operation::Flush => {
                self.pending = 1;
                self.submit(DATA, 0, FLUSH, FIRST_NAMESPACE, [0; 2], [0; 3]);
                return Ok(());
            }
        };
        if run.count > RUN_MAX || run.page + u64::from(run.count) > self.pages {
            return Err(IoError::Failed);
        }
        let mut done = 0;
        while done < run.count {
            let count = self.most.min(run.count - done);
            let frame = kernel_core::memory::Frame(run.frame.0 + done);
            let part = Run { page: run.page + u64::from(done), frame, count };
            self.transfer(self.pending, opcode, part);
            self.pending += 1;
            done += count;
        }
        Ok(())
    }

    fn look(&mut self) -> Option<Result<(), IoError>> {
        while self.pending > 0 {
            let is_good = self.take_answer(DATA)?;
            self.has_failed |= !is_good;
            self.pending -= 1;
        }
        Some(if self.has_failed { Err(IoError::Failed) } else { Ok(()) })
    }

    fn let_go(&mut self) {
        self.is_up = false;
        self.queues.iter_mut().for_each(|queue| {
            (queue.tail, queue.head, queue.phase) = (0, 0, true);
        });
        self.put(register::CONFIGURATION, 0);
        wait_until(|| self.get(register::STATUS) & READY == 0);
    }
}
