//! Calls on names: rename, link, unlink, owner.

use super::Arguments;
use super::file::plain;
use crate::error::*;
use crate::handle::{Description, DescriptionId};
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::namespace::{Root, Target};
use crate::scheme::user::{Payload, Request};
use crate::scheme::{KernelSchemes, SchemeId};
use abi::redox::schemev2::Opcode;
use alloc::string::String;

/// `fd, uid, gid`
pub(super) fn change_owner<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, uid, gid, ..] = a;
    let id = k.description_of(caller, fd)?;
    let Description { scheme, number, .. } = k.descriptions[id.0];
    match scheme {
        SchemeId::Kernel(_) => fail(EPERM),
        SchemeId::User(server) => {
            let request = plain(Opcode::Fchown, number, [uid as u64, gid as u64, 0, 0]);
            k.ask(caller, server, request).map(|answer| answer.value)
        }
    }
}

/// `fd, new path, length`
pub(super) fn rename<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    give_name(k, caller, a, Opcode::Frename)
}

/// `fd, new path, length`
pub(super) fn link<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    give_name(k, caller, a, Opcode::Flink)
}

/// Tells the file's scheme a new name for it. `EXDEV` when the name is in another scheme.
fn give_name<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    a: Arguments,
    opcode: Opcode,
) -> Outcome {
    let [fd, path, length, ..] = a;
    let id = k.description_of(caller, fd)?;
    let path = k.copy_path(caller.space, path, length)?;
    let Description { scheme, number, .. } = k.descriptions[id.0];
    let SchemeId::User(server) = scheme else { return fail(EPERM) };
    let (root, rest) = user_target(k, caller, &path)?;
    if k.descriptions[root.0].scheme != scheme {
        return fail(EXDEV);
    }
    let request = Request {
        opcode,
        number,
        payload: Payload::Bytes(rest.as_bytes()),
        arguments: [0; 4],
        last: None,
    };
    k.ask(caller, server, request).map(|answer| answer.value)
}

/// The root of the daemon that serves a path. `EXDEV` for the kernel's schemes.
fn user_target<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    path: &str,
) -> Outcome<(DescriptionId, String)> {
    match k.resolve(caller.process, path)? {
        Target::Scheme { root: Root::User(root), rest, .. } => Ok((root, rest.into_owned())),
        _ => fail(EXDEV),
    }
}

/// `path, length, flags`
pub(super) fn unlink<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [path, length, flags, ..] = a;
    let path = k.copy_path(caller.space, path, length)?;
    match k.resolve(caller.process, &path)? {
        Target::List => fail(EPERM),
        Target::Scheme { root: Root::User(root), rest, .. } => {
            unlink_in_daemon(k, caller, root, &rest, flags)
        }
        Target::Scheme { root: Root::Kernel(scheme), rest, .. } => {
            unlink_in_kernel(k, caller, scheme, &rest, flags)
        }
    }
}

/// `directory, path, length, flags`
pub(super) fn unlink_at<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [directory, path, length, flags, ..] = a;
    let directory = k.description_of(caller, directory)?;
    let path = k.copy_path(caller.space, path, length)?;
    match k.descriptions[directory.0].scheme {
        SchemeId::User(_) => unlink_in_daemon(k, caller, directory, &path, flags),
        scheme => unlink_in_kernel(k, caller, scheme, &path, flags),
    }
}

fn unlink_in_kernel<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    scheme: SchemeId,
    path: &str,
    flags: usize,
) -> Outcome {
    let SchemeId::Kernel(place) = scheme else { return fail(ENODEV) };
    KernelSchemes::<M>::get(place).unlink(k, caller, path, flags)
}

fn unlink_in_daemon<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    root: DescriptionId,
    path: &str,
    flags: usize,
) -> Outcome {
    let Description { scheme, number, .. } = k.descriptions[root.0];
    let SchemeId::User(server) = scheme else { return fail(ENODEV) };
    let request = Request {
        opcode: Opcode::UnlinkAt,
        number,
        payload: Payload::Bytes(path.as_bytes()),
        arguments: [0, 0, flags as u64, 0],
        last: None,
    };
    k.ask(caller, server, request).map(|answer| answer.value)
}
