//! What sockets of `AF_UNIX` can be asked, and told: timeouts, who is at the other end, sequences of packets
//! with names.

use crate::files::place;
use crate::{Check, Outcome, holds, same};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("sockets/reading-and-writing-wait-so-long", timeouts),
    ("sockets/accepting-waits-so-long", accept_timeout),
    ("sockets/options-are-told", options),
    ("sockets/peers-say-who-they-are", peers),
    ("sockets/all-descriptors-are-connected", duplicates),
    ("sockets/who-connects-may-have-a-name", named_client),
    ("sockets/sequences-have-names", sequences),
    ("sockets/files-travel-with-packets", files),
    ("sockets/lengths-are-told-and-buffers-filled", lengths),
];

const SHORT: Duration = Duration::from_millis(30);

/// Fails unless it ends with `WouldBlock`, and not before the time.
fn waits<T>(wait: impl FnOnce() -> io::Result<T>) -> Outcome {
    let start = Instant::now();
    same!(wait().map_err(|error| error.kind()).err(), Some(ErrorKind::WouldBlock));
    holds!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
    Ok(())
}

fn timeouts() -> Outcome {
    let (one, other) = UnixStream::pair()?;
    same!(one.read_timeout()?, None);
    one.set_read_timeout(Some(SHORT))?;
    same!((one.read_timeout()?, one.write_timeout()?), (Some(SHORT), None));
    let copy = one.try_clone()?;
    waits(|| (&copy).read(&mut [0]))?;
    one.set_write_timeout(Some(SHORT))?;
    waits(|| (&one).write_all(&[0; 1 << 20]))?;
    let mut rest = vec![0; 1 << 16];
    (&other).read_exact(&mut rest)?;
    (&other).write_all(b"x")?;
    same!((&one).read(&mut [0])?, 1);
    one.set_read_timeout(None)?;
    same!(one.read_timeout()?, None);
    let late = thread::spawn(move || {
        thread::sleep(2 * SHORT);
        (&other).write_all(b"y")
    });
    same!((&one).read(&mut [0])?, 1);
    late.join().map_err(|_| "the writer panicked")??;
    // Packets, of the kernel and of the daemon.
    let (pair, _other) = UnixDatagram::pair()?;
    let path = place("patient");
    for socket in [pair, UnixDatagram::bind(&path)?] {
        socket.set_read_timeout(Some(SHORT))?;
        waits(|| socket.recv(&mut [0]))?;
        waits(|| socket.recv_from(&mut [0]))?;
    }
    fs::remove_file(&path)?;
    Ok(())
}

fn accept_timeout() -> Outcome {
    let path = place("patient-listener");
    let listener = UnixListener::bind(&path)?;
    let time = libc::timeval { tv_sec: 0, tv_usec: SHORT.as_micros() as libc::suseconds_t };
    let size = size_of::<libc::timeval>() as libc::socklen_t;
    // SAFETY: the value is ours.
    let set = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const time).cast(),
            size,
        )
    };
    same!(set, 0);
    waits(|| listener.accept())?;
    let _client = UnixStream::connect(&path)?;
    listener.accept()?;
    fs::remove_file(&path)?;
    Ok(())
}

fn option<T: Copy>(fd: RawFd, name: i32) -> io::Result<T> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: all zero is a valid value of what is asked for here, and the place is ours.
    unsafe {
        let mut value: T = zeroed();
        let place = (&raw mut value).cast();
        match libc::getsockopt(fd, libc::SOL_SOCKET, name, place, &mut length) {
            0 => Ok(value),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn options() -> Outcome {
    let path = place("asked");
    let listener = UnixListener::bind(&path)?;
    let stream = UnixStream::connect(&path)?;
    let fresh = socket(libc::SOCK_SEQPACKET)?;
    for (fd, listens, kind) in [
        (listener.as_raw_fd(), 1, libc::SOCK_STREAM),
        (stream.as_raw_fd(), 0, libc::SOCK_STREAM),
        (fresh.as_raw_fd(), 0, libc::SOCK_SEQPACKET),
    ] {
        same!(option::<i32>(fd, libc::SO_ACCEPTCONN)?, listens);
        same!(option::<i32>(fd, libc::SO_TYPE)?, kind);
        same!(option::<i32>(fd, libc::SO_ERROR)?, 0);
        holds!(option::<i32>(fd, libc::SO_SNDBUF)? >= 4096);
        let error = option::<i32>(fd, libc::SO_PEERSEC).err().and_then(|e| e.raw_os_error());
        same!(error, Some(libc::ENOPROTOOPT));
    }
    let size = 8192_i32;
    // SAFETY: the value is ours.
    let set = |name, length| unsafe {
        let value = (&raw const size).cast();
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, name, value, length)
    };
    same!(set(libc::SO_RCVBUF, 4), 0);
    same!(set(libc::SO_RCVTIMEO, 4), -1);
    same!(io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
    let pipe = io::pipe()?;
    let error = option::<i32>(pipe.0.as_raw_fd(), libc::SO_TYPE).err();
    same!(error.and_then(|error| error.raw_os_error()), Some(libc::ENOTSOCK));
    fs::remove_file(&path)?;
    Ok(())
}

fn ids(fd: RawFd) -> io::Result<(i32, u32, u32)> {
    let ids = option::<libc::ucred>(fd, libc::SO_PEERCRED)?;
    Ok((ids.pid, ids.uid as u32, ids.gid as u32))
}

fn peers() -> Outcome {
    let own = std::process::id() as i32;
    let (one, _other) = UnixStream::pair()?;
    same!(ids(one.as_raw_fd())?, (own, 0, 0));
    let path = place("identified");
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    // SAFETY: the child only makes calls, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            libc::setgid(1001);
            libc::setuid(1000);
            let fits = || {
                let mut stream = UnixStream::connect(&path)?;
                let fits = ids(stream.as_raw_fd())? == (own, 0, 0);
                stream.read_exact(&mut [0])?;
                io::Result::Ok(fits)
            };
            libc::_exit(i32::from(!matches!(fits(), Ok(true))));
        }
    }
    let (mut stream, _) = listener.accept()?;
    same!(ids(stream.as_raw_fd())?, (child, 1000, 1001));
    stream.write_all(b"!")?;
    let mut status = 0;
    // SAFETY: the status is ours.
    same!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    same!(status, 0);
    fs::remove_file(&path)?;
    Ok(())
}

