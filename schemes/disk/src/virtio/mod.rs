//! Virtio block devices (Virtual I/O Device 1.2, 5.2).
//!
//! A request is three pieces: a header that the device reads, the data, and a status byte that it
//! writes. All of them lie in memory that the device may reach; data is copied there and back. A
//! long transfer is cut, and several pieces are under way at once.

mod config;
mod hal;

use std::io::Read;
use std::ptr::NonNull;

use diskd::drive::{BLOCK, Drive};
use pcid::client::{Device, Interrupt};
use pcid::mapping::Mapping;
use syscall::error::{EBUSY, EIO, EROFS, Error, Result};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction, PciRoot};
use virtio_drivers::transport::pci::{PciTransport, VIRTIO_PCI_CAP_COMMON_CFG};
use virtio_drivers::transport::{DeviceType, Transport};

use config::Config;
use hal::Shared;

/// Who makes virtio devices.
pub(crate) const VENDOR: u16 = 0x1AF4;
/// Block devices, by their old number and their new one (4.1.2.1).
pub(crate) const BLOCK_DEVICES: [u16; 2] = [0x1001, 0x1042];

const QUEUE: u16 = 0;
const QUEUE_SIZE: usize = 16;
/// Pieces under way at once; each takes three places of the queue.
const PIECES: usize = 4;
/// Bytes of data of a piece.
const DATA: usize = 256 << 10;
/// Where the data of a piece begins: behind a page for header and status.
const DATA_START: usize = 4096;
const HEADER: usize = 16;
/// Offsets in the common configuration structure (4.1.4.3).
const QUEUE_SELECT: usize = 0x16;
const QUEUE_VECTOR: usize = 0x1A;

/// Kinds of request (5.2.6).
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;

bitflags::bitflags! {
    /// What a device can do and this driver can use (5.2.3, 6).
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const READ_ONLY = 1 << 5;
        const FLUSH = 1 << 9;
        const VERSION_1 = 1 << 32;
    }
}

/// A piece of memory for one request.
#[derive(Clone, Copy)]
struct Piece {
    memory: NonNull<u8>,
    /// The queue's name for the request that uses it.
    token: Option<u16>,
    /// How many bytes of data it has.
    length: usize,
    /// Which bytes of the whole transfer they are.
    offset: usize,
}

/// What is done to the blocks.
enum Transfer<'a> {
    Read(&'a mut [u8]),
    Write(&'a [u8]),
}

impl Transfer<'_> {
    fn length(&self) -> usize {
        match self {
            Self::Read(into) => into.len(),
            Self::Write(from) => from.len(),
        }
    }
}

/// Why a device is not driven.
pub(crate) enum Refusal {
    /// Somebody else has it.
    Taken,
    /// It cannot be used; the text says why.
    Unusable(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Unusable(reason)
    }
}

/// A virtio block device.
pub(crate) struct Disk {
    transport: PciTransport,
    queue: VirtQueue<Shared, QUEUE_SIZE>,
    pieces: [Piece; PIECES],
    interrupt: Interrupt,
    blocks: u64,
    features: Features,
    /// Dropped last: the device is the driver's until the queue is gone.
    _device: Device,
}

impl Disk {
    /// Takes the function called `name`.
    pub(crate) fn new(name: &str) -> Result<Self, Refusal> {
        let device = match Device::claim(name) {
            Err(Error { errno: EBUSY }) => return Err(Refusal::Taken),
            claimed => claimed.map_err(|error| error.to_string())?,
        };
        let config = read_config(name).and_then(|bytes| Config::new(&bytes, &device.info));
        let config = config.ok_or_else(|| "its configuration cannot be read".to_owned())?;
        Ok(hal::with_device(&device, || Parts::new(&device, config))?.finish(device)?)
    }

