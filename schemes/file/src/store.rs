//! Between RedoxFS and the disk: a cache of single blocks, reading ahead, long writes, and the order
//! of writes.
//!
//! Only single blocks are kept, which are what leads to the data; records are kept decoded
//! elsewhere ([`crate::cache`]). Nothing is kept twice.
//!
//! The first 256 blocks of a file system are its headers. Before a header is written everything
//! before it must have reached the disk, and whoever asked for the commit may hear of it only
//! when the header has.

use redoxfs::{BLOCK_SIZE, Disk, FileSystem, HEADER_RING, Header};
use syscall::error::{EINVAL, EIO, ENOENT, ENOSPC, Error, Result};

use crate::cache::Lately;

const BLOCK: usize = BLOCK_SIZE as usize;
/// Blocks in each half of the cache: 8 MiB.
const CACHED: usize = 2048;
/// The longest write to the disk, and how much is read ahead.
const LONGEST: usize = 1 << 20;
/// Fewer blocks are no sign of a long read.
const LONG: usize = 2;

/// What the store stands on.
pub trait Backing {
    /// Reads at an offset, all of it.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()>;
    /// Writes at an offset, all of it.
    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()>;
    /// Returns when what was written before is safe from a power cut.
    fn flush(&mut self) -> Result<()>;
    /// How many bytes there are.
    fn size(&mut self) -> Result<u64>;
}

/// A disk as RedoxFS wants it.
pub struct Store<B> {
    backing: B,
    /// Single blocks.
    cache: Lately<u64, Box<[u8]>>,
    /// Neighbouring blocks that are written at once, and where the first belongs.
    gathered: Vec<u8>,
    gathered_at: u64,
    ahead: Ahead,
}

/// What was read ahead.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    /// Block of the first byte.
    at: u64,
    /// Where the last long read ended.
    next: u64,
}

impl Ahead {
    /// The bytes from `block` on, if all of them are here.
    fn find(&self, block: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(block.checked_sub(self.at)?).ok()?.checked_mul(BLOCK)?;
        self.bytes.get(start..start.checked_add(length)?)
    }

    /// Forgets everything if any of these blocks is among it.
    fn forget(&mut self, block: u64, length: usize) {
        let (end, own_end) =
            (block + (length / BLOCK) as u64, self.at + (self.bytes.len() / BLOCK) as u64);
        if block < own_end && self.at < end {
            self.bytes.clear();
        }
    }
}

impl<B: Backing> Store<B> {
    /// Takes over a disk.
    pub fn new(backing: B) -> Self {
        Self {
            backing,
            cache: Lately::new(CACHED),
            gathered: Vec::new(),
            gathered_at: 0,
            ahead: Ahead::default(),
        }
    }

    /// The block of a valid header, by which RedoxFS finds all others; `ENOENT` when there is no
    /// file system that begins where the disk begins.
    pub fn find_header(&mut self) -> Result<u64> {
        let mut headers = vec![0; HEADER_RING as usize * BLOCK];
        if self.backing.size()? < headers.len() as u64 {
            return Err(Error::new(ENOENT));
        }
        self.backing.read(0, &mut headers)?;
        for (block, bytes) in headers.chunks_exact(BLOCK).enumerate() {
            let mut header = Header::default();
            header.copy_from_slice(bytes);
            let block = block as u64;
            if header.valid() && header.generation() % HEADER_RING == block {
                return Ok(block);
            }
        }
        Err(Error::new(ENOENT))
    }

    /// What the store stands on.
    pub fn backing(&mut self) -> &mut B {
        &mut self.backing
    }

