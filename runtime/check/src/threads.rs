//! Threads and what they share.

use crate::memory::address_space;
use crate::{Check, Outcome, holds, same};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, OnceLock, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("threads/a-thread-gives-its-result", result),
    ("threads/a-mutex-counts-right", mutex),
    ("threads/a-condition-wakes-its-waiter", condition),
    ("threads/a-timed-wait-ends", timed_wait),
    ("threads/a-channel-carries-in-order", channel),
    ("threads/thread-locals-are-own-and-dropped", locals),
    ("threads/readers-share-writers-do-not", read_write),
    ("threads/a-barrier-holds-until-all-came", barrier),
    ("threads/once-is-once", once),
    ("threads/parking-ends-by-unpark", park),
    ("threads/many-threads-come-and-go", many),
    ("threads/the-smallest-stack-is-enough-to-begin", smallest),
    ("threads/detached-threads-run-to-their-end", detached),
    ("threads/ended-threads-leave-no-memory", memory),
    ("threads/scoped-threads-borrow", scoped),
];

fn result() -> Outcome {
    let thread = thread::spawn(|| (1..=10).sum::<u32>());
    same!(thread.join().map_err(|_| "the thread panicked")?, 55);
    Ok(())
}

fn mutex() -> Outcome {
    let count = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let count = count.clone();
            thread::spawn(move || {
                for _ in 0..1000 {
                    *count.lock().unwrap() += 1;
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    same!(*count.lock().unwrap(), 4_000);
    Ok(())
}

fn condition() -> Outcome {
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    let other = shared.clone();
    let thread = thread::spawn(move || {
        *other.0.lock().unwrap() = true;
        other.1.notify_one();
    });
    let mut ready = shared.0.lock().unwrap();
    while !*ready {
        ready = shared.1.wait(ready).unwrap();
    }
    drop(ready);
    thread.join().unwrap();
    Ok(())
}

fn timed_wait() -> Outcome {
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let start = Instant::now();
    let wanted = Duration::from_millis(30);
    let (_guard, outcome) = condition.wait_timeout(lock.lock().unwrap(), wanted).unwrap();
    holds!(outcome.timed_out());
    holds!(start.elapsed() >= wanted && start.elapsed() < wanted + Duration::from_secs(2));
    Ok(())
}

fn channel() -> Outcome {
    let (sender, receiver) = mpsc::sync_channel(3);
    let thread = thread::spawn(move || (0..1000).for_each(|number| sender.send(number).unwrap()));
    let all: Vec<i32> = receiver.iter().collect();
    thread.join().unwrap();
    same!(all, (0..1000).collect::<Vec<_>>());
    Ok(())
}

/// Counts how often it was dropped.
struct Counted;

static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    static OWN: Cell<u32> = const { Cell::new(1) };
    static COUNTED: Counted = const { Counted };
}

fn locals() -> Outcome {
    DROPPED.store(0, Ordering::SeqCst);
    OWN.set(2);
    let threads: Vec<_> = (0..3)
        .map(|number| {
            thread::spawn(move || {
                COUNTED.with(|_| ());
                let first = OWN.get();
                OWN.set(number + 10);
                (first, OWN.get())
            })
        })
        .collect();
    for (number, thread) in threads.into_iter().enumerate() {
        same!(thread.join().unwrap(), (1, number as u32 + 10));
    }
    same!(OWN.get(), 2);
    same!(DROPPED.load(Ordering::SeqCst), 3);
    Ok(())
}

fn read_write() -> Outcome {
    let shared = Arc::new(RwLock::new(0));
    let first = shared.read().unwrap();
    holds!(shared.try_read().is_ok() && shared.try_write().is_err());
    drop(first);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let shared = shared.clone();
            thread::spawn(move || {
                for _ in 0..200 {
                    *shared.write().unwrap() += 1;
                    let _ = *shared.read().unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    same!(*shared.read().unwrap(), 800);
    Ok(())
}

fn barrier() -> Outcome {
    let barrier = Arc::new(Barrier::new(3));
    let come = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (barrier, come) = (barrier.clone(), come.clone());
            thread::spawn(move || {
                come.fetch_add(1, Ordering::SeqCst);
                let leader = barrier.wait().is_leader();
                (leader, come.load(Ordering::SeqCst))
            })
        })
        .collect();
    let all: Vec<(bool, usize)> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    same!(all.iter().filter(|(leader, _)| *leader).count(), 1);
    holds!(all.iter().all(|(_, seen)| *seen == 3));
    Ok(())
}

fn once() -> Outcome {
    static ONCE: Once = Once::new();
    static CELL: OnceLock<u32> = OnceLock::new();
    let runs = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                ONCE.call_once(|| {
                    runs.fetch_add(1, Ordering::SeqCst);
                });
                CELL.get_or_init(|| 7);
            });
        }
    });
    same!((runs.load(Ordering::SeqCst), CELL.get()), (1, Some(&7)));
    Ok(())
}

fn park() -> Outcome {
    let main = thread::current();
    let thread = thread::spawn(move || main.unpark());
    thread::park();
    thread.join().unwrap();
    let start = Instant::now();
    thread::park_timeout(Duration::from_millis(10));
    holds!(start.elapsed() < Duration::from_secs(2));
    Ok(())
}

fn many() -> Outcome {
    for round in 0..50_usize {
        let thread = thread::Builder::new().stack_size(64 << 10).spawn(move || round)?;
        same!(thread.join().unwrap(), round);
    }
    Ok(())
}

fn smallest() -> Outcome {
    let thread = thread::Builder::new().stack_size(1).spawn(|| format!("{:?}", [1.5, 2.0]))?;
    same!(thread.join().map_err(|_| "the thread panicked")?, "[1.5, 2.0]");
    Ok(())
}

fn detached() -> Outcome {
    let (sender, receiver) = mpsc::channel();
    for _ in 0..20 {
        let sender = sender.clone();
        drop(thread::spawn(move || sender.send(()).unwrap()));
    }
    drop(sender);
    same!(receiver.iter().count(), 20);
    Ok(())
}

fn scoped() -> Outcome {
    let mut numbers = vec![1, 2, 3, 4];
    thread::scope(|scope| {
        for part in numbers.chunks_mut(2) {
            scope.spawn(move || part.iter_mut().for_each(|number| *number *= 10));
        }
    });
    same!(numbers, [10, 20, 30, 40]);
    Ok(())
}

fn memory() -> Outcome {
    let gather = || {
        let threads: Vec<_> = (0..20).map(|_| thread::spawn(|| ())).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    };
    // The first threads make the heap grow once and for all, and their regions are kept.
    gather();
    let before = address_space()?;
    (0..5).for_each(|_| gather());
    same!(address_space()?, before);
    detached()?;
    // The last of them may still be about to end. They may have taken kept regions along.
    let end = Instant::now() + Duration::from_secs(5);
    while address_space()? > before {
        holds!(Instant::now() < end, "{before} bytes before, {} after", address_space()?);
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
