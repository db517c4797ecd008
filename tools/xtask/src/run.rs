//! `xtask run PROGRAM ARGUMENTS` — one program of the host's folders, run inside Lifeboat.
//!
//! This is cargo's `runner` for `x86_64-unknown-redox`. The program, its package's files and its
//! environment go into a boot archive of their own, which is removed afterwards; the archive that
//! `make image` built is only read. Settings come from `LIFEBOAT_*` variables, because cargo leaves
//! no room for options.

mod archive;
mod script;

use crate::LIFEBOAT_FAILED;
use crate::exec::{self, Outcome};
use crate::machine::Machine;
use anyhow::{Context as _, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long a program may run unless `LIFEBOAT_TIMEOUT` says otherwise.
const PATIENCE: Duration = Duration::from_secs(300);
/// Megabytes of the machine unless `LIFEBOAT_MEM` says otherwise: test programs are large.
const MEMORY_MIB: u32 = 1024;
const CPUS: u32 = 2;

/// What is to be run, and what it finds there.
pub(crate) struct Job {
    /// The program on the host; inside it has the same path.
    program: PathBuf,
    arguments: Vec<String>,
    /// The folder it starts in.
    folder: PathBuf,
    environment: Vec<(String, String)>,
    /// Files and folders that are packed under their own paths.
    files: Vec<PathBuf>,
}

/// Runs the program that cargo built; its status becomes ours.
pub(crate) fn run(machine: &Machine, words: Vec<OsString>) -> Result<ExitCode> {
    let job = Job::new(words)?;
    let machine = Machine {
        cpus: setting("LIFEBOAT_SMP")?.unwrap_or(CPUS),
        memory_mib: setting("LIFEBOAT_MEM")?.unwrap_or(MEMORY_MIB),
        ..machine.clone()
    };
    let limit = setting("LIFEBOAT_TIMEOUT")?.map_or(PATIENCE, Duration::from_secs);
    let name = format!("run-{}", std::process::id());
    std::fs::create_dir_all(&machine.logs)
        .with_context(|| format!("creating {}", machine.logs.display()))?;
    let packed = Packed::write(&machine, &name, &archive::pack(&machine.initrd, &job)?)?;
    let machine = Machine { initrd: packed.0.clone(), ..machine.clone() };
    let command = format!("sh {}", script::PATH);
    match exec::run(&machine, &command, limit, &name, &mut std::io::stdout().lock())? {
        Outcome::Status(status) => {
            remove_logs(&machine.logs, &name);
            Ok(ExitCode::from(status))
        }
        Outcome::Failed(report) => {
            eprintln!("{report}");
            Ok(ExitCode::from(LIFEBOAT_FAILED))
        }
    }
}

impl Job {
    fn new(words: Vec<OsString>) -> Result<Self> {
        let mut words = words.into_iter();
        let program = PathBuf::from(words.next().context("run takes a program")?);
        let program = program.canonicalize().with_context(|| program.display().to_string())?;
        let program = visible(program)?;
        let text = |word: OsString| {
            word.into_string().map_err(|word| anyhow::anyhow!("not UTF-8: {}", word.display()))
        };
        let arguments = words.map(text).collect::<Result<_>>()?;
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let folder = match package {
            Some(_) => visible(std::env::current_dir()?)?,
            None => PathBuf::from("/tmp"),
        };
        let listed = std::env::var_os("LIFEBOAT_FILES").unwrap_or_default();
        let listed = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty());
        let files = listed.map(std::path::absolute);
        let files = files.collect::<Result<Vec<_>, _>>().context("LIFEBOAT_FILES")?;
        let files = package.into_iter().chain(files).collect();
        Ok(Self { program, arguments, folder, environment: environment(), files })
    }
}

/// A path that the guest sees where the host has it.
fn visible(path: PathBuf) -> Result<PathBuf> {
    let hidden = ["/tmp", "/dev", "/scheme"].iter().find(|at| path.starts_with(at));
    match hidden {
        Some(at) => bail!("{}: Lifeboat has {at} of its own; move it elsewhere", path.display()),
        None => Ok(path),
    }
}

/// What the program sees of the host's environment: what cargo and Rust's own tools set, and what
/// `LIFEBOAT_ENV` names. The rest (`PATH`, `HOME`) means the host.
fn environment() -> Vec<(String, String)> {
    let wanted = std::env::var("LIFEBOAT_ENV").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let passes = |name: &str| {
        ["CARGO_", "RUST_", "RUSTFLAGS_"].iter().any(|start| name.starts_with(start))
            || wanted.contains(&name)
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| passes(name))
        .collect()
}

fn setting<T: std::str::FromStr>(name: &str) -> Result<Option<T>> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    let number = value.to_str().and_then(|text| text.parse().ok());
    Ok(Some(number.with_context(|| format!("{name}={}: not a number", value.display()))?))
}

/// An archive on the disk for as long as it is needed.
struct Packed(PathBuf);

impl Packed {
    fn write(machine: &Machine, name: &str, bytes: &[u8]) -> Result<Self> {
        let path = machine.logs.join(format!("{name}.img"));
        // From here on it is removed, also when it could not be written whole.
        let packed = Self(path);
        std::fs::write(&packed.0, bytes)
            .with_context(|| format!("writing {}", packed.0.display()))?;
        Ok(packed)
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // Whoever removed it before us did our work.
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// A run that went well leaves nothing behind; one after the other they would fill the folder.
fn remove_logs(folder: &Path, name: &str) {
    for end in ["log", "qemu.txt", "resets.txt"] {
        let _gone = std::fs::remove_file(folder.join(format!("{name}.{end}")));
    }
}
