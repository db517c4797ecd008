//! What a program can do: touch its memory, make calls, do what the processor refuses.
//!
//! The files of this folder are the program's library: a thin wrapper for every call, no more.

mod files;
mod memory;
mod processes;
mod schemes;
mod signals;
mod time;

pub use processes::Thread;
pub use schemes::Socket;
pub use signals::{Action, Handler};

use crate::audit::audit;
use crate::baton::{Baton, Go, Stop};
use crate::code::point;
use crate::computer::Computer;
use crate::context::{BREAKPOINT_BYTES, Beginning, CALL_BYTES, Child};
use crate::hardware::{Sim, SpaceNumber, Touched};
use abi::number::SIGRETURN;
use abi::redox::IntRegisters;
use kernel_core::error::Errno;
use kernel_core::kernel::Kernel;
use kernel_core::machine::{Access, CpuId, Exception, Trap};
use std::panic::resume_unwind;
use std::sync::Arc;

/// How long one access takes, in simulated nanoseconds.
const ACCESS_NS: u64 = 1000;

/// What a call answers.
pub type Answer<T = usize> = Result<T, Errno>;

/// A program's thread, seen from inside.
pub struct User {
    computer: Computer,
    baton: Arc<Baton>,
    pub(crate) registers: IntRegisters,
    cpu: CpuId,
    space: SpaceNumber,
    /// How often it has stopped.
    stops: usize,
    /// Every access is followed by a stop.
    is_stepping: bool,
    /// A tracer has replaced its registers while it was stopped.
    is_rewritten: bool,
}

/// Unwinds the thread of a program that is no more.
pub(crate) struct Gone;

impl User {
    pub(crate) fn new(computer: Computer, baton: Arc<Baton>, go: Go) -> Self {
        let Go { registers, cpu, space, is_stepping, is_rewritten } = go;
        Self { computer, baton, registers, cpu, space, stops: 0, is_stepping, is_rewritten }
    }

    /// Runs a forked child from where its parent called `fork`, or any other thread from the
    /// instruction pointer. A thread's code ends by ending the thread, so this never returns.
    pub(crate) fn live(&mut self, beginning: Option<Beginning>) {
        if let Some(Beginning { code, point }) = beginning {
            self.settle_at(point, Trap::Call, None);
            code(self);
        }
        loop {
            self.jump();
        }
    }

    /// Makes a call and returns the answer register.
    pub fn raw_call(&mut self, number: usize, arguments: [usize; 6]) -> usize {
        self.make_call(number, arguments, None)
    }

    /// Makes a call.
    ///
    /// # Errors
    /// Whatever the kernel answers.
    pub fn call<const N: usize>(&mut self, number: usize, arguments: [usize; N]) -> Answer {
        let mut six = [0; 6];
        six[..N].copy_from_slice(&arguments);
        let answer = self.raw_call(number, six);
        match answer.wrapping_neg() {
            errno @ 1..4096 => Err(Errno(errno as i32)),
            _ => Ok(answer),
        }
    }

    fn make_call(&mut self, number: usize, a: [usize; 6], child: Option<Arc<Child>>) -> usize {
        let r = &mut self.registers;
        [r.rax, r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9] =
            [number, a[0], a[1], a[2], a[3], a[4], a[5]];
        self.stop(Trap::Call, child);
        self.registers.rax
    }

    /// Does what the processor refuses.
    pub fn misbehave(&mut self, exception: Exception) {
        self.stop(Trap::Exception(exception), None);
    }

    /// Computes for so many simulated nanoseconds.
    pub fn work(&mut self, nanoseconds: u64) {
        let mut left = nanoseconds;
        while left > 0 {
            let step = left.min(ACCESS_NS);
            left -= step;
            self.computer.kernel().machine.pass(step);
            self.take_interrupts();
            self.end_step();
        }
    }

    /// Looks at the kernel and the machine from outside, between two of its instructions.
    pub fn peek<R>(&self, look: impl FnOnce(&mut Kernel<Sim>) -> R) -> R {
        look(&mut self.computer.kernel())
    }

    /// The machine that runs it.
    pub fn computer(&self) -> &Computer {
        &self.computer
    }

    /// Checks the books, and ends the machine.
    pub(crate) fn end_story(&mut self) {
        audit(&self.computer.kernel());
        self.computer.outside().finish();
        self.baton.hand_back(Stop {
            trap: Trap::Interrupt,
            registers: self.registers,
            child: None,
        });
        resume_unwind(Box::new(Gone));
    }

