//! A program's own memory.

use super::{Answer, User};
use crate::hardware::Touched;
use abi::redox::data::Map;
use abi::redox::flag::MapFlags;
use abi::redox::number::*;
use abi::{ANONYMOUS, PAGE_SIZE};
use kernel_core::machine::{Access, Machine};

/// What a device's register reads as when there is no device.
const NO_DEVICE: u8 = 0xFF;

impl User {
    /// Reads `length` bytes at `address`, faulting like an instruction.
    pub fn load(&mut self, address: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![NO_DEVICE; length];
        self.touch(address, length, Access::READ, |machine, touched, range| {
            if let Touched::Memory(at, _) = touched {
                machine.read(at, &mut bytes[range]);
            }
        });
        bytes
    }

    /// Writes bytes at `address`, faulting like an instruction.
    pub fn store(&mut self, address: usize, bytes: &[u8]) {
        self.touch(address, bytes.len(), Access::WRITE, |machine, touched, range| {
            if let Touched::Memory(at, _) = touched {
                machine.write(at, &bytes[range]);
            }
        });
    }

    /// Reads a machine word.
    pub fn load_word(&mut self, address: usize) -> usize {
        let bytes = self.load(address, 8);
        usize::from_ne_bytes(bytes.try_into().expect("8 bytes were asked for"))
    }

    /// Writes a machine word.
    pub fn store_word(&mut self, address: usize, word: usize) {
        self.store(address, &word.to_ne_bytes());
    }

    /// Reads 32 bits.
    pub fn load_u32(&mut self, address: usize) -> u32 {
        let bytes = self.load(address, 4);
        u32::from_ne_bytes(bytes.try_into().expect("4 bytes were asked for"))
    }

    /// If the 32 bits at `address` are `old`, makes them `new`, in one step; returns what was there.
    pub fn exchange(&mut self, address: usize, old: u32, new: u32) -> u32 {
        let mut found = old;
        self.touch(address, 4, Access::WRITE, |machine, touched, _| {
            if let Touched::Memory(at, _) = touched {
                found = machine.compare_exchange(at, old, new);
            }
        });
        found
    }

    /// Jumps to an address, as if it were code.
    pub fn jump_to(&mut self, address: usize) {
        self.registers.rip = address;
        loop {
            self.jump();
        }
    }

    /// Puts bytes on its stack while `body` runs with their address.
    pub fn with<R>(&mut self, bytes: &[u8], body: impl FnOnce(&mut Self, usize) -> R) -> R {
        self.with_room(bytes.len(), |user, address| {
            user.store(address, bytes);
            body(user, address)
        })
    }

    /// Makes room for `length` bytes on its stack while `body` runs with their address.
    pub fn with_room<R>(&mut self, length: usize, body: impl FnOnce(&mut Self, usize) -> R) -> R {
        let before = self.registers.rsp;
        self.registers.rsp = (before - length) & !15;
        let result = body(self, self.registers.rsp);
        self.registers.rsp = before;
        result
    }

    /// Runs `body` with another stack pointer.
    pub fn with_stack_at<R>(&mut self, stack: usize, body: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.registers.rsp, stack);
        let result = body(self);
        self.registers.rsp = before;
        result
    }

    /// Maps `size` bytes of a file, or of fresh memory for [`ANONYMOUS`].
    ///
    /// # Errors
    /// As the call.
    pub fn map(&mut self, fd: usize, map: Map) -> Answer {
        let size = map.len();
        self.with(&map, |user, address| user.call(SYS_FMAP, [fd, address, size]))
    }

    /// Maps fresh private memory to read and write.
    pub fn allocate(&mut self, size: usize) -> usize {
        self.try_allocate(size).expect("there is room for more memory")
    }

    /// The same, for when there may be no room.
    ///
    /// # Errors
    /// As the call.
    pub fn try_allocate(&mut self, size: usize) -> Answer {
        let flags = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_PRIVATE;
        self.map(ANONYMOUS, Map { offset: 0, size, flags, address: 0 })
    }

    /// Maps fresh memory that stays shared over `fork`.
    pub fn allocate_shared(&mut self, size: usize) -> usize {
        let flags = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED;
        let map = Map { offset: 0, size, flags, address: 0 };
        self.map(ANONYMOUS, map).expect("there is room for more memory")
    }

    /// Unmaps whole pages.
    ///
    /// # Errors
    /// As the call.
    pub fn unmap(&mut self, address: usize, size: usize) -> Answer {
        self.call(SYS_FUNMAP, [address, size])
    }

    /// Changes what whole pages allow.
    ///
    /// # Errors
    /// As the call.
    pub fn protect(&mut self, address: usize, size: usize, flags: MapFlags) -> Answer {
        self.call(SYS_MPROTECT, [address, size, flags.bits()])
    }

    /// Touches every page of a range by writing.
    pub fn fill(&mut self, address: usize, size: usize, byte: u8) {
        for page in (address..address + size).step_by(PAGE_SIZE) {
            self.store(page, &[byte]);
        }
    }
}
