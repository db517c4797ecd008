//! The answers to what the portable kernel asks for.

use crate::boot::stages;
use crate::context::Context;
use crate::cpu::{Cpu, features};
use crate::interrupt::{self, io, local, message, vector};
use crate::paging::space::Space;
use crate::smp::{self, flush};
use crate::{heap, keyboard, physical, power, screen, serial, store, time};
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use kernel_core::acpi::PciWindow;
use kernel_core::boot::{LoaderTicks, Past, Stage};
use kernel_core::kernel::Kernel;
use kernel_core::machine::{
    Access, CpuFacts, CpuId, Interrupt, Machine, Message, PowerOff, ScreenMemory,
};
use kernel_core::memory::{Frame, Frames, NoMemory, Page, Pages, PhysicalAddress};

/// An x86-64 machine with PC devices.
pub struct Pc {
    /// The top-level table with nothing but the kernel's half.
    kernel_root: Frame,
    /// What the firmware said about PCI.
    pci_windows: Vec<PciWindow>,
}

impl Pc {
    /// Tables that map the kernel alone.
    pub(crate) fn kernel_root(&self) -> Frame {
        self.kernel_root
    }

    pub(crate) fn new(kernel_root: Frame, pci_windows: Vec<PciWindow>) -> Self {
        Self { kernel_root, pci_windows }
    }
}

impl Machine for Pc {
    type Context = Context;
    type Space = Space;

    fn stages() -> Vec<Stage<Kernel<Self>>> {
        stages::all()
    }

    fn past_stages() -> Vec<Past> {
        stages::past()
    }

    #[inline]
    fn read(&self, at: PhysicalAddress, into: &mut [u8]) {
        // SAFETY: the window shows all memory that the kernel may name; `into` is the caller's.
        unsafe { physical::copy(physical::pointer(at), into.as_mut_ptr(), into.len()) };
    }

    #[inline]
    fn write(&mut self, at: PhysicalAddress, from: &[u8]) {
        // SAFETY: as for `read`; what lies at `at` is no object of the kernel's own.
        unsafe { physical::copy(from.as_ptr(), physical::pointer(at), from.len()) };
    }

    #[inline]
    fn copy(&mut self, from: PhysicalAddress, to: PhysicalAddress, length: usize) {
        // SAFETY: as for `write`; the caller says that the ranges do not overlap.
        unsafe { physical::copy(physical::pointer(from), physical::pointer(to), length) };
    }

    #[inline]
    fn words<T>(&self, frame: Frame, look: impl FnOnce(&[u64; 512]) -> T) -> T {
        // SAFETY: the window shows the frame, and any bits are valid. Who may write to it stands
        // still while somebody looks at it this way.
        look(unsafe { &*physical::frame::<[u64; 512]>(frame) })
    }

    #[inline]
    fn zero(&mut self, frame: Frame) {
        // SAFETY: as for `write`.
        unsafe { physical::zero(frame) };
    }

