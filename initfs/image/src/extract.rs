//! `image extract`: the archive's tree as files of the host. Never overwrites and never leaves
//! the target folder: names are single path parts, and every one is created anew.

use anyhow::Context;
use initfs_format::{Archive, Entry, Kind};
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Writes everything in the archive `file` into the new folder `target`.
pub(crate) fn extract(file: &Path, target: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let archive =
        Archive::parse(&bytes).with_context(|| format!("cannot use {}", file.display()))?;
    extract_directory(archive.root(), target)
}

fn extract_directory(directory: Entry<'_>, target: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(target).with_context(|| format!("cannot make {}", target.display()))?;
    for entry in directory.children() {
        let path = target.join(entry.name());
        match entry.kind() {
            Kind::Directory => extract_directory(entry, &path)?,
            Kind::Link => symlink(entry.target(), &path)
                .with_context(|| format!("cannot make {}", path.display()))?,
            Kind::File => extract_file(entry, &path)
                .with_context(|| format!("cannot write {}", path.display()))?,
        }
    }
    // Last, because a directory may be meant to be read-only.
    std::fs::set_permissions(target, Permissions::from_mode(directory.mode().into()))
        .with_context(|| format!("cannot set the mode of {}", target.display()))
}

fn extract_file(entry: Entry<'_>, path: &Path) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(entry.data())?;
    file.set_permissions(Permissions::from_mode(entry.mode().into()))
}
