//! Streams of `AF_UNIX`.

use crate::files::place;
use crate::{Check, Outcome, holds, same};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::zeroed;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

pub(crate) const CHECKS: &[Check] = &[
    ("sockets/a-name-brings-two-together", named),
    ("sockets/many-connect-at-once", many),
    ("sockets/one-direction-ends-alone", half),
    ("sockets/who-may-not-open-the-file-may-not-connect", refused),
    ("sockets/accepting-need-not-wait", nonblocking),
    ("sockets/files-travel-with-bytes", files),
    ("sockets/files-that-nobody-takes-are-closed", lost),
    ("sockets/a-pipe-does-not-carry-itself", circle),
    ("sockets/what-is-none-is-told", none),
];

fn named() -> Outcome {
    let path = place("socket");
    let listener = UnixListener::bind(&path)?;
    let address = listener.local_addr()?;
    same!(address.as_pathname(), Some(path.as_path()));
    same!(UnixListener::bind(&path).map_err(|e| e.kind()).err(), Some(ErrorKind::AddrInUse));
    let client = thread::spawn({
        let path = path.clone();
        move || -> io::Result<String> {
            let mut stream = UnixStream::connect(&path)?;
            if stream.peer_addr()?.as_pathname() != Some(path.as_path()) {
                return Err(io::Error::other("another peer"));
            }
            stream.write_all(b"hello")?;
            stream.shutdown(Shutdown::Write)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        }
    });
    let (mut stream, from) = listener.accept()?;
    holds!(from.is_unnamed());
    let mut question = String::new();
    stream.read_to_string(&mut question)?;
    same!(question, "hello");
    stream.write_all(b"world")?;
    drop(stream);
    same!(client.join().map_err(|_| "the client panicked")??, "world");
    drop(listener);
    same!(
        UnixStream::connect(&path).map_err(|e| e.kind()).err(),
        Some(ErrorKind::ConnectionRefused)
    );
    fs::remove_file(&path)?;
    same!(UnixStream::connect(&path).map_err(|e| e.kind()).err(), Some(ErrorKind::NotFound));
    Ok(())
}

fn many() -> Outcome {
    const CLIENTS: u8 = 20;
    let path = place("many");
    let listener = UnixListener::bind(&path)?;
    let sum = thread::scope(|scope| -> io::Result<u32> {
        for number in 0..CLIENTS {
            let path = &path;
            scope.spawn(move || {
                UnixStream::connect(path).and_then(|mut stream| stream.write_all(&[number]))
            });
        }
        let mut sum = 0;
        for stream in listener.incoming().take(usize::from(CLIENTS)) {
            let mut byte = [0];
            stream?.read_exact(&mut byte)?;
            sum += u32::from(byte[0]);
        }
        Ok(sum)
    })?;
    same!(sum, (0..u32::from(CLIENTS)).sum::<u32>());
    fs::remove_file(&path)?;
    Ok(())
}

fn half() -> Outcome {
    let (mut one, mut other) = UnixStream::pair()?;
    one.write_all(b"last")?;
    one.shutdown(Shutdown::Write)?;
    same!(one.write(b"more").map_err(|e| e.kind()), Err(ErrorKind::BrokenPipe));
    let mut text = String::new();
    other.read_to_string(&mut text)?;
    same!(text, "last");
    other.write_all(b"back")?;
    let mut four = [0; 4];
    one.read_exact(&mut four)?;
    same!(&four, b"back");
    one.shutdown(Shutdown::Read)?;
    same!(one.read(&mut four)?, 0);
    same!(other.write(b"x").map_err(|e| e.kind()), Err(ErrorKind::BrokenPipe));
    Ok(())
}

fn refused() -> Outcome {
    let path = place("closed");
    let _listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    // SAFETY: the child only makes calls, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        let status = unsafe {
            libc::setgid(1000);
            libc::setuid(1000);
            let refused = UnixStream::connect(&path).map_err(|e| e.kind()).err();
            i32::from(refused != Some(ErrorKind::PermissionDenied))
        };
        // SAFETY: as above.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: the status is ours.
    same!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    same!(status, 0);
    fs::remove_file(&path)?;
    Ok(())
}

