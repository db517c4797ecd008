//! Timeouts of open files: how long a call waits for one before it gives up with `EAGAIN`.
//!
//! They belong to the open file, as its flags do. A daemon that owes an answer when the time is over is
//! asked to hurry up, as for a signal: what it has done by then is not lost.

use crate::error::*;
use crate::handle::{DescriptionId, Direction};
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::task::Wait;
use abi::number::ONLY_ASK;

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

/// Bounds a call's wait for a file by the file's timeout.
#[inline(always)]
pub(super) fn limit<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    fd: usize,
    direction: Direction,
    outcome: Outcome,
) -> Outcome {
    match outcome {
        Err(Stop::Park(wait)) if k.impatient > 0 => wait_for(k, caller, fd, direction, wait),
        outcome => outcome,
    }
}

#[cold]
#[inline(never)]
fn wait_for<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    fd: usize,
    direction: Direction,
    wait: Wait,
) -> Outcome {
    let id = k.description_of(caller, fd)?;
    let timeout = k.descriptions[id.0].timeouts[direction as usize];
    if timeout == 0 {
        return Err(Stop::Park(wait));
    }
    let deadline = k.deadline(caller.task, timeout);
    if k.now() < deadline {
        return k.park_until(caller.task, wait, Some(deadline));
    }
    if !k.cancel_request(caller.task) {
        return fail(EAGAIN);
    }
    let unfinished = &mut k.tasks[caller.task.0].unfinished;
    unfinished.is_late = true;
    // A request that the daemon has not seen never happened.
    if core::mem::take(&mut unfinished.is_refused) {
        k.take_refusal(caller.task);
        return fail(EAGAIN);
    }
    Err(Stop::Park(wait))
}
