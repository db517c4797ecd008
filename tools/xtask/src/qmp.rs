//! QEMU's own control line (QMP): pictures of the screen, keys of the keyboard, devices that go.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long QEMU may take to listen, and to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a running QEMU.
pub(crate) struct Qmp {
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket of a QEMU that has just been started.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("{}", socket.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut qmp = Self { lines: BufReader::new(stream) };
        qmp.line().context("QEMU's greeting")?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Writes a picture of the screen to a file: a PPM, unless its name ends in `.png`.
    pub(crate) fn screendump(&mut self, file: &Path) -> Result<()> {
        let is_png = file.extension().is_some_and(|extension| extension == "png");
        let format = if is_png { "png" } else { "ppm" };
        self.execute("screendump", json!({ "filename": file, "format": format })).map(|_| ())
    }

    /// Presses these keys together and lets them go, by QEMU's names for them.
    pub(crate) fn press(&mut self, keys: &[&str]) -> Result<()> {
        let keys: Vec<Value> =
            keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
        self.execute("send-key", json!({ "keys": keys, "hold-time": 20 })).map(|_| ())
    }

    /// Sends every CPU a non-maskable interrupt.
    pub(crate) fn interrupt(&mut self) -> Result<()> {
        self.execute("inject-nmi", json!({})).map(|_| ())
    }

    /// Asks the guest to let go of a device, which then is gone.
    pub(crate) fn unplug(&mut self, device: &str) -> Result<()> {
        self.execute("device_del", json!({ "id": device })).map(|_| ())
    }

    /// Puts a device in: what `-device` would be told.
    pub(crate) fn plug(&mut self, device: &BTreeMap<String, String>) -> Result<()> {
        self.execute("device_add", json!(device)).map(|_| ())
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.lines.get_mut(), "{request}")?;
        loop {
            let answer = self.line()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("QEMU is gone");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// QEMU's names of the keys that make a character on an American keyboard.
pub(crate) fn keys_of(character: char) -> Option<Vec<String>> {
    const SHIFTED: &str = "~!@#$%^&*()_+{}|:\"<>?";
    const PLAIN: &str = "`1234567890-=[]\\;',./";
    if let Some(at) = SHIFTED.find(character) {
        let mut keys = keys_of(PLAIN[at..].chars().next()?)?;
        keys.insert(0, "shift".into());
        return Some(keys);
    }
    let name = match character {
        'a'..='z' | '0'..='9' => character.to_string(),
        'A'..='Z' => return Some(vec!["shift".into(), character.to_ascii_lowercase().into()]),
        '\n' => "ret".into(),
        '\t' => "tab".into(),
        ' ' => "spc".into(),
        '\u{1b}' => "esc".into(),
        '\u{8}' => "backspace".into(),
        '`' => "grave_accent".into(),
        '-' => "minus".into(),
        '=' => "equal".into(),
        '[' => "bracket_left".into(),
        ']' => "bracket_right".into(),
        '\\' => "backslash".into(),
        ';' => "semicolon".into(),
        '\'' => "apostrophe".into(),
        ',' => "comma".into(),
        '.' => "dot".into(),
        '/' => "slash".into(),
        _ => return None,
    };
    Some(vec![name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_keys() {
        assert_eq!(keys_of('a').unwrap(), ["a"]);
        assert_eq!(keys_of('A').unwrap(), ["shift", "a"]);
        assert_eq!(keys_of('|').unwrap(), ["shift", "backslash"]);
        assert_eq!(keys_of('\n').unwrap(), ["ret"]);
        assert_eq!(keys_of('ä'), None);
        for character in ' '..='~' {
            assert!(keys_of(character).is_some(), "{character}");
        }
    }
}
