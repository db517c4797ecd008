//! `NAME:` — schemes: whoever serves a name serves every path behind it.
//!
//! The kernel's own schemes are faces: they parse paths and format text, and keep nothing but
//! what an open file needs. The mechanisms they show live elsewhere. Daemons' schemes are in
//! [`user`].

mod debug;
pub mod directory;
mod display;
mod emergency;
mod event;
mod initfs;
mod irq;
mod memory;
mod namespace;
mod packet;
mod pipe;
mod proc;
mod serio;
mod sys;
pub mod text;
mod time;
pub mod user;

pub use debug::Console;
pub(crate) use debug::{CONSOLE, KEYBOARD, SECOND};
pub(crate) use emergency::{shows_daemon, shows_pressure, shows_saving};
pub use memory::Ranges;
pub(crate) use namespace::{NAMESPACE_FILE, new_file, user_socket};
pub use packet::Packets;
pub use proc::Set as RegisterSet;
pub(crate) use sys::scheme_rows;
pub use time::Clocks;

use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use abi::redox::data::{Map, Stat};
use abi::redox::flag::{EventFlags, O_RDWR};
use alloc::string::String;
use directory::Entry;

/// Who serves a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SchemeId {
    /// The kernel; the place in [`KernelSchemes::ALL`].
    Kernel(u8),
    /// A daemon; the place in the kernel's table of daemons' schemes.
    User(usize),
}

/// A file just opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// The scheme's number for it.
    pub number: usize,
    /// Whether the kernel keeps a position for it.
    pub is_positioned: bool,
}

impl Opened {
    /// A file with a position.
    pub fn positioned(number: usize) -> Outcome<Self> {
        Ok(Self { number, is_positioned: true })
    }

    /// A file without.
    pub fn stream(number: usize) -> Outcome<Self> {
        Ok(Self { number, is_positioned: false })
    }
}

/// One of the kernel's schemes. Everything a scheme does not say it can do, it cannot.
pub trait Scheme<M: Machine>: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Opens a path inside the scheme, without leading slashes.
    fn open(
        &self,
        kernel: &mut Kernel<M>,
        caller: Caller,
        path: &str,
        flags: usize,
    ) -> Outcome<Opened>;

    /// Reads at `offset` (0 for files without a position) into the caller's memory.
    fn read(
        &self,
        _kernel: &mut Kernel<M>,
        _caller: Caller,
        _number: usize,
        _into: UserSlice,
        _at: Position,
    ) -> Outcome {
        fail(EBADF)
    }

    /// Writes from the caller's memory.
    fn write(
        &self,
        _kernel: &mut Kernel<M>,
        _caller: Caller,
        _number: usize,
        _from: UserSlice,
        _at: Position,
    ) -> Outcome {
        fail(EBADF)
    }

    /// The last descriptor is gone.
    fn close(&self, _kernel: &mut Kernel<M>, _number: usize) {}

    /// Another file made from this one.
    fn dup(
        &self,
        _kernel: &mut Kernel<M>,
        _caller: Caller,
        _number: usize,
        _what: &[u8],
    ) -> Outcome<Opened> {
        fail(EOPNOTSUPP)
    }

    /// What a file that [`Scheme::dup`] made is open for.
    fn access(&self, _number: usize) -> usize {
        O_RDWR
    }

    /// What the file is ready for now.
    fn ready(&self, _kernel: &mut Kernel<M>, _number: usize) -> EventFlags {
        EventFlags::empty()
    }

    /// The file's path inside the scheme.
    fn path(&self, _kernel: &mut Kernel<M>, _number: usize) -> String {
        String::new()
    }

    /// What `fstat` tells.
    fn stat(&self, _kernel: &mut Kernel<M>, _number: usize) -> Outcome<Stat> {
        Ok(Stat { st_mode: abi::redox::flag::MODE_CHR | 0o666, ..Stat::default() })
    }

    /// The first entry of a directory that stands at `from` or behind it. `ENOTDIR` for other
    /// files.
    fn entry(
        &self,
        _kernel: &mut Kernel<M>,
        _caller: Caller,
        _number: usize,
        _from: usize,
    ) -> Outcome<Option<Entry>> {
        fail(ENOTDIR)
    }

    /// Maps the file into the caller's memory and returns the address.
    fn map(&self, _kernel: &mut Kernel<M>, _caller: Caller, _number: usize, _map: &Map) -> Outcome {
        fail(ENODEV)
    }

    /// A message: the payload, and up to three words beside it.
    fn call(
        &self,
        _kernel: &mut Kernel<M>,
        _caller: Caller,
        _number: usize,
        _payload: UserSlice,
        _words: &[usize],
    ) -> Outcome {
        fail(EOPNOTSUPP)
    }

    /// Removes a path inside the scheme.
    fn unlink(
        &self,
        _kernel: &mut Kernel<M>,
        _caller: Caller,
        _path: &str,
        _flags: usize,
    ) -> Outcome {
        fail(EPERM)
    }

    /// The file has no position, or a size that is not known.
    fn size(&self, kernel: &mut Kernel<M>, number: usize) -> Outcome<u64> {
        self.stat(kernel, number).map(|stat| stat.st_size)
    }
}

