//! `proc:PID/trace` — a tracer's session. See [`abi::trace`] and [`crate::trace`].

use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::scheme::Opened;
use crate::scheme::text::Subject;
use crate::task::{Reason, TaskId, Wait};
use crate::trace::{SessionId, flags};
use abi::redox::data::PtraceEvent;
use abi::redox::flag::{EventFlags, O_EXCL, O_TRUNC};

const SIZE: usize = size_of::<PtraceEvent>();
/// Most events of one read.
const READ_MAX: usize = 4;

/// Begins a session. `EBUSY` when there is one; `EPERM` for the caller's own process, and for
/// taking PID 1 along.
pub(super) fn open<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    task: TaskId,
    open_flags: usize,
) -> Outcome<Opened> {
    let process = k.tasks[task.0].process;
    let is_deadly = open_flags & O_EXCL != 0;
    if process == caller.process || is_deadly && k.processes[process.0].pid == 1 {
        return fail(EPERM);
    }
    let id = k.attach(caller, task, open_flags & O_TRUNC != 0, is_deadly)?;
    let file = k.texts.open(Subject::Trace(id));
    k.traces.sessions[id.0].file = file;
    Opened::stream(file)
}

/// Reads events, oldest first. Waits for one; `ESRCH` once the thread is gone and all is read.
pub(super) fn read<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    id: SessionId,
    into: UserSlice,
    is_nonblocking: bool,
) -> Outcome {
    if into.length < SIZE {
        return fail(EINVAL);
    }
    let session = &k.traces.sessions[id.0];
    let count = session.events.len().min(READ_MAX).min(into.length / SIZE);
    if count == 0 {
        return match session.task {
            None => fail(ESRCH),
            Some(_) if is_nonblocking => fail(EAGAIN),
            Some(_) => Err(Stop::Park(Wait::on(Reason::Tracee, session.changed))),
        };
    }
    for place in 0..count {
        let event = k.traces.sessions[id.0].events[place];
        k.copy_out(caller.space, into.part(place * SIZE, SIZE), &event)?;
    }
    let session = &mut k.traces.sessions[id.0];
    let was_full = session.is_full();
    session.events.drain(..count);
    let changed = session.changed;
    if was_full {
        k.wake_all(changed);
    }
    Ok(count * SIZE)
}

/// Takes new flags and lets the thread go on. `EINVAL` for flags that are none, `ESRCH` when the
/// thread is gone.
pub(super) fn write<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    id: SessionId,
    from: UserSlice,
) -> Outcome {
    if from.length != size_of::<u64>() {
        return fail(EINVAL);
    }
    let mut bytes = [0; size_of::<u64>()];
    k.copy_in(caller.space, from, &mut bytes)?;
    let flags = flags(u64::from_ne_bytes(bytes)).ok_or(Errno(EINVAL))?;
    k.go_on(id, flags)?;
    Ok(bytes.len())
}

/// Something to read, also the end.
pub(super) fn ready<M: Machine>(k: &Kernel<M>, id: SessionId) -> EventFlags {
    let session = &k.traces.sessions[id.0];
    match session.task {
        Some(_) if session.events.is_empty() => EventFlags::empty(),
        _ => EventFlags::EVENT_READ,
    }
}
