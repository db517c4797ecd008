//! `ps`, `free`, `grep` and the rest: one program, many names.
//!
//! The boot archive holds a link per tool; the program looks at the name it was called by, or,
//! called `tools`, at its first argument. Each tool is one module with its help text.

mod arguments;
mod columns;
mod df;
mod dmesg;
mod emerg;
mod failure;
mod free;
mod grep;
mod hexdump;
mod id;
mod inspect;
mod kill;
mod limit;
mod lsblk;
mod lsirq;
mod lspci;
mod mkfifo;
mod mkfs;
mod mount;
mod process;
mod ps;
mod renice;
mod schemes;
mod script;
mod source;
mod stop;
mod sync;
mod top;
mod units;
mod uptime;

use std::process::ExitCode;

use arguments::Arguments;
use failure::Failure;

/// One tool.
struct Tool {
    /// What it is called by.
    name: &'static str,
    /// What `--help` prints, without the lines that all have.
    help: &'static str,
    /// Does the work; `Ok` carries the exit status.
    run: fn(&mut Arguments) -> Result<u8, Failure>,
}

/// Sorted by name.
const TOOLS: [Tool; 32] = [
    inspect::core::TOOL,
    df::TOOL,
    dmesg::TOOL,
    emerg::DOCUMENT,
    emerg::TOOL,
    free::TOOL,
    grep::TOOL,
    hexdump::TOOL,
    id::TOOL,
    kill::TOOL,
    lsblk::TOOL,
    lsirq::TOOL,
    inspect::lsof::TOOL,
    lspci::TOOL,
    emerg::LEAK,
    limit::TOOL,
    mkfifo::TOOL,
    mkfs::TOOL,
    mount::TOOL,
    inspect::pmap::TOOL,
    inspect::prof::TOOL,
    ps::TOOL,
    inspect::pstack::TOOL,
    stop::REBOOT,
    renice::TOOL,
    schemes::TOOL,
    script::TOOL,
    stop::SHUTDOWN,
    sync::TOOL,
    top::TOOL,
    mount::UNMOUNT,
    uptime::TOOL,
];

fn main() -> ExitCode {
    let mut words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let called = words.first().map_or("", String::as_str).rsplit(['/', ':']).next();
    let mut name = called.unwrap_or_default().to_owned();
    if find(&name).is_none() && words.len() > 1 {
        words.remove(0);
        name.clone_from(&words[0]);
    }
    match find(&name) {
        Some(tool) => tool.start(&words[1..]),
        None => list(&name),
    }
}

fn find(name: &str) -> Option<&'static Tool> {
    static ALL: [Tool; TOOLS.len()] = TOOLS;
    ALL.iter().find(|tool| tool.name == name)
}

/// Called by a name that is none: `tools` alone is a question, anything else a mistake.
fn list(name: &str) -> ExitCode {
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    if matches!(name, "tools" | "--help" | "-h") {
        println!("tools - Lifeboat's own tools\n\nUsage: tools NAME [ARG...]\n\nNames:");
        println!("  {}\n\nExamples:\n  tools ps --help", names.join(" "));
        return ExitCode::SUCCESS;
    }
    eprintln!("tools: {name}: no such tool; there are {}", names.join(", "));
    ExitCode::from(2)
}

impl Tool {
    fn start(&self, words: &[String]) -> ExitCode {
        let mut arguments = Arguments::new(words);
        match (self.run)(&mut arguments) {
            Ok(status) => ExitCode::from(status),
            Err(failure) => failure.report(self.name, self.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_help_has_the_same_form() {
        for Tool { name, help, .. } in &TOOLS {
            assert!(help.starts_with(&format!("{name} - ")), "{name}");
            for section in ["\nUsage: ", "\nOptions:\n", "\nExamples:\n", "  -h, --help "] {
                assert!(help.contains(section), "{name} lacks {section:?}");
            }
            assert!(help.lines().all(|line| line.len() <= 80), "{name}: too wide");
        }
    }

    #[test]
    fn tools_are_found_by_name() {
        assert_eq!(find("ps").map(|tool| tool.name), Some("ps"));
        assert!(find("cat").is_none());
    }
}
