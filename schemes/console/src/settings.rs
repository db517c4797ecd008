//! Terminal settings as bytes: what a program reads and writes through `termios` and `winsize`.
//!
//! Two layouts of each are in use, told apart by their length: the libc crate's for this target,
//! and the shorter ones of the crate `redox_termios`.

use redox_termios::{_POSIX_VDISABLE, Termios, cc_t, tcflag_t};
use syscall::error::{EINVAL, Error, Result};

/// Bytes of `redox_termios::Termios`: four flag words and the control characters.
pub const SHORT: usize = 48;
/// Bytes of `libc::termios`: with a line number before the control characters, and two speeds.
pub const LONG: usize = 60;

const FLAGS: usize = 16;
const CHARACTERS: usize = 32;

/// Modes, control characters, speeds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Flags and control characters.
    pub termios: Termios,
    discipline: u8,
    speeds: [u32; 2],
}

impl Default for Settings {
    fn default() -> Self {
        let termios = Termios::default();
        let speed = redox_termios::B38400;
        Self { termios, discipline: 0, speeds: [speed; 2] }
    }
}

impl Settings {
    /// Whether an input mode is on.
    pub fn input(&self, flag: tcflag_t) -> bool {
        self.termios.c_iflag & flag != 0
    }

    /// Whether an output mode is on.
    pub fn output(&self, flag: tcflag_t) -> bool {
        self.termios.c_oflag & flag != 0
    }

    /// Whether a local mode is on.
    pub fn local(&self, flag: tcflag_t) -> bool {
        self.termios.c_lflag & flag != 0
    }

    /// Whether this byte is the control character with that index. A zero switches one off.
    pub fn is(&self, index: usize, byte: u8) -> bool {
        let character: cc_t = self.termios.c_cc[index];
        character != _POSIX_VDISABLE && character == byte
    }

    /// The settings in the longest layout that fits. `EINVAL` if none does.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let mut long = [0; LONG];
        let termios = &self.termios;
        let flags = [termios.c_iflag, termios.c_oflag, termios.c_cflag, termios.c_lflag];
        put_words(&mut long[..FLAGS], &flags);
        if buffer.len() >= LONG {
            long[FLAGS] = self.discipline;
            long[FLAGS + 1..FLAGS + 1 + CHARACTERS].copy_from_slice(&termios.c_cc);
            put_words(&mut long[LONG - 8..], &self.speeds);
            return put(buffer, &long);
        }
        long[FLAGS..SHORT].copy_from_slice(&termios.c_cc);
        put(buffer, &long[..SHORT])
    }

    /// New settings from bytes in either layout; the short one keeps what it does not have.
    pub fn write(&self, bytes: &[u8]) -> Result<Self> {
        let mut new = *self;
        let characters = match bytes.len() {
            SHORT => FLAGS,
            LONG => {
                new.discipline = bytes[FLAGS];
                new.speeds = [word(bytes, LONG - 8), word(bytes, LONG - 4)];
                FLAGS + 1
            }
            _ => return Err(Error::new(EINVAL)),
        };
        new.termios = Termios {
            c_iflag: word(bytes, 0),
            c_oflag: word(bytes, 4),
            c_cflag: word(bytes, 8),
            c_lflag: word(bytes, 12),
            c_cc: [0; CHARACTERS],
        };
        new.termios.c_cc.copy_from_slice(&bytes[characters..characters + CHARACTERS]);
        Ok(new)
    }
}

/// Rows and columns, and the size in pixels that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Lines of text.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
    pixels: [u16; 2],
}

impl WindowSize {
    /// A window of text.
    pub const fn new(columns: u16, rows: u16) -> Self {
        Self { rows, columns, pixels: [0; 2] }
    }

    /// Reads `COLUMNSxROWS`, as in `80x24`.
    pub fn parse(text: &str) -> Option<Self> {
        let (columns, rows) = text.split_once('x')?;
        let number = |text: &str| text.parse().ok().filter(|&number: &u16| number > 0);
        Some(Self::new(number(columns)?, number(rows)?))
    }

    /// The size as `libc::winsize` if that fits, else as `redox_termios::Winsize`.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let mut bytes = [0; 8];
        let numbers = [self.rows, self.columns, self.pixels[0], self.pixels[1]];
        for (place, number) in bytes.chunks_mut(2).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        put(buffer, if buffer.len() >= 8 { &bytes } else { &bytes[..4] })
    }

    /// A new size from bytes in either layout.
    pub fn write(&self, bytes: &[u8]) -> Result<Self> {
        let number = |at| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        match bytes.len() {
            4 => Ok(Self { rows: number(0), columns: number(2), ..*self }),
            8 => Ok(Self { rows: number(0), columns: number(2), pixels: [number(4), number(6)] }),
            _ => Err(Error::new(EINVAL)),
        }
    }
}

