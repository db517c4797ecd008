//! The high-precision event timer's table.

use super::bytes::{u8_at, u16_at, u32_at};
use super::{GenericAddress, Sdt};

/// One timer block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hpet {
    /// Where its registers are.
    pub address: GenericAddress,
    /// Its number.
    pub number: u8,
    /// Maker, width and number of comparators, as in its capabilities register.
    pub id: u32,
    /// The shortest period without lost interrupts, in its ticks.
    pub min_tick: u16,
}

impl Hpet {
    /// Takes the table apart; `None` when it is cut short.
    pub fn new(table: &Sdt) -> Option<Self> {
        let data = table.data();
        Some(Self {
            id: u32_at(data, 0)?,
            address: GenericAddress::parse(data.get(4..)?)?,
            number: u8_at(data, 16)?,
            min_tick: u16_at(data, 17)?,
        })
    }
}
