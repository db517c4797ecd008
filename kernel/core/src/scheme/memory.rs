//! `memory:` — memory to map.
//!
//! `memory:` and `memory:zeroed` map as zero-filled memory. `memory:physical` maps what is at a
//! physical address (the map's offset), as device memory; only root, and only where the machine
//! has no memory of its own: a driver cannot reach other programs this way. `statvfs`-style
//! totals are in `sys:mem`.

use super::{Opened, Scheme};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::{Access, Machine};
use crate::memory::{Frame, Kind, Page, Region};
use crate::syscall::{access_of, make_room, map_anonymous};
use abi::PAGE_SIZE;
use abi::redox::data::{Map, Stat};
use abi::redox::flag::MODE_CHR;

const ZEROED: usize = 0;
const PHYSICAL: usize = 1;

pub(super) struct Memory;

impl<M: Machine> Scheme<M> for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        match path {
            "" | "zeroed" => Opened::stream(ZEROED),
            "physical" if k.processes[caller.process.0].ids.euid != 0 => fail(EACCES),
            "physical" => Opened::stream(PHYSICAL),
            _ => fail(ENOENT),
        }
    }

    fn stat(&self, _: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let mode = if number == PHYSICAL { 0o600 } else { 0o666 };
        Ok(Stat { st_mode: MODE_CHR | mode, ..Stat::default() })
    }

    fn map(&self, k: &mut Kernel<M>, caller: Caller, number: usize, map: &Map) -> Outcome {
        match number {
            PHYSICAL => map_physical(k, caller, map),
            _ => map_anonymous(k, caller, map),
        }
    }
}

fn map_physical<M: Machine>(k: &mut Kernel<M>, caller: Caller, map: &Map) -> Outcome {
    let access = access_of(map.flags)?;
    let first = (map.offset / PAGE_SIZE) as u64;
    let count = map.size.div_ceil(PAGE_SIZE) as u64;
    let end = first.checked_add(count).filter(|end| *end <= u64::from(u32::MAX));
    let Some(end) = end else { return fail(EINVAL) };
    if access.contains(Access::EXECUTE) || k.frames.is_memory(first as u32, end as u32) {
        return fail(EACCES);
    }
    let pages = make_room(k, caller, map)?;
    k.spaces[caller.space.0].add(Region { pages, access, kind: Kind::Device });
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