fn nonblocking() -> Outcome {
    let path = place("nonblocking");
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    same!(listener.accept().map_err(|e| e.kind()).err(), Some(ErrorKind::WouldBlock));
    let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, ours.
    same!(unsafe { libc::poll(&mut poll, 1, 0) }, 0);
    let connecting = thread::spawn({
        let path = path.clone();
        move || {
            thread::sleep(Duration::from_millis(20));
            UnixStream::connect(path)
        }
    });
    // SAFETY: as above.
    same!(unsafe { libc::poll(&mut poll, 1, 10_000) }, 1);
    let (stream, _) = listener.accept()?;
    let mut peer = connecting.join().map_err(|_| "the client panicked")??;
    stream.set_nonblocking(true)?;
    same!((&stream).read(&mut [0]).map_err(|e| e.kind()).err(), Some(ErrorKind::WouldBlock));
    peer.write_all(b"x")?;
    same!((&stream).read(&mut [0])?, 1);
    same!(stream.take_error()?.is_none(), true);
    fs::remove_file(&path)?;
    Ok(())
}

const HEAD: usize = size_of::<libc::cmsghdr>();

/// Sends bytes with files.
pub(crate) fn send(socket: &UnixStream, bytes: &[u8], files: &[RawFd]) -> io::Result<usize> {
    let mut control = [0_u64; 16];
    // SAFETY: the message describes memory of ours, which is large enough.
    unsafe {
        let entry = control.as_mut_ptr().cast::<libc::cmsghdr>();
        (*entry).cmsg_len = HEAD + size_of_val(files);
        (*entry).cmsg_level = libc::SOL_SOCKET;
        (*entry).cmsg_type = libc::SCM_RIGHTS;
        let place = entry.cast::<u8>().add(HEAD).cast::<RawFd>();
        files.as_ptr().copy_to_nonoverlapping(place, files.len());
        let mut buffer =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut message: libc::msghdr = zeroed();
        (message.msg_iov, message.msg_iovlen) = (&mut buffer, 1);
        if !files.is_empty() {
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = (*entry).cmsg_len;
        }
        match libc::sendmsg(socket.as_raw_fd(), &message, 0) {
            -1 => Err(io::Error::last_os_error()),
            count => Ok(count as usize),
        }
    }
}

/// Receives bytes with files, with room for so many.
pub(crate) fn receive(
    socket: &UnixStream,
    room: usize,
) -> io::Result<(Vec<u8>, Vec<OwnedFd>, i32)> {
    let mut control = [0_u64; 16];
    let mut bytes = vec![0; 64];
    // SAFETY: as in `send`; what arrived belongs to nobody else.
    unsafe {
        let mut buffer = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let mut message: libc::msghdr = zeroed();
        (message.msg_iov, message.msg_iovlen) = (&mut buffer, 1);
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = HEAD + room * size_of::<RawFd>();
        let count = libc::recvmsg(socket.as_raw_fd(), &mut message, 0);
        if count == -1 {
            return Err(io::Error::last_os_error());
        }
        bytes.truncate(count as usize);
        let arrived = message.msg_controllen.saturating_sub(HEAD) / size_of::<RawFd>();
        let first = control.as_ptr().cast::<u8>().add(HEAD).cast::<RawFd>();
        let files = (0..arrived).map(|index| OwnedFd::from_raw_fd(first.add(index).read()));
        Ok((bytes, files.collect(), message.msg_flags))
    }
}

