//! `getaddrinfo`, `getnameinfo`: numeric addresses and `/etc/hosts`. Nobody else is asked yet, so any other
//! name is unknown (`EAI_NONAME`), and a service is a number.

use crate::accounts::read_whole;
use crate::pointer;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char};
use core::mem::{size_of, zeroed};
use core::net::IpAddr;
use core::ptr::null_mut;
use libc::{addrinfo, c_int, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};
use logic::hosts;

/// One answer and the address it points at.
#[repr(C)]
struct Answer {
    info: addrinfo,
    address: sockaddr_storage,
}

/// What the caller is looking for.
struct Wanted {
    flags: c_int,
    family: c_int,
    kind: c_int,
    protocol: c_int,
}

impl Wanted {
    /// # Safety
    ///
    /// `hints` is null or readable.
    unsafe fn read(hints: *const addrinfo) -> Self {
        if hints.is_null() {
            return Self { flags: 0, family: libc::AF_UNSPEC, kind: 0, protocol: 0 };
        }
        // SAFETY: as promised by the caller; only these four fields are looked at.
        unsafe {
            Self {
                flags: (*hints).ai_flags,
                family: (*hints).ai_family,
                kind: (*hints).ai_socktype,
                protocol: (*hints).ai_protocol,
            }
        }
    }

    fn takes(&self, address: &IpAddr) -> bool {
        match self.family {
            libc::AF_INET => address.is_ipv4(),
            libc::AF_INET6 => address.is_ipv6(),
            _ => true,
        }
    }

    /// The addresses that a name means.
    fn addresses(&self, name: Option<&[u8]>) -> Result<Vec<IpAddr>, c_int> {
        let mut found = Vec::new();
        match name {
            // Any address of this host to listen on, or this host to connect to.
            None if self.flags & libc::AI_PASSIVE != 0 => {
                found.extend([IpAddr::from([0; 4]), IpAddr::from([0; 16])]);
            }
            None => found.extend([IpAddr::from([127, 0, 0, 1]), loopback_6()]),
            Some(name) => match hosts::numeric(name) {
                Some(address) => found.push(address),
                None if self.flags & libc::AI_NUMERICHOST != 0 => return Err(libc::EAI_NONAME),
                None => {
                    let text = read_whole(b"/etc/hosts").unwrap_or_default();
                    found.extend(hosts::listed(&text, name));
                }
            },
        }
        found.retain(|address| self.takes(address));
        if found.is_empty() { Err(libc::EAI_NONAME) } else { Ok(found) }
    }

    /// The kinds of socket to tell of, with their protocols.
    fn kinds(&self) -> &[(c_int, c_int)] {
        match self.kind {
            0 => &[(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)],
            libc::SOCK_STREAM => &[(libc::SOCK_STREAM, libc::IPPROTO_TCP)],
            libc::SOCK_DGRAM => &[(libc::SOCK_DGRAM, libc::IPPROTO_UDP)],
            _ => &[],
        }
    }
}

fn loopback_6() -> IpAddr {
    IpAddr::V6(core::net::Ipv6Addr::LOCALHOST)
}

/// A service's port.
fn port(service: Option<&[u8]>) -> Result<u16, c_int> {
    let Some(service) = service else { return Ok(0) };
    let number = str::from_utf8(service).ok().filter(|text| !text.starts_with('+'));
    number.and_then(|text| text.parse().ok()).ok_or(libc::EAI_SERVICE)
}

