//! Partitions: what the GPT of a disk says. A disk without one, or with a damaged one that its
//! backup cannot replace, has none.

use std::io::{self, Read, Seek, SeekFrom, Write};

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;

use crate::device::Broken;
use crate::requests::Requests;
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

/// The partitions of a disk by number, while no request to it has begun. Those that do not lie on
/// the disk are left out.
pub fn read<K: Copy + Eq>(requests: &mut Requests<K>) -> Result<Vec<Partition>, Broken> {
    let block = requests.facts().block as u64;
    let blocks = requests.facts().blocks;
    let size = if block == 4096 { LogicalBlockSize::Lb4096 } else { LogicalBlockSize::Lb512 };
    let mut broken = None;
    let device = Device { requests, at: 0, broken: &mut broken };
    let config = GptConfig::new().writable(false).logical_block_size(size);
    let table = config.only_valid_headers(false).open_from_device(device);
    let mut partitions = Vec::new();
    if let Ok(table) = table {
        let used = table.partitions().iter().filter(|(_, partition)| partition.is_used());
        partitions.extend(used.filter_map(|(number, partition)| {
            let count = partition.last_lba.checked_sub(partition.first_lba)?.checked_add(1)?;
            let fits = partition.last_lba < blocks && partition.first_lba > 0;
            fits.then(|| Partition {
                number: *number,
                extent: Extent { start: partition.first_lba * block, size: count * block },
                kind: partition.part_type_guid.guid.to_string().to_uppercase(),
                label: partition.name.trim_end_matches('\0').to_owned(),
            })
        }));
    }
    broken.map_or(Ok(partitions), Err)
}

/// A disk as the crate wants it.
struct Device<'a, K> {
    requests: &'a mut Requests<K>,
    at: u64,
    /// Set when the disk stops working meanwhile.
    broken: &'a mut Option<Broken>,
}

impl<K> std::fmt::Debug for Device<'_, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("disk")
    }
}

impl<K: Copy + Eq> Read for Device<'_, K> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.requests.all().clip(self.at, into.len());
        match self.requests.read_now(self.at, &mut into[..count]) {
            Ok(outcome) => outcome.map_err(|_| io::ErrorKind::Other)?,
            Err(broken) => {
                *self.broken = Some(broken);
                return Err(io::ErrorKind::Other.into());
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl<K> Write for Device<'_, K> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<K: Copy + Eq> Seek for Device<'_, K> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.requests.all().size.checked_add_signed(back),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