    fn compare_exchange(&mut self, at: PhysicalAddress, old: u32, new: u32) -> u32 {
        // SAFETY: the window shows the word, which is aligned; user code may change it meanwhile,
        // but only as another atomic would.
        let word = unsafe { AtomicU32::from_ptr(physical::pointer(at)) };
        match word.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(found) | Err(found) => found,
        }
    }

    fn new_space(&mut self, frames: &mut Frames) -> Result<Space, NoMemory> {
        Space::new(frames, self.kernel_root)
    }

    fn drop_space(&mut self, frames: &mut Frames, space: Space) {
        flush::leave(space.root(), self.kernel_root);
        space.drop(frames);
    }

    #[inline]
    fn map(
        &mut self,
        frames: &mut Frames,
        space: &mut Space,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory> {
        space.map(frames, page, frame, access)
    }

    #[inline]
    fn lookup(&self, space: &Space, page: Page) -> Option<(Frame, Access)> {
        space.lookup(page)
    }

    fn next_mapped(&self, space: &Space, pages: Pages) -> Option<(Page, Frame, Access)> {
        space.next_mapped(pages)
    }

    fn unmap(&mut self, space: &mut Space, pages: Pages, removed: &mut [Frame]) -> (usize, Page) {
        space.unmap(pages, removed)
    }

    fn protect(&mut self, space: &mut Space, pages: Pages, access: Access) {
        space.protect(pages, access);
    }

    fn share(
        &mut self,
        frames: &mut Frames,
        from: &mut Space,
        to: &mut Space,
        pages: Pages,
        copy_on_write: bool,
    ) -> Result<usize, NoMemory> {
        from.share(frames, to, pages, copy_on_write)
    }

    fn flush(&mut self, space: &Space, pages: Pages) {
        flush::everywhere(space.root(), pages);
    }

    fn flush_here(&mut self, space: &Space, pages: Pages) {
        flush::here(space.root(), pages);
    }

    #[inline]
    fn suspend(&mut self, context: &mut Context) {
        context.suspend(Cpu::this());
    }

    #[inline]
    fn this_cpu(&self) -> CpuId {
        CpuId(Cpu::this().id)
    }

    fn cpu_count(&self) -> u32 {
        smp::count()
    }

    #[inline]
    fn ticks(&self) -> u64 {
        time::ticks()
    }

    #[inline]
    fn nanoseconds(&self, ticks: u64) -> u64 {
        time::nanoseconds(ticks)
    }

    fn entered(&self) -> u64 {
        time::entered()
    }

    fn loader(&self) -> Option<LoaderTicks> {
        stages::loader()
    }

    fn boot_time(&self) -> u64 {
        time::boot_time()
    }

    fn set_timer(&mut self, deadline: Option<u64>) {
        time::set_timer(deadline);
    }

    fn kick(&mut self, cpu: CpuId) {
        local::send(Cpu::of(cpu.0).apic_id(), local::command::FIXED | u32::from(vector::KICK));
    }

    #[inline]
    fn next_interrupt(&mut self) -> Option<Interrupt> {
        let next = interrupt::next(Cpu::this());
        match next {
            Some(Interrupt::Line(serial::LINE)) => serial::service(&serial::CONSOLE),
            Some(Interrupt::Line(keyboard::LINE)) if keyboard::is_there() => keyboard::service(),
            Some(Interrupt::Line(serial::SECOND_LINE)) if serial::has_other() => {
                serial::service(&serial::OTHER);
            }
            _ => {}
        }
        next
    }

    fn unmask_line(&mut self, line: u8) {
        io::unmask(line);
    }

    fn route_line(&mut self, line: u8, to: Option<CpuId>) {
        io::route(line, to.map(|cpu| Cpu::of(cpu.0).apic_id()));
    }

    fn message(&self, line: u8, to: CpuId) -> Option<Message> {
        message::of(line, Cpu::of(to.0).apic_id())
    }

    fn kept_device(&self) -> Option<String> {
        store::kept()
    }

    fn pci_windows(&self) -> Vec<PciWindow> {
        self.pci_windows.clone()
    }

    fn cpu_facts(&self, _cpu: CpuId) -> CpuFacts {
        // All CPUs of a machine that this kernel starts on are alike.
        features::facts()
    }

    fn random(&mut self) -> Option<u64> {
        features::random()
    }

    fn console_write(&mut self, bytes: &[u8]) -> usize {
        serial::send(&serial::CONSOLE, bytes)
    }

    fn console_read(&mut self, into: &mut [u8]) -> usize {
        serial::receive(&serial::CONSOLE, into)
    }

    fn console_line(&self) -> u8 {
        serial::LINE
    }

    fn second_line(&self) -> Option<u8> {
        serial::has_other().then_some(serial::SECOND_LINE)
    }

    fn second_write(&mut self, bytes: &[u8]) -> usize {
        serial::send(&serial::OTHER, bytes)
    }

    fn second_read(&mut self, into: &mut [u8]) -> usize {
        serial::receive(&serial::OTHER, into)
    }

    fn screen(&self) -> Option<ScreenMemory> {
        screen::memory()
    }

    fn draw(&mut self, x: usize, y: usize, pixels: &[u32]) {
        screen::put(x, y, pixels);
    }

    fn keyboard_line(&self) -> Option<u8> {
        keyboard::is_there().then_some(keyboard::LINE)
    }

    fn keyboard_read(&mut self, into: &mut [u8]) -> usize {
        keyboard::receive(into)
    }

    fn power_off(&mut self, how: PowerOff) {
        power::off(how);
    }

    fn heap_allocations(&self) -> u64 {
        heap::allocations()
    }

    fn heap_free(&self) -> usize {
        heap::free()
    }

    fn heap_used(&self) -> usize {
        heap::used()
    }

    #[inline]
    fn heap_reserve(&self) -> usize {
        heap::reserve()
    }

    fn grow_heap(&mut self, first: Frame, count: usize) {
        // SAFETY: the caller gives the frames away, and the window shows them.
        unsafe { heap::set_aside(physical::frame(first), count * abi::PAGE_SIZE) };
    }
}
