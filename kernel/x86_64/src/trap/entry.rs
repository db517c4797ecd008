//! Into user code and out again.
//!
//! `enter_user` is a function call from the kernel's side: it leaves the kernel stack as it is,
//! loads the registers of a context and goes to user mode. Whatever brings the CPU back pushes
//! the user's registers into the same context, for `rsp0` and `syscall` both start at its end
//! (`Context::resume` sees to it), and `leave_user` returns from that call: vector in `rax`, error code in `rdx`.
//!
//! The registers lie as in `redox::IntRegisters`, which is also the order of the pushes. Two
//! ways lead to user mode. `sysret` is the short one, and good for a context that `syscall`
//! stopped: `rcx` and `r11` hold its `rip` and flags already, its segments are the usual ones, and
//! a `syscall` cannot end at a non-canonical address since the last user page is never mapped.
//! Every other stop marks the context in a flag bit that hardware keeps zero ([`LONG_WAY`]), and
//! `iretq` takes it back. `iretq` faults in kernel mode on a bad `rip`, so that one is checked.
//!
//! Double faults, machine checks, NMIs and debug exceptions may come between any two instructions
//! here, when neither `gs` nor `rsp` can be trusted. They have stacks of their own and find the
//! CPU's block from those.

use crate::cpu::{KERNEL_STACK_OFFSET, RSP0_OFFSET, SCRATCH_OFFSET, SLOT, segments};
use core::arch::global_asm;

/// In a context's flags: go back by `iretq`.
pub(crate) const LONG_WAY: u64 = 1 << 31;
/// The trap flag: single-stepping. `sysret` would step one instruction too far.
pub(crate) const TRAP_FLAG: u64 = 1 << 8;
/// `leave_user` reports this for `syscall` and for `int 0x80`.
pub(crate) const CALL_VECTOR: u8 = 0x80;
/// Distance of the entry stubs.
pub(crate) const STUB_SIZE: usize = 16;

unsafe extern "C" {
    /// 256 stubs, one per vector, [`STUB_SIZE`] bytes apart.
    pub(crate) static trap_stubs: u8;
    /// What `syscall` jumps to.
    pub(crate) fn syscall_entry();
    /// The stubs with stacks of their own.
    pub(crate) fn debug_stub();
    pub(crate) fn non_maskable_stub();
    pub(crate) fn double_fault_stub();
    pub(crate) fn machine_check_stub();
    /// Goes to user mode; see above. Not a C function: it destroys every register.
    pub(crate) fn enter_user();
}

global_asm!(
    r#"
    .macro PUSH_FROM_RDX
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    .endm

    .macro POP_ALL
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    .endm

    # The stub has pushed vector and error code where rsi and rdi belong.
    .macro TAKE_VECTOR
    mov eax, [rsp + 13 * 8]
    mov edx, [rsp + 14 * 8]
    mov [rsp + 13 * 8], rsi
    mov [rsp + 14 * 8], rdi
    .endm

    .text
    .global enter_user, syscall_entry, trap_stubs

    .balign 64
enter_user:                             # rdi = registers
    mov gs:[{KERNEL_STACK}], rsp
    mov rsp, rdi
    test dword ptr [rsp + 17 * 8], {LONG_WAY} | {TRAP_FLAG}
    jnz 1f
    POP_ALL
    mov rsp, [rsp + 3 * 8]
    swapgs
    sysretq
1:  # A user rip has the upper 17 bits clear.
    mov rax, [rsp + 15 * 8]
    shr rax, 47
    jnz 2f
    mov qword ptr [rsp + 16 * 8], {USER_CODE}
    mov qword ptr [rsp + 19 * 8], {USER_DATA}
    btr dword ptr [rsp + 17 * 8], 31
    POP_ALL
    swapgs
    iretq
2:  mov eax, 13
    xor edx, edx
    jmp leave_user

    .balign 64
syscall_entry:
    swapgs
    mov gs:[{SCRATCH}], rsp
    mov rsp, gs:[{RSP0}]
    push {USER_DATA}
    push gs:[{SCRATCH}]
    push r11
    push {USER_CODE}
    push rcx
    push rdi
    push rsi
    PUSH_FROM_RDX
    mov eax, {CALL}
leave_user:
    mov rsp, gs:[{KERNEL_STACK}]
    ret

    .balign 16
trap_common:
    test byte ptr [rsp + 3 * 8], 3
    jz kernel_trap
    swapgs
user_trap:
    PUSH_FROM_RDX
    cld
    clac
    TAKE_VECTOR
    or dword ptr [rsp + 17 * 8], {LONG_WAY}
    jmp leave_user

kernel_trap:
    PUSH_FROM_RDX
    cld
    clac
    TAKE_VECTOR
    mov rdi, rsp
    mov esi, eax
    call {kernel_trap}
    POP_ALL
    iretq

    # A debug exception in user mode is an ordinary one, but for the stack it came on.
debug_stub:
    test byte ptr [rsp + 8], 3
    jz 1f
    swapgs
    mov gs:[{SCRATCH}], rax
    mov rax, rsp
    mov rsp, gs:[{RSP0}]
    push [rax + 4 * 8]
    push [rax + 3 * 8]
    push [rax + 2 * 8]
    push [rax + 1 * 8]
    push [rax]
    mov rax, gs:[{SCRATCH}]
    push 0
    push 1
    jmp user_trap
1:  push 0
    push 1
    jmp special_trap
non_maskable_stub:
    push 0
    push 2
    jmp special_trap
double_fault_stub:
    push 8
    jmp special_trap
machine_check_stub:
    push 0
    push 18
special_trap:
    PUSH_FROM_RDX
    cld
    clac
    TAKE_VECTOR
    rdgsbase rbx
    mov rcx, rsp
    and rcx, -{SLOT}
    wrgsbase rcx
    mov rdi, rsp
    mov esi, eax
    call {special_trap}
    wrgsbase rbx
    POP_ALL
    iretq

    # Vectors 8, 10 to 14, 17, 21, 29 and 30 bring an error code (SDM 3A, 6.13; AMD 2, 8.2).
    .set vector, 0
    .balign {STUB_SIZE}
trap_stubs:
    .rept 256
    .balign {STUB_SIZE}
    .if vector < 32 && (0x60227D00 >> vector) & 1
    .else
    push 0
    .endif
    .byte 0x68
    .long vector
    jmp trap_common
    .set vector, vector + 1
    .endr
"#,
    KERNEL_STACK = const KERNEL_STACK_OFFSET,
    RSP0 = const RSP0_OFFSET,
    SCRATCH = const SCRATCH_OFFSET,
    LONG_WAY = const LONG_WAY,
    TRAP_FLAG = const TRAP_FLAG,
    USER_CODE = const segments::USER_CODE,
    USER_DATA = const segments::USER_DATA,
    CALL = const CALL_VECTOR,
    SLOT = const SLOT,
    STUB_SIZE = const STUB_SIZE,
    kernel_trap = sym super::kernel_trap,
    special_trap = sym super::special_trap,
);
