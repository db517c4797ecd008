//! `emerg dump IMAGE` — on the host: what an emergency store's disk image holds.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store_format::{HEADER_SIZE, Invalid, STORE_ENCRYPTED, State, StoreHeader};

const HELP: &str = "\
emerg - show what an emergency store's disk image holds

Usage: emerg dump IMAGE

Prints both copies of the header, the one that counts, and the processes named in
it. Ends with status 1 when neither copy is whole.

Options:
  -h, --help  print this text

Examples:
  cargo run -p emerg -- dump build/logs/qemu.store.img
";

fn main() -> ExitCode {
    match image() {
        Ok(Some(path)) => dump(&path).unwrap_or_else(|error| {
            eprintln!("emerg: {}: {error}", path.display());
            ExitCode::FAILURE
        }),
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("emerg: {error}; try `emerg --help`");
            ExitCode::from(2)
        }
    }
}

/// The image named on the command line; none when help is wanted.
fn image() -> Result<Option<PathBuf>, lexopt::Error> {
    use lexopt::Arg::{Long, Short, Value};
    let mut parser = lexopt::Parser::from_env();
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Value(word) => words.push(word),
            other => return Err(other.unexpected()),
        }
    }
    match &words[..] {
        [verb, path] if verb == "dump" => Ok(Some(path.into())),
        _ => Err("it takes `dump` and an image".into()),
    }
}

fn dump(path: &Path) -> std::io::Result<ExitCode> {
    let mut bytes = Vec::new();
    File::open(path)?.take(2 * HEADER_SIZE as u64).read_to_end(&mut bytes)?;
    let copies = [0, HEADER_SIZE].map(|at| bytes.get(at..).ok_or(Invalid::Short));
    let copies = copies.map(|copy| copy.and_then(StoreHeader::decode));
    for (name, copy) in ["A", "B"].iter().zip(&copies) {
        match copy {
            Ok(header) => println!("copy {name}: number {}, {}", header.sequence, header.state),
            Err(why) => println!("copy {name}: {why}"),
        }
    }
    let [a, b] = copies;
    let Ok(header) = StoreHeader::newer(a, b) else { return Ok(ExitCode::FAILURE) };
    println!("slots: {}", header.total_slots);
    println!("boot: {:016x}, emergency {}", header.boot_id, header.generation);
    if header.flags & STORE_ENCRYPTED != 0 {
        println!("secrecy: encrypted under a key that was in memory only");
    }
    match header.state {
        State::Idle => println!("state: idle; the slots hold nothing of worth"),
        state => println!("state: {state}; the session ended inside an emergency"),
    }
    println!("{:>7} {:>8}  {:<7} NAME", "PID", "PAGES", "FATE");
    for entry in &header.entries {
        let name: String = entry.name.iter().take_while(|b| **b != 0).map(|b| shown(*b)).collect();
        let fate = match entry.flags {
            flags if flags == store_format::slot_flags_killed() => "ended",
            flags if flags == store_format::slot_flags_parked() => "parked",
            _ => "active",
        };
        println!("{:>7} {:>8}  {fate:<7} {name}", entry.pid, entry.pages);
    }
    Ok(ExitCode::SUCCESS)
}

/// A name may be anything; a terminal is to survive it.
fn shown(byte: u8) -> char {
    if matches!(byte, b' '..=b'~') { byte as char } else { '?' }
}
