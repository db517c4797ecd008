//! `debuggee` — a program to be debugged: threads, structures, a number to watch.
//!
//! `debuggee spin` runs for ever, `debuggee wait` has its threads wait for ever, `debuggee crash`
//! ends by a bad pointer, `debuggee fork` starts itself and waits.

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
/// How many have their parcel.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn weigh(parcel: &Parcel) -> u64 {
    let stops: u64 = parcel.stops.iter().map(|stop| u64::from(*stop)).sum();
    u64::from(parcel.weight) + stops
}

#[inline(never)]
fn carry(number: u32) -> u64 {
    let parcel =
        Parcel { name: format!("parcel {number}"), weight: number * 10, stops: vec![1, 2, 3] };
    ARRIVED.fetch_add(1, Ordering::SeqCst);
    if waits() {
        loop {
            thread::park();
        }
    }
    let weight = weigh(&parcel);
    println!("{} weighs {weight}", parcel.name);
    weight
}

fn mode() -> Option<String> {
    std::env::args().nth(1)
}

fn waits() -> bool {
    mode().as_deref() == Some("wait")
}

#[inline(never)]
fn crash(parcel: &Parcel) -> u32 {
    let nowhere = std::ptr::without_provenance::<u32>(parcel.weight as usize);
    // SAFETY: none: that is the point. Nothing is mapped there, and the process ends.
    unsafe { nowhere.read_volatile() }
}

fn main() {
    match mode().as_deref() {
        Some("spin") => loop {
            std::hint::spin_loop();
        },
        Some("fork") => {
            let ended = std::process::Command::new("/bin/tests/debuggee").status();
            println!("the child has {ended:?}");
            return;
        }
        Some("crash") => {
            let parcel = Parcel { name: "the last".into(), weight: 16, stops: Vec::new() };
            println!("{}", crash(&parcel));
        }
        _ => {}
    }
    let workers: Vec<_> = (1..=3).map(|number| thread::spawn(move || carry(number))).collect();
    while waits() && ARRIVED.load(Ordering::SeqCst) < 3 {
        thread::yield_now();
    }
    let total: u64 = workers.into_iter().filter_map(|worker| worker.join().ok()).sum();
    TOTAL.store(total, Ordering::SeqCst);
    println!("all together {total}");
}
