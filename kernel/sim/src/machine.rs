//! What the kernel asks of the simulated machine.

use crate::allocations::as_hardware;
use crate::context::SimContext;
use crate::hardware::{CONSOLE_LINE, KEYBOARD_LINE, Sim, SpaceNumber, this_cpu};
use crate::tables::{Cache, Tables};
use abi::PAGE_SIZE;
use kernel_core::machine::{
    Access, CpuFacts, CpuId, Interrupt, Machine, Message, PowerOff, ScreenMemory,
};
use kernel_core::memory::{Frame, Frames, NoMemory, Page, Pages, PhysicalAddress};
use std::sync::atomic::Ordering;
use terminal::Mode;

/// Reading the clock takes this long, in nanoseconds, so that time passes at all.
const CLOCK_READ_NS: u64 = 100;
/// Seconds since 1970 when every simulated machine boots.
const BOOT_TIME: u64 = 1_700_000_000;
/// Lines from here on are no wires: devices write their numbers to [`MESSAGE_ADDRESS`].
const FIRST_MESSAGE: u8 = 250;
const MESSAGE_ADDRESS: u64 = 0xFEE0_0000;
/// Where the screen's pixels are.
const SCREEN: u64 = 0xC000_0000;

impl Machine for Sim {
    type Context = SimContext;
    type Space = SpaceNumber;

    fn read(&self, at: PhysicalAddress, into: &mut [u8]) {
        into.copy_from_slice(&self.memory[at.0 as usize..][..into.len()]);
    }

    fn write(&mut self, at: PhysicalAddress, from: &[u8]) {
        self.memory[at.0 as usize..][..from.len()].copy_from_slice(from);
    }

    fn copy(&mut self, from: PhysicalAddress, to: PhysicalAddress, length: usize) {
        assert!(from.0.abs_diff(to.0) >= length as u64, "{from:?} and {to:?} overlap");
        let from = from.0 as usize;
        self.memory.copy_within(from..from + length, to.0 as usize);
    }

