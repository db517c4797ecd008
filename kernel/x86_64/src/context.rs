//! A thread's registers.
//!
//! Integer registers are in the context whenever the kernel runs: the entry code puts them there.
//! Floating-point registers and segment bases stay in the CPU, for a system call that comes back
//! to the same thread does not touch them. While they do, the context is *resident*. It must be
//! [suspended](Context::suspend) on that CPU before it moves.
//!
//! Saving gives a stamp that no other saving ever has. The CPU remembers the stamp of what its
//! registers hold: when a context comes back to the CPU it left and nobody ran in between, there
//! is nothing to load. Anything that changes what was saved takes the stamp away.

use crate::cpu::segments::{USER_CODE, USER_DATA};
use crate::cpu::{Cpu, debug, float};
use crate::trap::entry::{LONG_WAY, TRAP_FLAG};
use abi::USER_END;
use abi::redox::IntRegisters;
use alloc::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use core::arch::asm;
use core::ptr::NonNull;
use kernel_core::machine::{Call, DebugRegisters};

/// Flags a program may set by having its registers replaced: the arithmetic ones, single-step,
/// direction, resume, alignment check, CPU identification.
const SETTABLE_FLAGS: usize = 0x25_0DD5;
/// Lets one instruction run in spite of a hardware breakpoint on it.
const RESUME_FLAG: usize = 1 << 16;
/// Interrupts on, and the bit that is always 1.
const FIXED_FLAGS: usize = 0x202;
/// Bytes of `syscall` and of `int 0x80`.
const CALL_LENGTH: usize = 2;

/// The part of fixed size. The floating-point area follows it directly.
#[repr(C, align(64))]
pub(crate) struct State {
    registers: IntRegisters,
    fs_base: usize,
    gs_base: usize,
    /// Names the last saving; 0 when the saved values were changed since.
    stamp: u64,
    /// The CPU's registers are newer than what is here.
    is_resident: bool,
    /// The trap flag was set for a tracer.
    is_stepping: bool,
    debug: DebugRegisters,
}

/// See the module's text.
pub struct Context(NonNull<State>);

// SAFETY: the state is owned; what makes it belong to a CPU is kept by the kernel, which suspends
// a context before it leaves one.
unsafe impl Send for Context {}

fn layout() -> Layout {
    let size = size_of::<State>() + float::size();
    Layout::from_size_align(size, float::ALIGNMENT).expect("a small size")
}

impl Context {
    fn zeroed() -> Self {
        let layout = layout();
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc_zeroed(layout) };
        // Zeroes are a valid `State`.
        match NonNull::new(memory.cast::<State>()) {
            Some(state) => Self(state),
            None => handle_alloc_error(layout),
        }
    }

    fn state(&self) -> &State {
        // SAFETY: the state lives as long as the context.
        unsafe { self.0.as_ref() }
    }

    fn state_mut(&mut self) -> &mut State {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { self.0.as_mut() }
    }

    fn float_area(&self) -> *mut u8 {
        // SAFETY: the area lies behind the state in the same allocation.
        unsafe { self.0.as_ptr().add(1).cast() }
    }

    /// Where the entry code finds and leaves the integer registers.
    pub(crate) fn registers_pointer(&mut self) -> *mut IntRegisters {
        &raw mut self.state_mut().registers
    }

    /// Whether the CPU holds registers of this context.
    #[inline]
    pub(crate) fn is_resident(&self) -> bool {
        self.state().is_resident
    }

    /// Whether `syscall` stopped it, and nothing has moved it since.
    pub(crate) fn is_in_call(&self) -> bool {
        self.state().registers.rflags & LONG_WAY as usize == 0
    }

    /// Saves what `cpu`, the one this runs on, still holds of the context.
    pub(crate) fn suspend(&mut self, cpu: &Cpu) {
        if !self.is_resident() {
            return;
        }
        let count = cpu.stamps.get() + 1;
        cpu.stamps.set(count);
        let stamp = count << 8 | u64::from(cpu.id);
        cpu.stamp.set(stamp);
        let area = self.float_area();
        let state = self.state_mut();
        state.stamp = stamp;
        state.is_resident = false;
        state.fs_base = fs_base();
        state.gs_base = user_gs_base();
        // SAFETY: the area has the size and alignment that saving needs.
        unsafe { float::save(area) };
    }

    /// Loads what `cpu`, the one this runs on, does not hold of the context, and makes traps push
    /// the integer registers into it.
    pub(crate) fn resume(&mut self, cpu: &Cpu) {
        // SAFETY: the registers stay where they are while the context is resident, and whatever is
        // resident next comes by here.
        unsafe { cpu.set_trap_stack(self.registers_pointer().add(1) as usize) };
        let area = self.float_area();
        let state = self.state_mut();
        state.is_resident = true;
        if state.debug.control != 0 || cpu.has_breakpoints.get() {
            debug::load(cpu, &state.debug);
        }
        let held = cpu.stamp.replace(0);
        if held != 0 && held == state.stamp {
            return;
        }
        set_fs_base(state.fs_base);
        set_user_gs_base(state.gs_base);
        // SAFETY: the area was filled when the context was made, cloned or suspended.
        unsafe { float::restore(area) };
    }

    /// Makes the next entry use the way that loads every register.
    fn take_long_way(&mut self) {
        self.state_mut().registers.rflags |= LONG_WAY as usize;
    }

    /// What of its hardware breakpoints was hit; one on an instruction lets that run next time.
    pub(crate) fn note_hits(&mut self, status: usize) -> u8 {
        self.state_mut().debug.status = status;
        let hits = (status & 0xF) as u8;
        if debug::is_on_instruction(&self.state().debug, hits) {
            self.state_mut().registers.rflags |= RESUME_FLAG;
        }
        hits
    }

    fn set_instruction_pointer(&mut self, address: usize) {
        self.take_long_way();
        self.state_mut().registers.rip = address;
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layout, which never changes once CPUs run.
        unsafe { dealloc(self.0.as_ptr().cast(), layout()) };
    }
}

