//! `-e inject=` — calls that are not made: the program gets an answer of the user's.
//!
//! At the stop before such a call the answer goes into the registers, and the thread goes on with
//! the flag that leaves the call out. Nothing is remembered but how often each rule has fitted.

use crate::options::chosen;
use std::collections::BTreeSet;
use tracer::Session;

/// One rule.
pub(crate) struct Injection {
    calls: BTreeSet<usize>,
    answer: usize,
    /// Only the so-manieth call that fits, counted from 1; every one without.
    when: Option<u32>,
    seen: u32,
}

impl Injection {
    /// Reads `CALLS:error=NAME`, `CALLS:retval=NUMBER`, and `:when=COUNT` behind either.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split(':');
        let calls = chosen(words.next().unwrap_or_default())?;
        let (mut answer, mut when) = (None, None);
        for word in words {
            let bad = || format!("inject={text}: {word}");
            match word.split_once('=').ok_or_else(bad)? {
                ("error", name) => {
                    let errno = (1..4096).find(|errno| abi::errno::name(*errno) == Some(name));
                    answer = Some((errno.ok_or_else(bad)? as usize).wrapping_neg());
                }
                ("retval", value) => answer = Some(value.parse().map_err(|_| bad())?),
                ("when", count) => when = Some(count.parse().map_err(|_| bad())?),
                _ => return Err(bad()),
            }
        }
        let answer = answer.ok_or_else(|| format!("inject={text}: neither error= nor retval="))?;
        Ok(Self { calls, answer, when, seen: 0 })
    }

    /// The answer to a call that is not to be made.
    fn answer_to(&mut self, number: usize) -> Option<usize> {
        if !self.calls.contains(&number) {
            return None;
        }
        self.seen = self.seen.saturating_add(1);
        self.when.is_none_or(|count| count == self.seen).then_some(self.answer)
    }
}

/// Gives a thread that stands before a call the first rule's answer that fits. Returns whether the
/// call is to be left out.
pub(crate) fn answer(rules: &mut [Injection], session: &Session, number: usize) -> bool {
    let Some(answer) = rules.iter_mut().find_map(|rule| rule.answer_to(number)) else {
        return false;
    };
    let Ok(registers) = session.registers() else { return false };
    let Ok(mut integer) = registers.integer() else { return false };
    integer.rax = answer;
    registers.set_integer(&integer).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::number::{GETPID, OPEN};

    #[test]
    fn rules_are_read_and_count() {
        let mut rule = Injection::parse("open:error=ENOENT:when=2").expect("a good rule");
        let denied = (abi::redox::error::ENOENT as usize).wrapping_neg();
        assert_eq!(rule.answer_to(OPEN), None);
        assert_eq!(rule.answer_to(GETPID), None);
        assert_eq!(rule.answer_to(OPEN), Some(denied));
        assert_eq!(rule.answer_to(OPEN), None);
        let mut rule = Injection::parse("getpid,open:retval=42").expect("a good rule");
        assert_eq!([GETPID, OPEN, GETPID].map(|call| rule.answer_to(call)), [Some(42); 3]);
    }

    #[test]
    fn mistakes_are_refused() {
        for text in ["open", "open:error=NONE", "nothing:retval=1", "open:retval=x", "open:when=1"]
        {
            assert!(Injection::parse(text).is_err(), "{text}");
        }
    }
}
