//! Between RedoxFS and the disk: a cache of single blocks, long writes, and the order of writes.
//!
//! Only single blocks are kept, which are what leads to the data; records are kept decoded
//! elsewhere ([`crate::cache`]), and go from there and to there without a copy. Nothing is kept
//! twice.
//!
//! The first 256 blocks of a file system are its headers. Before a header is written everything
//! before it must have reached the disk, and whoever asked for the commit may hear of it only
//! when the header has.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;

use redoxfs::{BLOCK_SIZE, BlockPtr, Disk, FileSystem, HEADER_RING, Header, RECORD_SIZE};
use syscall::error::{EINVAL, EIO, ENOENT, ENOSPC, Error, Result};

use crate::cache::Lately;
use crate::free;
use crate::hands::{Hands, Ticket};
use crate::record::{LENGTH, Record, Sealed};

const BLOCK: usize = BLOCK_SIZE as usize;
/// Blocks of a record.
const RECORD: u64 = RECORD_SIZE / BLOCK_SIZE;
/// Blocks in each half of the cache: 8 MiB.
const CACHED: usize = 2048;
/// The longest write to the disk of what is gathered.
const LONGEST: usize = 1 << 20;
/// So many bytes are written as they are.
const LONG: usize = 64 << 10;

/// Records that are read or written at once at most.
pub const RUN: usize = LONGEST / LENGTH;
/// Records that are read ahead at most.
const AHEAD: usize = 4 * RUN;

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

/// A disk as RedoxFS wants it. Copies are the same disk.
pub struct Store<B>(Rc<RefCell<Inner<B>>>);

impl<B> Clone for Store<B> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

struct Inner<B> {
    backing: B,
    /// Single blocks.
    cache: Lately<u64, Box<[u8]>>,
    /// Neighbouring blocks that are written at once, and where the first belongs.
    gathered: Vec<u8>,
    gathered_at: u64,
    /// Threads that read and write records meanwhile.
    hands: Option<Hands>,
    /// Records for them to write that lie one behind the other here and on the disk, and their block.
    run: Vec<Record>,
    run_at: u64,
    /// What they read, and have read, by block.
    ahead: BTreeMap<u64, Ticket>,
    came: BTreeMap<u64, Sealed>,
    /// The only header that is shown, while the file system is being opened.
    shown: Option<(u64, Header)>,
}

/// A disk that takes and gives whole records without a copy. Nothing is committed where they are
/// written.
pub trait Records: Disk + Clone {
    /// Reads a record.
    fn read_record(&mut self, block: u64) -> Result<Sealed>;
    /// Writes a record. Should that fail, it may show only when a header is written.
    fn write_record(&mut self, block: u64, record: &Record) -> Result<()>;
    /// Says that so many records, one behind the other, will be read soon.
    fn expect(&mut self, block: u64, count: usize);
}

impl<B: Backing> Store<B> {
    /// Takes over a disk.
    pub fn new(backing: B) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            backing,
            cache: Lately::new(CACHED),
            gathered: Vec::new(),
            gathered_at: 0,
            hands: None,
            run: Vec::new(),
            run_at: 0,
            ahead: BTreeMap::new(),
            came: BTreeMap::new(),
            shown: None,
        })))
    }

    /// Has records read and written by threads from now on.
    pub fn set_hands(&self, hands: Hands) {
        self.0.borrow_mut().hands = Some(hands);
    }

    /// The transaction is given up: what it has written or not is of no account.
    pub fn abandon(&self) {
        let mut inner = self.0.borrow_mut();
        inner.gathered.clear();
        inner.run.clear();
        let _of_no_account = inner.settle();
    }

    /// The newest valid header and its block; `ENOENT` when there is no file system that begins where
    /// the disk begins.
    fn find_header(&self) -> Result<(u64, Header)> {
        let mut bytes = vec![0; HEADER_RING as usize * BLOCK];
        let mut backing = self.backing();
        if backing.size()? < bytes.len() as u64 {
            return Err(Error::new(ENOENT));
        }
        backing.read(0, &mut bytes)?;
        let mut headers: Vec<(u64, u64)> = Vec::new();
        let header = |block: u64| {
            let mut header = Header::default();
            header.copy_from_slice(&bytes[block as usize * BLOCK..][..BLOCK]);
            header
        };
        for block in 0..HEADER_RING {
            let generation = header(block).generation();
            if generation % HEADER_RING == block {
                headers.push((generation, block));
            }
        }
        headers.sort_unstable();
        let mut newest_first = headers.into_iter().rev().map(|(_, block)| (block, header(block)));
        newest_first.find(|(_, header)| header.valid()).ok_or(Error::new(ENOENT))
    }

    /// Has RedoxFS see one header, and no other; or what there is again.
    fn show_only(&self, header: Option<(u64, Header)>) {
        self.0.borrow_mut().shown = header;
    }

    /// What the store stands on.
    pub fn backing(&self) -> RefMut<'_, B> {
        RefMut::map(self.0.borrow_mut(), |inner| &mut inner.backing)
    }
}