    fn words<T>(&self, frame: Frame, look: impl FnOnce(&[u64; 512]) -> T) -> T {
        let bytes = &self.memory[frame.start().0 as usize..][..PAGE_SIZE];
        let mut words = [0; 512];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().expect("8 bytes are a word"));
        }
        look(&words)
    }

    fn zero(&mut self, frame: Frame) {
        self.memory[frame.start().0 as usize..][..PAGE_SIZE].fill(0);
    }

    fn compare_exchange(&mut self, at: PhysicalAddress, old: u32, new: u32) -> u32 {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes);
        let have = u32::from_ne_bytes(bytes);
        if have == old {
            self.write(at, &new.to_ne_bytes());
        }
        have
    }

    fn new_space(&mut self, frames: &mut Frames) -> Result<SpaceNumber, NoMemory> {
        let tables = as_hardware(|| Tables::new(frames))?;
        self.next_space += 1;
        let number = SpaceNumber(self.next_space);
        as_hardware(|| self.spaces.insert(number, tables));
        Ok(number)
    }

    fn drop_space(&mut self, frames: &mut Frames, space: SpaceNumber) {
        as_hardware(|| {
            for core in self.cpus.iter_mut().filter(|core| core.space == Some(space)) {
                core.space = None;
                core.cache = Cache::default();
            }
            let tables = self.spaces.remove(&space).expect("a space is dropped once");
            tables.give_back(frames);
        });
    }

    fn map(
        &mut self,
        frames: &mut Frames,
        space: &mut SpaceNumber,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory> {
        as_hardware(|| self.tables_mut(space).map(frames, page, frame, access))
    }

    fn lookup(&self, space: &SpaceNumber, page: Page) -> Option<(Frame, Access)> {
        self.tables(space).lookup(page)
    }

    fn next_mapped(&self, space: &SpaceNumber, pages: Pages) -> Option<(Page, Frame, Access)> {
        self.tables(space).mapped(pages).next()
    }

    fn unmap(
        &mut self,
        space: &mut SpaceNumber,
        pages: Pages,
        removed: &mut [Frame],
    ) -> (usize, Page) {
        as_hardware(|| self.tables_mut(space).unmap(pages, removed))
    }

    fn protect(&mut self, space: &mut SpaceNumber, pages: Pages, access: Access) {
        as_hardware(|| self.tables_mut(space).protect(pages, access));
    }

    fn share(
        &mut self,
        frames: &mut Frames,
        from: &mut SpaceNumber,
        to: &mut SpaceNumber,
        pages: Pages,
        copy_on_write: bool,
    ) -> Result<usize, NoMemory> {
        as_hardware(|| {
            let found: Vec<_> = self.tables(from).mapped(pages).collect();
            for (page, frame, access) in &found {
                let access = if copy_on_write { *access - Access::WRITE } else { *access };
                self.tables_mut(to).map(frames, *page, *frame, access)?;
                frames.add_reference(*frame);
                self.tables_mut(from).protect(Pages::one(*page), access);
            }
            Ok(found.len())
        })
    }

    fn flush(&mut self, space: &SpaceNumber, pages: Pages) {
        for core in self.cpus.iter_mut().filter(|core| core.space == Some(*space)) {
            as_hardware(|| core.cache.forget(pages));
        }
    }

    fn flush_here(&mut self, space: &SpaceNumber, pages: Pages) {
        let own = this_cpu();
        let core = &mut self.cpus[own.0 as usize];
        if core.space == Some(*space) {
            core.cache.forget(pages);
        }
    }

    fn suspend(&mut self, context: &mut SimContext) {
        context.save_float(self.this_cpu());
    }

    fn this_cpu(&self) -> CpuId {
        this_cpu()
    }

    fn cpu_count(&self) -> u32 {
        self.cpus.len() as u32
    }

    fn ticks(&self) -> u64 {
        self.clock.fetch_add(CLOCK_READ_NS, Ordering::Relaxed)
    }

    fn nanoseconds(&self, ticks: u64) -> u64 {
        ticks
    }

    fn entered(&self) -> u64 {
        0
    }

    fn boot_time(&self) -> u64 {
        BOOT_TIME
    }

    fn set_timer(&mut self, deadline: Option<u64>) {
        let cpu = self.this_cpu();
        self.cpus[cpu.0 as usize].timer = deadline;
    }

    fn kick(&mut self, cpu: CpuId) {
        as_hardware(|| self.cpus[cpu.0 as usize].interrupts.push_back(Interrupt::Kick));
        self.outside.stirred.notify_all();
    }

    fn next_interrupt(&mut self) -> Option<Interrupt> {
        self.look_at_clock();
        let cpu = self.this_cpu();
        self.cpus[cpu.0 as usize].interrupts.pop_front()
    }

    fn unmask_line(&mut self, line: u8) {
        as_hardware(|| self.unmasked.insert(line));
    }

    fn route_line(&mut self, line: u8, to: Option<CpuId>) {
        as_hardware(|| self.routes.insert(line, to));
    }

    fn message(&self, line: u8, to: CpuId) -> Option<Message> {
        let address = MESSAGE_ADDRESS | u64::from(to.0) << 12;
        (line >= FIRST_MESSAGE).then(|| Message { address, data: line.into() })
    }

    fn cpu_facts(&self, _: CpuId) -> CpuFacts {
        CpuFacts {
            vendor: "Lifeboat".into(),
            model: "simulated".into(),
            features: String::new(),
            ticks_per_second: 1_000_000_000,
        }
    }

    fn random(&mut self) -> Option<u64> {
        // Marsaglia's xorshift: the same numbers in every run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Some(self.random)
    }

    fn console_write(&mut self, bytes: &[u8]) -> usize {
        as_hardware(|| self.console.extend_from_slice(bytes));
        bytes.len()
    }

    fn console_read(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.typed.len());
        for (place, byte) in into.iter_mut().zip(self.typed.drain(..count)) {
            *place = byte;
        }
        count
    }

    fn console_line(&self) -> u8 {
        CONSOLE_LINE
    }

    fn screen(&self) -> Option<ScreenMemory> {
        let mode = self.screen.as_ref()?.mode;
        Some(ScreenMemory { mode, start: PhysicalAddress(SCREEN), stride: mode.width * 4 })
    }

    fn draw(&mut self, x: usize, y: usize, pixels: &[u32]) {
        let screen = self.screen.as_mut().expect("only a machine with a screen is drawn on");
        let Mode { width, height, .. } = screen.mode;
        assert!(x + pixels.len() <= width && y < height, "drawn beside the screen");
        screen.pixels[y * width + x..][..pixels.len()].copy_from_slice(pixels);
    }

    fn keyboard_line(&self) -> Option<u8> {
        self.screen.as_ref().map(|_| KEYBOARD_LINE)
    }

    fn keyboard_read(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.codes.len());
        for (place, code) in into.iter_mut().zip(self.codes.drain(..count)) {
            *place = code;
        }
        count
    }

    fn power_off(&mut self, how: PowerOff) {
        self.off.get_or_insert(how);
        self.outside.finish();
    }

    fn heap_allocations(&self) -> u64 {
        crate::allocations::count()
    }

    fn heap_free(&self) -> usize {
        self.heap.map_or(usize::MAX, |heap| heap.free())
    }

    fn heap_used(&self) -> usize {
        0
    }

    fn heap_reserve(&self) -> usize {
        self.heap.map_or(usize::MAX, |heap| heap.reserve())
    }

    fn may_grow_heap(&self) -> bool {
        self.heap.is_none_or(|heap| heap.grows > 0)
    }

    fn grow_heap(&mut self, _: Frame, count: usize) {
        if let Some(heap) = &mut self.heap {
            heap.aside = (count * PAGE_SIZE) as isize;
            heap.size += heap.aside;
            heap.grows -= 1;
            heap.frames += count;
            crate::allocations::set_limit(heap.size);
        }
    }
}
