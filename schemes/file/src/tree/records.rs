//! Records between the cache and the disk.
//!
//! RedoxFS copies a record three times on its way to the disk, and twice on its way back. So the
//! records of files are read and written here, each straight from or to its buffer, in RedoxFS's
//! format: the transaction gives out the places and keeps the pointers. Nothing leads to what is
//! written before the transaction's end, so it may reach the disk at any time before that.
//!
//! What is kept in the node itself, and whatever does not have records of the usual length, goes
//! RedoxFS's own way.

use std::ops::{Deref, DerefMut};

use redoxfs::{
    BLOCK_SIZE, BlockAddr, BlockData, BlockLevel, BlockList, BlockMeta, BlockPtr, BlockTrait, Node,
    NodeFlags, NodeLevel, RECORD_SIZE, RecordRaw, TreeData,
};
use syscall::error::{EFBIG, EIO, Error, Result};

use super::Tree;
use crate::pack::{level_for, unpack};
use crate::record::{LENGTH, Record, Sealed};
use crate::store::{RUN, Records};

/// Blocks of a record.
const BLOCKS: u64 = RECORD_SIZE / BLOCK_SIZE;

/// What a transaction is given to write where a record's place is wanted.
struct Nothing;

impl Deref for Nothing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &[]
    }
}

// SAFETY: the transaction writes as many bytes as there are, none; the record is written elsewhere.
unsafe impl BlockTrait for Nothing {
    fn empty(_: BlockLevel) -> Option<Self> {
        Some(Self)
    }
}

/// Whether a file's data is in records of the usual length.
pub(super) fn has_records(node: &Node) -> bool {
    !node.has_inline_data() && node.record_level().bytes() == RECORD_SIZE
}

/// Whether a record is on the disk as it is.
fn is_whole(place: BlockAddr) -> bool {
    place.decomp_level().is_none() && place.level().bytes() == RECORD_SIZE
}

impl<D: Records> Tree<'_, '_, D> {
    /// A record, with zeroes behind the file's end.
    pub(super) fn read_record(&mut self, node: &TreeData<Node>, index: u64) -> Result<Record> {
        let mut record = self.read_whole_record(node, index)?;
        let rest = node.data().size().saturating_sub(index * RECORD_SIZE);
        record[rest.min(RECORD_SIZE) as usize..].fill(0);
        Ok(record)
    }

    /// A record, with what is behind the file's end.
    pub(super) fn read_whole_record(
        &mut self,
        node: &TreeData<Node>,
        index: u64,
    ) -> Result<Record> {
        if !has_records(node.data()) {
            let mut record = Record::zeroed();
            self.tx.read_node_inner(node, index * RECORD_SIZE, &mut record)?;
            return Ok(record);
        }
        let pointer = self.pointer(node, index)?;
        let place = pointer.addr();
        if pointer.is_null() {
            return Ok(Record::zeroed());
        }
        if is_whole(place) {
            let Sealed { record, seal } = self.disk.read_record(place.index())?;
            return if seal == pointer.hash() { Ok(record) } else { Err(Error::new(EIO)) };
        }
        let block = self.read_block(pointer)?;
        let mut record = Record::unfilled();
        match place.decomp_level() {
            None => {
                record[..block.data().len()].copy_from_slice(block.data());
                record[block.data().len()..].fill(0);
            }
            Some(level) => {
                let into = record.get_mut(..level.bytes() as usize).ok_or(Error::new(EIO))?;
                if !unpack(block.data(), into) {
                    return Err(Error::new(EIO));
                }
                record[level.bytes() as usize..].fill(0);
            }
        }
        Ok(record)
    }

