//! What programs ask datagram sockets for with `CALL` ([`abi::socket`]).

use abi::socket::{
    CONNECT, CUT, NAME, NAME_MAX, NO_WAIT, OWN, PEEK, PEER, PEER_IDS, RECEIVE, RECEIVE_FROM, SEND,
    SEND_TO, SHUTDOWN, WHOLE_LENGTH,
};
use syscall::error::{EAGAIN, EINVAL, ENOTCONN, EWOULDBLOCK, Error, Result};

use super::{Datagrams, Packet};
use crate::UNKNOWN;

impl Datagrams {
    /// Answers a message to a socket; all but `BIND`, which needs a new token.
    ///
    /// # Errors
    /// Those of what is asked for; `EAGAIN` where it would have to wait and may not, `EOPNOTSUPP` for
    /// anything else.
    pub fn call(&mut self, id: usize, payload: &mut [u8], metadata: &[u64]) -> Result<usize> {
        match *metadata {
            [CONNECT, ..] => self.connect(id, payload).map(|()| 0),
            [SHUTDOWN, how, ..] => self.shut_down(id, how).map(|()| 0),
            [NAME, OWN, ..] => Ok(put(self.name(id)?, payload)),
            [NAME, PEER, ..] => Ok(put(self.peer(id)?, payload)),
            // No files travel.
            [SEND, 0, flags, ..] => waiting(flags, self.send(id, None, payload)),
            [SEND_TO, length, flags, ..] => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let parts = payload.split_at_checked(length).ok_or(Error::new(EINVAL))?;
                waiting(flags, self.send(id, Some(parts.0), parts.1))
            }
            [RECEIVE, files, flags, ..] => {
                let room = usize::try_from(files).ok().and_then(|files| files.checked_mul(8));
                let room = room.and_then(|files| payload.get_mut(files..));
                let room = room.ok_or(Error::new(EINVAL))?;
                let packet = waiting(flags, self.receive(id, flags & PEEK != 0))?;
                Ok(packet.map_or(0, |packet| fill(&packet, room, flags)))
            }
            [RECEIVE_FROM, flags, ..] => {
                let room = payload.split_at_mut_checked(NAME_MAX).ok_or(Error::new(EINVAL))?;
                let packet = waiting(flags, self.receive(id, flags & PEEK != 0))?;
                Ok(packet.map_or(0, |packet| {
                    put(&packet.from, room.0) << 32 | fill(&packet, room.1, flags)
                }))
            }
            [PEER_IDS, ..] => Err(Error::new(ENOTCONN)),
            _ => Err(UNKNOWN),
        }
    }
}

/// Whoever asked not to wait is told.
fn waiting<T>(flags: u64, outcome: Result<T>) -> Result<T> {
    match outcome {
        Err(Error { errno: EWOULDBLOCK }) if flags & NO_WAIT != 0 => Err(Error::new(EAGAIN)),
        outcome => outcome,
    }
}

/// As much as there is room for; the answer is how long it is.
fn put(bytes: &[u8], room: &mut [u8]) -> usize {
    let length = bytes.len().min(room.len());
    room[..length].copy_from_slice(&bytes[..length]);
    bytes.len()
}

/// As much of a packet as there is room for; the answer is how much, or how long it is, and whether that
/// is not all.
fn fill(packet: &Packet, room: &mut [u8], flags: u64) -> usize {
    let length = put(&packet.bytes, room);
    match length > room.len() {
        true if flags & WHOLE_LENGTH != 0 => length | CUT,
        true => room.len() | CUT,
        false => length,
    }
}
