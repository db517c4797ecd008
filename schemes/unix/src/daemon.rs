//! Joins the sockets to the scheme protocol, and makes the connections.

use abi::socket::{
    BIND, CUT, LISTEN, LISTENS, NAME, OWN, PEER, PEER_IDS, RECEIVE, SEND, SET_IDS, SET_NAME,
    SHUTDOWN, TOKEN,
};
use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDONLY, O_RDWR};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use scheme::command::{Failure, no_arguments};
use scheme::{Daemon, Server, device, file_call, hand_over};
use slab::Slab;
use syscall::error::{
    EAGAIN, EBADF, EINVAL, EIO, EISDIR, ENOENT, ENOTCONN, EPROTOTYPE, EWOULDBLOCK, Error, Result,
};
use syscall::flag::{EventFlags, MODE_DIR, MODE_FILE, MODE_SOCK, StdFsCallKind};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StdFsCallMeta};
use unixd::datagram::Datagrams;
use unixd::{Ids, Kind, Sockets, Token, UNKNOWN};

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Failure> {
    no_arguments(arguments)?;
    let server = Server::waiting().map_err(|error| Failure::fatal("scheme socket", error))?;
    let mut unix = Unix::default();
    let root = unix.handles.insert(Handle::Root);
    server.register("unix", root).map_err(|error| Failure::fatal("unix", error))?;
    server.run(&mut unix).map_err(|error| Failure::fatal("serving", error))
}

/// An open handle.
#[derive(PartialEq, Eq)]
enum Handle {
    /// Where paths start.
    Root,
    /// The text of `unix:list`, as it was when it was opened.
    List(String),
    /// A socket for streams, or for packets in sequence.
    Socket(usize),
    /// A socket for datagrams.
    Datagram(usize),
}

#[derive(Default)]
struct Unix {
    sockets: Sockets<Fd>,
    datagrams: Datagrams,
    handles: Slab<Handle>,
}

impl Unix {
    fn socket(&self, id: usize) -> Result<usize> {
        match self.handles.get(id) {
            Some(Handle::Socket(socket)) => Ok(*socket),
            Some(_) => Err(Error::new(EINVAL)),
            None => Err(Error::new(EBADF)),
        }
    }

    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(id).ok_or(Error::new(EBADF))
    }

    /// Opens a socket, which has no position.
    fn open_socket(&mut self, handle: Handle) -> OpenResult {
        let number = self.handles.insert(handle);
        OpenResult::ThisScheme { number, flags: NewFdFlags::empty() }
    }

    fn open(&mut self, handle: Handle) -> OpenResult {
        let number = self.handles.insert(handle);
        OpenResult::ThisScheme { number, flags: NewFdFlags::POSITIONED }
    }

    /// Gives a socket its name; the payload holds it, and then the token that leads there.
    fn bind(&mut self, id: usize, payload: &mut [u8]) -> Result<usize> {
        if payload.len() < TOKEN {
            return Err(Error::new(EINVAL));
        }
        let end = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let name = &payload[..end];
        let token = match *self.handle(id)? {
            Handle::Socket(socket) => self.sockets.bind(socket, name, token()?)?,
            Handle::Datagram(socket) => self.datagrams.bind(socket, name, token()?)?,
            Handle::Root | Handle::List(_) => return Err(Error::new(EINVAL)),
        };
        payload[..TOKEN].copy_from_slice(&token);
        Ok(0)
    }

    /// Makes a connection to whoever listens there, and gives one end away, under a name or none.
    fn connect(&mut self, kind: Kind, to: &[u8], from: Ids, own: &[u8]) -> Result<OpenResult> {
        if self.datagrams.find(to).is_ok() {
            return Err(Error::new(EPROTOTYPE));
        }
        let listener = self.sockets.find(kind, to)?;
        let pipe = match kind {
            Kind::Stream => "/scheme/pipe/pair",
            Kind::Sequence => "/scheme/packet/sequence",
        };
        let far = Fd::open(pipe, O_RDWR | O_CLOEXEC, 0)?;
        let near = Fd::new(far.dup(b"peer")?);
        let none = syscall::CallFlags::empty();
        far.call_wo(listener.name, none, &[SET_NAME])?;
        if !own.is_empty() {
            near.call_wo(own, none, &[SET_NAME])?;
        }
        for (whose, ids) in [(OWN, listener.ids), (PEER, from)] {
            far.call_wo(ids.map(u32::to_ne_bytes).as_flattened(), none, &[SET_IDS, whose])?;
        }
        let id = listener.id;
        self.sockets.connect(id, far);
        Ok(hand_over(near))
    }

    /// Where a path that is no file of the daemon's own connects to.
    fn connect_by(&mut self, path: &str, from: Ids) -> Result<OpenResult> {
        let (kind, path) = match path.strip_prefix("sequence/") {
            Some(rest) => (Kind::Sequence, rest),
            None => (Kind::Stream, path),
        };
        let to = led_to(path.as_bytes()).ok_or(Error::new(ENOENT))?;
        self.connect(kind, &to, from, &[])
    }

    /// A connection for a socket that has a name, which the other side is told.
    fn connect_named(&mut self, socket: usize, way: &[u8], from: Ids) -> Result<OpenResult> {
        let (may_wait, way) = match way.strip_prefix(b"now-") {
            Some(way) => (false, way),
            None => (true, way),
        };
        let to = led_to(way).ok_or(Error::new(EINVAL))?;
        let (kind, own) = (self.sockets.kind(socket)?, self.sockets.name(socket)?.to_vec());
        match self.connect(kind, &to, from, &own) {
            Err(Error { errno: EWOULDBLOCK }) if !may_wait => Err(Error::new(EAGAIN)),
            connected => connected,
        }
    }
}

