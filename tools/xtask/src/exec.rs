//! `make exec CMD='..'` — one command line in the guest's shell, its bytes and its status.
//!
//! The guest's first process finds the command on the kernel command line as `exec=` and hex,
//! prints `@@BEGIN`, runs the shell on it, prints `@@END` with the status, and shuts down. What
//! lies between the two markers is the command's, byte for byte.

use crate::LIFEBOAT_FAILED;
use crate::esp;
use crate::guest::{Ending, Event, Guest};
use crate::machine::Machine;
use anyhow::{Context as _, Result};
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const BEGIN: &[u8] = b"@@BEGIN";
const END: &[u8] = b"\n@@END ";
/// How long the shutdown after the command may take.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// How long a panic report may take; a kernel that panics may also just halt.
const PANIC_REPORT: Duration = Duration::from_secs(3);

/// How a run went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The command ended with this status.
    Status(u8),
    /// Lifeboat failed; the text says how and holds the transcript.
    Failed(String),
}

/// Runs `command` for a person or a script: output to ours, status as our own.
pub(crate) fn run_for_shell(machine: &Machine, command: &str, limit: Duration) -> Result<ExitCode> {
    match run(machine, command, limit, "exec", &mut std::io::stdout().lock())? {
        Outcome::Status(status) => Ok(ExitCode::from(status)),
        Outcome::Failed(report) => {
            eprintln!("{report}");
            Ok(ExitCode::from(LIFEBOAT_FAILED))
        }
    }
}

/// Boots, runs `command` and writes its output to `sink` as it comes.
pub(crate) fn run(
    machine: &Machine,
    command: &str,
    limit: Duration,
    name: &str,
    sink: &mut dyn Write,
) -> Result<Outcome> {
    let machine = machine.with("quiet").with(format!("exec={}", hex(command)));
    if machine.firmware.is_some() {
        // The loader takes the words from the disk.
        let disk = machine.disks.first().context("firmware boots a disk, and there is none")?;
        esp::write(disk, esp::COMMAND_LINE, &format!("loader.wait=0 {}", machine.words()?))?;
    }
    let mut guest = Guest::start(&machine, name)?;
    let deadline = Instant::now() + limit;
    let mut between = Between::default();
    let why = loop {
        match guest.next(deadline)? {
            Event::Said(bytes) => {
                sink.write_all(&between.push(&bytes))?;
                sink.flush()?;
                if guest.has_panicked() {
                    hear_out(&mut guest, PANIC_REPORT)?;
                    break "the kernel panicked".into();
                }
                if let Some(status) = between.status {
                    match hear_out(&mut guest, SHUTDOWN)? {
                        _ if guest.has_panicked() => break "the kernel panicked at the end".into(),
                        // The command may have been `reboot`.
                        Some(Ending::Code(_) | Ending::Reset) => {
                            return Ok(Outcome::Status(status));
                        }
                        Some(ending) => break format!("at the shutdown {ending}"),
                        None => break "it did not shut down after the command".into(),
                    }
                }
            }
            Event::Ended(ending) => break format!("before the command was done, {ending}"),
            Event::Silence => break format!("no answer within {} s", limit.as_secs()),
        }
    };
    Ok(Outcome::Failed(report(&guest, &why)))
}

/// Listens on until the guest ends or its time for last words is over.
fn hear_out(guest: &mut Guest, patience: Duration) -> Result<Option<Ending>> {
    let deadline = Instant::now() + patience;
    loop {
        match guest.next(deadline)? {
            Event::Said(_) => {}
            Event::Ended(ending) => return Ok(Some(ending)),
            Event::Silence => return Ok(None),
        }
    }
}

/// Says what went wrong, with everything that was heard.
pub(crate) fn report(guest: &Guest, why: &str) -> String {
    let complaints = guest.complaints();
    let qemu = if complaints.is_empty() { String::new() } else { format!("QEMU: {complaints}\n") };
    format!(
        "lifeboat: {why}\n{qemu}--- serial transcript ---\n{}\n--- end of transcript ---",
        String::from_utf8_lossy(guest.transcript()).trim_end()
    )
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Cuts the command's own bytes out of the stream, however it is chopped up.
#[derive(Default)]
struct Between {
    begun: bool,
    status: Option<u8>,
    /// Bytes not judged yet: an unfinished line before the start, or what may become the end.
    held: Vec<u8>,
}

impl Between {
    /// Takes the next bytes and returns those that are surely the command's.
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.status.is_some() {
            return Vec::new();
        }
        self.held.extend_from_slice(bytes);
        if !self.begun && !self.find_begin() {
            return Vec::new();
        }
        let mut from = 0;
        while let Some(at) = find(&self.held[from..], END).map(|at| from + at) {
            let value = at + END.len();
            let Some(length) = self.held[value..].iter().position(|&byte| byte == b'\n') else {
                return self.release(at);
            };
            let text = String::from_utf8_lossy(&self.held[value..value + length]);
            self.status = text.trim_end().parse().ok();
            if self.status.is_some() {
                return self.release(at);
            }
            // A command may print anything: without a status it was no marker.
            from = at + 1;
        }
        let tail = self.held.len() - self.held.len().min(END.len() - 1);
        let start = (tail..self.held.len()).find(|&at| END.starts_with(&self.held[at..]));
        self.release(start.unwrap_or(self.held.len()))
    }

    /// Drops whole lines up to and including the start marker.
    fn find_begin(&mut self) -> bool {
        while let Some(length) = self.held.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.held.drain(..=length).collect();
            if line.trim_ascii_end().ends_with(BEGIN) {
                self.begun = true;
                return true;
            }
        }
        false
    }

    fn release(&mut self, length: usize) -> Vec<u8> {
        self.held.drain(..length).collect()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to cut the stream in three gives the same answer.
    fn check(stream: &[u8], output: &[u8], status: Option<u8>) {
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut between = Between::default();
                let mut got = between.push(&stream[..first]);
                got.extend(between.push(&stream[first..second]));
                got.extend(between.push(&stream[second..]));
                assert_eq!((got.as_slice(), between.status), (output, status), "{first} {second}");
            }
        }
    }

    #[test]
    fn the_bytes_between_the_markers_are_the_commands() {
        check(b"boot\n@@BEGIN\nhi\n\n@@END 0\nbye\n", b"hi\n", Some(0));
        check(b"@@BEGIN\n\n@@END 127\n", b"", Some(127));
        check(b"log @@BEGIN\r\nno newline\n@@END 3\r\n", b"no newline", Some(3));
    }

    #[test]
    fn binary_output_and_near_markers_pass_through() {
        check(b"@@BEGIN\n\x00\xff\r\n\n@@EN\n@@\n@@END 9\n", b"\x00\xff\r\n\n@@EN\n@@", Some(9));
        check(b"@@BEGIN\na\n@@END soon\nb\n@@END 1\n", b"a\n@@END soon\nb", Some(1));
        check(b"@@BEGIN\n@@BEGIN\n\n@@END 300\n\n@@END 5\n", b"@@BEGIN\n\n@@END 300\n", Some(5));
    }

    #[test]
    fn a_command_that_never_ends_has_no_status() {
        check(b"@@BEGIN\nhi\n", b"hi", None);
        check(b"nothing here", b"", None);
    }
}
