//! `$((...))`: 64-bit integers with the operators of C.

use super::{Environment, Error};
use crate::parse::{begins_name, is_name_char};

/// Binary operators by how tightly they bind, the loosest first. Within a row the longer ones
/// come first, since the first that fits is taken.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// Operators that assign, without `=`.
const ASSIGNING: [&str; 11] = ["", "+", "-", "*", "/", "%", "<<", ">>", "&", "^", "|"];

/// Variables whose values are expressions themselves may nest this deep.
const DEPTH_MAX: usize = 30;

/// The value of an expression. Assignments in it take effect.
pub(super) fn compute(text: &str, environment: &mut dyn Environment) -> Result<i64, Error> {
    evaluate(text, environment, 0)
}

fn evaluate(text: &str, environment: &mut dyn Environment, depth: usize) -> Result<i64, Error> {
    if text.trim().is_empty() {
        return Ok(0);
    }
    if depth == DEPTH_MAX {
        return Err(format!("{text}: expression nested too deeply"));
    }
    let mut expression = Expression { text, rest: text, environment, depth, skipping: false };
    let value = expression.assignment()?;
    expression.skip_blanks();
    match expression.rest {
        "" => Ok(value),
        rest => Err(expression.wrong(&format!("unexpected `{rest}`"))),
    }
}

struct Expression<'a> {
    text: &'a str,
    rest: &'a str,
    environment: &'a mut dyn Environment,
    depth: usize,
    /// In the part of `&&`, `||` or `?:` that does not count: nothing is assigned or divided.
    skipping: bool,
}