    /// Writes a record, whose first `length` bytes are the file's.
    pub(super) fn write_record(
        &mut self,
        node: &mut TreeData<Node>,
        index: u64,
        record: &mut Record,
        length: usize,
    ) -> Result<()> {
        let mut offset = index * RECORD_SIZE;
        if let Some(room) = node.data().inline_data().map(<[u8]>::len)
            && offset + length as u64 >= room as u64
        {
            // Nothing, written at the end of what a node holds, moves that out into records.
            self.tx.write_node_inner(node, &mut (room as u64), &[])?;
        }
        if !has_records(node.data()) {
            return self.tx.write_node_inner(node, &mut offset, &record[..length]).map(drop);
        }
        let level = level_for(length);
        let whole = level.bytes() as usize;
        record[length..whole].fill(0);
        let old = self.pointer(node, index)?;
        let mut packer = std::mem::take(&mut self.state.packer);
        let written = match packer.pack(&record[..whole]) {
            Some(packed) => {
                let meta = BlockMeta::new_compressed(level_for(packed.len()), level);
                self.write_blocks(node, old, packed, meta, Self::write_bytes)
            }
            None if whole == LENGTH => {
                let lend = |disk: &mut D, block, _: &[u8]| disk.write_record(block, record);
                self.write_blocks(node, old, record, BlockMeta::new(level), lend)
            }
            None => self.write_blocks(
                node,
                old,
                &record[..whole],
                BlockMeta::new(level),
                Self::write_bytes,
            ),
        };
        self.state.packer = packer;
        self.set_pointer(node, index, written?)
    }

    fn write_bytes(disk: &mut D, block: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: the place was given out for this, and nothing that was committed is there.
        unsafe { disk.write_at(block, bytes) }.map(drop)
    }

    /// Says that the records behind this one will be read soon: a run at a time, as long as fewer
    /// than that are expected.
    pub(super) fn expect_behind(&mut self, node: &TreeData<Node>, index: u64) {
        let first = self.state.expected.max(index + 1);
        let end = node.data().size().div_ceil(RECORD_SIZE).min(first + RUN as u64);
        if !has_records(node.data()) || first > index + RUN as u64 {
            return;
        }
        self.state.expected = end;
        let (mut from, mut count) = (0, 0);
        for next in first..end {
            let Ok(pointer) = self.pointer(node, next) else { return };
            let is_here = self.state.cache.record((node.id(), next)).is_some();
            if is_here || pointer.is_null() || !is_whole(pointer.addr()) {
                continue;
            }
            let block = pointer.addr().index();
            if count > 0 && block != from + count * BLOCKS {
                self.disk.expect(from, count as usize);
                count = 0;
            }
            if count == 0 {
                from = block;
            }
            count += 1;
        }
        if count > 0 {
            self.disk.expect(from, count as usize);
        }
    }

    /// Writes a record's blocks to a place of their own, and gives the old ones back.
    fn write_blocks(
        &mut self,
        node: &mut TreeData<Node>,
        old: BlockPtr<RecordRaw>,
        bytes: &[u8],
        meta: BlockMeta,
        write: impl FnOnce(&mut D, u64, &[u8]) -> Result<()>,
    ) -> Result<BlockPtr<RecordRaw>> {
        let is_alike = !old.is_null() && old.addr().meta() == meta;
        let at = if is_alike { old.addr() } else { BlockAddr::null(meta) };
        let place = self.tx.sync_block(node, BlockData::new(at, Nothing))?.addr();
        if !old.is_null() && !is_alike {
            self.give_back(node, old)?;
        }
        let pointer = BlockData::new(place, bytes).create_ptr();
        write(&mut self.disk, place.index(), bytes)?;
        self.state.written.insert(place.index(), pointer.hash());
        // SAFETY: it leads to a record's blocks.
        Ok(unsafe { pointer.cast() })
    }

    /// Gives a record's blocks back, as those of a file with nothing else that is emptied: a
    /// transaction takes them in no other way.
    fn give_back(&mut self, node: &mut TreeData<Node>, pointer: BlockPtr<RecordRaw>) -> Result<()> {
        let blocks = pointer.addr().level().blocks();
        let mut owner = Node::new(Node::MODE_FILE, 0, 0, 0, 0);
        owner.set_flags(NodeFlags::empty());
        owner.set_size(RECORD_SIZE);
        owner.set_blocks(blocks);
        owner.level_data_mut().ok_or(Error::new(EIO))?.level0[0] = pointer;
        self.tx.truncate_node_inner(&mut TreeData::new(0, owner), 0)?;
        let left = node.data().blocks().saturating_sub(blocks);
        node.data_mut().set_blocks(left);
        Ok(())
    }

