//! Which calls led to a place in the kernel.

use crate::cpu::Cpu;
use crate::symbols;
use kernel_core::panic::StackFrame;

/// Follows the frame pointers, which the kernel is compiled with, as long as they stay inside
/// kernel stacks and go up.
/// `address` is the instruction to begin with, `frame` the frame pointer there. Returns how many
/// were found.
pub(crate) fn follow(
    mut address: usize,
    mut frame: usize,
    frames: &mut [StackFrame<'static>],
) -> usize {
    let mut count = 0;
    while count < frames.len() && address != 0 {
        frames[count] = StackFrame { address: address as u64, symbol: symbols::find(address) };
        count += 1;
        if !frame.is_multiple_of(8) || !Cpu::is_stack(frame) || !Cpu::is_stack(frame + 15) {
            break;
        }
        // SAFETY: both words lie in a mapped stack.
        let (next, back) =
            unsafe { ((frame as *const usize).read(), (frame as *const usize).add(1).read()) };
        if next <= frame && next != 0 {
            break;
        }
        // Back to the call itself, which may be a function's last instruction.
        address = back.saturating_sub(1);
        frame = next;
    }
    count
}
