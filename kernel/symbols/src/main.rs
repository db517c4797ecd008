//! See the library. Writes only when something has changed, so that nothing after it is rebuilt
//! for nothing.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
kernel-symbols - let the kernel know the names of its own functions

Usage: kernel-symbols LINKED-KERNEL OUTPUT
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    match treat(input.as_ref(), output.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kernel-symbols: {error}");
            ExitCode::FAILURE
        }
    }
}

fn treat(input: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = std::fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?;
    symbols::elf::add_table(&mut file).map_err(|error| format!("{}: {error}", input.display()))?;
    if std::fs::read(output).is_ok_and(|old| old == file) {
        return Ok(());
    }
    Ok(std::fs::write(output, file).map_err(|error| format!("{}: {error}", output.display()))?)
}
