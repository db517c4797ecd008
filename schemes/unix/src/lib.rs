//! `unix:` — sockets that have a name, until two of them are connected.
//!
//! A socket begins unnamed, is bound to a name, and then listens. Binding gives a token: whoever
//! knows it may connect. The C library keeps it in the file that a socket's path names, so the
//! file's permissions say who may. A connection is a two-way pipe of the kernel: one end goes to
//! whoever connects, the other waits here until it is accepted. After that the scheme is out of the
//! way: it never sees a byte of what is sent. Packets have no connection; they go through here
//! ([`datagram`]).

pub mod datagram;
mod name;

pub use name::Token;

use std::collections::VecDeque;
use std::fmt::Write;

use name::Name;
use slab::Slab;
use syscall::error::{
    EBADF, ECONNREFUSED, EINVAL, EOPNOTSUPP, EPROTOTYPE, EWOULDBLOCK, Error, Result,
};

/// Most connections that wait for one listener, whatever it asks for.
const BACKLOG_MAX: usize = 128;

/// What a connection carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes.
    Stream,
    /// Packets.
    Sequence,
}

/// Process, user and group of who has made a socket.
pub type Ids = [u32; 3];

/// Whom a connection goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener<'a> {
    /// The socket.
    pub id: usize,
    /// What it is called.
    pub name: &'a [u8],
    /// Who has made it.
    pub ids: Ids,
}

/// A socket that is not connected.
struct Socket<C> {
    kind: Kind,
    name: Name,
    /// Present once it listens.
    backlog: Option<Backlog<C>>,
    is_watched: bool,
    ids: Ids,
}

struct Backlog<C> {
    most: usize,
    waiting: VecDeque<C>,
}

/// All sockets. `C` is a connection's end that nobody has accepted yet.
pub struct Sockets<C> {
    sockets: Slab<Socket<C>>,
    has_changed: bool,
    /// Listeners to report as ready.
    ready: Vec<usize>,
}

impl<C> Default for Sockets<C> {
    fn default() -> Self {
        Self { sockets: Slab::new(), has_changed: false, ready: Vec::new() }
    }
}

fn error<T>(errno: i32) -> Result<T> {
    Err(Error::new(errno))
}

impl<C> Sockets<C> {
    /// A new socket, without a name.
    pub fn create(&mut self, kind: Kind, ids: Ids) -> usize {
        let name = Name::default();
        self.sockets.insert(Socket { kind, name, backlog: None, is_watched: false, ids })
    }

    fn get(&mut self, id: usize) -> Result<&mut Socket<C>> {
        self.sockets.get_mut(id).ok_or(Error::new(EBADF))
    }

    /// Gives a socket its name, and a token that leads to it. A name that begins with a NUL is no
    /// file's: it is the token itself, as on Linux, and may be taken.
    ///
    /// # Errors
    /// `EINVAL` when it has one, `ENAMETOOLONG`, `EADDRINUSE`.
    pub fn bind(&mut self, id: usize, name: &[u8], token: Token) -> Result<Token> {
        let is_taken = Name::is_taken(name, self.sockets.iter().map(|(_, other)| &other.name))?;
        self.get(id)?.name.bind(name, token, is_taken)
    }

    /// Lets others connect.
    ///
    /// # Errors
    /// `EINVAL` without a name.
    pub fn listen(&mut self, id: usize, most: usize) -> Result<()> {
        let socket = self.get(id)?;
        if !socket.name.is_bound() {
            return error(EINVAL);
        }
        let most = most.clamp(1, BACKLOG_MAX);
        match &mut socket.backlog {
            Some(backlog) => backlog.most = most,
            None => socket.backlog = Some(Backlog { most, waiting: VecDeque::new() }),
        }
        self.has_changed = true;
        Ok(())
    }

