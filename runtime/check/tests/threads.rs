//! Threads, locks and `fork` among them.
#![cfg(target_os = "redox")]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_mutex_lets_one_in() {
    let sum = Mutex::new(0_usize);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5_000).for_each(|_| *sum.lock().expect("whole") += 1));
        }
    });
    assert_eq!(*sum.lock().expect("whole"), 40_000);
}

#[test]
fn a_condition_passes_every_value_on_once() {
    let queue = (Mutex::new(Vec::new()), Condvar::new());
    let seen = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let mut values = queue.0.lock().expect("whole");
                    while values.is_empty() {
                        values = queue.1.wait(values).expect("whole");
                    }
                    match values.pop() {
                        Some(usize::MAX) | None => break,
                        Some(value) => assert!(seen.lock().expect("whole").insert(value)),
                    }
                }
            });
        }
        for value in 0..3_000 {
            queue.0.lock().expect("whole").push(value);
            queue.1.notify_one();
        }
        while !queue.0.lock().expect("whole").is_empty() {
            thread::yield_now();
        }
        queue.0.lock().expect("whole").extend([usize::MAX; 4]);
        queue.1.notify_all();
    });
    assert_eq!(seen.lock().expect("whole").len(), 3_000);
}

#[test]
fn a_wait_ends_in_time() {
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let start = Instant::now();
    let patience = Duration::from_millis(50);
    let guard = lock.lock().expect("whole");
    let (_guard, over) = condition.wait_timeout_while(guard, patience, |()| true).expect("whole");
    assert!(over.timed_out());
    assert!(start.elapsed() >= patience);
}

#[test]
fn readers_see_whole_values() {
    let pair = RwLock::new((0_usize, 0_usize));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..3_000 {
                    let pair = pair.read().expect("whole");
                    assert_eq!(pair.0, pair.1);
                }
            });
        }
        for _ in 0..3_000 {
            let mut pair = pair.write().expect("whole");
            pair.0 += 1;
            pair.1 += 1;
        }
    });
    assert_eq!(pair.into_inner().expect("whole"), (3_000, 3_000));
}

#[test]
fn once_is_once_and_everybody_waits_for_it() {
    static ONCE: Once = Once::new();
    static DONE: AtomicUsize = AtomicUsize::new(0);
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                ONCE.call_once(|| {
                    thread::sleep(Duration::from_millis(5));
                    DONE.fetch_add(1, Relaxed);
                });
                assert_eq!(DONE.load(Relaxed), 1);
            });
        }
    });
}

#[test]
fn a_threads_values_end_with_it() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    struct Value(Cell<usize>);
    impl Drop for Value {
        fn drop(&mut self) {
            ENDED.fetch_add(self.0.get(), Relaxed);
        }
    }
    thread_local!(static VALUE: Value = const { Value(Cell::new(1)) });
    let threads: Vec<_> = (1..=20)
        .map(|number| thread::spawn(move || VALUE.with(|value| value.0.replace(number))))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), 1);
    }
    assert_eq!(ENDED.load(Relaxed), 210);
}

#[test]
fn a_panic_ends_its_thread_alone() {
    let thread = thread::spawn(|| -> usize { std::panic::resume_unwind(Box::new("mine")) });
    let payload = thread.join().expect_err("it panicked");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"mine"));
}

/// Fills, grows and frees blocks; whether all bytes were its own.
fn churn(seed: usize) -> bool {
    let mut blocks: Vec<Vec<u8>> = (0..20)
        .map(|number| vec![(seed + number) as u8; 1 + (seed * 31 + number * 97) % 3_000])
        .collect();
    for (number, block) in blocks.iter_mut().enumerate() {
        block.resize(block.len() * 2, (seed + number) as u8);
    }
    blocks
        .iter()
        .enumerate()
        .all(|(number, it)| it.iter().all(|&byte| byte == (seed + number) as u8))
}

#[test]
fn a_child_finds_the_heap_whole_while_threads_allocate() {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            let stop = stop.clone();
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    assert!(churn(seed))
                }
            })
        })
        .collect();
    for round in 0..60 {
        // SAFETY: the child allocates, which this library's `fork` allows, and ends at once.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let whole = churn(round);
            // SAFETY: ends the child.
            unsafe { libc::_exit(if whole { 7 } else { 8 }) }
        }
        let mut status = 0;
        // SAFETY: the status is ours.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status:#x}");
    }
    stop.store(true, Relaxed);
    threads.into_iter().for_each(|thread| thread.join().expect("foreign bytes"));
}
