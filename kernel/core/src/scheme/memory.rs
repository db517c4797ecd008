//! `memory:` — memory to map.
//!
//! `memory:` and `memory:zeroed` map as zero-filled memory. For drivers, opened by root alone:
//! `memory:physical` maps what is at a physical address (the map's offset), as device memory, and
//! only where the machine has no memory of its own, so that a driver cannot reach other programs;
//! `memory:physical/START/LENGTH` is good for that range only, so that it can be handed out;
//! `memory:dma/LENGTH` is contiguous memory whose physical address a read tells.
//! `statvfs`-style totals are in `sys:mem`.

use super::{Opened, Position, Scheme};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::{Access, Machine};
use crate::memory::{Frame, Kind, Page, Region, UserSlice, Zone};
use crate::syscall::{access_of, make_room, map_anonymous, place};
use crate::table::Table;
use abi::PAGE_SIZE;
use abi::redox::data::{Map, Stat};
use abi::redox::flag::{MODE_CHR, MapFlags};
use alloc::format;
use alloc::string::{String, ToString};

const ZEROED: usize = 0;
const PHYSICAL: usize = 1;
/// The number of the first open range; the others follow.
const RANGES: usize = 2;

/// The largest run of contiguous frames, as a power of two: 4 MiB.
const DMA_ORDER_MAX: usize = 10;

/// A range of frames that a file stands for.
#[derive(Clone, Copy)]
enum Range {
    /// Registers of a device.
    Device { first: u64, count: u64 },
    /// Memory that devices may reach. The file owns one reference to each frame.
    Dma { first: Frame, count: u32 },
}

/// Open ranges.
#[derive(Default)]
pub struct Ranges {
    open: Table<Range>,
}

impl Ranges {
    fn get(&self, number: usize) -> Option<Range> {
        self.open.get(number.checked_sub(RANGES)?).copied()
    }

    /// The frames that open files own: what devices may reach.
    pub fn dma_frames(&self) -> impl Iterator<Item = Frame> {
        self.open.iter().flat_map(|(_, range)| match *range {
            Range::Dma { first, count } => (first.0..first.0 + count).map(Frame),
            Range::Device { .. } => (0..0).map(Frame),
        })
    }
}

pub(super) struct Memory;

impl<M: Machine> Scheme<M> for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        if matches!(path, "" | "zeroed") {
            return Opened::stream(ZEROED);
        }
        let (kind, rest) = path.split_once('/').unwrap_or((path, ""));
        if !matches!(kind, "physical" | "dma") {
            return fail(ENOENT);
        }
        if k.processes[caller.process.0].ids.euid != 0 {
            return fail(EACCES);
        }
        let range = match (kind, rest.split_once('/')) {
            ("physical", None) if rest.is_empty() => return Opened::stream(PHYSICAL),
            ("physical", Some((start, length))) => device_range(number(start)?, number(length)?)?,
            ("dma", None) => allocate(k, number(rest)?)?,
            _ => return fail(ENOENT),
        };
        Opened::stream(RANGES + k.ranges.open.insert(range))
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        _: Position,
    ) -> Outcome {
        let Some(Range::Dma { first, .. }) = k.ranges.get(number) else { return fail(EBADF) };
        if into.length < 8 {
            return fail(EINVAL);
        }
        k.copy_out(caller.space, into, &first.start().0.to_ne_bytes())?;
        Ok(8)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        if number < RANGES {
            return;
        }
        if let Range::Dma { first, count } = k.ranges.open.remove(number - RANGES) {
            (first.0..first.0 + count).for_each(|frame| k.frames.release(Frame(frame)));
        }
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        match k.ranges.get(number) {
            Some(Range::Device { first, count }) => {
                let page = PAGE_SIZE as u64;
                format!("physical/{:#x}/{:#x}", first * page, count * page)
            }
            Some(Range::Dma { count, .. }) => format!("dma/{:#x}", count as usize * PAGE_SIZE),
            None if number == PHYSICAL => "physical".to_string(),
            None => String::new(),
        }
    }

    fn stat(&self, _: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let mode = if number == ZEROED { 0o666 } else { 0o600 };
        Ok(Stat { st_mode: MODE_CHR | mode, ..Stat::default() })
    }

    fn map(&self, k: &mut Kernel<M>, caller: Caller, number: usize, map: &Map) -> Outcome {
        let offset = (map.offset / PAGE_SIZE) as u64;
        let wanted = map.size.div_ceil(PAGE_SIZE) as u64;
        let end = offset.checked_add(wanted).ok_or(Errno(EINVAL))?;
        match k.ranges.get(number) {
            Some(Range::Device { count, .. }) if end > count => fail(EINVAL),
            Some(Range::Dma { count, .. }) if end > u64::from(count) => fail(EINVAL),
            Some(Range::Device { first, .. }) => map_physical(k, caller, map, first + offset),
            Some(Range::Dma { first, .. }) => {
                map_dma(k, caller, map, Frame(first.0 + offset as u32))
            }
            None if number == PHYSICAL => map_physical(k, caller, map, offset),
            None => map_anonymous(k, caller, map),
        }
    }
}

