//! A tracer's hands: a session, and the files beside it.

use abi::PAGE_SIZE;
use abi::number::GETPPID;
use abi::redox::IntRegisters;
pub use abi::redox::data::PtraceEvent;
pub use abi::redox::flag::PtraceFlags;
use abi::redox::flag::{O_RDONLY, O_RDWR, O_TRUNC};
use abi::signal::SIGKILL;
use abi::wait::Ended;
use kernel_sim::{Answer, User};

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
pub const SWITCH: u64 = PtraceFlags::PTRACE_EVENT_ADDRSPACE_SWITCH.bits();
/// See [`PRE`].
pub const IGNORE: u64 = PtraceFlags::PTRACE_FLAG_IGNORE.bits();

/// A session with a process's first thread.
#[derive(Clone, Copy, Debug)]
pub struct Tracer {
    /// The session's descriptor.
    pub fd: usize,
    /// The process.
    pub pid: usize,
}

/// A child that runs `act`, stopped before its first instruction of that.
pub fn traced_child(
    user: &mut User,
    act: impl FnOnce(&mut User) + Send + 'static,
) -> (usize, Tracer) {
    let gate = user.allocate_shared(PAGE_SIZE);
    let child = user.fork(move |user| {
        // No call: the first one is to be the story's.
        while user.load_u32(gate) == 0 {
            user.work(10_000);
        }
        act(user);
    });
    let tracer = Tracer::attach(user, child);
    tracer.registers(user);
    user.store(gate, &[1]);
    user.unmap(gate, PAGE_SIZE).expect("it was mapped");
    (child, tracer)
}

/// A child that makes harmless calls until it is killed.
pub fn chatterer(user: &mut User) -> usize {
    user.fork(|user| {
        loop {
            user.call(GETPPID, []).expect("this call always works");
        }
    })
}

/// Kills a child and waits for it.
pub fn bury(user: &mut User, pid: usize) {
    user.kill(pid as isize, SIGKILL).expect("it lives");
    assert_eq!(user.wait_for(pid), Ended::Signalled(SIGKILL as u8));
}

impl Tracer {
    /// Begins a session that stops the thread at once.
    pub fn attach(user: &mut User, pid: usize) -> Self {
        Self::open(user, pid, O_TRUNC).expect("it can be traced")
    }

    /// Begins a session and lets the thread run on.
    pub fn seize(user: &mut User, pid: usize) -> Self {
        Self::open(user, pid, 0).expect("it can be traced")
    }

    /// Begins a session.
    ///
    /// # Errors
    /// As the call.
    pub fn open(user: &mut User, pid: usize, flags: usize) -> Answer<Self> {
        let fd = user.open(&format!("proc:{pid}/trace"), O_RDWR | flags)?;
        Ok(Self { fd, pid })
    }

    /// Sets what it stops at and lets the thread go on.
    ///
    /// # Errors
    /// As the call.
    pub fn go(self, user: &mut User, flags: u64) -> Answer {
        user.write(self.fd, &flags.to_ne_bytes())
    }

    /// Waits for one event.
    ///
    /// # Errors
    /// As the call.
    pub fn next(self, user: &mut User) -> Answer<PtraceEvent> {
        let mut event = PtraceEvent::default();
        let bytes = user.read(self.fd, size_of::<PtraceEvent>())?;
        assert_eq!(bytes.len(), size_of::<PtraceEvent>());
        event.copy_from_slice(&bytes);
        Ok(event)
    }

    /// Lets the thread go on, waits for the next event and checks what it is.
    pub fn until(self, user: &mut User, flags: u64, cause: u64) -> PtraceEvent {
        self.go(user, flags).expect("the thread is there");
        self.is_told(user, cause)
    }

    /// Waits for an event and checks what it is.
    pub fn is_told(self, user: &mut User, cause: u64) -> PtraceEvent {
        let event = self.next(user).expect("an event comes");
        assert_eq!(event.cause.bits(), cause, "{event:?}");
        event
    }

    /// Ends the session.
    pub fn end(self, user: &mut User) {
        user.close(self.fd).expect("it was open");
    }

    /// The path of one of the process's files.
    pub fn path(self, name: &str) -> String {
        format!("proc:{}/{name}", self.pid)
    }

    /// Reads a file of the process whole.
    ///
    /// # Errors
    /// As the calls.
    pub fn peek(self, user: &mut User, name: &str, most: usize) -> Answer<Vec<u8>> {
        let fd = user.open(&self.path(name), O_RDONLY)?;
        let bytes = user.read(fd, most);
        user.close(fd)?;
        bytes
    }

    /// Writes a file of the process whole.
    ///
    /// # Errors
    /// As the calls.
    pub fn poke(self, user: &mut User, name: &str, bytes: &[u8]) -> Answer {
        let fd = user.open(&self.path(name), O_RDWR)?;
        let done = user.write(fd, bytes);
        user.close(fd)?;
        done
    }

    /// The integer registers.
    pub fn registers(self, user: &mut User) -> IntRegisters {
        let mut registers = IntRegisters::default();
        let bytes = self.peek(user, "regs/int", 4096).expect("it is stopped");
        registers.copy_from_slice(&bytes);
        registers
    }

    /// Replaces the integer registers.
    ///
    /// # Errors
    /// As the calls.
    pub fn set_registers(self, user: &mut User, registers: &IntRegisters) -> Answer {
        self.poke(user, "regs/int", registers)
    }
}
