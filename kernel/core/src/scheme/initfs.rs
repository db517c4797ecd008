//! `initfs:` — the boot archive: programs and files the system starts with. Read-only.
//!
//! Files are read and mapped where they lie: mapping copies nothing.

use super::{Opened, Position, Scheme, directory::Entry};
use crate::error::*;
use crate::kernel::{BootArchive, Caller, Kernel};
use crate::machine::{Access, Machine};
use crate::memory::{Frame, Kind, Page, Region, UserSlice};
use crate::syscall::{access_of, make_room, place};
use abi::PAGE_SIZE;
use abi::redox::data::{Map, Stat};
use abi::redox::dirent::DirentKind;
use abi::redox::flag::*;
use alloc::borrow::ToOwned;
use alloc::string::String;
use initfs_format as format;

pub(super) struct Initfs;

fn archive<M: Machine>(k: &Kernel<M>) -> Outcome<&BootArchive> {
    k.archive.as_ref().ok_or(Stop::Error(Errno(ENODEV)))
}

fn entry<M: Machine>(k: &Kernel<M>, number: usize) -> Outcome<format::Entry<'static>> {
    archive(k)?.archive.entry(number as u32).ok_or(Stop::Error(Errno(EBADF)))
}

impl<M: Machine> Scheme<M> for Initfs {
    fn name(&self) -> &'static str {
        "initfs"
    }

    fn open(&self, k: &mut Kernel<M>, _: Caller, path: &str, flags: usize) -> Outcome<Opened> {
        let follow = flags & O_SYMLINK == 0;
        let found = archive(k)?.archive.lookup(path, follow);
        let found = found.map_err(|error| {
            Errno(match error {
                format::LookupError::NotFound if flags & O_CREAT != 0 => EROFS,
                format::LookupError::NotFound => ENOENT,
                format::LookupError::NotDirectory => ENOTDIR,
                format::LookupError::TooManyLinks => ELOOP,
                format::LookupError::OtherScheme => EXDEV,
            })
        })?;
        if flags & O_CREAT != 0 && flags & O_EXCL != 0 {
            return fail(EEXIST);
        }
        let is_directory = found.kind() == format::Kind::Directory;
        if flags & O_DIRECTORY != 0 && !is_directory && flags & O_STAT == 0 {
            return fail(ENOTDIR);
        }
        if flags & O_WRONLY != 0 || flags & O_TRUNC != 0 {
            return fail(if is_directory { EISDIR } else { EROFS });
        }
        Opened::positioned(found.index() as usize)
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        let entry = entry(k, number)?;
        let bytes = match entry.kind() {
            format::Kind::Directory => return fail(EISDIR),
            format::Kind::Link => entry.target().as_bytes(),
            format::Kind::File => entry.data(),
        };
        let rest = bytes.get(at.offset as usize..).unwrap_or_default();
        let count = rest.len().min(into.length);
        k.copy_out(caller.space, into, &rest[..count])?;
        Ok(count)
    }

    fn write(&self, _: &mut Kernel<M>, _: Caller, _: usize, _: UserSlice, _: Position) -> Outcome {
        fail(EROFS)
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        let Ok(mut at) = entry(k, number) else { return String::new() };
        let mut path = String::new();
        while at.index() != 0 {
            let below = core::mem::replace(&mut path, at.name().to_owned());
            if !below.is_empty() {
                path.push('/');
                path.push_str(&below);
            }
            at = at.parent();
        }
        path
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let entry = entry(k, number)?;
        let kind = match entry.kind() {
            format::Kind::Directory => MODE_DIR,
            format::Kind::Link => MODE_SYMLINK,
            format::Kind::File => MODE_FILE,
        };
        let size = entry.size() as u64;
        let boot = k.machine.boot_time();
        Ok(Stat {
            st_ino: number as u64 + 1,
            st_mode: kind | entry.mode(),
            st_nlink: 1,
            st_size: size,
            st_blksize: PAGE_SIZE as u32,
            st_blocks: size.div_ceil(512),
            st_mtime: boot,
            st_atime: boot,
            st_ctime: boot,
            ..Stat::default()
        })
    }

    fn entry(
        &self,
        k: &mut Kernel<M>,
        _: Caller,
        number: usize,
        from: usize,
    ) -> Outcome<Option<Entry>> {
        let directory = entry(k, number)?;
        if directory.kind() != format::Kind::Directory {
            return fail(ENOTDIR);
        }
        Ok(directory.children().nth(from).map(|child| Entry {
            name: child.name().to_owned(),
            kind: match child.kind() {
                format::Kind::Directory => DirentKind::Directory,
                format::Kind::Link => DirentKind::Symlink,
                format::Kind::File => DirentKind::Regular,
            },
            inode: u64::from(child.index()) + 1,
            at: from,
        }))
    }

    fn map(&self, k: &mut Kernel<M>, caller: Caller, number: usize, map: &Map) -> Outcome {
        let entry = entry(k, number)?;
        if entry.kind() != format::Kind::File {
            return fail(ENODEV);
        }
        let access = access_of(map.flags)?;
        if map.flags.contains(MapFlags::MAP_SHARED) && access.contains(Access::WRITE) {
            return fail(EACCES);
        }
        let range = entry.data_range();
        // Behind the end of the file there is fresh memory.
        let offset = map.offset.min(range.len().next_multiple_of(PAGE_SIZE));
        let available = range.len().saturating_sub(offset).div_ceil(PAGE_SIZE);
        let first = archive(k)?.first_frame.0 + ((range.start + offset) / PAGE_SIZE) as u32;
        let pages = make_room(k, caller, map)?;
        k.spaces[caller.space.0].add(Region::new(pages, access, Kind::Private));
        for index in 0..pages.count().min(available) {
            let frame = Frame(first + index as u32);
            k.frames.add_reference(frame);
            let page = Page(pages.start.0 + index);
            if let Err(errno) = place(k, caller, page, frame, access - Access::WRITE) {
                k.spaces[caller.space.0].remove(&mut k.machine, &mut k.frames, pages);
                return Err(errno.into());
            }
        }
        Ok(pages.start.start())
    }

    fn unlink(&self, _: &mut Kernel<M>, _: Caller, _: &str, _: usize) -> Outcome {
        fail(EROFS)
    }
}
