//! `emerg demo` — three programs with unsaved work and one that leaks.

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use crate::failure::{Failure, output};

/// How many documents there are.
const DOCUMENTS: usize = 3;

/// Runs it. Status 0 when all documents are whole.
pub(super) fn run(mib: usize) -> Result<u8, Failure> {
    let mut documents = Vec::new();
    for number in 1..=DOCUMENTS {
        let words = [number.to_string(), mib.to_string()];
        let mut document = start("document", &words)?;
        let heard = hear(&mut document)?;
        output(&heard)?;
        documents.push(document);
    }
    output("leak: taking memory until somebody ends me\n")?;
    let ended = start("leak", &[])?.wait();
    let ended = ended.map_err(|error| Failure::of("leak", error))?;
    // No signal has this number: it means that an emergency ended it.
    match ended.signal() {
        Some(99) => output("leak: ended in the emergency\n")?,
        _ => output(&format!("leak: {ended}\n"))?,
    }
    let mut is_whole = true;
    for mut document in documents {
        // The end of its input is what a document waits for.
        drop(document.stdin.take());
        let status = document.wait().map_err(|error| Failure::of("document", error))?;
        is_whole &= status.success();
    }
    Ok(u8::from(!is_whole))
}

/// Starts one of the programs as a job of its own.
fn start(name: &str, words: &[String]) -> Result<Child, Failure> {
    let mut command = Command::new(format!("/bin/demo/{name}"));
    command.args(words).process_group(0).stdin(Stdio::piped());
    command.stdout(if name == "leak" { Stdio::inherit() } else { Stdio::piped() });
    command.spawn().map_err(|error| Failure::of(name, error))
}

/// The first line a document says: it is written. What it says later goes to the terminal by
/// standard error, so that nobody has to read for it.
fn hear(document: &mut Child) -> Result<String, Failure> {
    let Some(said) = document.stdout.take() else { return Ok(String::new()) };
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line)?;
    Ok(line)
}
