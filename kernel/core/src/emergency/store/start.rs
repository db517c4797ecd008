//! Finding out at boot whether a disk is the store, and what it says of the last session.

use super::*;

impl<M: Machine> Store<M> {
    /// Reads the headers and makes the store ready, sized for all frames or for `total_override`.
    /// With `may_format` a disk without a header gets one. Returns what the last session left.
    ///
    /// # Errors
    /// Why the store is not ready.
    pub fn init_from_boot(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        total_override: Option<usize>,
        may_format: bool,
    ) -> Result<StoreHeader, &'static str> {
        let result = self.try_init(machine, frames, total_override, may_format);
        match &result {
            Ok(_) => self.is_ready = true,
            Err(why) => self.why_not = why,
        }
        result
    }

    fn try_init(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        total_override: Option<usize>,
        may_format: bool,
    ) -> Result<StoreHeader, &'static str> {
        let capacity = self.io.as_ref().ok_or(self.why_not)?.capacity();
        let total = total_override.unwrap_or(self.hashes.len());
        if total > self.hashes.len() {
            return Err("more slots are asked for than there are frames");
        }
        if capacity < FIRST_SLOT + total as u64 {
            return Err("its disk is too small for all of memory");
        }
        self.encoded = vec![0; HEADER_SIZE];
        self.header_frame = pages(frames, HEADER_PAGES);
        let scratch = (frames.totals().total / SCRATCH_PART).clamp(1, RUN_MAX as usize) as u32;
        let scratch = 1 << scratch.ilog2();
        self.scratch = pages(frames, scratch).map(|first| (first, scratch));
        let a = self.read_header(machine, 0);
        let b = self.read_header(machine, u64::from(HEADER_PAGES));
        let left = match StoreHeader::newer(a?, b?) {
            Ok(header) => header,
            Err(_) if may_format => StoreHeader::default(),
            Err(Invalid::Magic) => return Err("its disk is not marked as a store"),
            Err(_) => return Err("both copies of its header are damaged"),
        };
        let random = |machine: &mut M| machine.random().unwrap_or_else(|| machine.ticks());
        self.key = Key([random(machine) | 1, random(machine) | 1]);
        if self.secrecy == Secrecy::Encrypt {
            self.cipher = new_cipher(machine);
            if self.cipher.is_none() {
                self.secrecy = Secrecy::Overwrite;
            }
        }
        let is_bare = left.state != State::Idle && left.flags & STORE_ENCRYPTED == 0;
        if is_bare && self.secrecy != Secrecy::Off {
            let slots = left.total_slots.min(capacity - FIRST_SLOT);
            self.overwrite_left(machine, slots).map_err(|_| "its disk cannot be written")?;
        }
        self.header = StoreHeader {
            total_slots: total as u64,
            sequence: left.sequence,
            boot_id: random(machine),
            generation: 0,
            state: State::Idle,
            flags: if self.cipher.is_some() { STORE_ENCRYPTED } else { 0 },
            entries: Vec::with_capacity(MAX_STORE_CONTEXTS),
        };
        self.lot_cipher = new_cipher(machine);
        if self.lot_cipher.is_some() || self.secrecy == Secrecy::Off {
            self.lot.open(FIRST_SLOT + total as u64, capacity, self.scratch);
        }
        for _ in 0..2 {
            self.write_header(machine, State::Idle).map_err(|_| "its disk cannot be written")?;
            self.wait(machine).map_err(|_| "its disk cannot be written")?;
        }
        self.flush(machine).map_err(|_| "its disk cannot be flushed")?;
        self.wait(machine).map_err(|_| "its disk cannot be flushed")?;
        Ok(left)
    }

    fn read_header(
        &mut self,
        machine: &mut M,
        page: u64,
    ) -> Result<Result<StoreHeader, Invalid>, &'static str> {
        let frame = self.header_frame.ok_or("there is no memory for its header")?;
        let run = Run { page, frame, count: HEADER_PAGES };
        self.start(machine, Operation::Read(run)).map_err(|_| "its disk cannot be read")?;
        self.wait(machine).map_err(|_| "its disk cannot be read")?;
        machine.read(PhysicalAddress(frame.start().0), &mut self.encoded);
        Ok(StoreHeader::decode(&self.encoded))
    }
}

/// A cipher under a new key; none without a source of one, since a key that can be guessed hides
/// nothing.
fn new_cipher<M: Machine>(machine: &mut M) -> Option<Cipher> {
    match [(); 4].map(|()| machine.random()) {
        [Some(a), Some(b), Some(c), Some(d)] => Some(Cipher::new([a, b, c, d])),
        _ => None,
    }
}

/// `count` frames in a row, a power of two, for good.
fn pages(frames: &mut Frames, count: u32) -> Option<Frame> {
    let order = count.ilog2() as usize;
    let run = frames.allocate_run(order, Zone::Normal);
    run.or_else(|| frames.allocate_run(order, Zone::Dma))
}
