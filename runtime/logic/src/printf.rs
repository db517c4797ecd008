//! Texts as C's `printf` describes them, for C libraries inside of programs.
//!
//! Integers, letters, strings, pointers and `%f` are known, with all flags, widths and precisions.
//! `%e`, `%g`, `%a` and `%n` are not, and neither are wide letters: a text that asks for them is
//! refused whole.

use core::fmt::{self, Write};

/// A directive that is not known, or that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// The arguments behind the format, one after the other.
pub trait Arguments {
    /// The next one, an `int`.
    fn int(&mut self) -> i32;
    /// The next one, of 64 bits: a `long`, a `size_t`, a pointer.
    fn long(&mut self) -> i64;
    /// The next one, a `double`.
    fn double(&mut self) -> f64;
    /// The next one, a string of which at most so many bytes are looked at. Null is a text, too.
    fn text(&mut self, most: usize) -> &[u8];
}

/// How wide an integer is that was passed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Byte,
    Short,
    Int,
    Long,
}

/// What stands between `%` and the letter.
#[derive(Clone, Copy, Default)]
struct Directive {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Where the text goes: as much as there is room for, and how long it all is.
pub struct Output<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Output<'a> {
    /// An empty text, with room for so much of it.
    pub fn new(room: &'a mut [u8]) -> Self {
        Self { room, length: 0 }
    }

    /// How long the text is, whether it had room or not.
    pub fn length(&self) -> usize {
        self.length
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room.get_mut(self.length..) {
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
        }
        self.length += bytes.len();
    }

    fn fill(&mut self, byte: u8, count: usize) {
        (0..count).for_each(|_| self.put(&[byte]));
    }

    /// A sign or `0x`, then digits: filled up to a width, and to a least number of digits.
    fn number(&mut self, directive: Directive, prefix: &[u8], digits: &[u8], least: usize) {
        let zeroes = least.saturating_sub(digits.len());
        let fill = directive.width.saturating_sub(prefix.len() + zeroes + digits.len());
        let with_zeroes = directive.zero && !directive.left && directive.precision.is_none();
        if !directive.left && !with_zeroes {
            self.fill(b' ', fill);
        }
        self.put(prefix);
        self.fill(b'0', if with_zeroes { zeroes + fill } else { zeroes });
        self.put(digits);
        if directive.left {
            self.fill(b' ', fill);
        }
    }

    fn text(&mut self, directive: Directive, text: &[u8]) {
        let fill = directive.width.saturating_sub(text.len());
        if !directive.left {
            self.fill(b' ', fill);
        }
        self.put(text);
        if directive.left {
            self.fill(b' ', fill);
        }
    }
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// Writes what `format` says.
pub fn format(
    mut format: &[u8],
    arguments: &mut impl Arguments,
    output: &mut Output<'_>,
) -> Result<(), Unknown> {
    while !format.is_empty() {
        let plain = format.iter().position(|&byte| byte == b'%').unwrap_or(format.len());
        output.put(&format[..plain]);
        format = &format[plain..];
        if !format.is_empty() {
            format = directive(&format[1..], arguments, output)?;
        }
    }
    Ok(())
}

/// Reads a number, or takes it from the arguments.
fn count<'f>(format: &'f [u8], arguments: &mut impl Arguments) -> (Option<i64>, &'f [u8]) {
    match format {
        [b'*', rest @ ..] => (Some(arguments.int().into()), rest),
        _ => match crate::numbers::leading(format) {
            Some((number, rest)) => (Some(number as i64), rest),
            None => (None, format),
        },
    }
}

