//! The C library under `std`: threads, locks and memory as programs use them.

use crate::sample::Bench;
use guest::Result;
use std::alloc::{Layout, alloc, dealloc};
use std::hint::black_box;
use std::sync::Mutex;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    bench.row("std_thread_join", 20, 500, || std::thread::spawn(|| ()).join().is_ok());
    let lock = Mutex::new(0u32);
    bench.row("std_mutex_free", 100, 5000, || {
        if let Ok(mut value) = black_box(&lock).lock() {
            *value += 1;
        }
    });
    let layout = Layout::new::<[u8; 64]>();
    bench.row("std_malloc_free_64", 100, 5000, || {
        // SAFETY: the layout has a size, and the block is freed with the same one.
        unsafe { dealloc(black_box(alloc(layout)), layout) };
    });
    heap_in_use(bench);
    Ok(())
}

/// The same in a heap that holds other blocks, free ones between them.
fn heap_in_use(bench: &mut Bench) {
    let mut blocks: Vec<Option<Vec<u8>>> =
        (0..1000).map(|number| Some(vec![0; 16 + number * 37 % 500])).collect();
    blocks.iter_mut().step_by(3).for_each(|block| *block = None);
    let layout = Layout::new::<[u8; 64]>();
    bench.row("std_malloc_free_64_used", 100, 5000, || {
        // SAFETY: the layout has a size, and the block is freed with the same one.
        unsafe { dealloc(black_box(alloc(layout)), layout) };
    });
    drop(black_box(blocks));
}
