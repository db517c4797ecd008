//! A picture of the guest's screen, and the text on it.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use terminal::font::SMALL;
use terminal::{Font, read};

/// The text in a picture that QEMU made, a line for each row.
pub(crate) fn text(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let picture = Picture::parse(&bytes).with_context(|| format!("in {}", file.display()))?;
    let Picture { width, height, pixels } = picture;
    // A panic is in the small size, everything else in the one that fits the screen.
    let texts =
        [Font::for_size(width, height), SMALL].map(|font| read::text(&pixels, width, height, font));
    let unknown = |text: &String| text.chars().filter(|c| *c == read::UNKNOWN).count();
    Ok(texts.into_iter().min_by_key(unknown).unwrap_or_default())
}

struct Picture {
    width: usize,
    height: usize,
    /// As 0x00RRGGBB.
    pixels: Vec<u32>,
}

impl Picture {
    /// Reads a binary PPM: `P6`, width, height, 255, then three bytes for each pixel.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let mut words = Vec::new();
        while words.len() < 4 {
            let end = rest.iter().position(u8::is_ascii_whitespace).context("it has no head")?;
            words.push(str::from_utf8(&rest[..end])?);
            rest = &rest[end + 1..];
        }
        ensure!(words[0] == "P6" && words[3] == "255", "it is no PPM of 8-bit colours");
        let (width, height) = (words[1].parse()?, words[2].parse()?);
        let pixels: Vec<u32> = rest
            .chunks_exact(3)
            .map(|part| part.iter().fold(0, |pixel, byte| pixel << 8 | u32::from(*byte)))
            .collect();
        ensure!(pixels.len() == width * height, "it is cut off");
        Ok(Self { width, height, pixels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read() {
        let picture = Picture::parse(b"P6\n2 1\n255\n\x01\x02\x03\xff\x00\x0a").unwrap();
        assert_eq!((picture.width, picture.height), (2, 1));
        assert_eq!(picture.pixels, [0x01_0203, 0xFF_000A]);
        assert!(Picture::parse(b"P6\n2 1\n255\n\x01").is_err());
        assert!(Picture::parse(b"P5\n1 1\n255\n\x01\x02\x03").is_err());
        assert!(Picture::parse(b"P6").is_err());
    }
}
