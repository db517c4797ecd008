//! Requests of any offset and length, cut into commands of whole blocks.
//!
//! A request is named by a key and asked again until it is done, with the same bytes each time.
//! Its data goes through memory that the device reaches, in [`REGION`]s; a command takes as many as
//! it needs and there are, and as many commands are under way as the device allows. Which request
//! gets the next free region is for whoever asks first.

use std::time::{Duration, Instant};

use syscall::error::{EIO, ENOSPC, EROFS, Error, Result};

use crate::device::{Broken, Command, Device, Done, Facts};
use crate::memory::{Source, Span};
use crate::volume::Extent;

/// Bytes of a region.
pub const REGION: usize = 64 << 10;
/// Regions of a disk.
pub const REGIONS: usize = 24;
/// Most regions of one command.
const REGIONS_MAX: usize = 4;
/// A command that takes longer than this never comes back.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of a request.
#[derive(Debug)]
pub enum Bytes<'a> {
    /// To be filled.
    Read(&'a mut [u8]),
    /// To be written.
    Write(&'a [u8]),
}

/// Whether a request is done, or must be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is over.
    Over(Result<()>),
    /// The device works on it, or there is no room for it yet.
    Waiting,
}

/// What came of asking a request.
pub type Outcome = std::result::Result<Progress, Broken>;

/// A request that has begun.
struct Job<K> {
    /// `None` for the one that is waited for right here.
    key: Option<K>,
    /// Bytes, from its first block on, for which commands were begun.
    begun: usize,
    under_way: usize,
    outcome: Result<()>,
}

/// A command that was begun.
struct Slot<K> {
    key: Option<K>,
    /// Its first byte among the request's blocks.
    offset: usize,
    length: usize,
    regions: Vec<Span>,
    since: Instant,
    outcome: Option<Result<()>>,
}

/// A disk and the requests to it.
pub struct Requests<K> {
    device: Box<dyn Device>,
    free: Vec<Span>,
    slots: Vec<Option<Slot<K>>>,
    jobs: Vec<Job<K>>,
    /// A request that needs the disk for itself; until it is done no other begins.
    barrier: Option<K>,
    /// Failures that were not told yet.
    failures: Vec<String>,
}

impl<K: Copy + Eq> Requests<K> {
    /// Takes a device over.
    pub fn new(device: Box<dyn Device>, source: &dyn Source) -> Result<Self> {
        let free = (0..REGIONS).map(|_| source.memory(REGION)).collect::<Result<_>>()?;
        let slots = (0..device.facts().depth).map(|_| None).collect();
        Ok(Self { device, free, slots, jobs: Vec::new(), barrier: None, failures: Vec::new() })
    }

    /// What the disk is.
    pub fn facts(&self) -> &Facts {
        self.device.facts()
    }

    /// Bytes of the disk.
    pub fn all(&self) -> Extent {
        let facts = self.facts();
        Extent { start: 0, size: facts.blocks.saturating_mul(facts.block as u64) }
    }

    /// Takes back what the device has done. Returns whether there was anything.
    pub fn collect(&mut self) -> std::result::Result<bool, Broken> {
        let mut any = false;
        while let Some(Done { slot, outcome }) = self.device.finished()? {
            let running = self.slots.get_mut(slot).and_then(Option::as_mut);
            let Some(running) = running.filter(|slot| slot.outcome.is_none()) else {
                return Err(format!("it finished command {slot}, which is not under way").into());
            };
            running.outcome = Some(outcome.map_err(|status| {
                self.failures.push(status);
                Error::new(EIO)
            }));
            any = true;
        }
        Ok(any)
    }

    /// The next failure that nobody was told about.
    pub fn next_failure(&mut self) -> Option<String> {
        self.failures.pop()
    }

    /// Whether the device has commands.
    pub fn is_busy(&self) -> bool {
        self.slots.iter().flatten().any(|slot| slot.outcome.is_none())
    }

    /// Finds out whether the device still answers.
    pub fn check(&mut self, now: Instant) -> std::result::Result<(), Broken> {
        self.device.is_there()?;
        let late = |slot: &Slot<K>| slot.outcome.is_none() && now - slot.since > PATIENCE;
        match self.slots.iter().flatten().any(late) {
            true => Err(format!("a command took more than {} s", PATIENCE.as_secs()).into()),
            false => Ok(()),
        }
    }