impl<'a> Expression<'a> {
    fn wrong(&self, what: &str) -> Error {
        format!("{}: {what}", self.text.trim())
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Parses a part that only counts if `counts`.
    fn part<T>(&mut self, counts: bool, parse: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.skipping;
        self.skipping |= !counts;
        let value = parse(self);
        self.skipping = before;
        value
    }

    fn assignment(&mut self) -> Result<i64, Error> {
        self.nested(|expression| {
            let start = expression.rest;
            let Some(name) = expression.name() else { return expression.conditional() };
            let Some(operator) = expression.assigning_operator() else {
                expression.rest = start;
                return expression.conditional();
            };
            let right = expression.assignment()?;
            let value = match operator {
                "" => right,
                operator => {
                    let left = expression.variable(name)?;
                    expression.apply(operator, left, right)?
                }
            };
            expression.store(name, value)?;
            Ok(value)
        })
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong("nested too deeply"));
        }
        self.depth += 1;
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn assigning_operator(&mut self) -> Option<&'static str> {
        self.skip_blanks();
        ASSIGNING.into_iter().find(|operator| {
            let behind = self.rest.strip_prefix(operator).and_then(|rest| rest.strip_prefix('='));
            match behind {
                Some(behind) if !(operator.is_empty() && behind.starts_with('=')) => {
                    self.rest = behind;
                    true
                }
                _ => false,
            }
        })
    }

    fn conditional(&mut self) -> Result<i64, Error> {
        let condition = self.binary(0)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let yes = self.part(condition != 0, Self::assignment)?;
        if !self.eat(":") {
            return Err(self.wrong("`:` is missing after `?`"));
        }
        let no = self.part(condition == 0, Self::assignment)?;
        Ok(if condition != 0 { yes } else { no })
    }

    fn binary(&mut self, level: usize) -> Result<i64, Error> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.binary_operator(operators) {
            let counts = match operator {
                "&&" => left != 0,
                "||" => left == 0,
                _ => true,
            };
            let right = self.part(counts, |part| part.binary(level + 1))?;
            left = self.apply(operator, left, right)?;
        }
        Ok(left)
    }

    /// One of a row, unless it is only the start of a longer operator.
    fn binary_operator(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        self.skip_blanks();
        let rest = self.rest;
        let found = *operators.iter().find(|operator| rest.starts_with(**operator))?;
        let behind = &rest[found.len()..];
        let longer = match found {
            "|" | "&" => behind.starts_with(found),
            "<" | ">" => behind.starts_with(found),
            _ => false,
        };
        let assigns = behind.starts_with('=') && !matches!(found, "==" | "!=" | "<=" | ">=");
        if longer || assigns {
            return None;
        }
        self.rest = behind;
        Some(found)
    }

    fn unary(&mut self) -> Result<i64, Error> {
        for (operator, step) in [("++", 1), ("--", -1)] {
            let start = self.rest;
            if self.eat(operator) {
                if let Some(name) = self.name() {
                    let value = self.variable(name)?.wrapping_add(step);
                    self.store(name, value)?;
                    return Ok(value);
                }
                self.rest = start;
            }
        }
        let sign = ["+", "-", "!", "~"].into_iter().find(|sign| self.eat(sign));
        let Some(sign) = sign else { return self.primary() };
        let value = self.nested(Self::unary)?;
        Ok(match sign {
            "-" => value.wrapping_neg(),
            "!" => i64::from(value == 0),
            "~" => !value,
            _ => value,
        })
    }

    fn primary(&mut self) -> Result<i64, Error> {
        if self.eat("(") {
            let value = self.assignment()?;
            return match self.eat(")") {
                true => Ok(value),
                false => Err(self.wrong("`)` is missing")),
            };
        }
        if let Some(name) = self.name() {
            let value = self.variable(name)?;
            for (operator, step) in [("++", 1), ("--", -1)] {
                if self.eat(operator) {
                    self.store(name, value.wrapping_add(step))?;
                }
            }
            return Ok(value);
        }
        self.number()
    }

    fn number(&mut self) -> Result<i64, Error> {
        self.skip_blanks();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Err(self.wrong("a number or name is missing"));
        }
        self.rest = rest;
        parse_number(digits).ok_or_else(|| self.wrong(&format!("`{digits}` is no number")))
    }

    /// A name, if one is next.
    fn name(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let end = self.rest.find(|c| !is_name_char(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if !name.starts_with(begins_name) {
            return None;
        }
        self.rest = rest;
        Some(name)
    }

    fn variable(&mut self, name: &str) -> Result<i64, Error> {
        let value = self.environment.get(name).unwrap_or_default();
        evaluate(&value, self.environment, self.depth + 1)
    }

    fn store(&mut self, name: &str, value: i64) -> Result<(), Error> {
        if self.skipping { Ok(()) } else { self.environment.assign(name, value.to_string()) }
    }

    fn apply(&self, operator: &str, left: i64, right: i64) -> Result<i64, Error> {
        Ok(match operator {
            "||" => i64::from(left != 0 || right != 0),
            "&&" => i64::from(left != 0 && right != 0),
            "|" => left | right,
            "^" => left ^ right,
            "&" => left & right,
            "==" => i64::from(left == right),
            "!=" => i64::from(left != right),
            "<=" => i64::from(left <= right),
            ">=" => i64::from(left >= right),
            "<" => i64::from(left < right),
            ">" => i64::from(left > right),
            "<<" => left.wrapping_shl(right as u32),
            ">>" => left.wrapping_shr(right as u32),
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            _ if right == 0 && self.skipping => 0,
            _ if right == 0 => return Err(self.wrong("division by zero")),
            "/" => left.wrapping_div(right),
            _ => left.wrapping_rem(right),
        })
    }
}

/// Decimal, `0x` hexadecimal, or octal after a zero.
fn parse_number(digits: &str) -> Option<i64> {
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    match (hexadecimal, digits.strip_prefix('0')) {
        (Some(hexadecimal), _) => i64::from_str_radix(hexadecimal, 16).ok(),
        (None, Some(octal)) if !octal.is_empty() => i64::from_str_radix(octal, 8).ok(),
        _ => digits.parse().ok(),
    }
}
