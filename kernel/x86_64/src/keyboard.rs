//! The PS/2 keyboard behind the 8042 controller (IBM PS/2 Hardware Interface Technical Reference,
//! "Keyboard and Auxiliary Device Controller").
//!
//! The controller turns what the keyboard sends into scan code set 1. Bytes are taken when it
//! interrupts; what they mean is for others.

use core::sync::atomic::{AtomicBool, Ordering};
use spin::mutex::SpinMutex;
use x86::io::{inb, outb};

/// The keyboard's interrupt line.
pub(crate) const LINE: u8 = 1;

const DATA: u16 = 0x60;
/// Status when read, commands when written.
const CONTROL: u16 = 0x64;

/// In the status: a byte can be read; the last one written was not taken yet; the byte is the
/// mouse's.
const HAS_BYTE: u8 = 1;
const IS_BUSY: u8 = 1 << 1;
const IS_MOUSE: u8 = 1 << 5;

/// Commands of the controller.
const READ_SETTINGS: u8 = 0x20;
const WRITE_SETTINGS: u8 = 0x60;
const NO_MOUSE: u8 = 0xA7;
const NO_KEYBOARD: u8 = 0xAD;
const KEYBOARD: u8 = 0xAE;
/// Settings: the keyboard interrupts; it is silent; its codes become set 1.
const INTERRUPTS: u8 = 1;
const SILENT: u8 = 1 << 4;
const TRANSLATED: u8 = 1 << 6;
/// Command of the keyboard: send keys.
const SCAN: u8 = 0xF4;

/// How often the controller is asked before it counts as missing.
const PATIENCE: u32 = 100_000;
/// Bytes kept until the kernel takes them.
const QUEUE: usize = 64;

static IS_THERE: AtomicBool = AtomicBool::new(false);
static QUEUED: SpinMutex<([u8; QUEUE], usize)> = SpinMutex::new(([0; QUEUE], 0));

fn status() -> u8 {
    // SAFETY: the ports are this driver's; reading the status changes nothing.
    unsafe { inb(CONTROL) }
}

fn data() -> u8 {
    // SAFETY: as above; takes the byte out of the controller.
    unsafe { inb(DATA) }
}

/// Writes to a port once the controller is ready for it.
fn write(port: u16, value: u8) -> Option<()> {
    (0..PATIENCE).find(|_| status() & IS_BUSY == 0)?;
    // SAFETY: as above; the values written are commands and settings of the data sheet.
    unsafe { outb(port, value) };
    Some(())
}

fn answer() -> Option<u8> {
    (0..PATIENCE).find(|_| status() & HAS_BYTE != 0)?;
    Some(data())
}

/// Sets the controller up, if there is one.
pub(crate) fn init() {
    // Where nothing is, all bits are ones.
    if status() != 0xFF && set_up().is_some() {
        IS_THERE.store(true, Ordering::Relaxed);
    }
}

fn set_up() -> Option<()> {
    write(CONTROL, NO_KEYBOARD)?;
    write(CONTROL, NO_MOUSE)?;
    while status() & HAS_BYTE != 0 {
        data();
    }
    write(CONTROL, READ_SETTINGS)?;
    let settings = answer()?;
    write(CONTROL, WRITE_SETTINGS)?;
    write(DATA, (settings | INTERRUPTS | TRANSLATED) & !SILENT)?;
    write(CONTROL, KEYBOARD)?;
    // Without a keyboard nobody answers; one may be plugged in later.
    write(DATA, SCAN)?;
    let _acknowledged = answer();
    Some(())
}

/// Whether there is a controller.
pub(crate) fn is_there() -> bool {
    IS_THERE.load(Ordering::Relaxed)
}

/// Takes from the controller what it has. Bytes that find no room are lost, as a person types no
/// faster than the kernel looks.
pub(crate) fn service() {
    let mut queued = QUEUED.lock();
    let (bytes, count) = &mut *queued;
    loop {
        let status = status();
        if status & HAS_BYTE == 0 {
            return;
        }
        let byte = data();
        if status & IS_MOUSE == 0
            && let Some(slot) = bytes.get_mut(*count)
        {
            *slot = byte;
            *count += 1;
        }
    }
}

/// Takes bytes that have come; returns how many.
pub(crate) fn receive(into: &mut [u8]) -> usize {
    let mut queued = QUEUED.lock();
    let (bytes, count) = &mut *queued;
    let taken = into.len().min(*count);
    into[..taken].copy_from_slice(&bytes[..taken]);
    bytes.copy_within(taken..*count, 0);
    *count -= taken;
    taken
}
