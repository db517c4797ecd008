//! `malloc` and its family against a model: blocks do not overlap, are aligned, keep their bytes, and
//! their room is used again.
#![cfg(target_os = "redox")]

use libc::{c_void, size_t};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ptr::null_mut;

unsafe extern "C" {
    fn memalign(align: size_t, size: size_t) -> *mut c_void;
    fn reallocarray(block: *mut c_void, count: size_t, size: size_t) -> *mut c_void;
}

/// What every block is aligned to.
const ALIGN: usize = 16;

/// A block as the model knows it: where it is, and which bytes are in it.
struct Block {
    start: *mut u8,
    size: usize,
    seed: u8,
}

impl Block {
    fn byte(&self, at: usize) -> u8 {
        self.seed.wrapping_add((at / 7) as u8)
    }

    fn fill(&self) {
        for at in 0..self.size {
            // SAFETY: inside the block, which is the test's.
            unsafe { self.start.add(at).write(self.byte(at)) };
        }
    }

    fn holds(&self, bytes: usize) -> bool {
        // SAFETY: inside the block.
        (0..bytes).all(|at| unsafe { self.start.add(at).read() } == self.byte(at))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Malloc(usize),
    Calloc(usize, usize),
    Aligned(u32, usize),
    Realloc(usize, usize),
    Free(usize),
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..200_usize, 2 => 200..5_000_usize, 1 => 5_000..600_000_usize]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => size().prop_map(Step::Malloc),
        1 => (0..40_usize, 0..60_usize).prop_map(|(count, size)| Step::Calloc(count, size)),
        1 => (0..13_u32, size()).prop_map(|(power, size)| Step::Aligned(power, size)),
        2 => (any::<usize>(), size()).prop_map(|(which, size)| Step::Realloc(which, size)),
        3 => any::<usize>().prop_map(Step::Free),
    ]
}

/// Every block that there is.
#[derive(Default)]
struct Model(Vec<Block>);

impl Model {
    fn add(
        &mut self,
        start: *mut c_void,
        size: usize,
        align: usize,
        seed: u8,
    ) -> Result<(), TestCaseError> {
        let start = start.cast::<u8>();
        prop_assert!(!start.is_null());
        prop_assert_eq!(start as usize % align, 0);
        let (from, to) = (start as usize, start as usize + size);
        for other in &self.0 {
            let apart = to <= other.start as usize || from >= other.start as usize + other.size;
            prop_assert!(apart || size == 0 || other.size == 0, "{from:#x} lies in another block");
        }
        let block = Block { start, size, seed };
        block.fill();
        self.0.push(block);
        Ok(())
    }

    fn take(&mut self, which: usize) -> Option<Block> {
        (!self.0.is_empty()).then(|| self.0.swap_remove(which % self.0.len()))
    }

    fn step(&mut self, step: &Step, seed: u8) -> Result<(), TestCaseError> {
        // SAFETY: blocks are given back once, and are as long as the model says.
        unsafe {
            match *step {
                Step::Malloc(size) => self.add(libc::malloc(size), size, ALIGN, seed),
                Step::Calloc(count, size) => {
                    let start = libc::calloc(count, size);
                    let zeroed = (0..count * size).all(|at| start.cast::<u8>().add(at).read() == 0);
                    prop_assert!(zeroed);
                    self.add(start, count * size, ALIGN, seed)
                }
                Step::Aligned(power, size) => {
                    self.add(memalign(1 << power, size), size, 1 << power, seed)
                }
                Step::Realloc(which, size) => {
                    let Some(mut block) = self.take(which) else { return Ok(()) };
                    let kept = block.size.min(size);
                    block.start = libc::realloc(block.start.cast(), size).cast();
                    prop_assert!(!block.start.is_null());
                    prop_assert!(block.holds(kept), "realloc lost bytes");
                    self.add(block.start.cast(), size, ALIGN, seed)
                }
                Step::Free(which) => {
                    let Some(block) = self.take(which) else { return Ok(()) };
                    prop_assert!(block.holds(block.size), "somebody wrote into a block");
                    libc::free(block.start.cast());
                    Ok(())
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn blocks_are_apart_aligned_and_keep_their_bytes(
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut model = Model::default();
        for (number, step) in steps.iter().enumerate() {
            model.step(step, number as u8)?;
        }
        while let Some(block) = model.take(0) {
            prop_assert!(block.holds(block.size));
            // SAFETY: the block is the test's, and given back once.
            unsafe { libc::free(block.start.cast()) };
        }
    }
}

#[test]
fn room_is_used_again() {
    for size in [24, 64, 900, 5_000, 300_000] {
        let mut places = BTreeSet::new();
        for _ in 0..2_000 {
            // SAFETY: given back at once.
            unsafe {
                let block = libc::malloc(size);
                places.insert(block as usize);
                libc::free(block);
            }
        }
        // Other tests allocate meanwhile, so it need not be the same place each time.
        assert!(places.len() < 200, "{size} bytes came from {} places", places.len());
    }
}

#[test]
fn blocks_may_be_freed_by_another_thread() {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<(usize, usize)>(64);
    let freer = std::thread::spawn(move || {
        for (start, size) in receiver {
            let block = Block { start: start as *mut u8, size, seed: size as u8 };
            assert!(block.holds(size));
            // SAFETY: the block was handed over.
            unsafe { libc::free(block.start.cast()) };
        }
    });
    for round in 0..20_000_usize {
        let size = 1 + round * 37 % 1_500;
        // SAFETY: no preconditions.
        let start = unsafe { libc::malloc(size) };
        Block { start: start.cast(), size, seed: size as u8 }.fill();
        sender.send((start as usize, size)).expect("the other thread is there");
    }
    drop(sender);
    freer.join().expect("every block was whole");
}

#[test]
fn what_overflows_or_is_no_alignment_is_refused() {
    // SAFETY: nothing is given out.
    unsafe {
        assert!(libc::calloc(usize::MAX / 2, 3).is_null());
        assert!(reallocarray(null_mut(), usize::MAX / 2, 3).is_null());
        assert!(libc::malloc(isize::MAX as usize).is_null());
        assert!(memalign(24, 8).is_null());
        let mut place = null_mut();
        assert_eq!(libc::posix_memalign(&raw mut place, 24, 8), libc::EINVAL);
        assert_eq!(libc::posix_memalign(&raw mut place, 4, 8), libc::EINVAL);
    }
}
