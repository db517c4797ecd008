//! A copy of the disk image for one story or measurement.

use crate::machine::Machine;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A copy, removed when it is dropped.
pub(crate) struct FreshDisk {
    file: PathBuf,
}

impl FreshDisk {
    /// Copies the image of `machine` to its folder for logs; `name` names the file.
    pub(crate) fn new(machine: &Machine, name: &str) -> Result<Self> {
        std::fs::create_dir_all(&machine.logs)?;
        let disk = Self { file: machine.logs.join(format!("{name}.disk")) };
        copy_with_holes(&machine.image, &disk.file)
            .with_context(|| format!("copying {}", machine.image.display()))?;
        Ok(disk)
    }

    /// Where it is.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for FreshDisk {
    fn drop(&mut self) {
        // One that stays behind is overwritten by the next run.
        let _stays = std::fs::remove_file(&self.file);
    }
}

/// Copies a file that is mostly zeroes without writing those.
fn copy_with_holes(from: &Path, to: &Path) -> Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    to.set_len(from.metadata()?.len())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer)?;
        match &buffer[..length] {
            [] => return Ok(()),
            bytes if bytes.iter().all(|byte| *byte == 0) => {
                to.seek(SeekFrom::Current(length as i64))?;
            }
            bytes => to.write_all(bytes)?,
        }
    }
}
