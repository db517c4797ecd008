//! The console is the first serial port, a 16550 (PC16550D data sheet, National Semiconductor); a
//! second one, if it is there, is for whoever debugs.
//!
//! Bytes to send wait in a queue while the port is busy; received ones wait until they are read.
//! When that queue is full the port is not read either, so a sender that minds is held back.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};
use spin::mutex::SpinMutex;
use x86::io::{inb, outb};

/// Where the ports' registers start.
const FIRST: u16 = 0x3F8;
const SECOND: u16 = 0x2F8;
/// The console's interrupt line.
pub(crate) const LINE: u8 = 4;
/// The second port's.
pub(crate) const SECOND_LINE: u8 = 3;
/// Bytes the port itself can queue.
const PORT_QUEUE: usize = 16;
/// Bytes of our queues.
const QUEUE: usize = 4096;

/// Register offsets.
mod register {
    /// Data; divisor, low byte.
    pub(super) const DATA: u16 = 0;
    /// Which interrupts; divisor, high byte.
    pub(super) const INTERRUPTS: u16 = 1;
    /// Queue control; when read, why it interrupts.
    pub(super) const QUEUES: u16 = 2;
    /// Word format; bit 7 shows the divisor.
    pub(super) const FORMAT: u16 = 3;
    /// Modem lines; bit 3 lets interrupts out.
    pub(super) const MODEM: u16 = 4;
    /// Line status.
    pub(super) const STATUS: u16 = 5;
    /// Keeps what is written, and does nothing.
    pub(super) const SCRATCH: u16 = 7;
}

/// In the status: a byte was received.
const HAS_BYTE: u8 = 1;
/// In the status: the transmitter's queue is empty.
const CAN_SEND: u8 = 1 << 5;
/// Interrupt when bytes were received.
const ON_RECEIVE: u8 = 1;
/// Interrupt when the transmitter's queue becomes empty.
const ON_SENT: u8 = 2;

fn read(port: u16, register: u16) -> u8 {
    // SAFETY: the ports belong to this driver; reading them affects nothing else.
    unsafe { inb(port + register) }
}

fn write(port: u16, register: u16, value: u8) {
    // SAFETY: as for `read`.
    unsafe { outb(port + register, value) }
}

/// A queue of bytes.
struct Queue {
    bytes: [u8; QUEUE],
    first: usize,
    count: usize,
}

impl Queue {
    const fn new() -> Self {
        Self { bytes: [0; QUEUE], first: 0, count: 0 }
    }

    fn is_full(&self) -> bool {
        self.count == QUEUE
    }

    fn push(&mut self, byte: u8) -> bool {
        if self.is_full() {
            return false;
        }
        self.bytes[(self.first + self.count) % QUEUE] = byte;
        self.count += 1;
        true
    }

    fn pop(&mut self) -> Option<u8> {
        let byte = self.bytes[self.first];
        self.count = self.count.checked_sub(1)?;
        self.first = (self.first + 1) % QUEUE;
        Some(byte)
    }
}

/// A port with its queues.
pub(crate) struct Serial {
    /// Where its registers start.
    port: u16,
    to_send: Queue,
    received: Queue,
    /// The interrupts that are on.
    interrupts: u8,
}

/// A port and who has it.
pub(crate) type Shared = SpinMutex<Serial>;

/// The first port.
pub(crate) static CONSOLE: Shared = SpinMutex::new(Serial::new(FIRST));
/// The second one.
pub(crate) static OTHER: Shared = SpinMutex::new(Serial::new(SECOND));
/// Whether there is a second one.
static HAS_OTHER: AtomicBool = AtomicBool::new(false);

impl Serial {
    const fn new(port: u16) -> Self {
        Self { port, to_send: Queue::new(), received: Queue::new(), interrupts: 0 }
    }

    /// Takes bytes from the port as far as the queue allows. Only for callers that go on to look at
    /// the queue: the port does not interrupt for a byte it no longer has, and for the last few of a
    /// burst it has not interrupted yet (PC16550D, 8.11: the time-out indication).
    fn take(&mut self) {
        while !self.received.is_full() && read(self.port, register::STATUS) & HAS_BYTE != 0 {
            self.received.push(read(self.port, register::DATA));
        }
    }

