//! How a virtio device is reached: through the ports of the older interface (VIRTIO 1.2, 4.1.4.10)
//! or, on devices that have given that up, through registers in memory (4.1.4).

use super::pci::Device;
use crate::boot::memory::BootMemory;
use crate::paging::kernel::KernelTables;
use kernel_core::memory::PhysicalAddress;
use x86::io::{inl, inw, outb, outl, outw};

/// Ports, counted from the device's first.
mod port {
    /// What the device can do.
    pub(super) const DEVICE_FEATURES: u16 = 0;
    /// What we want of it.
    pub(super) const DRIVER_FEATURES: u16 = 4;
    /// The selected queue's page number.
    pub(super) const QUEUE_ADDRESS: u16 = 8;
    /// The selected queue's size.
    pub(super) const QUEUE_SIZE: u16 = 12;
    /// Which queue is meant.
    pub(super) const QUEUE_SELECT: u16 = 14;
    /// There is something in this queue.
    pub(super) const NOTIFY: u16 = 16;
    /// How far setting up is; 0 resets.
    pub(super) const STATUS: u16 = 18;
    /// Its capacity in sectors, lower half; the upper half follows.
    pub(super) const CAPACITY: u16 = 20;
}

/// The common registers (4.1.4.3).
mod register {
    pub(super) const DEVICE_FEATURE_SELECT: usize = 0;
    pub(super) const DEVICE_FEATURE: usize = 4;
    pub(super) const DRIVER_FEATURE_SELECT: usize = 8;
    pub(super) const DRIVER_FEATURE: usize = 12;
    pub(super) const DEVICE_STATUS: usize = 20;
    pub(super) const QUEUE_SELECT: usize = 22;
    pub(super) const QUEUE_SIZE: usize = 24;
    pub(super) const QUEUE_ENABLE: usize = 28;
    pub(super) const QUEUE_NOTIFY_OFF: usize = 30;
    pub(super) const QUEUE_DESCRIPTORS: usize = 32;
    pub(super) const QUEUE_DRIVER: usize = 40;
    pub(super) const QUEUE_DEVICE: usize = 48;
    pub(super) const END: usize = 56;
}

/// A virtio capability (4.1.4): vendor specific, with its kind in the fourth byte.
const VENDOR: u8 = 0x09;
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;

/// Bits of the status (2.1).
const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
/// The feature "speaks the newer interface" (6), the first of the upper half.
const VERSION_1: u32 = 1;

/// Where the three parts of a queue are.
pub(super) struct Queue {
    pub(super) descriptors: u64,
    pub(super) available: u64,
    pub(super) used: u64,
}

/// The way to a device.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    /// Ports, from this one on.
    Ports(u16),
    /// Registers.
    Registers(Registers),
}

/// Where the kernel sees a device's registers.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    common: usize,
    notify: usize,
    device: usize,
}

impl Transport {
    /// The way to a device: ports if it has them, which need no mapping.
    pub(super) fn find(
        device: Device,
        tables: &mut KernelTables,
        memory: &mut BootMemory,
    ) -> Option<Self> {
        match device.ports() {
            Some(ports) => Some(Self::Ports(ports)),
            None => Some(Self::Registers(Registers::find(device, tables, memory)?)),
        }
    }

    /// Stops the device: from here on it touches no memory (2.1.2).
    pub(super) fn stop(self) {
        match self {
            // SAFETY: writing 0 to the status resets; the port is the device's.
            Self::Ports(ports) => unsafe { outb(ports + port::STATUS, 0) },
            Self::Registers(registers) => {
                registers.put::<u8>(register::DEVICE_STATUS, 0);
                // It is reset when it says so (4.1.4.3.2).
                super::disk::wait_until(|| registers.get::<u8>(register::DEVICE_STATUS) == 0);
            }
        }
    }

    /// Asks a stopped device for those of `wanted` features that it has, and for its first queue's
    /// size (3.1.1).
    pub(super) fn begin(self, wanted: u32) -> Option<(u32, u16)> {
        match self {
            // SAFETY: these are the device's ports, found by its own configuration; the order is
            // the manual's.
            Self::Ports(ports) => unsafe {
                outb(ports + port::STATUS, ACKNOWLEDGE);
                outb(ports + port::STATUS, ACKNOWLEDGE | DRIVER);
                let features = inl(ports + port::DEVICE_FEATURES) & wanted;
                outl(ports + port::DRIVER_FEATURES, features);
                outw(ports + port::QUEUE_SELECT, 0);
                Some((features, inw(ports + port::QUEUE_SIZE)))
            },
            Self::Registers(registers) => registers.begin(wanted),
        }
    }

