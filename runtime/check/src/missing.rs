//! What is not there must say so.

use crate::{Check, Outcome, same};
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsRawFd;

pub(crate) const CHECKS: &[Check] = &[
    ("missing/the-network-is-refused", network),
    ("missing/hosts-that-nobody-knows-are-not-found", hosts),
    ("missing/locks-on-what-has-none-are-refused", locks),
    ("missing/terminals-are-told-from-files", terminals),
];

fn network() -> Outcome {
    let code = |error: io::Error| error.raw_os_error();
    same!(TcpStream::connect(("127.0.0.1", 1)).map_err(code).err(), Some(Some(libc::EAFNOSUPPORT)));
    same!(TcpListener::bind(("127.0.0.1", 0)).map_err(code).err(), Some(Some(libc::EAFNOSUPPORT)));
    same!(UdpSocket::bind(("127.0.0.1", 0)).map_err(code).err(), Some(Some(libc::EAFNOSUPPORT)));
    Ok(())
}

fn hosts() -> Outcome {
    same!("lifeboat.example:1".to_socket_addrs().is_err(), true);
    let found: Vec<_> = "localhost:80".to_socket_addrs()?.map(|it| it.to_string()).collect();
    same!(found, ["127.0.0.1:80", "[::1]:80"]);
    let found: Vec<_> = "10.1.2.3:4".to_socket_addrs()?.map(|it| it.to_string()).collect();
    same!(found, ["10.1.2.3:4"]);
    Ok(())
}

fn locks() -> Outcome {
    let (reader, _writer) = io::pipe()?;
    // SAFETY: no memory is involved.
    same!(unsafe { libc::flock(reader.as_raw_fd(), libc::LOCK_EX) }, -1);
    same!(io::Error::last_os_error().raw_os_error(), Some(libc::EOPNOTSUPP));
    // SAFETY: as above.
    same!(unsafe { libc::flock(-1, libc::LOCK_EX) }, -1);
    same!(io::Error::last_os_error().raw_os_error(), Some(libc::EBADF));
    Ok(())
}

fn terminals() -> Outcome {
    let (reader, _writer) = io::pipe()?;
    // SAFETY: only asks.
    same!(unsafe { libc::isatty(reader.as_raw_fd()) }, 0);
    same!(io::IsTerminal::is_terminal(&std::fs::File::open("/etc/passwd")?), false);
    Ok(())
}
