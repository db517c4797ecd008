//! `gdbserver` — lets a GDB on another machine debug programs here.
//!
//! The remote protocol is crate `gdbstub`'s; what it asks for is done through `proc:`. All threads
//! of the program stop together and go on together. What the crate lacks of processes is in
//! [`packets`].

mod breakpoints;
mod debuggee;
mod files;
mod line;
mod monitor;
mod options;
mod packets;
mod registers;
mod signals;
mod target;

use debuggee::Debuggee;
use gdbstub::stub::{DisconnectReason, GdbStub, GdbStubError};
use line::Line;
use options::{Options, Program, Wanted};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Wanted::Serve(options)) => options,
        Ok(Wanted::Text(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            eprintln!("gdbserver: {mistake}; try `gdbserver --help`");
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("gdbserver: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<(), String> {
    let mut debuggee = match &options.program {
        Program::Attach(pid) => {
            Debuggee::attach(*pid).map_err(|error| format!("process {pid}: {error}"))?
        }
        Program::Start(words) => {
            Debuggee::start(words).map_err(|error| format!("{}: {error}", words[0]))?
        }
    };
    let line = Line::open(&options.line, debuggee.book.clone())
        .map_err(|error| format!("{}: {error}", options.line))?;
    debuggee.listen_to(&line).map_err(|error| error.to_string())?;
    eprintln!("gdbserver: process {}; waiting for GDB at {}", debuggee.pid, options.line);
    match GdbStub::new(line).run_blocking::<target::Loop>(&mut debuggee) {
        Ok(DisconnectReason::Disconnect) => {
            debuggee.let_all_go();
            eprintln!("gdbserver: detached");
        }
        Ok(DisconnectReason::Kill) => {
            debuggee.kill();
            eprintln!("gdbserver: killed");
        }
        Ok(DisconnectReason::TargetExited(code)) => eprintln!("gdbserver: exited with {code}"),
        Ok(DisconnectReason::TargetTerminated(signal)) => {
            eprintln!("gdbserver: ended by {signal}");
        }
        Err(error) => return Err(text_of(error)),
    }
    Ok(())
}

fn text_of(error: GdbStubError<std::io::Error, std::io::Error>) -> String {
    error.to_string()
}
