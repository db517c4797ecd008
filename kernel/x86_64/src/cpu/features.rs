//! What the processor must have, and what is switched on.

use raw_cpuid::CpuId;
use x86::controlregs::{Cr0, Cr4, cr0, cr0_write, cr4, cr4_write};
use x86::msr::{IA32_EFER, rdmsr, wrmsr};

/// `syscall` and `sysret` work.
const EFER_SYSCALL: u64 = 1;
/// No-execute works.
const EFER_NO_EXECUTE: u64 = 1 << 11;

/// The names of features this kernel cannot do without and this processor does not have.
pub(crate) fn missing() -> impl Iterator<Item = &'static str> {
    let cpuid = CpuId::new();
    let basic = cpuid.get_feature_info();
    let extended = cpuid.get_extended_feature_info();
    let long = cpuid.get_extended_processor_and_feature_identifiers();
    let has_extended =
        |test: fn(&raw_cpuid::ExtendedFeatures) -> bool| extended.as_ref().is_some_and(test);
    let has_long = |test: fn(&raw_cpuid::ExtendedProcessorFeatureIdentifiers) -> bool| {
        long.as_ref().is_some_and(test)
    };
    let wanted = [
        ("APIC", basic.as_ref().is_some_and(|info| info.has_apic())),
        ("FXSAVE", basic.as_ref().is_some_and(|info| info.has_fxsave_fxstor())),
        ("FSGSBASE", has_extended(|info| info.has_fsgsbase())),
        ("SMEP", has_extended(|info| info.has_smep())),
        ("SMAP", has_extended(|info| info.has_smap())),
        ("NX", has_long(|info| info.has_execute_disable())),
        ("SYSCALL", has_long(|info| info.has_syscall_sysret())),
    ];
    wanted.into_iter().filter(|(_, there)| !there).map(|(name, _)| name)
}

/// Whether pages of 1 GiB can be mapped.
pub(crate) fn has_huge_pages() -> bool {
    let long = CpuId::new().get_extended_processor_and_feature_identifiers();
    long.is_some_and(|info| info.has_1gib_pages())
}

/// Switches on what memory protection and the kernel's own entry need.
///
/// # Safety
/// Nothing is [`missing`]; runs with interrupts off.
pub(crate) unsafe fn enable() {
    let cpuid = CpuId::new();
    let has_umip = cpuid.get_extended_feature_info().is_some_and(|info| info.has_umip());
    let has_xsave = cpuid.get_feature_info().is_some_and(|info| info.has_xsave());
    let mut four = Cr4::CR4_ENABLE_FSGSBASE
        | Cr4::CR4_ENABLE_SMEP
        | Cr4::CR4_ENABLE_SMAP
        | Cr4::CR4_ENABLE_SSE
        | Cr4::CR4_UNMASKED_SSE
        | Cr4::CR4_ENABLE_GLOBAL_PAGES;
    four.set(Cr4::CR4_ENABLE_UMIP, has_umip);
    four.set(Cr4::CR4_ENABLE_OS_XSAVE, has_xsave);
    // SAFETY: every bit set is a feature that is there; the bits cleared are emulation of a
    // missing coprocessor and traps on using a present one.
    unsafe {
        wrmsr(IA32_EFER, rdmsr(IA32_EFER) | EFER_SYSCALL | EFER_NO_EXECUTE);
        let zero =
            cr0() | Cr0::CR0_WRITE_PROTECT | Cr0::CR0_MONITOR_COPROCESSOR | Cr0::CR0_NUMERIC_ERROR;
        cr0_write(zero - Cr0::CR0_EMULATE_COPROCESSOR - Cr0::CR0_TASK_SWITCHED);
        cr4_write(cr4() | four);
    }
}
