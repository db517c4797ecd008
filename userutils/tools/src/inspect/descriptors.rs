//! `proc:PID/fd/N`, read.

use crate::source::Values;
use abi::redox::flag::*;

/// One open descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) number: u64,
    pub(super) path: String,
    pub(super) offset: u64,
    pub(super) flags: usize,
    pub(super) closes_on_exec: bool,
}

impl Descriptor {
    /// From the text of its file.
    pub(super) fn parse(number: u64, text: &str) -> Self {
        let values = Values::parse(text);
        let flags = values.text("flags").trim_start_matches("0x");
        Self {
            number,
            path: values.text("path").to_owned(),
            offset: values.number("offset", 0),
            flags: usize::from_str_radix(flags, 16).unwrap_or(0),
            closes_on_exec: values.text("close_on_exec") == "true",
        }
    }

    /// `r`, `w`, `u` for both, `-` for neither.
    pub(super) fn access(&self) -> char {
        match self.flags & O_ACCMODE {
            O_RDONLY => 'r',
            O_WRONLY => 'w',
            O_RDWR => 'u',
            _ => '-',
        }
    }

    /// The scheme that serves it.
    pub(super) fn scheme(&self) -> &str {
        self.path.split_once(':').map_or("-", |(scheme, _)| scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_read() {
        let text = "path: ram:/a b\noffset: 12\nflags: 0x30000\nclose_on_exec: true\n";
        let found = Descriptor::parse(3, text);
        assert_eq!((found.path.as_str(), found.offset, found.scheme()), ("ram:/a b", 12, "ram"));
        assert_eq!((found.access(), found.closes_on_exec), ('u', true));
        let nothing = Descriptor::parse(4, "");
        assert_eq!((nothing.access(), nothing.scheme()), ('-', "-"));
    }
}
