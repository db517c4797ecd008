//! What is told about a function: the text of `pci:ADDRESS/info`, written and read here.

use std::fmt;

use syscall::error::{EACCES, ENOENT};

/// What a base address register of a function leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Registers in memory; else in I/O ports.
    pub is_memory: bool,
    /// The first.
    pub address: u64,
    /// How many bytes.
    pub size: u64,
}

/// A function of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Who made it.
    pub vendor: u16,
    /// What its maker calls it.
    pub device: u16,
    /// Class, subclass and programming interface, a byte each, the class highest.
    pub class: u32,
    /// Its revision.
    pub revision: u8,
    /// Where its registers are.
    pub bars: [Option<Bar>; 6],
    /// How many interrupts it can send by MSI-X.
    pub msix: u16,
    /// Where its MSI-X table is: which base address register, and how far behind it.
    pub table: Option<(usize, u64)>,
    /// Whether it can send one by MSI.
    pub has_msi: bool,
    /// The line that firmware wired its interrupt pin to.
    pub line: Option<u8>,
    /// Which device it was that was put in since boot: the first, the second; 0 for one that was there
    /// then.
    pub arrival: u32,
    /// Who drives it.
    pub driver: Option<String>,
    /// The interrupts its driver has: number and line of `irq:`.
    pub interrupts: Vec<(u16, u16)>,
}

/// Pages of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How far behind the base address register's address they begin; less than nothing when that
    /// is not the beginning of a page.
    pub offset: i64,
    /// Their physical address.
    pub address: u64,
    /// How many bytes.
    pub length: u64,
}

const PAGE: u64 = 4096;
/// Bytes of an entry of the MSI-X table (PCI Local Bus Specification 3.0, 6.8.2).
pub const ENTRY: u64 = 16;

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "vendor {:04x}", self.vendor)?;
        writeln!(f, "device {:04x}", self.device)?;
        writeln!(f, "class {:06x}", self.class)?;
        writeln!(f, "revision {:02x}", self.revision)?;
        for (index, bar) in self.bars.iter().enumerate() {
            if let Some(Bar { is_memory, address, size }) = bar {
                let kind = if *is_memory { "memory" } else { "ports" };
                writeln!(f, "bar{index} {kind} {address:x} {size:x}")?;
            }
        }
        match self.table {
            Some((bar, offset)) => writeln!(f, "msix {:x} {bar:x} {offset:x}", self.msix)?,
            None if self.msix > 0 => writeln!(f, "msix {:x}", self.msix)?,
            None => {}
        }
        if self.has_msi {
            writeln!(f, "msi 1")?;
        }
        if let Some(line) = self.line {
            writeln!(f, "line {line:x}")?;
        }
        if self.arrival > 0 {
            writeln!(f, "arrival {:x}", self.arrival)?;
        }
        if let Some(driver) = &self.driver {
            writeln!(f, "driver {driver}")?;
        }
        self.interrupts.iter().try_for_each(|(number, line)| writeln!(f, "irq {number:x} {line:x}"))
    }
}