impl<B: Backing> Inner<B> {
    /// Waits until nothing is being written any more in these blocks.
    fn wait_for(&mut self, block: u64, length: usize) -> Result<()> {
        match &mut self.hands {
            Some(hands) if hands.is_writing(block * BLOCK_SIZE, length) => hands.settle(),
            _ => Ok(()),
        }
    }

    /// Waits until nothing is being written any more.
    fn settle(&mut self) -> Result<()> {
        self.hands.as_mut().map_or(Ok(()), Hands::settle)
    }

    /// Forgets what was read ahead in blocks that are written.
    fn forget(&mut self, block: u64, length: usize) {
        let end = block + (length / BLOCK) as u64;
        let first = |blocks: u64| (block + 1).saturating_sub(blocks);
        let was =
            |map: &BTreeMap<u64, Sealed>| map.range(first(RECORD)..end).next().map(|(at, _)| *at);
        while let Some(at) = was(&self.came) {
            self.came.remove(&at);
        }
        // Where a run ends is not known; all that may reach so far are forgotten.
        let reach = first(RECORD * RUN as u64);
        while let Some((&at, &ticket)) = self.ahead.range(reach..end).next() {
            self.ahead.remove(&at);
            if let Some(hands) = &mut self.hands {
                hands.forget(ticket);
            }
        }
    }

    /// The record at a block, if it was read ahead.
    fn take_ahead(&mut self, block: u64) -> Option<Sealed> {
        if let Some(record) = self.came.remove(&block) {
            return Some(record);
        }
        let (&at, &ticket) = self.ahead.range(..=block).next_back()?;
        let number = (block - at) / RECORD;
        if number >= RUN as u64 || !(block - at).is_multiple_of(RECORD) {
            return None;
        }
        self.ahead.remove(&at);
        let records = self.hands.as_mut()?.finish_read(ticket).ok()?;
        self.came.extend((at..).step_by(RECORD as usize).zip(records));
        self.came.remove(&block)
    }

    fn fits(&mut self, block: u64, length: usize) -> bool {
        let end = block.checked_mul(BLOCK_SIZE).and_then(|at| at.checked_add(length as u64));
        end.is_some_and(|end| self.backing.size().is_ok_and(|size| end <= size))
    }

