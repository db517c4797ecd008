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
    ("memory/zeroes-that-nobody-looks-at-take-no-memory", unseen),
    ("memory/moved-blocks-keep-their-bytes", moved),
    ("memory/too-much-is-refused", too_much),
    ("memory/mappings-come-and-go", mapping),
    ("memory/large-blocks-are-given-back", given_back),
    ("memory/blocks-of-any-order-keep-to-themselves", any_order),
    ("memory/pages-that-are-given-up-are-zero", given_up),
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
    // Also such as begin and end in the middle of pages.
    for size in [100_000, 1 << 20, 3_000_001, 100_000, 9_999_999] {
        let layout = Layout::from_size_align(size, 8)?;
        for _ in 0..8 {
            // SAFETY: the layout has a size, and the block is freed with it.
            unsafe {
                let block = alloc_zeroed(layout);
                holds!((0..size).all(|at| block.add(at).read() == 0));
                block.write_bytes(0xFF, size);
                dealloc(block, layout);
            }
        }
    }
    Ok(())
}

/// Zeroes that nobody looks at take no memory.
fn unseen() -> Outcome {
    let resident = || -> std::result::Result<usize, Box<dyn std::error::Error>> {
        let status = std::fs::read_to_string("/scheme/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("Resident: "));
        Ok(line.ok_or("no such line")?.parse()?)
    };
    let before = resident()?;
    let mut zeroes = std::hint::black_box(vec![0_u8; 64 << 20]);
    zeroes[5_000_000] = 1;
    let after = resident()?;
    holds!(after < before + (1 << 20), "{before} bytes before, {after} after");
    same!(zeroes.iter().map(|byte| usize::from(*byte)).sum::<usize>(), 1);
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

/// Blocks as a program might ask for them in any order: allocated, made larger and smaller, freed,
/// by several threads at once, and some freed by another thread than the one that made them.
fn any_order() -> Outcome {
    let (sender, receiver) = std::sync::mpsc::channel();
    let threads: Vec<_> = (1..=4_u64)
        .map(|seed| {
            let sender = sender.clone();
            std::thread::spawn(move || churn(seed, &sender))
        })
        .collect();
    drop(sender);
    for block in receiver {
        block.check()?;
    }
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

/// A block of C's heap, filled with one byte.
struct Block {
    start: *mut u8,
    size: usize,
    byte: u8,
}

// SAFETY: a block belongs to whoever has this.
unsafe impl Send for Block {}

impl Block {
    /// Whether it lies as it should and still has its bytes.
    fn check(&self) -> Result<(), String> {
        // SAFETY: the block is as long as it says.
        let bytes = unsafe { std::slice::from_raw_parts(self.start, self.size) };
        match (self.start as usize % 16, bytes.iter().all(|byte| *byte == self.byte)) {
            (0, true) => Ok(()),
            (0, false) => Err(format!("a block of {} bytes has others' bytes", self.size)),
            (off, _) => Err(format!("a block of {} bytes is {off} off", self.size)),
        }
    }

    /// Makes it `size` bytes long.
    fn resize(&mut self, size: usize) -> Result<(), String> {
        // SAFETY: the block is the heap's, and forgotten here when it moves.
        let start = unsafe { libc::realloc(self.start.cast(), size) }.cast::<u8>();
        if start.is_null() {
            return Err(format!("no {size} bytes"));
        }
        let kept = self.size.min(size);
        (self.start, self.size) = (start, kept);
        self.check()?;
        self.size = size;
        // SAFETY: the block is that long now.
        unsafe { start.write_bytes(self.byte, size) };
        Ok(())
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the block is the heap's, and nobody's any more.
        unsafe { libc::free(self.start.cast()) };
    }
}

fn churn(seed: u64, sender: &std::sync::mpsc::Sender<Block>) -> Result<(), String> {
    let mut state = seed;
    // xorshift64 (Marsaglia, 2003)
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below) as usize
    };
    let mut blocks: Vec<Block> = Vec::new();
    for step in 0..3_000_usize {
        let size = match random(20) {
            0 => 1 + random(200_000),
            1..5 => 1 + random(5_000),
            _ => 1 + random(300),
        };
        match random(5) {
            0 if !blocks.is_empty() => {
                let block = blocks.swap_remove(random(blocks.len() as u64));
                block.check()?;
                if random(4) == 0 {
                    sender.send(block).map_err(|error| error.to_string())?;
                }
            }
            1 if !blocks.is_empty() => {
                let place = random(blocks.len() as u64);
                blocks[place].resize(size)?;
            }
            _ if blocks.len() < 200 => {
                // SAFETY: any size may be asked for.
                let start = unsafe { libc::malloc(size) }.cast::<u8>();
                let byte = (step as u8).wrapping_mul(31) ^ seed as u8;
                if start.is_null() {
                    return Err(format!("no {size} bytes"));
                }
                // SAFETY: the block is that long.
                unsafe { start.write_bytes(byte, size) };
                blocks.push(Block { start, size, byte });
            }
            _ => blocks.truncate(100),
        }
    }
    blocks.iter().try_for_each(Block::check)
}

fn given_up() -> Outcome {
    const PAGE: usize = 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the mapping is ours, and as long as told.
    unsafe {
        let map = libc::mmap(std::ptr::null_mut(), 4 * PAGE, access, flags, -1, 0);
        holds!(map != libc::MAP_FAILED);
        let bytes = std::slice::from_raw_parts_mut(map.cast::<u8>(), 4 * PAGE);
        bytes.fill(7);
        same!(libc::madvise(map.byte_add(PAGE), 2 * PAGE, libc::MADV_DONTNEED), 0);
        let sums = |range: std::ops::Range<usize>| -> usize {
            let bytes = std::slice::from_raw_parts(map.cast::<u8>(), 4 * PAGE);
            bytes[range].iter().map(|byte| usize::from(*byte)).sum()
        };
        same!(
            (sums(0..PAGE), sums(PAGE..3 * PAGE), sums(3 * PAGE..4 * PAGE)),
            (7 * PAGE, 0, 7 * PAGE)
        );
        same!(libc::munmap(map, 4 * PAGE), 0);
        same!(libc::madvise(map, PAGE, libc::MADV_DONTNEED), -1);
    }
    Ok(())
}