impl Info {
    /// Reads the text; `None` when it is no such text. Lines it does not know are left out.
    pub fn parse(text: &str) -> Option<Self> {
        let mut info = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let key = words.next()?;
            if let Some(index) = key.strip_prefix("bar") {
                let bar = info.bars.get_mut(index.parse::<usize>().ok()?)?;
                let is_memory = words.next()? == "memory";
                let (address, size) = (hex(words.next()?)?, hex(words.next()?)?);
                *bar = Some(Bar { is_memory, address, size });
                continue;
            }
            if key == "driver" {
                info.driver = Some(words.next()?.to_owned());
                continue;
            }
            let value = hex(words.next()?)?;
            let mut more = || words.next().and_then(hex);
            match key {
                "irq" => info.interrupts.push((value.try_into().ok()?, more()?.try_into().ok()?)),
                "vendor" => info.vendor = value.try_into().ok()?,
                "device" => info.device = value.try_into().ok()?,
                "class" => info.class = value.try_into().ok()?,
                "revision" => info.revision = value.try_into().ok()?,
                "msix" => {
                    info.msix = value.try_into().ok()?;
                    info.table = more().zip(more()).map(|(bar, offset)| (bar as usize, offset));
                }
                "msi" => info.has_msi = value != 0,
                "arrival" => info.arrival = value.try_into().ok()?,
                "line" => info.line = Some(value.try_into().ok()?),
                _ => {}
            }
        }
        Some(info)
    }

    /// The pages of a base address register's registers around an offset that its driver may
    /// have: all up to the pages that hold the MSI-X table. `ENOENT` when there is no such
    /// register, `EACCES` when the offset lies in those pages.
    pub fn part(&self, index: usize, offset: u64) -> Result<Part, i32> {
        let bar = self.bars.get(index).copied().flatten().filter(|bar| bar.is_memory);
        let bar = bar.filter(|bar| offset < bar.size).ok_or(ENOENT)?;
        let page = |address: u64| address / PAGE * PAGE;
        let (mut start, mut end) =
            (page(bar.address), (bar.address + bar.size).next_multiple_of(PAGE));
        let at = bar.address + offset;
        if let Some((_, table)) = self.table.filter(|(bar, _)| *bar == index) {
            let first = page(bar.address.saturating_add(table));
            let after =
                bar.address.saturating_add(table).saturating_add(u64::from(self.msix) * ENTRY);
            let after = after.checked_next_multiple_of(PAGE).ok_or(EACCES)?;
            if at < first {
                end = end.min(first);
            } else if at >= after {
                start = start.max(after);
            } else {
                return Err(EACCES);
            }
        }
        let offset = start.wrapping_sub(bar.address) as i64;
        Ok(Part { offset, address: start, length: end - start })
    }

    /// What kind of device it is, in a word or two (PCI Code and ID Assignment, 1.16).
    pub fn kind(&self) -> &'static str {
        match (self.class >> 16, self.class >> 8 & 0xFF, self.class & 0xFF) {
            (0x01, 0x06, 0x01) => "AHCI controller",
            (0x01, 0x08, 0x02) => "NVMe controller",
            (0x01, 0x01, _) => "IDE controller",
            (0x01, _, _) => "storage",
            (0x02, _, _) => "network",
            (0x03, _, _) => "display",
            (0x04, _, _) => "multimedia",
            (0x06, 0x00, _) => "host bridge",
            (0x06, 0x01, _) => "ISA bridge",
            (0x06, 0x04, _) => "PCI bridge",
            (0x06, _, _) => "bridge",
            (0x0C, 0x03, _) => "USB controller",
            (0x0C, 0x05, _) => "SMBus",
            _ => "device",
        }
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut info = Info { vendor: 0x1AF4, device: 0x1042, class: 0x01_0000, ..Info::default() };
        info.bars[1] = Some(Bar { is_memory: true, address: 0xFEBD_1000, size: 0x1000 });
        info.bars[4] = Some(Bar { is_memory: false, address: 0xC000, size: 0x80 });
        info.msix = 3;
        info.table = Some((1, 0x800));
        info.line = Some(11);
        info.arrival = 12;
        info.driver = Some("virtio-blkd".to_owned());
        info.interrupts = vec![(0, 64), (2, 65)];
        assert_eq!(Info::parse(&info.to_string()), Some(info.clone()));
        assert_eq!(info.kind(), "storage");
    }

    #[test]
    fn the_msix_table_is_in_no_part() {
        let mut info = Info { msix: 65, table: Some((0, 0x2000)), ..Info::default() };
        let bar = |address, size| Some(Bar { is_memory: true, address, size });
        info.bars[0] = bar(0xFEBD_0000, 0x8000);
        info.bars[2] = bar(0xFEBE_0100, 0x100);
        let part = |offset, address, length| Ok(Part { offset, address, length });
        assert_eq!(info.part(0, 0), part(0, 0xFEBD_0000, 0x2000));
        assert_eq!(info.part(0, 0x1FFF), part(0, 0xFEBD_0000, 0x2000));
        assert_eq!(info.part(0, 0x2000), Err(EACCES));
        assert_eq!(info.part(0, 0x2FFF), Err(EACCES));
        assert_eq!(info.part(0, 0x3000), part(0x3000, 0xFEBD_3000, 0x5000));
        assert_eq!(info.part(0, 0x8000), Err(ENOENT));
        assert_eq!(info.part(2, 0x20), part(-0x100, 0xFEBE_0000, 0x1000));
        assert_eq!(info.part(1, 0), Err(ENOENT));
        // A table that a device claims to have where no memory is.
        info.table = Some((0, u64::MAX));
        assert!(info.part(0, 0).is_err() || info.part(0, 0) == part(0, 0xFEBD_0000, 0x8000));
    }

    #[test]
    fn noise_is_no_info() {
        assert_eq!(Info::parse("vendor x"), None);
        assert_eq!(Info::parse("bar9 memory 0 0"), None);
        assert_eq!(Info::parse("new 1"), Some(Info::default()));
    }
}
