//! Users: `/etc/passwd` and `/etc/group`, in the boot archive and on the disk alike, and whose home
//! directories are on the disk.

use crate::manifest::{Manifest, Mistake, User};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use toml::Spanned;

/// Where both files are.
pub(crate) const PASSWD: &str = "/etc/passwd";
pub(crate) const GROUP: &str = "/etc/group";

/// Homes below this are on the disk.
const HOMES: &str = "/home/";

/// Names are as long as this at most, as elsewhere.
const NAME_MAX: usize = 32;

fn all(manifests: &[Manifest]) -> impl Iterator<Item = (&Manifest, &Spanned<User>)> {
    manifests
        .iter()
        .flat_map(|manifest| manifest.sections.user.iter().map(move |at| (manifest, at)))
}

/// Both files' text; nothing when no manifest names a user.
pub(crate) fn render(manifests: &[Manifest]) -> Result<Option<[String; 2]>, Mistake> {
    let (mut passwd, mut group) = (String::new(), String::new());
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for (manifest, at) in all(manifests) {
        let user = at.get_ref();
        check(user).map_err(|error| manifest.mistake(at, error))?;
        if !names.insert(&user.name) {
            return Err(manifest.mistake(at, format!("a second user is called {:?}", user.name)));
        }
        if !ids.insert(user.id) {
            return Err(manifest.mistake(at, format!("a second user has the id {}", user.id)));
        }
        let User { name, id, home, shell, .. } = user;
        let (gid, full_name) = (user.gid(), user.full_name.as_deref().unwrap_or(name));
        // Writing to a string cannot fail.
        let _ = writeln!(passwd, "{name};{id};{gid};{full_name};{home};{shell}");
        let _ = writeln!(group, "{name};{gid};{name}");
    }
    Ok((!passwd.is_empty()).then_some([passwd, group]))
}

/// The home directories on the disk, and whose they are.
pub(crate) fn homes(manifests: &[Manifest]) -> impl Iterator<Item = (&str, [u32; 2])> {
    let users = all(manifests).map(|(_, at)| at.get_ref());
    let on_disk = users.filter(|user| user.home.starts_with(HOMES));
    on_disk.map(|user| (user.home.as_str(), [user.id, user.gid()]))
}

fn check(user: &User) -> Result<(), String> {
    let is_plain = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '-'
    };
    let begins_well =
        user.name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    if !begins_well || !user.name.chars().all(is_plain) || user.name.len() > NAME_MAX {
        return Err(format!(
            "expected a name of small letters, digits, `-` and `_`, found {:?}",
            user.name
        ));
    }
    for (what, path) in [("home", &user.home), ("shell", &user.shell)] {
        if !path.starts_with('/') || path.contains([';', '\n']) {
            return Err(format!("expected an absolute path in `{what}`, found {path:?}"));
        }
    }
    match &user.full_name {
        Some(name) if name.contains([';', '\n']) => {
            Err(format!("expected one line without `;` in `full_name`, found {name:?}"))
        }
        _ => Ok(()),
    }
}
