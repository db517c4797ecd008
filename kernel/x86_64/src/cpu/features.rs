//! What the processor must have, and what is switched on.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use kernel_core::machine::CpuFacts;
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
        | Cr4::CR4_ENABLE_MACHINE_CHECK
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

/// How often a busy random source is asked again, as the manual advises (SDM 1, 7.3.17.1).
const RANDOM_TRIES: usize = 10;

/// 64 bits from the processor's random source.
pub(crate) fn random() -> Option<u64> {
    if !CpuId::new().get_feature_info().is_some_and(|info| info.has_rdrand()) {
        return None;
    }
    (0..RANDOM_TRIES).find_map(|_| {
        let value: u64;
        let is_good: u8;
        // SAFETY: the processor has the instruction.
        unsafe {
            core::arch::asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) is_good,
                options(nomem, nostack));
        }
        (is_good != 0).then_some(value)
    })
}

/// What the processor says of itself.
pub(crate) fn facts() -> CpuFacts {
    let cpuid = CpuId::new();
    let vendor = cpuid.get_vendor_info().map(|info| info.as_str().to_string());
    let model = cpuid.get_processor_brand_string().map(|name| name.as_str().trim().to_string());
    CpuFacts {
        vendor: vendor.unwrap_or_default(),
        model: model.unwrap_or_default(),
        features: feature_names(&cpuid),
        ticks_per_second: crate::time::ticks_per_second(),
    }
}

fn feature_names(cpuid: &CpuId<raw_cpuid::CpuIdReaderNative>) -> String {
    let mut names: Vec<&str> = Vec::new();
    if let Some(info) = cpuid.get_feature_info() {
        let basic = [
            ("fpu", info.has_fpu()),
            ("tsc", info.has_tsc()),
            ("apic", info.has_apic()),
            ("pge", info.has_pge()),
            ("pat", info.has_pat()),
            ("fxsr", info.has_fxsave_fxstor()),
            ("sse", info.has_sse()),
            ("sse2", info.has_sse2()),
            ("sse3", info.has_sse3()),
            ("ssse3", info.has_ssse3()),
            ("sse4_1", info.has_sse41()),
            ("sse4_2", info.has_sse42()),
            ("x2apic", info.has_x2apic()),
            ("popcnt", info.has_popcnt()),
            ("tsc_deadline_timer", info.has_tsc_deadline()),
            ("aes", info.has_aesni()),
            ("xsave", info.has_xsave()),
            ("avx", info.has_avx()),
            ("rdrand", info.has_rdrand()),
            ("hypervisor", info.has_hypervisor()),
        ];
        names.extend(basic.iter().filter(|(_, there)| *there).map(|(name, _)| *name));
    }
    if let Some(info) = cpuid.get_extended_feature_info() {
        let extended = [
            ("fsgsbase", info.has_fsgsbase()),
            ("avx2", info.has_avx2()),
            ("smep", info.has_smep()),
            ("erms", info.has_rep_movsb_stosb()),
            ("avx512f", info.has_avx512f()),
            ("rdseed", info.has_rdseed()),
            ("smap", info.has_smap()),
            ("sha_ni", info.has_sha()),
            ("umip", info.has_umip()),
        ];
        names.extend(extended.iter().filter(|(_, there)| *there).map(|(name, _)| *name));
    }
    if let Some(info) = cpuid.get_extended_processor_and_feature_identifiers() {
        let long = [
            ("syscall", info.has_syscall_sysret()),
            ("nx", info.has_execute_disable()),
            ("pdpe1gb", info.has_1gib_pages()),
            ("rdtscp", info.has_rdtscp()),
            ("lm", info.has_64bit_mode()),
        ];
        names.extend(long.iter().filter(|(_, there)| *there).map(|(name, _)| *name));
    }
    names.join(" ")
}
