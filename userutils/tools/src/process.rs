//! Processes, as `proc:` tells them.

use std::fs;

use crate::columns::Cell;
use crate::failure::Failure;
use crate::source::Values;

/// The priority of what asked for no other one: a nice value is this less the priority.
pub(crate) const NORMAL: i64 = 20;
/// The priority of what runs only when nobody else would.
pub(crate) const IDLE: u64 = 0;

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u64,
    pub(crate) parent: u64,
    pub(crate) group: u64,
    pub(crate) session: u64,
    pub(crate) euid: u64,
    pub(crate) egid: u64,
    /// `R+`, `B` and so on.
    pub(crate) state: String,
    /// What it waits for, `-` for nothing.
    pub(crate) wait: String,
    pub(crate) threads: u64,
    /// As in `proc:PID/priority`.
    pub(crate) priority: u64,
    pub(crate) cpu: u64,
    /// On a CPU so far, in nanoseconds.
    pub(crate) time: u64,
    pub(crate) resident: u64,
    pub(crate) mapped: u64,
    pub(crate) name: String,
    /// With its arguments.
    pub(crate) command: String,
}

impl Process {
    /// From the texts of `status` and `cmdline`.
    fn parse(pid: u64, status: &str, cmdline: &str) -> Self {
        let values = Values::parse(status);
        let name = values.text("Name").to_owned();
        let words: Vec<&str> = cmdline.split('\0').filter(|word| !word.is_empty()).collect();
        let word = |key| values.text(key).split_whitespace().next().unwrap_or("-").to_owned();
        let time = values.number("UserTime", 0) + values.number("KernelTime", 0);
        Self {
            pid,
            parent: values.number("PPid", 0),
            group: values.number("Pgid", 0),
            session: values.number("Session", 0),
            euid: values.number("Uid", 1),
            egid: values.number("Gid", 1),
            state: word("State"),
            wait: match values.text("Wait") {
                "" => "-".to_owned(),
                wait => wait.to_owned(),
            },
            threads: values.number("Threads", 0),
            priority: values.number("Priority", 0),
            cpu: values.number("Cpu", 0),
            time,
            resident: values.number("Resident", 0),
            mapped: values.number("Virtual", 0),
            command: if words.is_empty() { format!("[{name}]") } else { words.join(" ") },
            name,
        }
    }
}

impl Process {
    /// How nice it is, for a column: `-5`, `0`, `idle`.
    pub(crate) fn nice(&self) -> Cell {
        let shown = match self.priority {
            IDLE => "idle".to_owned(),
            priority => (NORMAL - priority as i64).to_string(),
        };
        Cell::Shown(self.priority, shown)
    }
}

/// All processes, by number. One that ends while the list is read is left out.
pub(crate) fn all() -> Result<Vec<Process>, Failure> {
    let entries = fs::read_dir("/scheme/proc")
        .map_err(|error| Failure::of("proc: cannot be listed", error))?;
    let number = |entry: std::io::Result<fs::DirEntry>| -> Option<u64> {
        entry.ok()?.file_name().to_str()?.parse().ok()
    };
    let mut processes: Vec<Process> = entries
        .filter_map(number)
        .filter_map(|pid| {
            let read = |file| fs::read(format!("/scheme/proc/{pid}/{file}"));
            let (status, cmdline) = (read("status").ok()?, read("cmdline").unwrap_or_default());
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some(Process::parse(pid, &text(&status), &text(&cmdline)))
        })
        .collect();
    processes.sort_by_key(|process| process.pid);
    Ok(processes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const STATUS: &str = "Name: ls\nState: B (parked)\nPid: 12\nPPid: 3\nPgid: 12\nSession: 3\n\
        Uid: 0 5\nGid: 0 6\nThreads: 1\nPriority: 25\nCpu: 2\nWait: readable 4\nUserTime: 30\nKernelTime: 12\n\
        Switches: 9\nResident: 8192\nVirtual: 65536\n";

    pub(crate) fn example() -> Process {
        Process::parse(12, STATUS, "ls\0-l\0")
    }

    #[test]
    fn a_status_is_read_by_key() {
        let process = example();
        assert_eq!((process.parent, process.group, process.session), (3, 12, 3));
        assert_eq!((process.euid, process.egid, process.cpu, process.threads), (5, 6, 2, 1));
        assert_eq!((process.state.as_str(), process.wait.as_str()), ("B", "readable 4"));
        assert_eq!((process.time, process.resident, process.mapped), (42, 8192, 65536));
        assert_eq!(process.command, "ls -l");
    }

    #[test]
    fn a_priority_is_shown_as_unix_does() {
        let nice = |priority| Process { priority, ..example() }.nice();
        assert_eq!(example().nice(), Cell::Shown(25, "-5".into()));
        assert_eq!(nice(1), Cell::Shown(1, "19".into()));
        assert_eq!(nice(0), Cell::Shown(0, "idle".into()));
    }

    #[test]
    fn what_is_missing_is_empty() {
        let process = Process::parse(1, "Name: init\n", "");
        assert_eq!((process.state.as_str(), process.wait.as_str()), ("-", "-"));
        assert_eq!(process.command, "[init]");
    }
}
