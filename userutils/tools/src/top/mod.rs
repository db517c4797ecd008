//! `top` — the processes that use the CPUs most, again and again.

mod keys;
mod screen;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};
use crate::process::{self, Process};
use crate::source::{self, Values};
use keys::Keyboard;
use screen::{Order, Usage, View, stat};

pub(crate) const TOOL: Tool = Tool {
    name: "top",
    help: "\
top - watch the processes that use the CPUs most

Usage: top [-b] [-n COUNT] [-d SECONDS]

Options:
  -b          print plain text and do not listen to keys, for scripts
  -n COUNT    end after so many times
  -d SECONDS  between two times (2)
  -h, --help  print this text
  --version   print the version

Keys: q end, P by CPU, M by memory, T by time, 1 each CPU or all in one.

Examples:
  top
  top -b -n 1

Files:
  proc: sys:stat sys:mem sys:uptime

See also: ps, free, kill, renice
",
    run,
};

/// Erase everything, start at the top.
const CLEAR: &str = "\x1b[H\x1b[J";

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut batch, mut count, mut pause) = (false, u64::MAX, 2.0);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('b') => batch = true,
            Argument::Short('n') => count = arguments.value()?,
            Argument::Short('d') => pause = arguments.value()?,
            other => return Err(other.unexpected()),
        }
    }
    if !(0.1..=3600.0).contains(&pause) {
        return Err(Failure::Usage(format!("-d {pause}: must be from 0.1 to 3600")));
    }
    let keyboard = if batch { None } else { Keyboard::open() };
    let mut view = View { order: Order::Cpu, each_cpu: false, lines: None };
    let mut before = Sample::take()?;
    // The first picture shows a short moment, not all since the boot.
    let mut wait = Duration::from_millis(200);
    for _ in 0..count {
        if let Some(keyboard) = &keyboard {
            if !listen(keyboard, &mut view, wait)? {
                break;
            }
            view.lines = Some(keyboard.lines());
        } else {
            std::thread::sleep(wait);
        }
        let now = Sample::take()?;
        let text = view.render(&now.usage(&before));
        output(&if keyboard.is_some() { format!("{CLEAR}{text}") } else { text })?;
        before = now;
        wait = Duration::from_secs_f64(pause);
    }
    Ok(0)
}

/// Waits, or until a key was hit. False for "end".
fn listen(keyboard: &Keyboard, view: &mut View, wait: Duration) -> Result<bool, Failure> {
    match keyboard.key(wait)? {
        Some(b'q' | 3 | 4) => return Ok(false),
        Some(b'P') => view.order = Order::Cpu,
        Some(b'M') => view.order = Order::Memory,
        Some(b'T') => view.order = Order::Time,
        Some(b'1') => view.each_cpu = !view.each_cpu,
        _ => {}
    }
    Ok(true)
}

/// Everything at one moment.
struct Sample {
    at: Instant,
    uptime: u64,
    cpus: Vec<stat::Cpu>,
    memory: Values,
    processes: Vec<Process>,
}

impl Sample {
    fn take() -> Result<Self, Failure> {
        Ok(Self {
            at: Instant::now(),
            uptime: crate::units::whole_seconds(&source::read("sys", "uptime")?),
            cpus: stat::parse(&source::read("sys", "stat")?),
            memory: Values::parse(&source::read("sys", "mem")?),
            processes: process::all()?,
        })
    }

    /// What happened since an earlier one.
    fn usage(self: &Sample, before: &Sample) -> Usage {
        let elapsed = self.at.duration_since(before.at).as_nanos().max(1) as u64;
        let times: HashMap<u64, u64> =
            before.processes.iter().map(|process| (process.pid, process.time)).collect();
        let share = |process: &Process| {
            let so_far = times.get(&process.pid).copied().unwrap_or(process.time);
            process.time.saturating_sub(so_far).saturating_mul(1000) / elapsed
        };
        Usage {
            uptime: self.uptime,
            cpus: stat::difference(&before.cpus, &self.cpus),
            memory: (self.memory.number("used", 0), self.memory.number("total", 0)),
            processes: self.processes.iter().map(|it| (share(it), it.clone())).collect(),
        }
    }
}