/// One answer, to be freed as a box.
fn answer(address: &IpAddr, port: u16, (kind, protocol): (c_int, c_int)) -> *mut Answer {
    // SAFETY: both are plain numbers, and pointers that may be null.
    let mut answer: Box<Answer> = Box::new(unsafe { zeroed() });
    let place = &raw mut answer.address;
    let (family, length) = match address {
        IpAddr::V4(address) => {
            // SAFETY: the storage is large enough and aligned for every kind of address.
            let place = unsafe { &mut *place.cast::<sockaddr_in>() };
            place.sin_family = libc::AF_INET as libc::sa_family_t;
            place.sin_port = port.to_be();
            place.sin_addr.s_addr = u32::from_ne_bytes(address.octets());
            (libc::AF_INET, size_of::<sockaddr_in>())
        }
        IpAddr::V6(address) => {
            // SAFETY: as above.
            let place = unsafe { &mut *place.cast::<sockaddr_in6>() };
            place.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            place.sin6_port = port.to_be();
            place.sin6_addr.s6_addr = address.octets();
            (libc::AF_INET6, size_of::<sockaddr_in6>())
        }
    };
    answer.info.ai_family = family;
    answer.info.ai_socktype = kind;
    answer.info.ai_protocol = protocol;
    answer.info.ai_addrlen = length;
    let answer = Box::into_raw(answer);
    // SAFETY: the box is ours alone, and its address does not change any more.
    unsafe { (*answer).info.ai_addr = (&raw mut (*answer).address).cast() };
    answer
}

fn resolve(
    name: Option<&[u8]>,
    service: Option<&[u8]>,
    wanted: &Wanted,
) -> Result<*mut addrinfo, c_int> {
    if name.is_none() && service.is_none() {
        return Err(libc::EAI_NONAME);
    }
    if !matches!(wanted.family, libc::AF_UNSPEC | libc::AF_INET | libc::AF_INET6) {
        return Err(libc::EAI_FAMILY);
    }
    let of_protocol = |kind: &&(c_int, c_int)| wanted.protocol == 0 || kind.1 == wanted.protocol;
    let kinds: Vec<_> = wanted.kinds().iter().filter(of_protocol).collect();
    if kinds.is_empty() {
        return Err(libc::EAI_SOCKTYPE);
    }
    let port = port(service)?;
    let mut first: *mut addrinfo = null_mut();
    let mut link = &raw mut first;
    for address in wanted.addresses(name)? {
        for kind in &kinds {
            let next = answer(&address, port, **kind).cast::<addrinfo>();
            // SAFETY: `link` is the place of the first answer or within the one before.
            unsafe {
                link.write(next);
                link = &raw mut (*next).ai_next;
            }
        }
    }
    if wanted.flags & libc::AI_CANONNAME != 0
        && let Some(name) = name
    {
        let mut text = name.to_vec();
        text.push(0);
        // SAFETY: there is at least one answer.
        unsafe { (*first).ai_canonname = Box::into_raw(text.into_boxed_slice()).cast() };
    }
    Ok(first)
}

/// Looks up a host and a service. Returns an error of its own kind.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    name: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    place: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller's strings are NUL-terminated or null, its hints readable or null.
    let found = unsafe {
        let (name, service) = (pointer::optional_string(name), pointer::optional_string(service));
        resolve(name, service, &Wanted::read(hints))
    };
    match found {
        Ok(first) => {
            // SAFETY: the caller gave a place for the answer.
            unsafe { place.write(first) };
            0
        }
        Err(code) => code,
    }
}

/// Frees what [`getaddrinfo`] gave.
#[unsafe(no_mangle)]
unsafe extern "C" fn freeaddrinfo(list: *mut addrinfo) {
    let mut next = list;
    while !next.is_null() {
        // SAFETY: each answer was made by `answer`, and is freed once.
        unsafe {
            let answer = Box::from_raw(next.cast::<Answer>());
            next = answer.info.ai_next;
            let name = answer.info.ai_canonname;
            if !name.is_null() {
                let length = CStr::from_ptr(name).count_bytes() + 1;
                drop(Box::from_raw(core::ptr::slice_from_raw_parts_mut(name, length)));
            }
        }
    }
}

