//! Packets between sockets of `AF_UNIX`: pairs, and sockets that send each other by name.

use crate::files::place;
use crate::{Check, Outcome, holds, same};
use std::fs;
use std::io::{self, ErrorKind};
use std::mem::zeroed;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

pub(crate) const CHECKS: &[Check] = &[
    ("sockets/datagrams-keep-their-bounds", pairs),
    ("sockets/sequences-tell-what-they-are", sequences),
    ("sockets/datagrams-find-each-other-by-name", named),
    ("sockets/a-connected-datagram-socket-hears-its-peer", connected),
    ("sockets/datagrams-without-a-receiver-are-told", nobody),
    ("sockets/senders-wait-for-room", room),
    ("sockets/messages-have-senders", messages),
    ("sockets/many-wait-with-large-buffers", waiting),
];

fn errno<T>(outcome: io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

fn pairs() -> Outcome {
    let (one, other) = UnixDatagram::pair()?;
    for packet in [&b"first"[..], b"", b"the third"] {
        same!(one.send(packet)?, packet.len());
    }
    same!(other.send(b"back")?, 4);
    let mut buffer = [0; 64];
    same!((other.recv(&mut buffer)?, &buffer[..5]), (5, &b"first"[..]));
    same!(other.recv(&mut buffer)?, 0);
    same!((other.recv(&mut buffer[..3])?, &buffer[..3]), (3, &b"the"[..]));
    let (length, from) = one.recv_from(&mut buffer)?;
    same!((&buffer[..length], from.is_unnamed()), (&b"back"[..], true));
    other.set_nonblocking(true)?;
    same!(other.recv(&mut buffer).map_err(|e| e.kind()).err(), Some(ErrorKind::WouldBlock));
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        one.send(b"late")
    });
    other.set_nonblocking(false)?;
    same!(other.recv(&mut buffer)?, 4);
    same!(late.join().map_err(|_| "the sender panicked")??, 4);
    Ok(())
}

fn sequences() -> Outcome {
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        let mut ends = [0; 2];
        // SAFETY: the places are ours, and the descriptors belong to nobody else.
        let ends = unsafe {
            same!(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()), 0);
            ends.map(|end| OwnedFd::from_raw_fd(end))
        };
        let fd = ends[1].as_raw_fd();
        same!(kind_of(fd), Some(kind));
        let packet = b"more than there is room for";
        let mut buffer = [0_u8; 4];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: the message describes memory of ours.
        unsafe {
            same!(libc::send(ends[0].as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0), 27);
            let mut message: libc::msghdr = zeroed();
            (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
            same!(libc::recvmsg(fd, &mut message, 0), 4);
            let is_cut = message.msg_flags & libc::MSG_TRUNC != 0;
            same!((is_cut, &buffer), (kind != libc::SOCK_STREAM, b"more"));
        }
    }
    Ok(())
}

/// What kind of socket it says it is.
fn kind_of(fd: i32) -> Option<i32> {
    let mut told = 0_i32;
    let mut size = size_of::<i32>() as libc::socklen_t;
    let place = (&raw mut told).cast();
    // SAFETY: the places are ours.
    let answer = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, place, &mut size) };
    (answer == 0).then_some(told)
}

/// A socket with a name that is free.
fn bound(name: &str) -> io::Result<(UnixDatagram, PathBuf)> {
    let path = place(name);
    Ok((UnixDatagram::bind(&path)?, path))
}

fn named() -> Outcome {
    let (server, path) = bound("datagrams")?;
    let address = server.local_addr()?;
    same!(address.as_pathname(), Some(path.as_path()));
    same!(kind_of(server.as_raw_fd()), Some(libc::SOCK_DGRAM));
    same!(UnixDatagram::bind(&path).map_err(|e| e.kind()).err(), Some(ErrorKind::AddrInUse));
    let (client, own) = bound("answers")?;
    same!(client.send_to(b"first", &path)?, 5);
    same!(client.send_to(b"", &path)?, 0);
    same!(UnixDatagram::unbound()?.send_to(b"nameless", &path)?, 8);
    let mut buffer = [0; 64];
    let (length, from) = server.recv_from(&mut buffer)?;
    same!((&buffer[..length], from.as_pathname()), (&b"first"[..], Some(own.as_path())));
    same!(server.send_to(b"answer", &own)?, 6);
    same!(server.recv_from(&mut buffer)?.0, 0);
    let (length, from) = server.recv_from(&mut buffer)?;
    same!((&buffer[..length], from.is_unnamed()), (&b"nameless"[..], true));
    same!((client.recv(&mut buffer[..3])?, &buffer[..3]), (3, &b"ans"[..]));
    // A child sends, and whoever may not open the file may not.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    // SAFETY: the child only makes calls, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let sent = client.send_to(b"from the child", &path).is_ok();
        // SAFETY: as above.
        unsafe {
            libc::setgid(1000);
            libc::setuid(1000);
        }
        let refused = errno(client.send_to(b"x", &path)) == Some(libc::EACCES);
        // SAFETY: as above.
        unsafe { libc::_exit(i32::from(!(sent && refused))) };
    }
    same!(server.recv(&mut buffer)?, 14);
    let mut status = 0;
    // SAFETY: the status is ours.
    same!((unsafe { libc::waitpid(child, &mut status, 0) }, status), (child, 0));
    fs::remove_file(&path)?;
    fs::remove_file(&own)?;
    Ok(())
}

