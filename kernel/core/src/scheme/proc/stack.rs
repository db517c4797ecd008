//! `proc:PID/thread/TID/stack` — where a thread is, and who called it: instruction and frame
//! pointer of each function, the innermost first.
//!
//! The frame pointers are the program's own and may be anything. Each must lie above the last one,
//! so that the walk ends; no byte of the program is changed.

use crate::error::*;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::memory::{SpaceId, UserSlice};
use crate::task::TaskId;
use abi::USER_END;
use alloc::format;
use alloc::string::String;

/// Most functions of one walk.
const DEPTH_MAX: usize = 256;
/// A frame begins with the caller's frame pointer and the return address (System V x86-64 ABI,
/// 3.2.2).
const FRAME_BYTES: usize = 2 * size_of::<usize>();

/// One line for each function. `EBUSY` while a CPU has the registers.
pub(super) fn stack<M: Machine>(k: &mut Kernel<M>, task: TaskId) -> Outcome<String> {
    let registers = k.traced_registers(task)?;
    let space = k.tasks[task.0].space;
    let (mut instruction, mut frame) = (registers.rip, registers.rbp);
    let mut text = String::new();
    for _ in 0..DEPTH_MAX {
        text += &format!("{instruction:#x} {frame:#x}\n");
        let Some([next, caller]) = frame_at(k, space, frame)? else { break };
        if !(1..USER_END).contains(&caller) {
            break;
        }
        // The outermost function may have a null frame pointer, or one that leads nowhere.
        let is_above = next > frame;
        (instruction, frame) = (caller, if is_above { next } else { 0 });
    }
    Ok(text)
}

/// What a frame begins with, if there is one.
fn frame_at<M: Machine>(
    k: &mut Kernel<M>,
    space: SpaceId,
    frame: usize,
) -> Outcome<Option<[usize; 2]>> {
    let is_aligned = frame.is_multiple_of(size_of::<usize>());
    if frame == 0 || !is_aligned || UserSlice::new(frame, FRAME_BYTES).is_err() {
        return Ok(None);
    }
    match k.copy_in_words(space, frame) {
        Ok(words) => Ok(Some(words)),
        Err(Stop::Error(Errno(EFAULT))) => Ok(None),
        Err(stop) => Err(stop),
    }
}
