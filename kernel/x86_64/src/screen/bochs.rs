//! QEMU's graphics card, for when no firmware has switched it on: the registers of Bochs' VBE
//! (QEMU's `docs/specs/standard-vga.rst`).

use crate::store::pci::{self, Device};
use boot_info::Framebuffer;
use x86::io::{inw, outw};

/// Which register, and its value.
const INDEX: u16 = 0x1CE;
const VALUE: u16 = 0x1CF;

const IDENTITY: u16 = 0;
const WIDTH: u16 = 1;
const HEIGHT: u16 = 2;
const BITS: u16 = 3;
const ENABLE: u16 = 4;

/// The versions that have 32-bit pixels in a row in memory.
const VERSIONS: core::ops::RangeInclusive<u16> = 0xB0C2..=0xB0CF;
/// Switched on, its pixels where its first address says.
const ON: u16 = 1 | 0x40;

/// The card on the bus.
const CARD: (u16, u16) = (0x1234, 0x1111);

const SIZE: (u16, u16) = (1280, 800);

fn read(register: u16) -> u16 {
    // SAFETY: nothing else on a PC has these ports; without the card nobody answers.
    unsafe {
        outw(INDEX, register);
        inw(VALUE)
    }
}

fn write(register: u16, value: u16) {
    // SAFETY: as for `read`.
    unsafe {
        outw(INDEX, register);
        outw(VALUE, value);
    }
}

/// Switches the card on, if there is one.
pub(super) fn find() -> Option<Framebuffer> {
    if !VERSIONS.contains(&read(IDENTITY)) {
        return None;
    }
    let mut card: Option<Device> = None;
    pci::visit(|device| {
        if device.identity() == CARD {
            card.get_or_insert(device);
        }
    });
    let card = card?;
    let address = card.memory(0)?;
    card.enable();
    write(ENABLE, 0);
    write(WIDTH, SIZE.0);
    write(HEIGHT, SIZE.1);
    write(BITS, 32);
    write(ENABLE, ON);
    Some(Framebuffer {
        address,
        width: SIZE.0.into(),
        height: SIZE.1.into(),
        stride: u32::from(SIZE.0) * 4,
        shifts: [16, 8, 0],
        reserved: 0,
    })
}