    /// Does what can be done for the request `key`: its bytes lie on the disk from `place` on, all
    /// of them.
    pub fn transfer(&mut self, key: K, place: u64, bytes: Bytes<'_>) -> Outcome {
        if let Bytes::Write(from) = bytes {
            if self.facts().is_read_only {
                return Ok(Progress::Over(Err(Error::new(EROFS))));
            }
            let block = self.facts().block;
            if !from.len().is_multiple_of(block) || !place.is_multiple_of(block as u64) {
                return self.write_parts(key, place, from);
            }
        }
        match self.must_wait(key) {
            true => Ok(Progress::Waiting),
            false => self.go_on(Some(key), place, bytes),
        }
    }

    /// Whether a request may not begin yet.
    fn must_wait(&self, key: K) -> bool {
        let has_begun = self.jobs.iter().any(|job| job.key == Some(key));
        self.barrier.is_some_and(|barrier| barrier != key) && !has_begun
    }

    fn go_on(&mut self, key: Option<K>, place: u64, mut bytes: Bytes<'_>) -> Outcome {
        let block = self.facts().block as u64;
        let (first, skipped) = (place / block, (place % block) as usize);
        let length = match &bytes {
            Bytes::Read(into) => into.len(),
            Bytes::Write(from) => from.len(),
        };
        let total = (skipped + length).next_multiple_of(block as usize);
        self.take_back(key, skipped, &mut bytes);
        self.begin_more(key, total, |offset| first + offset as u64 / block, &bytes)?;
        Ok(self.progress(key, total))
    }

    /// Makes what was written before safe from a power cut.
    pub fn flush(&mut self, key: K) -> Outcome {
        if self.must_wait(key) {
            return Ok(Progress::Waiting);
        }
        let key = Some(key);
        self.take_back(key, 0, &mut Bytes::Write(&[]));
        if self.jobs.iter().all(|job| job.key != key) {
            let Some(slot) = self.slots.iter().position(Option::is_none) else {
                return Ok(Progress::Waiting);
            };
            self.begin(slot, Slot::new(key, 0, 0, Vec::new()), Command::Flush)?;
            self.jobs.push(Job { key, begun: 0, under_way: 1, outcome: Ok(()) });
        }
        Ok(self.progress(key, 0))
    }

    /// Copies home what the device has read for a request, and frees what its commands had.
    fn take_back(&mut self, key: Option<K>, skipped: usize, bytes: &mut Bytes<'_>) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.key == key) else { return };
        for place in &mut self.slots {
            let is_done = |slot: &mut Slot<K>| slot.key == key && slot.outcome.is_some();
            let Some(slot) = place.take_if(is_done) else { continue };
            let outcome = slot.outcome.unwrap_or(Ok(()));
            if let (Bytes::Read(into), Ok(())) = (&mut *bytes, outcome) {
                slot.copy_home(skipped, into);
            }
            self.free.extend(slot.regions);
            job.under_way -= 1;
            job.outcome = job.outcome.and(outcome);
        }
    }

    /// Begins commands while there is room, unless one has failed.
    fn begin_more(
        &mut self,
        key: Option<K>,
        total: usize,
        block_of: impl Fn(usize) -> u64,
        bytes: &Bytes<'_>,
    ) -> std::result::Result<(), Broken> {
        let (longest, step) = (self.facts().longest, self.facts().block);
        let index = match self.jobs.iter().position(|job| job.key == key) {
            Some(index) => index,
            None => {
                self.jobs.push(Job { key, begun: 0, under_way: 0, outcome: Ok(()) });
                self.jobs.len() - 1
            }
        };
        while self.jobs[index].begun < total && self.jobs[index].outcome.is_ok() {
            let Some(place) = self.slots.iter().position(Option::is_none) else { break };
            let offset = self.jobs[index].begun;
            let regions = self.free.len().min(REGIONS_MAX);
            let room = (regions * REGION).min(longest) / step * step;
            let length = room.min(total - offset);
            if length == 0 {
                break;
            }
            let slot = Slot::new(key, offset, length, self.regions(length));
            let block = block_of(offset);
            match bytes {
                Bytes::Read(_) => self.begin(place, slot, Command::Read(block, &[]))?,
                Bytes::Write(from) => {
                    slot.fill(&from[offset..offset + length]);
                    self.begin(place, slot, Command::Write(block, &[]))?;
                }
            }
            self.jobs[index].begun += length;
            self.jobs[index].under_way += 1;
        }
        Ok(())
    }

    /// Regions for so many bytes, the last cut to size.
    fn regions(&mut self, length: usize) -> Vec<Span> {
        let at = self.free.len() - length.div_ceil(REGION);
        self.free.split_off(at)
    }

