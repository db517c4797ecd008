//! What the `virtio-drivers` crate asks of the machine.
//!
//! The crate's questions name no device, so what it needs to know is kept here, for the one device
//! of this process (of this thread, in tests). Buffers are never copied: every one that is given to
//! a queue lies in memory that was made for it.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::rc::Rc;

use diskd::memory::{Source, Span};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// What devices and this process both see.
pub struct Shared;

/// Finds the registers at a physical address.
pub type FindRegisters = dyn Fn(u64, usize) -> Option<NonNull<u8>>;

#[derive(Default)]
struct State {
    source: Option<Rc<dyn Source>>,
    registers: Option<Box<FindRegisters>>,
    spans: Vec<Span>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Says where memory for the device comes from, and how its registers are found.
pub fn set_up(source: Rc<dyn Source>, registers: Box<FindRegisters>) {
    STATE.with_borrow_mut(|state| {
        *state = State { source: Some(source), registers: Some(registers), spans: Vec::new() };
    });
}

/// Lets memory be handed to the device that did not come from here.
pub(crate) fn know(span: Span) {
    STATE.with_borrow_mut(|state| {
        match state.spans.iter_mut().find(|known| known.start() == span.start()) {
            Some(known) if known.length() >= span.length() => {}
            Some(known) => *known = span,
            None => state.spans.push(span),
        }
    });
}

// SAFETY: memory comes from a source, which promises that it is there for the life of the process
// and nobody else's; registers are the device's own.
unsafe impl Hal for Shared {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let made = STATE.with_borrow(|state| {
            let source = state.source.as_ref()?;
            source.memory(pages * virtio_drivers::PAGE_SIZE).ok()
        });
        match made {
            Some(span) => (span.physical(), span.start()),
            // Address 0 is how the crate is told that there is none.
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        // Kept for the life of the process, which is the queue's.
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, size: usize) -> NonNull<u8> {
        let found = STATE.with_borrow(|state| state.registers.as_ref()?(physical, size));
        found.expect("a device has registers where its own configuration says")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        let address = buffer.cast::<u8>().addr().get();
        let found = STATE.with_borrow(|state| {
            state.spans.iter().rev().find_map(|span| {
                let offset = address.checked_sub(span.start().addr().get())?;
                let fits = offset + buffer.len() <= span.length();
                fits.then(|| span.physical() + offset as u64)
            })
        });
        found.expect("buffers lie in memory of the device")
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
