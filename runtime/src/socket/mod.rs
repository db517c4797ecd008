//! Sockets of `AF_UNIX`: streams, over two-way pipes of the kernel, and pairs that exchange packets.
//!
//! `socketpair` opens `pipe:pair`, or `packet:`. A socket for streams on its own is a file of `unix:`
//! until it is connected; then its descriptor names an end of a two-way pipe. One for packets stays
//! what it is. The path that a socket is bound to is an ordinary file, in which stands what leads to
//! it, so that file's permissions decide who may connect, and send.

mod address;
mod datagram;
mod message;
mod option;

use crate::errno::Answer;
use crate::fs::name::remove;
use crate::fs::open::{masked, open_path};
use crate::fs::path::Given;
use crate::sys::file::{self, File};
use crate::sys::{Result, error};
use abi::number::{F_REPLACE, O_CLOEXEC};
use abi::redox::flag::{F_GETFL, F_SETFL, O_CREAT, O_EXCL, O_NONBLOCK, O_RDWR};
use abi::socket::{
    BIND, LISTEN, NAME, NAME_MAX, OWN, PEER, SHUT_READ, SHUT_WRITE, SHUTDOWN, TOKEN,
};
use address::Name;
use libc::{c_int, sockaddr, socklen_t};

/// What a pair of `SOCK_DGRAM` is an end of.
const DATAGRAMS: &[u8] = b"packet:datagram";
/// What a pair of `SOCK_SEQPACKET` is an end of.
const SEQUENCE: &[u8] = b"packet:sequence";
/// What a socket of `SOCK_DGRAM` on its own is, as its daemon calls it.
const NAMED_DATAGRAMS: &[u8] = b"/scheme/unix/datagram";
/// What a socket of `SOCK_SEQPACKET` on its own is.
const NAMED_SEQUENCE: &[u8] = b"/scheme/unix/sequence";
/// The family of no address. The libc crate has no name for it on this target.
const AF_UNSPEC: c_int = 0;
/// What stands before the token in a socket's file.
const PREFIX: &[u8; 8] = b"unix:to/";

/// The kind of a socket to be, and its flags: for `open`. Only of `AF_UNIX`.
fn flags(family: c_int, kind: c_int, protocol: c_int) -> Result<(c_int, usize)> {
    let flags = kind & (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    if family != libc::AF_UNIX {
        return error(libc::EAFNOSUPPORT);
    }
    if protocol != 0 {
        return error(libc::EPROTONOSUPPORT);
    }
    let status = if flags & libc::SOCK_NONBLOCK != 0 { O_NONBLOCK } else { 0 };
    let on_exec = if flags & libc::SOCK_CLOEXEC != 0 { O_CLOEXEC } else { 0 };
    Ok((kind & !flags, O_RDWR | status | on_exec))
}

/// Two ends of a two-way pipe.
fn pair((kind, flags): (c_int, usize)) -> Result<(File, File)> {
    let path: &[u8] = match kind {
        libc::SOCK_STREAM => b"pipe:pair",
        libc::SOCK_DGRAM => DATAGRAMS,
        libc::SOCK_SEQPACKET => SEQUENCE,
        _ => return error(libc::EPROTONOSUPPORT),
    };
    let one = File::open(path, flags)?;
    // The other end inherits the status flags, but not close-on-exec.
    let other = File::adopt(file::dup(one.fd(), b"peer")?);
    if flags & O_CLOEXEC != 0 {
        file::set_close_on_exec(other.fd())?;
    }
    Ok((one, other))
}

/// Makes two connected sockets of `AF_UNIX`.
#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(
    family: c_int,
    kind: c_int,
    protocol: c_int,
    places: *mut c_int,
) -> c_int {
    let made = flags(family, kind, protocol).and_then(pair).map(|(one, other)| {
        // SAFETY: the caller gave two places.
        unsafe {
            places.write(one.into_fd() as c_int);
            places.add(1).write(other.into_fd() as c_int);
        }
        0_isize
    });
    made.int()
}

