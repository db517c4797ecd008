//! Mapping memory over Linux.

use super::{fail, failed, linux, number};
use abi::redox::data::Map;
use abi::redox::flag::MapFlags;
use abi::redox::number::{SYS_FMAP, SYS_FUNMAP, SYS_MPROTECT};
use abi::{ANONYMOUS, PAGE_SIZE, number as own};

const MAP_FIXED: usize = 0x10;
const MAP_ANONYMOUS: usize = 0x20;
const MAP_NORESERVE: usize = 0x4000;
const MS_SYNC: usize = 4;
const MADV_DONTNEED: usize = 4;

pub(super) unsafe fn call(call: usize, a: [usize; 6]) -> Option<usize> {
    // SAFETY: as promised by the caller.
    Some(unsafe {
        match call {
            SYS_FMAP => map(a[0], &*(a[1] as *const Map)),
            SYS_FUNMAP => linux(number::MUNMAP, [a[0], a[1]]),
            SYS_MPROTECT => {
                linux(number::MPROTECT, [a[0], a[1], protection(MapFlags::from_bits_retain(a[2]))])
            }
            own::DISCARD => linux(number::MADVISE, [a[0], a[1], MADV_DONTNEED]),
            own::MSYNC => linux(number::MSYNC, [a[0], a[1], MS_SYNC]),
            _ => return None,
        }
    })
}

/// `PROT_*` in Linux's order.
fn protection(flags: MapFlags) -> usize {
    usize::from(flags.contains(MapFlags::PROT_READ))
        | usize::from(flags.contains(MapFlags::PROT_WRITE)) << 1
        | usize::from(flags.contains(MapFlags::PROT_EXEC)) << 2
}

unsafe fn map(fd: usize, map: &Map) -> usize {
    let protection = protection(map.flags);
    // Nobody may have a page that can be written and run.
    if protection & 6 == 6 {
        return fail(libc::EACCES);
    }
    // Shared and private have the same bits on both systems.
    let mut flags = map.flags.bits() & 3;
    if map.flags.contains(MapFlags::MAP_FIXED) {
        flags |= MAP_FIXED;
    }
    // SAFETY: what is replaced is the caller's concern.
    unsafe {
        if fd != ANONYMOUS {
            let arguments = [map.address, map.size, protection, flags, fd, map.offset];
            return linux(number::MMAP, arguments);
        }
        flags |= MAP_ANONYMOUS | MAP_NORESERVE;
        let nowhere = usize::MAX;
        let start = linux(number::MMAP, [map.address, map.size, protection, flags, nowhere, 0]);
        // The offset of anonymous memory is that of a page that may not be touched.
        if !failed(start) && map.offset != 0 {
            linux(number::MPROTECT, [start + map.offset, PAGE_SIZE, 0]);
        }
        start
    }
}
