//! A virtio block device (VIRTIO 1.2, 5.2), polled, one request at a time.

use super::disk::Polled;
use super::pci::Device;
use super::transport::{Queue, Transport};
use crate::boot::memory::BootMemory;
use crate::paging::kernel::KernelTables;
use crate::physical;
use core::sync::atomic::{Ordering, fence};
use kernel_core::emergency::block::{IoError, Operation, RUN_MAX};
use kernel_core::memory::PhysicalAddress;

/// Virtio's vendor number; block devices with the older interface, and those without it (4.1.2).
const VENDOR: u16 = 0x1AF4;
const BLOCK: [u16; 2] = [0x1001, 0x1042];

/// The feature "can be told to flush" (5.2.3).
const FLUSH_FEATURE: u32 = 1 << 9;

/// Kinds of request (5.2.6).
const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;
/// The status of a request that was carried out.
const DONE: u8 = 0;
/// No device writes this.
const UNANSWERED: u8 = 0xFF;

/// Flags of a descriptor (2.7.5): another one follows; the device writes.
const NEXT: u16 = 1;
const DEVICE_WRITES: u16 = 2;
/// Flag of the ring of available requests: do not interrupt (2.7.6).
const NO_INTERRUPT: u16 = 1;

const PAGE: usize = 4096;
const SECTOR: u64 = 512;
/// Sectors in a page.
const SECTORS: u64 = PAGE as u64 / SECTOR;
/// The largest queue that we have room for: that of every device known.
const QUEUE_MAX: u16 = 256;
/// Pages of such a queue (2.7.2): descriptors, available ring, used ring from a new page on.
const QUEUE_PAGES: usize = 3;

/// A part of a request, as the device reads it.
#[repr(C)]
struct Descriptor {
    address: u64,
    length: u32,
    flags: u16,
    next: u16,
}

/// Where the page with a request's first and last part has them.
const HEADER_AT: usize = 0;
const STATUS_AT: usize = 64;
const HEADER_SIZE: u32 = 16;

/// The device.
pub(super) struct VirtioBlock {
    transport: Transport,
    queue_size: u16,
    capacity: u64,
    can_flush: bool,
    /// The queue, then one page for the request's own bytes.
    memory: PhysicalAddress,
    /// How many requests have been made available since the last reset.
    sent: u16,
    /// A flush was asked for that needs nothing to be done.
    is_flushed: bool,
    is_up: bool,
}

impl VirtioBlock {
    /// Sets a device up. `None` when it is none that we can drive.
    pub(super) fn new(
        device: Device,
        tables: &mut KernelTables,
        memory: &mut BootMemory,
    ) -> Option<Self> {
        let (vendor, number) = device.identity();
        if vendor != VENDOR || !BLOCK.contains(&number) {
            return None;
        }
        device.enable();
        let transport = Transport::find(device, tables, memory)?;
        let memory = memory.run(QUEUE_PAGES + 1);
        let mut disk = Self {
            transport,
            queue_size: 0,
            capacity: 0,
            can_flush: false,
            memory,
            sent: 0,
            is_flushed: false,
            is_up: false,
        };
        disk.set_up()?;
        Some(disk)
    }

    /// Stops whatever the device does, and sets it up anew (3.1.1).
    fn set_up(&mut self) -> Option<()> {
        self.transport.stop();
        // SAFETY: the queue's pages are this driver's alone, and the device has just been stopped.
        unsafe { physical::pointer::<u8>(self.memory).write_bytes(0, QUEUE_PAGES * PAGE) };
        let (features, size) = self.transport.begin(FLUSH_FEATURE)?;
        self.can_flush = features & FLUSH_FEATURE != 0;
        self.queue_size = size;
        if !(3..=QUEUE_MAX).contains(&size) {
            self.transport.stop();
            return None;
        }
        let place = |pointer: *mut u16| pointer as u64 - physical::WINDOW as u64;
        self.transport.finish(&Queue {
            descriptors: self.memory.0,
            available: place(self.available()),
            used: place(self.used()),
        });
        self.capacity = self.transport.sectors() / SECTORS;
        self.is_up = true;
        Some(())
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        physical::pointer(PhysicalAddress(self.memory.0 + offset as u64))
    }

