//! The EFI partition of a story's disk: files taken away or replaced, to see what the loader says.

use anyhow::{Context as _, Result};
use fatfs::{FileSystem, FsOptions};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const BLOCK: u64 = 512;
/// The file with the kernel's words and the loader's.
pub(crate) const COMMAND_LINE: &str = "lifeboat/cmdline.txt";

/// Removes a file.
pub(crate) fn remove(disk: &Path, path: &str) -> Result<()> {
    let volume = open(disk)?;
    volume.root_dir().remove(path).with_context(|| format!("removing {path}"))?;
    Ok(volume.unmount()?)
}

/// Writes a file.
pub(crate) fn write(disk: &Path, path: &str, text: &str) -> Result<()> {
    let volume = open(disk)?;
    let mut file =
        volume.root_dir().create_file(path).with_context(|| format!("writing {path}"))?;
    file.truncate()?;
    file.write_all(text.as_bytes())?;
    drop(file);
    Ok(volume.unmount()?)
}

fn open(disk: &Path) -> Result<FileSystem<Part>> {
    let file = File::options().read(true).write(true).open(disk)?;
    let table = gpt::GptConfig::new().open_from_device(file.try_clone()?)?;
    let mut found = table.partitions().values();
    let found = found.find(|part| part.part_type_guid == gpt::partition_types::EFI);
    let found = found.context("the disk has no EFI partition")?;
    let (start, end) = (found.first_lba * BLOCK, (found.last_lba + 1) * BLOCK);
    Ok(FileSystem::new(Part { file, start, size: end - start, at: 0 }, FsOptions::new())?)
}

/// A part of a file as a file.
struct Part {
    file: File,
    start: u64,
    size: u64,
    at: u64,
}

impl Part {
    /// Goes to the current place; returns how much of `length` is inside.
    fn go(&mut self, length: usize) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.start + self.at))?;
        Ok(usize::try_from(self.size.saturating_sub(self.at)).map_or(length, |r| r.min(length)))
    }
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.go(into.len())?;
        let count = self.file.read(&mut into[..length])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Part {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let length = self.go(from.len())?;
        let count = self.file.write(&from[..length])?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
