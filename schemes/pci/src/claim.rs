//! A function in the hands of a driver: what it was given, and how all of it is taken back.
//!
//! The daemon keeps a descriptor for everything that it hands out. So memory that the device may
//! still write to is not freed with the driver: the device is taken off the bus here, and as it may
//! have begun something before, its memory is kept until the next driver has set it back.

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_NONBLOCK, O_RDWR};
use pci_types::capability::{MsiCapability, MsixCapability, PciCapability};
use pci_types::{CommandRegister, EndpointHeader, PciHeader};
use pcid::bus::Function;
use pcid::info::ENTRY;
use pcid::mapping::Mapping;
use syscall::error::{EBUSY, EINVAL, ENODEV, ENOENT, Error, Result};

use crate::window::Windows;

const PAGE: u64 = 4096;

/// A claimed function.
pub(crate) struct Claim {
    function: Function,
    /// What its driver calls itself.
    driver: String,
    /// Registers and interrupts that were handed out.
    lent: Vec<Fd>,
    /// Memory that was.
    memory: Vec<Fd>,
    /// The MSI-X table and where in the mapping it begins, once an interrupt was asked for.
    table: Option<(Mapping, usize)>,
    /// The interrupts that were handed out: number and line.
    interrupts: Vec<(u16, u16)>,
}

impl Claim {
    /// Lets the device answer and reach memory.
    pub(crate) fn new(windows: &Windows, function: &Function, driver: &str) -> Result<Self> {
        let mut endpoint = endpoint(windows, function)?;
        let wanted = CommandRegister::MEMORY_ENABLE | CommandRegister::BUS_MASTER_ENABLE;
        endpoint.update_command(windows, |command| command | wanted);
        Ok(Self {
            function: function.clone(),
            driver: driver.to_owned(),
            lent: Vec::new(),
            memory: Vec::new(),
            table: None,
            interrupts: Vec::new(),
        })
    }

    /// What its driver calls itself.
    pub(crate) fn driver(&self) -> &str {
        &self.driver
    }

    /// The function.
    pub(crate) fn function(&self) -> &Function {
        &self.function
    }

    /// The function's name.
    pub(crate) fn name(&self) -> String {
        self.function.name()
    }

    /// The interrupts that were handed out: number and line.
    pub(crate) fn interrupts(&self) -> &[(u16, u16)] {
        &self.interrupts
    }

    /// Opens something for the driver: `barN`, `barN/OFFSET`, `dma/LENGTH`, `irq` or `irq/N`. This
    /// daemon keeps a descriptor of its own for the same file: what a device still writes to, or fires,
    /// must not become somebody else's because its driver is gone.
    pub(crate) fn open(&mut self, windows: &Windows, path: &str) -> Result<Fd> {
        if self.function.is_gone {
            return Err(Error::new(ENODEV));
        }
        let (what, rest) = path.split_once('/').unwrap_or((path, ""));
        let file = match what {
            "dma" => open(&format!("/scheme/memory/dma/{rest}"))?,
            "irq" if rest.is_empty() => self.interrupt(windows, 0, "")?,
            "irq" => {
                let (number, cpu) = rest.split_once('/').unwrap_or((rest, ""));
                self.interrupt(windows, number.parse().map_err(|_| Error::new(ENOENT))?, cpu)?
            }
            _ => self.registers(what, rest)?,
        };
        let drivers = Fd::new(file.dup(b"")?);
        match what {
            "dma" => self.memory.push(file),
            _ => self.lent.push(file),
        }
        Ok(drivers)
    }

    /// Pages that a base address register leads to, without those of the MSI-X table: who writes
    /// there chooses the interrupt that arrives.
    fn registers(&self, bar: &str, offset: &str) -> Result<Fd> {
        let bar = bar.strip_prefix("bar").and_then(|index| index.parse().ok());
        let offset = if offset.is_empty() { Some(0) } else { offset.parse().ok() };
        let (Some(index), Some(offset)) = (bar, offset) else { return Err(Error::new(ENOENT)) };
        let part = self.function.info.part(index, offset).map_err(Error::new)?;
        open(&format!("/scheme/memory/physical/{:#x}/{:#x}", part.address, part.length))
    }

