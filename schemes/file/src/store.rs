//! Between RedoxFS and the disk: a cache of blocks, long writes, and the order of writes.
//!
//! The first 256 blocks of a file system are its headers. Before a header is written everything
//! before it must have reached the disk, and whoever asked for the commit may hear of it only
//! when the header has.

use std::collections::BTreeMap;

use redoxfs::{BLOCK_SIZE, Disk, HEADER_RING, Header};
use syscall::error::{EINVAL, EIO, ENOENT, Error, Result};

const BLOCK: usize = BLOCK_SIZE as usize;
/// Blocks in each half of the cache: 8 MiB.
const CACHED: usize = 2048;
/// The longest write to the disk.
const LONGEST: usize = 1 << 20;

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

/// Blocks used lately. When the young half is full it becomes the old one, and the old one is
/// forgotten; a block that is used again becomes young again.
#[derive(Default)]
struct Cache {
    young: BTreeMap<u64, Box<[u8]>>,
    old: BTreeMap<u64, Box<[u8]>>,
}

impl Cache {
    fn get(&mut self, block: u64) -> Option<&[u8]> {
        if let Some(bytes) = self.old.remove(&block) {
            self.put(block, bytes);
        }
        self.young.get(&block).map(|bytes| &**bytes)
    }

    fn put(&mut self, block: u64, bytes: Box<[u8]>) {
        if self.young.len() == CACHED {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&block);
        self.young.insert(block, bytes);
    }
}

/// A disk as RedoxFS wants it.
pub struct Store<B> {
    backing: B,
    cache: Cache,
    /// Neighbouring blocks that are written at once, and where the first belongs.
    gathered: Vec<u8>,
    gathered_at: u64,
}

impl<B: Backing> Store<B> {
    /// Takes over a disk.
    pub fn new(backing: B) -> Self {
        Self { backing, cache: Cache::default(), gathered: Vec::new(), gathered_at: 0 }
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

    fn remember(&mut self, block: u64, bytes: &[u8]) {
        for (block, bytes) in (block..).zip(bytes.chunks_exact(BLOCK)) {
            self.cache.put(block, bytes.into());
        }
    }

    fn read_cached(&mut self, block: u64, into: &mut [u8]) -> bool {
        for (block, into) in (block..).zip(into.chunks_exact_mut(BLOCK)) {
            match self.cache.get(block) {
                Some(bytes) => into.copy_from_slice(bytes),
                None => return false,
            }
        }
        true
    }
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
        if !self.read_cached(block, into) {
            self.let_go()?;
            self.backing.read(block * BLOCK_SIZE, into)?;
            self.remember(block, into);
        }
        Ok(into.len())
    }

    unsafe fn write_at(&mut self, block: u64, from: &[u8]) -> Result<usize> {
        if !from.len().is_multiple_of(BLOCK) {
            return Err(Error::new(EINVAL));
        }
        self.remember(block, from);
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
