//! What is told about a function: the text of `pci:ADDRESS/info`, written and read here.

use std::fmt;

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
    /// Whether it can send one by MSI.
    pub has_msi: bool,
    /// The line that firmware wired its interrupt pin to.
    pub line: Option<u8>,
}

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
        if self.msix > 0 {
            writeln!(f, "msix {:x}", self.msix)?;
        }
        if self.has_msi {
            writeln!(f, "msi 1")?;
        }
        match self.line {
            Some(line) => writeln!(f, "line {line:x}"),
            None => Ok(()),
        }
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
            let value = hex(words.next()?)?;
            match key {
                "vendor" => info.vendor = value.try_into().ok()?,
                "device" => info.device = value.try_into().ok()?,
                "class" => info.class = value.try_into().ok()?,
                "revision" => info.revision = value.try_into().ok()?,
                "msix" => info.msix = value.try_into().ok()?,
                "msi" => info.has_msi = value != 0,
                "line" => info.line = Some(value.try_into().ok()?),
                _ => {}
            }
        }
        Some(info)
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
        info.line = Some(11);
        assert_eq!(Info::parse(&info.to_string()), Some(info.clone()));
        assert_eq!(info.kind(), "storage");
    }

    #[test]
    fn noise_is_no_info() {
        assert_eq!(Info::parse("vendor x"), None);
        assert_eq!(Info::parse("bar9 memory 0 0"), None);
        assert_eq!(Info::parse("new 1"), Some(Info::default()));
    }
}
