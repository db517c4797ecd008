//! The picture.

use crate::columns::{Cell, Listing};
use crate::process::Process;
use crate::units::{clock, size, uptime};

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Cpu,
    Memory,
    Time,
}

/// How the picture is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) order: Order,
    pub(super) each_cpu: bool,
    /// As many as fit; `None` for all.
    pub(super) lines: Option<usize>,
}

/// What is in it.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    pub(super) uptime: u64,
    /// The first is all of them together.
    pub(super) cpus: Vec<stat::Cpu>,
    /// Used and total bytes.
    pub(super) memory: (u64, u64),
    /// With each one's share of a CPU in thousandths.
    pub(super) processes: Vec<(u64, Process)>,
}

/// Characters of a bar.
const BAR: u64 = 40;

impl View {
    pub(super) fn render(&self, usage: &Usage) -> String {
        let head = self.head(usage);
        let mut processes: Vec<&(u64, Process)> = usage.processes.iter().collect();
        processes.sort_by_key(|(share, process)| {
            std::cmp::Reverse(match self.order {
                Order::Cpu => (*share, process.time),
                Order::Memory => (process.resident, *share),
                Order::Time => (process.time, *share),
            })
        });
        if let Some(lines) = self.lines {
            // The titles take one, the cursor the last.
            processes.truncate(lines.saturating_sub(head.lines().count() + 2));
        }
        format!("{head}{}", listing(&processes).render(false))
    }

    fn head(&self, usage: &Usage) -> String {
        let state = |letter: char| {
            let states = usage.processes.iter().map(|(_, process)| &process.state);
            states.filter(|state| state.starts_with(letter)).count()
        };
        let (all, ready, stopped, ended) =
            (usage.processes.len(), state('R'), state('T'), state('Z'));
        let mut text = format!(
            "up {}, {all} processes: {ready} ready, {stopped} stopped, {ended} ended\n",
            uptime(usage.uptime)
        );
        let shown = if self.each_cpu { usage.cpus.get(1..) } else { usage.cpus.get(..1) };
        for cpu in shown.unwrap_or_default() {
            text += &cpu_line(cpu);
        }
        let (used, total) = usage.memory;
        text += &format!("mem   {} {} of {}\n\n", bar(used, total), size(used), size(total));
        text
    }
}

fn cpu_line(cpu: &stat::Cpu) -> String {
    let all = cpu.all().max(1);
    let percent = |part: u64| part * 100 / all;
    format!(
        "{:<5} {} {:3}% user {:3}% kernel {:3}% idle\n",
        cpu.name,
        bar(cpu.user + cpu.kernel, all),
        percent(cpu.user),
        percent(cpu.kernel),
        percent(cpu.idle),
    )
}

fn bar(part: u64, whole: u64) -> String {
    let full = (part.saturating_mul(BAR) / whole.max(1)).min(BAR) as usize;
    format!("[{}{}]", "#".repeat(full), " ".repeat(BAR as usize - full))
}

fn listing(processes: &[&(u64, Process)]) -> Listing {
    let mut listing = Listing::new(&[
        ("PID", "pid"),
        ("EUID", "euid"),
        ("STAT", "state"),
        ("NI", "priority"),
        ("CPU%", "share"),
        ("MEMORY", "resident"),
        ("TIME", "time_ns"),
        ("COMMAND", "command"),
    ]);
    let row = |(share, process): &&(u64, Process)| {
        vec![
            Cell::Number(process.pid),
            Cell::Number(process.euid),
            Cell::Text(process.state.clone()),
            process.nice(),
            Cell::Shown(*share, format!("{}.{}", share / 10, share % 10)),
            Cell::Shown(process.resident, size(process.resident)),
            Cell::Shown(process.time, clock(process.time)),
            Cell::Text(process.command.clone()),
        ]
    };
    listing.rows = processes.iter().map(row).collect();
    listing
}