/// Writes a process group, or another small number, as 8 bytes if they fit, else as 4.
pub fn read_number(number: u32, buffer: &mut [u8]) -> Result<usize> {
    let bytes = u64::from(number).to_le_bytes();
    put(buffer, if buffer.len() >= 8 { &bytes } else { &bytes[..4] })
}

/// A number from 4 or 8 bytes.
pub fn write_number(bytes: &[u8]) -> Result<u32> {
    let number = match bytes.len() {
        4 => Ok(word(bytes, 0)),
        8 if word(bytes, 4) == 0 => Ok(word(bytes, 0)),
        _ => Err(Error::new(EINVAL)),
    }?;
    // Numbers of processes and groups are positive 32-bit integers in C.
    if i32::try_from(number).is_ok() { Ok(number) } else { Err(Error::new(EINVAL)) }
}

fn put(buffer: &mut [u8], bytes: &[u8]) -> Result<usize> {
    let place = buffer.get_mut(..bytes.len()).ok_or(Error::new(EINVAL))?;
    place.copy_from_slice(bytes);
    Ok(bytes.len())
}

fn put_words(place: &mut [u8], words: &[u32]) {
    for (place, word) in place.chunks_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use redox_termios::{ECHO, ICANON, ICRNL, ONLCR, VINTR};

    fn errno<T>(result: Result<T>) -> i32 {
        result.err().map_or(0, |error| error.errno)
    }

    #[test]
    fn both_layouts_read_back() {
        let mut settings = Settings::default();
        settings.termios.c_lflag = 0x1234_5678;
        settings.termios.c_cc[31] = 9;
        settings.speeds = [1, 2];
        for length in [SHORT, LONG] {
            let mut bytes = vec![0; length];
            assert_eq!(settings.read(&mut bytes), Ok(length));
            let back = Settings::default().write(&bytes).expect("its own bytes");
            assert_eq!(back.termios.c_lflag, 0x1234_5678);
            assert_eq!(back.termios.c_cc, settings.termios.c_cc);
            assert_eq!(back.speeds == [1, 2], length == LONG);
        }
    }

    #[test]
    fn the_short_layout_is_the_crates_struct() {
        let settings = Settings::default();
        let mut bytes = [0; SHORT];
        settings.read(&mut bytes).expect("room");
        assert_eq!(bytes, settings.termios[..]);
    }

    #[test]
    fn places_in_the_long_layout_are_those_of_libc() {
        let mut bytes = [0; LONG];
        Settings::default().read(&mut bytes).expect("room");
        assert_eq!(bytes[17 + VINTR], 3);
        assert_eq!(word(&bytes, 52), redox_termios::B38400);
    }

    #[test]
    fn a_longer_buffer_gets_the_long_layout_and_a_shorter_one_nothing() {
        let settings = Settings::default();
        assert_eq!(settings.read(&mut [0; 100]), Ok(LONG));
        assert_eq!(settings.read(&mut [0; 59]), Ok(SHORT));
        assert_eq!(errno(settings.read(&mut [0; 47])), EINVAL);
        assert_eq!(errno(settings.write(&[0; 59])), EINVAL);
    }

    #[test]
    fn the_default_is_a_terminal_for_people() {
        let settings = Settings::default();
        assert!(settings.local(ICANON) && settings.local(ECHO));
        assert!(settings.input(ICRNL) && settings.output(ONLCR));
        assert!(settings.is(VINTR, 3));
    }

    #[test]
    fn window_sizes_come_in_two_lengths() {
        let size = WindowSize::new(132, 43);
        let mut bytes = [0; 8];
        assert_eq!(size.read(&mut bytes), Ok(8));
        assert_eq!(bytes, [43, 0, 132, 0, 0, 0, 0, 0]);
        assert_eq!(WindowSize::new(1, 1).write(&bytes), Ok(size));
        assert_eq!(size.read(&mut bytes[..5]), Ok(4));
        assert_eq!(WindowSize::new(1, 1).write(&bytes[..4]), Ok(size));
        assert_eq!(errno(size.write(&bytes[..6])), EINVAL);
        assert_eq!(WindowSize::parse("132x43"), Some(size));
        for text in ["", "80", "80x", "0x24", "80x24x1", "70000x1"] {
            assert_eq!(WindowSize::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_come_in_two_lengths() {
        let mut bytes = [0xFF; 8];
        assert_eq!(read_number(7, &mut bytes), Ok(8));
        assert_eq!(write_number(&bytes), Ok(7));
        assert_eq!(read_number(7, &mut bytes[..4]), Ok(4));
        assert_eq!(write_number(&bytes[..4]), Ok(7));
        assert_eq!(errno(write_number(&[0, 0, 0, 0x80])), EINVAL);
        assert_eq!(errno(write_number(&u64::MAX.to_le_bytes())), EINVAL);
        assert_eq!(errno(write_number(&[1])), EINVAL);
    }
}