fn files() -> Outcome {
    let path = place("travels");
    fs::write(&path, "from afar")?;
    let (one, other) = UnixStream::pair()?;
    let (reader, writer) = io::pipe()?;
    {
        let file = File::open(&path)?;
        (&one).write_all(b"before")?;
        same!(send(&one, b"with", &[file.as_raw_fd(), writer.as_raw_fd()])?, 4);
        same!(send(&one, b"after", &[])?, 5);
    }
    drop(writer);
    let (bytes, none, _) = receive(&other, 8)?;
    same!((bytes, none.len()), (b"before".to_vec(), 0));
    let (bytes, mut files, flags) = receive(&other, 8)?;
    same!((bytes, files.len(), flags), (b"withafter".to_vec(), 2, 0));
    let mut pipe = File::from(files.pop().ok_or("no pipe")?);
    let mut text = String::new();
    File::from(files.pop().ok_or("no file")?).read_to_string(&mut text)?;
    same!(text, "from afar");
    pipe.write_all(b"through")?;
    drop(pipe);
    text.clear();
    { reader }.read_to_string(&mut text)?;
    same!(text, "through");
    fs::remove_file(&path)?;
    Ok(())
}

fn lost() -> Outcome {
    // In the pipe when its ends are closed, read over, or more than there is room for: the writing
    // end of a pipe is gone when its reader finds the end.
    for how in ["closed", "read", "no room"] {
        let (one, other) = UnixStream::pair()?;
        let (mut reader, writer) = io::pipe()?;
        send(&one, b"x", &[writer.as_raw_fd()])?;
        drop(writer);
        match how {
            "closed" => drop((one, other)),
            "read" => same!((&other).read(&mut [0])?, 1),
            _ => {
                let (_, files, flags) = receive(&other, 0)?;
                same!((files.len(), flags), (0, libc::MSG_CTRUNC));
            }
        }
        same!((how, reader.read(&mut [0])?), (how, 0));
    }
    Ok(())
}

fn circle() -> Outcome {
    let (one, other) = UnixStream::pair()?;
    let (far, near) = UnixStream::pair()?;
    let code = |sent: io::Result<usize>| sent.map_err(|error| error.raw_os_error());
    same!(code(send(&one, b"x", &[other.as_raw_fd()])), Err(Some(libc::ETOOMANYREFS)));
    same!(code(send(&one, b"x", &[far.as_raw_fd()])), Ok(1));
    // What travels carries nothing, and what carries something does not travel.
    same!(code(send(&near, b"x", &[0])), Err(Some(libc::ETOOMANYREFS)));
    let (third, _fourth) = UnixStream::pair()?;
    same!(code(send(&third, b"x", &[one.as_raw_fd()])), Err(Some(libc::ETOOMANYREFS)));
    let (_, files, _) = receive(&other, 1)?;
    drop(far);
    let mut far = UnixStream::from(files.into_iter().next().ok_or("nothing arrived")?);
    far.write_all(b"still here")?;
    let mut ten = [0; 10];
    (&near).read_exact(&mut ten)?;
    same!(&ten, b"still here");
    same!(code(send(&near, b"x", &[0])), Ok(1));
    Ok(())
}

fn none() -> Outcome {
    let (reader, _writer) = io::pipe()?;
    let code = || io::Error::last_os_error().raw_os_error();
    // SAFETY: no memory is involved.
    unsafe {
        same!(
            (libc::shutdown(reader.as_raw_fd(), libc::SHUT_WR), code()),
            (-1, Some(libc::ENOTSOCK))
        );
        let fresh = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
        same!((libc::listen(fresh, 1), code()), (-1, Some(libc::EINVAL)));
        same!((libc::write(fresh, [0_u8].as_ptr().cast(), 1), code()), (-1, Some(libc::ENOTCONN)));
        libc::close(fresh);
        same!(
            (libc::socket(libc::AF_UNIX, libc::SOCK_RAW, 0), code()),
            (-1, Some(libc::EPROTONOSUPPORT))
        );
    }
    let path = place("no-socket");
    fs::write(&path, "just text")?;
    same!(
        UnixStream::connect(&path).map_err(|e| e.kind()).err(),
        Some(ErrorKind::ConnectionRefused)
    );
    fs::remove_file(&path)?;
    Ok(())
}
