//! `namespace:` — making schemes, and giving them names.
//!
//! `namespace:` is the caller's own namespace, where `REGISTER_SCHEME` gives names.
//! `namespace:scheme-creation-cap` is the right to serve: `dup(fd, "create-scheme")` makes a
//! socket, from which requests are read and to which answers are written; `dup(socket,
//! NewFdParams)` makes a file of that scheme, such as its root. Only root may open either.

use super::{Opened, Position, Scheme, SchemeId};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use abi::redox::data::{NewFdParams, Stat};
use abi::redox::flag::{EventFlags, MODE_CHR};

/// The number of an open namespace.
pub(crate) const NAMESPACE_FILE: usize = 0;
/// The number of the right to make schemes.
const CREATION: usize = 1;
/// Sockets are numbered from here.
const FIRST_SOCKET: usize = 2;

/// The number of the socket of a daemon's scheme.
pub(crate) fn user_socket(scheme: usize) -> usize {
    scheme + FIRST_SOCKET
}

fn scheme_of(number: usize) -> Outcome<usize> {
    number.checked_sub(FIRST_SOCKET).ok_or(Stop::Error(Errno(EBADF)))
}

pub(super) struct NamespaceScheme;

impl<M: Machine> Scheme<M> for NamespaceScheme {
    fn name(&self) -> &'static str {
        "namespace"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        if k.processes[caller.process.0].ids.euid != 0 {
            return fail(EACCES);
        }
        match path {
            "" => Opened::stream(NAMESPACE_FILE),
            "scheme-creation-cap" => Opened::stream(CREATION),
            _ => fail(ENOENT),
        }
    }

    fn dup(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        what: &[u8],
    ) -> Outcome<Opened> {
        match (number, what) {
            (NAMESPACE_FILE, _) => fail(EINVAL),
            (CREATION, b"create-scheme") => {
                Opened::stream(user_socket(k.create_user_scheme(caller)?))
            }
            _ => fail(EINVAL),
        }
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        k.collect_requests(caller, scheme_of(number)?, into, at.is_nonblocking)
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        _: Position,
    ) -> Outcome {
        k.settle_answers(caller, scheme_of(number)?, from)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        if let Ok(scheme) = scheme_of(number) {
            k.close_socket(scheme);
        }
    }

    fn stat(&self, _: &mut Kernel<M>, _: usize) -> Outcome<Stat> {
        Ok(Stat { st_mode: MODE_CHR | 0o600, ..Stat::default() })
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let mut flags = EventFlags::EVENT_WRITE;
        let waits = scheme_of(number).is_ok_and(|scheme| k.has_requests(scheme));
        flags.set(EventFlags::EVENT_READ, waits);
        flags
    }
}

/// A file of a daemon's scheme, made by the daemon itself: what `dup` on a socket with
/// `NewFdParams` gives. Returns the scheme, the file and its flags.
pub(crate) fn new_file(number: usize, what: &[u8]) -> Outcome<(SchemeId, Opened, usize, u64)> {
    let scheme = scheme_of(number)?;
    if what.len() != size_of::<NewFdParams>() {
        return fail(EINVAL);
    }
    let word = |index: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&what[index * 8..index * 8 + 8]);
        u64::from_ne_bytes(bytes)
    };
    let opened = Opened { number: word(1) as usize, is_positioned: what[24] & 1 != 0 };
    Ok((SchemeId::User(scheme), opened, word(2) as usize, word(0)))
}