    /// Touches memory: runs `each` with the machine for every piece that lies in one frame, after
    /// as many faults as the kernel wants to see.
    fn touch(
        &mut self,
        address: usize,
        length: usize,
        access: Access,
        mut each: impl FnMut(&mut Sim, Touched, std::ops::Range<usize>),
    ) {
        let mut done = 0;
        while done < length {
            self.take_interrupts();
            let at = address.wrapping_add(done);
            let computer = self.computer.clone();
            let mut kernel = computer.kernel();
            kernel.machine.pass(ACCESS_NS);
            match self.translate(&mut kernel, at, access) {
                touched @ (Touched::Memory(_, room) | Touched::Device(room)) => {
                    let end = length.min(done + room);
                    each(&mut kernel.machine, touched, done..end);
                    done = end;
                    drop(kernel);
                    self.end_step();
                }
                Touched::Fault => {
                    drop(kernel);
                    self.stop(Trap::Fault { address: at, access }, None);
                }
            }
        }
    }

    /// Asks this thread's CPU where an address leads.
    fn translate(&self, kernel: &mut Kernel<Sim>, address: usize, access: Access) -> Touched {
        kernel.machine.touch(&kernel.frames, self.cpu, self.space, address, access)
    }

    /// An instruction is over.
    fn end_step(&mut self) {
        if self.is_stepping {
            self.stop(Trap::Exception(Exception::Step), None);
        }
    }

    fn take_interrupts(&mut self) {
        let is_wanted = self.computer.kernel().machine.has_interrupt(self.cpu);
        if is_wanted {
            self.stop(Trap::Interrupt, None);
        }
    }

    /// Stops, and comes back when the kernel has let it go on from where it was.
    fn stop(&mut self, trap: Trap, child: Option<Arc<Child>>) {
        let here = self.next_point();
        self.registers.rip = here;
        let mut before = self.registers;
        self.hand_over(trap, child.clone());
        self.settle_at(here, trap, child);
        if trap == Trap::Call {
            before.rax = self.registers.rax;
        }
        if std::mem::take(&mut self.is_rewritten) {
            return;
        }
        assert_eq!(before[..], self.registers[..], "the kernel has changed registers at {trap:?}");
    }

    fn next_point(&self) -> usize {
        point(self.stops)
    }

    /// Runs handlers until the instruction pointer is back at `here`; makes a call again that
    /// the kernel has moved back over, with the child that it would make.
    fn settle_at(&mut self, here: usize, trap: Trap, child: Option<Arc<Child>>) {
        while self.registers.rip != here {
            let is_call = trap == Trap::Call && self.registers.rip == here - CALL_BYTES;
            let breakpoint = Trap::Exception(Exception::Breakpoint);
            let is_breakpoint = trap == breakpoint && self.registers.rip == here - BREAKPOINT_BYTES;
            if is_call || is_breakpoint {
                self.registers.rip = here;
                self.hand_over(trap, child.clone());
            } else {
                self.jump();
            }
        }
    }

    /// Goes on at the instruction pointer.
    fn jump(&mut self) {
        let entry = self.registers.rip;
        let computer = self.computer.clone();
        let touched = self.translate(&mut computer.kernel(), entry, Access::EXECUTE);
        match (touched, computer.codes().find(entry)) {
            (Touched::Fault, _) => {
                self.hand_over(Trap::Fault { address: entry, access: Access::EXECUTE }, None);
            }
            (_, Some(code)) => code(self),
            (_, None) => self.hand_over(Trap::Exception(Exception::InvalidInstruction), None),
        }
    }

    /// Back to where a signal found it.
    fn return_from_handler(&mut self) {
        // Should the kernel have nothing to go back to, it goes on behind the call, and dies there.
        // If it has moved back over the call, that is made again.
        let call = signals::RESTORER;
        self.registers.rip = call;
        while self.registers.rip == call {
            self.registers.rip = call + CALL_BYTES;
            self.registers.rax = SIGRETURN;
            self.hand_over(Trap::Call, None);
        }
    }

    /// Gives the CPU back, and waits to get one again.
    fn hand_over(&mut self, trap: Trap, child: Option<Arc<Child>>) {
        self.stops += 1;
        self.baton.hand_back(Stop { trap, registers: self.registers, child });
        let Some(go) = self.baton.wait_for_turn() else { resume_unwind(Box::new(Gone)) };
        let was_rewritten = self.is_rewritten;
        Go {
            registers: self.registers,
            cpu: self.cpu,
            space: self.space,
            is_stepping: self.is_stepping,
            is_rewritten: self.is_rewritten,
        } = go;
        self.is_rewritten |= was_rewritten;
    }
}
