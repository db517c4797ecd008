//! Blocks of a FAT volume in memory, as the byte stream that `fatfs` wants.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes in a block.
const BLOCK: usize = 4096;
/// Blocks that are kept: 8 MiB.
const KEPT: usize = 2048;

/// What the volume stands on.
pub trait Backing {
    /// Reads at an offset, all of it.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()>;
    /// Writes at an offset, all of it.
    fn write(&mut self, offset: u64, from: &[u8]) -> io::Result<()>;
    /// Returns when what was written before is safe from a power cut.
    fn flush(&mut self) -> io::Result<()>;
    /// How many bytes there are.
    fn size(&self) -> u64;
}

struct Block {
    bytes: Box<[u8]>,
    is_changed: bool,
}

/// A volume.
pub struct Disk<B> {
    backing: B,
    blocks: BTreeMap<u64, Block>,
    at: u64,
    /// Steps that the request may still make.
    fuel: u64,
    changed: usize,
}

impl<B: Backing> Disk<B> {
    /// Takes over what the volume stands on.
    pub fn new(backing: B) -> Self {
        let mut disk = Self { backing, blocks: BTreeMap::new(), at: 0, fuel: 0, changed: 0 };
        disk.refuel(0);
        disk
    }

    /// A new request begins, which moves so many bytes. No honest one looks at the whole volume
    /// more than a few times.
    pub fn refuel(&mut self, bytes: usize) {
        self.fuel = (self.backing.size() / 64 + 100_000).saturating_add(bytes as u64);
    }

    /// Whether something is to be written.
    pub fn is_changed(&self) -> bool {
        self.changed > 0
    }

    /// Writes what was changed, in the order of the disk.
    pub fn write_back(&mut self) -> io::Result<()> {
        for (number, block) in self.blocks.iter_mut().filter(|(_, block)| block.is_changed) {
            self.backing.write(number * BLOCK as u64, &block.bytes)?;
            block.is_changed = false;
            self.changed -= 1;
        }
        Ok(())
    }

    /// The same, and returns when it is safe.
    pub fn sync(&mut self) -> io::Result<()> {
        self.write_back()?;
        self.backing.flush()
    }

    fn block(&mut self, number: u64) -> io::Result<&mut Block> {
        self.fuel = self.fuel.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
        if !self.blocks.contains_key(&number) {
            if self.blocks.len() >= KEPT {
                self.write_back()?;
                self.blocks.clear();
            }
            let start = number * BLOCK as u64;
            let length = (self.backing.size() - start).min(BLOCK as u64) as usize;
            let mut bytes = vec![0; length].into_boxed_slice();
            self.backing.read(start, &mut bytes)?;
            self.blocks.insert(number, Block { bytes, is_changed: false });
        }
        self.blocks.get_mut(&number).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The block of the position, the place in it, and how much of `length` is there.
    fn place(&self, length: usize) -> (u64, usize, usize) {
        let start = (self.at % BLOCK as u64) as usize;
        let rest = self.backing.size().saturating_sub(self.at);
        let count = length.min(BLOCK - start).min(usize::try_from(rest).unwrap_or(usize::MAX));
        (self.at / BLOCK as u64, start, count)
    }
}

impl<B: Backing> Read for Disk<B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (number, start, count) = self.place(into.len());
        if count > 0 {
            let block = self.block(number)?;
            into[..count].copy_from_slice(&block.bytes[start..start + count]);
            self.at += count as u64;
        }
        Ok(count)
    }
}

impl<B: Backing> Write for Disk<B> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let (number, start, count) = self.place(from.len());
        if count > 0 {
            let block = self.block(number)?;
            block.bytes[start..start + count].copy_from_slice(&from[..count]);
            let is_new = !std::mem::replace(&mut block.is_changed, true);
            self.changed += usize::from(is_new);
            self.at += count as u64;
        }
        Ok(count)
    }

    /// `fatfs` calls this for every file; what it wants kept is written by [`Disk::sync`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<B: Backing> Seek for Disk<B> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.backing.size().checked_add_signed(back),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A disk that `fatfs` owns and the tree can still reach.
pub struct Shared<B>(pub std::rc::Rc<std::cell::RefCell<Disk<B>>>);

impl<B> Clone for Shared<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backing> Read for Shared<B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(into)
    }
}

impl<B: Backing> Write for Shared<B> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<B: Backing> Seek for Shared<B> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.borrow_mut().seek(to)
    }
}
