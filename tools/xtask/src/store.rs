//! The emergency store's disk: a sparse file with a header and room for every frame, twice, so that
//! jobs can be parked, the device in front of it, and what a story does to it while the machine runs.

use crate::machine::{Machine, with_path};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store_format::{FIRST_SLOT, HEADER_SIZE, PAGE, StoreHeader};

/// The device in front of a store's image, and its faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreDisk {
    pub(crate) device: Device,
    pub(crate) faults: Vec<Fault>,
    /// It is the only partition of the disk, not all of it.
    pub(crate) is_partition: bool,
}

/// Which device it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Device {
    /// Virtio that also speaks the older interface.
    #[default]
    Virtio,
    /// Virtio that does not.
    Modern,
    /// NVMe.
    Nvme,
}

/// What goes wrong, always: `flush`, `write FIRST..END` or `read FIRST..END`, in slots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Fault {
    Flush,
    Write(u64, u64),
    Read(u64, u64),
}

impl TryFrom<String> for Fault {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        if text == "flush" {
            return Ok(Self::Flush);
        }
        let (kind, slots) = text.split_once(' ').context("a kind of request and slots")?;
        let (first, end) = slots.split_once("..").context("slots are FIRST..END")?;
        let (first, end) = (first.parse()?, end.parse()?);
        ensure!(first < end, "no slot is meant");
        match kind {
            "write" => Ok(Self::Write(first, end)),
            "read" => Ok(Self::Read(first, end)),
            _ => bail!("{kind} is none of flush, write, read"),
        }
    }
}

impl Fault {
    /// As sections of a file for QEMU's blkdebug.
    fn rules(&self) -> String {
        let rule = |kind: &str, sector: Option<u64>| {
            let sector = sector.map_or(String::new(), |sector| format!("sector = \"{sector}\"\n"));
            format!(
                "[inject-error]\nevent = \"none\"\niotype = \"{kind}\"\nerrno = \"5\"\n{sector}"
            )
        };
        let each = |kind, first, end| -> String {
            let sector = |slot| (FIRST_SLOT + slot) * PAGE as u64 / 512;
            (first..end).map(|slot| rule(kind, Some(sector(slot)))).collect()
        };
        match *self {
            Self::Flush => rule("flush", None),
            Self::Write(first, end) => each("write", first, end),
            Self::Read(first, end) => each("read", first, end),
        }
    }
}

impl StoreDisk {
    /// The part of QEMU's command line that makes it, and the monitor that can take it away.
    pub(crate) fn arguments(&self, image: &Path) -> Vec<OsString> {
        let (cache, file) = match self.faults[..] {
            [] => ("unsafe", image.display().to_string()),
            // Flushes reach the rules only when they are real.
            _ => {
                let rules = rules_of(image);
                ("writeback", format!("blkdebug:{}:{}", rules.display(), image.display()))
            }
        };
        let drive = format!("if=none,id=store,format=raw,cache={cache},file=");
        let device = match self.device {
            Device::Virtio => "virtio-blk-pci,drive=store",
            Device::Modern => "virtio-blk-pci,drive=store,disable-legacy=on",
            Device::Nvme => "nvme,drive=store,serial=store",
        };
        let monitor = with_path("unix:", &monitor_of(image));
        vec![
            "-drive".into(),
            with_path(&drive, Path::new(&file)),
            "-device".into(),
            device.into(),
            "-monitor".into(),
            [monitor, ",server=on,wait=off".into()].into_iter().collect(),
        ]
    }
}

fn rules_of(image: &Path) -> PathBuf {
    image.with_extension("faults")
}

fn monitor_of(image: &Path) -> PathBuf {
    image.with_extension("monitor")
}

/// Something done to the store, or looked for in it, while the machine runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreStep {
    /// Turns over a bit in each of so many slots that hold something, evenly spread.
    Flip(usize),
    /// Turns over a bit in the first page that holds this text.
    FlipAt(String),
    /// The text is in the image.
    Holds(String),
    /// The text is nowhere in the image.
    Lacks(String),
    /// A command for QEMU's monitor.
    Monitor(String),
}

impl StoreStep {
    /// Does it to the machine whose store is `image`.
    pub(crate) fn take(&self, image: &Path) -> Result<()> {
        match self {
            Self::Flip(count) => flip(image, *count),
            Self::FlipAt(text) => {
                let page = find(image, text)?.with_context(|| format!("{text} is not there"))?;
                turn_over(image, page, 77)
            }
            Self::Holds(text) => {
                ensure!(find(image, text)?.is_some(), "{text} is nowhere in the store");
                Ok(())
            }
            Self::Lacks(text) => match find(image, text)? {
                Some(page) => bail!("{text} is in the store, in slot {}", page - FIRST_SLOT),
                None => Ok(()),
            },
            Self::Monitor(command) => tell_monitor(&monitor_of(image), command),
        }
    }
}

/// Where the text stands behind the headers, as a page of the disk.
fn find(image: &Path, text: &str) -> Result<Option<u64>> {
    let bytes = std::fs::read(image)?;
    let from = FIRST_SLOT as usize * PAGE;
    let mut parts = bytes[from..].windows(text.len());
    let at = parts.position(|part| part == text.as_bytes());
    Ok(at.map(|at| ((from + at) / PAGE) as u64))
}

fn flip(image: &Path, count: usize) -> Result<()> {
    let bytes = std::fs::read(image)?;
    let pages = bytes.chunks_exact(PAGE).enumerate().skip(FIRST_SLOT as usize);
    let used: Vec<_> = pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0)).collect();
    ensure!(used.len() >= count, "only {} slots hold something", used.len());
    for number in 0..count {
        let (page, _) = used[number * used.len() / count];
        turn_over(image, page as u64, number * 7919 % (PAGE * 8))?;
    }
    Ok(())
}

