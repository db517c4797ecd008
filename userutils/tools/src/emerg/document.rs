//! `document`, `leak` — programs for trying what happens when memory runs out.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::sync::Arc;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};

const MIB: usize = 1 << 20;
const PAGE: usize = 4096;

pub(crate) const DOCUMENT: Tool = Tool {
    name: "document",
    help: "\
document - hold unsaved work, and find out whether it is still whole

Usage: document NUMBER MIB

Fills MIB of memory with a pattern that NUMBER decides, with a line of text at
the top of each page, says so, waits until its input ends, and checks every
byte. Ends with status 1 when one has changed. When an emergency gives it time
to save, it goes to /tmp/document-NUMBER.

Options:
  -h, --help  print this text
  --version   print the version

Examples:
  document 1 4 </dev/null

See also: emerg, leak
",
    run: document,
};

pub(crate) const LEAK: Tool = Tool {
    name: "leak",
    help: "\
leak - take memory until somebody ends it

Usage: leak

Options:
  -h, --help  print this text
  --version   print the version

Examples:
  leak &

See also: document, emerg
",
    run: leak,
};

fn words(arguments: &mut Arguments) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Word(word) => words.push(word),
            other => return Err(other.unexpected()),
        }
    }
    Ok(words)
}

fn document(arguments: &mut Arguments) -> Result<u8, Failure> {
    let words = words(arguments)?;
    let numbers: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let [number, mib @ 1..=1024] = numbers[..] else {
        return Err(Failure::Usage("it takes a number and a size in MiB".into()));
    };
    let mut text: Vec<u64> = Vec::with_capacity(mib * MIB / 8);
    text.extend((0..mib * MIB / 8).map(|place| word_at(number, place)));
    output(&format!("document {number}: {mib} MiB written, not saved\n"))?;
    let text = Arc::new(text);
    let unsaved = Arc::clone(&text);
    std::thread::spawn(move || save_when_asked(number, &unsaved));
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).map_err(|error| Failure::of("input", error))?;
    let changed = (0..text.len()).filter(|place| text[*place] != word_at(number, *place)).count();
    if changed > 0 {
        eprintln!("document {number}: DAMAGED, {changed} words have changed");
        return Ok(1);
    }
    eprintln!("document {number}: every byte of {mib} MiB is as it was");
    Ok(0)
}

/// Waits until the kernel says that it is time, saves, and ends: there is nothing left to lose.
fn save_when_asked(number: usize, text: &[u64]) {
    if std::fs::read("/scheme/emergency/save").is_err() {
        return;
    }
    let path = format!("/tmp/document-{number}");
    let saved = File::create(&path).and_then(|file| {
        let mut file = BufWriter::new(file);
        text.iter().try_for_each(|word| file.write_all(&word.to_le_bytes()))?;
        file.flush()
    });
    match saved {
        Ok(()) => eprintln!("document {number}: saved as {path}"),
        Err(error) => eprintln!("document {number}: not saved: {error}"),
    }
    std::process::exit(0);
}

/// Words of a page, and of the line of text at its top.
const WORDS: usize = PAGE / 8;
const LINE: usize = 4;

/// What a document of this number has at this place: text, or noise (the finishing mix of
/// SplitMix64, Steele et al. 2014).
fn word_at(number: usize, place: usize) -> u64 {
    if place % WORDS < LINE {
        let line = format!("secret {number:03}, page {:05}, unsaved\n\n\n", place / WORDS);
        let at = place % WORDS * 8;
        return u64::from_le_bytes(line.as_bytes()[at..at + 8].try_into().unwrap_or_default());
    }
    let mut word = (place as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (number as u64) << 56;
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

fn leak(arguments: &mut Arguments) -> Result<u8, Failure> {
    if !words(arguments)?.is_empty() {
        return Err(Failure::Usage("it takes no arguments".into()));
    }
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = vec![0; MIB];
        // Every page is written, so that it is really taken, each with something of its own.
        piece.chunks_mut(PAGE).enumerate().for_each(|(page, bytes)| bytes[0] = page as u8 + 1);
        kept.push(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_differ_everywhere() {
        for place in (LINE..WORDS - 1).chain(WORDS + LINE..2 * WORDS - 1) {
            assert_ne!(word_at(1, place), word_at(2, place));
            assert_ne!(word_at(1, place), word_at(1, place + 1));
        }
    }

    #[test]
    fn every_page_begins_with_text() {
        let words = (3 * WORDS..3 * WORDS + LINE).map(|place| word_at(2, place).to_le_bytes());
        let text = words.flatten().collect::<Vec<u8>>();
        assert_eq!(text, b"secret 002, page 00003, unsaved\n");
    }
}
