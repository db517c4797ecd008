//! `runtime-check [--times] [[-]NAME]...` — does what `std` promises hold on this system?
//!
//! Runs inside Lifeboat and prints a line per check, `@@TEST name ok` or `@@TEST name FAIL reason`;
//! with names, only the checks whose name has one of them in it, without those that have one with a
//! dash before it; with `--times` how long each took.
//! The status is 0 when all passed.
//!
//! It is also its own child: `runtime-check child VERB ARGUMENT...` does what the checks of
//! processes ask for.

#[cfg(target_os = "redox")]
mod child;
#[cfg(target_os = "redox")]
mod crowd;
#[cfg(target_os = "redox")]
mod datagrams;
#[cfg(target_os = "redox")]
mod directories;
#[cfg(target_os = "redox")]
mod environment;
#[cfg(target_os = "redox")]
mod files;
#[cfg(target_os = "redox")]
mod links;
#[cfg(target_os = "redox")]
mod memory;
#[cfg(target_os = "redox")]
mod missing;
#[cfg(target_os = "redox")]
mod options;
#[cfg(target_os = "redox")]
mod priorities;
#[cfg(target_os = "redox")]
mod process;
#[cfg(target_os = "redox")]
mod pseudo;
#[cfg(target_os = "redox")]
mod ranges;
#[cfg(target_os = "redox")]
mod readiness;
#[cfg(target_os = "redox")]
mod shared;
#[cfg(target_os = "redox")]
mod signals;
#[cfg(target_os = "redox")]
mod sockets;
#[cfg(target_os = "redox")]
mod spawn;
#[cfg(target_os = "redox")]
mod threads;
#[cfg(target_os = "redox")]
mod time;
#[cfg(target_os = "redox")]
mod usage;
#[cfg(target_os = "redox")]
mod values;

use std::time::Instant;

/// What a check ends with.
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A check: what it says, and what proves it.
type Check = (&'static str, fn() -> Outcome);

/// Fails a check unless two values are the same.
#[cfg(target_os = "redox")]
macro_rules! same {
    ($left:expr, $right:expr $(,)?) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            let (what, line) = (stringify!($left), line!());
            return Err(format!("line {line}: {what} is {left:?}, not {right:?}").into());
        }
    }};
}

/// Fails a check unless a condition holds.
#[cfg(target_os = "redox")]
macro_rules! holds {
    ($condition:expr $(, $($more:tt)+)?) => {
        if !$condition {
            let line = line!();
            let more: &[String] = &[$(format!($($more)+))?];
            let more = more.join(" ");
            return Err(format!("line {line}: not {}: {more}", stringify!($condition)).into());
        }
    };
}
#[cfg(target_os = "redox")]
use {holds, same};

#[cfg(target_os = "redox")]
fn checks() -> Vec<Check> {
    let groups: &[&[Check]] = &[
        memory::CHECKS,
        time::CHECKS,
        environment::CHECKS,
        threads::CHECKS,
        process::CHECKS,
        priorities::CHECKS,
        usage::CHECKS,
        spawn::CHECKS,
        signals::CHECKS,
        values::CHECKS,
        readiness::CHECKS,
        pseudo::CHECKS,
        files::CHECKS,
        ranges::CHECKS,
        directories::CHECKS,
        links::CHECKS,
        sockets::CHECKS,
        datagrams::CHECKS,
        options::CHECKS,
        shared::CHECKS,
        crowd::CHECKS,
    ];
    let mut all: Vec<Check> = groups.iter().copied().flatten().copied().collect();
    all.extend_from_slice(missing::CHECKS);
    all
}

#[cfg(not(target_os = "redox"))]
fn checks() -> Vec<Check> {
    Vec::new()
}

fn main() {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(target_os = "redox")]
    if names.first().is_some_and(|name| name == "child") {
        child::run(&names[1..]);
    }
    let times = names.iter().any(|name| name == "--times");
    names.retain(|name| name != "--times");
    let (without, only): (Vec<&str>, Vec<&str>) =
        names.iter().map(String::as_str).partition(|name| name.starts_with('-'));
    let chosen = |name: &str| {
        (only.is_empty() || only.iter().any(|part| name.contains(part)))
            && !without.iter().any(|part| name.contains(&part[1..]))
    };
    let mut failed = 0;
    for (name, check) in checks().into_iter().filter(|(name, _)| chosen(name)) {
        let start = Instant::now();
        match check() {
            Ok(()) if times => println!("@@TEST {name} ok {:?}", start.elapsed()),
            Ok(()) => println!("@@TEST {name} ok"),
            Err(reason) => {
                failed += 1;
                println!("@@TEST {name} FAIL {reason}");
            }
        }
    }
    std::process::exit(i32::from(failed > 0));
}
