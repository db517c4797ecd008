//! A virtio block device as a [`Device`]: commands become requests on its virtqueue.
//!
//! A request has three parts: a header that the device reads, the data, and a status byte that it
//! writes (5.2.6). Header and status of a slot have a place of their own.

use std::ptr::NonNull;
use std::time::Duration;

use diskd::device::{Broken, Command, Device, Done, Facts};
use diskd::memory::{Source, Span};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceType, Transport};

use crate::hal::{Shared, know};

const QUEUE: u16 = 0;
const QUEUE_SIZE: usize = 128;
/// Slots. Each takes at most two places of the queue more than its command has pieces of memory.
const DEPTH: usize = 16;
/// Places of a slot in the memory for headers and status bytes.
const PLACE: usize = 32;
const HEADER: usize = 16;
/// The unit of addresses, whatever the block size.
const SECTOR: u64 = 512;
/// The most bytes of a request.
const LONGEST: usize = 256 << 10;

/// Kinds of request (5.2.6).
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;

/// What a status byte says; anything else is what it is before the device has written it.
const OK: u8 = 0;
const UNWRITTEN: u8 = 0xFF;

bitflags::bitflags! {
    /// What a device can do and this driver can use (5.2.3, 6).
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const READ_ONLY = 1 << 5;
        const BLOCK_SIZE = 1 << 6;
        const FLUSH = 1 << 9;
        const VERSION_1 = 1 << 32;
    }
}

/// Offsets in the device's configuration (5.2.4).
const CAPACITY: usize = 0;
const BLOCK_SIZE: usize = 20;

/// A request that the device has.
struct Request {
    /// The queue's name for it.
    token: u16,
    kind: u32,
    data: Vec<Span>,
}

/// A virtio block device.
pub struct Disk<T: Transport> {
    transport: T,
    queue: VirtQueue<Shared, QUEUE_SIZE>,
    facts: Facts,
    can_flush: bool,
    /// Headers and status bytes.
    places: Span,
    requests: [Option<Request>; DEPTH],
    /// Commands that are done without the device.
    done: Vec<usize>,
    wait: Box<dyn FnMut(Duration)>,
}

impl<T: Transport> Disk<T> {
    /// Sets a device up. `route` tells it which of its interrupts the queue has, before the queue
    /// is used; `wait` waits for that interrupt.
    pub fn new(
        mut transport: T,
        source: &dyn Source,
        route: impl FnOnce() -> Result<(), Broken>,
        wait: Box<dyn FnMut(Duration)>,
    ) -> Result<Self, Broken> {
        let failed = |error: virtio_drivers::Error| Broken::Unruly(error.to_string());
        if transport.device_type() != DeviceType::Block {
            return Err("it is no block device".into());
        }
        let features = transport.begin_init(Features::all());
        if !features.contains(Features::VERSION_1) {
            return Err("it is older than virtio 1.0".into());
        }
        let sectors = transport
            .read_consistent(|| {
                let [low, high] = [CAPACITY, CAPACITY + 4]
                    .map(|offset| transport.read_config_space::<u32>(offset));
                Ok(u64::from(low?) | u64::from(high?) << 32)
            })
            .map_err(failed)?;
        let block = match features.contains(Features::BLOCK_SIZE) {
            true => transport.read_config_space::<u32>(BLOCK_SIZE).map_err(failed)?,
            false => SECTOR as u32,
        };
        if !block.is_power_of_two() || !(SECTOR as u32..=65536).contains(&block) {
            return Err(format!("blocks of {block} bytes").into());
        }
        route()?;
        let queue = VirtQueue::new(&mut transport, QUEUE, false, false).map_err(failed)?;
        transport.finish_init();
        let places = source.memory(DEPTH * PLACE).map_err(|error| error.to_string())?;
        know(places);
        let facts = Facts {
            kind: "virtio",
            model: String::new(),
            block: block as usize,
            blocks: sectors / (u64::from(block) / SECTOR),
            is_read_only: features.contains(Features::READ_ONLY),
            depth: DEPTH,
            longest: LONGEST,
        };
        let can_flush = features.contains(Features::FLUSH);
        let requests = [const { None }; DEPTH];
        Ok(Self { transport, queue, facts, can_flush, places, requests, done: Vec::new(), wait })
    }