    /// Tells the device where its queue is, and lets it work.
    pub(super) fn finish(self, queue: &Queue) {
        match self {
            // SAFETY: the device's ports; the queue is memory of this driver, in the layout that
            // this interface wants.
            Self::Ports(ports) => unsafe {
                outl(ports + port::QUEUE_ADDRESS, (queue.descriptors / 4096) as u32);
                outb(ports + port::STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
            },
            Self::Registers(registers) => {
                registers.put_address(register::QUEUE_DESCRIPTORS, queue.descriptors);
                registers.put_address(register::QUEUE_DRIVER, queue.available);
                registers.put_address(register::QUEUE_DEVICE, queue.used);
                registers.put::<u16>(register::QUEUE_ENABLE, 1);
                let status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
                registers.put(register::DEVICE_STATUS, status);
            }
        }
    }

    /// Sectors that the disk has.
    pub(super) fn sectors(self) -> u64 {
        let half = |at: u16| match self {
            // SAFETY: reading the device's configuration changes nothing.
            Self::Ports(ports) => unsafe { inl(ports + port::CAPACITY + at) },
            Self::Registers(registers) => {
                // SAFETY: as above, in registers that were mapped for it.
                unsafe { ((registers.device + usize::from(at)) as *const u32).read_volatile() }
            }
        };
        u64::from(half(0)) | u64::from(half(4)) << 32
    }

    /// There is something in the queue.
    pub(super) fn notify(self) {
        match self {
            // SAFETY: the device's port; it only makes the device look.
            Self::Ports(ports) => unsafe { outw(ports + port::NOTIFY, 0) },
            // SAFETY: as above, in a register that was mapped for it.
            Self::Registers(registers) => unsafe {
                (registers.notify as *mut u16).write_volatile(0);
            },
        }
    }
}

impl Registers {
    fn find(device: Device, tables: &mut KernelTables, memory: &mut BootMemory) -> Option<Self> {
        let mut parts = [None; 3];
        let mut multiplier = 0;
        device.capabilities(|at, kind| {
            let [_, _, _, part] = device.read(at).to_le_bytes();
            if kind != VENDOR || ![COMMON, NOTIFY, DEVICE].contains(&part) {
                return;
            }
            let place = &mut parts[usize::from(part / 2)];
            let bar = device.read(at + 4) as u8;
            if let (None, Some(base)) = (&place, device.memory(bar)) {
                *place = Some(base + u64::from(device.read(at + 8)));
                if part == NOTIFY {
                    multiplier = device.read(at + 16);
                }
            }
        });
        let [Some(common), Some(notify), Some(configuration)] = parts else { return None };
        let fits = |at: u64, size: usize| at % 4096 + size as u64 <= 4096;
        if !fits(common, register::END) || !fits(configuration, 8) {
            return None;
        }
        let mut map = |at| tables.map_device(memory, PhysicalAddress(at));
        let (common, device) = (map(common), map(configuration));
        let mut registers = Self { common, notify: 0, device };
        registers.put::<u16>(register::QUEUE_SELECT, 0);
        let off = u64::from(registers.get::<u16>(register::QUEUE_NOTIFY_OFF));
        registers.notify = map(notify + off * u64::from(multiplier));
        Some(registers)
    }

    fn begin(self, wanted: u32) -> Option<(u32, u16)> {
        self.put(register::DEVICE_STATUS, ACKNOWLEDGE);
        self.put(register::DEVICE_STATUS, ACKNOWLEDGE | DRIVER);
        let offered = |half: u32| {
            self.put(register::DEVICE_FEATURE_SELECT, half);
            self.get::<u32>(register::DEVICE_FEATURE)
        };
        let (features, newer) = (offered(0) & wanted, offered(1) & VERSION_1);
        for (half, features) in [(0, features), (1, newer)] {
            self.put::<u32>(register::DRIVER_FEATURE_SELECT, half);
            self.put(register::DRIVER_FEATURE, features);
        }
        self.put(register::DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        let is_accepted = self.get::<u8>(register::DEVICE_STATUS) & FEATURES_OK != 0;
        if newer == 0 || !is_accepted {
            return None;
        }
        self.put::<u16>(register::QUEUE_SELECT, 0);
        Some((features, self.get(register::QUEUE_SIZE)))
    }

    fn put_address(self, at: usize, address: u64) {
        self.put(at, address as u32);
        self.put(at + 4, (address >> 32) as u32);
    }

    fn get<T: Copy>(self, at: usize) -> T {
        // SAFETY: one of the registers named above, mapped for the device; reading those changes
        // nothing. `T` is an integer of the register's size.
        unsafe { ((self.common + at) as *const T).read_volatile() }
    }

    fn put<T>(self, at: usize, value: T) {
        // SAFETY: as above; what is written is for the callers here to get right.
        unsafe { ((self.common + at) as *mut T).write_volatile(value) };
    }
}
