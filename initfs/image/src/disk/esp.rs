//! The EFI system partition: a FAT file system with the loader and what it loads.

use anyhow::{Context, anyhow};
use fatfs::{Dir, FileSystem, FormatVolumeOptions, FsOptions};
use std::io::Write;
use std::path::PathBuf;

use super::part::Part;

/// "LIFE", in place of the random number that a volume usually has.
const VOLUME_ID: u32 = 0x4C49_4645;

/// Makes the file system and puts every file at its path.
pub(super) fn write(mut part: Part, files: &[(PathBuf, String)]) -> anyhow::Result<()> {
    let options = FormatVolumeOptions::new().volume_id(VOLUME_ID).volume_label(*b"LIFEBOAT   ");
    fatfs::format_volume(&mut part, options)?;
    let volume = FileSystem::new(part, FsOptions::new())?;
    for (from, to) in files {
        add(&volume.root_dir(), from, to)
            .with_context(|| format!("{} as {to} on the EFI partition", from.display()))?;
    }
    volume.unmount()?;
    Ok(())
}

fn add(root: &Dir<'_, Part>, from: &PathBuf, to: &str) -> anyhow::Result<()> {
    let bytes = std::fs::read(from)?;
    let path = to.trim_matches('/');
    for (at, _) in path.match_indices('/') {
        root.create_dir(&path[..at])?;
    }
    let mut file = root.create_file(path)?;
    file.truncate()?;
    file.write_all(&bytes).map_err(|error| anyhow!("{error} (is `efi` too small?)"))?;
    Ok(())
}
