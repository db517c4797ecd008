//! Opening, sharing and closing files.

use super::{Caller, Kernel};
use crate::error::*;
use crate::handle::{Description, DescriptionId, Fd};
use crate::machine::Machine;
use crate::namespace::{Root, Target};
use crate::scheme::user::{Payload, Request};
use crate::scheme::{KernelSchemes, Opened, Scheme, SchemeId, place};
use crate::task::ProcessId;
use abi::LOWEST_FREE;
use abi::number::O_CLOEXEC;
use abi::redox::flag::*;
use abi::redox::schemev2::Opcode;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

impl<M: Machine> Kernel<M> {
    /// Where an absolute path leads a process. `ENOENT` for a name that is not in its view.
    pub(crate) fn resolve<'a>(&self, process: ProcessId, path: &'a str) -> Outcome<Target<'a>> {
        let target = self.namespace.resolve(path)?;
        match &target {
            Target::Scheme { name, .. } if !self.processes[process.0].view.has(name) => {
                fail(ENOENT)
            }
            _ => Ok(target),
        }
    }

    /// Opens an absolute path and returns the description, which the caller owns.
    pub(crate) fn open_path(
        &mut self,
        caller: Caller,
        path: String,
        flags: usize,
    ) -> Outcome<DescriptionId> {
        match self.resolve(caller.process, &path)? {
            Target::List => {
                let flags = flags | O_DIRECTORY;
                let opened = self.open_in_kernel(caller, place::SYS, "scheme", flags)?;
                Ok(self.describe(place::SYS, opened, flags, "sys:scheme".to_owned()))
            }
            Target::Scheme { root: Root::Kernel(id), name, rest } => {
                let rest = rest.trim_end_matches('/');
                let opened = self.open_in_kernel(caller, id, rest, flags)?;
                let is_shown = !path.starts_with('/') && path.len() == name.len() + 1 + rest.len();
                let shown = if is_shown { None } else { Some(joined(&name, ":", rest)) };
                Ok(self.describe(id, opened, flags, shown.unwrap_or(path)))
            }
            Target::Scheme { root: Root::User(root), name, rest } => {
                let shown = format!("{name}:{rest}");
                self.open_in_daemon(caller, root, &rest, flags, shown)
            }
        }
    }

    /// Opens a path relative to an open directory.
    pub(crate) fn open_at(
        &mut self,
        caller: Caller,
        directory: DescriptionId,
        path: &str,
        flags: usize,
    ) -> Outcome<DescriptionId> {
        let Description { scheme, number, .. } = self.descriptions[directory.0];
        let base = self.descriptions[directory.0].path.clone();
        match scheme {
            SchemeId::Kernel(place) => {
                let inside = KernelSchemes::<M>::get(place).path(self, number);
                let whole = joined(inside.trim_end_matches('/'), "/", path);
                let inside = whole.trim_matches('/');
                let opened = self.open_in_kernel(caller, scheme, inside, flags)?;
                let shown = joined(KernelSchemes::<M>::get(place).name(), ":", inside);
                Ok(self.describe(scheme, opened, flags, shown))
            }
            SchemeId::User(_) => {
                let shown = format!("{}/{path}", base.trim_end_matches('/'));
                self.open_in_daemon(caller, directory, path, flags, shown)
            }
        }
    }

    fn open_in_kernel(
        &mut self,
        caller: Caller,
        id: SchemeId,
        path: &str,
        flags: usize,
    ) -> Outcome<Opened> {
        let SchemeId::Kernel(place) = id else { return fail(ENODEV) };
        let scheme = KernelSchemes::<M>::get(place);
        let opened = scheme.open(self, caller, path, flags & !O_CLOEXEC)?;
        if let Err(stop) = self.check_opened(scheme, opened, flags) {
            scheme.close(self, opened.number);
            return Err(stop);
        }
        Ok(opened)
    }

    /// Whether a file that is there may be opened so. The same for all schemes of the kernel.
    fn check_opened(
        &mut self,
        scheme: &dyn Scheme<M>,
        opened: Opened,
        flags: usize,
    ) -> Outcome<()> {
        if flags & (O_EXCL | O_DIRECTORY | O_WRONLY) == 0 {
            return Ok(());
        }
        let is_directory = scheme.stat(self, opened.number)?.st_mode & MODE_TYPE == MODE_DIR;
        match is_directory {
            _ if flags & O_CREAT != 0 && flags & O_EXCL != 0 => fail(EEXIST),
            true if flags & O_WRONLY != 0 => fail(EISDIR),
            false if flags & O_DIRECTORY != 0 && flags & O_STAT == 0 => fail(ENOTDIR),
            _ => Ok(()),
        }
    }

    fn open_in_daemon(
        &mut self,
        caller: Caller,
        root: DescriptionId,
        path: &str,
        flags: usize,
        shown: String,
    ) -> Outcome<DescriptionId> {
        let Description { scheme, number, .. } = self.descriptions[root.0];
        let SchemeId::User(server) = scheme else { return fail(ENODEV) };
        let flags = flags & !O_CLOEXEC;
        let request = Request {
            opcode: Opcode::OpenAt,
            number,
            payload: Payload::Bytes(path.as_bytes()),
            arguments: [0, 0, flags as u64, (flags & O_FCNTL_MASK) as u64],
            last: None,
        };
        let answer = self.ask(caller, server, request)?;
        Ok(match answer.other {
            Some(other) => other,
            None => {
                let opened = Opened { number: answer.value, is_positioned: answer.is_positioned };
                self.describe(scheme, opened, flags, shown)
            }
        })
    }

    /// Adds a description with one reference.
    pub(crate) fn describe(
        &mut self,
        scheme: SchemeId,
        opened: Opened,
        flags: usize,
        path: String,
    ) -> DescriptionId {
        if let SchemeId::User(server) = scheme {
            self.count_user_file(server);
        }
        DescriptionId(self.descriptions.insert(Description {
            scheme,
            number: opened.number,
            flags: flags & !O_CLOEXEC,
            offset: 0,
            is_positioned: opened.is_positioned,
            references: 1,
            tells_detach: false,
            timeouts: [0; 2],
            path,
        }))
    }

    /// Gives a description a descriptor: the lowest free one for [`LOWEST_FREE`], else `wanted`,
    /// closing what was there. On error the description is released.
    pub(crate) fn install(
        &mut self,
        process: ProcessId,
        description: DescriptionId,
        wanted: usize,
        flags: usize,
    ) -> Outcome {
        let fd = Fd { description, is_close_on_exec: flags & O_CLOEXEC != 0 };
        let files = &mut self.processes[process.0].files;
        let place = match wanted {
            LOWEST_FREE => files.find_free(0),
            wanted if files.is_in_range(wanted) => Ok(wanted),
            _ => Err(Errno(EBADF)),
        };
        match place {
            Err(errno) => {
                self.release_description(description);
                Err(errno.into())
            }
            Ok(place) => {
                if let Some(old) = files.put(place, fd) {
                    self.detach(process, old);
                }
                Ok(place)
            }
        }
    }

    /// What a descriptor of the caller names. `EBADF`.
    pub(crate) fn description_of(&self, caller: Caller, fd: usize) -> Result<DescriptionId, Errno> {
        self.processes[caller.process.0].files.get(fd).map(|fd| fd.description)
    }

    /// Drops a reference; the last one closes the file.
    pub(crate) fn release_description(&mut self, id: DescriptionId) {
        let description = &mut self.descriptions[id.0];
        description.references -= 1;
        if description.references > 0 {
            return;
        }
        let description = self.descriptions.remove(id.0);
        self.impatient -= usize::from(description.timeouts != [0; 2]);
        let key = (description.scheme, description.number);
        if !self.events.wanted(key).is_empty() && !self.is_open(key) {
            self.events.forget(key);
        }
        match description.scheme {
            SchemeId::Kernel(place) => {
                KernelSchemes::<M>::get(place).close(self, description.number);
            }
            SchemeId::User(server) => self.close_user_file(server, description.number),
        }
    }

    /// Whether some other description names the same file.
    fn is_open(&self, key: crate::event::Key) -> bool {
        self.descriptions.iter().any(|(_, other)| (other.scheme, other.number) == key)
    }

    /// Closes a descriptor. `EBADF`.
    pub(crate) fn close(&mut self, process: ProcessId, fd: usize) -> Outcome {
        let taken = self.processes[process.0].files.take(fd)?;
        self.detach(process, taken);
        Ok(0)
    }

    /// A process has one descriptor less for a file.
    pub(crate) fn detach(&mut self, process: ProcessId, fd: Fd) {
        if self.descriptions[fd.description.0].tells_detach {
            self.notify_detach(process, fd.description);
        }
        self.release_description(fd.description);
    }

    /// Sets how long calls wait for a file.
    pub(crate) fn set_timeouts(&mut self, id: DescriptionId, timeouts: [u64; 2]) {
        let old = core::mem::replace(&mut self.descriptions[id.0].timeouts, timeouts);
        self.impatient += usize::from(timeouts != [0; 2]);
        self.impatient -= usize::from(old != [0; 2]);
    }

    /// Has all descriptors of a process that name one open file name another, which gets its timeouts.
    pub(crate) fn replace(&mut self, process: ProcessId, old: DescriptionId, new: DescriptionId) {
        if old == new {
            return;
        }
        self.set_timeouts(new, self.descriptions[old.0].timeouts);
        let count = self.processes[process.0].files.replace(old, new);
        self.descriptions[new.0].references += count;
        for _ in 0..count {
            self.detach(process, Fd { description: old, is_close_on_exec: false });
        }
    }

    /// Takes the names away from a dead scheme.
    pub(crate) fn forget_names(&mut self, scheme: usize) {
        let descriptions = &self.descriptions;
        let is_gone = |root: Root| match root {
            Root::User(id) => descriptions[id.0].scheme == SchemeId::User(scheme),
            Root::Kernel(_) => false,
        };
        for (name, root) in self.namespace.unregister(is_gone) {
            self.log(crate::log::Level::Info, "scheme", format_args!("{name}: is gone"));
            if let Root::User(id) = root {
                self.release_description(id);
            }
        }
        self.raise_scheme_list();
    }
}

/// Three strings as one, without the cost of formatting.
fn joined(first: &str, between: &str, last: &str) -> String {
    let mut whole = String::with_capacity(first.len() + between.len() + last.len());
    whole.push_str(first);
    whole.push_str(between);
    whole.push_str(last);
    whole
}
