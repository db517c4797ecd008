//! `$x` and `${x...}`.

use super::fields::Segment;
use super::{Environment, Error, Quoting, segments};
use crate::ast::{Operation, Parameter, Word};
use crate::pattern::Pattern;

/// Adds what a parameter expands to.
pub(super) fn expand(
    parameter: &Parameter,
    quoting: Quoting,
    environment: &mut dyn Environment,
    all: &mut Vec<Segment>,
) -> Result<(), Error> {
    let name = parameter.name.as_str();
    if matches!(name, "@" | "*") && parameter.operation == Operation::Value {
        every(name, quoting, environment, all);
        return Ok(());
    }
    let value = value_of(name, environment);
    let counts = |colon: bool| value.as_ref().is_some_and(|value| !colon || !value.is_empty());
    let value_or_nothing = || value.clone().unwrap_or_default();
    let text = match &parameter.operation {
        Operation::Value => checked(name, value, environment)?,
        Operation::Length => checked(name, value, environment)?.chars().count().to_string(),
        Operation::Default(colon, _) if counts(*colon) => value_or_nothing(),
        Operation::Default(_, word) => return operand(word, quoting, environment, all),
        Operation::Alternative(colon, word) if counts(*colon) => {
            return operand(word, quoting, environment, all);
        }
        Operation::Alternative(..) => return Ok(()),
        Operation::Assign(colon, _) | Operation::Error(colon, _) if counts(*colon) => {
            value_or_nothing()
        }
        Operation::Assign(_, word) => {
            let text = super::text(word, environment)?;
            environment.assign(name, text.clone())?;
            text
        }
        Operation::Error(_, word) => return Err(refusal(name, word, environment)?),
        Operation::Trim { suffix, longest, pattern } => {
            let pattern = super::pattern(pattern, environment)?;
            let value = checked(name, value, environment)?;
            trim(&value, &pattern, *suffix, *longest).to_owned()
        }
    };
    all.push(Segment::value(&text, quoting));
    Ok(())
}

fn value_of(name: &str, environment: &dyn Environment) -> Option<String> {
    match name.parse::<usize>() {
        Ok(0) | Err(_) => match name {
            "@" | "*" => Some(environment.positional().join(" ")),
            name => environment.get(name),
        },
        Ok(number) => environment.positional().get(number - 1).cloned(),
    }
}

/// An unset parameter is empty, unless `set -u`.
fn checked(
    name: &str,
    value: Option<String>,
    environment: &dyn Environment,
) -> Result<String, Error> {
    match value {
        None if environment.forbids_unset() => Err(format!("{name}: parameter not set")),
        value => Ok(value.unwrap_or_default()),
    }
}

fn operand(
    word: &Word,
    quoting: Quoting,
    environment: &mut dyn Environment,
    all: &mut Vec<Segment>,
) -> Result<(), Error> {
    let quoting = if quoting == Quoting::Double { quoting } else { Quoting::Operand };
    all.extend(segments(&word.0, quoting, environment)?);
    Ok(())
}

fn refusal(name: &str, word: &Word, environment: &mut dyn Environment) -> Result<Error, Error> {
    let text = super::text(word, environment)?;
    let text = if text.is_empty() { "parameter not set" } else { &text };
    Ok(format!("{name}: {text}"))
}

/// `$@` and `$*`.
fn every(name: &str, quoting: Quoting, environment: &dyn Environment, all: &mut Vec<Segment>) {
    let values = environment.positional();
    if name == "*" && quoting == Quoting::Double {
        let separators = environment.get("IFS").unwrap_or_else(|| " ".to_owned());
        let joint: String = separators.chars().take(1).collect();
        return all.push(Segment::quoted(&values.join(&joint)));
    }
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            all.push(Segment::Break);
        }
        all.push(Segment::value(value, quoting));
    }
}

/// The value without the shortest or longest start or end that matches.
fn trim<'v>(value: &'v str, pattern: &Pattern, suffix: bool, longest: bool) -> &'v str {
    let mut cuts: Vec<usize> =
        value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
    // From the cut that takes least to the one that takes most, or the other way round.
    if suffix != longest {
        cuts.reverse();
    }
    let matching = cuts
        .into_iter()
        .find(|&cut| pattern.matches(if suffix { &value[cut..] } else { &value[..cut] }));
    match matching {
        Some(cut) if suffix => &value[..cut],
        Some(cut) => &value[cut..],
        None => value,
    }
}
