//! Threads over Linux: `clone`, and an end that takes the thread's own stack away.

use super::{fail, failed, linux, number};
use core::arch::{asm, naked_asm};

/// One process: memory, files, handlers, System V semaphores, and the thread pointer is given.
const FLAGS: usize = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000 | 0x8_0000;

/// What the new thread finds above its stack pointer.
#[repr(C)]
struct First {
    signal_stack: [usize; 3],
    argument: usize,
    entry: usize,
}

/// `THREAD_NEW`: entry, stack, argument, thread pointer, signal stack, its size.
pub(super) unsafe fn start([entry, stack, argument, pointer, signals, size]: [usize; 6]) -> usize {
    if size != 0 && size < abi::signal::SIGNAL_STACK_MIN {
        return fail(libc::ENOMEM);
    }
    // A copy below the thread's own first word; the thread takes it up before it uses its stack.
    let first = ((stack - 256) & !15) as *mut First;
    // SAFETY: the stack is the new thread's alone, and nobody's until it runs.
    unsafe {
        let signal_stack = [signals, if size == 0 { abi::signal::SS_DISABLE } else { 0 }, size];
        first.write(First { signal_stack, argument, entry });
        clone(FLAGS, first as usize, stack, pointer)
    }
}

/// `clone(flags, first)`; the new thread sets its stack for handlers, asks for its number and enters
/// its function on `stack`.
#[unsafe(naked)]
unsafe extern "C" fn clone(flags: usize, first: usize, stack: usize, pointer: usize) -> usize {
    naked_asm!(
        "push r12",
        "mov r12, rdx",
        "mov r8, rcx",
        "xor edx, edx",
        "xor r10d, r10d",
        "mov eax, {clone}",
        "syscall",
        "test rax, rax",
        "jz 2f",
        "pop r12",
        "ret",
        "2:",
        "xor ebp, ebp",
        "mov rdi, rsp",
        "xor esi, esi",
        "mov eax, {sigaltstack}",
        "syscall",
        "mov eax, {gettid}",
        "syscall",
        "mov esi, eax",
        "mov rdi, [rsp + 24]",
        "mov rax, [rsp + 32]",
        "mov rsp, r12",
        "jmp rax",
        clone = const number::CLONE,
        sigaltstack = const number::SIGALTSTACK,
        gettid = const number::GETTID,
    )
}

/// `THREAD_EXIT`: takes `[address, +length)` away, on which this very code may run, then stores 0 at
/// `done`, wakes who waits there, and ends.
pub(super) unsafe fn end(address: usize, length: usize, done: usize) -> usize {
    // Handlers would run on memory that is gone.
    let all = u64::MAX;
    // SAFETY: the mask is only read.
    let blocked = unsafe { linux(number::RT_SIGPROCMASK, [2, &raw const all as usize, 0, 8]) };
    debug_assert!(!failed(blocked));
    // SAFETY: nothing touches the stack from here; the thread ends.
    unsafe {
        asm!(
            "test rsi, rsi",
            "jz 2f",
            "mov eax, {munmap}",
            "syscall",
            "2:",
            "test r12, r12",
            "jz 3f",
            "mov dword ptr [r12], 0",
            "mov rdi, r12",
            "mov esi, 129",
            "mov edx, 1",
            "mov eax, {futex}",
            "syscall",
            "3:",
            "xor edi, edi",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            munmap = const number::MUNMAP,
            futex = const number::FUTEX,
            exit = const number::EXIT,
            in("rdi") address,
            in("rsi") length,
            in("r12") done,
            options(noreturn),
        )
    }
}
