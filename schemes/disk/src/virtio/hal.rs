//! What the `virtio-drivers` crate asks of the machine, answered with files of `pci:`.
//!
//! The crate's questions name no device, so the device that is being set up is kept here. Buffers
//! are never copied: every one that is given to a queue lies in memory that was made for it.

use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use pcid::client::{Device, Dma};
use pcid::mapping::Mapping;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// What devices and this process both see.
pub(super) struct Shared;

struct State {
    /// The device that is being set up.
    device: Option<*const Device>,
    /// Memory that devices may reach.
    memory: Vec<Dma>,
    /// Registers, by physical address.
    registers: Vec<(u64, Mapping)>,
}

// SAFETY: the daemon has one thread; the pointer is used only inside `with_device`.
unsafe impl Send for State {}

static STATE: Mutex<State> =
    Mutex::new(State { device: None, memory: Vec::new(), registers: Vec::new() });

fn state() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the crate set `device` up.
pub(super) fn with_device<T>(device: &Device, act: impl FnOnce() -> T) -> T {
    state().device = Some(device);
    let result = act();
    state().device = None;
    result
}

impl State {
    fn device(&self) -> &Device {
        let device = self.device.expect("the crate asks only while a device is set up");
        // SAFETY: `with_device` borrows the device until it has taken the pointer away.
        unsafe { &*device }
    }
}

/// Memory for buffers: where this process sees it. It is kept for good, as the disks are.
pub(super) fn buffers(device: &Device, length: usize) -> syscall::Result<NonNull<u8>> {
    let dma = device.dma(length)?;
    let start = dma.start();
    state().memory.push(dma);
    Ok(start)
}

// SAFETY: memory comes from the kernel, contiguous, zeroed and nobody else's, and stays mapped
// until it is given back; registers are mapped from the device's own.
unsafe impl Hal for Shared {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let mut state = state();
        match state.device().dma(pages * virtio_drivers::PAGE_SIZE) {
            Ok(dma) => {
                let place = (dma.physical(), dma.start());
                state.memory.push(dma);
                place
            }
            // Address 0 is how the crate is told that there is none.
            Err(_) => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(physical: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        state().memory.retain(|dma| dma.physical() != physical);
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, size: usize) -> NonNull<u8> {
        let mut state = state();
        let inside =
            |start: u64, length: u64| physical >= start && physical + size as u64 <= start + length;
        if let Some((start, mapping)) =
            state.registers.iter().find(|(start, m)| inside(*start, m.length() as u64))
        {
            return at(mapping, (physical - start) as usize);
        }
        let bars = state.device().info.bars.iter().enumerate();
        let found = bars.filter_map(|(index, bar)| bar.map(|bar| (index, bar)));
        let (index, bar) = { found }
            .find(|(_, bar)| inside(bar.address, bar.size))
            .expect("the crate asks for registers of the device");
        let (mapping, skipped) =
            state.device().registers(index).expect("registers of a claimed device can be mapped");
        let place = at(&mapping, skipped + (physical - bar.address) as usize);
        state.registers.push((bar.address - skipped as u64, mapping));
        place
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        let address = buffer.cast::<u8>().as_ptr() as usize;
        let state = state();
        let inside = |dma: &&Dma| {
            let start = dma.start().as_ptr() as usize;
            address >= start && address + buffer.len() <= start + dma.length()
        };
        let dma = state.memory.iter().find(inside).expect("buffers lie in shared memory");
        dma.physical() + (address - dma.start().as_ptr() as usize) as u64
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

fn at(mapping: &Mapping, offset: usize) -> NonNull<u8> {
    assert!(offset < mapping.length(), "registers lie in their mapping");
    // SAFETY: the result lies inside the mapping.
    unsafe { mapping.start().add(offset) }
}
