//! `spread` — busy processes use every CPU.

use guest::abi::redox::flag::O_RDONLY;
use guest::file::{number_of, open, read_path};
use guest::process::Child;
use guest::time::{Deadline, sleep_ms};
use std::collections::BTreeSet;
use std::process::ExitCode;

const HELP: &str = "\
spread - see that busy processes use every CPU

Usage: spread [PROCESSES]

Starts so many processes that only compute (twice the CPUs unless given), looks for a second where
they run, and prints it. Fails when a CPU stays unused that could have had one.
";

fn main() -> ExitCode {
    let word = std::env::args().nth(1);
    if matches!(word.as_deref(), Some("-h" | "--help")) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match word.map(|word| word.parse()).transpose() {
        Ok(count) => watch(count).unwrap_or_else(|error| {
            eprintln!("spread: {error}");
            ExitCode::FAILURE
        }),
        Err(_) => {
            eprintln!("spread: not a number of processes\nTry 'spread --help'.");
            ExitCode::from(2)
        }
    }
}

fn watch(count: Option<usize>) -> guest::Result<ExitCode> {
    let mut text = [0; 2048];
    let cpus = number_of(read_path("sys:cpu", &mut text)?, "CPUs").unwrap_or(1) as usize;
    let count = count.unwrap_or(2 * cpus).max(1);
    let busy = || {
        loop {
            std::hint::spin_loop();
        }
    };
    let children: Vec<Child> =
        (0..count).map(|_| Child::start(busy)).collect::<guest::Result<_>>()?;
    let mut seen: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); count];
    let mut time = vec![0; count];
    let deadline = Deadline::in_ms(1_000);
    while !deadline.has_passed() {
        sleep_ms(10);
        for (index, child) in children.iter().enumerate() {
            let status = open(&format!("proc:{}/status", child.pid), O_RDONLY)?;
            let text = status.read_text(&mut text)?;
            time[index] = number_of(text, "UserTime").unwrap_or(0);
            if time[index] > 0 {
                seen[index].extend(number_of(text, "Cpu"));
            }
        }
    }
    drop(children);
    for (index, cpus) in seen.iter().enumerate() {
        println!("process {index}: {} ms on CPUs {}", time[index] / 1_000_000, list(cpus));
    }
    let used: BTreeSet<u64> = seen.iter().flatten().copied().collect();
    println!("spread: {} of {cpus} CPUs used by {count} processes: {}", used.len(), list(&used));
    let idle_ones = time.iter().filter(|time| **time == 0).count();
    let is_good = used.len() == cpus.min(count) && idle_ones == 0;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(cpus: &BTreeSet<u64>) -> String {
    let words: Vec<String> = cpus.iter().map(u64::to_string).collect();
    words.join(" ")
}
