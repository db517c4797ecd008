//! Flags that confuse a careless kernel.

use crate::trial::{Code, dies, dies_by_one_of, in_child};
use guest::abi::number::GETPID;
use guest::abi::redox::number::{SYS_READ, SYS_YIELD};
use guest::file::pipe;
use guest::memory::Mapping;
use guest::process::{Child, Ended, pid};
use guest::report::{Check, equal, holds};
use guest::signal::{SIGBUS, SIGSEGV, SIGTRAP};
use std::arch::asm;

const TRAP: usize = 1 << 8;
const INTERRUPTS: usize = 1 << 9;
const DIRECTION: usize = 1 << 10;
const PRIVILEGE: usize = 3 << 12;
const NESTED: usize = 1 << 14;
const ALIGNMENT: usize = 1 << 18;
const IDENTIFICATION: usize = 1 << 21;

/// Declares a function that makes a call with flags set: the answer, and the flags behind it.
/// Before the call it touches `page` and computes for a while, so that a fault and interrupts meet
/// the flags too.
macro_rules! call_with {
    ($name:ident, $gate:literal) => {
        fn $name(flags: usize, page: usize, number: usize, arguments: [usize; 3]) -> (usize, usize) {
            let (answer, after): (usize, usize);
            // SAFETY: the old flags are back before Rust code runs again; `page` is the caller's.
            unsafe {
                asm!(
                    "pushfq",
                    "mov r9, [rsp]",
                    "or [rsp], {flags}",
                    "popfq",
                    "mov byte ptr [{page}], 1",
                    "2:",
                    "dec {spin}",
                    "jnz 2b",
                    $gate,
                    "pushfq",
                    "pop {flags}",
                    "push r9",
                    "popfq",
                    "cld",
                    flags = inout(reg) flags => after,
                    page = in(reg) page,
                    spin = inout(reg) 10_000_000usize => _,
                    inout("rax") number => answer,
                    in("rdi") arguments[0],
                    in("rsi") arguments[1],
                    in("rdx") arguments[2],
                    out("r9") _,
                    out("rcx") _,
                    out("r11") _,
                );
            }
            (answer, after)
        }
    };
}

call_with!(by_syscall, "syscall");
call_with!(by_int, "int 0x80");

pub(crate) fn in_calls() -> Check {
    for flag in [DIRECTION, NESTED, ALIGNMENT, IDENTIFICATION, DIRECTION | NESTED | ALIGNMENT] {
        in_child(&format!("flags {flag:#x}"), || survive(flag))?;
    }
    Ok(())
}

fn survive(flag: usize) -> Check {
    let own = pid();
    let pages = Mapping::pages(8)?;
    let mut fresh = (0..8).map(|page| pages.address + page * 4096);
    let mut page = || fresh.next().unwrap_or(pages.address);
    let (reader, writer) = pipe()?;
    let sent: Vec<u8> = (0..4_096).map(|index| (index % 251) as u8).collect();
    for (gate, call) in [("syscall", by_syscall as fn(_, _, _, _) -> _), ("int", by_int)] {
        let (answer, after) = call(flag, page(), GETPID, [0; 3]);
        equal(&format!("{gate}: getpid"), answer, own)?;
        equal(&format!("{gate}: flags behind it"), after & flag, flag)?;
        let (answer, after) = call(flag, page(), SYS_YIELD, [0; 3]);
        equal(&format!("{gate}: yield"), answer, 0)?;
        equal(&format!("{gate}: flags behind yield"), after & flag, flag)?;
        writer.write(&sent)?;
        let mut came = vec![0u8; 4_096];
        let arguments = [reader.0, came.as_mut_ptr() as usize, 4_096];
        let (answer, _) = call(flag, page(), SYS_READ, arguments);
        equal(&format!("{gate}: bytes read"), answer, 4_096)?;
        holds(&format!("{gate}: the bytes came in order"), came == sent)?;
    }
    Ok(())
}

/// `popfq` cannot switch interrupts off or raise the I/O privilege.
pub(crate) fn forbidden() -> Check {
    in_child("popfq", || {
        let after: usize;
        // SAFETY: the flags that change are harmless to Rust code.
        unsafe {
            asm!(
                "pushfq",
                "or qword ptr [rsp], {privilege}",
                "and qword ptr [rsp], {no_interrupts}",
                "popfq",
                "pushfq",
                "pop {after}",
                privilege = const PRIVILEGE,
                no_interrupts = const !(INTERRUPTS as i32),
                after = out(reg) after,
            );
        }
        equal("I/O privilege", after & PRIVILEGE, 0)?;
        equal("interrupts", after & INTERRUPTS, INTERRUPTS)
    })?;
    // pushfq; or dword [rsp], 0x3000; popfq; cli
    let code = Code::new(&[0x9C, 0x81, 0x0C, 0x24, 0, 0x30, 0, 0, 0x9D, 0xFA, 0xC3])?;
    dies("cli behind popfq", SIGSEGV, || code.run())
}

/// The trap comes behind the call, in user code, through either gate.
pub(crate) fn trap_flag() -> Check {
    let page = Mapping::pages(1)?;
    for (what, gate) in [("syscall", by_syscall as fn(_, _, _, _) -> (_, _)), ("int", by_int)] {
        dies(what, SIGTRAP, || {
            gate(TRAP, page.address, GETPID, [0; 3]);
        })?;
    }
    // Set by the last instruction before the call, so that the trap meets the gate itself.
    for (what, gate) in [("syscall", [0x0F, 0x05]), ("int 0x80", [0xCD, 0x80])] {
        let number = (GETPID as u32).to_le_bytes();
        // mov eax, GETPID; pushfq; or dword [rsp], 0x100; popfq; gate; nop; ret
        let mut bytes = vec![0xB8, number[0], number[1], number[2], number[3]];
        bytes.extend([0x9C, 0x81, 0x0C, 0x24, 0, 1, 0, 0, 0x9D]);
        bytes.extend(gate);
        bytes.extend([0x90, 0xC3]);
        let code = Code::new(&bytes)?;
        dies(&format!("a trap at {what}"), SIGTRAP, || code.run())?;
    }
    Ok(())
}

/// A program that asks for alignment checks gets `SIGBUS`, on processors that check.
pub(crate) fn alignment_check() -> Check {
    let page = Mapping::pages(1)?;
    let misaligned = || {
        // SAFETY: inside the page; the flag is the only one that changes.
        unsafe {
            asm!(
                "pushfq",
                "or dword ptr [rsp], {flag}",
                "popfq",
                "mov qword ptr [{address}], 1",
                "pushfq",
                "and dword ptr [rsp], {clear}",
                "popfq",
                flag = const ALIGNMENT,
                clear = const !(ALIGNMENT as i32),
                address = in(reg) page.address + 1,
            );
        }
    };
    let child = Child::start(|| {
        misaligned();
        0
    })?;
    match child.wait_within(10_000)? {
        Some(Ended::Exited(0)) => Ok(()),
        _ => dies_by_one_of("a misaligned store", &[SIGBUS], misaligned),
    }
}