impl Clone for Context {
    /// Also copies what the CPU holds, if this context is resident there.
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed();
        let (from, to) = (self.0.as_ptr().cast::<u8>(), copy.0.as_ptr().cast::<u8>());
        // SAFETY: two different allocations of the same layout.
        unsafe { crate::physical::copy(from, to, layout().size()) };
        let area = copy.float_area();
        let state = copy.state_mut();
        state.stamp = 0;
        if state.is_resident {
            state.is_resident = false;
            state.fs_base = fs_base();
            state.gs_base = user_gs_base();
            // SAFETY: the area has the size and alignment that saving needs.
            unsafe { float::save(area) };
        }
        copy
    }
}

impl kernel_core::machine::Context for Context {
    fn start(entry: usize, stack: usize) -> Self {
        let mut context = Self::zeroed();
        let registers = &mut context.state_mut().registers;
        registers.cs = usize::from(USER_CODE);
        registers.ss = usize::from(USER_DATA);
        registers.rflags = FIXED_FLAGS;
        context.set_pointers(entry, stack);
        // SAFETY: the area is fresh and full of zeroes.
        unsafe { float::reset(context.float_area()) };
        context
    }

    #[inline]
    fn call(&self) -> Call {
        let registers = &self.state().registers;
        Call {
            number: registers.rax,
            arguments: [
                registers.rdi,
                registers.rsi,
                registers.rdx,
                registers.r10,
                registers.r8,
                registers.r9,
            ],
        }
    }

    #[inline]
    fn set_answer(&mut self, answer: usize) {
        self.state_mut().registers.rax = answer;
    }

    fn rewind_call(&mut self, number: usize) {
        self.set_answer(number);
        self.set_instruction_pointer(self.instruction_pointer() - CALL_LENGTH);
    }

    fn set_argument(&mut self, index: usize, value: usize) {
        let registers = &mut self.state_mut().registers;
        match index {
            0 => registers.rdi = value,
            1 => registers.rsi = value,
            2 => registers.rdx = value,
            3 => registers.r10 = value,
            4 => registers.r8 = value,
            _ => registers.r9 = value,
        }
    }

    fn registers(&self) -> IntRegisters {
        let mut registers = self.state().registers;
        registers.rflags &= !(LONG_WAY as usize);
        if self.state().is_stepping {
            registers.rflags &= !(TRAP_FLAG as usize);
        }
        registers
    }

