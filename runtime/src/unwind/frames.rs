//! `_Unwind_*`: as much as a program needs that aborts on panic. A backtrace walks the frame
//! pointers, which user programs are built with; nothing can be caught.

use core::arch::asm;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

/// The walk is over.
const END: c_int = 5;
/// The walk may go on.
const NO_REASON: c_int = 0;

/// Most frames that are walked, so that a broken chain ends.
const FRAMES_MAX: usize = 256;

/// Nothing to note: the chain of frames says everything.
///
/// # Safety
///
/// None is needed; the other unwinder's has a condition.
pub(crate) unsafe fn adopt(_table: usize) {}

/// One frame; C calls it `_Unwind_Context`.
struct Context {
    instruction: usize,
    frame: usize,
}

type Trace = unsafe extern "C" fn(*mut Context, *mut c_void) -> c_int;

/// Calls `trace` for each frame, the innermost first.
#[unsafe(no_mangle)]
unsafe extern "C" fn _Unwind_Backtrace(trace: Trace, argument: *mut c_void) -> c_int {
    let mut frame: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    for _ in 0..FRAMES_MAX {
        if frame == 0 || !frame.is_multiple_of(size_of::<usize>()) {
            break;
        }
        // SAFETY: with frame pointers, rbp points at the caller's rbp and the return address; the
        // start code ends the chain with zero.
        let [next, instruction] = unsafe { (frame as *const [usize; 2]).read() };
        if instruction == 0 {
            break;
        }
        let mut context = Context { instruction, frame };
        // SAFETY: the program gave this argument for this function.
        if unsafe { trace(&raw mut context, argument) } != NO_REASON {
            break;
        }
        // Stacks grow down, so a caller's frame lies above.
        if next <= frame {
            break;
        }
        frame = next;
    }
    END
}

/// Where a frame goes on.
#[unsafe(no_mangle)]
unsafe extern "C" fn _Unwind_GetIP(context: *mut Context) -> usize {
    // SAFETY: the context is the one `_Unwind_Backtrace` gave out.
    unsafe { (*context).instruction }
}

/// The same; the address is always that of a return.
#[unsafe(no_mangle)]
unsafe extern "C" fn _Unwind_GetIPInfo(context: *mut Context, before: *mut c_int) -> usize {
    // SAFETY: the context is the one `_Unwind_Backtrace` gave out, the place is the caller's.
    unsafe {
        before.write(0);
        (*context).instruction
    }
}

/// The frame's address.
#[unsafe(no_mangle)]
unsafe extern "C" fn _Unwind_GetCFA(context: *mut Context) -> usize {
    // SAFETY: the context is the one `_Unwind_Backtrace` gave out.
    unsafe { (*context).frame + 2 * size_of::<usize>() }
}

/// Where the function around an address begins: not known without tables.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_FindEnclosingFunction(_address: *mut c_void) -> *mut c_void {
    null_mut()
}