    /// Reads a block that a pointer leads to. What this transaction has written to the disk itself,
    /// RedoxFS believes to have, and must not be asked for.
    fn read_block<T: BlockTrait + DerefMut<Target = [u8]>>(
        &mut self,
        pointer: BlockPtr<T>,
    ) -> Result<BlockData<T>> {
        let place = pointer.addr();
        if self.state.written.get(&place.index()) != Some(&pointer.hash()) {
            return self.tx.read_block(pointer);
        }
        let mut block = BlockData::<T>::empty(place).ok_or(Error::new(EIO))?;
        // SAFETY: only reads.
        unsafe { self.disk.read_at(place.index(), block.data_mut())? };
        let is_sound = block.create_ptr().hash() == pointer.hash();
        if is_sound { Ok(block) } else { Err(Error::new(EIO)) }
    }

    /// Where a record is.
    fn pointer(&mut self, node: &TreeData<Node>, index: u64) -> Result<BlockPtr<RecordRaw>> {
        let data = node.data().level_data().ok_or(Error::new(EIO))?;
        match NodeLevel::new(index).ok_or(Error::new(EFBIG))? {
            NodeLevel::L0(a) => Ok(data.level0[a]),
            NodeLevel::L1(b, a) => self.entry(data.level1[b], a),
            NodeLevel::L2(c, b, a) => {
                let list = self.entry(data.level2[c], b)?;
                self.entry(list, a)
            }
            NodeLevel::L3(d, c, b, a) => {
                let list = self.entry(data.level3[d], c)?;
                let list = self.entry(list, b)?;
                self.entry(list, a)
            }
            NodeLevel::L4(e, d, c, b, a) => {
                let list = self.entry(*data.level4.get(e).ok_or(Error::new(EFBIG))?, d)?;
                let list = self.entry(list, c)?;
                let list = self.entry(list, b)?;
                self.entry(list, a)
            }
        }
    }

    fn entry<T>(&mut self, list: BlockPtr<BlockList<T>>, at: usize) -> Result<BlockPtr<T>> {
        if list.is_null() {
            return Ok(BlockPtr::default());
        }
        self.tx.read_block(list).map(|list| list.data().ptrs[at])
    }

    fn set_pointer(
        &mut self,
        node: &mut TreeData<Node>,
        index: u64,
        to: BlockPtr<RecordRaw>,
    ) -> Result<()> {
        let none = || Error::new(EIO);
        match NodeLevel::new(index).ok_or(Error::new(EFBIG))? {
            NodeLevel::L0(a) => node.data_mut().level_data_mut().ok_or_else(none)?.level0[a] = to,
            NodeLevel::L1(b, a) => {
                let list = node.data().level_data().ok_or_else(none)?.level1[b];
                let list = self.set_entry(node, list, a, to)?;
                node.data_mut().level_data_mut().ok_or_else(none)?.level1[b] = list;
            }
            NodeLevel::L2(c, b, a) => {
                let upper = node.data().level_data().ok_or_else(none)?.level2[c];
                let list = self.entry(upper, b)?;
                let list = self.set_entry(node, list, a, to)?;
                let upper = self.set_entry(node, upper, b, list)?;
                node.data_mut().level_data_mut().ok_or_else(none)?.level2[c] = upper;
            }
            NodeLevel::L3(d, c, b, a) => {
                let top = node.data().level_data().ok_or_else(none)?.level3[d];
                let upper = self.entry(top, c)?;
                let list = self.entry(upper, b)?;
                let list = self.set_entry(node, list, a, to)?;
                let upper = self.set_entry(node, upper, b, list)?;
                let top = self.set_entry(node, top, c, upper)?;
                node.data_mut().level_data_mut().ok_or_else(none)?.level3[d] = top;
            }
            // Files are shorter (`SIZE_MAX`).
            NodeLevel::L4(..) => return Err(Error::new(EFBIG)),
        }
        Ok(())
    }

    /// A copy of a list, or a new one, with this entry.
    fn set_entry<T>(
        &mut self,
        node: &mut TreeData<Node>,
        list: BlockPtr<BlockList<T>>,
        at: usize,
        to: BlockPtr<T>,
    ) -> Result<BlockPtr<BlockList<T>>> {
        let mut block = match list.is_null() {
            true => {
                BlockData::empty(BlockAddr::null(BlockMeta::default())).ok_or(Error::new(EIO))?
            }
            false => self.tx.read_block(list)?,
        };
        block.data_mut().ptrs[at] = to;
        self.tx.sync_block(node, block)
    }
}
