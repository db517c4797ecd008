//! Arguments, with the options every tool has.

use std::ffi::OsString;
use std::str::FromStr;

use lexopt::{Arg, Parser, ValueExt};

use crate::failure::Failure;

/// The arguments that are left.
pub(crate) struct Arguments(Parser);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// `-x`.
    Short(char),
    /// `--name`.
    Long(String),
    /// Anything else.
    Word(String),
}

impl Arguments {
    pub(crate) fn new(words: &[String]) -> Self {
        Self(Parser::from_args(words.iter().map(OsString::from)))
    }

    /// The next one. `-h`, `--help` and `--version` end the tool here.
    pub(crate) fn next(&mut self) -> Result<Option<Argument>, Failure> {
        Ok(match self.0.next()? {
            None => None,
            Some(Arg::Long("help")) => return Err(Failure::Help),
            Some(Arg::Long("version")) => return Err(Failure::Version),
            Some(Arg::Short(letter)) => Some(Argument::Short(letter)),
            Some(Arg::Long(name)) => Some(Argument::Long(name.to_owned())),
            Some(Arg::Value(word)) => Some(Argument::Word(word.string()?)),
        })
    }

    /// The value of the option just seen.
    pub(crate) fn value<T: FromStr>(&mut self) -> Result<T, Failure>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        Ok(self.0.value()?.parse()?)
    }

    /// The value of the option just seen, as text.
    pub(crate) fn text(&mut self) -> Result<String, Failure> {
        Ok(self.0.value()?.string()?)
    }

    /// All that is left, untouched.
    pub(crate) fn rest(&mut self) -> Result<Vec<String>, Failure> {
        self.0.raw_args()?.map(|word| Ok(word.string()?)).collect()
    }

    /// A tool that takes nothing but `--json`: whether it is there.
    pub(crate) fn only_json(&mut self) -> Result<bool, Failure> {
        let mut json = false;
        while let Some(argument) = self.next()? {
            match argument {
                Argument::Long(name) if name == "json" => json = true,
                other => return Err(other.unexpected()),
            }
        }
        Ok(json)
    }
}

impl Argument {
    /// The tool does not know this one. `-h` is help for those that do not use it otherwise.
    pub(crate) fn unexpected(self) -> Failure {
        Failure::Usage(match self {
            Argument::Short('h') => return Failure::Help,
            Argument::Short(letter) => format!("-{letter}: no such option"),
            Argument::Long(name) => format!("--{name}: no such option"),
            Argument::Word(word) => format!("{word}: unexpected"),
        })
    }
}
