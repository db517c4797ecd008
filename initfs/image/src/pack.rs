//! From manifests and built programs to the bytes of an archive.

use crate::manifest::{File, Link, Manifest, Mount, Program};
use crate::{services, users};
use anyhow::{Context, anyhow};
use elf_files::strip::without_debug;
use initfs_format::{Archive, Builder};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Packs everything that `manifests` name.
pub(crate) fn pack(manifests: &[PathBuf], programs: &Path) -> anyhow::Result<Vec<u8>> {
    let manifests: Vec<Manifest> =
        manifests.iter().map(|file| Manifest::read(file)).collect::<anyhow::Result<_>>()?;
    let mut builder = Builder::new();
    for manifest in &manifests {
        for program in &manifest.sections.program {
            add_programs(&mut builder, manifest, program, programs)?;
        }
        for file in &manifest.sections.file {
            add_file(&mut builder, manifest, file)?;
        }
        for link in &manifest.sections.link {
            add_link(&mut builder, manifest, link)?;
        }
        for mount in &manifest.sections.mount {
            add_mount_point(&mut builder, manifest, mount)?;
        }
    }
    if let Some([passwd, group]) = users::render(&manifests)? {
        builder.file(users::PASSWD, 0o644, passwd.into_bytes())?;
        builder.file(users::GROUP, 0o644, group.into_bytes())?;
    }
    builder.file(services::PATH, 0o644, services::render(&manifests)?.into_bytes())?;
    let archive = builder.build();
    services::check(&manifests, &Archive::parse(&archive)?)?;
    Ok(archive)
}

fn add_programs(
    builder: &mut Builder,
    manifest: &Manifest,
    at: &Spanned<Program>,
    programs: &Path,
) -> anyhow::Result<()> {
    let Program { into, names } = at.get_ref();
    let missing: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !programs.join(name).is_file()).collect();
    if !missing.is_empty() {
        let (missing, programs) = (missing.join(", "), programs.display());
        return Err(manifest.mistake(at, format!("not built in {programs}: {missing}")).into());
    }
    for name in names {
        let data = without_debug(read(&programs.join(name))?);
        builder
            .file(&join(into, name), 0o755, data)
            .map_err(|error| manifest.mistake(at, error))?;
    }
    Ok(())
}

fn add_file(builder: &mut Builder, manifest: &Manifest, at: &Spanned<File>) -> anyhow::Result<()> {
    let File { path, data, source, mode } = at.get_ref();
    match (data, source) {
        (Some(data), None) => builder
            .file(path, *mode, data.clone().into_bytes())
            .map_err(|error| manifest.mistake(at, error).into()),
        (None, Some(source)) => add_source(builder, &manifest.source(source), path, *mode)
            .map_err(|error| manifest.mistake(at, format!("{error:#}")).into()),
        _ => Err(manifest.mistake(at, "expected either `data` or `source`").into()),
    }
}

/// Adds a file, or a folder with everything in it. Sorted, because the host lists folders in any
/// order.
fn add_source(builder: &mut Builder, from: &Path, path: &str, mode: u16) -> anyhow::Result<()> {
    if !from.is_dir() {
        return Ok(builder.file(path, mode, read(from)?)?);
    }
    builder.directory(path, 0o755)?;
    let cannot_list = || format!("cannot list {}", from.display());
    let mut names = std::fs::read_dir(from)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .with_context(cannot_list)
        .map(|mut names: Vec<_>| {
            names.sort();
            names
        })?;
    for name in names.drain(..) {
        let text = name.to_str().ok_or_else(|| anyhow!("{} is not UTF-8", name.display()))?;
        add_source(builder, &from.join(&name), &join(path, text), mode)?;
    }
    Ok(())
}

fn add_link(builder: &mut Builder, manifest: &Manifest, at: &Spanned<Link>) -> anyhow::Result<()> {
    let link = at.get_ref();
    for path in link.paths() {
        builder.link(&path, &link.target).map_err(|error| manifest.mistake(at, error))?;
    }
    Ok(())
}

/// Adds what a mount covers, so that listing a directory shows the mounts in it: a directory where
/// a path in a scheme is mounted, an empty file where a scheme itself is, as `null:` is.
fn add_mount_point(
    builder: &mut Builder,
    manifest: &Manifest,
    at: &Spanned<Mount>,
) -> anyhow::Result<()> {
    let Mount { at: path, target, .. } = at.get_ref();
    let added = match target.split_once(':') {
        // Refused later, with what was expected.
        _ if path == "/" => return Ok(()),
        Some((_, "")) => builder.file(path, 0o666, Vec::new()),
        _ => builder.directory(path, 0o755),
    };
    added.map_err(|error| manifest.mistake(at, error).into())
}

pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

pub(crate) fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}