    /// Hands a request to the device.
    fn submit(&mut self, index: usize, kind: u32, block: u64) -> Result<()> {
        let Piece { memory, length, .. } = self.pieces[index];
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&block.to_le_bytes());
        // SAFETY: the piece is memory of this driver alone until the request is handed over, and
        // DATA_START and DATA bound what lies in it.
        let (head, status, data) = unsafe {
            memory.copy_from_nonoverlapping(NonNull::from(&header).cast(), HEADER);
            parts(memory, length)
        };
        let (mut inputs, mut outputs) = (vec![&*head], Vec::new());
        match kind {
            IN => outputs.push(data),
            OUT => inputs.push(&*data),
            _ => {}
        }
        outputs.push(status);
        // SAFETY: the piece is not touched again before `finish` has taken the request back.
        let token = unsafe { self.queue.add(&inputs, &mut outputs) };
        self.pieces[index].token = Some(token.map_err(|_| Error::new(EIO))?);
        if self.queue.should_notify() {
            self.transport.notify(QUEUE);
        }
        Ok(())
    }

    /// Waits until a request is done. Which, and whether it went well.
    fn finish(&mut self, kind: u32) -> (usize, Result<()>) {
        let token = loop {
            if let Some(token) = self.queue.peek_used() {
                break token;
            }
            // Fails only for a signal; then the queue is looked at again.
            let _interrupted = self.interrupt.wait();
        };
        let index = self.pieces.iter().position(|piece| piece.token == Some(token));
        let index = index.expect("the device finishes what it was given");
        let Piece { memory, length, .. } = self.pieces[index];
        // SAFETY: as in `submit`.
        let (head, status, data) = unsafe { parts(memory, length) };
        let (mut inputs, mut outputs) = (vec![&*head], Vec::new());
        match kind {
            IN => outputs.push(data),
            OUT => inputs.push(&*data),
            _ => {}
        }
        outputs.push(status);
        // SAFETY: the same pieces in the same order as in `submit`.
        let popped = unsafe { self.queue.pop_used(token, &inputs, &mut outputs) };
        self.pieces[index].token = None;
        // SAFETY: the device is done with it, and it lies in the piece.
        let status = unsafe { memory.add(HEADER).read_volatile() };
        match (popped, status) {
            (Ok(_), 0) => (index, Ok(())),
            _ => (index, Err(Error::new(EIO))),
        }
    }

    /// Moves blocks, several pieces at once. After a failure nothing more is begun, and what is
    /// under way is waited for.
    fn transfer(&mut self, first: u64, mut transfer: Transfer<'_>) -> Result<()> {
        let kind = if matches!(transfer, Transfer::Read(_)) { IN } else { OUT };
        let total = transfer.length();
        let (mut begun, mut under_way, mut outcome) = (0, 0, Ok(()));
        loop {
            while begun < total && outcome.is_ok() {
                let Some(index) = self.pieces.iter().position(|p| p.token.is_none()) else { break };
                let length = (total - begun).min(DATA);
                self.pieces[index].length = length;
                self.pieces[index].offset = begun;
                if let Transfer::Write(from) = &transfer {
                    // SAFETY: the piece is free, so nobody else uses its memory.
                    unsafe { self.data(index) }.copy_from_slice(&from[begun..begun + length]);
                }
                match self.submit(index, kind, first + (begun / BLOCK) as u64) {
                    Ok(()) => under_way += 1,
                    Err(error) => outcome = Err(error),
                }
                begun += length;
            }
            if under_way == 0 {
                return outcome;
            }
            let (index, result) = self.finish(kind);
            under_way -= 1;
            let Piece { length, offset, .. } = self.pieces[index];
            if let (Ok(()), Transfer::Read(into)) = (result, &mut transfer) {
                // SAFETY: the device is done with the piece.
                into[offset..offset + length].copy_from_slice(unsafe { self.data(index) });
            }
            outcome = outcome.and(result);
        }
    }

    /// The data of a piece.
    ///
    /// # Safety
    /// The device does not have it, and no other reference to it lives.
    unsafe fn data(&mut self, index: usize) -> &mut [u8] {
        let Piece { memory, length, .. } = self.pieces[index];
        // SAFETY: the data lies in the piece; the rest is promised by the caller.
        unsafe { parts(memory, length) }.2
    }
}

/// Header, status and data of a piece.
///
/// # Safety
/// `memory` is a piece, `length` at most [`DATA`], and nobody else uses it while the result lives.
unsafe fn parts<'a>(
    memory: NonNull<u8>,
    length: usize,
) -> (&'a mut [u8], &'a mut [u8], &'a mut [u8]) {
    // SAFETY: three ranges that do not overlap, inside the piece.
    unsafe {
        (
            NonNull::slice_from_raw_parts(memory, HEADER).as_mut(),
            NonNull::slice_from_raw_parts(memory.add(HEADER), 1).as_mut(),
            NonNull::slice_from_raw_parts(memory.add(DATA_START), length).as_mut(),
        )
    }
}