    fn set_registers(&mut self, registers: &IntRegisters) -> bool {
        if registers.rip >= USER_END || registers.rsp >= USER_END {
            return false;
        }
        let mut new = *registers;
        new.cs = usize::from(USER_CODE);
        new.ss = usize::from(USER_DATA);
        new.rflags = registers.rflags & SETTABLE_FLAGS | FIXED_FLAGS;
        if self.state().is_stepping {
            new.rflags |= TRAP_FLAG as usize;
        }
        self.state_mut().registers = new;
        self.take_long_way();
        true
    }

    fn instruction_pointer(&self) -> usize {
        self.state().registers.rip
    }

    fn stack_pointer(&self) -> usize {
        self.state().registers.rsp
    }

    fn set_pointers(&mut self, instruction: usize, stack: usize) {
        self.set_instruction_pointer(instruction);
        self.state_mut().registers.rsp = stack;
    }

    fn set_thread_pointer(&mut self, value: usize) {
        // The processor refuses addresses that are not canonical.
        let value = value.min(USER_END);
        if self.is_resident() {
            set_fs_base(value);
        } else {
            let state = self.state_mut();
            state.fs_base = value;
            state.stamp = 0;
        }
    }

    fn thread_pointer(&self) -> usize {
        if self.is_resident() { fs_base() } else { self.state().fs_base }
    }

    fn set_step(&mut self, is_on: bool) {
        let state = self.state_mut();
        if is_on == state.is_stepping {
            return;
        }
        state.is_stepping = is_on;
        if is_on {
            state.registers.rflags |= TRAP_FLAG as usize;
        } else {
            if state.registers.r11 == state.registers.rflags & !(LONG_WAY as usize) {
                // `syscall` has shown it to the program.
                state.registers.r11 &= !(TRAP_FLAG as usize);
            }
            state.registers.rflags &= !(TRAP_FLAG as usize);
        }
        self.take_long_way();
    }

    fn is_stepping(&self) -> bool {
        self.state().is_stepping
    }

    fn second_base(&self) -> usize {
        if self.is_resident() { user_gs_base() } else { self.state().gs_base }
    }

    fn set_second_base(&mut self, value: usize) {
        let value = value.min(USER_END);
        if self.is_resident() {
            set_user_gs_base(value);
        } else {
            let state = self.state_mut();
            state.gs_base = value;
            state.stamp = 0;
        }
    }

    fn float(&self) -> &[u8] {
        debug_assert!(!self.is_resident(), "what the CPU holds is newer");
        // SAFETY: the area has that size, was zeroed or filled, and lives as long as the context.
        unsafe { core::slice::from_raw_parts(self.float_area(), float::size()) }
    }

    fn set_float(&mut self, bytes: &[u8]) -> bool {
        debug_assert!(!self.is_resident(), "the CPU would overwrite it");
        self.state_mut().stamp = 0;
        // SAFETY: as for `float`, and `self` is borrowed mutably.
        let area = unsafe { core::slice::from_raw_parts_mut(self.float_area(), float::size()) };
        float::replace(area, bytes)
    }

    fn debug(&self) -> DebugRegisters {
        self.state().debug
    }

    fn set_debug(&mut self, debug: DebugRegisters) -> bool {
        let Some(debug) = debug::sanitised(debug) else { return false };
        self.state_mut().debug = debug;
        if self.is_resident() {
            debug::load(Cpu::this(), &debug);
        }
        true
    }
}

/// The thread pointer in the CPU.
fn fs_base() -> usize {
    let value;
    // SAFETY: FSGSBASE is on; reading changes nothing.
    unsafe { asm!("rdfsbase {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets the thread pointer in the CPU. `value` is canonical.
fn set_fs_base(value: usize) {
    // SAFETY: FSGSBASE is on; the kernel does not use `fs`.
    unsafe { asm!("wrfsbase {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

/// The user's `gs` base, which waits behind the kernel's.
fn user_gs_base() -> usize {
    let value;
    // SAFETY: two swaps leave the kernel's base in place; nothing can interrupt that uses `gs`
    // without saving it, and interrupts are off.
    unsafe {
        asm!("swapgs", "rdgsbase {}", "swapgs", out(reg) value,
            options(nomem, nostack, preserves_flags));
    }
    value
}

/// Sets the user's `gs` base. `value` is canonical.
fn set_user_gs_base(value: usize) {
    // SAFETY: as in `user_gs_base`.
    unsafe {
        asm!("swapgs", "wrgsbase {}", "swapgs", in(reg) value,
            options(nomem, nostack, preserves_flags));
    }
}
