//! Segment bases, selectors and stack pointers that lead nowhere.

use crate::trial::{Code, dies, dies_by_one_of, in_child};
use guest::memory::Mapping;
use guest::process::{Child, Ended, pid, yield_turn};
use guest::report::{Check, equal};
use guest::signal::{SIGILL, SIGSEGV, SIGUSR1};
use guest::time::now;
use std::arch::asm;

/// Bases of all kinds: user, unmapped, kernel.
const BASES: [usize; 5] = [0, 0x1000, 0x7FFF_FFFF_E000, 0xFFFF_8000_0000_0000, usize::MAX - 0xFFF];

/// Whether programs may set their bases themselves.
fn may_set() -> guest::Result<bool> {
    let child = Child::start(|| {
        // SAFETY: only reads.
        unsafe { asm!("rdfsbase {0}", out(reg) _, options(nomem, nostack)) };
        0
    })?;
    Ok(child.wait()? == Ended::Exited(0))
}

pub(crate) fn bases() -> Check {
    // rdfsbase rax; wrfsbase rax; wrgsbase rax
    let instructions: [&[u8]; 3] = [
        &[0xF3, 0x48, 0x0F, 0xAE, 0xC0, 0xC3],
        &[0xF3, 0x48, 0x0F, 0xAE, 0xD0, 0xC3],
        &[0xF3, 0x48, 0x0F, 0xAE, 0xD8, 0xC3],
    ];
    if !may_set()? {
        for bytes in instructions {
            let code = Code::new(bytes)?;
            dies("a base instruction that is switched off", SIGILL, || code.run())?;
        }
        return Ok(());
    }
    for base in BASES {
        in_child(&format!("both bases at {base:#x}"), || keep_going(base))?;
        dies(&format!("a fault with gs at {base:#x}"), SIGSEGV, || {
            // SAFETY: nobody uses gs; the fault is the point.
            unsafe {
                asm!("wrgsbase {0}", "mov byte ptr [16], 1", in(reg) base, options(nostack));
            }
        })?;
    }
    // wrfsbase with an address that is none either faults itself, or its use does.
    // mov rax, 0x8000000000000000; wrfsbase rax; mov rax, fs:[0]
    let code = Code::new(&[
        0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xF3, 0x48, 0x0F, 0xAE, 0xD0, 0x64, 0x48, 0x8B,
        0x04, 0x25, 0, 0, 0, 0, 0xC3,
    ])?;
    dies("a base that is no address", SIGSEGV, || code.run())
}

/// Calls, faults and interrupts with strange bases; then the bases are still there.
fn keep_going(base: usize) -> Check {
    let page = Mapping::pages(1)?;
    let own = pid();
    let (found_fs, found_gs, answer): (usize, usize, usize);
    // SAFETY: the thread's own fs base is back before Rust code runs again.
    unsafe {
        asm!(
            "rdfsbase {old}",
            "wrfsbase {base}",
            "wrgsbase {base}",
            "mov byte ptr [{page}], 1",
            "2:",
            "dec {spin}",
            "jnz 2b",
            "mov eax, {yield_turn}",
            "syscall",
            "mov eax, {getpid}",
            "int 0x80",
            "rdfsbase {fs}",
            "rdgsbase {gs}",
            "wrfsbase {old}",
            old = out(reg) _,
            base = in(reg) base,
            page = in(reg) page.address,
            spin = inout(reg) 20_000_000usize => _,
            fs = out(reg) found_fs,
            gs = out(reg) found_gs,
            yield_turn = const guest::abi::redox::number::SYS_YIELD,
            getpid = const guest::abi::number::GETPID,
            out("rax") answer,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    yield_turn();
    equal("fs base", found_fs, base)?;
    equal("gs base", found_gs, base)?;
    equal("getpid", answer, own)
}

pub(crate) fn selectors() -> Check {
    for selector in [0x08u16, 0x10, 0x18, 0x33, 0x4B, 0x7FFC, 0xFFFF] {
        for (what, opcode) in
            [("ds", 0xD8u8), ("es", 0xC0), ("fs", 0xE0), ("gs", 0xE8), ("ss", 0xD0)]
        {
            let [low, high] = selector.to_le_bytes();
            // mov ax, selector; mov segment, ax; xor eax, eax; mov segment, ax
            let code =
                Code::new(&[0x66, 0xB8, low, high, 0x8E, opcode, 0x31, 0xC0, 0x8E, opcode, 0xC3])?;
            let child = Child::start(|| {
                code.run();
                now();
                0
            })?;
            // Which selectors name user segments is the kernel's own affair: it may load, or fault.
            match child.wait_within(10_000)? {
                Some(Ended::Exited(0)) => {}
                Some(Ended::Signalled(signal)) if usize::from(signal) == SIGSEGV => {}
                ended => return Err(format!("{selector:#x} in {what}: {ended:?}").into()),
            }
        }
    }
    // The kernel's own segments never load: DPL 0 (SDM 3A, 5.7).
    for selector in [0x08u8, 0x10] {
        let code = Code::new(&[0x66, 0xB8, selector, 0, 0x8E, 0xD8, 0xC3])?;
        dies(&format!("the kernel's {selector:#x} in ds"), SIGSEGV, || code.run())?;
    }
    Ok(())
}

/// A stack pointer into nowhere, met by a fault, a call, an interrupt and a signal.
pub(crate) fn stack_pointers() -> Check {
    for stack in [0, 8, 0x7FFF_FFFF_F000, 0x8000_0000_0000, 0xFFFF_FFFF_8010_0000, usize::MAX - 7] {
        in_child(&format!("a call with its stack at {stack:#x}"), || {
            let answer: usize;
            // SAFETY: the stack pointer is back before anything uses the stack.
            unsafe {
                asm!(
                    "mov r12, rsp",
                    "mov rsp, {stack}",
                    "2:",
                    "dec {spin}",
                    "jnz 2b",
                    "syscall",
                    "mov rsp, r12",
                    stack = in(reg) stack,
                    spin = inout(reg) 10_000_000usize => _,
                    inout("rax") guest::abi::number::GETPID => answer,
                    out("r12") _,
                    out("rcx") _,
                    out("r11") _,
                );
            }
            equal("getpid", answer, pid())
        })?;
        let what = format!("a push at {stack:#x}");
        dies_by_one_of(&what, &[SIGSEGV, guest::signal::SIGBUS], || {
            // SAFETY: the push ends the process, which is the point.
            unsafe { asm!("mov rsp, {0}", "push 1", in(reg) stack, options(noreturn)) }
        })?;
        dies(&format!("a signal with the stack at {stack:#x}"), SIGSEGV, || signalled(stack))?;
    }
    Ok(())
}

extern "C" fn handler(_: usize, _: &guest::signal::SigInfo, _: usize) {}

/// Sends itself a signal while its stack pointer is `stack`.
fn signalled(stack: usize) {
    if guest::signal::catch(SIGUSR1, handler, 0).is_err() {
        return;
    }
    let (process, thread) = (pid(), guest::process::tid());
    // SAFETY: the stack pointer is back before anything uses the stack, should anything come back.
    unsafe {
        asm!(
            "mov r12, rsp",
            "mov rsp, {stack}",
            "syscall",
            "mov rsp, r12",
            stack = in(reg) stack,
            inout("rax") guest::abi::number::TGKILL => _,
            in("rdi") process,
            in("rsi") thread,
            in("rdx") SIGUSR1,
            out("r12") _,
            out("rcx") _,
            out("r11") _,
        );
    }
}
