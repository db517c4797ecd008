//! What the guest's `bench` program prints, read back.
//!
//! ```text
//! CAL nop1000=1000 rep_movsq_512=516
//! BENCH pipe_rt  n=1000 min=1.0 med=1.0 mean=1.0 p99=1.0
//! BOOT first_user=7000000
//! ```
//!
//! A `BOOT` value is the row `boot_` and its name. Other lines are for people.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;

/// What a machine with the right flags calibrates to: one tick per instruction, and eight bytes
/// per counted iteration of a string instruction.
const CALIBRATION: [(&str, f64); 2] = [("nop1000", 1000.0), ("rep_movsq_512", 516.0)];

/// The medians of one run.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    calibration: BTreeMap<String, f64>,
    rows: BTreeMap<String, f64>,
}

impl Measured {
    /// Reads the output of `bench`.
    pub(crate) fn parse(output: &str) -> Result<Self> {
        let mut measured = Self::default();
        for line in output.lines() {
            measured.line(line).with_context(|| format!("in the line: {line}"))?;
        }
        Ok(measured)
    }

    /// Adds the rows of a boot by the loader.
    pub(crate) fn add_boot(&mut self, output: &str) -> Result<()> {
        let booted = Self::parse(output)?;
        for row in ["boot_loader", "boot_loader_command"] {
            let ticks = booted.median(row).with_context(|| format!("no {row} in:\n{output}"))?;
            self.rows.insert(row.into(), ticks);
        }
        Ok(())
    }

    /// Adds rows for an emergency, from the text of `emergency:log`; their names end with `suffix`.
    pub(crate) fn add_emergency(&mut self, log: &str, suffix: &str) -> Result<()> {
        let each = |time: &str, pages: &str| -> Result<f64> {
            Ok((number(log, time)? / number(log, pages)?.max(1.0)).round())
        };
        let rows = [
            ("emergency_write_page", each("write_ns", "evacuated")?),
            ("emergency_restore_page", each("read_ns", "read_back")?),
            ("emergency_raw_write_page", each("raw_write_ns", "raw_pages")?),
            ("emergency_raw_read_page", each("raw_read_ns", "raw_pages")?),
        ];
        self.rows.extend(rows.map(|(name, value)| (format!("{name}{suffix}"), value)));
        self.add_picker(log, suffix)
    }

    /// The same for the row of the picker alone.
    pub(crate) fn add_picker(&mut self, log: &str, suffix: &str) -> Result<()> {
        let picker = number(log, "picker_us")? * 1000.0;
        self.rows.insert(format!("emergency_picker{suffix}"), picker);
        Ok(())
    }

    /// A row's median.
    pub(crate) fn median(&self, row: &str) -> Option<f64> {
        self.rows.get(row).copied()
    }

    /// The names of all rows.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }

    /// What is wrong with the machine that measured.
    pub(crate) fn calibration_faults(&self) -> Vec<String> {
        let faults = CALIBRATION.iter().filter_map(|&(name, wanted)| {
            let found = self.calibration.get(name).copied();
            (found != Some(wanted)).then(|| match found {
                Some(found) => {
                    format!("the machine counts wrong: CAL {name} is {found}, not {wanted}")
                }
                None => format!("CAL {name} is missing"),
            })
        });
        faults.collect()
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("CAL") => self.calibration.extend(values(words)?),
            Some("BOOT") => {
                let rows = values(words)?.into_iter();
                self.rows.extend(rows.map(|(name, value)| (format!("boot_{name}"), value)));
            }
            Some("BENCH") => {
                let name = words.next().context("a row without a name")?;
                let median = values(words)?.remove("med").context("a row without a median")?;
                self.rows.insert(name.into(), median);
            }
            _ => {}
        }
        Ok(())
    }
}

fn values<'a>(words: impl Iterator<Item = &'a str>) -> Result<BTreeMap<String, f64>> {
    words
        .map(|word| {
            let (name, value) = word.split_once('=').with_context(|| format!("not a=1: {word}"))?;
            let value = value.parse().with_context(|| format!("not a number: {word}"))?;
            Ok((name.into(), value))
        })
        .collect()
}

/// The number that a text of `key: value` lines has for `key`.
fn number(text: &str, key: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    let line = line.with_context(|| format!("no {key} in:\n{text}"))?;
    Ok(line.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_calibration_and_boot_are_found() {
        let measured = Measured::parse(
            "hello\nCAL nop1000=1000 rep_movsq_512=516\n\
             BENCH pipe_rt   n=9 min=1.0 med=2.5 mean=3 p99=4\nBOOT first_user=7000000\n",
        )
        .unwrap();
        assert_eq!(measured.median("pipe_rt"), Some(2.5));
        assert_eq!(measured.median("boot_first_user"), Some(7e6));
        assert_eq!(measured.calibration_faults(), Vec::<String>::new());
    }

    #[test]
    fn an_emergency_becomes_rows() {
        let mut measured = Measured::default();
        let log = "picker_us: 520\nwrite_ns: 3000\nread_ns: 2000\nraw_pages: 1\nraw_write_ns: 600\n\
                   raw_read_ns: 500\nevacuated: 2\nread_back: 2\n";
        measured.add_emergency(log, "").unwrap();
        measured.add_picker("picker_us: 70", "_4g").unwrap();
        assert_eq!(measured.median("emergency_picker_4g"), Some(70_000.0));
        assert_eq!(measured.median("emergency_write_page"), Some(1500.0));
        assert_eq!(measured.median("emergency_picker"), Some(520_000.0));
        assert!(measured.add_emergency("none since boot", "").is_err());
    }

    #[test]
    fn a_boot_must_have_a_loader() {
        let mut measured = Measured::default();
        let text = "BOOT first_user=1\nBOOT command=50\n";
        assert!(measured.add_boot(text).is_err());
        measured.add_boot(&format!("{text}BOOT loader=8 loader_command=58\n")).unwrap();
        assert_eq!(measured.median("boot_loader_command"), Some(58.0));
        assert_eq!(measured.median("boot_first_user"), None);
    }

    #[test]
    fn a_wrong_or_missing_calibration_is_a_fault() {
        let measured = Measured::parse("CAL nop1000=2000\n").unwrap();
        assert_eq!(measured.calibration_faults().len(), 2);
    }

    #[test]
    fn a_garbled_row_is_an_error() {
        for line in ["BENCH", "BENCH x n=1", "BENCH x med=many", "CAL nop"] {
            assert!(Measured::parse(line).is_err(), "{line}");
        }
    }
}
