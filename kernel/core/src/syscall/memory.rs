//! Calls on the caller's own memory.

use super::Arguments;
use super::file::plain;
use crate::error::*;
use crate::handle::{Description, DescriptionId};
use crate::kernel::{Caller, Kernel, PAGES_AT_ONCE, shown};
use crate::machine::{Access, Machine};
use crate::memory::{FilePart, Frame, Kind, Page, Pages, Region};
use crate::scheme::{KernelSchemes, SchemeId};
use abi::redox::data::Map;
use abi::redox::flag::MapFlags;
use abi::redox::schemev2::Opcode;
use abi::{ANONYMOUS, PAGE_SIZE, USER_END, USER_START};
use alloc::vec::Vec;

/// `fd, *Map, size`
pub(super) fn map<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, map, size, ..] = a;
    if size != size_of::<Map>() {
        return fail(EINVAL);
    }
    let [offset, size, flags, address] = k.copy_in_words(caller.space, map)?;
    let map = Map { offset, size, flags: MapFlags::from_bits_truncate(flags), address };
    if map.size == 0 || !map.offset.is_multiple_of(PAGE_SIZE) || map.size > USER_END {
        return fail(EINVAL);
    }
    if fd == ANONYMOUS {
        return map_anonymous(k, caller, &map);
    }
    let id = k.description_of(caller, fd)?;
    let Description { scheme, number, .. } = k.descriptions[id.0];
    let start = match scheme {
        SchemeId::Kernel(place) => KernelSchemes::<M>::get(place).map(k, caller, number, &map),
        SchemeId::User(server) => map_from_daemon(k, caller, id, server, number, &map),
    }?;
    let path = k.path_of(id).into();
    let pages = Pages::covering(start, map.size);
    k.spaces[caller.space.0].note_origin(pages, &path, map.offset as u64);
    Ok(start)
}

/// What the flags let user code do. `EACCES` for writable code: no page is ever both.
pub(crate) fn access_of(flags: MapFlags) -> Result<Access, Errno> {
    let mut access = Access::empty();
    access.set(Access::READ, flags.contains(MapFlags::PROT_READ));
    access.set(Access::WRITE, flags.contains(MapFlags::PROT_WRITE));
    access.set(Access::EXECUTE, flags.contains(MapFlags::PROT_EXEC));
    if access.contains(Access::WRITE | Access::EXECUTE) {
        return Err(Errno(EACCES));
    }
    // x86-64 cannot grant writing or executing without reading.
    if !access.is_empty() {
        access |= Access::READ;
    }
    Ok(access)
}

/// Finds or clears room as the flags say.
pub(crate) fn make_room<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    map: &Map,
) -> Result<Pages, Errno> {
    let space = &mut k.spaces[caller.space.0];
    let count = map.size.div_ceil(PAGE_SIZE);
    if space.is_crowded() {
        return Err(Errno(ENOMEM));
    }
    if !map.flags.contains(MapFlags::MAP_FIXED) {
        return space.find_free(count, Page::containing(map.address)).ok_or(Errno(ENOMEM));
    }
    let end = map.address.checked_add(count * PAGE_SIZE).ok_or(Errno(EINVAL))?;
    if !map.address.is_multiple_of(PAGE_SIZE) || map.address < USER_START || end > USER_END {
        return Err(Errno(EINVAL));
    }
    let pages = Pages { start: Page::containing(map.address), end: Page::containing(end) };
    if map.flags.contains(MapFlags::MAP_FIXED_NOREPLACE) {
        return if space.is_free(pages) { Ok(pages) } else { Err(Errno(EEXIST)) };
    }
    if space.is_reserved(pages) {
        return Err(Errno(EBUSY));
    }
    k.unmap_pages(caller.space, pages);
    Ok(pages)
}

/// Zero-filled memory. Private memory comes on first touch; shared memory, which a later `fork`
/// must find, comes at once. The page of private memory that the offset names is a guard.
pub(crate) fn map_anonymous<M: Machine>(k: &mut Kernel<M>, caller: Caller, map: &Map) -> Outcome {
    let access = access_of(map.flags)?;
    // What could never be filled is refused; room that nobody may touch costs nothing.
    let count = if access.is_empty() { 0 } else { map.size.div_ceil(PAGE_SIZE) };
    if !k.spaces[caller.space.0].may_grow(&k.frames, count) {
        return fail(ENOMEM);
    }
    let pages = make_room(k, caller, map)?;
    if !map.flags.contains(MapFlags::MAP_SHARED) {
        let space = &mut k.spaces[caller.space.0];
        let guard = Page(pages.start.0 + map.offset / PAGE_SIZE);
        if map.offset == 0 || !pages.contains(guard) {
            space.add(Region::new(pages, access, Kind::Private));
            return Ok(pages.start.start());
        }
        for (start, end, access) in [
            (pages.start, guard, access),
            (guard, guard.next(), Access::empty()),
            (guard.next(), pages.end, access),
        ] {
            let pages = Pages { start, end };
            if pages.count() > 0 {
                space.add(Region::new(pages, access, Kind::Private));
            }
        }
        return Ok(pages.start.start());
    }
    check_free(k, pages.count())?;
    k.spaces[caller.space.0].add(Region::new(pages, access, Kind::Shared));
    for number in pages.start.0..pages.end.0 {
        let placed = k.frames.allocate().ok_or(Errno(ENOMEM)).and_then(|frame| {
            k.machine.zero(frame);
            place(k, caller, Page(number), frame, access)
        });
        if let Err(errno) = placed {
            k.spaces[caller.space.0].remove(&mut k.machine, &mut k.frames, pages);
            return Err(errno.into());
        }
    }
    Ok(pages.start.start())
}

