//! A function in the hands of a driver: what it was given, and how all of it is taken back.
//!
//! The daemon keeps a descriptor for everything that it hands out. So memory that the device may
//! still write to is not freed with the driver, but only after the device has been taken off the
//! bus here.

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDWR};
use pci_types::capability::{MsiCapability, MsixCapability, PciCapability};
use pci_types::{CommandRegister, EndpointHeader, PciHeader};
use pcid::bus::Function;
use pcid::mapping::Mapping;
use syscall::error::{EBUSY, EINVAL, ENODEV, ENOENT, Error, Result};

use crate::window::Windows;

const PAGE: u64 = 4096;
/// Bytes of an entry of the MSI-X table (PCI Local Bus Specification 3.0, 6.8.2).
const ENTRY: usize = 16;

/// A claimed function.
pub(crate) struct Claim {
    function: Function,
    /// Everything that was handed out.
    lent: Vec<Fd>,
    /// The MSI-X table and where in the mapping it begins, once an interrupt was asked for.
    table: Option<(Mapping, usize)>,
    /// The numbers of the interrupts that were handed out.
    has_interrupt: Vec<u16>,
}

impl Claim {
    /// Lets the device answer and reach memory.
    pub(crate) fn new(windows: &Windows, function: &Function) -> Result<Self> {
        let mut endpoint = endpoint(windows, function)?;
        let wanted = CommandRegister::MEMORY_ENABLE | CommandRegister::BUS_MASTER_ENABLE;
        endpoint.update_command(windows, |command| command | wanted);
        let function = function.clone();
        Ok(Self { function, lent: Vec::new(), table: None, has_interrupt: Vec::new() })
    }

    /// The function's index among all.
    pub(crate) fn name(&self) -> String {
        self.function.name()
    }

    /// Opens something for the driver: `barN`, `dma/LENGTH`, `irq` or `irq/N`. The descriptor stays
    /// this daemon's own; the kernel gives the driver another one for the same file.
    pub(crate) fn open(&mut self, windows: &Windows, path: &str) -> Result<usize> {
        let file = match path.split_once('/') {
            Some(("dma", length)) => open(&format!("/scheme/memory/dma/{length}"))?,
            Some(("irq", number)) => {
                self.interrupt(windows, number.parse().map_err(|_| Error::new(ENOENT))?)?
            }
            None if path == "irq" => self.interrupt(windows, 0)?,
            None => self.registers(path.strip_prefix("bar").ok_or(Error::new(ENOENT))?)?,
            _ => return Err(Error::new(ENOENT)),
        };
        let raw = file.raw();
        self.lent.push(file);
        Ok(raw)
    }

    fn registers(&self, index: &str) -> Result<Fd> {
        let index: usize = index.parse().map_err(|_| Error::new(ENOENT))?;
        self.open_bar(index)
    }

    /// The pages that a base address register leads to.
    fn open_bar(&self, index: usize) -> Result<Fd> {
        let bar = self.function.info.bars.get(index).copied().flatten();
        let bar = bar.filter(|bar| bar.is_memory).ok_or(Error::new(ENOENT))?;
        let start = bar.address / PAGE * PAGE;
        let length = (bar.address + bar.size).next_multiple_of(PAGE) - start;
        open(&format!("/scheme/memory/physical/{start:#x}/{length:#x}"))
    }

    /// A line that the device's interrupt `number` makes fire.
    fn interrupt(&mut self, windows: &Windows, number: u16) -> Result<Fd> {
        if self.has_interrupt.contains(&number) {
            return Err(Error::new(EBUSY));
        }
        let endpoint = endpoint(windows, &self.function)?;
        let (mut msix, mut msi) = (None, None);
        for capability in endpoint.capabilities(windows).take(48) {
            match capability {
                PciCapability::MsiX(found) => msix = Some(found),
                PciCapability::Msi(found) => msi = Some(found),
                _ => {}
            }
        }
        let line = match (msix, msi) {
            (Some(msix), _) if number < msix.table_size() => self.by_msix(windows, msix, number)?,
            (None, Some(msi)) if number == 0 => by_msi(windows, msi)?,
            (None, None) if number == 0 => self.by_wire()?,
            _ => return Err(Error::new(EINVAL)),
        };
        self.has_interrupt.push(number);
        Ok(line)
    }

    fn by_msix(&mut self, windows: &Windows, mut msix: MsixCapability, number: u16) -> Result<Fd> {
        let (line, address, data) = message()?;
        let (table, start) = match &mut self.table {
            Some(table) => table,
            none => {
                let bar = self.function.info.bars.get(usize::from(msix.table_bar()));
                let start = bar.copied().flatten().ok_or(Error::new(ENODEV))?.address
                    + u64::from(msix.table_offset());
                let length = usize::from(msix.table_size()) * ENTRY;
                none.insert(map_table(start, length)?)
            }
        };
        let entry = *start + usize::from(number) * ENTRY;
        for (offset, value) in
            [(0, address as u32), (4, (address >> 32) as u32), (8, data), (12, 0)]
        {
            table.write(entry + offset, value);
        }
        msix.set_function_mask(false, windows);
        msix.set_enabled(true, windows);
        Ok(line)
    }

    /// The old way: the pin, wired to the line that firmware noted.
    fn by_wire(&self) -> Result<Fd> {
        let line = self.function.info.line.ok_or(Error::new(ENODEV))?;
        open(&format!("/scheme/irq/{line}"))
    }

    /// Takes the device off the bus: it can neither reach memory nor interrupt any more. What was
    /// lent is given up after that.
    pub(crate) fn end(self, windows: &Windows) {
        let Ok(mut endpoint) = endpoint(windows, &self.function) else { return };
        endpoint.update_command(windows, |command| command - CommandRegister::BUS_MASTER_ENABLE);
        for capability in endpoint.capabilities(windows).take(48) {
            match capability {
                PciCapability::MsiX(mut msix) => msix.set_enabled(false, windows),
                PciCapability::Msi(msi) => msi.set_enabled(false, windows),
                _ => {}
            }
        }
    }
}

fn endpoint(windows: &Windows, function: &Function) -> Result<EndpointHeader> {
    let header = PciHeader::new(function.address);
    EndpointHeader::from_header(header, windows).ok_or(Error::new(ENODEV))
}

fn open(path: &str) -> Result<Fd> {
    Ok(Fd::open(path, O_RDWR | O_CLOEXEC, 0)?)
}

/// A new line, and what a device has to write where to make it fire.
fn message() -> Result<(Fd, u64, u32)> {
    let line = open("/scheme/irq/msi")?;
    let teller = Fd::new(line.dup(b"message")?);
    let mut words = [0; 16];
    if teller.read(&mut words)? != words.len() {
        return Err(Error::new(ENODEV));
    }
    let (address, data) = words.split_at(8);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Ok((line, word(address), word(data) as u32))
}

/// Maps an MSI-X table, which need not begin on a page.
fn map_table(start: u64, length: usize) -> Result<(Mapping, usize)> {
    let skipped = start % PAGE;
    let length = (skipped + length as u64).next_multiple_of(PAGE);
    let file = open(&format!("/scheme/memory/physical/{:#x}/{length:#x}", start - skipped))?;
    Ok((Mapping::new(&file, 0, length as usize)?, skipped as usize))
}

fn by_msi(windows: &Windows, msi: MsiCapability) -> Result<Fd> {
    let (line, address, data) = message()?;
    msi.set_message_info(address, data, windows);
    msi.set_enabled(true, windows);
    Ok(line)
}
