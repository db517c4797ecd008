//! The boot archive for one program: everything of the system's, and the program with its files
//! under the paths that they have on the host, because tests are compiled with those paths.

use super::{Job, script};
use anyhow::{Context as _, Result};
use initfs_format::{Archive, Builder, Entry, Kind};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Most bytes of a package that are packed unasked.
const PACKAGE_MAX: u64 = 32 << 20;
/// What cargo, and any tool that follows its convention, puts into folders of results.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// The archive's bytes.
pub(super) fn pack(base: &Path, job: &Job) -> Result<Vec<u8>> {
    let bytes = std::fs::read(base)
        .with_context(|| format!("reading {}; `make runner` builds it", base.display()))?;
    let system = Archive::parse(&bytes).with_context(|| base.display().to_string())?;
    let mut builder = Builder::new();
    copy(&mut builder, system.root(), "")?;
    let mut files = programs(&job.program)?;
    for path in &job.files {
        add_files(path, &mut files).with_context(|| path.display().to_string())?;
    }
    for file in &files {
        add_file(&mut builder, file)?;
    }
    builder.file(script::PATH, 0o644, script::text(job)?.into_bytes())?;
    // The program may start in a folder of which nothing is packed.
    builder.directory(text(&job.folder)?, 0o755)?;
    Ok(builder.build())
}

fn copy(builder: &mut Builder, directory: Entry, path: &str) -> Result<()> {
    for entry in directory.children() {
        let path = format!("{path}/{}", entry.name());
        match entry.kind() {
            Kind::Directory => {
                builder.directory(&path, entry.mode())?;
                copy(builder, entry, &path)?;
            }
            Kind::File => builder.file(&path, entry.mode(), entry.data().to_vec())?,
            Kind::Link => builder.link(&path, entry.target())?,
        }
    }
    Ok(())
}

/// The program, and for a test the package's own programs, which it may start.
fn programs(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::from([program.to_path_buf()]);
    let folder = program.parent().filter(|folder| folder.ends_with("deps"));
    let Some(built) = folder.and_then(Path::parent) else { return Ok(all) };
    for entry in std::fs::read_dir(built)? {
        let entry = entry?;
        let known = entry.metadata()?;
        if known.is_file() && known.permissions().mode() & 0o111 != 0 {
            all.insert(entry.path());
        }
    }
    Ok(all)
}

/// Adds a file, or what is in a folder unless that is too much.
fn add_files(path: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let mut found = BTreeSet::new();
    list(path, &mut found)?;
    let size: u64 = found.iter().filter_map(|file| file.metadata().ok()).map(|it| it.len()).sum();
    if size <= PACKAGE_MAX {
        files.append(&mut found);
    } else {
        let (path, size) = (path.display(), size >> 20);
        eprintln!("lifeboat: {path} is not packed: {size} MiB; name its parts in LIFEBOAT_FILES");
    }
    Ok(())
}

/// All files below `path`, but for hidden ones and folders of results.
fn list(path: &Path, into: &mut BTreeSet<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        into.insert(path.to_path_buf());
        return Ok(());
    }
    if path.join(CACHE_TAG).exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            list(&entry.path(), into)?;
        }
    }
    Ok(())
}

/// Adds what is at `path` on the host, with links followed.
fn add_file(builder: &mut Builder, path: &Path) -> Result<()> {
    let known = match path.metadata() {
        Ok(known) if known.is_file() => known,
        Ok(_) => return Ok(()),
        // A link that leads nowhere, say: the program may do without.
        Err(error) => {
            eprintln!("lifeboat: {} is not packed: {error}", path.display());
            return Ok(());
        }
    };
    let data = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let mode = known.permissions().mode() as u16 & 0o777;
    builder.file(text(path)?, mode, data)?;
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))
}