/// The lines of `sys:stat` about CPUs: `cpu0 user nice kernel idle irq`, in milliseconds.
pub(super) mod stat {
    /// Times of one CPU, or of all together.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Cpu {
        pub(crate) name: String,
        pub(crate) user: u64,
        pub(crate) kernel: u64,
        pub(crate) idle: u64,
    }

    impl Cpu {
        pub(crate) fn all(&self) -> u64 {
            self.user + self.kernel + self.idle
        }
    }

    pub(crate) fn parse(text: &str) -> Vec<Cpu> {
        let cpu = |line: &str| {
            let mut words = line.split_whitespace();
            let name = words.next().filter(|name| name.starts_with("cpu"))?.to_owned();
            let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
            match numbers[..] {
                [user, nice, kernel, idle, ..] => {
                    Some(Cpu { name, user: user + nice, kernel, idle })
                }
                _ => None,
            }
        };
        text.lines().filter_map(cpu).collect()
    }

    /// What each did between two moments. A CPU that was not there before starts from nothing.
    pub(crate) fn difference(before: &[Cpu], now: &[Cpu]) -> Vec<Cpu> {
        let nothing = Cpu::default();
        let since = |cpu: &Cpu| {
            let old = before.iter().find(|old| old.name == cpu.name).unwrap_or(&nothing);
            Cpu {
                name: cpu.name.clone(),
                user: cpu.user.saturating_sub(old.user),
                kernel: cpu.kernel.saturating_sub(old.kernel),
                idle: cpu.idle.saturating_sub(old.idle),
            }
        };
        now.iter().map(since).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  30 0 10 60 5\ncpu0 20 0 0 0 3\ncpu1 10 0 10 60 2\nIRQs 5\n";

    fn usage() -> Usage {
        let process = |pid, share, resident, time, state: &str| {
            let (name, state) = (format!("p{pid}"), state.to_owned());
            let command = name.clone();
            (share, Process { pid, resident, time, state, name, command, ..Process::default() })
        };
        Usage {
            uptime: 61,
            cpus: stat::parse(STAT),
            memory: (1 << 20, 4 << 20),
            processes: vec![
                process(1, 5, 900, 3, "B"),
                process(2, 505, 100, 2, "R+"),
                process(3, 0, 500, 9, "Z"),
            ],
        }
    }

    #[test]
    fn the_picture_shows_what_there_is() {
        let view = View { order: Order::Cpu, each_cpu: false, lines: None };
        let text = view.render(&usage());
        assert!(text.starts_with("up 00:01:01, 3 processes: 1 ready, 0 stopped, 1 ended\n"));
        assert!(text.contains("30% user  10% kernel  60% idle"), "{text}");
        assert!(text.contains(&format!("[{}{}] 1.0 MB of 4.0 MB", "#".repeat(10), " ".repeat(30))));
        assert!(text.contains("50.5"), "{text}");
        let view = View { each_cpu: true, lines: Some(8), ..view };
        let text = view.render(&usage());
        assert!(text.contains("cpu1  [##########"), "{text}");
        assert!(text.lines().count() < 8, "{text}");
    }

    #[test]
    fn orders_differ() {
        let order = |order| {
            let text = View { order, each_cpu: false, lines: None }.render(&usage());
            let names = text.lines().skip(5).map(|line| line.split_whitespace().last().unwrap());
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(order(Order::Cpu), ["p2", "p1", "p3"]);
        assert_eq!(order(Order::Memory), ["p1", "p3", "p2"]);
        assert_eq!(order(Order::Time), ["p3", "p1", "p2"]);
    }

    #[test]
    fn cpus_are_compared_by_name() {
        let now = stat::parse(STAT);
        let before = stat::parse("cpu 20 0 10 50 0\n");
        let since = stat::difference(&before, &now);
        assert_eq!((since[0].user, since[0].kernel, since[0].idle), (10, 0, 10));
        assert_eq!(since[1].user, 20);
    }
}
