//! The fixed description table: power-management registers, reset, switching off.

use super::bytes::{u8_at, u16_at, u32_at, u64_at};
use super::{GenericAddress, Sdt};

/// The table. Fields beyond its end, which older firmware leaves out, read as absent.
#[derive(Clone, Copy, Debug)]
pub struct Fadt<'a> {
    bytes: &'a [u8],
}

/// In the table's flags: the reset register works.
const FLAG_RESET: u32 = 1 << 10;
/// In the table's flags: there are no fixed registers at all.
const FLAG_HARDWARE_REDUCED: u32 = 1 << 20;

// Offsets from the start of the table (ACPI 5.2.9, table 5.9). Each register has an old 32-bit
// port number and a wide form that wins when it is there.
const DSDT: usize = 40;
const SCI_LINE: usize = 46;
const SMI_COMMAND: usize = 48;
const ACPI_ENABLE: usize = 52;
const PM1A_CONTROL: usize = 64;
const PM1B_CONTROL: usize = 68;
const PM_TIMER: usize = 76;
const PM1_CONTROL_SIZE: usize = 89;
const PM_TIMER_SIZE: usize = 91;
const CENTURY: usize = 108;
const FLAGS: usize = 112;
const RESET_REGISTER: usize = 116;
const RESET_VALUE: usize = 128;
const WIDE_DSDT: usize = 140;
const WIDE_PM1A_CONTROL: usize = 172;
const WIDE_PM1B_CONTROL: usize = 184;
const WIDE_PM_TIMER: usize = 208;

impl<'a> Fadt<'a> {
    /// Takes the table apart.
    pub fn new(table: &'a Sdt) -> Self {
        Self { bytes: table.bytes() }
    }

    /// Where the main AML table is.
    pub fn dsdt_address(&self) -> Option<u64> {
        let wide = u64_at(self.bytes, WIDE_DSDT).filter(|address| *address != 0);
        let narrow = || u32_at(self.bytes, DSDT).map(u64::from).filter(|address| *address != 0);
        wide.or_else(narrow)
    }

    /// The line of the system control interrupt.
    pub fn sci_line(&self) -> Option<u16> {
        u16_at(self.bytes, SCI_LINE)
    }

    /// The port and the byte that make the firmware hand power management over; `None` when it
    /// already has.
    pub fn enable_command(&self) -> Option<(u32, u8)> {
        let port = u32_at(self.bytes, SMI_COMMAND).filter(|port| *port != 0)?;
        Some((port, u8_at(self.bytes, ACPI_ENABLE).filter(|value| *value != 0)?))
    }

    /// The control register of the first power-management block.
    pub fn pm1a_control(&self) -> Option<GenericAddress> {
        self.fixed_register(WIDE_PM1A_CONTROL, PM1A_CONTROL, PM1_CONTROL_SIZE)
    }

    /// The control register of the second block; few machines have one.
    pub fn pm1b_control(&self) -> Option<GenericAddress> {
        self.fixed_register(WIDE_PM1B_CONTROL, PM1B_CONTROL, PM1_CONTROL_SIZE)
    }

    /// The timer that counts 3,579,545 times a second.
    pub fn timer(&self) -> Option<GenericAddress> {
        self.fixed_register(WIDE_PM_TIMER, PM_TIMER, PM_TIMER_SIZE)
    }

    /// Which byte of the CMOS clock holds the century, if any does.
    pub fn century(&self) -> Option<u8> {
        u8_at(self.bytes, CENTURY).filter(|index| *index != 0)
    }

    /// The register and the byte that start the machine again.
    pub fn reset(&self) -> Option<(GenericAddress, u8)> {
        if self.flags() & FLAG_RESET == 0 {
            return None;
        }
        let register = GenericAddress::parse(self.bytes.get(RESET_REGISTER..)?)?;
        Some((register, u8_at(self.bytes, RESET_VALUE)?))
    }

    fn flags(&self) -> u32 {
        u32_at(self.bytes, FLAGS).unwrap_or(0)
    }

    fn fixed_register(&self, wide: usize, narrow: usize, size: usize) -> Option<GenericAddress> {
        if self.flags() & FLAG_HARDWARE_REDUCED != 0 {
            return None;
        }
        let wide = self.bytes.get(wide..).and_then(GenericAddress::parse);
        let narrow = || {
            GenericAddress::port(u32_at(self.bytes, narrow)?, u8_at(self.bytes, size).unwrap_or(0))
        };
        wide.or_else(narrow)
    }
}

/// What the power-management blocks must be told to switch the machine off: `_S5_`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SoftOff {
    /// The sleep type for the first block, 0 to 7.
    pub type_a: u8,
    /// The sleep type for the second block, 0 to 7.
    pub type_b: u8,
}

const NAME_OP: u8 = 0x08;
const ROOT_PREFIX: u8 = 0x5C;
const PACKAGE_OP: u8 = 0x12;

impl SoftOff {
    /// Finds the declaration in AML code by its bytes: `Name (\_S5_, Package () { a, b, .. })`.
    /// Firmware writes it as plain constants, so no interpreter is needed.
    pub fn find(code: &[u8]) -> Option<Self> {
        (0..code.len().saturating_sub(4)).find_map(|at| {
            let rest = code[at..].strip_prefix(b"_S5_")?;
            let is_named = match (at.checked_sub(1), at.checked_sub(2)) {
                (Some(one), _) if code[one] == NAME_OP => true,
                (Some(one), Some(two)) => code[one] == ROOT_PREFIX && code[two] == NAME_OP,
                _ => false,
            };
            if is_named { Self::parse(rest) } else { None }
        })
    }

    /// Reads the package that follows the name (ACPI 20.2.4 and 20.2.5.4).
    fn parse(package: &[u8]) -> Option<Self> {
        let package = package.strip_prefix(&[PACKAGE_OP])?;
        // The top two bits of the first byte tell how many more bytes the length has.
        let length_size = 1 + usize::from(u8_at(package, 0)? >> 6);
        let (count, elements) = package.get(length_size..)?.split_first()?;
        let (type_a, rest) = constant(elements)?;
        let type_b = if *count >= 2 { constant(rest)?.0 } else { type_a };
        (*count >= 1 && type_a <= 7 && type_b <= 7).then_some(Self { type_a, type_b })
    }

    /// What goes into the control register of a block: sleep type in bits 10..13, go in bit 13
    /// (ACPI 4.8.3.2.1).
    pub fn control(sleep_type: u8) -> u16 {
        u16::from(sleep_type & 7) << 10 | 1 << 13
    }
}

/// Reads an integer constant below 256 and what follows it.
fn constant(code: &[u8]) -> Option<(u8, &[u8])> {
    let (operation, rest) = code.split_first()?;
    let size = match operation {
        0 | 1 => return Some((*operation, rest)),
        0x0A => 1,
        0x0B => 2,
        0x0C => 4,
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(size)?;
    bytes[1..].iter().all(|byte| *byte == 0).then_some((bytes[0], rest))
}
