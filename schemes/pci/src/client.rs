//! The driver's side: taking a function, and what it gets for it.

use std::ptr::NonNull;

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDWR};
use syscall::error::{EIO, ENOENT, Error, Result};

use crate::info::Info;
use crate::mapping::Mapping;

const PAGE: u64 = 4096;

/// Names of all functions, in the order of their addresses.
pub fn list() -> std::io::Result<Vec<String>> {
    let entries = std::fs::read_dir("/scheme/pci")?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// What the daemon tells about a function.
pub fn info(name: &str) -> std::io::Result<Info> {
    let text = std::fs::read_to_string(format!("/scheme/pci/{name}/info"))?;
    Info::parse(&text).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// A function that is this driver's until it is dropped.
pub struct Device {
    claim: Fd,
    /// What it is.
    pub info: Info,
}

/// Memory that the device and the driver both see, in one piece.
#[derive(Debug)]
pub struct Dma {
    memory: Mapping,
    physical: u64,
}

impl Dma {
    /// Where the driver sees it.
    pub fn start(&self) -> NonNull<u8> {
        self.memory.start()
    }

    /// Where the device sees it.
    pub fn physical(&self) -> u64 {
        self.physical
    }

    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.memory.length()
    }
}

/// An interrupt.
pub struct Interrupt {
    line: Fd,
}

impl Interrupt {
    /// Waits until it has fired since the last time.
    pub fn wait(&self) -> Result<()> {
        let mut count = [0; 8];
        self.line.read(&mut count)?;
        // It may have fired again in between; then the next wait ends at once.
        let _again = self.line.write(&count);
        Ok(())
    }

    /// Its descriptor, for an event queue.
    pub fn descriptor(&self) -> usize {
        self.line.raw()
    }
}

impl Device {
    /// Takes the function called `name`.
    pub fn claim(name: &str) -> Result<Self> {
        let info = info(name).map_err(|_| Error::new(EIO))?;
        let claim = Fd::open(&format!("/scheme/pci/{name}/claim"), O_RDWR | O_CLOEXEC, 0)?;
        Ok(Self { claim, info })
    }

    fn open(&self, what: &str) -> Result<Fd> {
        Ok(Fd::new(self.claim.dup(what.as_bytes())?))
    }

    /// The registers of a base address register: the mapping, and where in it they begin.
    pub fn registers(&self, index: usize) -> Result<(Mapping, usize)> {
        let bar = self.info.bars.get(index).copied().flatten().ok_or(Error::new(ENOENT))?;
        let skipped = bar.address % PAGE;
        let length = (skipped + bar.size).next_multiple_of(PAGE);
        let file = self.open(&format!("bar{index}"))?;
        Ok((Mapping::new(&file, 0, length as usize)?, skipped as usize))
    }

    /// So many bytes of memory that the device may reach, zeroed.
    pub fn dma(&self, length: usize) -> Result<Dma> {
        let file = self.open(&format!("dma/{length}"))?;
        let mut physical = [0; 8];
        if file.read(&mut physical)? != physical.len() {
            return Err(Error::new(EIO));
        }
        let memory = Mapping::new(&file, 0, length)?;
        Ok(Dma { memory, physical: u64::from_ne_bytes(physical) })
    }

    /// Interrupt `number` of the function.
    pub fn interrupt(&self, number: u16) -> Result<Interrupt> {
        Ok(Interrupt { line: self.open(&format!("irq/{number}"))? })
    }
}
