//! `event:` — queues of events. See [`crate::event`].
//!
//! Opening makes a queue. Writing an `Event` with a descriptor as `id` watches it for `flags`
//! (none: no longer); `data` comes back with the event. Reading takes events. A descriptor that
//! is ready already when it is registered raises its event at once. `EVENT_TIMEOUT_ID` as `id`
//! ends the next read after `data` milliseconds.

use super::{Opened, Position, Scheme, packet, pipe, place};
use crate::error::*;
use crate::event::{Key, known_flags};
use crate::kernel::{Caller, Kernel, Waiter};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::syscall::ready_flags;
use crate::task::{Reason, Wait};
use abi::redox::data::Event as Record;
use abi::redox::flag::{EVENT_TIMEOUT_ID, EventFlags};

const SIZE: usize = size_of::<Record>();

pub(super) struct Event;

impl<M: Machine> Scheme<M> for Event {
    fn name(&self) -> &'static str {
        "event"
    }

    fn open(&self, k: &mut Kernel<M>, _: Caller, path: &str, _: usize) -> Outcome<Opened> {
        if !path.is_empty() {
            return fail(ENOENT);
        }
        let readable = k.waits.create();
        Opened::stream(k.events.create(readable))
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        if into.length < SIZE {
            return fail(EINVAL);
        }
        let room = into.length / SIZE;
        let mut count = 0;
        while count < room
            && let Some((key, event)) = k.events.peek(number, count)
        {
            let flags = still_so(k, key, event.flags);
            if flags.is_empty() {
                k.events.drop_stale(number, count);
                continue;
            }
            let event = Record { flags, ..event };
            k.copy_out(caller.space, into.part(count * SIZE, SIZE), &event)?;
            count += 1;
        }
        if count > 0 {
            k.events.take(number, count);
            return Ok(count * SIZE);
        }
        let queue = k.events.queue(number).ok_or(Errno(EBADF))?;
        if queue.is_timed_out {
            let event = Record { id: EVENT_TIMEOUT_ID, flags: EventFlags::EVENT_READ, data: 0 };
            k.copy_out(caller.space, into, &event)?;
            if let Some(queue) = k.events.queue(number) {
                queue.is_timed_out = false;
            }
            return Ok(SIZE);
        }
        match at.is_nonblocking {
            true => fail(EAGAIN),
            false => Err(Stop::Park(Wait::on(Reason::Event, queue.readable))),
        }
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        _: Position,
    ) -> Outcome {
        let mut done = 0;
        while done + SIZE <= from.length {
            let [id, flags, data] = k.copy_in_words(caller.space, from.part(done, SIZE).address)?;
            let flags = known_flags(flags);
            match register(k, caller, number, Record { id, flags, data }) {
                Ok(()) => done += SIZE,
                // What has been registered stays registered; the rest is written again.
                Err(Stop::Error(_)) if done > 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        if done == 0 { fail(EINVAL) } else { Ok(done) }
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        let (queue, _) = k.events.destroy(number);
        if let Some(timer) = queue.timer {
            k.timers.cancel(timer);
        }
        k.end_queue(queue.readable);
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let mut flags = EventFlags::EVENT_WRITE;
        flags.set(EventFlags::EVENT_READ, k.events.has_pending(number));
        flags
    }
}

/// What of an event is so now. Pipes are asked: what they told may have been read or filled up
/// meanwhile. Other files only tell what happened.
fn still_so<M: Machine>(k: &mut Kernel<M>, (scheme, number): Key, told: EventFlags) -> EventFlags {
    match scheme {
        place::PIPE => told & pipe::Pipe.ready(k, number),
        place::PACKET => told & packet::Packet.ready(k, number),
        _ => told,
    }
}

fn register<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    number: usize,
    event: Record,
) -> Outcome<()> {
    if event.id == EVENT_TIMEOUT_ID {
        return set_timeout(k, number, event.data);
    }
    let id = k.description_of(caller, event.id)?;
    let key = (k.descriptions[id.0].scheme, k.descriptions[id.0].number);
    if key == (place::EVENT, number) {
        return fail(EINVAL);
    }
    // Commit before the step that parks: what a daemon reports between its answer and this call's
    // end would find nobody interested, and be lost. The second run finds the interest in place
    // and leaves alone what has been raised meanwhile.
    let Record { id: fd, flags, data } = event;
    if !k.events.is_registered(number, key, fd, flags, data) {
        if !flags.is_empty() && !k.events.has_room(number, key) {
            return fail(ENOMEM);
        }
        k.events.register(number, key, fd, flags, data);
    }
    let wanted = k.events.wanted(key);
    match ready_flags(k, caller, id, wanted.bits()) {
        Ok(ready) => {
            k.raise_one(number, key, ready);
            Ok(())
        }
        Err(Stop::Error(errno)) => {
            k.events.register(number, key, fd, EventFlags::empty(), 0);
            Err(Stop::Error(errno))
        }
        Err(stop) => Err(stop),
    }
}

fn set_timeout<M: Machine>(k: &mut Kernel<M>, number: usize, millis: usize) -> Outcome<()> {
    let deadline = k.now().saturating_add((millis as u64).saturating_mul(1_000_000));
    let timer = k.add_timer(deadline, Waiter::EventQueue(number));
    let queue = k.events.queue(number).ok_or(Errno(EBADF))?;
    queue.is_timed_out = false;
    if let Some(old) = queue.timer.replace(timer) {
        k.timers.cancel(old);
    }
    Ok(())
}
