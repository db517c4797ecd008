//! `monitor` — commands that GDB has no packet for.

use crate::debuggee::Debuggee;
use gdbstub::outputln;
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd};
use std::io;

const HELP: &str = "\
call NAME...   the numbers of system calls, for `catch syscall`
detach PID     let one of several processes go
kill PID       end one of several processes";

impl MonitorCmd for Debuggee {
    fn handle_monitor_cmd(&mut self, cmd: &[u8], mut out: ConsoleOutput<'_>) -> io::Result<()> {
        let text = String::from_utf8_lossy(cmd);
        let mut words = text.split_whitespace();
        let command = words.next().unwrap_or("help");
        let pid = |word: Option<&str>| word.and_then(|word| word.parse::<u32>().ok());
        match command {
            "call" => {
                words.for_each(|name| match abi::call::CALLS.iter().find(|c| c.name == name) {
                    Some(call) => outputln!(out, "{}", call.number),
                    None => outputln!(out, "{name}: no such call"),
                })
            }
            "detach" => pid(words.next()).into_iter().for_each(|pid| self.let_go(pid)),
            "kill" => pid(words.next()).into_iter().for_each(|pid| self.kill_one(pid)),
            _ => outputln!(out, "{HELP}"),
        }
        Ok(())
    }
}