/// `ENOMEM` unless there is memory for so many pages. Nobody has been promised it: asking for too
/// much at once is a mistake, not an emergency.
fn check_free<M: Machine>(k: &Kernel<M>, pages: usize) -> Result<(), Errno> {
    let free = k.frames.totals().free.saturating_sub(k.frames.reserve());
    if pages > free { Err(Errno(ENOMEM)) } else { Ok(()) }
}

/// Maps a frame whose reference the space takes over.
pub(crate) fn place<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    page: Page,
    frame: Frame,
    access: Access,
) -> Result<(), Errno> {
    let space = &mut k.spaces[caller.space.0];
    Ok(space.place(&mut k.machine, &mut k.frames, page, frame, access)?)
}

/// The daemon prepares the bytes in its own memory and says where; the client gets the same
/// frames: for good when shared, copy-on-write when private. Only the first few come now, and so the
/// daemon can say no; the others are asked for when they are touched.
fn map_from_daemon<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    id: DescriptionId,
    server: usize,
    number: usize,
    map: &Map,
) -> Outcome {
    let access = access_of(map.flags)?;
    let is_shared = map.flags.contains(MapFlags::MAP_SHARED);
    if !k.descriptions[id.0].is_readable()
        || is_shared && access.contains(Access::WRITE) && !k.descriptions[id.0].is_writable()
    {
        return fail(EACCES);
    }
    if map.offset.checked_add(map.size).is_none_or(|end| end > isize::MAX as usize) {
        return fail(EOVERFLOW);
    }
    let first = map.size.div_ceil(PAGE_SIZE).min(PAGES_AT_ONCE);
    let arguments = [(first * PAGE_SIZE) as u64, map.flags.bits() as u64, map.offset as u64, 0];
    let frames = match k.ask(caller, server, plain(Opcode::MmapPrep, number, arguments)) {
        Ok(answer) => k.lend_frames(server, answer.value, first, is_shared)?,
        // The file is shorter than that, and may grow.
        Err(Stop::Error(Errno(ENXIO))) => Vec::new(),
        Err(stop) => return Err(stop),
    };
    let pages = match make_room(k, caller, map) {
        Ok(pages) => pages,
        Err(errno) => {
            frames.into_iter().for_each(|frame| k.frames.release(frame));
            return Err(errno.into());
        }
    };
    let kind = if is_shared { Kind::Shared } else { Kind::Private };
    let file = Some(FilePart::new(id, pages.start, map.offset as u64));
    let space = &mut k.spaces[caller.space.0];
    space.add(Region { pages, access, kind, file });
    if space.hold(id) {
        k.descriptions[id.0].references += 1;
    }
    let mut result = Ok(pages.start.start());
    for (index, frame) in frames.into_iter().enumerate() {
        let page = Page(pages.start.0 + index);
        match place(k, caller, page, frame, shown(is_shared, access)) {
            Err(errno) if result.is_ok() => result = Err(errno.into()),
            _ => {}
        }
    }
    if result.is_err() {
        k.unmap_pages(caller.space, pages);
    }
    result
}

/// `address, length`
pub(super) fn unmap<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let pages = own_pages(k, caller, a[0], a[1])?;
    k.unmap_pages(caller.space, pages);
    Ok(0)
}

/// `address, length, flags`
pub(super) fn protect<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let pages = own_pages(k, caller, a[0], a[1])?;
    let access = access_of(MapFlags::from_bits_truncate(a[2]))?;
    let may_write = |file: DescriptionId| k.descriptions[file.0].is_writable();
    let mut files = k.spaces[caller.space.0].shared_files(pages).map(|(_, file)| file);
    let is_refused = access.contains(Access::WRITE) && !files.all(may_write);
    drop(files);
    if is_refused {
        return fail(EACCES);
    }
    k.spaces[caller.space.0].protect(&mut k.machine, &k.frames, pages, access)?;
    Ok(0)
}

/// `address, length`: has the daemon keep what the program wrote to the first file that is shared
/// there. Answers where its pages end; 0 when there is no file left.
pub(super) fn sync<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let pages = whole_pages(a[0], a[1])?;
    let space = &k.spaces[caller.space.0];
    if !space.is_covered(pages) {
        return fail(ENOMEM);
    }
    let Some((shown, file)) = space.shared_files(pages).next() else { return Ok(0) };
    super::file::sync_description(k, caller, file)?;
    Ok(shown.end.start())
}

/// `address, length`: private pages become again what they were when they were mapped.
pub(super) fn discard<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let pages = whole_pages(a[0], a[1])?;
    k.spaces[caller.space.0].renew(&mut k.machine, &mut k.frames, pages)?;
    Ok(0)
}

/// Whole pages that the caller may change. `EBUSY` for those of a request window.
fn own_pages<M: Machine>(
    k: &Kernel<M>,
    caller: Caller,
    address: usize,
    length: usize,
) -> Result<Pages, Errno> {
    let pages = whole_pages(address, length)?;
    let space = &k.spaces[caller.space.0];
    match () {
        () if space.is_reserved(pages) => Err(Errno(EBUSY)),
        () if space.would_crowd(pages) => Err(Errno(ENOMEM)),
        () => Ok(pages),
    }
}

/// Page-aligned and inside the user half, or `EINVAL`.
fn whole_pages(address: usize, length: usize) -> Result<Pages, Errno> {
    let end = address.checked_add(length).and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
    match end {
        Some(end)
            if address.is_multiple_of(PAGE_SIZE)
                && length > 0
                && address >= USER_START
                && end <= USER_END =>
        {
            Ok(Pages { start: Page::containing(address), end: Page::containing(end) })
        }
        _ => Err(Errno(EINVAL)),
    }
}
