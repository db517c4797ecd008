//! `sys:` — what the kernel knows about itself. One row, one file.
//!
//! `sys:` lists the rows with their help in `sys:help`; `sys:scheme/` lists the scheme names as
//! files, like `/scheme`.

mod boot;
mod context;
mod cpu;
mod crash;
mod env;
mod exe;
mod help;
mod irq;
mod kstop;
mod log;
mod mem;
mod mount;
mod pci;
mod pressure;
mod scheme;
mod stat;
mod state;
mod syscall;
mod uname;
mod uptime;
mod zones;

use super::text::Subject;
use super::{Opened, Position, Scheme, directory::Entry};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use abi::redox::data::Stat;
use abi::redox::flag::*;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// Makes a row's text.
type Read<M> = fn(&mut Kernel<M>, Caller) -> String;
/// Obeys what was written to a row.
type Write<M> = fn(&mut Kernel<M>, Caller, &str) -> Outcome<()>;

/// One file of `sys:`.
struct Row<M: Machine> {
    name: &'static str,
    help: &'static str,
    read: Read<M>,
    /// Only root may write.
    write: Option<Write<M>>,
}

/// All files of `sys:`.
struct Rows<M>(core::marker::PhantomData<M>);

impl<M: Machine> Rows<M> {
    const ALL: &'static [Row<M>] = &[
        boot::row(),
        context::row(),
        crash::row(),
        cpu::row(),
        env::row(),
        exe::row(),
        help::row(),
        irq::row(),
        kstop::row(),
        log::row(),
        mem::row(),
        mount::row(),
        pci::row(),
        pressure::row(),
        scheme::row(),
        stat::row(),
        state::row(),
        syscall::row(),
        uname::row(),
        uptime::row(),
        zones::row(),
    ];
}

/// Whether a text is about scheme names.
pub(crate) fn scheme_rows<M: Machine>(subject: Subject) -> bool {
    match subject {
        Subject::Sys(row) => Rows::<M>::ALL[row].name == "scheme",
        Subject::SchemeList => true,
        _ => false,
    }
}

pub(super) struct Sys;

impl<M: Machine> Scheme<M> for Sys {
    fn name(&self) -> &'static str {
        "sys"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, flags: usize) -> Outcome<Opened> {
        let wants_list = flags & O_DIRECTORY != 0 && flags & O_CREAT == 0;
        let subject = match path {
            "" => Subject::SysList,
            "scheme" if wants_list => Subject::SchemeList,
            path => {
                let found = Rows::<M>::ALL.iter().position(|row| row.name == path);
                let index = found.ok_or(Errno(ENOENT))?;
                let wants_write = flags & O_WRONLY != 0;
                if wants_write && Rows::<M>::ALL[index].write.is_none() {
                    return fail(EACCES);
                }
                if wants_write && k.processes[caller.process.0].ids.euid != 0 {
                    return fail(EACCES);
                }
                Subject::Sys(index)
            }
        };
        Opened::positioned(k.texts.open(subject))
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        k.read_text(caller, number, into, at.offset, |k, subject| match subject {
            Subject::Sys(row) => Ok((Rows::<M>::ALL[row].read)(k, caller)),
            _ => fail(EISDIR),
        })
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        _: Position,
    ) -> Outcome {
        let Subject::Sys(row) = k.texts.subject(number)? else { return fail(EISDIR) };
        let write = Rows::<M>::ALL[row].write.ok_or(Errno(EACCES))?;
        let command = k.copy_in_command(caller, from)?;
        write(k, caller, command.trim())?;
        Ok(from.length)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        k.texts.close(number);
    }

    fn ready(&self, _: &mut Kernel<M>, _: usize) -> EventFlags {
        EventFlags::EVENT_READ | EventFlags::EVENT_WRITE
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        match k.texts.subject(number) {
            Ok(Subject::Sys(row)) => Rows::<M>::ALL[row].name.to_owned(),
            Ok(Subject::SchemeList) => "scheme".to_owned(),
            _ => String::new(),
        }
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let st_mode = match k.texts.subject(number)? {
            Subject::Sys(row) if Rows::<M>::ALL[row].write.is_some() => MODE_FILE | 0o644,
            Subject::Sys(_) => MODE_FILE | 0o444,
            _ => MODE_DIR | 0o555,
        };
        Ok(Stat { st_mode, st_nlink: 1, ..Stat::default() })
    }

    fn entry(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: usize,
    ) -> Outcome<Option<Entry>> {
        match k.texts.subject(number)? {
            Subject::SysList => Ok(Rows::<M>::ALL.get(from).map(|row| Entry::file(from, row.name))),
            Subject::SchemeList => {
                let view = &k.processes[caller.process.0].view;
                let names = k.namespace.schemes().filter(|(name, _)| view.has(name));
                Ok(names.map(|(name, _)| Entry::directory(from, name)).nth(from))
            }
            _ => fail(ENOTDIR),
        }
    }
}

/// A table of `key: value` lines.
fn table<const N: usize>(lines: [(&str, u64); N]) -> String {
    lines.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
}

/// Hours, minutes, seconds and hundredths, as `ps` shows CPU time.
fn clock_text(nanos: u64) -> String {
    let hundredths = nanos / 10_000_000;
    let (seconds, hundredths) = (hundredths / 100, hundredths % 100);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{hundredths:02}")
}

/// Bytes with a unit, one decimal.
fn size_text(bytes: usize) -> String {
    let tenths = |unit: usize| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => tenths(1 << 10) + " KB",
        _ => tenths(1 << 20) + " MB",
    }
}