fn socket(kind: i32) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor belongs to nobody else.
    unsafe {
        match libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Calls `bind` or `connect` with a path.
fn with_address(
    call: unsafe extern "C" fn(RawFd, *const libc::sockaddr, libc::socklen_t) -> i32,
    fd: &OwnedFd,
    path: &Path,
) -> io::Result<()> {
    // SAFETY: the address is ours, and long enough for the paths of these checks.
    unsafe {
        let mut address: libc::sockaddr_un = zeroed();
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (place, byte) in address.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
            *place = *byte as libc::c_char;
        }
        let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
        match call(fd.as_raw_fd(), (&raw const address).cast(), length) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn named_client() -> Outcome {
    for kind in [libc::SOCK_STREAM, libc::SOCK_STREAM | libc::SOCK_NONBLOCK] {
        let (path, own) = (place("listening"), place("calling"));
        let listener = UnixListener::bind(&path)?;
        let socket = socket(kind)?;
        with_address(libc::bind, &socket, &own)?;
        with_address(libc::connect, &socket, &path)?;
        let (end, from) = listener.accept()?;
        let client = UnixStream::from(socket);
        for (address, expected) in [
            (from, &own),
            (end.peer_addr()?, &own),
            (client.local_addr()?, &own),
            (client.peer_addr()?, &path),
        ] {
            same!(address.as_pathname(), Some(expected.as_path()));
        }
        drop(listener);
        let late = self::socket(kind)?;
        std::fs::remove_file(&own)?;
        with_address(libc::bind, &late, &own)?;
        let refused = with_address(libc::connect, &late, &path).map_err(|error| error.kind());
        same!(refused, Err(io::ErrorKind::ConnectionRefused));
        std::fs::remove_file(&own)?;
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

fn duplicates() -> Outcome {
    let path = place("twice");
    let listener = UnixListener::bind(&path)?;
    let one = socket(libc::SOCK_STREAM)?;
    let other = one.try_clone()?;
    with_address(libc::connect, &one, &path)?;
    let (mut end, _) = listener.accept()?;
    let (mut one, mut other) = (UnixStream::from(one), UnixStream::from(other));
    other.write_all(b"other")?;
    one.write_all(b"one")?;
    let mut eight = [0; 8];
    end.read_exact(&mut eight)?;
    same!(&eight, b"otherone");
    drop(one);
    end.write_all(b"back")?;
    let mut four = [0; 4];
    other.read_exact(&mut four)?;
    same!(&four, b"back");
    drop(other);
    same!(end.read(&mut four)?, 0);
    fs::remove_file(&path)?;
    Ok(())
}

fn receive(fd: &OwnedFd, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
    // SAFETY: the buffer is ours.
    let count =
        unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn send(fd: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are ours.
    let count =
        unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_EOR) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn sequences() -> Outcome {
    let path = place("sequence");
    let listener = socket(libc::SOCK_SEQPACKET)?;
    with_address(libc::bind, &listener, &path)?;
    // SAFETY: no memory is involved.
    same!(unsafe { libc::listen(listener.as_raw_fd(), 4) }, 0);
    let stream = socket(libc::SOCK_STREAM)?;
    let refused = with_address(libc::connect, &stream, &path).err();
    same!(refused.and_then(|error| error.raw_os_error()), Some(libc::EPROTOTYPE));
    let client = socket(libc::SOCK_SEQPACKET)?;
    let unconnected = send(&client, b"x").err().and_then(|error| error.raw_os_error());
    same!(unconnected, Some(libc::ENOTCONN));
    with_address(libc::connect, &client, &path)?;
    let again = with_address(libc::connect, &client, &path).err();
    same!(again.and_then(|error| error.raw_os_error()), Some(libc::EISCONN));
    // SAFETY: the descriptor belongs to nobody else.
    let server = unsafe {
        let fd = libc::accept(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut());
        holds!(fd >= 0);
        OwnedFd::from_raw_fd(fd)
    };
    same!(option::<i32>(server.as_raw_fd(), libc::SO_TYPE)?, libc::SOCK_SEQPACKET);
    for packet in [&b"first"[..], b"the second"] {
        same!(send(&client, packet)?, packet.len());
    }
    let mut buffer = [0; 64];
    same!((receive(&server, &mut buffer, 0)?, &buffer[..5]), (5, &b"first"[..]));
    same!((receive(&server, &mut buffer[..3], 0)?, &buffer[..3]), (3, &b"the"[..]));
    same!(send(&server, b"back")?, 4);
    same!(receive(&client, &mut buffer, 0)?, 4);
    let peer = UnixStream::from(client);
    let address = peer.peer_addr()?;
    same!(address.as_pathname(), Some(path.as_path()));
    drop(peer);
    same!(receive(&server, &mut buffer, 0)?, 0);
    same!(send(&server, b"x").map_err(|e| e.kind()).err(), Some(ErrorKind::BrokenPipe));
    fs::remove_file(&path)?;
    Ok(())
}

fn files() -> Outcome {
    for kind in [libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        let mut ends = [0; 2];
        // SAFETY: the places are ours, and the descriptors belong to nobody else.
        let [one, other] = unsafe {
            same!(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()), 0);
            ends.map(|fd| UnixStream::from_raw_fd(fd))
        };
        let (mut reader, writer) = io::pipe()?;
        same!(crate::sockets::send(&one, b"plain", &[])?, 5);
        same!(crate::sockets::send(&one, b"", &[writer.as_raw_fd()])?, 0);
        same!(crate::sockets::send(&one, b"lost", &[writer.as_raw_fd()])?, 4);
        same!(crate::sockets::send(&one, b"closed", &[writer.as_raw_fd()])?, 6);
        drop(writer);
        let own = crate::sockets::send(&one, b"x", &[other.as_raw_fd()]).err();
        same!(own.and_then(|error| error.raw_os_error()), Some(libc::ETOOMANYREFS));
        let (bytes, none, _) = crate::sockets::receive(&other, 8)?;
        same!((bytes, none.len()), (b"plain".to_vec(), 0));
        let (bytes, files, flags) = crate::sockets::receive(&other, 8)?;
        same!((bytes, files.len(), flags), (b"".to_vec(), 1, 0));
        let mut writer = File::from(files.into_iter().next().ok_or("no file")?);
        writer.write_all(b"through")?;
        drop(writer);
        let (_, files, flags) = crate::sockets::receive(&other, 0)?;
        same!((files.len(), flags), (0, libc::MSG_CTRUNC));
        // What nobody has received goes with the socket, and the pipe has no writers any more.
        drop((one, other));
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        same!(text, "through");
    }
    Ok(())
}

fn lengths() -> Outcome {
    let path = place("longer");
    let (one, other) = UnixDatagram::pair()?;
    let named = UnixDatagram::bind(&path)?;
    one.send(b"twelve bytes")?;
    one.send(b"twelve bytes")?;
    one.send_to(b"x", &path).err().ok_or("a pair has one peer")?;
    UnixDatagram::unbound()?.send_to(b"twelve bytes", &path)?;
    let mut four = [0; 4];
    let (other, named) = (OwnedFd::from(other), OwnedFd::from(named));
    same!(receive(&other, &mut four, libc::MSG_TRUNC | libc::MSG_PEEK)?, 12);
    same!(receive(&other, &mut four, libc::MSG_TRUNC)?, 12);
    same!((receive(&other, &mut four, 0)?, &four), (4, b"twel"));
    same!(receive(&named, &mut four, libc::MSG_TRUNC)?, 12);
    let (one, other) = UnixStream::pair()?;
    let writer = thread::spawn(move || {
        (&one).write_all(b"half")?;
        thread::sleep(SHORT);
        (&one).write_all(b" and half, and the last")
    });
    let other = OwnedFd::from(other);
    let mut buffer = [0; 13];
    same!(receive(&other, &mut buffer, libc::MSG_WAITALL)?, 13);
    same!(&buffer, b"half and half");
    same!(receive(&other, &mut buffer, libc::MSG_WAITALL)?, 13);
    same!(receive(&other, &mut buffer, libc::MSG_WAITALL)?, 1);
    writer.join().map_err(|_| "the writer panicked")??;
    fs::remove_file(&path)?;
    Ok(())
}
