//! Listings: aligned columns for people, JSON for programs, from the same rows.

use serde_json::{Map, Value};

/// One value, shown one way and reported another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// The same for both.
    Text(String),
    /// The same for both, aligned right.
    Number(u64),
    /// A number that people see in another form.
    Shown(u64, String),
}

/// A column's title, and its key in JSON.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) key: &'static str,
}

/// Rows under titles.
pub(crate) struct Listing {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Cell {
    fn shown(&self) -> String {
        match self {
            Cell::Text(text) | Cell::Shown(_, text) => text.clone(),
            Cell::Number(number) => number.to_string(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Number(number) | Cell::Shown(number, _) => Value::from(*number),
        }
    }
}

impl Listing {
    pub(crate) fn new(columns: &[(&'static str, &'static str)]) -> Self {
        let column = |&(title, key): &(&'static str, &'static str)| Column { title, key };
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// As asked for.
    pub(crate) fn render(&self, json: bool) -> String {
        if json { self.json() } else { self.text() }
    }

    fn json(&self) -> String {
        let object = |row: &Vec<Cell>| {
            let keys = self.columns.iter().map(|column| column.key.to_owned());
            Value::Object(keys.zip(row.iter().map(Cell::value)).collect::<Map<_, _>>())
        };
        let all: Vec<Value> = self.rows.iter().map(object).collect();
        format!("{}\n", Value::Array(all))
    }

    /// Numbers stand right, texts left; the last column is as wide as it is.
    fn text(&self) -> String {
        let mut lines = vec![self.columns.iter().map(|column| column.title.to_owned()).collect()];
        lines.extend(self.rows.iter().map(|row| row.iter().map(Cell::shown).collect::<Vec<_>>()));
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0))
            .collect();
        let is_right: Vec<bool> = (0..self.columns.len())
            .map(|at| self.rows.iter().any(|row| !matches!(row[at], Cell::Text(_))))
            .collect();
        let line = |cells: &Vec<String>| {
            let mut text = String::new();
            for (at, cell) in cells.iter().enumerate() {
                let width = widths[at];
                text += &match is_right[at] {
                    true => format!("{cell:>width$}  "),
                    false => format!("{cell:<width$}  "),
                };
            }
            format!("{}\n", text.trim_end())
        };
        lines.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_listing_has_two_forms() {
        let mut listing = Listing::new(&[("PID", "pid"), ("MEM", "memory"), ("NAME", "name")]);
        let row = |pid, bytes, name: &str| {
            vec![
                Cell::Number(pid),
                Cell::Shown(bytes, crate::units::size(bytes)),
                Cell::Text(name.to_owned()),
            ]
        };
        listing.rows = vec![row(1, 2048, "init"), row(12, 10, "a \"b\"")];
        let text = "PID     MEM  NAME\n  1  2.0 KB  init\n 12    10 B  a \"b\"\n";
        assert_eq!(listing.render(false), text);
        let json: Value = serde_json::from_str(&listing.render(true)).unwrap();
        assert_eq!(json[1]["name"], "a \"b\"");
        assert_eq!(json[0]["memory"], 2048);
    }

    #[test]
    fn an_empty_listing_has_its_titles() {
        let listing = Listing::new(&[("A", "a"), ("B", "b")]);
        assert_eq!(
            (listing.render(false).as_str(), listing.render(true).as_str()),
            ("A  B\n", "[]\n")
        );
    }
}
