//! `emergency.secrecy=` on the boot command line — what a page in the store tells whoever reads it.
//!
//! `encrypt`, unless another is given: pages are written under a key that was made at boot and
//! never leaves memory, so what stays on the disk is noise, also after a power cut. `overwrite`
//! writes them as they are and zeroes over them before the world goes on, and at the next boot
//! when the power went first. `off` leaves them.

use core::fmt;

/// What happens to secrets in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Secrecy {
    /// Nobody can read them.
    #[default]
    Encrypt,
    /// They are readable while the emergency lasts.
    Overwrite,
    /// They stay.
    Off,
}

impl Secrecy {
    /// Reads the option's value.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Encrypt, Self::Overwrite, Self::Off];
        all.into_iter().find(|secrecy| secrecy.name() == text)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Overwrite => "overwrite",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Secrecy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_read_as_they_are_written() {
        for secrecy in [Secrecy::Encrypt, Secrecy::Overwrite, Secrecy::Off] {
            assert_eq!(Secrecy::parse(&alloc::format!("{secrecy}")), Some(secrecy));
        }
        assert_eq!(Secrecy::parse("on"), None);
    }
}
