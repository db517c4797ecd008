//! A request's bytes: from the client's memory into the daemon's window, and home again, once each
//! way.

use super::{Answer, Payload};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::{Slot, SpaceId, UserSlice};
use crate::task::{Reason, Wait};
use abi::redox::schemev2::Opcode;

impl<M: Machine> Kernel<M> {
    /// Puts the payload where the daemon can see it. Last step that may park or fail.
    #[inline(always)]
    pub(super) fn fill_slot(
        &mut self,
        caller: Caller,
        scheme: usize,
        payload: Payload<'_>,
        length: usize,
    ) -> Outcome<Option<Slot>> {
        let server = self.user_schemes.get_mut(scheme).ok_or(Errno(ENODEV))?;
        if let Some(room) = server.room_to_await() {
            return Err(Stop::Park(Wait::on(Reason::Window, room)));
        }
        let window = server.window.as_mut().ok_or(Errno(ENODEV))?;
        if matches!(payload, Payload::None) {
            return Ok(None);
        }
        let space = &mut self.spaces[server.space.0];
        let slot = window.take(length, &mut self.machine, &mut self.frames, space)?;
        let Some(slot) = slot else {
            server.is_wanted = true;
            return Err(Stop::Park(Wait::on(Reason::Window, server.room)));
        };
        let filled = match payload {
            Payload::Bytes(bytes) => {
                self.write_slot(scheme, slot, bytes);
                Ok(())
            }
            Payload::Send(user) | Payload::Exchange(user) => {
                self.copy_slot(caller.space, scheme, slot, user, Direction::ToDaemon)
            }
            Payload::Receive(_) | Payload::None => Ok(()),
        };
        if let Err(stop) = filled {
            if let Some(window) = &mut self.user_schemes[scheme].window {
                window.give_back(slot);
            }
            return Err(stop);
        }
        Ok(Some(slot))
    }

    #[inline(always)]
    pub(super) fn bring_home(
        &mut self,
        caller: Caller,
        scheme: usize,
        slot: Slot,
        payload: Payload<'_>,
        opcode: u8,
        answer: Answer,
    ) -> Outcome<()> {
        let counts = opcode == Opcode::Read as u8 || opcode == Opcode::Fpath as u8;
        match payload {
            Payload::Receive(user) if counts => {
                if answer.value > user.length {
                    return fail(EIO);
                }
                let user = user.part(0, answer.value);
                self.copy_slot(caller.space, scheme, slot, user, Direction::ToClient)
            }
            Payload::Receive(user) | Payload::Exchange(user) => {
                self.copy_slot(caller.space, scheme, slot, user, Direction::ToClient)
            }
            Payload::Send(user) if answer.value > user.length && opcode == Opcode::Write as u8 => {
                fail(EIO)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn write_slot(&mut self, scheme: usize, slot: Slot, bytes: &[u8]) {
        let Some(window) = &self.user_schemes[scheme].window else { return };
        let mut done = 0;
        while done < bytes.len() {
            let (at, room) = window.physical(slot, done);
            let end = bytes.len().min(done + room);
            self.machine.write(at, &bytes[done..end]);
            done = end;
        }
    }

    /// Copies between a client's memory and a slot, page by page, once.
    #[inline(always)]
    fn copy_slot(
        &mut self,
        space: SpaceId,
        scheme: usize,
        slot: Slot,
        user: UserSlice,
        direction: Direction,
    ) -> Outcome<()> {
        let mut done = 0;
        while done < user.length {
            let Some(window) = &self.user_schemes[scheme].window else { return fail(ENODEV) };
            let (daemon, room) = window.physical(slot, done);
            let part = user.part(done, room);
            let (client, length) = match direction {
                Direction::ToDaemon => self.readable_at(space, part)?,
                Direction::ToClient => self.writable_at(space, part)?,
            };
            match direction {
                Direction::ToDaemon => self.machine.copy(client, daemon, length),
                Direction::ToClient => self.machine.copy(daemon, client, length),
            }
            done += length;
        }
        Ok(())
    }
}

/// Which way [`Kernel::copy_slot`] copies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToDaemon,
    ToClient,
}
