//! `_start`: from the block that `exec` left on the stack to `main`.

use crate::sys::file::Output;
use crate::thread::control::{self, TEMPLATE, Template};
use crate::thread::record::FIRST;
use crate::{environment, exit, unwind};
use abi::exec::{AT_NULL, AT_PHDR, AT_PHENT, AT_PHNUM};
use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::fmt::Write;
use libc::{c_char, c_int};
use logic::tls::Segment;

/// A value that is written once, by the first thread, before `main`.
pub(crate) struct Once<T>(UnsafeCell<T>);

// SAFETY: written before there is a second thread, read-only afterwards.
unsafe impl<T> Sync for Once<T> {}

impl<T: Copy> Once<T> {
    /// Holds `value` until set.
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value.
    pub(crate) fn get(&self) -> T {
        // SAFETY: nobody writes any more.
        unsafe { *self.0.get() }
    }

    /// Sets the value.
    ///
    /// # Safety
    ///
    /// Only from the start code.
    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: there is one thread, and nothing was lent out.
        unsafe { *self.0.get() = value }
    }
}

/// The entry point. `exec` leaves rsp on the start block, 16-byte aligned; a C function wants a
/// return address on top of an aligned stack, which `call` supplies. A zero frame pointer ends
/// backtraces.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "call {start}", "ud2", start = sym start)
}

unsafe extern "C" {
    fn main(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) -> c_int;
}

/// The start block, taken apart.
struct Block {
    argc: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
    auxv: *const [usize; 2],
}

impl Block {
    /// # Safety
    ///
    /// `start` points at a start block as `exec` builds it.
    unsafe fn read(start: *const usize) -> Self {
        // SAFETY: argc, argv, a null, envp, a null, auxv, in this order.
        unsafe {
            let argc = start.read();
            let argv = start.add(1);
            let envp = argv.add(argc + 1);
            let mut end = envp;
            while end.read() != 0 {
                end = end.add(1);
            }
            Self {
                argc: argc as c_int,
                argv: argv.cast(),
                envp: envp.cast(),
                auxv: end.add(1).cast(),
            }
        }
    }

    /// An entry of the auxiliary vector.
    fn auxiliary(&self, key: usize) -> Option<usize> {
        let mut at = self.auxv;
        loop {
            // SAFETY: the vector ends with `AT_NULL`, behind which `at` never gets.
            let [found, value] = unsafe { at.read() };
            if found == key {
                return Some(value);
            }
            if found == AT_NULL {
                return None;
            }
            // SAFETY: this was not the end.
            at = unsafe { at.add(1) };
        }
    }

    /// The first of the program's headers that is of a kind.
    fn header(&self, kind: u32) -> Option<&'static ProgramHeader> {
        let headers = self.auxiliary(AT_PHDR)?;
        let size = self.auxiliary(AT_PHENT)?;
        let count = self.auxiliary(AT_PHNUM)?;
        let headers = (0..count).map(|index| (headers + index * size) as *const ProgramHeader);
        // SAFETY: the kernel says that so many headers are mapped there.
        let mut headers = headers.map(|header| unsafe { &*header });
        headers.find(|header| header.kind == kind)
    }

    /// The program's thread-local variables.
    fn template(&self) -> Option<Template> {
        let header = self.header(PT_TLS)?;
        Some(Template {
            image: header.address as *const u8,
            segment: Segment {
                address: header.address,
                file_size: header.file_size,
                memory_size: header.memory_size,
                align: header.align,
            },
        })
    }

    /// Where the program's table of frames is.
    fn frame_table(&self) -> usize {
        self.header(PT_GNU_EH_FRAME).map_or(0, |header| header.address)
    }
}

const PT_TLS: u32 = 7;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

/// `Elf64_Phdr`.
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_size: usize,
    memory_size: usize,
    align: usize,
}

/// Runs the program. Until the thread pointer is set, nothing here may touch `errno`.
unsafe extern "C" fn start(block: *const usize) -> ! {
    // SAFETY: `_start` passes the block.
    let block = unsafe { Block::read(block) };
    if let Some(template) = block.template() {
        // SAFETY: this is the start code.
        unsafe { TEMPLATE.set(template) };
    }
    if let Err(error) = control::install_first(&raw const FIRST) {
        // Standard error is the only one to tell, and may be closed.
        let _ = writeln!(Output(2), "libc: no memory for the first thread: {error}");
        exit::leave(126)
    }
    // SAFETY: this is the start code, and the header is the program's.
    unsafe { unwind::adopt(block.frame_table()) };
    environment::adopt(block.envp);
    for (begin, end) in [
        (&raw const __preinit_array_start, &raw const __preinit_array_end),
        (&raw const __init_array_start, &raw const __init_array_end),
    ] {
        // SAFETY: the linker collects constructors between these two.
        unsafe { run_constructors(begin, end, &block) };
    }
    // SAFETY: the program's own.
    exit::exit(unsafe { main(block.argc, block.argv, block.envp) })
}

type Constructor = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);

unsafe extern "C" {
    static __preinit_array_start: Constructor;
    static __preinit_array_end: Constructor;
    static __init_array_start: Constructor;
    static __init_array_end: Constructor;
}

unsafe fn run_constructors(begin: *const Constructor, end: *const Constructor, block: &Block) {
    let count = (end as usize - begin as usize) / size_of::<Constructor>();
    for index in 0..count {
        // SAFETY: between `begin` and `end` lie function pointers.
        unsafe { begin.add(index).read()(block.argc, block.argv, block.envp) };
    }
}
