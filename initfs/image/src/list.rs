//! `image list`: one line per entry, as `ls -l` would put it.

use anyhow::Context;
use initfs_format::{Archive, Entry, Kind};
use std::fmt::Write;
use std::path::Path;

/// The listing of the archive in `file`.
pub(crate) fn list(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let archive =
        Archive::parse(&bytes).with_context(|| format!("cannot use {}", file.display()))?;
    let mut text = String::new();
    list_directory(archive.root(), "", &mut text)?;
    Ok(text)
}

fn list_directory(directory: Entry<'_>, path: &str, text: &mut String) -> anyhow::Result<()> {
    for entry in directory.children() {
        let path = format!("{path}/{}", entry.name());
        let letter = match entry.kind() {
            Kind::Directory => 'd',
            Kind::File => '-',
            Kind::Link => 'l',
        };
        write!(text, "{letter} {:04o} {:>9} {path}", entry.mode(), entry.size())?;
        if entry.kind() == Kind::Link {
            write!(text, " -> {}", entry.target())?;
        }
        writeln!(text)?;
        list_directory(entry, &path, text)?;
    }
    Ok(())
}
