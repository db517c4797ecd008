//! `mkfifo` — make pipes with names.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use nix::sys::stat::Mode;
use nix::unistd;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::Failure;

pub(crate) const TOOL: Tool = Tool {
    name: "mkfifo",
    help: "\
mkfifo - make FIFOs: pipes with names

Usage: mkfifo [-m MODE] NAME...

Options:
  -m MODE     who may do what, in octal (0666 less the umask unless given)
  -h, --help  print this text
  --version   print the version

Opening one waits until somebody opens it for the other direction.

Examples:
  mkfifo /tmp/news; cat /tmp/news & echo hello > /tmp/news

See also: ln, rm
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut names, mut mode) = (Vec::new(), None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('m') => mode = Some(parse(&arguments.text()?)?),
            Argument::Word(name) => names.push(name),
            other => return Err(other.unexpected()),
        }
    }
    if names.is_empty() {
        return Err(Failure::Usage("a name is missing".into()));
    }
    for name in names {
        let first = Mode::from_bits_truncate(mode.unwrap_or(0o666) as libc::mode_t);
        let made = unistd::mkfifo(name.as_str(), first);
        // The umask has no say in a mode that was asked for.
        let made = made.map_err(io::Error::from).and_then(|()| match mode {
            Some(mode) => fs::set_permissions(&name, Permissions::from_mode(mode)),
            None => Ok(()),
        });
        made.map_err(|error| Failure::of(&name, error))?;
    }
    Ok(0)
}

fn parse(text: &str) -> Result<u32, Failure> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| Failure::Usage(format!("{text}: no mode")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_permissions_only() {
        assert_eq!(parse("622").ok(), Some(0o622));
        for nonsense in ["", "8", "u+w", "1777", "-1"] {
            assert!(parse(nonsense).is_err(), "{nonsense}");
        }
    }
}
