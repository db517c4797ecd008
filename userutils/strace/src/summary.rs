//! `-c`: how often, how long, how many errors.

use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
struct Row {
    calls: u64,
    errors: u64,
    time: Duration,
}

/// Counts by call.
#[derive(Default)]
pub(crate) struct Summary(BTreeMap<String, Row>);

impl Summary {
    /// Adds a call.
    pub(crate) fn add(&mut self, name: &str, time: Duration, is_error: bool) {
        let row = self.0.entry(name.to_owned()).or_default();
        row.calls += 1;
        row.errors += u64::from(is_error);
        row.time += time;
    }

    /// The table, longest time first.
    pub(crate) fn text(&self) -> String {
        let total: Duration = self.0.values().map(|row| row.time).sum();
        let share = |time: Duration| 100.0 * time.as_secs_f64() / total.as_secs_f64().max(1e-9);
        let mut rows: Vec<(&String, &Row)> = self.0.iter().collect();
        rows.sort_by_key(|(name, row)| (std::cmp::Reverse(row.time), *name));
        let head = format!(
            "{:>6} {:>11} {:>11} {:>9} {:>9} {}\n",
            "% time", "seconds", "usecs/call", "calls", "errors", "syscall"
        );
        let rule = "------ ----------- ----------- --------- --------- ----------------\n";
        let mut text = head + rule;
        let line = |name: &str, row: &Row| {
            let errors = if row.errors == 0 { String::new() } else { row.errors.to_string() };
            format!(
                "{:>6.2} {:>11.6} {:>11} {:>9} {errors:>9} {name}\n",
                share(row.time),
                row.time.as_secs_f64(),
                row.time.as_micros() as u64 / row.calls.max(1),
                row.calls,
            )
        };
        for (name, row) in rows {
            text += &line(name, row);
        }
        let all = Row {
            calls: self.0.values().map(|row| row.calls).sum(),
            errors: self.0.values().map(|row| row.errors).sum(),
            time: total,
        };
        text + rule + &line("total", &all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_comes_first_and_all_is_added_up() {
        let mut summary = Summary::default();
        summary.add("read", Duration::from_micros(10), false);
        summary.add("open", Duration::from_micros(30), true);
        summary.add("open", Duration::from_micros(60), false);
        let text = summary.text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].ends_with("open") && lines[3].ends_with("read"), "{text}");
        assert!(lines[2].starts_with(" 90.00    0.000090          45         2         1"));
        assert!(lines[5].contains("100.00") && lines[5].ends_with("total"));
    }
}