fn connected() -> Outcome {
    let (one, first) = bound("one")?;
    let (two, second) = bound("two")?;
    same!(errno(one.send(b"x")), Some(libc::ENOTCONN));
    same!(errno(one.peer_addr()), Some(libc::ENOTCONN));
    one.connect(&second)?;
    let peer = one.peer_addr()?;
    same!(peer.as_pathname(), Some(second.as_path()));
    same!(one.send(b"connected")?, 9);
    let mut buffer = [0; 16];
    let (_, from) = two.recv_from(&mut buffer)?;
    same!(from.as_pathname(), Some(first.as_path()));
    let other = UnixDatagram::unbound()?;
    same!(errno(other.send_to(b"x", &first)), Some(libc::EPERM));
    same!(errno(other.connect(&first)), Some(libc::EPERM));
    // A second descriptor is the same socket, connected and all.
    same!(one.try_clone()?.send(b"cloned")?, 6);
    same!(two.recv(&mut buffer)?, 6);
    // Connected again to somebody else.
    let (three, third) = bound("three")?;
    one.connect(&third)?;
    same!(one.send(b"to three")?, 8);
    same!(three.recv(&mut buffer)?, 8);
    same!(three.send_to(b"back", &first)?, 4);
    same!(one.recv(&mut buffer)?, 4);
    one.shutdown(Shutdown::Write)?;
    same!(errno(one.send(b"x")), Some(libc::EPIPE));
    three.shutdown(Shutdown::Read)?;
    same!(three.recv(&mut buffer)?, 0);
    [first, second, third].iter().try_for_each(fs::remove_file)?;
    Ok(())
}

fn nobody() -> Outcome {
    let (one, path) = bound("gone")?;
    let client = UnixDatagram::unbound()?;
    client.connect(&path)?;
    same!(errno(UnixStream::connect(&path)), Some(libc::EPROTOTYPE));
    same!(errno(client.send_to(&[0; 65537], &path)), Some(libc::EMSGSIZE));
    same!(errno(client.send(&[0; 65537])), Some(libc::EMSGSIZE));
    drop(one);
    same!(errno(client.send(b"x")), Some(libc::ECONNREFUSED));
    same!(errno(client.send(b"x")), Some(libc::ENOTCONN));
    same!(errno(client.send_to(b"x", &path)), Some(libc::ECONNREFUSED));
    same!(errno(client.connect(&path)), Some(libc::ECONNREFUSED));
    fs::write(&path, "just text")?;
    same!(errno(client.send_to(b"x", &path)), Some(libc::ECONNREFUSED));
    fs::remove_file(&path)?;
    same!(errno(client.send_to(b"x", &path)), Some(libc::ENOENT));
    // What is no socket, and what has a peer.
    let (reader, _writer) = io::pipe()?;
    let (end, _other) = UnixStream::pair()?;
    // SAFETY: an address of ours.
    unsafe {
        let mut address: libc::sockaddr_un = zeroed();
        (address.sun_family, address.sun_path[0]) = (libc::AF_UNIX as _, b'/' as _);
        let address = (&raw const address).cast();
        let send = |fd: i32| match libc::sendto(fd, b"x".as_ptr().cast(), 1, 0, address, 4) {
            -1 => io::Error::last_os_error().raw_os_error(),
            _ => None,
        };
        same!(send(reader.as_raw_fd()), Some(libc::ENOTSOCK));
        same!(send(end.as_raw_fd()), Some(libc::EISCONN));
        same!((libc::listen(client.as_raw_fd(), 1), errno_now()), (-1, Some(libc::EOPNOTSUPP)));
    }
    Ok(())
}

