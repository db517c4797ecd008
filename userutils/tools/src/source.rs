//! The kernel's text files, and what is in them.

use std::collections::BTreeMap;
use std::fs;

use crate::failure::Failure;

/// Reads `scheme:path`.
pub(crate) fn read(scheme: &str, path: &str) -> Result<String, Failure> {
    fs::read_to_string(format!("/scheme/{scheme}/{path}"))
        .map_err(|error| Failure::of(format_args!("{scheme}:{path}"), error))
}

/// Writes a command to `scheme:path`.
pub(crate) fn write(scheme: &str, path: &str, text: &str) -> Result<(), Failure> {
    fs::write(format!("/scheme/{scheme}/{path}"), text)
        .map_err(|error| Failure::of(format_args!("{scheme}:{path}"), error))
}

/// `key: value` lines. Unknown keys are for somebody else, missing ones for the asker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    pub(crate) fn parse(text: &str) -> Self {
        let pair = |line: &str| {
            let (key, value) = line.split_once(':')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        Self(text.lines().filter_map(pair).collect())
    }

    /// A text; empty if it is not there.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// The `n`th number of a line; 0 if it is not there.
    pub(crate) fn number(&self, key: &str, n: usize) -> u64 {
        let word = self.text(key).split_whitespace().nth(n);
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_key() {
        let values = Values::parse("Name: sh\nUid: 0 1000\nWait: child 12: x\nnoise\n\n");
        assert_eq!(values.text("Name"), "sh");
        assert_eq!(values.text("Wait"), "child 12: x");
        assert_eq!((values.number("Uid", 0), values.number("Uid", 1)), (0, 1000));
        assert_eq!((values.text("None"), values.number("Name", 0)), ("", 0));
    }
}
