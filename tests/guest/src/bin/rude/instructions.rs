//! Instructions that user code may not run, or that are none.

use crate::trial::{Code, dies_by_one_of};
use guest::process::{Child, Ended};
use guest::report::{Check, equal};
use guest::signal::{SIGFPE, SIGILL, SIGSEGV, SIGTRAP};

/// Name, signals that are right (processors differ), bytes.
type Instruction = (&'static str, &'static [usize], &'static [u8]);

fn all_die(instructions: &[Instruction]) -> Check {
    for (name, signals, bytes) in instructions {
        let code = Code::new(&[*bytes, &[0xC3]].concat())?;
        dies_by_one_of(name, signals, || code.run())?;
    }
    Ok(())
}

const NONE: &[usize] = &[SIGILL];
const PRIVILEGED: &[usize] = &[SIGSEGV];
/// Refused in one way by some processors and in the other by others.
const EITHER: &[usize] = &[SIGILL, SIGSEGV];

pub(crate) fn undefined() -> Check {
    all_die(&[
        ("ud2", NONE, &[0x0F, 0x0B]),
        ("ud1", NONE, &[0x0F, 0xB9, 0xC0]),
        ("ud0", NONE, &[0x0F, 0xFF, 0xC0]),
        ("push es", NONE, &[0x06]),
        ("aaa", NONE, &[0x37]),
        ("into", NONE, &[0xCE]),
        ("lock nop", NONE, &[0xF0, 0x90]),
        ("a prefix without end", PRIVILEGED, &[0x66; 16]),
        ("rsm", NONE, &[0x0F, 0xAA]),
        ("vmcall", NONE, &[0x0F, 0x01, 0xC1]),
        ("vmmcall", NONE, &[0x0F, 0x01, 0xD9]),
        ("vmrun", EITHER, &[0x0F, 0x01, 0xD8]),
        ("getsec", EITHER, &[0x0F, 0x37]),
        ("encls", EITHER, &[0x0F, 0x01, 0xCF]),
        ("stac", NONE, &[0x0F, 0x01, 0xCB]),
        ("clac", NONE, &[0x0F, 0x01, 0xCA]),
        ("monitor", EITHER, &[0x0F, 0x01, 0xC8]),
        ("mwait", EITHER, &[0x0F, 0x01, 0xC9]),
    ])
}

pub(crate) fn privileged() -> Check {
    returns()?;
    all_die(&[
        ("hlt", PRIVILEGED, &[0xF4]),
        ("cli", PRIVILEGED, &[0xFA]),
        ("sti", PRIVILEGED, &[0xFB]),
        ("in al, dx", PRIVILEGED, &[0xEC]),
        ("out dx, al", PRIVILEGED, &[0xEE]),
        ("out 0xF4, al", PRIVILEGED, &[0xE6, 0xF4]),
        ("insb", PRIVILEGED, &[0x6C]),
        ("outsb", PRIVILEGED, &[0x6E]),
        ("wrmsr", PRIVILEGED, &[0x0F, 0x30]),
        ("rdmsr", PRIVILEGED, &[0x0F, 0x32]),
        ("rdpmc", PRIVILEGED, &[0x0F, 0x33]),
        ("mov cr3, rax", PRIVILEGED, &[0x0F, 0x22, 0xD8]),
        ("mov rax, cr3", PRIVILEGED, &[0x0F, 0x20, 0xD8]),
        ("mov rax, cr0", PRIVILEGED, &[0x0F, 0x20, 0xC0]),
        ("mov cr0, rax", PRIVILEGED, &[0x0F, 0x22, 0xC0]),
        ("mov cr4, rax", PRIVILEGED, &[0x0F, 0x22, 0xE0]),
        ("mov rax, cr8", PRIVILEGED, &[0x44, 0x0F, 0x20, 0xC0]),
        ("mov dr7, rax", PRIVILEGED, &[0x0F, 0x23, 0xF8]),
        ("mov rax, dr0", PRIVILEGED, &[0x0F, 0x21, 0xC0]),
        ("lgdt", PRIVILEGED, &[0x0F, 0x01, 0x14, 0x24]),
        ("lidt", PRIVILEGED, &[0x0F, 0x01, 0x1C, 0x24]),
        ("lldt", PRIVILEGED, &[0x0F, 0x00, 0xD0]),
        ("ltr", PRIVILEGED, &[0x0F, 0x00, 0xD8]),
        ("lmsw", PRIVILEGED, &[0x0F, 0x01, 0xF0]),
        ("clts", PRIVILEGED, &[0x0F, 0x06]),
        ("invd", PRIVILEGED, &[0x0F, 0x08]),
        ("wbinvd", PRIVILEGED, &[0x0F, 0x09]),
        ("invlpg", PRIVILEGED, &[0x0F, 0x01, 0x3C, 0x24]),
        ("swapgs", PRIVILEGED, &[0x0F, 0x01, 0xF8]),
        ("xsetbv", PRIVILEGED, &[0x0F, 0x01, 0xD1]),
        ("sysretq", PRIVILEGED, &[0x48, 0x0F, 0x07]),
        ("sysexit", EITHER, &[0x0F, 0x35]),
        ("sysenter", EITHER, &[0x0F, 0x34]),
        ("sgdt", PRIVILEGED, &[0x0F, 0x01, 0x44, 0x24, 0xC0]),
        ("sidt", PRIVILEGED, &[0x0F, 0x01, 0x4C, 0x24, 0xC0]),
        ("sldt", PRIVILEGED, &[0x0F, 0x00, 0xC0]),
        ("str", PRIVILEGED, &[0x0F, 0x00, 0xC8]),
        ("smsw", PRIVILEGED, &[0x0F, 0x01, 0xE0]),
    ])
}

/// Far returns, from no interrupt or into the kernel. QEMU 7.2 reads their stack with the kernel's
/// rights, which SMAP never grants, so there they fault for ever: a program may do that to itself,
/// and can be killed.
fn returns() -> Check {
    let instructions: [(&str, &[u8]); 2] = [
        // push 0, five times; iretq
        ("iretq", &[0x6A, 0, 0x6A, 0, 0x6A, 0, 0x6A, 0, 0x6A, 0, 0x48, 0xCF]),
        // push 8; push 0; retfq
        ("retfq", &[0x6A, 8, 0x6A, 0, 0x48, 0xCB]),
    ];
    for (what, bytes) in instructions {
        let code = Code::new(bytes)?;
        let child = Child::start(|| {
            code.run();
            0
        })?;
        match child.wait_within(300)? {
            Some(Ended::Signalled(signal)) => equal(what, usize::from(signal), SIGSEGV)?,
            Some(ended) => return Err(format!("{what}: {ended:?}").into()),
            None => {}
        }
    }
    Ok(())
}

pub(crate) fn arithmetic() -> Check {
    all_die(&[
        // xor ecx, ecx; div ecx
        ("division by zero", &[SIGFPE], &[0x31, 0xC9, 0xF7, 0xF1]),
        // mov eax, 0x80000000; mov edx, -1; mov ecx, -1; idiv ecx
        (
            "the quotient that does not fit",
            &[SIGFPE],
            &[0xB8, 0, 0, 0, 0x80, 0x83, 0xCA, 0xFF, 0x83, 0xC9, 0xFF, 0xF7, 0xF9],
        ),
        // push 0; fldcw [rsp]; fld1; fldz; fdivp; fwait
        (
            "x87 division by zero, unmasked",
            &[SIGFPE],
            &[0x6A, 0, 0xD9, 0x2C, 0x24, 0xD9, 0xE8, 0xD9, 0xEE, 0xDE, 0xF9, 0x9B],
        ),
    ])
}

pub(crate) fn traps() -> Check {
    all_die(&[
        ("int3", &[SIGTRAP], &[0xCC]),
        ("int 3", &[SIGTRAP], &[0xCD, 3]),
        // An in-circuit emulator's; some processors do not have it.
        ("int1", &[SIGTRAP, SIGILL], &[0xF1]),
        // pushfq; or dword [rsp], 0x100; popfq; nop
        ("trap flag", &[SIGTRAP], &[0x9C, 0x81, 0x0C, 0x24, 0, 1, 0, 0, 0x9D, 0x90, 0x90]),
    ])
}

/// Every interrupt vector but the breakpoint's and the call gate's.
pub(crate) fn vectors() -> Check {
    for vector in (0..=255).filter(|vector| !matches!(vector, 3 | 0x80)) {
        let code = Code::new(&[0xCD, vector, 0xC3])?;
        dies_by_one_of(&format!("int {vector:#x}"), PRIVILEGED, || code.run())?;
    }
    Ok(())
}