/// The address and port in a socket's address.
///
/// # Safety
///
/// `place` has `length` bytes to read.
unsafe fn parts(place: *const sockaddr, length: socklen_t) -> Result<(IpAddr, u16), c_int> {
    let length = length as usize;
    if length < size_of::<libc::sa_family_t>() {
        return Err(libc::EAI_FAMILY);
    }
    // SAFETY: so much is there, and each kind is only read when all of it is.
    unsafe {
        match c_int::from((*place).sa_family) {
            libc::AF_INET if length >= size_of::<sockaddr_in>() => {
                let address = place.cast::<sockaddr_in>().read_unaligned();
                let octets = address.sin_addr.s_addr.to_ne_bytes();
                Ok((IpAddr::from(octets), u16::from_be(address.sin_port)))
            }
            libc::AF_INET6 if length >= size_of::<sockaddr_in6>() => {
                let address = place.cast::<sockaddr_in6>().read_unaligned();
                Ok((IpAddr::from(address.sin6_addr.s6_addr), u16::from_be(address.sin6_port)))
            }
            _ => Err(libc::EAI_FAMILY),
        }
    }
}

/// Gives a text away with its NUL, unless nobody wants it.
///
/// # Safety
///
/// `place` is null or has `room` bytes to fill.
unsafe fn put(text: &[u8], place: *mut c_char, room: socklen_t) -> Result<(), c_int> {
    if place.is_null() || room == 0 {
        return Ok(());
    }
    if text.len() >= room as usize {
        return Err(libc::EAI_OVERFLOW);
    }
    // SAFETY: as promised by the caller.
    unsafe {
        text.as_ptr().copy_to_nonoverlapping(place.cast(), text.len());
        place.add(text.len()).write(0);
    }
    Ok(())
}

/// What an address is called.
fn host(address: IpAddr, flags: c_int) -> Result<Vec<u8>, c_int> {
    if flags & libc::NI_NUMERICHOST == 0 {
        let text = read_whole(b"/etc/hosts").unwrap_or_default();
        if let Some(name) = hosts::named(&text, address) {
            return Ok(name.to_vec());
        }
    }
    match flags & libc::NI_NAMEREQD {
        0 => Ok(format!("{address}").into_bytes()),
        _ => Err(libc::EAI_NONAME),
    }
}

/// Tells what an address is called: its name in `/etc/hosts`, else its number. Returns an error of its own
/// kind.
#[unsafe(no_mangle)]
unsafe extern "C" fn getnameinfo(
    place: *const sockaddr,
    length: socklen_t,
    host_place: *mut c_char,
    host_room: socklen_t,
    service_place: *mut c_char,
    service_room: socklen_t,
    flags: c_int,
) -> c_int {
    let wants = |place: *mut c_char, room| !place.is_null() && room > 0;
    let told = || {
        // SAFETY: the caller gave so many bytes of address.
        let (address, port) = unsafe { parts(place, length) }?;
        if !wants(host_place, host_room) && !wants(service_place, service_room) {
            return Err(libc::EAI_NONAME);
        }
        // SAFETY: the caller gave so much room, or none.
        unsafe {
            if wants(host_place, host_room) {
                put(&host(address, flags)?, host_place, host_room)?;
            }
            put(format!("{port}").as_bytes(), service_place, service_room)
        }
    };
    told().err().unwrap_or(0)
}

/// The text of an error of `getaddrinfo`.
#[unsafe(no_mangle)]
extern "C" fn gai_strerror(code: c_int) -> *const c_char {
    let text = match code {
        libc::EAI_SYSTEM => c"System error",
        libc::EAI_NONAME => c"Name does not resolve",
        libc::EAI_AGAIN => c"Try again",
        libc::EAI_MEMORY => c"Out of memory",
        libc::EAI_FAMILY => c"Address family is not known",
        libc::EAI_SERVICE => c"Service is not known",
        libc::EAI_SOCKTYPE => c"Kind of socket is not known",
        libc::EAI_OVERFLOW => c"There is not enough room",
        _ => c"Unknown error",
    };
    text.as_ptr()
}
