//! A token going round a ring of processes, one pipe from each to the next.

use crate::pipes::{get, put};
use crate::sample::Bench;
use guest::file::{File, pipe};
use guest::memory::Mapping;
use guest::process::Child;
use guest::{Error, Result};

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    for processes in [2, 8, 32, 128] {
        let hop = ring(bench, processes, 0)?;
        bench.curve("ring_hop", processes, hop);
    }
    ring(bench, 8, 16)?;
    Ok(())
}

/// Each process reads `kib` of memory of its own at every turn. Returns what a hop costs.
fn ring(bench: &mut Bench, processes: usize, kib: usize) -> Result<f64> {
    let pipes: Vec<(File, File)> = (0..processes).map(|_| pipe()).collect::<Result<_>>()?;
    let mut others = Vec::new();
    for index in 1..processes {
        let (from, to) = (&pipes[index].0, &pipes[(index + 1) % processes].1);
        others.push(Child::start(|| pass_on(from, to, kib).map_or(1, |()| 0))?);
    }
    let mut byte = 0u8;
    let byte = &raw mut byte as usize;
    let mut lap = || {
        put(&pipes[1].1, byte, 1);
        get(&pipes[0].0, byte, 1);
    };
    (0..20).for_each(|_| lap());
    let laps = if processes > 32 { 100 } else { 400 };
    (0..laps).for_each(|_| bench.sample(&mut lap));
    Ok(bench.report(&format!("ring_hop_{processes}p_{kib}k"), processes))
}

fn pass_on(from: &File, to: &File, kib: usize) -> Result<(), Error> {
    let own = if kib > 0 { Some(Mapping::pages(kib / 4)?) } else { None };
    let mut byte = 0u8;
    let byte = &raw mut byte as usize;
    while get(from, byte, 1) == 1 {
        for line in (0..kib * 1024).step_by(64) {
            let address = own.as_ref().map_or(0, |own| own.address) + line;
            // SAFETY: without memory there is no line; with it, inside.
            unsafe { (address as *const u64).read_volatile() };
        }
        put(to, byte, 1);
    }
    Ok(())
}
