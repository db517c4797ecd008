//! Breakpoints in the program's text, and those of the processor.

use gdbstub::target::ext::breakpoints::WatchKind;
use std::collections::BTreeMap;
use std::io;
use tracer::Memory;

/// `int3`.
const TRAP: u8 = 0xCC;

/// Those in the text: what was there before.
#[derive(Default)]
pub(crate) struct Planted(BTreeMap<usize, u8>);

impl Planted {
    /// Plants one. `memory` takes it back should this program die.
    pub(crate) fn add(&mut self, memory: &Memory, address: usize) -> io::Result<()> {
        if self.0.contains_key(&address) {
            return Ok(());
        }
        let mut old = [0];
        memory.read(address, &mut old)?;
        memory.write(address, &[TRAP])?;
        self.0.insert(address, old[0]);
        Ok(())
    }

    /// Takes one out.
    pub(crate) fn remove(&mut self, memory: &Memory, address: usize) -> io::Result<()> {
        match self.0.remove(&address) {
            Some(old) => memory.write(address, &[old]).map(drop),
            None => Ok(()),
        }
    }

    /// Shows bytes of the program as they are without breakpoints.
    pub(crate) fn hide(&self, address: usize, bytes: &mut [u8]) {
        for (at, old) in self.0.range(address..address.saturating_add(bytes.len())) {
            bytes[at - address] = *old;
        }
    }

    /// Takes all of them out of a copy of the program.
    pub(crate) fn clean(&self, memory: &Memory) {
        for (address, old) in &self.0 {
            // What cannot be written there cannot be run there either.
            let _ = memory.write(*address, &[*old]);
        }
    }

    /// The same in a copy of the program, whose `borrowed` memory is to take them back.
    pub(crate) fn moved(&self, memory: &Memory, borrowed: &Memory) -> Self {
        self.clean(memory);
        let mut planted = Self::default();
        for address in self.0.keys() {
            // What cannot be planted there does not stop it there.
            let _ = planted.add(borrowed, *address);
        }
        planted
    }
}

/// One of the processor's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Watch {
    pub(crate) address: usize,
    pub(crate) length: usize,
    /// `None` for a breakpoint.
    pub(crate) kind: Option<WatchKind>,
}

/// The processor has four.
#[derive(Default)]
pub(crate) struct Watches([Option<Watch>; 4]);

impl Watches {
    /// Sets one up. False when all are taken, or it cannot watch that.
    pub(crate) fn add(&mut self, watch: Watch) -> bool {
        let fits =
            matches!(watch.length, 1 | 2 | 4 | 8) && watch.address.is_multiple_of(watch.length);
        match self.0.iter_mut().find(|place| place.is_none()) {
            Some(place) if fits => {
                *place = Some(watch);
                true
            }
            _ => false,
        }
    }

    /// Takes one away. False when it is not there.
    pub(crate) fn remove(&mut self, watch: Watch) -> bool {
        let place = self.0.iter_mut().find(|place| **place == Some(watch));
        place.map(|place| *place = None).is_some()
    }

    /// The one at a place.
    pub(crate) fn get(&self, place: usize) -> Option<Watch> {
        self.0.get(place).copied().flatten()
    }

    /// As the processor wants it: addresses, and the control word (SDM 3B, 17.2.4).
    pub(crate) fn registers(&self) -> ([usize; 4], usize) {
        let (mut addresses, mut control) = ([0; 4], 0);
        for (place, watch) in self.0.iter().enumerate() {
            let Some(watch) = watch else { continue };
            addresses[place] = watch.address;
            let kind = match watch.kind {
                None => 0,
                Some(WatchKind::Write) => 1,
                // There is none for reading alone.
                Some(WatchKind::Read | WatchKind::ReadWrite) => 3,
            };
            let length = if watch.length == 8 { 2 } else { watch.length - 1 };
            control |= 1 << (place * 2) | (kind | length << 2) << (16 + place * 4);
        }
        (addresses, control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_told_what_to_watch() {
        let mut watches = Watches::default();
        let first = Watch { address: 0x1000, length: 1, kind: None };
        let second = Watch { address: 0x2000, length: 8, kind: Some(WatchKind::Write) };
        assert!(watches.add(first) && watches.add(second));
        assert_eq!(watches.registers(), ([0x1000, 0x2000, 0, 0], 0b101 | 0b1001 << 20));
        assert!(!watches.add(Watch { address: 0x2001, ..second }));
        assert!(watches.remove(first) && !watches.remove(first));
        assert_eq!(watches.registers().1, 0b100 | 0b1001 << 20);
    }

    #[test]
    fn breakpoints_are_hidden_from_who_reads() {
        let planted = Planted(BTreeMap::from([(5, 0x55), (9, 0x99)]));
        let mut bytes = [0xCC; 4];
        planted.hide(4, &mut bytes);
        assert_eq!(bytes, [0xCC, 0x55, 0xCC, 0xCC]);
    }
}