impl Drive for Disk {
    fn kind(&self) -> &'static str {
        "virtio"
    }

    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn is_read_only(&self) -> bool {
        self.features.contains(Features::READ_ONLY)
    }

    fn read(&mut self, first: u64, into: &mut [u8]) -> Result<()> {
        self.transfer(first, Transfer::Read(into))
    }

    fn write(&mut self, first: u64, from: &[u8]) -> Result<()> {
        if self.is_read_only() {
            return Err(Error::new(EROFS));
        }
        self.transfer(first, Transfer::Write(from))
    }

    fn flush(&mut self) -> Result<()> {
        // A device that cannot flush has nothing to flush (5.2.5.2).
        if !self.features.contains(Features::FLUSH) {
            return Ok(());
        }
        self.pieces[0].length = 0;
        self.submit(0, FLUSH, 0)?;
        self.finish(FLUSH).1
    }
}

/// A device half set up.
struct Parts {
    transport: PciTransport,
    queue: VirtQueue<Shared, QUEUE_SIZE>,
    interrupt: Interrupt,
    blocks: u64,
    features: Features,
}

impl Parts {
    fn new(device: &Device, config: Config) -> Result<Self, String> {
        let function = DeviceFunction { bus: 0, device: 0, function: 0 };
        let common = common(&config, function).ok_or("it is no modern virtio device")?;
        let mut root = PciRoot::new(config);
        let mut transport = PciTransport::new::<Shared, _>(&mut root, function)
            .map_err(|error| error.to_string())?;
        if transport.device_type() != DeviceType::Block {
            return Err("it is no block device".to_owned());
        }
        let features = transport.begin_init(Features::all());
        if !features.contains(Features::VERSION_1) {
            return Err("it is older than virtio 1.0".to_owned());
        }
        let blocks = transport
            .read_consistent(|| {
                let [low, high] = [0, 4].map(|offset| transport.read_config_space::<u32>(offset));
                Ok(u64::from(low?) | u64::from(high?) << 32)
            })
            .map_err(|error| error.to_string())?;
        let interrupt = interrupt(device, common)?;
        let queue = VirtQueue::new(&mut transport, QUEUE, false, false)
            .map_err(|error| error.to_string())?;
        transport.finish_init();
        Ok(Self { transport, queue, interrupt, blocks, features })
    }

    fn finish(self, device: Device) -> Result<Disk, String> {
        let Self { transport, queue, interrupt, blocks, features } = self;
        let mut pieces = Vec::new();
        for _ in 0..PIECES {
            let memory = hal::buffers(&device, DATA_START + DATA).map_err(|e| e.to_string())?;
            pieces.push(Piece { memory, token: None, length: 0, offset: 0 });
        }
        let pieces = pieces.try_into().map_err(|_| "too few pieces")?;
        Ok(Disk { transport, queue, pieces, interrupt, blocks, features, _device: device })
    }
}

/// Routes the queue's interrupts to vector 0 of the device, and opens that.
fn interrupt(device: &Device, (bar, offset): (usize, usize)) -> Result<Interrupt, String> {
    let fail = |error: Error| error.to_string();
    let interrupt = device.interrupt(0).map_err(fail)?;
    if device.info.msix > 0 {
        let (registers, start) = device.registers(bar).map_err(fail)?;
        let field = |at: usize| short(&registers, start + offset + at);
        let (select, vector) = (field(QUEUE_SELECT), field(QUEUE_VECTOR));
        // SAFETY: both lie in the registers, and are the device's common configuration.
        let is_routed = unsafe {
            select.write_volatile(QUEUE);
            vector.write_volatile(0);
            vector.read_volatile() == 0
        };
        if !is_routed {
            return Err("it has no room for an interrupt".to_owned());
        }
    }
    Ok(interrupt)
}

/// The 16-bit register at `offset`.
fn short(registers: &Mapping, offset: usize) -> *mut u16 {
    assert!(offset.is_multiple_of(2) && offset + 2 <= registers.length(), "outside the registers");
    registers.start().as_ptr().wrapping_add(offset).cast()
}

/// Where the common configuration is: base address register and offset (4.1.4).
fn common(config: &Config, function: DeviceFunction) -> Option<(usize, usize)> {
    const VENDOR_CAPABILITY: u32 = 9;
    const CAPABILITIES_MAX: usize = 48;
    let mut at = config.read_word(function, 0x34) as u8 & 0xFC;
    for _ in 0..CAPABILITIES_MAX {
        if at == 0 || at > 0xF0 {
            return None;
        }
        let word = config.read_word(function, at);
        if word & 0xFF == VENDOR_CAPABILITY && word >> 24 == VIRTIO_PCI_CAP_COMMON_CFG.into() {
            let bar = config.read_word(function, at + 4) & 0xFF;
            return Some((bar as usize, config.read_word(function, at + 8) as usize));
        }
        at = (word >> 8) as u8 & 0xFC;
    }
    None
}

fn read_config(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(format!("/scheme/pci/{name}/config")).ok()?;
    file.take(256).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