/// Does what stands behind a `%`, and returns the rest of the format.
fn directive<'f>(
    mut format: &'f [u8],
    arguments: &mut impl Arguments,
    output: &mut Output<'_>,
) -> Result<&'f [u8], Unknown> {
    let mut directive = Directive::default();
    while let [flag @ (b'-' | b'+' | b' ' | b'#' | b'0'), rest @ ..] = format {
        match flag {
            b'-' => directive.left = true,
            b'+' => directive.plus = true,
            b' ' => directive.space = true,
            b'#' => directive.alternate = true,
            _ => directive.zero = true,
        }
        format = rest;
    }
    let (width, rest) = count(format, arguments);
    format = rest;
    // A negative width from the arguments means the left side.
    directive.left |= width.is_some_and(|width| width < 0);
    directive.width = width.map_or(0, |width| width.unsigned_abs() as usize);
    if let [b'.', rest @ ..] = format {
        let (precision, rest) = count(rest, arguments);
        // A negative one is none.
        directive.precision = usize::try_from(precision.unwrap_or(0)).ok();
        format = rest;
    }
    let (width, rest) = match format {
        [b'h', b'h', rest @ ..] => (Width::Byte, rest),
        [b'h', rest @ ..] => (Width::Short, rest),
        [b'l', b'l', rest @ ..] | [b'l' | b'z' | b'j' | b't' | b'q', rest @ ..] => {
            (Width::Long, rest)
        }
        rest => (Width::Int, rest),
    };
    let Some((letter, rest)) = rest.split_first() else { return Err(Unknown) };
    convert(*letter, directive, width, arguments, output)?;
    Ok(rest)
}

fn convert(
    letter: u8,
    directive: Directive,
    width: Width,
    arguments: &mut impl Arguments,
    output: &mut Output<'_>,
) -> Result<(), Unknown> {
    match letter {
        b'%' => output.put(b"%"),
        b'd' | b'i' => {
            let value = signed(width, arguments);
            let prefix: &[u8] = match value < 0 {
                true => b"-",
                false if directive.plus => b"+",
                false if directive.space => b" ",
                false => b"",
            };
            digits(value.unsigned_abs(), 10, false, directive, prefix, output);
        }
        b'u' => digits(unsigned(width, arguments), 10, false, directive, b"", output),
        b'o' => digits(unsigned(width, arguments), 8, false, directive, b"", output),
        b'x' | b'X' => {
            let value = unsigned(width, arguments);
            let prefix: &[u8] = match (directive.alternate && value != 0, letter) {
                (false, _) => b"",
                (true, b'x') => b"0x",
                (true, _) => b"0X",
            };
            digits(value, 16, letter == b'X', directive, prefix, output);
        }
        b'p' => {
            let value = arguments.long() as u64;
            digits(value, 16, false, Directive { precision: None, ..directive }, b"0x", output);
        }
        b'c' if width != Width::Long => output.text(directive, &[arguments.int() as u8]),
        b's' if width != Width::Long => {
            let text = arguments.text(directive.precision.unwrap_or(usize::MAX));
            output.text(directive, text);
        }
        b'f' | b'F' => fixed(arguments.double(), directive, output),
        _ => return Err(Unknown),
    }
    Ok(())
}

fn signed(width: Width, arguments: &mut impl Arguments) -> i64 {
    match width {
        Width::Byte => (arguments.int() as i8).into(),
        Width::Short => (arguments.int() as i16).into(),
        Width::Int => arguments.int().into(),
        Width::Long => arguments.long(),
    }
}

fn unsigned(width: Width, arguments: &mut impl Arguments) -> u64 {
    match width {
        Width::Byte => (arguments.int() as u8).into(),
        Width::Short => (arguments.int() as u16).into(),
        Width::Int => (arguments.int() as u32).into(),
        Width::Long => arguments.long() as u64,
    }
}

fn digits(
    mut value: u64,
    base: u64,
    is_upper: bool,
    directive: Directive,
    prefix: &[u8],
    output: &mut Output<'_>,
) {
    let letters = if is_upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut buffer = [0; 22];
    let mut at = buffer.len();
    // Zero with a precision of zero is no digit at all.
    while value != 0 || at == buffer.len() && directive.precision != Some(0) {
        at -= 1;
        buffer[at] = letters[(value % base) as usize];
        value /= base;
    }
    let octal = base == 8 && directive.alternate && buffer.get(at) != Some(&b'0');
    let least = directive.precision.unwrap_or(1).max(if octal { buffer.len() - at + 1 } else { 0 });
    output.number(directive, prefix, &buffer[at..], least);
}