    /// A line that the device's interrupt `number` makes fire, on the first CPU or, for messages, on
    /// `cpu`, as `cpu=1`.
    fn interrupt(&mut self, windows: &Windows, number: u16, cpu: &str) -> Result<Fd> {
        if self.interrupts.iter().any(|(taken, _)| *taken == number) {
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
        let (file, line) = match (msix, msi) {
            (Some(msix), _) if number < msix.table_size() => {
                self.by_msix(windows, msix, number, cpu)?
            }
            (None, Some(msi)) if number == 0 => by_msi(windows, msi, cpu)?,
            (None, None) if number == 0 && cpu.is_empty() => self.by_wire()?,
            _ => return Err(Error::new(EINVAL)),
        };
        self.interrupts.push((number, line));
        Ok(file)
    }

    fn by_msix(
        &mut self,
        windows: &Windows,
        mut msix: MsixCapability,
        number: u16,
        cpu: &str,
    ) -> Result<(Fd, u16)> {
        let Message { file, line, address, data } = message(cpu)?;
        let (table, start) = match &mut self.table {
            Some(table) => table,
            none => {
                let bar = self.function.info.bars.get(usize::from(msix.table_bar()));
                let start = bar.copied().flatten().ok_or(Error::new(ENODEV))?.address
                    + u64::from(msix.table_offset());
                let length = usize::from(msix.table_size()) * ENTRY as usize;
                none.insert(map_table(start, length)?)
            }
        };
        let entry = *start + usize::from(number) * ENTRY as usize;
        for (offset, value) in
            [(0, address as u32), (4, (address >> 32) as u32), (8, data), (12, 0)]
        {
            table.write(entry + offset, value);
        }
        msix.set_function_mask(false, windows);
        msix.set_enabled(true, windows);
        Ok((file, line))
    }

    /// The old way: the pin, wired to the line that firmware noted.
    fn by_wire(&self) -> Result<(Fd, u16)> {
        let line = self.function.info.line.ok_or(Error::new(ENODEV))?;
        Ok((open_line(&format!("{line}?shared"))?, line.into()))
    }

    /// The device is gone, whether the driver has let go of it or not.
    pub(crate) fn lose(&mut self) {
        self.function.is_gone = true;
    }

    /// Takes the device off the bus: it begins nothing more in memory and does not interrupt. The
    /// memory that it had is the caller's to keep.
    pub(crate) fn end(self, windows: &Windows) -> Vec<Fd> {
        if self.function.is_gone {
            // Another one may have its address, and it writes to memory no more.
            return Vec::new();
        }
        if let Ok(mut endpoint) = endpoint(windows, &self.function) {
            let master = CommandRegister::BUS_MASTER_ENABLE;
            endpoint.update_command(windows, |command| command - master);
            for capability in endpoint.capabilities(windows).take(48) {
                match capability {
                    PciCapability::MsiX(mut msix) => msix.set_enabled(false, windows),
                    PciCapability::Msi(msi) => msi.set_enabled(false, windows),
                    _ => {}
                }
            }
        }
        self.memory
    }
}

fn endpoint(windows: &Windows, function: &Function) -> Result<EndpointHeader> {
    let header = PciHeader::new(function.address);
    EndpointHeader::from_header(header, windows).ok_or(Error::new(ENODEV))
}

fn open(path: &str) -> Result<Fd> {
    Ok(Fd::open(path, O_RDWR | O_CLOEXEC, 0)?)
}

/// A line whose reader does not wait: it listens to more than one thing.
fn open_line(name: &str) -> Result<Fd> {
    Ok(Fd::open(&format!("/scheme/irq/{name}"), O_RDWR | O_CLOEXEC | O_NONBLOCK, 0)?)
}

/// A new line.
struct Message {
    file: Fd,
    line: u16,
    /// What a device has to write where to make it fire.
    address: u64,
    data: u32,
}

fn message(cpu: &str) -> Result<Message> {
    let wish = if cpu.is_empty() { "" } else { "?" };
    let file = open_line(&format!("msi{wish}{cpu}"))?;
    let teller = Fd::new(file.dup(b"message")?);
    let mut words = [0; 24];
    if teller.read(&mut words)? != words.len() {
        return Err(Error::new(ENODEV));
    }
    let word =
        |at: usize| words[at..at + 8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Ok(Message { file, line: word(16) as u16, address: word(0), data: word(8) as u32 })
}

/// Maps an MSI-X table, which need not begin on a page.
fn map_table(start: u64, length: usize) -> Result<(Mapping, usize)> {
    let skipped = start % PAGE;
    let length = (skipped + length as u64).next_multiple_of(PAGE);
    let file = open(&format!("/scheme/memory/physical/{:#x}/{length:#x}", start - skipped))?;
    Ok((Mapping::new(&file, 0, length as usize)?, skipped as usize))
}

fn by_msi(windows: &Windows, msi: MsiCapability, cpu: &str) -> Result<(Fd, u16)> {
    let Message { file, line, address, data } = message(cpu)?;
    msi.set_message_info(address, data, windows);
    msi.set_enabled(true, windows);
    Ok((file, line))
}
