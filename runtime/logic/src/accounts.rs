//! Lines of `/etc/passwd` and `/etc/group`.
//!
//! Two spellings are read: the Unix one with colons, and Redox's with semicolons
//! (`name;uid;gid;full name;home;shell` and `name;gid;members`).

use crate::numbers::leading;

/// One account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// Login name.
    pub name: &'a [u8],
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Full name.
    pub full_name: &'a [u8],
    /// Home directory.
    pub home: &'a [u8],
    /// Shell.
    pub shell: &'a [u8],
}

/// One group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its id.
    pub gid: u32,
    /// The members, separated by commas.
    pub members: &'a [u8],
}

/// Reads a line of `/etc/passwd`; `None` when it is none.
pub fn account(line: &[u8]) -> Option<Account<'_>> {
    let (separator, password) = spelling(line);
    let mut parts = line.split(move |&byte| byte == separator);
    let name = parts.next().filter(|name| !name.is_empty())?;
    if password {
        parts.next()?;
    }
    Some(Account {
        name,
        uid: number(parts.next()?)?,
        gid: number(parts.next()?)?,
        full_name: parts.next()?,
        home: parts.next()?,
        shell: parts.next()?,
    })
}

/// Reads a line of `/etc/group`; `None` when it is none.
pub fn group(line: &[u8]) -> Option<Group<'_>> {
    let (separator, password) = spelling(line);
    let mut parts = line.split(move |&byte| byte == separator);
    let name = parts.next().filter(|name| !name.is_empty())?;
    if password {
        parts.next()?;
    }
    Some(Group { name, gid: number(parts.next()?)?, members: parts.next().unwrap_or_default() })
}

/// The separator, and whether a password field follows the name.
fn spelling(line: &[u8]) -> (u8, bool) {
    if line.contains(&b';') { (b';', false) } else { (b':', true) }
}

fn number(text: &[u8]) -> Option<u32> {
    match leading(text)? {
        (value, b"") => u32::try_from(value).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_say_the_same() {
        let unix = account(b"root:x:0:0:The root:/root:/bin/sh").unwrap();
        let redox = account(b"root;0;0;The root;/root;/bin/sh").unwrap();
        assert_eq!(unix, redox);
        assert_eq!(unix.home, b"/root");
        assert_eq!(group(b"sudo:x:1:ann,bob"), group(b"sudo;1;ann,bob"));
    }

    #[test]
    fn broken_lines_are_no_accounts() {
        for line in [&b""[..], b"root", b"root:x:no:0:a:b:c", b"root:x:0:0:a:b", b":x:0:0:a:b:c"] {
            assert_eq!(account(line), None);
        }
        assert_eq!(group(b"x:y:4294967296:"), None);
    }
}
