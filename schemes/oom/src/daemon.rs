//! Talking to the kernel.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};

use oomd::Policy;
use scheme::command::Failure;

const FILE: &str = "/scheme/emergency/daemon";
/// Room for every job that the kernel tells apart, taken before it is needed.
const ROOM: usize = 96 << 10;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let path: &str = match arguments {
        [] => "/etc/oomd.toml",
        [path] => path,
        _ => return Err(Failure::Usage("it takes one policy".into())),
    };
    let text = fs::read_to_string(path).map_err(|error| Failure::fatal(path, error))?;
    let policy = Policy::parse(&text).map_err(|error| Failure::fatal(path, error))?;
    let failed = |error: std::io::Error| Failure::fatal("emergency:daemon", error);
    let mut file = OpenOptions::new().read(true).write(true).open(FILE).map_err(failed)?;
    // One write is one command.
    file.write_all(format!("after {}", policy.auto.seconds).as_bytes()).map_err(failed)?;
    let mut room = vec![1; ROOM];
    loop {
        file.rewind().map_err(failed)?;
        let mut length = 0;
        while length < ROOM {
            match file.read(&mut room[length..]).map_err(failed)? {
                0 => break,
                more => length += more,
            }
        }
        let answer = policy.answer(&String::from_utf8_lossy(&room[..length]));
        // A lease that has run out meanwhile is no reason to end.
        let _late = file.write_all(answer.as_bytes());
    }
}
