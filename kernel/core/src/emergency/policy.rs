//! `emergency.auto=` on the boot command line — what happens when nobody answers.
//!
//! `never` waits for ever, and is the default. `fastest-growing,30s` ends the job that grows
//! fastest after 30 seconds without a key; `largest,0s` the largest at once. A key stops the
//! clock: nobody decides behind a person's back.

use super::snapshot::Snapshot;

/// Which job ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The one that grew most lately.
    FastestGrowing,
    /// The one that has most.
    Largest,
}

impl Rule {
    /// The job that ends.
    pub fn choose(self, jobs: &Snapshot) -> Option<usize> {
        match self {
            Rule::FastestGrowing => jobs.fastest_growing(),
            Rule::Largest => jobs.largest(),
        }
    }
}

/// What happens when nobody answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy(pub Option<(Rule, u64)>);

impl Policy {
    /// Reads `never`, or a rule and seconds such as `fastest-growing,30s`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "never" {
            return Some(Self(None));
        }
        let (rule, time) = text.split_once(',')?;
        let rule = match rule {
            "fastest-growing" => Rule::FastestGrowing,
            "largest" => Rule::Largest,
            _ => return None,
        };
        let seconds: u32 = time.strip_suffix('s')?.parse().ok()?;
        Some(Self(Some((rule, u64::from(seconds)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_nonsense_is_refused() {
        assert_eq!(Policy::parse("never"), Some(Policy(None)));
        let parsed = Policy::parse("fastest-growing,30s");
        assert_eq!(parsed, Some(Policy(Some((Rule::FastestGrowing, 30)))));
        assert_eq!(Policy::parse("largest,0s"), Some(Policy(Some((Rule::Largest, 0)))));
        for text in ["", "largest", "largest,30", "smallest,3s", "largest,-1s"] {
            assert_eq!(Policy::parse(text), None, "{text}");
        }
    }
}
