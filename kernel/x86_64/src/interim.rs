//! Interim.
#![allow(dead_code, missing_docs, reason = "interim")]
pub mod memory {
    #[path = "/work/wt/machine/kernel/core/src/memory/address.rs"]
    mod address;
    pub use address::*;
}
pub mod machine {
    use abi::redox::IntRegisters;
    /// The number of a CPU, from 0 in the order they came up. 0 is the one that booted.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
    pub struct CpuId(pub u32);

    bitflags::bitflags! {
        /// What a mapping lets user code do, or what an access wants to do.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Access: u8 {
            /// Load.
            const READ = 1;
            /// Store.
            const WRITE = 2;
            /// Fetch instructions. Never together with `WRITE`.
            const EXECUTE = 4;
            /// Device memory: not cached, not reordered.
            const DEVICE = 8;
        }
    }

    /// Why user code stopped running.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Trap {
        /// It asked the kernel for something; [`Context::call`] tells what.
        Call,
        /// It touched memory that its page tables do not allow.
        Fault {
            /// Where.
            address: usize,
            /// What it wanted: exactly one of `READ`, `WRITE`, `EXECUTE`.
            access: Access,
        },
        /// It did what the processor refuses.
        Exception(Exception),
        /// Nothing of its own doing: some interrupt is waiting in [`Machine::next_interrupt`].
        Interrupt,
    }

    /// A processor exception other than a page fault.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Exception {
        /// Division by zero, or a quotient too large.
        Divide,
        /// One instruction done under single-stepping, or a hardware breakpoint.
        Step,
        /// `int3`.
        Breakpoint,
        /// An instruction that does not exist.
        InvalidInstruction,
        /// A privileged instruction, a non-canonical address, a bad segment.
        Protection,
        /// A floating-point or vector operation with an unmasked exception.
        Float,
        /// A misaligned access under alignment checking.
        Alignment,
        /// Any other, by its vector.
        Other(u8),
    }

    /// An interrupt, taken off a CPU's list by [`Machine::next_interrupt`].
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Interrupt {
        /// This CPU's one-shot timer fired.
        Timer,
        /// Another CPU asked this one to look at the kernel again.
        Kick,
        /// A device line. It stays masked until [`Machine::unmask_line`].
        Line(u8),
    }

    /// A call as the registers hold it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Call {
        /// Which call.
        pub number: usize,
        /// `rdi rsi rdx r10 r8 r9` on x86-64.
        pub arguments: [usize; 6],
    }

    /// The saved registers of one thread: integer, segment bases, floating point.
    ///
    /// `Clone` copies everything, so the floating-point part must have been saved first
    /// ([`Machine::suspend`]).
    pub trait Context: Clone + Send + 'static {
        /// A thread about to start at `entry` with its stack pointer at `stack`, all other registers
        /// zero and the floating-point state as after reset.
        fn start(entry: usize, stack: usize) -> Self;
        /// The call it stopped at.
        fn call(&self) -> Call;
        /// Puts the answer where the caller reads it.
        fn set_answer(&mut self, answer: usize);
        /// Moves back over the call instruction and puts `number` back, so that running again calls
        /// again.
        fn rewind_call(&mut self, number: usize);
        /// Sets argument register `index`, counted as in [`Call::arguments`].
        fn set_argument(&mut self, index: usize, value: usize);
        /// The integer registers.
        fn registers(&self) -> IntRegisters;
        /// Replaces the integer registers. Privileged bits are refused by keeping the old ones;
        /// returns false, changing nothing, when the instruction or stack pointer is not a user
        /// address.
        fn set_registers(&mut self, registers: &IntRegisters) -> bool;
        /// Where it will go on.
        fn instruction_pointer(&self) -> usize;
        /// Its stack pointer.
        fn stack_pointer(&self) -> usize;
        /// Redirects it: next instruction and stack pointer.
        fn set_pointers(&mut self, instruction: usize, stack: usize);
        /// Sets the thread pointer (fs base on x86-64).
        fn set_thread_pointer(&mut self, value: usize);
        /// The thread pointer.
        fn thread_pointer(&self) -> usize;
    }
}
