//! The first instructions of the other CPUs: from real mode to 64-bit mode in one step.
//!
//! They begin at a page below 1 MiB (SDM 3A, 8.4.3). The code below is copied there; it finds its
//! data by its code segment. First it takes the turn that was laid out for it, in one atomic step:
//! a CPU that comes when nobody waits for it any more finds none, and halts for good without
//! touching the stack and number that another one may have by now. Both halves of the switch
//! happen in one write to CR0, as the manual allows (SDM 3A, 9.8.5): no 32-bit stage is needed.

use crate::boot::memory::BootMemory;
use crate::paging::kernel::KernelTables;
use crate::paging::{LARGE, PRESENT, WRITE};
use crate::physical;
use core::arch::global_asm;
use core::mem::offset_of;
use core::ptr::copy_nonoverlapping;
use core::sync::atomic::{AtomicU32, Ordering};
use kernel_core::memory::{Frame, PhysicalAddress};

global_asm!(
    r#"
    .section .rodata.trampoline, "a"
    .global trampoline_start, trampoline_data, trampoline_end
    .balign 16
    .code16
trampoline_start:
    cli
    cld
    mov ax, cs
    mov ds, ax
    .byte 0xBB                          # mov bx, ...
    .word trampoline_turn - trampoline_start
    xor eax, eax
    xchg [bx], eax                      # one CPU takes the turn; who finds none came too late
    test eax, eax
    jnz trampoline_taken
trampoline_late:
    hlt
    jmp trampoline_late
trampoline_taken:
    mov eax, cr4
    or eax, 1 << 5                      # PAE
    mov cr4, eax
    .byte 0xBB                          # mov bx, ...
    .word trampoline_tables - trampoline_start
    mov eax, [bx]
    mov cr3, eax
    mov ecx, 0xC0000080                 # EFER
    rdmsr
    or eax, 1 << 8 | 1 << 11            # LME, NXE
    wrmsr
    .byte 0xBB                          # mov bx, ...
    .word trampoline_gdt_pointer - trampoline_start
    lgdt [bx]
    mov eax, 0x80010033                 # PG, WP, NE, ET, MP, PE; caches on
    mov cr0, eax
    .byte 0x66, 0xFF, 0x2E              # far jump through memory
    .word trampoline_jump - trampoline_start
    .code64
trampoline_long:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov rsp, [rip + trampoline_stack]
    mov edi, [rip + trampoline_id]
    xor ebp, ebp
    push rbp
    jmp [rip + trampoline_entry]

    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF            # 64-bit code
trampoline_data:
trampoline_stack:
    .quad 0
trampoline_entry:
    .quad 0
trampoline_tables:
    .long 0
trampoline_id:
    .long 0
trampoline_turn:
    .long 0
trampoline_jump:                        # added to: the page's address
    .long trampoline_long - trampoline_start
    .word 8
trampoline_gdt_pointer:
    .word 15
    .long trampoline_gdt - trampoline_start
trampoline_end:
    .text
"#
);

/// What the code finds behind itself.
#[repr(C, packed)]
struct Data {
    stack: usize,
    entry: usize,
    tables: u32,
    id: u32,
    turn: u32,
    jump_offset: u32,
    jump_segment: u16,
    gdt_limit: u16,
    gdt_base: u32,
}

// The data begins on a multiple of eight.
const _: () = assert!(offset_of!(Data, turn) % 4 == 0);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_data: u8;
    static trampoline_end: u8;
}

/// The code in its page, ready to start CPUs one after the other.
pub(super) struct Trampoline {
    page: PhysicalAddress,
    data: *mut Data,
}

impl Trampoline {
    /// Copies the code to `page`, which is below 1 MiB and free. `entry` is called with the CPU's
    /// number.
    pub(super) fn new(
        tables: &KernelTables,
        memory: &mut BootMemory,
        page: PhysicalAddress,
        entry: extern "C" fn(u32) -> !,
    ) -> Self {
        let start = &raw const trampoline_start;
        let data_offset = &raw const trampoline_data as usize - start as usize;
        let length = &raw const trampoline_end as usize - start as usize;
        let target = physical::pointer::<u8>(page);
        // SAFETY: the page is free, and shown by the window; the code is shorter than a page.
        let data = unsafe {
            copy_nonoverlapping(start, target, length);
            target.add(data_offset).cast::<Data>()
        };
        // SAFETY: the copy is ours; packed fields are read and written whole.
        unsafe {
            let mut filled = data.read_unaligned();
            filled.entry = entry as usize;
            filled.tables = start_tables(tables, memory).start().0 as u32;
            filled.jump_offset += page.0 as u32;
            filled.gdt_base += page.0 as u32;
            data.write_unaligned(filled);
        }
        Self { page, data }
    }

    /// Makes the next CPU that starts run as `id` on `stack`. The turn must not be out.
    pub(super) fn prepare(&mut self, id: u32, stack: usize) {
        // SAFETY: as in `new`. A CPU that comes now finds no turn and looks at nothing else.
        unsafe {
            let mut filled = self.data.read_unaligned();
            (filled.stack, filled.id, filled.turn) = (stack, id, 0);
            self.data.write_unaligned(filled);
        }
        self.turn().store(1, Ordering::Release);
    }

    /// Takes the turn back. False when a CPU has it.
    pub(super) fn take_back(&mut self) -> bool {
        self.turn().swap(0, Ordering::Acquire) != 0
    }

    fn turn(&self) -> &AtomicU32 {
        // SAFETY: the word is in the page, which stays, on a multiple of four (asserted above);
        // once a CPU may be in the code it is only reached by atomic steps.
        unsafe { AtomicU32::from_ptr((&raw mut (*self.data).turn).cast()) }
    }

    /// The operand of the start command.
    pub(super) fn start_page(&self) -> u32 {
        (self.page.0 / 4096) as u32
    }
}

/// The kernel's tables with the lowest 2 MiB mapped to themselves. Below 4 GiB, where a CPU in
/// real mode can name it.
fn start_tables(tables: &KernelTables, memory: &mut BootMemory) -> Frame {
    let (top, second, third) = (memory.frame(), memory.frame(), memory.frame());
    // SAFETY: three fresh frames, and the kernel's own top-level table.
    unsafe {
        let half = 256 * size_of::<u64>();
        let from = physical::frame::<u8>(tables.root()).add(half);
        physical::copy(from, physical::frame::<u8>(top).add(half), half);
        *physical::frame::<u64>(top) = second.start().0 | WRITE | PRESENT;
        *physical::frame::<u64>(second) = third.start().0 | WRITE | PRESENT;
        *physical::frame::<u64>(third) = LARGE | PRESENT;
    }
    top
}
