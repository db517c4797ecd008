//! `unix:datagram` — sockets that send each other packets by name.
//!
//! Packets wait at whoever they were sent to, whole, each with its sender's name. There is no
//! connection to introduce, so they go through this daemon; a socket that is connected only knows
//! where its packets go, and takes none from others.

mod messages;

use std::collections::VecDeque;
use std::fmt::Write;

use abi::socket::{DATAGRAM_MAX, SHUT_READ, SHUT_WRITE};
use slab::Slab;
use syscall::error::{
    EBADF, ECONNREFUSED, EINVAL, EMSGSIZE, ENOTCONN, EPERM, EPIPE, EWOULDBLOCK, Error, Result,
};
use syscall::flag::EventFlags;

use crate::name::Name;
use crate::{Token, error};

/// Most packets that wait at one socket.
const WAITING_MAX: usize = 256;

/// A packet that waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    /// The sender's name; empty when it has none.
    pub from: Vec<u8>,
    /// What was sent.
    pub bytes: Vec<u8>,
}

/// Where a socket's packets go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    None,
    Socket(usize),
    /// It was closed, which is told once.
    Gone,
}

struct Socket {
    name: Name,
    peer: Peer,
    waiting: VecDeque<Packet>,
    /// Bytes of all of them.
    bytes: usize,
    /// `SHUT_*`
    shut: u64,
    watched: EventFlags,
    pid: usize,
}

impl Socket {
    fn has_room(&self, length: usize) -> bool {
        self.waiting.len() < WAITING_MAX && self.bytes + length <= DATAGRAM_MAX
    }
}

/// All datagram sockets.
#[derive(Default)]
pub struct Datagrams {
    sockets: Slab<Socket>,
    has_changed: bool,
    /// Whom to tell that it is ready for something.
    ready: Vec<(usize, EventFlags)>,
}

impl Datagrams {
    /// A new socket, without a name.
    pub fn create(&mut self, pid: usize) -> usize {
        self.sockets.insert(Socket {
            name: Name::default(),
            peer: Peer::None,
            waiting: VecDeque::new(),
            bytes: 0,
            shut: 0,
            watched: EventFlags::empty(),
            pid,
        })
    }

    fn get(&self, id: usize) -> Result<&Socket> {
        self.sockets.get(id).ok_or(Error::new(EBADF))
    }

    fn get_mut(&mut self, id: usize) -> Result<&mut Socket> {
        self.sockets.get_mut(id).ok_or(Error::new(EBADF))
    }

    /// Gives a socket its name, and a token that leads to it; see [`crate::Sockets::bind`].
    ///
    /// # Errors
    /// `EINVAL` when it has one, `ENAMETOOLONG`, `EADDRINUSE`.
    pub fn bind(&mut self, id: usize, name: &[u8], token: Token) -> Result<Token> {
        let is_taken = Name::is_taken(name, self.sockets.iter().map(|(_, other)| &other.name))?;
        self.get_mut(id)?.name.bind(name, token, is_taken)
    }

    /// The socket that a token, or a name beginning with a NUL, leads to.
    ///
    /// # Errors
    /// `ECONNREFUSED` when there is none.
    pub fn find(&self, to: &[u8]) -> Result<usize> {
        let found = self.sockets.iter().find(|(_, socket)| socket.name.is_led_to_by(to));
        found.map(|(id, _)| id).ok_or(Error::new(ECONNREFUSED))
    }

    /// The socket found, if it takes packets from `id`.
    fn find_for(&self, id: usize, to: &[u8]) -> Result<usize> {
        let other = self.find(to)?;
        match self.get(other)?.peer {
            Peer::Socket(peer) if peer != id => error(EPERM),
            _ => Ok(other),
        }
    }

    /// Packets go there from now on, and come from there only; with an empty name no more.
    ///
    /// # Errors
    /// `ECONNREFUSED` when nobody is there, `EPERM` when it is connected to somebody else.
    pub fn connect(&mut self, id: usize, to: &[u8]) -> Result<()> {
        let peer = match to.is_empty() {
            true => Peer::None,
            false => Peer::Socket(self.find_for(id, to)?),
        };
        self.get_mut(id)?.peer = peer;
        Ok(())
    }

    /// Sends a packet to the peer, or to a name.
    ///
    /// # Errors
    /// `ENOTCONN` without either, `ECONNREFUSED` when nobody is there (any more), `EPERM` when it
    /// is connected to somebody else, `EMSGSIZE`, `EPIPE` after a shutdown at either side,
    /// `EWOULDBLOCK` while there is no room.
    pub fn send(&mut self, id: usize, to: Option<&[u8]>, bytes: &[u8]) -> Result<usize> {
        let socket = self.get(id)?;
        let (name, shut) = (socket.name.bytes().to_vec(), socket.shut);
        let other = match (to, socket.peer) {
            (Some(to), _) => self.find_for(id, to)?,
            (None, Peer::Socket(peer)) => peer,
            (None, Peer::None) => return error(ENOTCONN),
            (None, Peer::Gone) => {
                self.get_mut(id)?.peer = Peer::None;
                return error(ECONNREFUSED);
            }
        };
        if bytes.len() > DATAGRAM_MAX {
            return error(EMSGSIZE);
        }
        let target = self.get_mut(other)?;
        if matches!(target.peer, Peer::Socket(peer) if peer != id) {
            return error(EPERM);
        }
        if shut & SHUT_WRITE != 0 || target.shut & SHUT_READ != 0 {
            return error(EPIPE);
        }
        if !target.has_room(bytes.len()) {
            return error(EWOULDBLOCK);
        }
        target.bytes += bytes.len();
        target.waiting.push_back(Packet { from: name, bytes: bytes.to_vec() });
        self.has_changed = true;
        self.tell(other, EventFlags::EVENT_READ);
        Ok(bytes.len())
    }