/// Makes a socket of `AF_UNIX`.
#[unsafe(no_mangle)]
extern "C" fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
    let made = flags(family, kind, protocol).and_then(|(kind, flags)| match kind {
        libc::SOCK_STREAM => File::open(b"unix:new", flags),
        libc::SOCK_DGRAM => File::open(NAMED_DATAGRAMS, flags),
        libc::SOCK_SEQPACKET => File::open(NAMED_SEQUENCE, flags),
        _ => error(libc::EPROTONOSUPPORT),
    });
    made.map(File::into_fd).int()
}

fn bind_to(fd: c_int, name: &Name) -> Result<usize> {
    let fd = file::number(fd)?;
    let mut payload = [0; NAME_MAX];
    payload[..name.bytes().len()].copy_from_slice(name.bytes());
    let length = name.bytes().len().max(TOKEN);
    let Some(path) = name.path() else {
        return file::message(fd, &mut payload[..length], &[BIND]);
    };
    Given::new(path).with(|path| {
        let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | masked(0o777);
        let node = open_path(path, flags).map_err(|error| match error.errno {
            libc::EEXIST => crate::sys::Error::new(libc::EADDRINUSE),
            _ => error,
        })?;
        let mut text = [0; PREFIX.len() + TOKEN];
        text[..PREFIX.len()].copy_from_slice(PREFIX);
        let bound = file::message(fd, &mut payload[..length], &[BIND]).and_then(|_| {
            text[PREFIX.len()..].copy_from_slice(&payload[..TOKEN]);
            node.write(&text)
        });
        if bound.is_err() {
            // The name is free again; there is nothing more to do when that fails, too.
            let _ = remove(path.as_bytes(), 0);
        }
        bound
    })
}

/// Gives a socket its name: a path that is not there yet, or, after a NUL, any bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    // SAFETY: the caller gave `length` bytes.
    unsafe { Name::read(address, length) }.and_then(|name| bind_to(fd, &name)).zero()
}

/// Lets others connect.
#[unsafe(no_mangle)]
extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    let most = u64::try_from(backlog).unwrap_or_default();
    file::number(fd).and_then(|fd| file::message(fd, &mut [], &[LISTEN, most])).zero()
}

/// What leads to a socket: the token in its file, or the name after a NUL.
struct Way {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl Way {
    fn to(name: &Name) -> Result<Self> {
        let mut way = Self { bytes: [0; NAME_MAX], length: name.bytes().len() };
        let Some(path) = name.path() else {
            way.bytes[..way.length].copy_from_slice(name.bytes());
            return Ok(way);
        };
        Given::new(path).with(|path| {
            // Whoever may not read and write the file may not connect, and hears it here.
            let node = open_path(path, O_RDWR | O_CLOEXEC)?;
            let mut text = [0; PREFIX.len() + TOKEN];
            let length = node.read_full(&mut text)?;
            if length != text.len() || !text.starts_with(PREFIX) {
                return error(libc::ECONNREFUSED);
            }
            way.bytes[..TOKEN].copy_from_slice(&text[PREFIX.len()..]);
            way.length = TOKEN;
            Ok(())
        })?;
        Ok(way)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }

