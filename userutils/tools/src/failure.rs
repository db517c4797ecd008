//! How a tool ends when it does not end well.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// Why it ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// `--help`: no failure, but the end.
    Help,
    /// `--version`.
    Version,
    /// The arguments are wrong: status 2.
    Usage(String),
    /// It did not work: status 1.
    Failed(String),
    /// Nobody reads on (`ps | head -1`): an everyday end.
    Closed,
}

impl Failure {
    /// It did not work, and this is what did not.
    pub(crate) fn of(what: impl Display, error: impl Display) -> Self {
        Failure::Failed(format!("{what}: {error}"))
    }

    /// Says it, and gives the exit status.
    pub(crate) fn report(self, name: &str, help: &str) -> ExitCode {
        match self {
            Failure::Help => print(help),
            Failure::Version => print(&format!("{name} {}\n", env!("CARGO_PKG_VERSION"))),
            Failure::Usage(what) => {
                eprintln!("{name}: {what}; try `{name} --help`");
                ExitCode::from(2)
            }
            Failure::Failed(what) => {
                eprintln!("{name}: {what}");
                ExitCode::FAILURE
            }
            Failure::Closed => ExitCode::SUCCESS,
        }
    }
}

fn print(text: &str) -> ExitCode {
    match output(text) {
        Ok(()) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes to standard output at once.
pub(crate) fn output(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    io::Write::write_all(&mut out, text.as_bytes())?;
    Ok(io::Write::flush(&mut out)?)
}

/// An error of standard output; everything else names what it is about.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::of("standard output", error),
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Failure::Usage(error.to_string())
    }
}
