//! What `--size` means.

/// An amount of space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the machine's memory.
    Percent(u64),
}

impl Size {
    /// A quarter of the memory.
    pub const DEFAULT: Self = Size::Percent(25);

    /// Reads `4096`, `64K`, `64M`, `2G` or `25%`; nothing else, and not zero.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|&number| number > 0)?;
        let bytes = |shift: u32| number.checked_mul(1 << shift).map(Size::Bytes);
        match &text[digits.len()..] {
            "" => bytes(0),
            "K" => bytes(10),
            "M" => bytes(20),
            "G" => bytes(30),
            "%" if number <= 100 => Some(Size::Percent(number)),
            _ => None,
        }
    }

    /// In bytes, on a machine with so much memory.
    pub fn of(self, memory: u64) -> u64 {
        match self {
            Size::Bytes(bytes) => bytes,
            Size::Percent(percent) => (u128::from(memory) * u128::from(percent) / 100) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        assert_eq!(Size::parse("4096"), Some(Size::Bytes(4096)));
        assert_eq!(Size::parse("3K"), Some(Size::Bytes(3 << 10)));
        assert_eq!(Size::parse("64M"), Some(Size::Bytes(64 << 20)));
        assert_eq!(Size::parse("2G"), Some(Size::Bytes(2 << 30)));
        assert_eq!(Size::parse("100%"), Some(Size::Percent(100)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "0", "0%", "101%", "M", "1X", "1MM", "-1", "1.5G", "99999999999G", "5 M"] {
            assert_eq!(Size::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_percentage_is_of_the_memory() {
        assert_eq!(Size::DEFAULT.of(400), 100);
        assert_eq!(Size::Percent(100).of(u64::MAX), u64::MAX);
        assert_eq!(Size::Bytes(7).of(400), 7);
    }
}
