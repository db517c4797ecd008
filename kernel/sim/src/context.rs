//! Saved registers, and the host thread that goes with them.

use crate::baton::Handle;
use crate::code::Code;
use abi::redox::IntRegisters;
use abi::{USER_END, USER_START};
use kernel_core::machine::{Call, Context, CpuId, DebugRegisters};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a call instruction (`syscall` is `0F 05`).
pub(crate) const CALL_BYTES: usize = 2;
/// Bytes of a breakpoint instruction (`int3` is `CC`).
pub(crate) const BREAKPOINT_BYTES: usize = 1;

/// One thread's registers.
pub struct SimContext {
    pub(crate) registers: IntRegisters,
    pub(crate) link: Link,
    thread_pointer: usize,
    /// The CPU that has the floating-point registers. They are not simulated, but who has them is:
    /// on hardware, forgetting to save them costs a program its numbers.
    float_on: Option<CpuId>,
    /// What a tracer sees of them.
    float: Vec<u8>,
    second_base: usize,
    debug: DebugRegisters,
    pub(crate) is_stepping: bool,
    /// Somebody has replaced the integer registers since the program stopped.
    pub(crate) is_rewritten: bool,
}

/// Bytes of the simulated floating-point state.
const FLOAT_BYTES: usize = 512;

impl SimContext {
    /// A CPU is about to run it.
    pub(crate) fn load_float(&mut self, cpu: CpuId) {
        let is_at_hand = self.float_on.is_none_or(|holder| holder == cpu);
        assert!(is_at_hand, "{:?} has the registers that {cpu:?} is to run", self.float_on);
        self.float_on = Some(cpu);
    }

    /// A CPU saves what it has of it.
    pub(crate) fn save_float(&mut self, cpu: CpuId) {
        let is_at_hand = self.float_on.is_none_or(|holder| holder == cpu);
        assert!(is_at_hand, "{:?} has the registers that {cpu:?} is to save", self.float_on);
        self.float_on = None;
    }
}

impl Clone for SimContext {
    fn clone(&self) -> Self {
        assert!(self.float_on.is_none(), "registers are copied that have not been saved");
        Self {
            registers: self.registers,
            link: self.link.clone(),
            thread_pointer: self.thread_pointer,
            float_on: None,
            float: self.float.clone(),
            second_base: self.second_base,
            debug: self.debug,
            is_stepping: self.is_stepping,
            is_rewritten: self.is_rewritten,
        }
    }
}

/// Which host thread goes on when these registers are run.
#[derive(Clone)]
pub(crate) enum Link {
    /// None yet: the code at the instruction pointer starts one.
    Start,
    /// This one.
    Thread(Arc<Handle>),
    /// The registers are in a call to `fork`: as on hardware, parent and child have the same,
    /// but for the answer. 0 is the child.
    Fork { parent: Arc<Handle>, child: Arc<Child> },
}

/// Where a forked child starts.
#[derive(Clone)]
pub(crate) struct Beginning {
    pub(crate) code: Code,
    /// Where its parent called `fork`.
    pub(crate) point: usize,
}

/// A forked child: how it starts, and its thread once it has started.
pub(crate) struct Child {
    beginning: Beginning,
    thread: Mutex<Option<Arc<Handle>>>,
}

impl Child {
    pub(crate) fn new(code: Code, point: usize) -> Self {
        Self { beginning: Beginning { code, point }, thread: Mutex::new(None) }
    }

    /// The child's thread, started by `start` when it is asked for the first time.
    pub(crate) fn thread(&self, start: impl FnOnce(Beginning) -> Arc<Handle>) -> Arc<Handle> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.get_or_insert_with(|| start(self.beginning.clone())).clone()
    }
}

impl Context for SimContext {
    fn start(entry: usize, stack: usize) -> Self {
        let registers = IntRegisters { rip: entry, rsp: stack, ..IntRegisters::default() };
        Self {
            registers,
            link: Link::Start,
            thread_pointer: 0,
            float_on: None,
            float: vec![0; FLOAT_BYTES],
            second_base: 0,
            debug: DebugRegisters::default(),
            is_stepping: false,
            is_rewritten: false,
        }
    }

    fn call(&self) -> Call {
        let r = &self.registers;
        Call { number: r.rax, arguments: [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9] }
    }

    fn set_answer(&mut self, answer: usize) {
        self.registers.rax = answer;
    }

    fn rewind_call(&mut self, number: usize) {
        self.registers.rip -= CALL_BYTES;
        self.registers.rax = number;
    }

    fn set_argument(&mut self, index: usize, value: usize) {
        let r = &mut self.registers;
        let places = [&mut r.rdi, &mut r.rsi, &mut r.rdx, &mut r.r10, &mut r.r8, &mut r.r9];
        *places.into_iter().nth(index).expect("a call has six arguments") = value;
    }

    fn registers(&self) -> IntRegisters {
        self.registers
    }

    fn set_registers(&mut self, registers: &IntRegisters) -> bool {
        let is_user = |address| (USER_START..USER_END).contains(&address);
        let is_good = is_user(registers.rip) && is_user(registers.rsp);
        if is_good {
            self.registers = *registers;
            self.is_rewritten = true;
        }
        is_good
    }

    fn instruction_pointer(&self) -> usize {
        self.registers.rip
    }

    fn stack_pointer(&self) -> usize {
        self.registers.rsp
    }

    fn set_pointers(&mut self, instruction: usize, stack: usize) {
        self.registers.rip = instruction;
        self.registers.rsp = stack;
    }

    fn set_thread_pointer(&mut self, value: usize) {
        self.thread_pointer = value;
    }

    fn thread_pointer(&self) -> usize {
        self.thread_pointer
    }

    fn set_step(&mut self, is_on: bool) {
        self.is_stepping = is_on;
    }

    fn is_stepping(&self) -> bool {
        self.is_stepping
    }

    fn second_base(&self) -> usize {
        self.second_base
    }

    fn set_second_base(&mut self, value: usize) {
        self.second_base = value;
    }

    fn float(&self) -> &[u8] {
        assert!(self.float_on.is_none(), "registers are looked at that have not been saved");
        &self.float
    }

    fn set_float(&mut self, bytes: &[u8]) -> bool {
        assert!(self.float_on.is_none(), "registers are changed that have not been saved");
        self.float[..bytes.len()].copy_from_slice(bytes);
        true
    }

    fn debug(&self) -> DebugRegisters {
        self.debug
    }

    fn set_debug(&mut self, debug: DebugRegisters) -> bool {
        let is_good = debug.addresses.iter().all(|address| *address < USER_END);
        if is_good {
            self.debug = debug;
        }
        is_good
    }
}
