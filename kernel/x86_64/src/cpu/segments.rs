//! Segments and the task-state segment: what is left of them in 64-bit mode (SDM 3A, 3.4 and 8.7).

use core::arch::asm;
use core::mem::size_of;

/// Kernel code.
pub(crate) const KERNEL_CODE: u16 = 0x08;
/// Kernel data: `syscall` wants it right behind the code.
pub(crate) const KERNEL_DATA: u16 = 0x10;
/// What `sysret` adds 8 and 16 to. The slot itself would be 32-bit user code and stays empty, so
/// a program cannot leave 64-bit mode.
pub(crate) const SYSRET_BASE: u16 = 0x18 | 3;
/// User data and stack.
pub(crate) const USER_DATA: u16 = 0x20 | 3;
/// User code.
pub(crate) const USER_CODE: u16 = 0x28 | 3;
const TASK_STATE: u16 = 0x30;

/// The stacks of the interrupt stack table; entry 1 is the first.
#[derive(Clone, Copy)]
pub(crate) enum Stack {
    DoubleFault = 1,
    NonMaskable = 2,
    MachineCheck = 3,
    Debug = 4,
}

/// The 64-bit task-state segment.
#[repr(C, packed(4))]
pub(crate) struct Tss {
    reserved0: u32,
    privilege_stacks: [usize; 3],
    reserved1: usize,
    interrupt_stacks: [usize; 7],
    reserved2: [u32; 2],
    reserved3: u16,
    io_map: u16,
}

const _: () = assert!(size_of::<Tss>() == 104);

impl Tss {
    /// Where the stack for traps from user mode is.
    pub(crate) const RSP0_OFFSET: usize = 4;

    /// One with the ends of the special stacks, in the order of [`Stack`].
    pub(crate) fn new(ends: [usize; 4]) -> Self {
        let [double_fault, non_maskable, machine_check, debug] = ends;
        Self {
            reserved0: 0,
            privilege_stacks: [0; 3],
            reserved1: 0,
            interrupt_stacks: [double_fault, non_maskable, machine_check, debug, 0, 0, 0],
            reserved2: [0; 2],
            reserved3: 0,
            // Beyond the segment: no user access to any port.
            io_map: size_of::<Tss>() as u16,
        }
    }
}

/// The descriptor table of one CPU.
#[repr(C)]
pub(crate) struct Gdt([u64; 8]);

impl Gdt {
    /// One whose task-state segment is at `tss`.
    pub(crate) fn new(tss: usize) -> Self {
        let tss = tss as u64;
        let limit = size_of::<Tss>() as u64 - 1;
        let low = limit | (tss & 0xFF_FFFF) << 16 | 0x89 << 40 | (tss >> 24 & 0xFF) << 56;
        Self([
            0,
            0x00AF_9B00_0000_FFFF, // code, privilege 0, 64-bit
            0x00CF_9300_0000_FFFF, // data, privilege 0
            0,
            0x00CF_F300_0000_FFFF, // data, privilege 3
            0x00AF_FB00_0000_FFFF, // code, privilege 3, 64-bit
            low,
            tss >> 32,
        ])
    }

    /// Makes the processor use it.
    ///
    /// # Safety
    /// The table stays where it is for ever, and runs on one CPU only.
    pub(crate) unsafe fn load(&self) {
        let pointer = x86::dtables::DescriptorTablePointer {
            limit: (size_of::<Self>() - 1) as u16,
            base: self.0.as_ptr(),
        };
        // SAFETY: the descriptors describe flat kernel segments; `retfq` goes to the next line.
        unsafe {
            x86::dtables::lgdt(&pointer);
            asm!(
                "push {code}",
                "lea {next}, [rip + 2f]",
                "push {next}",
                "retfq",
                "2:",
                "mov ss, {data:e}",
                "mov ds, {zero:e}",
                "mov es, {zero:e}",
                "mov fs, {zero:e}",
                "mov gs, {zero:e}",
                "ltr {task:x}",
                code = const KERNEL_CODE,
                next = out(reg) _,
                data = in(reg) u32::from(KERNEL_DATA),
                zero = in(reg) 0,
                task = in(reg) u32::from(TASK_STATE),
            );
        }
    }
}
