//! Joins [`Devices`] to the scheme protocol: the whole daemon, but for the bytes.

use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::error::Result;
use syscall::flag::{EventFlags, StdFsCallKind};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StdFsCallMeta};

use crate::command::Failure;
use crate::device::{Devices, Handle, MODE, write_path};
use crate::{Daemon, Server, file_call};

/// Registers every name of `devices` and serves until the kernel closes the socket.
pub fn serve<D: Devices>(devices: D) -> Result<(), Failure> {
    let server = Server::waiting().map_err(|error| Failure::fatal("scheme socket", error))?;
    for (index, name) in D::NAMES.iter().enumerate() {
        server
            .register(name, Handle::root(index).number())
            .map_err(|error| Failure::fatal(name, error))?;
    }
    server.run(&mut Served { devices }).map_err(|error| Failure::fatal("serving", error))
}

struct Served<D> {
    devices: D,
}

impl<D: Devices> Daemon for Served<D> {}

fn handle<D: Devices>(number: usize) -> Result<Handle> {
    Handle::from_number(number, D::NAMES.len())
}

fn opened(handle: Handle) -> OpenResult {
    OpenResult::ThisScheme { number: handle.number(), flags: NewFdFlags::POSITIONED }
}

impl<D: Devices> SchemeSync for Served<D> {
    fn openat(
        &mut self,
        root: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        handle::<D>(root)?.open(path, flags).map(opened)
    }

    fn dup(&mut self, id: usize, what: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        handle::<D>(id)?.dup(what).map(opened)
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        _offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        self.devices.read(handle::<D>(id)?.readable()?.index, buffer)
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        self.devices.write(handle::<D>(id)?.writable()?.index, buffer)
    }

    /// Seeking is allowed, as programs expect of `/dev/null`, and changes nothing.
    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        handle::<D>(id).map(|_| 0)
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        handle::<D>(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        handle::<D>(id).map(|handle| handle.ready(wanted))
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        handle::<D>(id).map(|handle| write_path(D::NAMES[handle.index], "", buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        handle::<D>(id)?;
        *stat = Stat { st_mode: MODE, st_nlink: 1, ..Stat::default() };
        Ok(())
    }

    fn translate_std_fs_call(
        &mut self,
        ids: &[usize],
        kind: StdFsCallKind,
        payload: &mut [u8],
        metadata: StdFsCallMeta,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        file_call::unpack(self, ids, kind, payload, metadata, ctx)
    }
}
