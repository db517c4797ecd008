//! Floating-point and vector registers: how large, how saved (SDM 1, chapter 13).
//!
//! The kernel is compiled without them, so they hold what user code left there until a context
//! with other contents runs.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use raw_cpuid::CpuId;
use x86::controlregs::{Xcr0, xcr0_write};

/// Alignment of a save area.
pub(crate) const ALIGNMENT: usize = 64;
/// Bytes of the part that `fxsave` knows, which every form begins with.
pub(crate) const LEGACY_SIZE: usize = 512;
/// Offset and value of the control word after reset: all exceptions masked, 64-bit precision.
const CONTROL_WORD: (usize, u16) = (0, 0x37F);
/// Offset and value of the vector control word after reset.
const VECTOR_CONTROL: (usize, u32) = (24, 0x1F80);
/// The bits of the vector control word that exist where the state does not say (SDM 1, 11.6.6).
const VECTOR_CONTROL_DEFAULT_MASK: u32 = 0xFFBF;
/// Bytes of the header behind the legacy part: which parts are there, how, and zeroes.
const HEADER_SIZE: usize = 64;
/// The bits of the parts that `fxsave` knows.
const LEGACY_PARTS: u64 = 3;

/// How this machine saves: `xsave` and `xrstor` with all parts, or the older `fxsave` and
/// `fxrstor`. Every switch asks.
static HAS_XSAVE: AtomicBool = AtomicBool::new(false);
/// Bytes of a save area. Settled before there is any.
static SIZE: AtomicUsize = AtomicUsize::new(LEGACY_SIZE);

/// Switches the registers on. The first CPU also settles the form for all.
///
/// # Safety
/// Runs on each CPU after [`super::features::enable`].
pub(crate) unsafe fn enable() {
    let cpuid = CpuId::new();
    let has_xsave = cpuid.get_feature_info().is_some_and(|info| info.has_xsave());
    if !has_xsave {
        return;
    }
    let mut parts = Xcr0::XCR0_FPU_MMX_STATE | Xcr0::XCR0_SSE_STATE;
    if let Some(info) = cpuid.get_extended_state_info() {
        parts.set(Xcr0::XCR0_AVX_STATE, info.xcr0_supports_avx_256());
        let wide = Xcr0::XCR0_OPMASK_STATE | Xcr0::XCR0_ZMM_HI256_STATE | Xcr0::XCR0_HI16_ZMM_STATE;
        parts.set(wide, info.xcr0_supports_avx512_opmask());
    }
    // SAFETY: OSXSAVE is on, and only supported parts are asked for.
    unsafe { xcr0_write(parts) };
    // The size for the parts switched on is known only after switching them on. All CPUs find the
    // same.
    let size = CpuId::new()
        .get_extended_state_info()
        .map_or(LEGACY_SIZE, |info| info.xsave_area_size_enabled_features() as usize);
    SIZE.store(size, Ordering::Relaxed);
    HAS_XSAVE.store(true, Ordering::Relaxed);
}

#[inline]
fn has_xsave() -> bool {
    HAS_XSAVE.load(Ordering::Relaxed)
}

/// Bytes of a save area.
pub(crate) fn size() -> usize {
    SIZE.load(Ordering::Relaxed)
}

/// Makes an area of zeroes hold the state after reset.
///
/// # Safety
/// `area` is an aligned save area full of zeroes.
pub(crate) unsafe fn reset(area: *mut u8) {
    // SAFETY: both offsets lie in the legacy part. The zeroes in the `xsave` header mean "as
    // after reset" for all parts; only the vector control word is read in any case.
    unsafe {
        area.add(CONTROL_WORD.0).cast::<u16>().write(CONTROL_WORD.1);
        area.add(VECTOR_CONTROL.0).cast::<u32>().write(VECTOR_CONTROL.1);
    }
}

/// Puts the first bytes of a saved state in place of those in `area`. Returns false, changing
/// nothing, when the processor would refuse to load that.
pub(crate) fn replace(area: &mut [u8], bytes: &[u8]) -> bool {
    let word = |bytes: &[u8], at: usize| -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_ne_bytes(word)
    };
    if bytes.len() < VECTOR_CONTROL.0 + 8 || bytes.len() > area.len() {
        return false;
    }
    // The control word, and behind it the mask of its bits that exist (SDM 1, 11.6.6).
    let mask = match (word(area, VECTOR_CONTROL.0) >> 32) as u32 {
        0 => VECTOR_CONTROL_DEFAULT_MASK,
        mask => mask,
    };
    let control = word(bytes, VECTOR_CONTROL.0) as u32;
    if control & !mask != 0 {
        return false;
    }
    if !has_xsave() {
        area[..bytes.len()].copy_from_slice(bytes);
    } else {
        let mut parts = word(area, LEGACY_SIZE) | LEGACY_PARTS;
        if bytes.len() >= LEGACY_SIZE + HEADER_SIZE {
            parts = word(bytes, LEGACY_SIZE);
            let rest = &bytes[LEGACY_SIZE + 8..LEGACY_SIZE + HEADER_SIZE];
            // SAFETY: reading what was switched on changes nothing.
            let have = unsafe { x86::controlregs::xcr0() }.bits();
            if parts & !have != 0 || rest.iter().any(|byte| *byte != 0) {
                return false;
            }
        }
        area[..bytes.len()].copy_from_slice(bytes);
        area[LEGACY_SIZE..LEGACY_SIZE + 8].copy_from_slice(&parts.to_ne_bytes());
    }
    let mask_at = VECTOR_CONTROL.0 + 4;
    area[mask_at..mask_at + 4].copy_from_slice(&mask.to_ne_bytes());
    true
}

/// Saves this CPU's registers.
///
/// # Safety
/// `area` is an aligned save area.
#[inline]
pub(crate) unsafe fn save(area: *mut u8) {
    // SAFETY: the caller's promise; `size` bytes are enough for what each form writes.
    unsafe {
        if has_xsave() {
            asm!("xsave64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX,
                options(nostack, preserves_flags));
        } else {
            asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags));
        }
    }
}

/// Loads this CPU's registers.
///
/// # Safety
/// `area` was filled by [`save`] or [`reset`].
#[inline]
pub(crate) unsafe fn restore(area: *const u8) {
    // SAFETY: the caller's promise; such an area has no reserved bits set.
    unsafe {
        if has_xsave() {
            asm!("xrstor64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX,
                options(nostack, preserves_flags));
        } else {
            asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags));
        }
    }
}
