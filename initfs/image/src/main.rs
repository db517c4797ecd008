//! `image` — builds the boot archive that `initfs:` serves, lists one, takes one apart.
//!
//! The input is `filesystem.toml` and a folder of built programs; the same input always gives the
//! same bytes. It never looks at a clock, at host permissions or at the order of a host folder.
#![deny(unsafe_code)]

mod disk;
mod extract;
mod list;
mod manifest;
mod pack;
mod services;
mod users;

use anyhow::{Context, bail};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
image - build, list or take apart a boot archive; build a disk image, or renew its boot files

Usage:
  image build --manifest FILE --programs DIR --output FILE [--extra FILE]...
  image disk --manifest FILE --programs DIR --output FILE [--extra FILE]...
             [--boot FILE=PATH]...
  image boot --boot FILE=PATH... IMAGE
  image list FILE
  image extract FILE DIR

Options:
  --manifest FILE   what the archive holds: filesystem.toml
  --extra FILE      another manifest, added to the first; may be given again
  --programs DIR    where the built programs are
  --output FILE     the archive or disk image to write
  --boot FILE=PATH  a file for the disk's EFI partition; may be given again
  -h, --help        this text
  --version         name and version

Examples:
  image build --manifest filesystem.toml --programs build/user --output build/initfs.img
  image list build/initfs.img
  image disk --manifest filesystem.toml --programs build/user --output build/disk.img
  image boot --boot build/kernel.disk.elf=lifeboat/kernel.elf build/qemu.disk

Files:
  filesystem.toml   sections [[file]] [[program]] [[link]] [[service]] [[mount]] [[user]]
                    [disk]; its own first lines explain them
";

/// What the command line asks for.
enum Request {
    Help,
    Version,
    Build(Build),
    Disk(disk::Request),
    Boot(Vec<(PathBuf, String)>, PathBuf),
    List(PathBuf),
    Extract(PathBuf, PathBuf),
}

struct Build {
    manifests: Vec<PathBuf>,
    programs: PathBuf,
    output: PathBuf,
}

fn main() -> ExitCode {
    let request = match parse(lexopt::Parser::from_env()) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("image: {error}\nTry 'image --help'.");
            return ExitCode::from(2);
        }
    };
    match run(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(request: Request) -> anyhow::Result<()> {
    match request {
        Request::Help => print!("{HELP}"),
        Request::Version => println!("image {}", env!("CARGO_PKG_VERSION")),
        Request::Build(build) => {
            let archive = pack::pack(&build.manifests, &build.programs)?;
            std::fs::write(&build.output, archive)
                .with_context(|| format!("cannot write {}", build.output.display()))?;
        }
        Request::Disk(request) => disk::build(&request)?,
        Request::Boot(files, image) => disk::update(&image, &files)?,
        Request::List(file) => print!("{}", list::list(&file)?),
        Request::Extract(file, folder) => extract::extract(&file, &folder)?,
    }
    Ok(())
}

fn parse(mut arguments: lexopt::Parser) -> anyhow::Result<Request> {
    use lexopt::prelude::*;
    let mut words: Vec<PathBuf> = Vec::new();
    let mut boot = Vec::new();
    let (mut manifest, mut extra, mut programs, mut output) = (None, Vec::new(), None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Request::Help),
            Long("version") => return Ok(Request::Version),
            Long("manifest") => manifest = Some(arguments.value()?.into()),
            Long("extra") => extra.push(arguments.value()?.into()),
            Long("boot") => boot.push(boot_file(&arguments.value()?.string()?)?),
            Long("programs") => programs = Some(arguments.value()?.into()),
            Long("output") => output = Some(arguments.value()?.into()),
            Value(word) => words.push(word.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut words = words.into_iter();
    let command = words.next().context("no command: build, disk, boot, list or extract")?;
    let request = match command.to_str() {
        Some("build") => {
            let mut manifests = vec![manifest.context("build needs --manifest FILE")?];
            manifests.append(&mut extra);
            let programs = programs.context("build needs --programs DIR")?;
            let output = output.context("build needs --output FILE")?;
            Request::Build(Build { manifests, programs, output })
        }
        Some("disk") => {
            let mut manifests = vec![manifest.context("disk needs --manifest FILE")?];
            manifests.append(&mut extra);
            let programs = programs.context("disk needs --programs DIR")?;
            let output = output.context("disk needs --output FILE")?;
            Request::Disk(disk::Request { manifests, programs, output, boot })
        }
        Some("boot") => Request::Boot(boot, words.next().context("boot needs IMAGE")?),
        Some("list") => Request::List(words.next().context("list needs FILE")?),
        Some("extract") => Request::Extract(
            words.next().context("extract needs FILE")?,
            words.next().context("extract needs DIR")?,
        ),
        _ => bail!("unknown command {:?}: build, disk, boot, list or extract", command.display()),
    };
    match words.next() {
        Some(word) => bail!("unexpected argument {:?}", word.display()),
        None => Ok(request),
    }
}

fn boot_file(text: &str) -> anyhow::Result<(PathBuf, String)> {
    let (from, to) = text.split_once('=').context("--boot needs FILE=PATH")?;
    Ok((from.into(), to.to_owned()))
}
