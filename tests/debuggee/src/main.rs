//! `debuggee` — a program to be debugged: threads, structures, a number to watch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Something with fields to print.
#[derive(Debug)]
struct Parcel {
    name: String,
    weight: u32,
    stops: Vec<u16>,
}

/// Changes when everything has been added up.
static TOTAL: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn weigh(parcel: &Parcel) -> u64 {
    let stops: u64 = parcel.stops.iter().map(|stop| u64::from(*stop)).sum();
    u64::from(parcel.weight) + stops
}

#[inline(never)]
fn carry(number: u32) -> u64 {
    let parcel =
        Parcel { name: format!("parcel {number}"), weight: number * 10, stops: vec![1, 2, 3] };
    let weight = weigh(&parcel);
    println!("{} weighs {weight}", parcel.name);
    weight
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("spin") {
        loop {
            std::hint::spin_loop();
        }
    }
    let workers: Vec<_> = (1..=3).map(|number| thread::spawn(move || carry(number))).collect();
    let total: u64 = workers.into_iter().filter_map(|worker| worker.join().ok()).sum();
    TOTAL.store(total, Ordering::SeqCst);
    println!("all together {total}");
}
