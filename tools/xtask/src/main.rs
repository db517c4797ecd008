//! `cargo xtask` — runs Lifeboat in QEMU and judges what it prints.
//!
//! Builds nothing: the Makefile does, and calls this with the kernel and the boot archive ready.
//! Never leaves a QEMU behind, and keeps every serial log in `build/logs/`.

mod bench;
mod command_line;
mod debugger;
mod dialogue;
mod disk;
mod esp;
mod exec;
mod firmware;
mod gdb;
mod guest;
mod interactive;
mod machine;
mod picture;
mod qmp;
mod root;
mod run;
mod store;
mod stories;
mod story;
mod window;

use command_line::{Request, Task};
use std::process::ExitCode;

/// What `exec` ends with when Lifeboat itself failed, not the command in it.
const LIFEBOAT_FAILED: u8 = 125;
/// What a misspelt command line ends with.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let request = match Request::parse(lexopt::Parser::from_env()) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("xtask: {error}\n\n{}", command_line::HELP);
            return ExitCode::from(USAGE);
        }
    };
    perform(request).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::from(LIFEBOAT_FAILED)
    })
}

fn perform(request: Request) -> anyhow::Result<ExitCode> {
    let machine = request.machine;
    match request.task {
        Task::Help => {
            println!("{}", command_line::HELP);
            Ok(ExitCode::SUCCESS)
        }
        Task::Qemu => interactive::run(&machine),
        Task::Gdb => gdb::run(&machine),
        Task::Exec { command, limit } => exec::run_for_shell(&machine, &command, limit),
        Task::Run { words } => run::run(&machine, words),
        Task::Test { arguments } => stories::run(&machine, arguments),
        Task::Bench => bench::run(&machine),
    }
}
