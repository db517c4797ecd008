//! Partitions: what the GPT of a disk says. A disk without one, or with a damaged one that its
//! backup cannot replace, has none.

use std::io::{self, Read, Seek, SeekFrom, Write};

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;

use crate::drive::Drive;
use crate::volume::Extent;

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the table, from 1.
    pub number: u32,
    /// Where it is.
    pub extent: Extent,
    /// What it is for, as the GUID's usual text in upper case.
    pub kind: String,
    /// Its name.
    pub label: String,
}

/// The partitions of a disk by number. Those that do not lie on the disk are left out.
pub fn read(drive: &mut dyn Drive) -> Vec<Partition> {
    let blocks = drive.blocks();
    let config = GptConfig::new().writable(false).logical_block_size(LogicalBlockSize::Lb512);
    let Ok(table) = config.only_valid_headers(false).open_from_device(Device { drive, at: 0 })
    else {
        return Vec::new();
    };
    let used = table.partitions().iter().filter(|(_, partition)| partition.is_used());
    used.filter_map(|(number, partition)| {
        let count = partition.last_lba.checked_sub(partition.first_lba)?.checked_add(1)?;
        let fits = partition.last_lba < blocks && partition.first_lba > 0;
        fits.then(|| Partition {
            number: *number,
            extent: Extent { first: partition.first_lba, count },
            kind: partition.part_type_guid.guid.to_string().to_uppercase(),
            label: partition.name.trim_end_matches('\0').to_owned(),
        })
    })
    .collect()
}

/// A disk as the crate wants it.
struct Device<'a> {
    drive: &'a mut dyn Drive,
    at: u64,
}

impl std::fmt::Debug for Device<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("disk")
    }
}

impl Device<'_> {
    fn all(&self) -> Extent {
        Extent { first: 0, count: self.drive.blocks() }
    }
}

impl Read for Device<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let all = self.all();
        let read = all.read(self.drive, self.at, into).map_err(|_| io::ErrorKind::Other)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Write for Device<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Device<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.all().size().checked_add_signed(back),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