    fn place(&self, slot: usize) -> Span {
        self.places.part(slot * PLACE, PLACE)
    }
}

/// Hands `act` a request's parts as the queue wants them: what the device reads, and what it
/// writes.
fn with_parts<R>(
    place: Span,
    kind: u32,
    data: &[Span],
    act: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
) -> R {
    let bytes = |span: Span| NonNull::slice_from_raw_parts(span.start(), span.length());
    let (header, status) = (place.part(0, HEADER), place.part(HEADER, 1));
    // SAFETY: the parts do not overlap, are mapped, and nobody forms another reference to them. The
    // crate looks at their addresses only; it neither reads nor writes what is there.
    unsafe {
        let mut inputs = vec![bytes(header).as_ref()];
        let mut outputs = Vec::new();
        match kind {
            OUT => inputs.extend(data.iter().map(|span| bytes(*span).as_ref())),
            _ => outputs.extend(data.iter().map(|span| bytes(*span).as_mut())),
        }
        outputs.push(bytes(status).as_mut());
        act(&inputs, &mut outputs)
    }
}

impl<T: Transport> Device for Disk<T> {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn begin(&mut self, slot: usize, command: Command<'_>) -> Result<(), Broken> {
        let (kind, block, data) = match command {
            Command::Read(block, data) => (IN, block, data),
            Command::Write(block, data) => (OUT, block, data),
            // A device that cannot flush has nothing to flush (5.2.5.2).
            Command::Flush if !self.can_flush => {
                self.done.push(slot);
                return Ok(());
            }
            Command::Flush => (FLUSH, 0, &[][..]),
        };
        let sector = block * (self.facts.block as u64 / SECTOR);
        let place = self.place(slot);
        let mut header = [0; HEADER + 1];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..HEADER].copy_from_slice(&sector.to_le_bytes());
        header[HEADER] = UNWRITTEN;
        place.write(&header);
        data.iter().for_each(|span| know(*span));
        // SAFETY: the memory is not touched before the request is done.
        let token = with_parts(place, kind, data, |inputs, outputs| unsafe {
            self.queue.add(inputs, outputs)
        });
        let token = token.map_err(|error| format!("its queue: {error}"))?;
        self.requests[slot] = Some(Request { token, kind, data: data.to_vec() });
        if self.queue.should_notify() {
            self.transport.notify(QUEUE);
        }
        Ok(())
    }

    fn finished(&mut self) -> Result<Option<Done>, Broken> {
        if let Some(slot) = self.done.pop() {
            return Ok(Some(Done { slot, outcome: Ok(()) }));
        }
        let Some(token) = self.queue.peek_used() else { return Ok(None) };
        let is_meant =
            |request: &Option<Request>| request.as_ref().is_some_and(|r| r.token == token);
        let Some(slot) = self.requests.iter().position(is_meant) else {
            return Err(format!("it finished request {token}, which it does not have").into());
        };
        let Some(Request { kind, data, .. }) = self.requests[slot].take() else { return Ok(None) };
        let place = self.place(slot);
        // SAFETY: the same parts in the same order as when the request was added.
        let popped = with_parts(place, kind, &data, |inputs, outputs| unsafe {
            self.queue.pop_used(token, inputs, outputs)
        });
        let written = popped.map_err(|error| format!("its queue: {error}"))? as usize;
        let mut status = [0];
        place.part(HEADER, 1).read(&mut status);
        let wanted = 1 + if kind == IN { data.iter().map(|span| span.length()).sum() } else { 0 };
        let what = if kind == IN {
            "read"
        } else if kind == OUT {
            "write"
        } else {
            "flush"
        };
        let outcome = match status[0] {
            OK if written >= wanted => Ok(()),
            OK => Err(format!("{what}: {written} bytes came, not {wanted}")),
            status => Err(format!("{what}: status {status}")),
        };
        Ok(Some(Done { slot, outcome }))
    }

    fn wait(&mut self, limit: Duration) {
        (self.wait)(limit);
    }
}
