//! Talking to the guest's console the way a person does: read, type, read on.
//!
//! What the guest said is matched as a person sees it: without carriage returns and without the
//! escape sequences that colour and move. Each answer is looked for behind the one before.

use crate::exec;
use crate::guest::{Ending, Event, Guest};
use crate::machine::Machine;
use crate::qmp;
use anyhow::{Context as _, Result, anyhow, bail};
use regex::Regex;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the console must be quiet before a match at its very end counts: more may be coming.
const SETTLED: Duration = Duration::from_millis(30);

/// Between two pictures of the screen, and two keys of the keyboard.
const PICTURE: Duration = Duration::from_millis(250);
const KEY: Duration = Duration::from_millis(40);
/// How long a key's echo may take.
const ECHO: Duration = Duration::from_secs(1);

/// One conversation.
pub(crate) struct Dialogue {
    guest: Guest,
    screen: Screen,
    /// How far into the text the answers so far reach.
    read: usize,
    deadline: Instant,
    /// The kernel was made to panic.
    may_panic: bool,
}

impl Dialogue {
    /// Boots `machine`; the whole conversation must be over within `limit`.
    pub(crate) fn start(machine: &Machine, name: &str, limit: Duration) -> Result<Self> {
        let guest = Guest::start(machine, name)?;
        let deadline = Instant::now() + limit;
        Ok(Self { guest, screen: Screen::default(), read: 0, deadline, may_panic: false })
    }

