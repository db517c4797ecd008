//! Timeouts of open files: how long a call waits for one before it gives up with `EAGAIN`.
//!
//! They belong to the open file, as its flags do. A daemon that owes an answer when the time is over is
//! asked to hurry up, as for a signal: what it has done by then is not lost.

use crate::handle::{DescriptionId, Direction};
use crate::kernel::{Caller, Kernel};
use crate::machine::{Call, Machine};
use abi::number::{self as own, ONLY_ASK};
use abi::redox::flag::CallFlags;
use abi::redox::number::*;

/// Sets a timeout, unless it is only asked for; returns what it was.
pub(super) fn set<M: Machine>(
    k: &mut Kernel<M>,
    id: DescriptionId,
    direction: Direction,
    wanted: usize,
) -> usize {
    let mut timeouts = k.descriptions[id.0].timeouts;
    let old = core::mem::replace(&mut timeouts[direction as usize], wanted as u64);
    if wanted != ONLY_ASK {
        k.set_timeouts(id, timeouts);
    }
    old as usize
}

/// The file that a call may have to wait for, and what it does with it.
fn waited_for(call: Call) -> Option<(usize, Direction)> {
    let fd = call.arguments[0];
    let direction = match call.number {
        // Who waits for a connection reads, and so does who asks for something.
        SYS_READ | SYS_READ2 | own::READ_MASKED | SYS_DUP_INTO | SYS_DUP2 => Direction::Read,
        SYS_CALL if call.arguments[3] & CallFlags::READ.bits() != 0 => Direction::Read,
        SYS_WRITE | SYS_WRITE2 | SYS_CALL => Direction::Write,
        _ => return None,
    };
    Some((fd, direction))
}

/// A call is about to wait. Bounds the wait by the timeout of its file, if that has one. Returns whether the
/// time is over instead.
#[cold]
#[inline(never)]
pub(crate) fn is_over<M: Machine>(k: &mut Kernel<M>, caller: Caller, call: Call) -> bool {
    let Some((fd, direction)) = waited_for(call) else { return false };
    let Ok(id) = k.description_of(caller, fd) else { return false };
    let timeout = k.descriptions[id.0].timeouts[direction as usize];
    if timeout == 0 || k.tasks[caller.task.0].unfinished.is_late {
        return false;
    }
    let deadline = k.deadline(caller.task, timeout);
    if k.now() < deadline {
        k.tasks[caller.task.0].unfinished.deadline = Some(deadline);
        return false;
    }
    let must_wait = k.cancel_request(caller.task);
    let unfinished = &mut k.tasks[caller.task.0].unfinished;
    unfinished.deadline = None;
    unfinished.is_late = must_wait;
    // A request that the daemon has not seen never happened.
    let never_was = core::mem::take(&mut unfinished.is_refused);
    if never_was {
        k.take_refusal(caller.task);
    }
    if must_wait && !never_was {
        return false;
    }
    k.take_mask_back(caller.task);
    true
}
