//! `oomd` — which job ends when memory runs out and nobody is there to choose.
//!
//! The policy is a file; what is asked is the text that `emergency:daemon` gives; the answer is the
//! text that it takes. Keeps nothing between two questions.

use serde::Deserialize;

/// What `/etc/oomd.toml` says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// `never`, or a rule and how long a person has to press a key: `fastest-growing,30s`.
    pub auto: Auto,
    /// Names of programs that are never ended.
    pub never: Vec<String>,
    /// Names of programs that end first.
    pub first: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { auto: Auto { rule: None, seconds: 30 }, never: Vec::new(), first: Vec::new() }
    }
}

/// When to decide, and by what.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Auto {
    /// None leaves it to the picker.
    pub rule: Option<Rule>,
    /// Seconds without a key.
    pub seconds: u32,
}

/// Which jobs end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Those that grew most lately.
    FastestGrowing,
    /// Those whose end frees most.
    Largest,
}

impl TryFrom<String> for Auto {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self { rule: None, seconds: 0 });
        }
        let parsed = text.split_once(',').and_then(|(rule, time)| {
            let rule = match rule {
                "fastest-growing" => Rule::FastestGrowing,
                "largest" => Rule::Largest,
                _ => return None,
            };
            Some(Self { rule: Some(rule), seconds: time.strip_suffix('s')?.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("{text} is neither never nor like fastest-growing,30s"))
    }
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The answer to a question.
    pub fn answer(&self, question: &str) -> String {
        let Some(rule) = self.auto.rule else { return "pass\n".into() };
        let missing = question.lines().find_map(|line| line.strip_prefix("missing: "));
        let missing: i64 = missing.and_then(|text| text.parse().ok()).unwrap_or(1);
        let mut jobs: Vec<Job> = question.lines().filter_map(Job::parse).collect();
        jobs.retain(|job| !self.never.iter().any(|name| *name == job.name));
        jobs.sort_by_key(|job| {
            let is_first = self.first.iter().any(|name| *name == job.name);
            let measure = match rule {
                Rule::FastestGrowing => job.growth,
                Rule::Largest => job.frees,
            };
            (!is_first, std::cmp::Reverse((measure, job.frees)))
        });
        let mut answer = String::new();
        let mut freed = 0;
        for job in jobs {
            if freed >= missing {
                break;
            }
            answer += &format!("kill {}\n", job.pid);
            freed += job.frees;
        }
        if answer.is_empty() { "pass\n".into() } else { answer }
    }
}

/// One line of `emergency:snapshot`: lowest pid, processes, resident, frees, growth, fate, flags,
/// name.
struct Job<'a> {
    pid: u32,
    frees: i64,
    growth: i64,
    name: &'a str,
}

impl<'a> Job<'a> {
    /// A job that may be ended.
    fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut word = || {
            let (word, more) = rest.trim_start().split_once(' ')?;
            rest = more;
            Some(word)
        };
        let numbers: [Option<&str>; 7] = [(); 7].map(|()| word());
        let [pid, _, _, frees, growth, fate, flags] = numbers;
        let may_end = fate == Some("lives") && flags == Some("-");
        Some(Self {
            pid: pid?.parse().ok()?,
            frees: frees?.parse().ok()?,
            growth: growth?.parse().ok()?,
            name: rest.trim(),
        })
        .filter(|_| may_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "\
lease_ms: 2000
missing: 900
PID   PROCS RESIDENT  WOULD_FREE GROWTH_10S FATE   FLAGS NAME
12    1     20000     19968      19900      lives  -     leak
9     1     700       690        60         lives  -     notes
15    2     900       800        70         lives  -     two words
30    1     5000      5000       99999      parked -     away
4     1     160       150        0          lives  E     consoled
1     1     280       270        0          lives  E     init
";

    fn answer(policy: &str) -> String {
        Policy::parse(policy).unwrap().answer(QUESTION)
    }

    #[test]
    fn the_rule_decides_among_those_that_may_end() {
        assert_eq!(answer("auto = 'fastest-growing,30s'"), "kill 12\n");
        assert_eq!(answer("auto = 'largest,0s'\nnever = ['leak']"), "kill 15\nkill 9\n");
        assert_eq!(answer("auto = 'largest,0s'\nfirst = ['notes']"), "kill 9\nkill 12\n");
        assert_eq!(answer("auto = 'largest,0s'\nnever = ['leak', 'notes', 'two words']"), "pass\n");
        assert_eq!(answer("auto = 'never'"), "pass\n");
        assert_eq!(answer(""), "pass\n");
    }

    #[test]
    fn a_wrong_policy_is_refused_with_its_place() {
        for text in ["auto = 'soon'", "auto = 3", "sometimes = 1", "never = 'leak'", "auto ="] {
            let error = Policy::parse(text).unwrap_err();
            assert!(error.contains("line 1"), "{text}: {error}");
        }
    }

    #[test]
    fn nonsense_is_no_job() {
        let policy = Policy::parse("auto = 'largest,0s'").unwrap();
        for question in ["", "x", "1 2 3", "1 2 3 4 5 lives - ", "\u{1F600} 1 1 1 1 lives - x"] {
            let answer = policy.answer(question);
            assert!(answer == "pass\n" || answer == "kill 1\n", "{question}: {answer}");
        }
    }
}
