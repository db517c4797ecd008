//! Faults, mapping, protecting.

use crate::sample::{Bench, ticks};
use guest::Result;
use guest::abi::redox::data::Map;
use guest::abi::redox::flag::MapFlags;
use guest::abi::redox::number::{SYS_FMAP, SYS_FUNMAP, SYS_MPROTECT};
use guest::abi::{ANONYMOUS, PAGE_SIZE};
use guest::call::{call2, call3};
use guest::file::pipe;
use guest::memory::{Mapping, READ_WRITE};
use guest::process::Child;

/// Pages for each row about faults.
const PAGES: usize = 512;
const MIB: usize = 1 << 20;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    faults(bench)?;
    for (name, size, count) in [
        ("mmap_munmap_4k", PAGE_SIZE, 2000),
        ("mmap_munmap_1m", MIB, 2000),
        ("mmap_munmap_1g", 1024 * MIB, 1000),
    ] {
        let value = bench.row(name, 50, count, || map_unmap(size, READ_WRITE, 0));
        bench.curve("map_unmap_kib", size / 1024, value);
    }
    bench.row("mmap_touch_munmap_4k", 50, 2000, || map_unmap(PAGE_SIZE, READ_WRITE, 1));
    bench.row("mmap_touch_munmap_1m", 5, 100, || map_unmap(MIB, READ_WRITE, 256));
    protect(bench)?;
    many_mappings(bench)?;
    copies(bench)
}

fn faults(bench: &mut Bench) -> Result<()> {
    let fresh = Mapping::pages(PAGES)?;
    fresh.touch(0);
    for page in 1..PAGES {
        bench.sample(&mut || fresh.touch(page));
    }
    bench.report("fault_anon_4k", 1);
    drop(fresh);
    let memory = Mapping::pages(PAGES)?;
    for page in 0..PAGES {
        bench.sample(&mut || memory.peek(page));
    }
    bench.report("fault_zero_read_4k", 1);
    (0..PAGES).for_each(|page| memory.touch(page));
    let (reader, _writer) = pipe()?;
    let mut byte = [0];
    let child = Child::start(|| reader.read(&mut byte).map_or(1, |_| 0))?;
    for page in 0..PAGES {
        bench.sample(&mut || memory.touch(page));
    }
    bench.report("fault_cow_4k", 1);
    drop(child);
    Ok(())
}

/// Maps, writes to the first so many pages, unmaps.
#[inline(always)]
fn map_unmap(size: usize, flags: MapFlags, touched: usize) {
    let map = Map { offset: 0, size, flags, address: 0 };
    // SAFETY: the memory is new, and gone again before anybody could use it.
    unsafe {
        let address = call3(SYS_FMAP, ANONYMOUS, &raw const map as usize, size_of::<Map>());
        for page in 0..touched {
            ((address + page * PAGE_SIZE) as *mut u8).write_volatile(1);
        }
        call2(SYS_FUNMAP, address, size);
    }
}

fn protect(bench: &mut Bench) -> Result<()> {
    let memory = Mapping::pages(2)?;
    (0..2).for_each(|page| memory.touch(page));
    bench.row("mprotect_pair_4k", 50, 1000, || {
        for flags in [MapFlags::PROT_READ, MapFlags::PROT_READ | MapFlags::PROT_WRITE] {
            // SAFETY: nobody uses the memory meanwhile.
            unsafe { call3(SYS_MPROTECT, memory.address, PAGE_SIZE, flags.bits()) };
        }
    });
    Ok(())
}

/// Mapping while many other mappings live. Their rights alternate, so that they stay apart.
fn many_mappings(bench: &mut Bench) -> Result<()> {
    let mut kept = Vec::new();
    for count in [16, 256, 4096] {
        while kept.len() < count {
            let odd = kept.len() % 2 == 1;
            let flags = if odd { MapFlags::PROT_READ | MapFlags::MAP_PRIVATE } else { READ_WRITE };
            kept.push(Mapping::new(PAGE_SIZE, flags)?);
        }
        let flags = MapFlags::PROT_READ | MapFlags::PROT_EXEC | MapFlags::MAP_PRIVATE;
        let name = format!("mmap_munmap_4k_{count}vma");
        let value = bench.row(&name, 20, 500, || map_unmap(PAGE_SIZE, flags, 0));
        bench.curve("map_unmap_mappings", count, value);
    }
    Ok(())
}

fn copies(bench: &mut Bench) -> Result<()> {
    let (mut from, mut to) = (Mapping::pages(256)?, Mapping::pages(256)?);
    from.bytes().fill(2);
    to.bytes().fill(1);
    for _ in 0..50 {
        let start = ticks();
        to.bytes().copy_from_slice(from.bytes());
        bench.add(ticks() - start);
    }
    bench.report("memcpy_1m", 1);
    Ok(())
}