    /// Hands a command with the memory of its slot to the device.
    fn begin(
        &mut self,
        place: usize,
        slot: Slot<K>,
        command: Command<'_>,
    ) -> std::result::Result<(), Broken> {
        let parts: Vec<Span> = slot.parts().collect();
        let command = match command {
            Command::Read(block, _) => Command::Read(block, &parts),
            Command::Write(block, _) => Command::Write(block, &parts),
            Command::Flush => Command::Flush,
        };
        self.device.begin(place, command)?;
        self.slots[place] = Some(slot);
        Ok(())
    }

    fn progress(&mut self, key: Option<K>, total: usize) -> Progress {
        let Some(index) = self.jobs.iter().position(|job| job.key == key) else {
            return Progress::Waiting;
        };
        let Job { begun, under_way, outcome, .. } = self.jobs[index];
        if under_way > 0 || outcome.is_ok() && begun < total {
            return Progress::Waiting;
        }
        self.jobs.swap_remove(index);
        Progress::Over(outcome)
    }

    /// Whether no request has begun and is not over.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Reads at once, any bytes of the disk, while no other request has begun.
    pub fn read_now(
        &mut self,
        place: u64,
        into: &mut [u8],
    ) -> std::result::Result<Result<()>, Broken> {
        loop {
            match self.go_on(None, place, Bytes::Read(into))? {
                Progress::Over(outcome) => return Ok(outcome),
                Progress::Waiting => self.await_device()?,
            }
        }
    }

    fn write_now(&mut self, place: u64, from: &[u8]) -> std::result::Result<Result<()>, Broken> {
        loop {
            match self.go_on(None, place, Bytes::Write(from))? {
                Progress::Over(outcome) => return Ok(outcome),
                Progress::Waiting => self.await_device()?,
            }
        }
    }

    fn await_device(&mut self) -> std::result::Result<(), Broken> {
        while !self.collect()? {
            self.check(Instant::now())?;
            self.device.wait(PATIENCE / 10);
        }
        Ok(())
    }

    /// Writes bytes that are not whole blocks: reads the blocks at the ends first. No other request
    /// is under way meanwhile, so nothing written between reading and writing is undone.
    fn write_parts(&mut self, key: K, place: u64, mut rest: &[u8]) -> Outcome {
        if *self.barrier.get_or_insert(key) != key || !self.is_idle() {
            return Ok(Progress::Waiting);
        }
        self.barrier = None;
        let block = self.facts().block;
        let mut buffer = vec![0; block];
        let mut at = place;
        while !rest.is_empty() {
            let skipped = (at % block as u64) as usize;
            let whole = rest.len() / block * block;
            let (count, outcome) = if skipped == 0 && whole > 0 {
                (whole, self.write_now(at, &rest[..whole])?)
            } else {
                let (start, count) = (at - skipped as u64, rest.len().min(block - skipped));
                let mut outcome = self.read_now(start, &mut buffer)?;
                if outcome.is_ok() {
                    buffer[skipped..skipped + count].copy_from_slice(&rest[..count]);
                    outcome = self.write_now(start, &buffer)?;
                }
                (count, outcome)
            };
            if outcome.is_err() {
                return Ok(Progress::Over(outcome));
            }
            rest = &rest[count..];
            at += count as u64;
        }
        Ok(Progress::Over(Ok(())))
    }
}

impl<K> Slot<K> {
    fn new(key: Option<K>, offset: usize, length: usize, regions: Vec<Span>) -> Self {
        Self { key, offset, length, regions, since: Instant::now(), outcome: None }
    }

    /// Its memory, the last piece as long as is left for it.
    fn parts(&self) -> impl Iterator<Item = Span> {
        let starts = (0..self.length).step_by(REGION);
        self.regions
            .iter()
            .zip(starts)
            .map(|(region, start)| region.part(0, (self.length - start).min(REGION)))
    }

    fn fill(&self, from: &[u8]) {
        self.parts().zip(from.chunks(REGION)).for_each(|(part, bytes)| part.write(bytes));
    }

    /// Copies those of its bytes that the request wants: all but the first `skipped`, and as many
    /// as there is room for.
    fn copy_home(&self, skipped: usize, into: &mut [u8]) {
        let mut at = self.offset;
        for part in self.parts() {
            let from = skipped.saturating_sub(at).min(part.length());
            let to = (at + from).saturating_sub(skipped).min(into.len());
            let length = (part.length() - from).min(into.len() - to);
            part.part(from, length).read(&mut into[to..to + length]);
            at += part.length();
        }
    }
}

/// What reading or writing a file of a disk begins with: how many bytes there are, and where.
pub fn bounds(extent: Extent, offset: u64, length: usize, is_write: bool) -> Result<(u64, usize)> {
    let count = extent.clip(offset, length);
    if is_write && count == 0 && length > 0 {
        return Err(Error::new(ENOSPC));
    }
    Ok((extent.place(offset), count))
}
