//! `serio:` — what is plugged in where keyboards and mice of old are. `serio:0` is the keyboard: a
//! read gives the bytes it sent, scan code set 1, and waits when there are none.
//!
//! Only root may open it. What is sent while nobody reads is kept up to a limit.

use super::debug::KEYBOARD;
use super::{Opened, Position, Scheme, directory::Entry};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use abi::redox::data::Stat;
use abi::redox::flag::{EventFlags, MODE_CHR, MODE_DIR};
use alloc::borrow::ToOwned;
use alloc::string::String;

/// The number of the directory.
const DIRECTORY: usize = usize::MAX;

pub(super) struct Serio;

impl<M: Machine> Scheme<M> for Serio {
    fn name(&self) -> &'static str {
        "serio"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        match path {
            "" => return Opened::positioned(DIRECTORY),
            "0" => {}
            _ => return fail(ENOENT),
        }
        if k.processes[caller.process.0].ids.euid != 0 {
            return fail(EACCES);
        }
        match k.machine.keyboard_line() {
            Some(_) => Opened::stream(KEYBOARD),
            None => fail(ENODEV),
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
        match number {
            DIRECTORY => fail(EISDIR),
            port => k.read_port(caller, port, into, at),
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        match number {
            DIRECTORY => EventFlags::empty(),
            port => k.port_readiness(port),
        }
    }

    fn path(&self, _: &mut Kernel<M>, number: usize) -> String {
        if number == DIRECTORY { String::new() } else { "0".to_owned() }
    }

    fn stat(&self, _: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let st_mode = if number == DIRECTORY { MODE_DIR | 0o555 } else { MODE_CHR | 0o400 };
        Ok(Stat { st_mode, st_nlink: 1, ..Stat::default() })
    }

    fn entry(
        &self,
        k: &mut Kernel<M>,
        _: Caller,
        number: usize,
        from: usize,
    ) -> Outcome<Option<Entry>> {
        if number != DIRECTORY {
            return fail(ENOTDIR);
        }
        let is_there = from == 0 && k.machine.keyboard_line().is_some();
        Ok(is_there.then(|| Entry::file(0, "0")))
    }
}
