//! Splitting what expansions gave into fields.

use super::Quoting;
use crate::pattern::Marked;

/// A stretch of expanded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Characters of one kind.
    Text {
        text: String,
        /// Quotes stood around it.
        quoted: bool,
        /// It came from an expansion outside of quotes: separators in it split.
        split: bool,
    },
    /// Between two of `"$@"`: always a new field.
    Break,
}

impl Segment {
    pub(super) fn quoted(text: &str) -> Self {
        Segment::Text { text: text.to_owned(), quoted: true, split: false }
    }

    /// Characters of the script itself.
    pub(super) fn literal(text: &str, quoting: Quoting) -> Self {
        let split = quoting == Quoting::Operand;
        Segment::Text { text: text.to_owned(), quoted: quoting == Quoting::Double, split }
    }

    /// What an expansion gave.
    pub(super) fn value(text: &str, quoting: Quoting) -> Self {
        let quoted = quoting == Quoting::Double;
        Segment::Text { text: text.to_owned(), quoted, split: !quoted }
    }
}

/// All segments as one text; fields of `"$@"` are joined by blanks.
pub(super) fn join(segments: Vec<Segment>) -> Vec<Marked> {
    let mut all = Vec::new();
    for segment in segments {
        match segment {
            Segment::Text { text, quoted, .. } => all.extend(text.chars().map(|c| (c, quoted))),
            Segment::Break => all.push((' ', true)),
        }
    }
    all
}

/// Fields, by the rules of POSIX: blanks among the separators are one separator together, any
/// other separator ends a field even if it is empty.
pub(super) fn split(segments: Vec<Segment>, separators: &str) -> Vec<Vec<Marked>> {
    let mut splitter = Splitter::default();
    for segment in segments {
        match segment {
            Segment::Break => splitter.next_field(),
            Segment::Text { text, quoted, split: false } => {
                // Quotes make a field even around nothing.
                if quoted || !text.is_empty() {
                    splitter.push(text.chars().map(|c| (c, quoted)));
                }
            }
            Segment::Text { text, .. } => {
                text.chars().for_each(|c| splitter.push_split(c, separators));
            }
        }
    }
    splitter.fields.extend(splitter.current.take());
    splitter.fields
}

#[derive(Default)]
struct Splitter {
    fields: Vec<Vec<Marked>>,
    /// The field being filled; `None` between fields.
    current: Option<Vec<Marked>>,
    /// Blanks ended the last field: one other separator now belongs to the same gap.
    in_gap: bool,
}

impl Splitter {
    fn push(&mut self, text: impl Iterator<Item = Marked>) {
        self.current.get_or_insert_default().extend(text);
        self.in_gap = false;
    }

    fn push_split(&mut self, c: char, separators: &str) {
        if !separators.contains(c) {
            return self.push(std::iter::once((c, false)));
        }
        if c.is_ascii_whitespace() {
            if let Some(field) = self.current.take() {
                self.fields.push(field);
                self.in_gap = true;
            }
        } else if self.in_gap {
            self.in_gap = false;
        } else {
            self.fields.push(self.current.take().unwrap_or_default());
        }
    }

    fn next_field(&mut self) {
        self.fields.push(self.current.take().unwrap_or_default());
        self.current = Some(Vec::new());
    }
}
