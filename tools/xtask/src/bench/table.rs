//! The rows beside their references and goals.

use super::measured::Measured;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The Linux configurations that were counted under the flags we use; the best one is shown.
const LINUX: [&str; 7] = [
    "linux_6.1_debian_default",
    "linux_6.1_mitigations_off",
    "linux_6.1_tuned",
    "linux_6.12_debian_default",
    "linux_6.12_tuned",
    "linux_7.2_debian_default",
    "linux_7.2_tuned",
];
const REDOX: [&str; 1] = ["redox_kernel_2026_08"];

/// What goes beside the measured rows.
pub(crate) struct Table {
    goals: Vec<Goal>,
    reference: Reference,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Goals {
    row: Vec<Goal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Goal {
    name: String,
    what: String,
    linux: Option<String>,
    redox: Option<String>,
    goal: f64,
    limit: Option<f64>,
}

/// System, row, and the row's figures.
struct Reference(BTreeMap<String, BTreeMap<String, Figures>>);

#[derive(Deserialize)]
struct Figures {
    med: f64,
}

impl Table {
    /// Reads the goals and the reference figures.
    pub(crate) fn read(goals: &Path, reference: &Path) -> Result<Self> {
        let text = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
        };
        Self::parse(&text(goals)?, &text(reference)?)
    }

    fn parse(goals: &str, reference: &str) -> Result<Self> {
        let goals: Goals = toml::from_str(goals).context("the goals")?;
        Ok(Self { goals: goals.row, reference: Reference::parse(reference)? })
    }

    /// The table as text: rows with a goal in its order, then the rest.
    pub(crate) fn render(&self, measured: &Measured) -> String {
        let mut text = format!(
            "{:<42}{:>12}{:>12}{:>12}{:>12}{:>9}{:>9}\n",
            "instructions (medians)", "Lifeboat", "goal", "best Linux", "Redox", "/Linux", "/Redox"
        );
        for goal in &self.goals {
            let ours = measured.median(&goal.name);
            let linux = goal.linux.as_ref().and_then(|row| self.reference.best(&LINUX, row));
            let redox = goal.redox.as_ref().and_then(|row| self.reference.best(&REDOX, row));
            let mark = if ours.is_some_and(|ours| ours > goal.goal) { " > goal" } else { "" };
            writeln!(
                text,
                "{:<42}{:>12}{:>12}{:>12}{:>12}{:>9}{:>9}{mark}",
                goal.what,
                number(ours),
                number(Some(goal.goal)),
                number(linux),
                number(redox),
                ratio(ours, linux),
                ratio(ours, redox),
            )
            .expect("a string takes all text");
        }
        for name in
            measured.names().filter(|name| !self.goals.iter().any(|goal| goal.name == *name))
        {
            writeln!(text, "{name:<42}{:>12}", number(measured.median(name)))
                .expect("a string takes all text");
        }
        text
    }

    /// A sentence for every row above its limit, or with a limit and not measured.
    pub(crate) fn over_limit(&self, measured: &Measured) -> Vec<String> {
        let judged = self.goals.iter().filter_map(|goal| Some((goal, goal.limit?)));
        let complaints = judged.filter_map(|(goal, limit)| match measured.median(&goal.name) {
            Some(ours) if ours <= limit => None,
            Some(ours) => Some(format!("{} takes {ours}, its limit is {limit}", goal.name)),
            None => Some(format!("{} was not measured", goal.name)),
        });
        complaints.collect()
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self> {
        let systems: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(text).context("the reference figures")?;
        // Names that begin with `_` are remarks.
        let systems = systems.into_iter().filter(|(name, _)| !name.starts_with('_'));
        let systems = systems.map(|(name, rows)| {
            let rows =
                serde_json::from_value(rows).with_context(|| format!("figures of {name}"))?;
            Ok((name, rows))
        });
        Ok(Self(systems.collect::<Result<_>>()?))
    }

    /// The lowest median of a row among some systems.
    fn best(&self, systems: &[&str], row: &str) -> Option<f64> {
        let medians = systems.iter().filter_map(|system| Some(self.0.get(*system)?.get(row)?.med));
        medians.reduce(f64::min)
    }
}

fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".into() };
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2}", ours / theirs),
        _ => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let goals = "[[row]]\nname='a'\nwhat='row a'\nlinux='a'\ngoal=10\nlimit=20\n";
        let reference = r#"{"_about": "x", "linux_6.1_tuned": {"a": {"med": 40.0, "min": 1}},
            "linux_7.2_tuned": {"a": {"med": 60.0}}}"#;
        Table::parse(goals, reference).unwrap()
    }

    fn measured(median: u32) -> Measured {
        Measured::parse(&format!("BENCH a n=1 med={median}\nBENCH b med=1234567\n")).unwrap()
    }

    #[test]
    fn a_row_stands_beside_the_best_linux() {
        let text = table().render(&measured(10));
        assert!(text.contains("row a"), "{text}");
        assert!(text.contains("0.25") && !text.contains("> goal"), "{text}");
        assert!(text.contains("1,234,567"), "{text}");
    }

    #[test]
    fn above_the_goal_is_marked_and_above_the_limit_fails() {
        assert!(table().render(&measured(15)).contains("> goal"));
        assert!(table().over_limit(&measured(20)).is_empty());
        assert_eq!(table().over_limit(&measured(21)).len(), 1);
        assert_eq!(table().over_limit(&Measured::default()).len(), 1);
    }

    #[test]
    fn the_files_in_the_tree_fit_each_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let table =
            Table::read(&root.join(super::super::GOALS), &root.join(super::super::REFERENCE));
        let table = table.unwrap();
        for goal in &table.goals {
            for (systems, row) in [(&LINUX[..], &goal.linux), (&REDOX[..], &goal.redox)] {
                let Some(row) = row else { continue };
                assert!(table.reference.best(systems, row).is_some(), "{row} has no figures");
            }
        }
    }
}
