//! A tracer's session, bare.

use crate::call::{answer, call0, call5};
use crate::file::{File, open};
use crate::memory::Mapping;
use crate::process::Child;
use abi::redox::data::PtraceEvent;
use abi::redox::error::{EINVAL, Error, Result};
use abi::redox::flag::{MapFlags, O_RDWR, O_TRUNC, PtraceFlags};
use abi::redox::number::SYS_WRITE2;
use abi::redox::{FloatRegisters, IntRegisters};
use abi::trace::DEBUG_BYTES;
use abi::{PAGE_SIZE, number};
use std::format;

/// Stop flags under short names.
pub const PRE: u64 = PtraceFlags::PTRACE_STOP_PRE_SYSCALL.bits();
/// See [`PRE`].
pub const POST: u64 = PtraceFlags::PTRACE_STOP_POST_SYSCALL.bits();
/// See [`PRE`].
pub const STEP: u64 = PtraceFlags::PTRACE_STOP_SINGLESTEP.bits();
/// See [`PRE`].
pub const SIGNAL: u64 = PtraceFlags::PTRACE_STOP_SIGNAL.bits();
/// See [`PRE`].
pub const BREAKPOINT: u64 = PtraceFlags::PTRACE_STOP_BREAKPOINT.bits();
/// See [`PRE`].
pub const EXIT: u64 = PtraceFlags::PTRACE_STOP_EXIT.bits();
/// See [`PRE`].
pub const CLONE: u64 = PtraceFlags::PTRACE_EVENT_CLONE.bits();
/// See [`PRE`].
pub const IGNORE: u64 = PtraceFlags::PTRACE_FLAG_IGNORE.bits();

/// A session with one thread, and the files beside it.
#[derive(Debug)]
pub struct Tracer {
    session: File,
    registers: File,
    pid: usize,
    tid: usize,
}

impl Tracer {
    /// Begins a session with a process's first thread, which stops at once.
    pub fn attach(pid: usize) -> Result<Self> {
        Self::attach_thread(pid, pid)
    }

    /// Begins a session with a thread, which stops at once.
    pub fn attach_thread(pid: usize, tid: usize) -> Result<Self> {
        Self::open(pid, tid, O_TRUNC)
    }

    /// Begins a session with a thread.
    pub fn open(pid: usize, tid: usize, flags: usize) -> Result<Self> {
        let session = open(&format!("proc:{pid}/thread/{tid}/trace"), O_RDWR | flags)?;
        let registers = open(&format!("proc:{pid}/thread/{tid}/regs/int"), O_RDWR)?;
        Ok(Self { session, registers, pid, tid })
    }

    /// Sets what it stops at and lets the thread go on.
    pub fn go(&self, flags: u64) -> Result<usize> {
        self.session.write(&flags.to_ne_bytes())
    }

    /// Waits for one event.
    pub fn next(&self) -> Result<PtraceEvent> {
        let mut event = PtraceEvent::default();
        self.session.read(&mut event)?;
        Ok(event)
    }

    /// Lets the thread go on and waits for the next event, which must have this cause.
    pub fn until(&self, flags: u64, cause: u64) -> Result<PtraceEvent> {
        self.go(flags)?;
        let event = self.next()?;
        if event.cause.bits() == cause { Ok(event) } else { Err(Error::new(EINVAL)) }
    }

    /// The integer registers.
    pub fn registers(&self) -> Result<IntRegisters> {
        let mut registers = IntRegisters::default();
        self.registers.read_at(&mut registers, 0)?;
        Ok(registers)
    }

    /// Replaces the integer registers.
    pub fn set_registers(&self, registers: &IntRegisters) -> Result<usize> {
        self.registers.write(registers)
    }

    /// The floating-point registers, as far as `fxsave` knows them.
    pub fn float(&self) -> Result<FloatRegisters> {
        let mut registers = FloatRegisters::default();
        self.file("regs/float")?.read(&mut registers)?;
        Ok(registers)
    }

    /// Opens another of the thread's files.
    pub fn file(&self, name: &str) -> Result<File> {
        let (pid, tid) = (self.pid, self.tid);
        open(&format!("proc:{pid}/thread/{tid}/{name}"), O_RDWR)
    }

    /// Opens the process's memory. Extra flags as for `open`.
    pub fn memory(&self, flags: usize) -> Result<Memory> {
        open(&format!("proc:{}/mem", self.pid), O_RDWR | flags).map(Memory)
    }

    /// Sets the hardware breakpoints.
    pub fn set_debug(&self, addresses: [usize; 4], control: usize) -> Result<usize> {
        let [a, b, c, d] = addresses;
        let mut bytes = [0; DEBUG_BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip([a, b, c, d, 0, control]) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        self.file("regs/debug")?.write(&bytes)
    }
}

/// A process's memory.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// Reads at an address.
    pub fn read(&self, address: usize, into: &mut [u8]) -> Result<usize> {
        self.0.read_at(into, address)
    }

    /// Writes at an address.
    pub fn write(&self, address: usize, from: &[u8]) -> Result<usize> {
        let (at, length) = (from.as_ptr() as usize, from.len());
        // SAFETY: the kernel only reads the buffer.
        answer(unsafe { call5(SYS_WRITE2, self.0.0, at, length, address, 0) })
    }
}

/// A child that makes harmless calls for ever.
pub fn chatterer() -> Result<Child> {
    Child::start(|| {
        loop {
            // SAFETY: no memory is involved.
            unsafe { call0(number::GETPPID) };
        }
    })
}

/// A child that computes for ever and makes no call.
pub fn computer() -> Result<Child> {
    Child::start(|| {
        loop {
            core::hint::spin_loop();
        }
    })
}

/// A word of shared memory that a child waits at without making a call.
pub struct Gate(Mapping);

impl Gate {
    /// A closed one.
    pub fn new() -> Result<Self> {
        let flags = MapFlags::MAP_SHARED | MapFlags::PROT_READ | MapFlags::PROT_WRITE;
        Mapping::new(PAGE_SIZE, flags).map(Self)
    }

    /// Opens it.
    pub fn open(&self) {
        self.0.touch(0);
    }

    /// Waits until it is open.
    pub fn wait(&self) {
        while self.0.peek(0) == 0 {
            core::hint::spin_loop();
        }
    }
}
