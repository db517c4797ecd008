//! Directories.

use crate::files::place;
use crate::{Check, Outcome, holds, same};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

pub(crate) const CHECKS: &[Check] = &[
    ("directories/they-are-made-and-removed", make),
    ("directories/all-names-are-listed-once", list),
    ("directories/a-tree-is-removed-whole", tree),
    ("directories/a-full-one-stays", full),
    ("directories/kinds-are-told", kinds),
    ("directories/schemes-are-listed", schemes),
    ("directories/a-file-is-none", no_directory),
    ("directories/they-are-renamed", rename),
];

fn make() -> Outcome {
    let path = place("directory");
    fs::create_dir(&path)?;
    holds!(fs::metadata(&path)?.is_dir());
    same!(fs::create_dir(&path).map_err(|e| e.kind()).err(), Some(ErrorKind::AlreadyExists));
    fs::create_dir_all(path.join("a/b/c"))?;
    holds!(path.join("a/b/../b/c/").is_dir());
    fs::remove_dir(path.join("a/b/c"))?;
    holds!(!path.join("a/b/c").exists());
    fs::remove_dir_all(&path)?;
    holds!(!path.exists());
    Ok(())
}

fn list() -> Outcome {
    let path = place("list");
    fs::create_dir(&path)?;
    let wanted: BTreeSet<String> =
        (0..120).map(|number| format!("a-rather-long-name-for-a-file-{number}")).collect();
    for name in &wanted {
        fs::write(path.join(name), "")?;
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&path)? {
        found.push(entry?.file_name().into_string().map_err(|_| "not UTF-8")?);
    }
    same!(found.len(), 120);
    holds!(found.into_iter().collect::<BTreeSet<_>>() == wanted);
    fs::remove_dir_all(&path)?;
    Ok(())
}

fn tree() -> Outcome {
    let path = place("tree");
    for directory in ["a/b", "a/c/d", "e"] {
        fs::create_dir_all(path.join(directory))?;
        fs::write(path.join(directory).join("file"), directory)?;
    }
    fs::remove_dir_all(&path)?;
    holds!(!path.exists());
    Ok(())
}

fn full() -> Outcome {
    let path = place("full");
    fs::create_dir(&path)?;
    fs::write(path.join("file"), "")?;
    let kind = fs::remove_dir(&path).map_err(|error| error.kind()).err();
    same!(kind, Some(ErrorKind::DirectoryNotEmpty));
    same!(fs::remove_file(&path).is_err(), true);
    fs::remove_dir_all(&path)?;
    Ok(())
}

fn kinds() -> Outcome {
    let path = place("kinds");
    fs::create_dir_all(path.join("directory"))?;
    fs::write(path.join("file"), "")?;
    for entry in fs::read_dir(&path)? {
        let entry = entry?;
        let is_directory = entry.file_name() == "directory";
        same!(entry.file_type()?.is_dir(), is_directory);
        same!(entry.metadata()?.is_dir(), is_directory);
    }
    fs::remove_dir_all(&path)?;
    Ok(())
}

fn schemes() -> Outcome {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir("/scheme")? {
        names.insert(entry?.file_name().into_string().map_err(|_| "not UTF-8")?);
    }
    for name in ["debug", "event", "initfs", "pipe", "proc", "sys"] {
        holds!(names.contains(name), "{name} is missing in {names:?}");
    }
    holds!(fs::read_dir("sys:")?.count() > 3);
    Ok(())
}

fn no_directory() -> Outcome {
    let kind = fs::read_dir("/etc/passwd").map_err(|error| error.kind()).err();
    same!(kind, Some(ErrorKind::NotADirectory));
    let kind = fs::read_dir("/nowhere").map_err(|error| error.kind()).err();
    same!(kind, Some(ErrorKind::NotFound));
    Ok(())
}

fn rename() -> Outcome {
    let path = place("rename");
    fs::create_dir_all(path.join("old/inner"))?;
    fs::rename(path.join("old"), path.join("new"))?;
    holds!(path.join("new/inner").is_dir() && !path.join("old").exists());
    same!(fs::canonicalize(path.join("new/./inner/.."))?, path.join("new"));
    same!(fs::canonicalize("sys:uname")?, Path::new("/scheme/sys/uname"));
    fs::remove_dir_all(&path)?;
    Ok(())
}