    /// Presses these keys.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.guest.type_keys(keys.as_bytes());
    }

    /// Waits until the console shows `wanted`, behind everything found before.
    pub(crate) fn expect(&mut self, wanted: &Regex) -> Result<()> {
        loop {
            let found = wanted.find(&self.screen.text[self.read..]).map(|text| text.range());
            if let Some(range) = found {
                let end = self.read + range.end;
                let is_last = end == self.screen.text.len();
                if !is_last || !self.hears_more(Instant::now() + SETTLED)? {
                    self.read = end;
                    return Ok(());
                }
                continue;
            }
            if !self.hears_more(self.deadline)? {
                return Err(self.failed(&format!("the console never showed /{wanted}/")));
            }
        }
    }

    /// Types these characters on the keyboard.
    pub(crate) fn type_on_keyboard(&mut self, text: &str) -> Result<()> {
        for character in text.chars() {
            let keys = qmp::keys_of(character);
            let keys = keys.with_context(|| format!("no key makes {character:?}"))?;
            self.press(&keys.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Presses keys of the keyboard together, by QEMU's names.
    pub(crate) fn press(&mut self, keys: &[&str]) -> Result<()> {
        self.guest.qmp()?.press(keys)?;
        // The keyboard holds sixteen bytes, and drops what a busy guest does not take: most keys
        // make the guest say something. And QEMU lets them go later; the next one must not come
        // before that.
        self.hears_more(Instant::now() + ECHO)?;
        self.listen(KEY)
    }

    /// Waits until the screen shows `wanted`.
    pub(crate) fn watch(&mut self, wanted: &Regex) -> Result<()> {
        loop {
            let text = self.guest.screen()?;
            if wanted.is_match(&text) {
                return Ok(());
            }
            if Instant::now() > self.deadline {
                let why = format!("the screen never showed /{wanted}/, but:\n{text}");
                return Err(self.failed(&why));
            }
            self.listen(PICTURE)?;
        }
    }

    /// Presses the button for a report of the kernel, which stops for good; waits until the console
    /// shows `wanted`. From here on a panic is no failure.
    pub(crate) fn interrupt(&mut self, wanted: &Regex) -> Result<()> {
        self.may_panic = true;
        self.guest.qmp()?.interrupt()?;
        self.expect(wanted)
    }

    /// Asks for a device to be taken out: presses the button of its slot.
    pub(crate) fn unplug(&mut self, device: &str) -> Result<()> {
        self.guest.qmp()?.unplug(device)
    }

    /// Puts a device in.
    pub(crate) fn plug(&mut self, device: &BTreeMap<String, String>) -> Result<()> {
        self.guest.qmp()?.plug(device)
    }

    /// Keeps a picture of the screen.
    pub(crate) fn picture(&mut self, file: &Path) -> Result<()> {
        self.guest.qmp()?.screendump(file)
    }

    /// Listens for a while, so that the guest can go on speaking.
    fn listen(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while self.hears_more(until)? {}
        Ok(())
    }

    /// Waits until the guest ends, and says how.
    pub(crate) fn ending(&mut self) -> Result<Ending> {
        loop {
            match self.guest.next(self.deadline)? {
                Event::Said(bytes) => self.screen.show(&bytes),
                Event::Ended(ending) => return Ok(ending),
                Event::Silence => return Err(self.failed("the guest did not end")),
            }
        }
    }

    /// The image of the guest's emergency store, if it has one.
    pub(crate) fn store(&self) -> Option<&Path> {
        self.guest.store()
    }

    /// Everything the console showed, as a person sees it.
    pub(crate) fn text(&self) -> &str {
        &self.screen.text
    }

    /// An error that carries the transcript.
    pub(crate) fn failed(&self, why: &str) -> anyhow::Error {
        anyhow!(exec::report(&self.guest, why))
    }

    fn hears_more(&mut self, deadline: Instant) -> Result<bool> {
        match self.guest.next(deadline)? {
            Event::Said(bytes) => self.screen.show(&bytes),
            Event::Silence => return Ok(false),
            Event::Ended(ending) => bail!(self.failed(&ending.to_string())),
        }
        if self.guest.has_panicked() && !self.may_panic {
            // Its report is worth the wait: it is what the reader of a failed story wants.
            let deadline = Instant::now() + Duration::from_secs(2);
            while let Event::Said(_) = self.guest.next(deadline)? {}
            bail!(self.failed("the kernel panicked"));
        }
        Ok(true)
    }
}

/// What a terminal would show, without colours and positions.
#[derive(Default)]
struct Screen {
    text: String,
    escape: Escape,
    /// Bytes of a character that is not complete yet.
    partial: Vec<u8>,
}

/// Where in an escape sequence (ECMA-48, 5.4) the stream is.
#[derive(Clone, Copy, Default)]
enum Escape {
    #[default]
    Outside,
    /// After ESC.
    Begun,
    /// After ESC `[`, until a letter.
    Control,
    /// After ESC `]`, until BEL or ESC `\`.
    Command,
}

impl Screen {
    fn show(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.escape = match (self.escape, byte) {
                (Escape::Outside, 0x1B) => Escape::Begun,
                (Escape::Outside, b'\r' | 0x07) => Escape::Outside,
                (Escape::Outside, _) => {
                    self.put(byte);
                    Escape::Outside
                }
                (Escape::Begun, b'[') => Escape::Control,
                (Escape::Begun, b']') => Escape::Command,
                (Escape::Begun, _) => Escape::Outside,
                (Escape::Control, 0x40..=0x7E) => Escape::Outside,
                (Escape::Command, 0x07) => Escape::Outside,
                (Escape::Command, 0x1B) => Escape::Begun,
                (inside, _) => inside,
            };
        }
    }

    fn put(&mut self, byte: u8) {
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(text) => self.text.push_str(text),
            Err(error) if error.error_len().is_none() => return,
            Err(_) => self.text.push(char::REPLACEMENT_CHARACTER),
        }
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut screen = Screen::default();
        pieces.iter().for_each(|piece| screen.show(piece));
        screen.text
    }

    #[test]
    fn colours_and_movements_are_not_text() {
        assert_eq!(shown(&[b"\x1b[1;32m$\x1b[0m ls\r\n\x1b[2Kok\n"]), "$ ls\nok\n");
        assert_eq!(shown(&[b"\x1b]0;title\x07$ \x1b]0;t\x1b\\x\x1b=y"]), "$ xy");
    }

    #[test]
    fn a_sequence_or_character_may_come_in_pieces() {
        assert_eq!(shown(&[b"a\x1b", b"[3", b"1mb\xc3", b"\xa4c"]), "ab\u{e4}c");
        assert_eq!(shown(&[b"\xff!"]), "\u{fffd}!");
    }
}
