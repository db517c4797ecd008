//! See the library. Writes only when something has changed, so that nothing after it is rebuilt
//! for nothing.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
kernel-symbols - let the kernel know the names of its own functions

Usage: kernel-symbols LINKED-KERNEL OUTPUT [DISK-OUTPUT]

DISK-OUTPUT is the same without what only debuggers read.
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (input, outputs) = match arguments.as_slice() {
        [input, outputs @ ..] if matches!(outputs.len(), 1 | 2) => (input, outputs),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match treat(input.as_ref(), outputs[0].as_ref(), outputs.get(1).map(AsRef::as_ref)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kernel-symbols: {error}");
            ExitCode::FAILURE
        }
    }
}

fn treat(input: &Path, output: &Path, for_disk: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let unfit = |error: symbols::elf::Unfit| format!("{}: {error}", input.display());
    let mut file = std::fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?;
    symbols::elf::add_table(&mut file).map_err(unfit)?;
    if let Some(path) = for_disk {
        write(path, &symbols::elf::without_sections(&file).map_err(unfit)?)?;
    }
    write(output, &file)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    Ok(std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))?)
}
