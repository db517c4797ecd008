//! `CALL` — messages to a file's scheme — and the daemon's side of schemes.

use super::Arguments;
use super::file::stat_file;
use crate::error::*;
use crate::handle::Description;
use crate::kernel::{Caller, Kernel};
use crate::log::Level;
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::namespace::Root;
use crate::scheme::user::{Payload, Request};
use crate::scheme::{KernelSchemes, SchemeId, directory, place};
use abi::redox::flag::{CallFlags, StdFsCallKind};
use abi::redox::schemev2::Opcode;

/// Calls that this kernel does not carry: files travel another way.
const UNSUPPORTED: CallFlags =
    CallFlags::FD.union(CallFlags::MULTIPLE_FDS2).union(CallFlags::CONSUME);
/// The low bits of the flags hold the number of metadata words.
const METADATA_COUNT: usize = 0xFF;

/// `fd, payload, length, flags | metadata count, metadata`
pub(super) fn call<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, payload, length, flags, metadata, _] = a;
    let id = k.description_of(caller, fd)?;
    let count = flags & METADATA_COUNT;
    let flags = CallFlags::from_bits_retain(flags & !METADATA_COUNT);
    if flags.intersects(UNSUPPORTED) {
        return fail(EOPNOTSUPP);
    }
    if count > 3 {
        return fail(EINVAL);
    }
    let mut words = [0; 3];
    for (index, word) in words.iter_mut().enumerate().take(count) {
        [*word] = k.copy_in_words(caller.space, metadata.wrapping_add(index * 8))?;
    }
    let payload = UserSlice::new(payload, length)?;
    let is_std_fs = flags.contains(CallFlags::STD_FS);
    let Description { scheme, number, .. } = k.descriptions[id.0];
    match scheme {
        SchemeId::User(server) => {
            let opcode = if is_std_fs { Opcode::StdFsCall } else { Opcode::Call };
            // One without bytes has its place in the window all the same: daemons make slices of
            // what they are given, and a slice has no null address.
            let moves = match flags.contains(CallFlags::READ) {
                true => Payload::Exchange(payload),
                false => Payload::Send(payload),
            };
            let request = Request {
                opcode,
                number,
                payload: moves,
                arguments: [0, 0, words[0] as u64, words[1] as u64],
                last: Some(words[2] as u64),
            };
            k.ask(caller, server, request).map(|answer| answer.value)
        }
        SchemeId::Kernel(place) if !is_std_fs => {
            let scheme = KernelSchemes::<M>::get(place);
            scheme.call(k, caller, number, payload, &words[..count])
        }
        SchemeId::Kernel(place) => match StdFsCallKind::try_from_raw(words[0] as u8) {
            Some(StdFsCallKind::Getdents) => directory::read_entries(
                k,
                caller,
                KernelSchemes::<M>::get(place),
                number,
                payload,
                words[1],
                words[2],
            ),
            Some(StdFsCallKind::Fstat) => stat_file(k, caller, id, payload),
            Some(StdFsCallKind::Fsync) => Ok(0),
            Some(_) => fail(EPERM),
            None => fail(EOPNOTSUPP),
        },
    }
}

/// `namespace fd, name, length, root fd`
pub(super) fn register<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [namespace, name, length, root, ..] = a;
    let namespace = k.description_of(caller, namespace)?;
    let name = k.copy_path(caller.space, name, length)?;
    let root = k.description_of(caller, root)?;
    let is_namespace = k.descriptions[namespace.0].scheme == place::NAMESPACE
        && k.descriptions[namespace.0].number == crate::scheme::NAMESPACE_FILE;
    let SchemeId::User(server) = k.descriptions[root.0].scheme else { return fail(EINVAL) };
    if !is_namespace {
        return fail(EINVAL);
    }
    let record = &k.processes[caller.process.0];
    if record.ids.euid != 0 || !record.view.has(&name) {
        return fail(EPERM);
    }
    if !k.is_served(server) {
        return fail(ENODEV);
    }
    k.namespace.register(&name, Root::User(root))?;
    k.descriptions[root.0].references += 1;
    let pid = k.processes[caller.process.0].pid;
    k.log(Level::Info, "scheme", format_args!("{name}: is served by process {pid}"));
    k.raise_scheme_list();
    Ok(0)
}