fn turn_over(image: &Path, page: u64, bit: usize) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(image)?;
    let at = page * PAGE as u64 + bit as u64 / 8;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    byte[0] ^= 1 << (bit % 8);
    Ok(file.write_all_at(&byte, at)?)
}

/// Says something to QEMU's monitor, and waits until it has been done.
fn tell_monitor(socket: &Path, command: &str) -> Result<()> {
    /// The prompt ends without a new line, so whoever reads must stop there.
    const PROMPT: &[u8] = b"(qemu) ";
    let mut stream = UnixStream::connect(socket).context("QEMU's monitor")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut answer = Vec::new();
    let mut until_prompt = |answer: &mut Vec<u8>| -> Result<()> {
        while !answer.ends_with(PROMPT) {
            ensure!(reader.read_until(b' ', answer)? > 0, "QEMU's monitor hung up");
        }
        Ok(())
    };
    until_prompt(&mut answer)?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    answer.clear();
    until_prompt(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(!answer.contains("Error"), "QEMU's monitor: {answer}");
    Ok(())
}

/// QEMU puts memory above this behind the hole for devices, which ends at 4 GiB.
const BELOW_HOLE: u64 = 2 << 30;
const HOLE_END: u64 = 4 << 30;

/// Makes the disk of a machine that wants one; `name` names the file.
pub(crate) fn image(machine: &Machine, name: &str) -> Result<Option<PathBuf>> {
    if !machine.has_store {
        return Ok(None);
    }
    let path = machine.logs.join(format!("{name}.store.img"));
    let size = size(u64::from(machine.memory_mib) << 20);
    let made = match machine.store.is_partition {
        true => make_partition(&path, size),
        false => make(&path, size),
    };
    made.with_context(|| format!("making {}", path.display()))?;
    std::fs::write(
        rules_of(&path),
        machine.store.faults.iter().map(Fault::rules).collect::<String>(),
    )?;
    Ok(Some(path))
}

/// Bytes of a disk with a slot for every frame up to the highest, and as many places to park.
fn size(memory: u64) -> u64 {
    let top = if memory > BELOW_HOLE { memory - BELOW_HOLE + HOLE_END } else { memory };
    2 * top + FIRST_SLOT * PAGE as u64
}

fn make(path: &Path, size: u64) -> Result<()> {
    let mut bytes = vec![0; HEADER_SIZE];
    StoreHeader::default().encode(&mut bytes);
    let mut file = File::create(path)?;
    file.write_all(&bytes)?;
    file.set_len(size)?;
    Ok(())
}

/// Tables are in front of a partition and behind it, with so much room for each.
const TABLES: u64 = 1 << 20;
const BLOCK: u64 = 512;

/// A disk with one partition, which is the store.
fn make_partition(path: &Path, size: u64) -> Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(path)?;
    file.set_len(size + 2 * TABLES)?;
    let covered = u32::try_from((size + 2 * TABLES) / BLOCK - 1)?;
    gpt::mbr::ProtectiveMBR::with_lb_size(covered).overwrite_lba0(&mut file)?;
    let config = gpt::GptConfig::new().writable(true);
    let mut table = config.create_from_device(&mut file, None)?;
    table.update_partitions(Default::default())?;
    let guid = abi::partition::STORE.parse().ok().context("the store's type")?;
    let kind = gpt::partition_types::Type { guid, os: gpt::partition_types::OperatingSystem::None };
    table.add_partition_at("store", 1, TABLES / BLOCK, size / BLOCK, kind, 0)?;
    table.write()?;
    let mut bytes = vec![0; HEADER_SIZE];
    StoreHeader::default().encode(&mut bytes);
    Ok(file.write_all_at(&bytes, TABLES)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_become_rules() {
        let fault = Fault::try_from("write 1..3".to_owned()).unwrap();
        let rules = fault.rules();
        assert_eq!(rules.matches("iotype = \"write\"").count(), 2);
        assert!(rules.contains("sector = \"264\"") && rules.contains("sector = \"272\""));
        for text in ["", "flush 1", "erase 1..2", "read 2..2", "read x..y"] {
            assert!(Fault::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_are_found_and_bits_turned_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = vec![0; (FIRST_SLOT as usize + 4) * PAGE];
        bytes[(FIRST_SLOT as usize + 2) * PAGE + 100..][..6].copy_from_slice(b"canary");
        std::fs::write(&file, &bytes).unwrap();
        StoreStep::Holds("canary".into()).take(file.path()).unwrap();
        StoreStep::Lacks("bird".into()).take(file.path()).unwrap();
        assert!(StoreStep::Lacks("canary".into()).take(file.path()).is_err());
        assert!(StoreStep::Holds("bird".into()).take(file.path()).is_err());
        assert!(StoreStep::Flip(2).take(file.path()).is_err());
        StoreStep::FlipAt("canary".into()).take(file.path()).unwrap();
        let changed = std::fs::read(&file).unwrap();
        let differing = bytes.iter().zip(&changed).filter(|(old, new)| old != new).count();
        assert_eq!(differing, 1);
    }

    #[test]
    fn there_is_a_slot_for_the_highest_frame() {
        assert_eq!(size(64 << 20), (128 << 20) + 32 * 4096);
        assert_eq!(size(3 << 30), (10 << 30) + 32 * 4096);
    }
}
