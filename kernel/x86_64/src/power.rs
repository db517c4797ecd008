//! The end of the session: off, or again.
//!
//! What the firmware says is read at boot, for at the end there may be no memory to read with.

use crate::serial;
use kernel_core::acpi::fadt::{Fadt, SoftOff};
use kernel_core::acpi::{GenericAddress, Space, Tables};
use kernel_core::machine::PowerOff;
use spin::Once;
use x86::io::{inb, inw, outb, outw};

/// The exit device that tests give QEMU: a write of `code` ends it with status `2 * code + 1`.
const EXIT_DEVICE: u16 = 0xF4;
/// What an absent port reads as.
const ABSENT: u8 = 0xFF;

/// The old keyboard controller: its command port, and the command that resets the processor.
const KEYBOARD: u16 = 0x64;
const KEYBOARD_RESET: u8 = 0xFE;

/// How the firmware switches off and resets.
struct Ways {
    /// Control ports with the value that switches off.
    off: [Option<(u16, u16)>; 2],
    /// The port and value that hand power management over to the system.
    enable: Option<(u16, u8)>,
    /// The port and value that reset.
    reset: Option<(u16, u8)>,
}

static WAYS: Once<Ways> = Once::new();

fn port(register: GenericAddress) -> Option<u16> {
    if register.space != Space::Port {
        return None;
    }
    register.address.try_into().ok()
}

/// Notes what the firmware's tables say.
pub(crate) fn init(tables: &Tables) {
    let Some(fadt) = tables.fadt() else { return };
    let soft_off = tables.soft_off();
    WAYS.call_once(|| Ways {
        off: soft_off.map_or([None; 2], |kind| off_ports(&fadt, kind)),
        enable: fadt.enable_command().and_then(|(at, value)| Some((at.try_into().ok()?, value))),
        reset: fadt.reset().and_then(|(register, value)| Some((port(register)?, value))),
    });
}

fn off_ports(fadt: &Fadt<'_>, kind: SoftOff) -> [Option<(u16, u16)>; 2] {
    [(fadt.pm1a_control(), kind.type_a), (fadt.pm1b_control(), kind.type_b)]
        .map(|(register, sleep)| Some((port(register?)?, SoftOff::control(sleep))))
}

/// Ends everything.
pub(crate) fn off(how: PowerOff) -> ! {
    serial::drain();
    match how {
        PowerOff::Shutdown(code) => {
            exit_device(code);
            soft_off();
        }
        PowerOff::Reset => reset(),
    }
    stop()
}

/// Tells QEMU to end with `code`, if it listens.
pub(crate) fn exit_device(code: u8) {
    // SAFETY: the port is the exit device's or nobody's: on PCs it belonged to the reset of the
    // separate coprocessor, which no 64-bit machine has.
    unsafe {
        if inb(EXIT_DEVICE) != ABSENT {
            outb(EXIT_DEVICE, code);
        }
    }
}

fn soft_off() {
    let Some(ways) = WAYS.get() else { return };
    // SAFETY: the firmware's tables name these ports and values for this purpose.
    unsafe {
        if let Some((command, value)) = ways.enable
            && ways.off[0].is_some_and(|(control, _)| inw(control) & 1 == 0)
        {
            outb(command, value);
        }
        for (control, value) in ways.off.into_iter().flatten() {
            outw(control, value);
        }
    }
}

/// Resets: as the firmware says, by the keyboard controller, or by an exception that nobody can
/// take.
pub(crate) fn reset() {
    if let Some((at, value)) = WAYS.get().and_then(|ways| ways.reset) {
        // SAFETY: the firmware's tables name this port and value for this purpose.
        unsafe { outb(at, value) };
        pause();
    }
    // SAFETY: nothing is left that could be disturbed.
    unsafe {
        outb(KEYBOARD, KEYBOARD_RESET);
        pause();
        let none = x86::dtables::DescriptorTablePointer::<u64>::default();
        x86::dtables::lidt(&none);
        core::arch::asm!("int3");
    }
}

/// Gives hardware time to act.
fn pause() {
    for _ in 0..1_000_000 {
        core::hint::spin_loop();
    }
}

/// Halts this CPU for good.
pub(crate) fn stop() -> ! {
    loop {
        // SAFETY: halting with interrupts off touches nothing; only an NMI goes on, and round.
        unsafe { core::arch::asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