/// Where a read or write is, and whether it may park.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Bytes from the start; 0 for files without a position.
    pub offset: u64,
    /// The call must fail with `EAGAIN` instead of parking.
    pub is_nonblocking: bool,
}

/// The kernel's schemes for a machine.
pub struct KernelSchemes<M>(core::marker::PhantomData<M>);

impl<M: Machine> KernelSchemes<M> {
    /// All of them. The order is the order of [`SchemeId::Kernel`].
    pub const ALL: &'static [&'static dyn Scheme<M>] = &[
        &debug::Debug,
        &event::Event,
        &memory::Memory,
        &pipe::Pipe,
        &irq::Irq,
        &time::Time,
        &sys::Sys,
        &proc::Proc,
        &initfs::Initfs,
        &namespace::NamespaceScheme,
        &emergency::Emergency,
        &display::Display,
        &serio::Serio,
        &packet::Packet,
    ];

    /// The scheme at a place.
    pub fn get(place: u8) -> &'static dyn Scheme<M> {
        Self::ALL[place as usize]
    }

    /// The place of a scheme by name.
    pub fn id(name: &str) -> Option<SchemeId> {
        Self::ALL.iter().position(|s| s.name() == name).map(|place| SchemeId::Kernel(place as u8))
    }
}

/// Places of schemes that others need to name, checked by a test.
pub mod place {
    use super::SchemeId;

    /// `debug:`
    pub const DEBUG: SchemeId = SchemeId::Kernel(0);
    /// `event:`
    pub const EVENT: SchemeId = SchemeId::Kernel(1);
    /// `pipe:`
    pub const PIPE: SchemeId = SchemeId::Kernel(3);
    /// `irq:`
    pub const IRQ: SchemeId = SchemeId::Kernel(4);
    /// `time:`
    pub const TIME: SchemeId = SchemeId::Kernel(5);
    /// `sys:`
    pub const SYS: SchemeId = SchemeId::Kernel(6);
    /// `proc:`
    pub const PROC: SchemeId = SchemeId::Kernel(7);
    /// `namespace:`
    pub const NAMESPACE: SchemeId = SchemeId::Kernel(9);
    /// `emergency:`
    pub const EMERGENCY: SchemeId = SchemeId::Kernel(10);
    /// `display:`
    pub const DISPLAY: SchemeId = SchemeId::Kernel(11);
    /// `serio:`
    pub const SERIO: SchemeId = SchemeId::Kernel(12);
    /// `packet:`
    pub const PACKET: SchemeId = SchemeId::Kernel(13);
}
