//! The console: the first serial port, a 16550 (PC16550D data sheet, National Semiconductor).

use x86::io::{inb, outb};

/// The first port's registers start here.
const PORT: u16 = 0x3F8;

/// Register offsets.
mod register {
    /// Data; divisor, low byte.
    pub(super) const DATA: u16 = 0;
    /// Which interrupts; divisor, high byte.
    pub(super) const INTERRUPTS: u16 = 1;
    /// Queue control.
    pub(super) const QUEUES: u16 = 2;
    /// Word format; bit 7 shows the divisor.
    pub(super) const FORMAT: u16 = 3;
    /// Modem lines; bit 3 lets interrupts out.
    pub(super) const MODEM: u16 = 4;
    /// Line status.
    pub(super) const STATUS: u16 = 5;
}

/// The transmitter takes another byte.
const CAN_SEND: u8 = 1 << 5;

fn read(register: u16) -> u8 {
    // SAFETY: the port belongs to this driver; reading it affects nothing else.
    unsafe { inb(PORT + register) }
}

fn write(register: u16, value: u8) {
    // SAFETY: as for `read`.
    unsafe { outb(PORT + register, value) }
}

/// 115,200 bits per second, 8 data bits, no parity, queues on, no interrupts yet.
pub(crate) fn init() {
    write(register::INTERRUPTS, 0);
    write(register::FORMAT, 0x80);
    write(register::DATA, 1);
    write(register::INTERRUPTS, 0);
    write(register::FORMAT, 0x03);
    write(register::QUEUES, 0xC7);
    write(register::MODEM, 0x0B);
}

/// Sends at once, waiting for the port. For panics and for before interrupts work.
pub(crate) fn send_now(bytes: &[u8]) {
    for &byte in bytes {
        // A port that is not there reads as all ones, so this ends in any case.
        while read(register::STATUS) & CAN_SEND == 0 {
            core::hint::spin_loop();
        }
        write(register::DATA, byte);
    }
}

/// Formats straight to the port.
pub(crate) struct Now;

impl core::fmt::Write for Now {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    send_now(line.as_bytes());
                    send_now(b"\r\n");
                }
                None => send_now(line.as_bytes()),
            }
        }
        Ok(())
    }
}