    /// The listener that a token, or a name beginning with a NUL, leads to, if it has room.
    ///
    /// # Errors
    /// `ECONNREFUSED` when nobody listens, `EPROTOTYPE` when it is of the other kind, `EWOULDBLOCK`
    /// when too many wait.
    pub fn find(&self, kind: Kind, to: &[u8]) -> Result<Listener<'_>> {
        let found = self.sockets.iter().find(|(_, socket)| socket.name.is_led_to_by(to));
        if found.is_some_and(|(_, socket)| socket.kind != kind) {
            return error(EPROTOTYPE);
        }
        let Some((id, Socket { name, ids, backlog: Some(backlog), .. })) = found else {
            return error(ECONNREFUSED);
        };
        if backlog.waiting.len() >= backlog.most {
            return error(EWOULDBLOCK);
        }
        Ok(Listener { id, name: name.bytes(), ids: *ids })
    }

    /// Adds a connection to what waits for a listener that [`Sockets::find`] gave.
    pub fn connect(&mut self, id: usize, connection: C) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        if let Some(backlog) = &mut socket.backlog {
            backlog.waiting.push_back(connection);
        }
        if socket.is_watched {
            self.ready.push(id);
        }
        self.has_changed = true;
    }

    /// The oldest connection that waits.
    ///
    /// # Errors
    /// `EINVAL` when the socket does not listen, `EWOULDBLOCK` when none waits.
    pub fn accept(&mut self, id: usize) -> Result<C> {
        let backlog = self.get(id)?.backlog.as_mut().ok_or(Error::new(EINVAL))?;
        let connection = backlog.waiting.pop_front().ok_or(Error::new(EWOULDBLOCK))?;
        self.has_changed = true;
        Ok(connection)
    }

    /// Whether [`Sockets::accept`] would give something, and have it reported later.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn watch(&mut self, id: usize, is_watched: bool) -> Result<bool> {
        let socket = self.get(id)?;
        socket.is_watched = is_watched;
        Ok(socket.backlog.as_ref().is_some_and(|backlog| !backlog.waiting.is_empty()))
    }

    /// Whether a socket listens.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn listens(&mut self, id: usize) -> Result<bool> {
        Ok(self.get(id)?.backlog.is_some())
    }

    /// What the connections of a socket carry.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn kind(&mut self, id: usize) -> Result<Kind> {
        Ok(self.get(id)?.kind)
    }

    /// The name of a socket; empty when it has none.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn name(&mut self, id: usize) -> Result<&[u8]> {
        Ok(self.get(id)?.name.bytes())
    }

    /// A socket goes, and with it the connections that nobody accepted.
    pub fn close(&mut self, id: usize) {
        if self.sockets.try_remove(id).is_some() {
            // Who waits for room there has to be told that nobody listens.
            self.has_changed = true;
        }
    }

    /// Whether somebody who waits may have better luck now. Asked once for each change.
    pub fn progress(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// The next watched listener that somebody connected to.
    pub fn next_ready(&mut self) -> Option<usize> {
        self.ready.pop()
    }

    /// What `unix:list` shows: a line for each socket.
    pub fn list(&self) -> String {
        let mut text = String::new();
        for (_, socket) in &self.sockets {
            let (state, waiting) = match (&socket.backlog, socket.name.is_bound()) {
                (Some(backlog), _) => ("listening", backlog.waiting.len()),
                (None, true) => ("bound", 0),
                (None, false) => ("new", 0),
            };
            let (name, [pid, ..]) = (shown(socket.name.bytes()), socket.ids);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{state:9} {waiting:3} waiting  pid {pid:5}  {name}");
        }
        text
    }
}

/// A name as `unix:list` shows it.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).replace('\0', "@");
    if name.is_empty() { "-".to_owned() } else { name }
}

/// The verbs a socket does not know.
pub const UNKNOWN: Error = Error::new(EOPNOTSUPP);

#[cfg(test)]
mod tests {
    use super::*;
    use abi::socket::TOKEN;
    use syscall::error::EADDRINUSE;

    const HERE: Token = [b'a'; TOKEN];

    fn errno<T>(result: Result<T>) -> i32 {
        result.err().map_or(0, |error| error.errno)
    }