    /// Writes what was gathered.
    fn let_go(&mut self) -> Result<()> {
        if !self.gathered.is_empty() {
            self.backing.write(self.gathered_at * BLOCK_SIZE, &self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    fn gather(&mut self, block: u64, bytes: &[u8]) -> Result<()> {
        let next = self.gathered_at + (self.gathered.len() / BLOCK) as u64;
        if block != next || self.gathered.len() + bytes.len() > LONGEST {
            self.let_go()?;
        }
        if self.gathered.is_empty() {
            self.gathered_at = block;
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads several blocks. When they follow those of the last time, so many more that the next
    /// times need no disk.
    fn read_long(&mut self, block: u64, into: &mut [u8]) -> Result<()> {
        let count = (into.len() / BLOCK) as u64;
        let follows = std::mem::replace(&mut self.ahead.next, block + count) == block;
        if let Some(bytes) = self.ahead.find(block, into.len()) {
            into.copy_from_slice(bytes);
            return Ok(());
        }
        let rest = (self.backing.size()? / BLOCK_SIZE).saturating_sub(block) as usize;
        let longest = rest.min(LONGEST / BLOCK) * BLOCK;
        if !follows || longest <= into.len() {
            return self.backing.read(block * BLOCK_SIZE, into);
        }
        self.ahead.bytes.clear();
        let mut bytes = std::mem::take(&mut self.ahead.bytes);
        bytes.resize(longest, 0);
        self.backing.read(block * BLOCK_SIZE, &mut bytes)?;
        into.copy_from_slice(&bytes[..into.len()]);
        (self.ahead.bytes, self.ahead.at) = (bytes, block);
        Ok(())
    }
}

/// Makes an empty file system. The headers of one that was there before go first: some may be newer
/// than any of this one's, and would lead to what is no longer there.
///
/// # Errors
/// `ENOSPC`: the disk is too small. What the disk says.
pub fn make<B: Backing>(mut backing: B, seconds: u64, nanoseconds: u32) -> Result<()> {
    let headers = (HEADER_RING as usize * BLOCK) as u64;
    let length = backing.size()?.min(headers);
    backing.write(0, &vec![0; length as usize])?;
    backing.flush()?;
    let mut system = FileSystem::create(Store::new(backing), None, seconds, nanoseconds)?;
    system.disk.backing.flush()
}

/// Opens the file system that is on a disk; with `cleanup`, what was removed and still open when it
/// was last used goes.
///
/// # Errors
/// `ENOENT`: there is none. `EIO`: it is damaged, or longer than the disk.
pub fn mount<B: Backing>(backing: B, cleanup: bool) -> Result<FileSystem<Store<B>>> {
    let mut store = Store::new(backing);
    let header = store.find_header()?;
    let size = store.backing.size()?;
    let system = FileSystem::open(store, None, Some(header), false)
        .map_err(|error| if error.errno == ENOSPC { error } else { Error::new(EIO) });
    let mut system = system?;
    if system.header.size() > size {
        return Err(Error::new(EIO));
    }
    if cleanup {
        system.cleanup()?;
    }
    Ok(system)
}

impl<B: Backing> Disk for Store<B> {
    unsafe fn read_at(&mut self, block: u64, into: &mut [u8]) -> Result<usize> {
        if !into.len().is_multiple_of(BLOCK) {
            return Err(Error::new(EINVAL));
        }
        let end = block.checked_mul(BLOCK_SIZE).and_then(|at| at.checked_add(into.len() as u64));
        if end.is_none_or(|end| self.backing.size().is_ok_and(|size| end > size)) {
            // A pointer of a damaged file system.
            return Err(Error::new(EIO));
        }
        if into.len() == BLOCK
            && let Some(bytes) = self.cache.get(block)
        {
            into.copy_from_slice(bytes);
            return Ok(into.len());
        }
        self.let_go()?;
        if into.len() >= LONG * BLOCK {
            self.read_long(block, into)?;
        } else {
            self.backing.read(block * BLOCK_SIZE, into)?;
            self.cache.put(block, (&*into).into());
        }
        Ok(into.len())
    }

    unsafe fn write_at(&mut self, block: u64, from: &[u8]) -> Result<usize> {
        if !from.len().is_multiple_of(BLOCK) {
            return Err(Error::new(EINVAL));
        }
        if from.len() == BLOCK {
            self.cache.put(block, from.into());
        }
        self.ahead.forget(block, from.len());
        if block >= HEADER_RING {
            self.gather(block, from)?;
        } else {
            self.let_go()?;
            self.backing.flush()?;
            self.backing.write(block * BLOCK_SIZE, from)?;
            self.backing.flush()?;
        }
        Ok(from.len())
    }

    fn size(&mut self) -> Result<u64> {
        self.backing.size()
    }
}
