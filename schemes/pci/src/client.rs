//! The driver's side: taking a function, and what it gets for it.

use std::ptr::NonNull;

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_DIRECTORY};
use syscall::error::{EIO, Error, Result};

use crate::info::Info;
use crate::mapping::Mapping;

/// What a driver writes to its claim once it has set its device back.
pub const SETTLED: &[u8] = b"settled";

/// What a driver reads there when the device is to be taken out.
pub const LEAVING: &[u8] = b"leaving";

/// Names of all functions, in the order of their addresses.
pub fn list() -> std::io::Result<Vec<String>> {
    let entries = std::fs::read_dir("/scheme/pci")?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// The list of functions, for an event queue: it becomes readable when one has come or gone since.
pub fn watch() -> Result<Fd> {
    Ok(Fd::open("/scheme/pci", O_DIRECTORY | O_CLOEXEC, 0)?)
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

/// An interrupt. Nothing about it waits.
pub struct Interrupt {
    line: Fd,
}

/// What an interrupt's count was; it is handed back when the device was looked after.
pub struct Fired([u8; 8]);

impl Interrupt {
    /// Whether it has fired since the last acknowledgement.
    pub fn fired(&self) -> Option<Fired> {
        let mut count = [0; 8];
        self.line.read(&mut count).is_ok().then_some(Fired(count))
    }

    /// Lets it fire again. The device has been looked after, and so quieted.
    pub fn acknowledge(&self, Fired(count): Fired) {
        // It may have fired again in between. Then this is refused, and an event tells.
        let _again = self.line.write(&count);
    }

    /// Its descriptor, for an event queue.
    pub fn descriptor(&self) -> usize {
        self.line.raw()
    }
}

impl Device {
    /// Takes over a claim on the function called `name` that another process has made and handed
    /// down.
    pub fn inherit(name: &str, claim: usize) -> Result<Self> {
        let info = info(name).map_err(|_| Error::new(EIO))?;
        Ok(Self { claim: Fd::new(claim), info })
    }

    fn open(&self, what: &str) -> Result<Fd> {
        Ok(Fd::new(self.claim.dup(what.as_bytes())?))
    }

    /// The descriptor of the claim. It becomes readable when the daemon that gave it is gone, or the
    /// device is to be taken out.
    pub fn descriptor(&self) -> usize {
        self.claim.raw()
    }

    /// Whether the device is to be taken out: it is when its driver has let go of it.
    pub fn is_leaving(&self) -> bool {
        let mut word = [0; LEAVING.len()];
        self.claim.read(&mut word).is_ok_and(|length| word[..length] == *LEAVING)
    }

    /// Says that the device has been set back: what drivers before had lent it is given up.
    pub fn settled(&self) -> Result<()> {
        self.claim.write(SETTLED)?;
        Ok(())
    }

    /// The function's configuration space, to read.
    pub fn config(&self) -> Result<Vec<u8>> {
        let (file, mut bytes) = (self.open("config")?, vec![0; 4096]);
        let length = file.read(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The registers of a base address register around `offset`: the mapping, and at which offset
    /// it begins.
    pub fn registers(&self, index: usize, offset: u64) -> Result<(Mapping, i64)> {
        let part = self.info.part(index, offset).map_err(Error::new)?;
        let file = self.open(&format!("bar{index}/{offset}"))?;
        Ok((Mapping::new(&file, 0, part.length as usize)?, part.offset))
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
