//! Words to strings: parameters, substitutions, splitting, file names.
//!
//! Works on an [`Environment`], not on the shell: the same code runs in tests without files and
//! processes.

mod arithmetic;
mod fields;
mod glob;
mod parameter;

#[cfg(test)]
mod tests;

use crate::ast::{List, Part, Word};
use crate::pattern::{Marked, Pattern};
use fields::Segment;

/// Why an expansion failed: one line for the person, naming the parameter.
pub type Error = String;

/// What an expansion may ask and change.
pub trait Environment {
    /// A variable's or special parameter's value.
    fn get(&self, name: &str) -> Option<String>;
    /// `${x=word}` and `$((x = 1))`.
    fn assign(&mut self, name: &str, value: String) -> Result<(), Error>;
    /// `$1` and on.
    fn positional(&self) -> &[String];
    /// The output of a list of commands, whole.
    fn output_of(&mut self, list: &List) -> Result<String, Error>;
    /// Names in a directory, in any order; none if it cannot be read.
    fn entries(&self, directory: &str) -> Vec<String>;
    /// Whether a path leads to something.
    fn exists(&self, path: &str) -> bool;
    /// `set -f`: names are not expanded.
    fn keeps_patterns(&self) -> bool;
    /// `set -u`: an unset parameter is an error.
    fn forbids_unset(&self) -> bool;
}

/// Command and arguments: each word may become any number of strings.
pub fn fields(words: &[Word], environment: &mut dyn Environment) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for word in words {
        let segments = segments(&word.0, Quoting::None, environment)?;
        let separators = environment.get("IFS").unwrap_or_else(|| " \t\n".to_owned());
        for field in fields::split(segments, &separators) {
            if environment.keeps_patterns() {
                all.push(plain(&field));
            } else {
                glob::expand(&field, environment, &mut all);
            }
        }
    }
    Ok(all)
}

/// One string, neither split nor matched: for assignments, `case`, files of redirections.
pub fn text(word: &Word, environment: &mut dyn Environment) -> Result<String, Error> {
    Ok(plain(&marked(word, environment)?))
}

/// A pattern, in which what was quoted stands for itself.
pub fn pattern(word: &Word, environment: &mut dyn Environment) -> Result<Pattern, Error> {
    Ok(Pattern::new(&marked(word, environment)?))
}

fn marked(word: &Word, environment: &mut dyn Environment) -> Result<Vec<Marked>, Error> {
    let segments = segments(&word.0, Quoting::None, environment)?;
    Ok(fields::join(segments))
}

fn plain(field: &[Marked]) -> String {
    field.iter().map(|&(c, _)| c).collect()
}

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    /// Outside of quotes.
    None,
    /// Between double quotes.
    Double,
    /// In the word of `${x-word}` outside of quotes: plain characters are split too.
    Operand,
}

/// Expands parts, in order; does not split yet.
fn segments(
    parts: &[Part],
    quoting: Quoting,
    environment: &mut dyn Environment,
) -> Result<Vec<Segment>, Error> {
    let mut all = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Literal(text) => {
                let text = match (at, quoting) {
                    (0, Quoting::None | Quoting::Operand) => tilde(text, environment, &mut all),
                    _ => text,
                };
                all.push(Segment::literal(text, quoting));
            }
            Part::Quoted(text) => all.push(Segment::quoted(text)),
            Part::Double(inside) => {
                let inside = segments(inside, Quoting::Double, environment)?;
                // `""` is an empty word, but `"$@"` without parameters is no word at all.
                if inside.is_empty() && !mentions_all(part) {
                    all.push(Segment::quoted(""));
                }
                all.extend(inside);
            }
            Part::Parameter(parameter) => {
                parameter::expand(parameter, quoting, environment, &mut all)?;
            }
            Part::Command(list) => {
                let output = environment.output_of(list)?;
                all.push(Segment::value(output.trim_end_matches('\n'), quoting));
            }
            Part::Arithmetic(expression) => {
                let expression = text(expression, environment)?;
                let value = arithmetic::compute(&expression, environment)?;
                all.push(Segment::value(&value.to_string(), quoting));
            }
        }
    }
    Ok(all)
}

fn mentions_all(part: &Part) -> bool {
    let Part::Double(inside) = part else { return false };
    inside.iter().any(|part| matches!(part, Part::Parameter(parameter) if parameter.name == "@"))
}

/// `~` and `~/...` at the start of a word: pushes the home directory, gives back the rest.
fn tilde<'t>(text: &'t str, environment: &dyn Environment, all: &mut Vec<Segment>) -> &'t str {
    let Some(rest) = text.strip_prefix('~') else { return text };
    match environment.get("HOME") {
        Some(home) if rest.is_empty() || rest.starts_with('/') => {
            all.push(Segment::quoted(&home));
            rest
        }
        _ => text,
    }
}