/// A number in a path, decimal or with `0x`.
fn number(text: &str) -> Result<u64, Errno> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| Errno(ENOENT))
}

fn device_range(start: u64, length: u64) -> Result<Range, Errno> {
    let page = PAGE_SIZE as u64;
    let (first, count) = (start / page, length.div_ceil(page));
    let fits = first.checked_add(count).is_some_and(|end| end <= u64::from(u32::MAX));
    if !start.is_multiple_of(page) || count == 0 || !fits {
        return Err(Errno(EINVAL));
    }
    Ok(Range::Device { first, count })
}

/// Contiguous zeroed frames; what a power of two has too many goes back at once.
fn allocate<M: Machine>(k: &mut Kernel<M>, length: u64) -> Result<Range, Errno> {
    let count = length.div_ceil(PAGE_SIZE as u64);
    if count == 0 || count > 1 << DMA_ORDER_MAX {
        return Err(Errno(EINVAL));
    }
    let count = count as u32;
    let order = count.next_power_of_two().trailing_zeros() as usize;
    let taken = k.frames.allocate_run(order, Zone::Normal);
    let taken = taken.or_else(|| k.frames.allocate_run(order, Zone::Dma));
    let first = taken.ok_or(Errno(ENOMEM))?;
    for frame in first.0..first.0 + (1 << order) {
        match frame < first.0 + count {
            true => k.machine.zero(Frame(frame)),
            false => k.frames.release(Frame(frame)),
        }
    }
    Ok(Range::Dma { first, count })
}

/// The same frames for everybody who maps the file; `fork` shares them. A mapping keeps them when
/// the file is closed.
fn map_dma<M: Machine>(k: &mut Kernel<M>, caller: Caller, map: &Map, first: Frame) -> Outcome {
    let access = access_of(map.flags)?;
    if access.contains(Access::EXECUTE) {
        return fail(EACCES);
    }
    // A private copy would not be what the device sees.
    if !map.flags.contains(MapFlags::MAP_SHARED) {
        return fail(EINVAL);
    }
    let pages = make_room(k, caller, map)?;
    k.spaces[caller.space.0].add(Region::new(pages, access, Kind::Wired));
    for index in 0..pages.count() {
        let frame = Frame(first.0 + index as u32);
        k.frames.add_reference(frame);
        if let Err(errno) = place(k, caller, Page(pages.start.0 + index), frame, access) {
            k.spaces[caller.space.0].remove(&mut k.machine, &mut k.frames, pages);
            return Err(errno.into());
        }
    }
    Ok(pages.start.start())
}

/// Maps what is at the frames from `first` on, where the machine has no memory of its own.
pub(super) fn map_physical<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    map: &Map,
    first: u64,
) -> Outcome {
    let access = access_of(map.flags)?;
    let count = map.size.div_ceil(PAGE_SIZE) as u64;
    let end = first.checked_add(count).filter(|end| *end <= u64::from(u32::MAX));
    let Some(end) = end else { return fail(EINVAL) };
    if access.contains(Access::EXECUTE) || k.frames.is_memory(first as u32, end as u32) {
        return fail(EACCES);
    }
    let pages = make_room(k, caller, map)?;
    k.spaces[caller.space.0].add(Region::new(pages, access, Kind::Device));
    for index in 0..count as usize {
        let frame = Frame(first as u32 + index as u32);
        let space = &mut k.spaces[caller.space.0];
        let page = Page(pages.start.0 + index);
        let placed = space.place_device(&mut k.machine, &mut k.frames, page, frame, access);
        if let Err(no_memory) = placed {
            k.spaces[caller.space.0].remove(&mut k.machine, &mut k.frames, pages);
            return Err(no_memory.into());
        }
    }
    Ok(pages.start.start())
}
