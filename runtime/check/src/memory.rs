//! The heap and mappings.

use crate::{Check, Outcome, holds, same};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::collections::{BTreeMap, HashMap};
use std::ptr::null_mut;

pub(crate) const CHECKS: &[Check] = &[
    ("memory/vectors-grow-and-shrink", vectors),
    ("memory/maps-hold-what-they-got", maps),
    ("memory/blocks-are-aligned", alignment),
    ("memory/zeroed-blocks-are-zero", zeroed),
    ("memory/moved-blocks-keep-their-bytes", moved),
    ("memory/too-much-is-refused", too_much),
    ("memory/mappings-come-and-go", mapping),
    ("memory/large-blocks-are-given-back", given_back),
];

fn vectors() -> Outcome {
    let mut all = Vec::new();
    for size in 0..2000_usize {
        all.push(vec![size as u8; size]);
    }
    all.retain(|block| block.len() % 3 == 0);
    for block in &all {
        holds!(block.iter().all(|&byte| byte == block.len() as u8));
    }
    same!(all.len(), 667);
    Ok(())
}

fn maps() -> Outcome {
    let hashed: HashMap<u32, String> = (0..5000).map(|n| (n, n.to_string())).collect();
    let sorted: BTreeMap<u32, String> = hashed.clone().into_iter().collect();
    same!(hashed.len(), 5000);
    holds!(sorted.iter().all(|(key, text)| hashed[key] == *text && *text == key.to_string()));
    Ok(())
}

fn alignment() -> Outcome {
    for align in [1, 8, 16, 32, 64, 4096, 65536] {
        let layout = Layout::from_size_align(align * 3, align)?;
        // SAFETY: the layout has a size, and the block is freed with it.
        unsafe {
            let block = alloc(layout);
            holds!(!block.is_null() && block.addr().is_multiple_of(align), "{align}");
            block.write_bytes(1, layout.size());
            dealloc(block, layout);
        }
    }
    Ok(())
}

fn zeroed() -> Outcome {
    let layout = Layout::from_size_align(100_000, 8)?;
    for _ in 0..20 {
        // SAFETY: the layout has a size, and the block is freed with it.
        unsafe {
            let block = alloc_zeroed(layout);
            holds!((0..layout.size()).all(|at| block.add(at).read() == 0));
            block.write_bytes(0xFF, layout.size());
            dealloc(block, layout);
        }
    }
    Ok(())
}

fn moved() -> Outcome {
    let mut layout = Layout::from_size_align(10, 8)?;
    // SAFETY: the block always has the layout it is handled with.
    unsafe {
        let mut block = alloc(layout);
        block.write_bytes(7, 10);
        for size in [100, 10_000, 5_000_000, 50] {
            block = realloc(block, layout, size);
            holds!(!block.is_null());
            layout = Layout::from_size_align(size, 8)?;
            holds!((0..10).all(|at| block.add(at).read() == 7), "{size}");
        }
        dealloc(block, layout);
    }
    Ok(())
}

fn too_much() -> Outcome {
    let mut huge: Vec<u8> = Vec::new();
    holds!(huge.try_reserve_exact(isize::MAX as usize - 1).is_err());
    Ok(())
}

fn mapping() -> Outcome {
    let (length, protection) = (3 * 4096, libc::PROT_READ | libc::PROT_WRITE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: fresh memory, used only while it is mapped.
    unsafe {
        let start = libc::mmap(null_mut(), length, protection, flags, -1, 0);
        holds!(start != libc::MAP_FAILED);
        let bytes = std::slice::from_raw_parts_mut(start.cast::<u8>(), length);
        holds!(bytes.iter().all(|&byte| byte == 0));
        bytes.fill(1);
        same!(libc::mprotect(start, length, libc::PROT_READ), 0);
        same!(bytes[length - 1], 1);
        same!(libc::munmap(start, length), 0);
        same!(libc::mmap(null_mut(), 0, protection, flags, -1, 0), libc::MAP_FAILED);
        same!(libc::mmap(null_mut(), 1, protection, libc::MAP_PRIVATE, -1, 0), libc::MAP_FAILED);
    }
    Ok(())
}

/// Bytes of address space that this process uses, as `proc:` tells.
pub(crate) fn address_space() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("proc:self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("Virtual:"));
    Ok(line.ok_or("no line `Virtual:`")?.trim().parse()?)
}

fn given_back() -> Outcome {
    let before = address_space()?;
    for _ in 0..5 {
        // Part of it may lie in what the heap has at hand.
        let block = vec![1_u8; 32 << 20];
        holds!(address_space()? >= before + (16 << 20) && block[1 << 20] == 1);
    }
    let after = address_space()?;
    holds!(after <= before + (2 << 20), "{before} bytes before, {after} after");
    Ok(())
}
