//! Patterns: `*`, `?`, `[a-z]`, and everything else for itself.
//!
//! One matcher for file names, `case` and `${x#pattern}`.

/// A character and whether quotes took away its special meaning.
pub type Marked = (char, bool);

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Element>);

#[derive(Clone, Debug)]
enum Element {
    One(char),
    Any,
    Star,
    Set { negated: bool, members: Vec<Member> },
}

/// `[:digit:]` and the like, as a question.
type Class = fn(&char) -> bool;

#[derive(Clone, Debug)]
enum Member {
    Range(char, char),
    Class(Class),
}

impl Pattern {
    /// Never fails: what is no pattern (an open `[`) stands for itself.
    pub fn new(text: &[Marked]) -> Self {
        let mut elements = Vec::new();
        let mut rest = text;
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            elements.push(match first {
                ('*', false) => Element::Star,
                ('?', false) => Element::Any,
                ('[', false) => match set(behind) {
                    Some((set, behind)) => {
                        rest = behind;
                        set
                    }
                    None => Element::One('['),
                },
                (c, _) => Element::One(c),
            });
        }
        Self(elements)
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut element) = (0, 0);
        // Where to go on when a mismatch comes: the last star, and what it has eaten so far.
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(element) {
                Some(Element::Star) => {
                    element += 1;
                    retry = Some((element, at));
                }
                Some(other) if other.accepts(text[at]) => {
                    element += 1;
                    at += 1;
                }
                _ => match &mut retry {
                    Some((behind_star, eaten)) => {
                        *eaten += 1;
                        (element, at) = (*behind_star, *eaten);
                    }
                    None => return false,
                },
            }
        }
        self.0[element..].iter().all(|element| matches!(element, Element::Star))
    }

    /// Whether the first character must be exactly this one.
    pub fn begins_with(&self, c: char) -> bool {
        matches!(self.0.first(), Some(Element::One(first)) if *first == c)
    }
}

/// Whether a text has anything that could make it match more than itself.
pub fn is_pattern(text: &[Marked]) -> bool {
    text.iter().any(|&(c, quoted)| !quoted && matches!(c, '*' | '?' | '['))
}

impl Element {
    fn accepts(&self, c: char) -> bool {
        match self {
            Element::One(one) => *one == c,
            Element::Any => true,
            Element::Star => false,
            Element::Set { negated, members } => members.iter().any(|m| m.has(c)) != *negated,
        }
    }
}

impl Member {
    fn has(&self, c: char) -> bool {
        match self {
            Member::Range(from, to) => (*from..=*to).contains(&c),
            Member::Class(is_member) => is_member(&c),
        }
    }
}

/// What follows `[`, and what follows its `]`.
fn set(text: &[Marked]) -> Option<(Element, &[Marked])> {
    let negated = matches!(text.first(), Some(('!' | '^', false)));
    let mut rest = &text[usize::from(negated)..];
    let mut members = Vec::new();
    loop {
        let (&(c, quoted), behind) = rest.split_first()?;
        rest = behind;
        match c {
            // A `]` right at the start is a member.
            ']' if !quoted && !members.is_empty() => {
                return Some((Element::Set { negated, members }, rest));
            }
            '[' if !quoted && rest.first() == Some(&(':', false)) => {
                let (class, behind) = class(&rest[1..])?;
                rest = behind;
                members.push(Member::Class(class));
            }
            from => match rest {
                [('-', false), (to, _), behind @ ..] if *to != ']' => {
                    rest = behind;
                    members.push(Member::Range(from, *to));
                }
                _ => members.push(Member::Range(from, from)),
            },
        }
    }
}

/// The inside of `[:name:]`.
fn class(text: &[Marked]) -> Option<(Class, &[Marked])> {
    let length = text.iter().position(|&(c, _)| c == ':')?;
    let name: String = text[..length].iter().map(|&(c, _)| c).collect();
    let behind = text[length + 1..].strip_prefix(&[(']', false)])?;
    let class: Class = match name.as_str() {
        "alpha" => |c| c.is_alphabetic(),
        "digit" => char::is_ascii_digit,
        "alnum" => |c| c.is_alphanumeric(),
        "upper" => |c| c.is_uppercase(),
        "lower" => |c| c.is_lowercase(),
        "space" => |c| c.is_whitespace(),
        "blank" => |c| matches!(c, ' ' | '\t'),
        "punct" => char::is_ascii_punctuation,
        "xdigit" => char::is_ascii_hexdigit,
        _ => return None,
    };
    Some((class, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(&text.chars().map(|c| (c, false)).collect::<Vec<_>>())
    }

    #[track_caller]
    fn check(text: &str, yes: &[&str], no: &[&str]) {
        for name in yes {
            assert!(pattern(text).matches(name), "{text} must match {name}");
        }
        for name in no {
            assert!(!pattern(text).matches(name), "{text} must not match {name}");
        }
    }

    #[test]
    fn stars_and_question_marks_match() {
        check("*.rs", &["a.rs", ".rs", "a.b.rs"], &["a.r", "rs", "a.rs.c"]);
        check("a?c*", &["abc", "aüc", "abcd"], &["ac", "ab"]);
        check("*a*b*", &["ab", "xaxbx", "aab"], &["ba", ""]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn sets_match_one_of_theirs() {
        check("[a-c]x", &["ax", "cx"], &["dx", "x", "aax"]);
        check("[!a-c]", &["d", "-"], &["a", ""]);
        check("[]a]", &["]", "a"], &["b"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("[[:digit:]_]*", &["1", "_a"], &["a", ":"]);
        check("[a", &["[a"], &["a"]);
    }

    #[test]
    fn quoted_characters_are_themselves() {
        let star = Pattern::new(&[('*', true)]);
        assert!(star.matches("*") && !star.matches("a"));
        assert!(!is_pattern(&[('*', true), ('a', false)]));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_stars_match_any_cut(text in "[a-z.]{0,12}", cut in 0usize..13) {
            prop_assert!(pattern(&text).matches(&text));
            let cut = cut.min(text.len());
            let starred = format!("{}*{}", &text[..cut], &text[cut..]);
            prop_assert!(pattern(&starred).matches(&text));
        }

        #[test]
        fn no_pattern_breaks(text in "[\\[\\]a!^:*?-]{0,20}", name in "[a\\]-]{0,10}") {
            pattern(&text).matches(&name);
        }
    }
}