/// Digits before and behind a point.
fn fixed(value: f64, directive: Directive, output: &mut Output<'_>) {
    let prefix: &[u8] = match value.is_sign_negative() {
        true => b"-",
        false if directive.plus => b"+",
        false if directive.space => b" ",
        false => b"",
    };
    // As long as the largest number with so many places gets.
    let mut room = [0; 400];
    let places = directive.precision.unwrap_or(6).min(80);
    let mut text = Output::new(&mut room);
    let is_finite = value.is_finite();
    // Writing to memory cannot fail.
    let _ = match value {
        value if value.is_nan() => text.write_str("nan"),
        value if value.is_infinite() => text.write_str("inf"),
        value => write!(text, "{:.*}", places, value.abs()),
    };
    let length = text.length();
    let zero = directive.zero && is_finite;
    output.number(Directive { zero, precision: None, ..directive }, prefix, &room[..length], 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Arguments from a list.
    struct List<'a>(&'a [i64], &'a str, f64);

    impl Arguments for List<'_> {
        fn int(&mut self) -> i32 {
            self.long() as i32
        }

        fn long(&mut self) -> i64 {
            let (first, rest) = self.0.split_first().expect("enough arguments");
            self.0 = rest;
            *first
        }

        fn double(&mut self) -> f64 {
            self.2
        }

        fn text(&mut self, most: usize) -> &[u8] {
            &self.1.as_bytes()[..self.1.len().min(most)]
        }
    }

    fn told(text: &str, numbers: &[i64], word: &str, float: f64) -> Result<String, Unknown> {
        let mut room = [0; 600];
        let mut output = Output::new(&mut room);
        format(text.as_bytes(), &mut List(numbers, word, float), &mut output)?;
        let length = output.length();
        Ok(String::from_utf8(room[..length].to_vec()).expect("text"))
    }

    #[test]
    fn directives_are_as_c_has_them() {
        for (text, numbers, expected) in [
            ("%d%%|%5d|%-5d|%05d", &[7, -7, -7, -7][..], "7%|   -7|-7   |-0007"),
            ("%+d % d %i", &[3, 3, i64::from(i32::MIN)], "+3  3 -2147483648"),
            ("%.3d|%8.3d|%-8.3d|%.0d", &[5, 5, -5, 0], "005|     005|-005    |"),
            ("%u %lu %hhu %hd", &[-1, -1, 258, 65_535], "4294967295 18446744073709551615 2 -1"),
            ("%x %X %#x %#X %#x %02x", &[255, 255, 255, 255, 0, 5], "ff FF 0xff 0XFF 0 05"),
            ("%o %#o %#o", &[8, 8, 0], "10 010 0"),
            ("%c|%3c|%-3c|", &[65, 66, 67], "A|  B|C  |"),
            ("%s|%6s|%-6s|%.2s|%*s", &[5], "word|  word|word  |wo| word"),
            ("%-*d|%.*d|%*d", &[4, 1, 3, 2, -3, 9], "1   |002|9  "),
            ("%p %zu %jd %lld", &[16, 1, -2, -3], "0x10 1 -2 -3"),
            ("%f|%.2f|%8.1f|%-8.0f|%08.3f", &[], "3.141593|3.14|     3.1|3       |0003.142"),
        ] {
            let told = told(text, numbers, "word", core::f64::consts::PI);
            assert_eq!(told.as_deref(), Ok(expected), "{text}");
        }
        for text in ["%", "%g", "%5e", "%n", "%ls", "%k"] {
            assert_eq!(told(text, &[1, 2], "word", 1.0), Err(Unknown), "{text}");
        }
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut room = [b'.'; 4];
        let mut output = Output::new(&mut room);
        format(b"%d and %d", &mut List(&[123, 456], "", 0.0), &mut output).unwrap();
        assert_eq!((output.length(), &room), (11, b"123 "));
    }

    proptest! {
        #[test]
        fn numbers_are_as_rust_writes_them(value: i64, width in 0..30_usize) {
            let format = format!("%{width}ld|%-{width}ld|%lx|%{width}lx");
            let expected = format!("{value:width$}|{value:<width$}|{value:x}|{value:width$x}");
            prop_assert_eq!(told(&format, &[value; 4], "", 0.0), Ok(expected));
        }

        #[test]
        fn any_format_is_survived(text in "[%0-9.*a-z#+ -]{0,20}") {
            let _ = told(&text, &[3; 40], "word", 1.5);
        }
    }
}