fn errno_now() -> Option<i32> {
    io::Error::last_os_error().raw_os_error()
}

fn room() -> Outcome {
    let (server, path) = bound("full")?;
    let client = UnixDatagram::unbound()?;
    client.connect(&path)?;
    client.set_nonblocking(true)?;
    let mut sent = 0;
    let refused = loop {
        match client.send(&[7; 1000]) {
            Ok(_) => sent += 1,
            Err(error) => break error.kind(),
        }
    };
    same!((refused, sent), (ErrorKind::WouldBlock, 65));
    let mut poll = libc::pollfd { fd: client.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, ours.
    same!(unsafe { libc::poll(&mut poll, 1, 0) }, 0);
    client.set_nonblocking(false)?;
    let waiting = thread::spawn(move || client.send(&[8; 1000]));
    let mut buffer = [0; 1000];
    for _ in 0..sent {
        same!((server.recv(&mut buffer)?, buffer[0]), (1000, 7));
    }
    same!((server.recv(&mut buffer)?, buffer[0]), (1000, 8));
    same!(waiting.join().map_err(|_| "the sender panicked")??, 1000);
    // Whoever waits for packets is told.
    let mut poll = libc::pollfd { fd: server.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, ours.
    same!(unsafe { libc::poll(&mut poll, 1, 0) }, 0);
    let late = thread::spawn({
        let path = path.clone();
        move || {
            thread::sleep(Duration::from_millis(20));
            UnixDatagram::unbound().and_then(|socket| socket.send_to(b"x", path))
        }
    });
    // SAFETY: as above.
    same!(unsafe { libc::poll(&mut poll, 1, 10_000) }, 1);
    same!(late.join().map_err(|_| "the sender panicked")??, 1);
    fs::remove_file(&path)?;
    Ok(())
}

fn messages() -> Outcome {
    let (server, path) = bound("messages")?;
    let (client, own) = bound("sender")?;
    let (mut head, mut tail) = (*b"two ", *b"parts");
    let mut parts = [&mut head[..], &mut tail[..]]
        .map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
    // SAFETY: the messages describe memory of ours.
    unsafe {
        let mut address: libc::sockaddr_un = zeroed();
        address.sun_family = libc::AF_UNIX as _;
        for (place, byte) in address.sun_path.iter_mut().zip(path.as_os_str().as_encoded_bytes()) {
            *place = *byte as _;
        }
        let mut message: libc::msghdr = zeroed();
        (message.msg_iov, message.msg_iovlen) = (parts.as_mut_ptr(), 2);
        message.msg_name = (&raw mut address).cast();
        message.msg_namelen = size_of_val(&address) as _;
        same!(libc::sendmsg(client.as_raw_fd(), &message, 0), 9);
        address.sun_path.fill(0);
        (*message.msg_iov.add(1)).iov_len = 3;
        same!(libc::recvmsg(server.as_raw_fd(), &mut message, 0), 7);
        holds!(message.msg_flags & libc::MSG_TRUNC != 0);
        let name = address.sun_path.map(|byte| byte as u8);
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        same!(&name[..end], own.as_os_str().as_encoded_bytes());
    }
    fs::remove_file(&path)?;
    fs::remove_file(&own)?;
    Ok(())
}

/// More than the daemon's window has room for: none of them keeps the others from going on.
fn waiting() -> Outcome {
    const THREADS: usize = 150;
    let (server, path) = bound("crowd")?;
    let waiting: Vec<_> = (0..THREADS)
        .map(|_| -> io::Result<_> {
            let socket = server.try_clone()?;
            Ok(thread::spawn(move || socket.recv(&mut vec![0; 64 << 10])))
        })
        .collect::<io::Result<_>>()?;
    let client = UnixDatagram::unbound()?;
    let (mut received, mut refused) = (0, 0);
    for thread in waiting {
        while !thread.is_finished() {
            client.set_nonblocking(true)?;
            let sent = client.send_to(b"x", &path);
            holds!(sent.is_ok() || errno(sent) == Some(libc::EAGAIN));
            thread::yield_now();
        }
        match thread.join().map_err(|_| "a receiver panicked")? {
            Ok(1) => received += 1,
            outcome => {
                same!(errno(outcome), Some(libc::ENOBUFS));
                refused += 1;
            }
        }
    }
    same!(received + refused, THREADS);
    fs::remove_file(&path)?;
    Ok(())
}