    /// An end of a new connection, of a kind, to whoever listens there.
    fn open(&self, kind: c_int, flags: usize) -> Result<File> {
        let (root, way, rest): (&[u8], &[u8], _) = match (kind, self.bytes()) {
            (libc::SOCK_SEQPACKET, [0, rest @ ..]) => (NAMED_SEQUENCE, b"/@", rest),
            (libc::SOCK_SEQPACKET, token) => (NAMED_SEQUENCE, b"/to/", token),
            (_, [0, rest @ ..]) => (b"unix:", b"@", rest),
            (_, token) => (PREFIX, b"", token),
        };
        const LONGEST: usize = NAMED_SEQUENCE.len() + b"/to/".len() + NAME_MAX;
        let (mut path, mut length) = ([0; LONGEST], 0);
        for part in [root, way, rest] {
            path[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        File::open(&path[..length], flags)
    }

    /// The same for a socket that has a name, which the other side is told.
    fn open_from(&self, socket: usize, may_wait: bool) -> Result<File> {
        let now: &[u8] = if may_wait { b"" } else { b"now-" };
        let (way, rest): (&[u8], &[u8]) = match self.bytes() {
            [0, rest @ ..] => (b"@", rest),
            token => (b"to/", token),
        };
        const LONGEST: usize = b"now-to/".len() + NAME_MAX;
        let (mut what, mut length) = ([0; LONGEST], 0);
        for part in [now, way, rest] {
            what[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        let end = File::adopt(file::dup(socket, &what[..length])?);
        file::set_close_on_exec(end.fd())?;
        Ok(end)
    }
}

fn connect_to(fd: c_int, name: &Name) -> Result<usize> {
    let fd = file::number(fd)?;
    if datagram::is_one(fd) {
        return datagram::connect(fd, Some(name));
    }
    let status = file::fcntl(fd, F_GETFL, 0)?;
    if file::stat(fd)?.st_mode & libc::S_IFMT as u16 != libc::S_IFSOCK as u16 {
        return error(libc::ENOTSOCK);
    }
    if address::is_connected(fd) {
        return error(libc::EISCONN);
    }
    let is_named = address::ask(fd, &mut [0], &[NAME, OWN])? > 0;
    let (way, nonblocking) = (Way::to(name)?, status & O_NONBLOCK);
    let end = match is_named {
        true => way.open_from(fd, nonblocking == 0)?,
        false => way.open(option::kind(fd)?, O_RDWR | O_CLOEXEC | nonblocking)?,
    };
    file::fcntl(end.fd(), F_SETFL, status)?;
    file::fcntl(fd, F_REPLACE, end.fd())
}

/// Connects a socket to the one with a name. Descriptors of other processes for the same stream stay as
/// they are.
/// A socket for packets may be connected again, and, with an address of no family, to nobody.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    // SAFETY: the caller gave `length` bytes.
    if unsafe { datagram::is_none(address, length) } {
        let undone = file::number(fd).and_then(|fd| match datagram::is_one(fd) {
            true => datagram::connect(fd, None),
            false => error(libc::EAFNOSUPPORT),
        });
        return undone.zero();
    }
    // SAFETY: the caller gave `length` bytes.
    unsafe { Name::read(address, length) }.and_then(|name| connect_to(fd, &name)).zero()
}

fn accept_one(fd: c_int, flags: c_int) -> Result<File> {
    if flags & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) != 0 {
        return error(libc::EINVAL);
    }
    let fd = file::number(fd)?;
    let is_nonblocking = file::fcntl(fd, F_GETFL, 0)? & O_NONBLOCK != 0;
    let what: &[u8] = if is_nonblocking { b"accept-now" } else { b"accept" };
    let end = File::adopt(file::dup(fd, what)?);
    if flags & libc::SOCK_CLOEXEC != 0 {
        file::set_close_on_exec(end.fd())?;
    }
    file::set_status_flag(end.fd(), O_NONBLOCK, flags & libc::SOCK_NONBLOCK != 0)?;
    Ok(end)
}

/// The oldest connection that waits, close-on-exec and non-blocking if asked for.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    let accepted = accept_one(fd, flags);
    if let Ok(end) = &accepted
        && !address.is_null()
        && !length.is_null()
    {
        let mut name = [0; NAME_MAX];
        let told = address::ask(end.fd(), &mut name, &[NAME, PEER]).unwrap_or(0);
        // SAFETY: the caller gave `length` bytes.
        unsafe { address::write(&name[..told.min(name.len())], address, length) };
    }
    accepted.map(File::into_fd).int()
}

/// The oldest connection that waits.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { accept4(fd, address, length, 0) }
}

/// Ends one direction of a connection, or both.
#[unsafe(no_mangle)]
extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    let how = match how {
        libc::SHUT_RD => Ok(SHUT_READ),
        libc::SHUT_WR => Ok(SHUT_WRITE),
        libc::SHUT_RDWR => Ok(SHUT_READ | SHUT_WRITE),
        _ => error(libc::EINVAL),
    };
    let shut = how.and_then(|how| address::ask(file::number(fd)?, &mut [], &[SHUTDOWN, how]));
    shut.zero()
}