    /// Writes what was gathered, and has the run of records written.
    fn let_go(&mut self) -> Result<()> {
        self.send_run()?;
        if !self.gathered.is_empty() {
            self.wait_for(self.gathered_at, self.gathered.len())?;
            self.backing.write(self.gathered_at * BLOCK_SIZE, &self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    /// Has the hands write the run of records.
    fn send_run(&mut self) -> Result<()> {
        if self.run.is_empty() {
            return Ok(());
        }
        self.wait_for(self.run_at, self.run.len() * LENGTH)?;
        let run = std::mem::take(&mut self.run);
        let hands = self.hands.as_mut().ok_or(Error::new(EIO))?;
        hands.write(self.run_at * BLOCK_SIZE, run)
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

    fn read(&mut self, block: u64, into: &mut [u8]) -> Result<()> {
        if !self.fits(block, into.len()) {
            // A pointer of a damaged file system.
            return Err(Error::new(EIO));
        }
        if let Some((shown, header)) = &self.shown
            && block < HEADER_RING
            && into.len() == BLOCK
        {
            match block == *shown {
                true => into.copy_from_slice(header),
                false => into.fill(0),
            }
            return Ok(());
        }
        if into.len() == BLOCK
            && let Some(bytes) = self.cache.get(block)
        {
            into.copy_from_slice(bytes);
            return Ok(());
        }
        self.let_go()?;
        self.wait_for(block, into.len())?;
        self.backing.read(block * BLOCK_SIZE, into)?;
        if into.len() == BLOCK {
            self.cache.put(block, (&*into).into());
        }
        Ok(())
    }

    fn write(&mut self, block: u64, from: &[u8]) -> Result<()> {
        if from.len() == BLOCK {
            self.cache.put(block, from.into());
        }
        self.forget(block, from.len());
        if block < HEADER_RING {
            self.let_go()?;
            self.settle()?;
            self.backing.flush()?;
            self.backing.write(block * BLOCK_SIZE, from)?;
            self.backing.flush()
        } else if from.len() >= LONG {
            self.let_go()?;
            self.wait_for(block, from.len())?;
            self.backing.write(block * BLOCK_SIZE, from)
        } else {
            self.gather(block, from)
        }
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
    let system = FileSystem::create(Store::new(backing), None, seconds, nanoseconds)?;
    system.disk.backing().flush()
}

/// A header that leads to no log of free blocks: those are read by [`free`].
fn without_log(mut header: Header) -> Header {
    header.alloc = BlockPtr::default();
    // Computing the hash anew counts the generation up.
    header.generation = header.generation().wrapping_sub(1).into();
    header.update(None);
    header
}

/// Opens the file system that is on a disk; with `cleanup`, what was removed and still open when it
/// was last used goes.
///
/// # Errors
/// `ENOENT`: there is none. `EIO`: it is damaged, or longer than the disk.
pub fn mount<B: Backing>(backing: B, cleanup: bool) -> Result<FileSystem<Store<B>>> {
    let store = Store::new(backing);
    let (block, header) = store.find_header()?;
    // Every commit counts the generation up, and there has been one.
    let is_odd = header.encrypted() || header.generation() == 0;
    if is_odd || header.size() > store.backing().size()? {
        return Err(Error::new(EIO));
    }
    let damaged = |error: Error| if error.errno == ENOSPC { error } else { Error::new(EIO) };
    store.show_only(Some((block, without_log(header))));
    let mut system = FileSystem::open(store, None, Some(block), false).map_err(damaged)?;
    system.disk.show_only(None);
    system.header = header;
    free::restore(&mut system).map_err(damaged)?;
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
        self.0.borrow_mut().read(block, into).map(|()| into.len())
    }

    unsafe fn write_at(&mut self, block: u64, from: &[u8]) -> Result<usize> {
        if !from.len().is_multiple_of(BLOCK) {
            return Err(Error::new(EINVAL));
        }
        // A transaction writes nothing where a record has been written past it.
        if !from.is_empty() {
            self.0.borrow_mut().write(block, from)?;
        }
        Ok(from.len())
    }

    fn size(&mut self) -> Result<u64> {
        self.backing().size()
    }
}

impl<B: Backing> Records for Store<B> {
    fn read_record(&mut self, block: u64) -> Result<Sealed> {
        let mut inner = self.0.borrow_mut();
        if let Some(record) = inner.take_ahead(block) {
            return Ok(record);
        }
        let mut record = Record::unfilled();
        inner.read(block, &mut record)?;
        Ok(Sealed::new(record))
    }

    fn write_record(&mut self, block: u64, record: &Record) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        if inner.hands.is_none() || block < HEADER_RING {
            return inner.write(block, record);
        }
        inner.forget(block, LENGTH);
        let follows = block == inner.run_at + inner.run.len() as u64 * RECORD
            && inner.run.last().is_some_and(|last| last.is_before(record));
        // What is gathered comes first: it may be for the same blocks.
        if !follows || !inner.gathered.is_empty() {
            inner.let_go()?;
            inner.run_at = block;
        }
        inner.run.push(record.lend());
        if inner.run.len() == RUN { inner.send_run() } else { Ok(()) }
    }

    fn expect(&mut self, block: u64, count: usize) {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        let length = count * LENGTH;
        if !inner.fits(block, length)
            || inner.let_go().and_then(|()| inner.wait_for(block, length)).is_err()
        {
            return;
        }
        let Some(hands) = &mut inner.hands else { return };
        if inner.ahead.len() * RUN + inner.came.len() + count > AHEAD {
            // Nobody came for them.
            std::mem::take(&mut inner.ahead).into_values().for_each(|old| hands.forget(old));
            inner.came.clear();
        }
        let into = Record::unfilled_run(count.min(RUN));
        inner.ahead.insert(block, hands.begin_read(block * BLOCK_SIZE, into));
    }
}
