//! What is not there must say so.

use crate::{Check, Outcome, same};
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsRawFd;

pub(crate) const CHECKS: &[Check] = &[
    ("missing/the-network-is-refused", network),
    ("missing/hosts-that-nobody-knows-are-not-found", hosts),
    ("missing/addresses-have-names-or-numbers", addresses),
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

/// What an address is called: status, host, service.
fn name(address: [u8; 4], room: usize, flags: i32) -> (i32, String, String) {
    let (mut host, mut service) = (vec![0_u8; room], vec![0_u8; 16]);
    // SAFETY: the address and the texts are ours, and all zero is a valid address.
    let code = unsafe {
        let mut place: libc::sockaddr_in = std::mem::zeroed();
        place.sin_family = libc::AF_INET as libc::sa_family_t;
        place.sin_port = 80_u16.to_be();
        place.sin_addr.s_addr = u32::from_ne_bytes(address);
        libc::getnameinfo(
            (&raw const place).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
            host.as_mut_ptr().cast(),
            room as libc::socklen_t,
            service.as_mut_ptr().cast(),
            16,
            flags,
        )
    };
    let text = |bytes: Vec<u8>| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    (code, text(host), text(service))
}

fn addresses() -> Outcome {
    let told = |code, host: &str, service: &str| (code, host.to_owned(), service.to_owned());
    same!(name([127, 0, 0, 1], 64, 0), told(0, "localhost", "80"));
    same!(name([127, 0, 0, 1], 64, libc::NI_NUMERICHOST), told(0, "127.0.0.1", "80"));
    same!(name([10, 1, 2, 3], 64, 0), told(0, "10.1.2.3", "80"));
    same!(name([10, 1, 2, 3], 64, libc::NI_NAMEREQD).0, libc::EAI_NONAME);
    same!(name([10, 1, 2, 3], 8, 0).0, libc::EAI_OVERFLOW);
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
