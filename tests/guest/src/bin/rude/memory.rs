//! Memory used against its rights, or asked for beyond reason.

use crate::trial::{Code, Places, dies};
use guest::abi::redox::data::Map;
use guest::abi::redox::error::*;
use guest::abi::redox::flag::{MapFlags, O_RDONLY, O_RDWR};
use guest::abi::{ANONYMOUS, PAGE_SIZE, USER_END, USER_START};
use guest::file::{number_of, open, read_path};
use guest::memory::{Mapping, READ_WRITE, SHARED, map, protect, unmap};
use guest::report::{Check, Failure, holds, refused};
use guest::signal::{SIGABRT, SIGSEGV};

static CONSTANT: [u8; 64] = [1; 64];

pub(crate) fn bad_accesses() -> Check {
    let places = Places::new()?;
    for address in places.unreadable() {
        dies(&format!("a read at {address:#x}"), SIGSEGV, || {
            // SAFETY: ends the process, which is the point.
            unsafe { (address as *const u8).read_volatile() };
        })?;
        dies(&format!("a write at {address:#x}"), SIGSEGV, || {
            // SAFETY: as above.
            unsafe { (address as *mut u8).write_volatile(1) };
        })?;
    }
    for (what, address) in [
        ("code", bad_accesses as *const () as usize),
        ("constants", CONSTANT.as_ptr() as usize),
        ("a read-only page", places.constant.address),
    ] {
        dies(&format!("a write to {what}"), SIGSEGV, || {
            // SAFETY: as above.
            unsafe { (address as *mut u8).write_volatile(1) };
        })?;
    }
    Ok(())
}

/// Calls an address as code. Comes back only if something is wrong.
fn jump(address: usize) {
    // SAFETY: ends the process, which is the point.
    let code: extern "C" fn() = unsafe { std::mem::transmute(address) };
    code();
}

pub(crate) fn bad_jumps() -> Check {
    const RETURN: [u8; 64] = [0xC3; 64];
    static WRITABLE: std::sync::Mutex<[u8; 64]> = std::sync::Mutex::new(RETURN);
    let on_stack = RETURN;
    let on_heap = Box::new(RETURN);
    let mut anonymous = Mapping::pages(1)?;
    anonymous.bytes().fill(0xC3);
    let in_data = WRITABLE.lock().map_or(0, |bytes| bytes.as_ptr() as usize);
    let places = Places::new()?;
    for (what, address) in [
        ("the stack", std::hint::black_box(&on_stack).as_ptr() as usize),
        ("the heap", std::hint::black_box(&on_heap).as_ptr() as usize),
        ("data", in_data),
        ("constants", CONSTANT.as_ptr() as usize),
        ("a writable page", anonymous.address),
        ("a read-only page", places.constant.address),
        ("a forbidden page", places.forbidden()),
        ("null", 0x10),
        ("the kernel", 0xFFFF_FFFF_8010_0000),
        ("the physical map", 0xFFFF_8000_0010_0000),
        ("no address", 0x8000_0000_0000),
        ("the end", usize::MAX - 15),
    ] {
        dies(&format!("running {what}"), SIGSEGV, || jump(std::hint::black_box(address)))?;
    }
    Ok(())
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "the stack must overflow")]
fn recurse(depth: usize) -> usize {
    let room = std::hint::black_box([depth; 64]);
    recurse(room[depth % 64] + 1) + room[1]
}

pub(crate) fn stack_overflow() -> Check {
    // By std, which says in which thread it was.
    dies("endless recursion", SIGABRT, || {
        std::hint::black_box(recurse(0));
    })
}

pub(crate) fn unmap_oneself() -> Check {
    let code = unmap_oneself as *const () as usize / PAGE_SIZE * PAGE_SIZE;
    let local = 0u8;
    let stack = &raw const local as usize / PAGE_SIZE * PAGE_SIZE;
    for (what, address, length) in [
        ("its code", code - 64 * PAGE_SIZE, 256 * PAGE_SIZE),
        ("its stack", stack - 16 * PAGE_SIZE, 32 * PAGE_SIZE),
        ("everything", USER_START, USER_END - USER_START),
    ] {
        dies(&format!("unmapping {what}"), SIGSEGV, || {
            // SAFETY: ends the process, which is the point.
            let _ = unsafe { unmap(address.max(USER_START), length) };
            // Exiting needs neither stack nor much code, so use some.
            std::hint::black_box([1u8; 4 * PAGE_SIZE]);
        })?;
    }
    dies("forbidding its stack", SIGSEGV, || {
        // SAFETY: as above.
        let _ = unsafe { protect(stack - 15 * PAGE_SIZE, 16 * PAGE_SIZE, MapFlags::PROT_NONE) };
        std::hint::black_box([1u8; 4 * PAGE_SIZE]);
    })?;
    let code = Code::new(&[0xC3])?;
    dies("forbidding its code", SIGSEGV, || {
        code.forbid();
        code.run();
    })
}

