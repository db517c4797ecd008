//! `strace` — the system calls a program makes, one line each.
//!
//! What the calls are is in `abi::call`, the table that the kernel is built from; this program
//! knows how to show each kind of argument.

mod decode;
mod flags;
mod follow;
mod inject;
mod interrupt;
mod options;
mod printer;
mod summary;

use options::{Options, Wanted};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Wanted::Trace(options)) => options,
        Ok(Wanted::Text(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            eprintln!("strace: {mistake}; try `strace --help`");
            return ExitCode::from(2);
        }
    };
    match follow::run(options) {
        Ok(status) => ExitCode::from(status),
        Err(message) => {
            eprintln!("strace: {message}");
            ExitCode::FAILURE
        }
    }
}
