//! `oom-daemon` — registers with `emergency:daemon`, and misbehaves when it is asked.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::process::ExitCode;

const HELP: &str = "\
oom-daemon - be a bad decider

Usage: oom-daemon crash|hang|eat|babble

crash   end when asked
hang    say nothing for ever
eat     take all memory
babble  answer nonsense, then jobs that do not exist
";

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    if !["crash", "hang", "eat", "babble"].contains(&mode.as_str()) {
        print!("{HELP}");
        return ExitCode::from(2);
    }
    match serve(&mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oom-daemon: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mode: &str) -> std::io::Result<()> {
    let path = "/scheme/emergency/daemon";
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    println!("oom-daemon: registered");
    let mut question = vec![0; 64 << 10];
    let length = file.read(&mut question)?;
    assert!(length > 0, "the question is empty");
    match mode {
        "crash" => std::process::abort(),
        "hang" => loop {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        },
        "eat" => {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            loop {
                kept.push(vec![1; 64 << 10]);
            }
        }
        _ => {
            for nonsense in ["", "die", "kill", "kill x", "save -1"] {
                assert!(file.write_all(nonsense.as_bytes()).is_err() || nonsense.is_empty());
            }
            file.write_all(b"kill 1\nkill 4000000000\n")
        }
    }
}
