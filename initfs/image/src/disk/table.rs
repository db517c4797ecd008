//! The partition table: what lies where, and the GPT that says so.

use crate::manifest::Disk;
use abi::partition;
use anyhow::anyhow;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{OperatingSystem, Type};
use std::fs::File;
use uuid::Uuid;

/// Partitions begin at multiples of this; as much is left for the tables at both ends.
const ALIGNMENT: u64 = 1 << 20;
const BLOCK: u64 = 512;
/// The first GUID of a disk; those of the partitions count up from here. Random ones would make
/// every image differ.
const FIRST_GUID: u128 = 0x6C69_6665_626F_4174_8000_0000_0000_0000;

/// Where a partition is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) size: u64,
}

/// What lies where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) size: u64,
    pub(super) root: Place,
    pub(super) store: Option<Place>,
    pub(super) efi: Option<Place>,
}

impl Layout {
    /// One behind the other. The firmware does not mind where its partition is.
    pub(super) fn new(disk: &Disk) -> Result<Self, String> {
        let sizes = super::sizes(disk)?;
        let mut at = ALIGNMENT;
        let mut place = |size: u64| {
            let place = Place { start: at, size: size.next_multiple_of(ALIGNMENT) };
            at += place.size;
            (size > 0).then_some(place)
        };
        let [root, store, efi] = sizes.map(&mut place);
        let root = root.ok_or("`root` needs a size")?;
        Ok(Self { size: at + ALIGNMENT, efi, root, store })
    }
}

/// Where the EFI partition of a finished image is.
pub(super) fn efi_partition(file: &File) -> anyhow::Result<Place> {
    let config = gpt::GptConfig::new().logical_block_size(LogicalBlockSize::Lb512);
    let table = config.open_from_device(file.try_clone()?)?;
    let is_efi = |text: &str| text.eq_ignore_ascii_case(partition::EFI_SYSTEM);
    let found = table.partitions().values().find(|p| is_efi(&p.part_type_guid.guid.to_string()));
    let found = found.ok_or_else(|| anyhow!("it has no EFI partition"))?;
    let (start, end) = (found.first_lba * BLOCK, (found.last_lba + 1) * BLOCK);
    Ok(Place { start, size: end - start })
}

/// Writes the GPT at both ends, and the old table that tells others to keep off.
pub(super) fn write(file: &mut File, layout: &Layout) -> anyhow::Result<()> {
    let blocks = layout.size / BLOCK;
    let covered = u32::try_from(blocks - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(covered).overwrite_lba0(file)?;
    let config = gpt::GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config.create_from_device(file, Some(Uuid::from_u128(FIRST_GUID)))?;
    table.update_partitions(Default::default())?;
    let parts = [
        ("root", Some(layout.root), partition::ROOT),
        ("store", layout.store, partition::STORE),
        ("efi", layout.efi, partition::EFI_SYSTEM),
    ];
    let present = parts.into_iter().filter_map(|(name, place, kind)| Some((name, place?, kind)));
    for (number, (name, place, kind)) in (1..).zip(present) {
        let guid = kind.parse().map_err(|error| anyhow!("{kind}: {error}"))?;
        let kind = Type { guid, os: OperatingSystem::None };
        let (first, count) = (place.start / BLOCK, place.size / BLOCK);
        table.add_partition_at(name, number, first, count, kind, 0)?;
    }
    let mut partitions = table.take_partitions();
    for (number, partition) in &mut partitions {
        partition.part_guid = Uuid::from_u128(FIRST_GUID + u128::from(*number));
    }
    table.update_partitions(partitions)?;
    table.write()?;
    Ok(())
}
