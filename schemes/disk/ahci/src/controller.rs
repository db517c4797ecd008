//! A controller: set back, and its ports.

use std::time::{Duration, Instant};

use diskd::device::Broken;
use diskd::registers::Registers;

use crate::Wait;

/// Registers of the whole controller (3.1).
const CAPABILITIES: usize = 0x00;
const CONTROL: usize = 0x04;
const INTERRUPTS: usize = 0x08;
const PORTS: usize = 0x0C;
const MORE_CAPABILITIES: usize = 0x24;
const HANDOFF: usize = 0x28;

/// In [`CONTROL`]: reset, interrupts, AHCI and no older interface (3.1.2).
const RESET: u32 = 1;
const INTERRUPT: u32 = 2;
const AHCI: u32 = 1 << 31;
/// In [`CAPABILITIES`]: addresses of 64 bits (3.1.1).
const LONG_ADDRESSES: u32 = 1 << 31;
/// In [`MORE_CAPABILITIES`]: firmware may have it (3.1.10).
const HAS_HANDOFF: u32 = 1;
/// In [`HANDOFF`]: firmware's, the system's (3.1.11).
const FIRMWARE_HAS: u32 = 1;
const SYSTEM_HAS: u32 = 2;

/// The registers of port 0, and of each port (3.3).
const FIRST_PORT: usize = 0x100;
const PORT: usize = 0x80;

/// A controller that does not come back in this time never does (10.4.3).
const PATIENCE: Duration = Duration::from_secs(1);

/// A controller.
pub struct Controller {
    registers: Box<dyn Registers>,
    length: usize,
    pub(crate) wait: Wait,
}

impl Controller {
    /// Takes the controller from firmware and sets it back (10.6, 10.4.3).
    pub fn new(registers: Box<dyn Registers>, length: usize, wait: Wait) -> Result<Self, Broken> {
        let controller = Self { registers, length, wait };
        if length < FIRST_PORT {
            return Err("its registers are too few".into());
        }
        if controller.read(MORE_CAPABILITIES) & HAS_HANDOFF != 0 {
            controller.write(HANDOFF, SYSTEM_HAS);
            controller
                .until("taken from firmware", || controller.read(HANDOFF) & FIRMWARE_HAS == 0)?;
        }
        controller.write(CONTROL, AHCI);
        controller.write(CONTROL, AHCI | RESET);
        controller.until("reset", || controller.read(CONTROL) & RESET == 0)?;
        controller.write(CONTROL, AHCI);
        Ok(controller)
    }

    /// Waits until something holds, as long as hardware may take.
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) -> Result<(), Broken> {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            self.is_there()?;
            if Instant::now() > deadline {
                return Err(format!("it is not {what} in time").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Lets interrupts out of the controller.
    pub fn allow_interrupts(&self) {
        self.write(CONTROL, AHCI | INTERRUPT);
    }

    /// Finds out whether the device is still in the machine: else every register reads as ones.
    pub fn is_there(&self) -> Result<(), Broken> {
        match self.read(CONTROL) {
            u32::MAX => Err(Broken::Gone),
            _ => Ok(()),
        }
    }

    /// The ports there are, among those that have registers.
    pub fn ports(&self) -> Vec<u32> {
        let (there, room) = (self.read(PORTS), (self.length - FIRST_PORT) / PORT);
        (0..32).filter(|port| there >> port & 1 == 1 && (*port as usize) < room).collect()
    }

    /// How many commands a port's list may hold.
    pub fn depth(&self) -> usize {
        (self.read(CAPABILITIES) >> 8 & 0x1F) as usize + 1
    }

    /// Whether it reaches memory at this address.
    pub fn reaches(&self, address: u64) -> bool {
        self.read(CAPABILITIES) & LONG_ADDRESSES != 0 || address >> 32 == 0
    }

    /// Says that a port's interrupt was seen.
    pub(crate) fn acknowledge(&self, port: u32) {
        self.write(INTERRUPTS, 1 << port);
    }

    fn read(&self, register: usize) -> u32 {
        self.registers.read(register)
    }

    fn write(&self, register: usize, value: u32) {
        self.registers.write(register, value);
    }

    pub(crate) fn read_port(&self, port: u32, register: usize) -> u32 {
        self.read(FIRST_PORT + port as usize * PORT + register)
    }

    pub(crate) fn write_port(&self, port: u32, register: usize, value: u32) {
        self.write(FIRST_PORT + port as usize * PORT + register, value);
    }
}