    fn request_at(&self, offset: usize) -> u64 {
        self.memory.0 + (QUEUE_PAGES * PAGE + offset) as u64
    }

    /// Where the available ring is (2.7.6): flags, index, entries.
    fn available(&self) -> *mut u16 {
        self.at(usize::from(self.queue_size) * size_of::<Descriptor>())
    }

    /// Where the used ring is (2.7.8): flags, index, entries.
    fn used(&self) -> *mut u16 {
        let size = usize::from(self.queue_size);
        let end = size * size_of::<Descriptor>() + 2 * (3 + size);
        self.at(end.next_multiple_of(PAGE))
    }

    /// Puts a request into the queue.
    fn put(&mut self, operation: Operation) -> Result<(), IoError> {
        let (kind, sector, data) = match operation {
            Operation::Flush => (FLUSH, 0, None),
            Operation::Write(run) => (WRITE, run.page * SECTORS, Some((run, NEXT))),
            Operation::Read(run) => (READ, run.page * SECTORS, Some((run, NEXT | DEVICE_WRITES))),
        };
        let data = data.map(|(run, flags)| {
            let is_inside = run.page + u64::from(run.count) <= self.capacity;
            let length = run.count * PAGE as u32;
            let part = Descriptor { address: run.frame.start().0, length, flags, next: 2 };
            (run.count <= RUN_MAX && is_inside).then_some(part).ok_or(IoError::Failed)
        });
        let data = data.transpose()?;
        let after_header = if data.is_some() { 1 } else { 2 };
        let header = Descriptor {
            address: self.request_at(HEADER_AT),
            length: HEADER_SIZE,
            flags: NEXT,
            next: after_header,
        };
        let status = Descriptor {
            address: self.request_at(STATUS_AT),
            length: 1,
            flags: DEVICE_WRITES,
            next: 0,
        };
        // SAFETY: all of it lies in this driver's own pages, inside the queue's size, which is at
        // least 3; the device does not look before the index moves.
        unsafe {
            let descriptors = self.at::<Descriptor>(0);
            descriptors.write_volatile(header);
            if let Some(data) = data {
                descriptors.add(1).write_volatile(data);
            }
            descriptors.add(2).write_volatile(status);
            let request = self.at::<u32>(QUEUE_PAGES * PAGE + HEADER_AT);
            request.write_volatile(kind);
            request.add(1).write_volatile(0);
            request.add(2).cast::<u64>().write_volatile(sector);
            self.at::<u8>(QUEUE_PAGES * PAGE + STATUS_AT).write_volatile(UNANSWERED);
            let available = self.available();
            available.write_volatile(NO_INTERRUPT);
            available.add(2 + usize::from(self.sent % self.queue_size)).write_volatile(0);
            fence(Ordering::SeqCst);
            self.sent = self.sent.wrapping_add(1);
            available.add(1).write_volatile(self.sent);
            fence(Ordering::SeqCst);
        }
        self.transport.notify();
        Ok(())
    }

    /// Whether the request has been carried out.
    fn answer(&mut self) -> Option<Result<(), IoError>> {
        // SAFETY: the used ring and the status lie in this driver's own pages.
        unsafe {
            if self.used().add(1).read_volatile() != self.sent {
                return None;
            }
            fence(Ordering::SeqCst);
            let status = self.at::<u8>(QUEUE_PAGES * PAGE + STATUS_AT).read_volatile();
            Some(if status == DONE { Ok(()) } else { Err(IoError::Failed) })
        }
    }
}

impl Polled for VirtioBlock {
    fn pages(&self) -> u64 {
        self.capacity
    }

    fn send(&mut self, operation: Operation) -> Result<(), IoError> {
        if !self.is_up {
            return Err(IoError::Failed);
        }
        if operation == Operation::Flush && !self.can_flush {
            // Such a device writes through (5.2.6.2): whatever was sent first is on the disk.
            self.is_flushed = true;
            return Ok(());
        }
        self.put(operation)
    }

    fn look(&mut self) -> Option<Result<(), IoError>> {
        if core::mem::take(&mut self.is_flushed) { Some(Ok(())) } else { self.answer() }
    }

    fn let_go(&mut self) {
        self.is_up = false;
        self.transport.stop();
    }
}