    /// The oldest packet that waits, which stays with `peek`. `None` after a shutdown.
    ///
    /// # Errors
    /// `EWOULDBLOCK` when there is none.
    pub fn receive(&mut self, id: usize, peek: bool) -> Result<Option<Packet>> {
        let socket = self.get_mut(id)?;
        let Some(packet) = socket.waiting.front() else {
            return if socket.shut & SHUT_READ != 0 { Ok(None) } else { error(EWOULDBLOCK) };
        };
        if peek {
            let (from, bytes) = (packet.from.clone(), packet.bytes.clone());
            return Ok(Some(Packet { from, bytes }));
        }
        let packet = socket.waiting.pop_front();
        socket.bytes -= packet.as_ref().map_or(0, |packet| packet.bytes.len());
        self.has_changed = true;
        self.tell_senders(id);
        Ok(packet)
    }

    /// Ends directions of a socket.
    ///
    /// # Errors
    /// `EINVAL` for none, or unknown ones.
    pub fn shut_down(&mut self, id: usize, how: u64) -> Result<()> {
        if how == 0 || how & !(SHUT_READ | SHUT_WRITE) != 0 {
            return error(EINVAL);
        }
        self.get_mut(id)?.shut |= how;
        self.has_changed = true;
        self.tell(id, EventFlags::EVENT_READ | EventFlags::EVENT_WRITE);
        self.tell_senders(id);
        Ok(())
    }

    /// What a socket is ready for, and what its owner wants to be told later.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn watch(&mut self, id: usize, wanted: EventFlags) -> Result<EventFlags> {
        self.get_mut(id)?.watched = wanted;
        let socket = self.get(id)?;
        let may_write = match socket.peer {
            Peer::Socket(peer) => self.get(peer)?.has_room(0),
            Peer::None | Peer::Gone => true,
        };
        let mut ready = EventFlags::empty();
        let may_read = !socket.waiting.is_empty() || socket.shut & SHUT_READ != 0;
        ready.set(EventFlags::EVENT_READ, may_read);
        ready.set(EventFlags::EVENT_WRITE, may_write || socket.shut & SHUT_WRITE != 0);
        Ok(ready)
    }

    /// The name of a socket; empty when it has none.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn name(&self, id: usize) -> Result<&[u8]> {
        Ok(self.get(id)?.name.bytes())
    }

    /// The name of a socket's peer.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer(&self, id: usize) -> Result<&[u8]> {
        match self.get(id)?.peer {
            Peer::Socket(peer) => self.name(peer),
            Peer::None | Peer::Gone => error(ENOTCONN),
        }
    }

    /// A socket goes, and with it the packets that nobody received.
    pub fn close(&mut self, id: usize) {
        if self.sockets.try_remove(id).is_none() {
            return;
        }
        self.tell_senders(id);
        for (_, other) in &mut self.sockets {
            if other.peer == Peer::Socket(id) {
                other.peer = Peer::Gone;
            }
        }
        self.has_changed = true;
    }

    fn tell(&mut self, id: usize, what: EventFlags) {
        if let Some(socket) = self.sockets.get(id)
            && socket.watched.intersects(what)
        {
            self.ready.push((id, socket.watched & what));
        }
    }

    /// Those who send to a socket may have better luck now.
    fn tell_senders(&mut self, id: usize) {
        let senders = self.sockets.iter().filter(|(_, other)| other.peer == Peer::Socket(id));
        let senders: Vec<usize> = senders.map(|(sender, _)| sender).collect();
        senders.into_iter().for_each(|sender| self.tell(sender, EventFlags::EVENT_WRITE));
    }

    /// Whether somebody who waits may have better luck now. Asked once for each change.
    pub fn progress(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// The next watched socket that became ready.
    pub fn next_ready(&mut self) -> Option<(usize, EventFlags)> {
        self.ready.pop()
    }

    /// What `unix:list` shows of them: a line for each socket.
    pub fn list(&self) -> String {
        let mut text = String::new();
        for (_, socket) in &self.sockets {
            let name = crate::shown(socket.name.bytes());
            let (waiting, pid) = (socket.waiting.len(), socket.pid);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "datagram  {waiting:3} waiting  pid {pid:5}  {name}");
        }
        text
    }
}

#[cfg(test)]
mod tests;
