//! Joins the devices to the scheme protocol.

use nulld::{Device, Handle};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use scheme::command::{Failure, no_arguments};
use scheme::{Daemon, Server, file_call};
use syscall::error::Result;
use syscall::flag::{EventFlags, StdFsCallKind};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StdFsCallMeta};

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    let server = Server::waiting().map_err(|error| Failure::fatal("scheme socket", error))?;
    for device in [Device::Null, Device::Zero] {
        server
            .register(device.name(), Handle::root(device).number())
            .map_err(|error| Failure::fatal(device.name(), error))?;
    }
    server.run(&mut Devices).map_err(|error| Failure::fatal("serving", error))
}

struct Devices;

impl Daemon for Devices {}

fn opened(handle: Handle) -> OpenResult {
    OpenResult::ThisScheme { number: handle.number(), flags: NewFdFlags::empty() }
}

impl SchemeSync for Devices {
    fn openat(
        &mut self,
        root: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        Handle::from_number(root)?.open(path, flags).map(opened)
    }

    fn dup(&mut self, id: usize, what: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        Handle::from_number(id)?.dup(what).map(opened)
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        _offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        Handle::from_number(id)?.read(buffer)
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        Handle::from_number(id)?.write(buffer)
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        Handle::from_number(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        Handle::from_number(id).map(|handle| handle.ready(wanted))
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        Handle::from_number(id).map(|handle| handle.path(buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        let handle = Handle::from_number(id)?;
        *stat = Stat { st_mode: handle.mode(), st_nlink: 1, ..Stat::default() };
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