    /// Gives bytes to the port as far as it allows, and turns on the interrupts that are needed.
    fn give(&mut self) {
        while self.to_send.count > 0 && read(self.port, register::STATUS) & CAN_SEND != 0 {
            for byte in (0..PORT_QUEUE).map_while(|_| self.to_send.pop()) {
                write(self.port, register::DATA, byte);
            }
        }
        let receive = if self.received.is_full() { 0 } else { ON_RECEIVE };
        let sent = if self.to_send.count > 0 { ON_SENT } else { 0 };
        if self.interrupts != receive | sent {
            self.interrupts = receive | sent;
            write(self.port, register::INTERRUPTS, self.interrupts);
        }
    }
}

/// 115,200 bits per second, 8 data bits, no parity, queues on, no interrupts yet.
pub(crate) fn init() {
    set_up(FIRST);
    // A port that is not there keeps nothing.
    write(SECOND, register::SCRATCH, 0x5A);
    if read(SECOND, register::SCRATCH) == 0x5A {
        set_up(SECOND);
        HAS_OTHER.store(true, Ordering::Relaxed);
    }
}

/// Whether there is a second port.
pub(crate) fn has_other() -> bool {
    HAS_OTHER.load(Ordering::Relaxed)
}

fn set_up(port: u16) {
    write(port, register::INTERRUPTS, 0);
    write(port, register::FORMAT, 0x80);
    write(port, register::DATA, 1);
    write(port, register::INTERRUPTS, 0);
    write(port, register::FORMAT, 0x03);
    // Queues on and empty, an interrupt for the first byte of a burst: the whole burst is taken
    // then. With a higher mark its last few bytes would wait for the port's time-out, four
    // characters long, and for ever where the clock stands while all CPUs sleep.
    write(port, register::QUEUES, 0x07);
    write(port, register::MODEM, 0x0B);
}

/// The port interrupted, or interrupts have just become possible.
pub(crate) fn service(shared: &Shared) {
    let mut serial = shared.lock();
    // Asking for the cause ends a "sent" interrupt.
    read(serial.port, register::QUEUES);
    serial.take();
    serial.give();
}

/// Queues bytes; returns how many were taken.
pub(crate) fn send(shared: &Shared, bytes: &[u8]) -> usize {
    let mut serial = shared.lock();
    let mut taken = 0;
    while taken < bytes.len() {
        let more = bytes[taken..].iter().take_while(|byte| serial.to_send.push(**byte)).count();
        serial.give();
        if more == 0 {
            break;
        }
        taken += more;
    }
    taken
}

/// Takes received bytes; returns how many, 0 only when there are none in the port either.
pub(crate) fn receive(shared: &Shared, into: &mut [u8]) -> usize {
    let mut serial = shared.lock();
    serial.take();
    let mut count = 0;
    while count < into.len()
        && let Some(byte) = serial.received.pop()
    {
        into[count] = byte;
        count += 1;
    }
    serial.give();
    count
}

/// Sends what is queued, waiting for the port. For the end of everything: whoever held the queue
/// then is not coming back.
pub(crate) fn drain() {
    let Some(mut serial) = CONSOLE.try_lock() else { return };
    while let Some(byte) = serial.to_send.pop() {
        send_now(byte);
    }
}

fn send_now(byte: u8) {
    // A port that is not there reads as all ones, so this ends in any case.
    while read(FIRST, register::STATUS) & CAN_SEND == 0 {
        core::hint::spin_loop();
    }
    write(FIRST, register::DATA, byte);
}

/// Formats straight to the port: for panics, and for before the kernel is there.
pub(crate) struct Now;

impl fmt::Write for Now {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                send_now(b'\r');
            }
            send_now(byte);
        }
        Ok(())
    }
}

/// Says a line before the kernel has a log.
pub(crate) fn report(line: fmt::Arguments<'_>) {
    // Writing to the port cannot fail.
    let _ = writeln!(Now, "{line}");
}
