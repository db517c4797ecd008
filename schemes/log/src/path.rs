//! What the paths below `log:` mean.

use syscall::error::{EINVAL, ENAMETOOLONG, Error, Result};

/// The longest tag.
pub const TAG_MAX: usize = 32;

/// What is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// One tag, or all of them.
    pub tag: Option<&'a str>,
    /// Reading waits for new lines instead of ending.
    pub follow: bool,
}

/// Reads `TAG`, `TAG@follow`, `@follow` or nothing.
pub fn parse(path: &str) -> Result<Opened<'_>> {
    let path = path.trim_matches('/');
    let (tag, follow) = match path.split_once('@') {
        None => (path, false),
        Some((tag, "follow")) => (tag, true),
        Some(_) => return Err(Error::new(EINVAL)),
    };
    if tag.len() > TAG_MAX {
        return Err(Error::new(ENAMETOOLONG));
    }
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if !tag.chars().all(is_plain) {
        return Err(Error::new(EINVAL));
    }
    Ok(Opened { tag: Some(tag).filter(|tag| !tag.is_empty()), follow })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        assert_eq!(parse(""), Ok(Opened { tag: None, follow: false }));
        assert_eq!(parse("/"), Ok(Opened { tag: None, follow: false }));
        assert_eq!(parse("@follow"), Ok(Opened { tag: None, follow: true }));
        assert_eq!(parse("ramd"), Ok(Opened { tag: Some("ramd"), follow: false }));
        assert_eq!(parse("a-b_c.9@follow"), Ok(Opened { tag: Some("a-b_c.9"), follow: true }));
    }

    #[test]
    fn nonsense_is_refused() {
        for path in ["a/b", "a b", "a@", "a@last", "a@follow@follow", "a\n", "é", "a]"] {
            assert_eq!(parse(path).err(), Some(Error::new(EINVAL)), "{path:?}");
        }
        assert!(parse(&"x".repeat(TAG_MAX)).is_ok());
        assert_eq!(parse(&"x".repeat(TAG_MAX + 1)).err(), Some(Error::new(ENAMETOOLONG)));
    }
}