    fn listener() -> (Sockets<u32>, usize) {
        let mut sockets = Sockets::default();
        let id = sockets.create(Kind::Stream, [7, 0, 0]);
        sockets.bind(id, b"/tmp/x", HERE).expect("a fresh socket");
        sockets.listen(id, 2).expect("it has a name");
        (sockets, id)
    }

    #[test]
    fn connections_are_accepted_in_their_order() {
        let (mut sockets, id) = listener();
        assert_eq!(errno(sockets.accept(id)), EWOULDBLOCK);
        for connection in [1, 2] {
            let found = sockets.find(Kind::Stream, &HERE).expect("there is room");
            assert_eq!(found, Listener { id, name: b"/tmp/x", ids: [7, 0, 0] });
            sockets.connect(id, connection);
        }
        assert_eq!(errno(sockets.find(Kind::Stream, &HERE)), EWOULDBLOCK);
        assert_eq!(sockets.accept(id), Ok(1));
        assert!(sockets.find(Kind::Stream, &HERE).is_ok());
        assert_eq!(sockets.accept(id), Ok(2));
    }

    #[test]
    fn nobody_is_found_who_does_not_listen() {
        let mut sockets = Sockets::<u32>::default();
        let id = sockets.create(Kind::Stream, [7, 0, 0]);
        assert_eq!(errno(sockets.listen(id, 1)), EINVAL);
        assert_eq!(errno(sockets.accept(id)), EINVAL);
        sockets.bind(id, b"x", HERE).expect("a fresh socket");
        assert_eq!(errno(sockets.bind(id, b"y", HERE)), EINVAL);
        assert_eq!(errno(sockets.find(Kind::Stream, &HERE)), ECONNREFUSED);
        sockets.listen(id, 1).expect("it has a name");
        assert!(sockets.find(Kind::Stream, &HERE).is_ok());
        assert_eq!(errno(sockets.find(Kind::Stream, &[b'b'; TOKEN])), ECONNREFUSED);
        assert_eq!(errno(sockets.find(Kind::Stream, b"")), ECONNREFUSED);
        sockets.close(id);
        assert_eq!(errno(sockets.find(Kind::Stream, &HERE)), ECONNREFUSED);
    }

    #[test]
    fn names_that_are_no_files_are_taken_once() {
        let mut sockets = Sockets::<u32>::default();
        let (one, other) =
            (sockets.create(Kind::Stream, [7; 3]), sockets.create(Kind::Stream, [7; 3]));
        sockets.bind(one, b"\0name", HERE).expect("a fresh socket");
        assert_eq!(errno(sockets.bind(other, b"\0name", HERE)), EADDRINUSE);
        sockets.listen(one, 1).expect("it has a name");
        let found = sockets.find(Kind::Stream, b"\0name").map(|found| found.id);
        assert_eq!(found, Ok(one));
        assert_eq!(errno(sockets.find(Kind::Sequence, b"\0name")), EPROTOTYPE);
        assert_eq!(errno(sockets.find(Kind::Stream, b"\0nam")), ECONNREFUSED);
    }

    #[test]
    fn watchers_are_told_and_waiters_tried_again() {
        let (mut sockets, id) = listener();
        assert!(sockets.progress());
        assert_eq!(sockets.watch(id, true), Ok(false));
        sockets.connect(id, 1);
        assert_eq!((sockets.next_ready(), sockets.next_ready()), (Some(id), None));
        assert_eq!(sockets.watch(id, true), Ok(true));
        assert!(sockets.progress());
        assert!(!sockets.progress());
        sockets.close(id);
        assert!(sockets.progress());
    }

    #[test]
    fn the_list_shows_what_there_is() {
        let (mut sockets, id) = listener();
        sockets.connect(id, 1);
        sockets.create(Kind::Sequence, [8, 0, 0]);
        let want =
            "listening   1 waiting  pid     7  /tmp/x\nnew         0 waiting  pid     8  -\n";
        assert_eq!(sockets.list(), want);
    }
}
