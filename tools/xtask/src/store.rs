//! A fresh disk for the emergency store: a sparse file with a header and room for every frame,
//! twice, so that jobs can be parked.

use crate::machine::Machine;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use store_format::{FIRST_SLOT, HEADER_SIZE, PAGE, StoreHeader};

/// QEMU puts memory above this behind the hole for devices, which ends at 4 GiB.
const BELOW_HOLE: u64 = 2 << 30;
const HOLE_END: u64 = 4 << 30;

/// Makes the disk of a machine that wants one; `name` names the file.
pub(crate) fn image(machine: &Machine, name: &str) -> Result<Option<PathBuf>> {
    if !machine.has_store {
        return Ok(None);
    }
    let path = machine.logs.join(format!("{name}.store.img"));
    make(&path, size(u64::from(machine.memory_mib) << 20))
        .with_context(|| format!("making {}", path.display()))?;
    Ok(Some(path))
}

/// Bytes of a disk with a slot for every frame up to the highest, and as many places to park.
fn size(memory: u64) -> u64 {
    let top = if memory > BELOW_HOLE { memory - BELOW_HOLE + HOLE_END } else { memory };
    2 * top + FIRST_SLOT * PAGE as u64
}

fn make(path: &std::path::Path, size: u64) -> Result<()> {
    let mut bytes = vec![0; HEADER_SIZE];
    StoreHeader::default().encode(&mut bytes);
    let mut file = File::create(path)?;
    file.write_all(&bytes)?;
    file.set_len(size)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_slot_for_the_highest_frame() {
        assert_eq!(size(64 << 20), (128 << 20) + 32 * 4096);
        assert_eq!(size(3 << 30), (10 << 30) + 32 * 4096);
    }
}
