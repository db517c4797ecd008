//! `image disk` — one disk image: partition table, boot files, RedoxFS, room for the store.
//!
//! Needs no root and no loop devices, and never looks at a clock or draws a random number: the
//! same input gives the same bytes. Where nothing is, the file has holes.

mod esp;
mod part;
mod root;
mod table;

use crate::manifest::{Disk, Manifest};
use anyhow::{Context, bail};
use std::fs::File;
use std::path::{Path, PathBuf};

use part::Part;
use table::Layout;

/// What goes on the disk.
pub(crate) struct Request {
    pub(crate) manifests: Vec<PathBuf>,
    /// Where the built programs are.
    pub(crate) programs: PathBuf,
    pub(crate) output: PathBuf,
    /// Files of the EFI system partition: from where, to which path.
    pub(crate) boot: Vec<(PathBuf, String)>,
}

/// Builds the image beside its final place and moves it there when it is whole.
pub(crate) fn build(request: &Request) -> anyhow::Result<()> {
    let manifests: Vec<Manifest> =
        request.manifests.iter().map(|file| Manifest::read(file)).collect::<anyhow::Result<_>>()?;
    let disks = manifests.iter().filter_map(|m| m.sections.disk.as_ref().map(|disk| (m, disk)));
    let mut disks = disks.filter(|(_, disk)| disk.get_ref().has_sizes());
    let Some((manifest, disk)) = disks.next() else {
        bail!("no manifest has a [disk] section with sizes")
    };
    if let Some((second, at)) = disks.next() {
        return Err(second.mistake(at, "a second [disk] section with sizes").into());
    }
    let layout = Layout::new(disk.get_ref()).map_err(|error| manifest.mistake(disk, error))?;
    let unfinished = request.output.with_extension("unfinished");
    write(&unfinished, &layout, &manifests, request)
        .with_context(|| format!("building {}", request.output.display()))?;
    std::fs::rename(&unfinished, &request.output)
        .with_context(|| format!("cannot write {}", request.output.display()))
}

/// Makes the EFI partition of a finished image anew; everything else on it stays.
pub(crate) fn update(image: &Path, boot: &[(PathBuf, String)]) -> anyhow::Result<()> {
    let update = || {
        let file = File::options().read(true).write(true).open(image)?;
        let place = table::efi_partition(&file)?;
        Part::new(&file, place)?.erase()?;
        esp::write(Part::new(&file, place)?, boot)
    };
    update().with_context(|| format!("cannot update {}", image.display()))
}

fn write(
    path: &Path,
    layout: &Layout,
    manifests: &[Manifest],
    request: &Request,
) -> anyhow::Result<()> {
    let boot = &request.boot;
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(layout.size)?;
    table::write(&mut file, layout)?;
    if let Some(place) = layout.efi {
        esp::write(Part::new(&file, place)?, boot)?;
    } else if !boot.is_empty() {
        bail!("boot files need `efi` in [disk]");
    }
    root::write(Part::new(&file, layout.root)?, manifests, &request.programs)?;
    Ok(())
}

/// A size as the manifest has it: bytes, or with K, M or G.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a size like \"64M\", found {text:?}");
    let (digits, unit) = match text.find(|letter: char| !letter.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let factor: u64 = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// The sizes of root, store and EFI partition, as the manifest has them.
fn sizes(disk: &Disk) -> Result<[u64; 3], String> {
    let of = |text: &Option<String>| text.as_deref().map_or(Ok(0), size);
    Ok([of(&disk.root)?, of(&disk.store)?, of(&disk.efi)?])
}
