//! `filesystem.toml`: its sections as values, and mistakes in it by file and line.

use crate::pack::join;
use anyhow::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// One manifest as it was read.
pub(crate) struct Manifest {
    /// Where it lies; `source` is relative to its folder.
    pub(crate) file: PathBuf,
    text: String,
    pub(crate) sections: Sections,
}

/// All sections of a manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sections {
    /// What services and the shell start with; the last manifest that sets a name wins.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) file: Vec<Spanned<File>>,
    #[serde(default)]
    pub(crate) program: Vec<Spanned<Program>>,
    #[serde(default)]
    pub(crate) link: Vec<Spanned<Link>>,
    #[serde(default)]
    pub(crate) service: Vec<Spanned<Service>>,
    #[serde(default)]
    pub(crate) mount: Vec<Spanned<Mount>>,
    #[serde(default)]
    pub(crate) user: Vec<Spanned<User>>,
    pub(crate) disk: Option<Spanned<Disk>>,
}

/// The disk image: sizes of its partitions, which one manifest gives, and what is on the RedoxFS.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    pub(crate) efi: Option<String>,
    pub(crate) root: Option<String>,
    pub(crate) store: Option<String>,
    #[serde(default)]
    pub(crate) directory: Vec<Spanned<DiskDirectory>>,
    #[serde(default)]
    pub(crate) file: Vec<Spanned<DiskFile>>,
    #[serde(default)]
    pub(crate) link: Vec<Spanned<Link>>,
    #[serde(default)]
    pub(crate) package: Vec<Spanned<Package>>,
}

/// Somebody who may own files and run programs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) id: u32,
    /// The user's own group; the same number unless given.
    pub(crate) group: Option<u32>,
    pub(crate) full_name: Option<String>,
    pub(crate) home: String,
    #[serde(default = "shell")]
    pub(crate) shell: String,
}

impl User {
    /// The group's number.
    pub(crate) fn gid(&self) -> u32 {
        self.group.unwrap_or(self.id)
    }
}

fn shell() -> String {
    "/bin/sh".to_owned()
}

/// Built programs on the disk, with links to them: a program that goes by many names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) into: String,
    #[serde(default)]
    pub(crate) programs: Vec<String>,
    /// More names for the first program.
    #[serde(default)]
    pub(crate) names: Vec<String>,
    /// Files of the repository: what other builds made.
    #[serde(default)]
    pub(crate) sources: Vec<PathBuf>,
    /// Packages that this one is of no use without.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
}

impl Disk {
    /// Whether it says how large partitions are.
    pub(crate) fn has_sizes(&self) -> bool {
        [&self.root, &self.store, &self.efi].into_iter().any(Option::is_some)
    }
}

/// A directory on the disk.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiskDirectory {
    pub(crate) path: String,
    #[serde(default = "open_mode")]
    pub(crate) mode: u16,
    /// User and group.
    #[serde(default)]
    pub(crate) owner: [u32; 2],
}

fn open_mode() -> u16 {
    0o755
}

/// A file on the disk, given in place or from the repository.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiskFile {
    pub(crate) path: String,
    pub(crate) data: Option<String>,
    pub(crate) source: Option<PathBuf>,
    #[serde(default = "plain_mode")]
    pub(crate) mode: u16,
    /// User and group.
    #[serde(default)]
    pub(crate) owner: [u32; 2],
}

/// A file given in place, or a file or folder of the repository.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) data: Option<String>,
    pub(crate) source: Option<PathBuf>,
    #[serde(default = "plain_mode")]
    pub(crate) mode: u16,
}

fn plain_mode() -> u16 {
    0o644
}

/// Built programs, under their own names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    pub(crate) into: String,
    pub(crate) names: Vec<String>,
}

/// Symbolic links with one target: `path` itself, or `names` in the directory `path`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    pub(crate) path: String,
    pub(crate) names: Option<Vec<String>>,
    pub(crate) target: String,
}

impl Link {
    /// Where it is to be.
    pub(crate) fn paths(&self) -> Vec<String> {
        match &self.names {
            Some(names) => names.iter().map(|name| join(&self.path, name)).collect(),
            None => vec![self.path.clone()],
        }
    }
}

/// A daemon that init starts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    #[serde(default)]
    pub(crate) scheme: Names,
    #[serde(default)]
    pub(crate) restart: Restart,
    /// How much memory it and what it starts may have together.
    pub(crate) memory: Option<Spanned<String>>,
    /// How much each of them may have.
    pub(crate) memory_each: Option<Spanned<String>>,
    /// Whether it runs for a rescue shell as well.
    #[serde(default)]
    pub(crate) rescue: bool,
}

/// Names written as one text or as a list of them.
#[derive(Default, Deserialize)]
#[serde(untagged, expecting = "expected a name or a list of names")]
pub(crate) enum Names {
    One(String),
    Several(Vec<String>),
    #[default]
    None,
}

impl Names {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
            Self::None => &[],
        }
    }
}

/// When init starts a service again that has ended.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    Never,
    #[default]
    OnFailure,
    Always,
}

impl Restart {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

/// A path that leads into a scheme.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mount {
    pub(crate) at: String,
    pub(crate) target: String,
    /// Whether it is left out when there is no device for it.
    #[serde(default)]
    pub(crate) optional: bool,
}

/// A mistake in a manifest.
#[derive(Debug)]
pub(crate) struct Mistake {
    file: PathBuf,
    line: usize,
    message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

impl std::error::Error for Mistake {}

impl Manifest {
    /// Reads a manifest.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let sections = toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            mistake(file, &text, at, error.message())
        })?;
        Ok(Self { file: file.to_path_buf(), text, sections })
    }

    /// A mistake in the section `at`.
    pub(crate) fn mistake<T>(&self, at: &Spanned<T>, message: impl fmt::Display) -> Mistake {
        mistake(&self.file, &self.text, at.span().start, message)
    }

    /// A path of the repository, named in this manifest.
    pub(crate) fn source(&self, source: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(source)
    }
}

fn mistake(file: &Path, text: &str, at: usize, message: impl fmt::Display) -> Mistake {
    let before = text.get(..at).unwrap_or(text);
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    Mistake { file: file.to_path_buf(), line, message: message.to_string() }
}