pub(crate) fn writable_code() -> Check {
    let all = READ_WRITE | MapFlags::PROT_EXEC;
    let wanted = Map { offset: 0, size: PAGE_SIZE, flags: all, address: 0 };
    // SAFETY: must be refused.
    refused("mapping it", unsafe { map(ANONYMOUS, &wanted) }, EACCES)?;
    let page = Mapping::pages(1)?;
    refused("making it", page.protect(all), EACCES)?;
    let only = Map { flags: MapFlags::PROT_WRITE | MapFlags::PROT_EXEC, ..wanted };
    // SAFETY: must be refused.
    refused("write and execute alone", unsafe { map(ANONYMOUS, &only) }, EACCES)
}

pub(crate) fn bad_mappings() -> Check {
    let own = Mapping::pages(4)?;
    let fixed = READ_WRITE | MapFlags::MAP_FIXED;
    let keep = READ_WRITE | MapFlags::MAP_FIXED_NOREPLACE;
    for (what, offset, size, flags, address, wanted) in [
        ("no size", 0, 0, READ_WRITE, 0, EINVAL),
        ("all sizes", 0, usize::MAX, READ_WRITE, 0, EINVAL),
        ("half of them", 0, 1 << 63, READ_WRITE, 0, EINVAL),
        ("more than there are addresses", 0, USER_END, READ_WRITE, 0, ENOMEM),
        ("an odd offset", 1, 4096, READ_WRITE, 0, EINVAL),
        ("at null", 0, 4096, fixed, 0, EINVAL),
        ("below user space", 0, 4096, fixed, 0x1000, EINVAL),
        ("an odd address", 0, 4096, fixed, own.address + 1, EINVAL),
        ("over the end", 0, 8192, fixed, USER_END - PAGE_SIZE, EINVAL),
        ("in the kernel", 0, 4096, fixed, 0xFFFF_FFFF_8000_0000, EINVAL),
        ("at the end of all", 0, 4096, fixed, usize::MAX - 4095, EINVAL),
        ("over itself", 0, 4096, keep, own.address, EEXIST),
    ] {
        // SAFETY: must be refused.
        refused(what, unsafe { map(ANONYMOUS, &Map { offset, size, flags, address }) }, wanted)?;
    }
    for (address, length) in [
        (own.address + 1, 4096),
        (0, 4096),
        (0x1000, 4096),
        (USER_END, 4096),
        (own.address, usize::MAX),
        (usize::MAX - 4095, 4096),
        (usize::MAX - 4095, 8192),
        (own.address, 0),
    ] {
        let what = format!("{length:#x} bytes at {address:#x}");
        // SAFETY: must be refused.
        unsafe {
            refused(&format!("unmapping {what}"), unmap(address, length), EINVAL)?;
            let found = protect(address, length, MapFlags::PROT_READ);
            refused(&format!("protecting {what}"), found, EINVAL)?;
        }
    }
    // SAFETY: must be refused.
    let found = unsafe { protect(own.address, 1 << 30, MapFlags::PROT_READ) };
    refused("protecting what is not there", found, ENOMEM)
}

/// `memory:physical` gives out devices, never memory.
pub(crate) fn physical() -> Check {
    let file = open("memory:physical", O_RDWR)?;
    for offset in [0x10_0000, 0x100_0000, 0x800_0000] {
        let wanted = Map { offset, size: PAGE_SIZE, flags: SHARED, address: 0 };
        // SAFETY: must be refused.
        refused(&format!("memory at {offset:#x}"), unsafe { map(file.0, &wanted) }, EACCES)?;
    }
    for offset in [usize::MAX - 4095, 1 << 52, 1 << 45] {
        let wanted = Map { offset, size: 2 * PAGE_SIZE, flags: SHARED, address: 0 };
        // SAFETY: must be refused.
        refused(&format!("nothing at {offset:#x}"), unsafe { map(file.0, &wanted) }, EINVAL)?;
    }
    Ok(())
}

fn free_memory() -> Result<u64, Failure> {
    let mut text = [0; 1024];
    let text = read_path("sys:mem", &mut text)?;
    number_of(text, "free").ok_or_else(|| Failure("sys:mem does not tell what is free".into()))
}

/// Shared memory comes at once, or not at all.
pub(crate) fn more_than_there_is() -> Check {
    let before = free_memory()?;
    let size = before as usize / PAGE_SIZE * PAGE_SIZE + (64 << 20);
    let wanted = Map { offset: 0, size, flags: SHARED, address: 0 };
    // SAFETY: must be refused.
    refused("shared memory", unsafe { map(ANONYMOUS, &wanted) }, ENOMEM)?;
    let after = free_memory()?;
    // Page tables stay with the address space.
    holds(&format!("{before} bytes were free, {after} are"), after + (4 << 20) > before)
}

/// Whoever dies by a fault leaves a line in the log.
pub(crate) fn report_line() -> Check {
    dies("a fault", SIGSEGV, || {
        // SAFETY: ends the process, which is the point.
        unsafe { (0xABC0 as *mut u8).write_volatile(1) };
    })?;
    let mut text = vec![0; 128 << 10];
    let log = open("sys:log", O_RDONLY)?;
    let text = log.read_text(&mut text)?;
    let is_told = text.lines().any(|line| line.contains("SIGSEGV") && line.contains("0xabc0"));
    holds("the log tells who died and why", is_told)
}
