//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: kernel-symbols KERNEL-FILE");
        return ExitCode::from(2);
    };
    match treat(path.as_ref()) {
        Ok(count) => {
            println!("{count} function names put into {}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn treat(path: &std::path::Path) -> Result<usize, Box<dyn std::error::Error>> {
    let mut file = std::fs::read(path)?;
    let count = symbols::elf::add_table(&mut file)?;
    std::fs::write(path, file)?;
    Ok(count)
}