/// What `to/TOKEN` or `@NAME` leads to: the token, or the name that is no file's. That one begins with a
/// NUL, which no path has in it.
fn led_to(way: &[u8]) -> Option<Vec<u8>> {
    match (way.strip_prefix(b"to/"), way.strip_prefix(b"@")) {
        (Some(token), _) => Some(token.to_vec()),
        (None, Some(name)) => Some([b"\0", name].concat()),
        (None, None) => None,
    }
}

/// Who makes a request.
fn ids(ctx: &CallerCtx) -> Ids {
    [ctx.pid as u32, ctx.uid, ctx.gid]
}

/// 32 hexadecimal digits that nobody can guess.
fn token() -> Result<Token> {
    let mut random = [0; TOKEN / 2];
    let source = Fd::open("/scheme/rand", O_RDONLY | O_CLOEXEC, 0)?;
    if source.read(&mut random)? != random.len() {
        return Err(Error::new(EIO));
    }
    let mut token = [0; TOKEN];
    for (pair, byte) in token.chunks_exact_mut(2).zip(random) {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    Ok(token)
}

impl Daemon for Unix {
    fn progress(&mut self) -> bool {
        // Both, so that neither is asked twice.
        self.sockets.progress() | self.datagrams.progress()
    }

    fn next_event(&mut self) -> Option<(usize, EventFlags)> {
        let (wanted, flags) = match self.sockets.next_ready() {
            Some(socket) => (Handle::Socket(socket), EventFlags::EVENT_READ),
            None => {
                let (socket, flags) = self.datagrams.next_ready()?;
                (Handle::Datagram(socket), flags)
            }
        };
        let (id, _) = self.handles.iter().find(|(_, handle)| **handle == wanted)?;
        Some((id, flags))
    }
}

impl SchemeSync for Unix {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        _flags: usize,
        _fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        match self.handles.get(start) {
            Some(Handle::Root) => {}
            Some(_) => return Err(Error::new(ENOENT)),
            None => return Err(Error::new(EBADF)),
        }
        match path.trim_matches('/') {
            "" => Ok(self.open(Handle::Root)),
            "list" => {
                let text = self.sockets.list() + &self.datagrams.list();
                Ok(self.open(Handle::List(text)))
            }
            "new" => {
                let socket = self.sockets.create(Kind::Stream, ids(ctx));
                Ok(self.open_socket(Handle::Socket(socket)))
            }
            "sequence" => {
                let socket = self.sockets.create(Kind::Sequence, ids(ctx));
                Ok(self.open_socket(Handle::Socket(socket)))
            }
            "datagram" => {
                let socket = self.datagrams.create(ctx.pid);
                Ok(self.open_socket(Handle::Datagram(socket)))
            }
            path => self.connect_by(path, ids(ctx)),
        }
    }

    fn dup(&mut self, id: usize, what: &[u8], ctx: &CallerCtx) -> Result<OpenResult> {
        if let Handle::Datagram(_) = self.handle(id)? {
            return Err(UNKNOWN);
        }
        let socket = self.socket(id)?;
        let may_wait = match what {
            b"accept" => true,
            b"accept-now" => false,
            way => return self.connect_named(socket, way, ids(ctx)),
        };
        match self.sockets.accept(socket) {
            Err(Error { errno: EWOULDBLOCK }) if !may_wait => Err(Error::new(EAGAIN)),
            accepted => accepted.map(hand_over),
        }
    }

    fn call(
        &mut self,
        id: usize,
        payload: &mut [u8],
        metadata: &[u64],
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        if metadata.first() == Some(&BIND) {
            return self.bind(id, payload);
        }
        if let Handle::Datagram(socket) = *self.handle(id)? {
            return self.datagrams.call(socket, payload, metadata);
        }
        let socket = self.socket(id)?;
        match *metadata {
            [LISTEN, most, ..] => self.sockets.listen(socket, most as usize).map(|()| 0),
            [LISTENS, ..] => self.sockets.listens(socket).map(usize::from),
            [NAME, OWN, ..] => {
                let name = self.sockets.name(socket)?;
                let length = name.len().min(payload.len());
                payload[..length].copy_from_slice(&name[..length]);
                Ok(name.len())
            }
            [NAME, PEER, ..] | [PEER_IDS | RECEIVE | SEND | SHUTDOWN, ..] => {
                Err(Error::new(ENOTCONN))
            }
            _ => Err(UNKNOWN),
        }
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        match self.handles.get(id) {
            Some(Handle::List(text)) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                let rest = &text.as_bytes()[start..];
                let length = rest.len().min(buffer.len());
                buffer[..length].copy_from_slice(&rest[..length]);
                Ok(length)
            }
            Some(Handle::Root) => Err(Error::new(EISDIR)),
            Some(Handle::Socket(_)) => Err(Error::new(ENOTCONN)),
            Some(Handle::Datagram(socket)) => {
                let answer = self.datagrams.call(*socket, buffer, &[RECEIVE, 0, 0])?;
                Ok(answer & !CUT)
            }
            None => Err(Error::new(EBADF)),
        }
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        match *self.handle(id)? {
            Handle::Datagram(socket) => self.datagrams.send(socket, None, buffer),
            Handle::Socket(_) => Err(Error::new(ENOTCONN)),
            Handle::Root | Handle::List(_) => Err(Error::new(EINVAL)),
        }
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        match self.handles.get(id) {
            Some(Handle::List(text)) => Ok(text.len() as u64),
            Some(_) => Ok(0),
            None => Err(Error::new(EBADF)),
        }
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        if self.handles.contains(id) { Ok(0) } else { Err(Error::new(EBADF)) }
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        if let Handle::Datagram(socket) = *self.handle(id)? {
            return Ok(self.datagrams.watch(socket, wanted)? & wanted);
        }
        let socket = self.socket(id)?;
        let is_ready = self.sockets.watch(socket, wanted.contains(EventFlags::EVENT_READ))?;
        let ready = if is_ready { EventFlags::EVENT_READ } else { EventFlags::empty() };
        Ok(ready & wanted)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        match self.handles.get(id) {
            Some(Handle::Root) => Ok(device::write_path("unix", "", buffer)),
            Some(Handle::List(_)) => Ok(device::write_path("unix", "list", buffer)),
            Some(Handle::Socket(socket)) => {
                let name = match self.sockets.kind(*socket)? {
                    Kind::Stream => "new",
                    Kind::Sequence => "sequence",
                };
                Ok(device::write_path("unix", name, buffer))
            }
            Some(Handle::Datagram(_)) => Ok(device::write_path("unix", "datagram", buffer)),
            None => Err(Error::new(EBADF)),
        }
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        let st_mode = match self.handles.get(id) {
            Some(Handle::Root) => MODE_DIR | 0o555,
            Some(Handle::List(_)) => MODE_FILE | 0o444,
            Some(Handle::Socket(_) | Handle::Datagram(_)) => MODE_SOCK | 0o600,
            None => return Err(Error::new(EBADF)),
        };
        *stat = Stat { st_mode, st_nlink: 1, ..Stat::default() };
        Ok(())
    }

    fn on_close(&mut self, id: usize) {
        // The root is registered for as long as the daemon lives.
        if id == 0 {
            return;
        }
        match self.handles.try_remove(id) {
            Some(Handle::Socket(socket)) => self.sockets.close(socket),
            Some(Handle::Datagram(socket)) => self.datagrams.close(socket),
            Some(Handle::Root | Handle::List(_)) | None => {}
        }
    }

    fn translate_std_fs_call(
        &mut self,
        ids: &[usize],
        kind: StdFsCallKind,
        payload: &mut [u8],
        metadata: StdFsCallMeta,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        file_call::unpack(self, ids, kind, payload, metadata, ctx)
    }
}
