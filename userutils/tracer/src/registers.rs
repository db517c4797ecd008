//! `proc:PID/thread/TID/regs/`.

use abi::redox::{FloatRegisters, IntRegisters};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// A thread's registers.
#[derive(Debug)]
pub struct Registers {
    integer: File,
    float: File,
    bases: File,
    debug: File,
    extended: File,
}

/// XCR0: which parts of the registers [`Registers::extended`] has. Nothing on a processor without
/// `xsave`.
pub fn extended_state() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "xsave")]
        fn read() -> u64 {
            // SAFETY: `xgetbv` reads XCR0, which there is where there is `xsave`.
            unsafe { core::arch::x86_64::_xgetbv(0) }
        }
        // SDM 1, 13.3: the system has switched it on.
        const OSXSAVE: u32 = 1 << 27;
        let features = core::arch::x86_64::__cpuid(1).ecx;
        // SAFETY: the processor has `xsave`, and user code may ask.
        (features & OSXSAVE != 0).then(|| unsafe { read() })
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

impl Registers {
    /// Opens a thread's registers. They can be read while no CPU has the thread, and written by
    /// its tracer while it is stopped.
    ///
    /// # Errors
    /// When the caller may not, when it is gone.
    pub fn open(pid: u32, tid: u32) -> io::Result<Self> {
        let open = |name: &str| {
            let path = format!("/scheme/proc/{pid}/thread/{tid}/regs/{name}");
            OpenOptions::new().read(true).write(true).open(path)
        };
        Ok(Self {
            integer: open("int")?,
            float: open("float")?,
            bases: open("env")?,
            debug: open("debug")?,
            extended: open("xsave")?,
        })
    }

    /// All floating-point and vector registers, as `xsave` stores them.
    ///
    /// # Errors
    /// While the thread runs, when it is gone, when the processor has no `xsave`.
    pub fn extended(&self) -> io::Result<Vec<u8>> {
        // Larger than any processor's (SDM 1, 13.5).
        let mut bytes = vec![0; 16 << 10];
        let count = self.extended.read_at(&mut bytes, 0)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// The integer registers.
    ///
    /// # Errors
    /// While the thread runs, and when it is gone.
    pub fn integer(&self) -> io::Result<IntRegisters> {
        let mut registers = IntRegisters::default();
        self.integer.read_exact_at(&mut registers, 0)?;
        Ok(registers)
    }

    /// Replaces the integer registers of a stopped thread.
    ///
    /// # Errors
    /// When they lead out of the program, while the thread runs, when it is gone.
    pub fn set_integer(&self, registers: &IntRegisters) -> io::Result<()> {
        self.integer.write_all_at(registers, 0)
    }

    /// The floating-point registers.
    ///
    /// # Errors
    /// While the thread runs, and when it is gone.
    pub fn float(&self) -> io::Result<FloatRegisters> {
        let mut registers = FloatRegisters::default();
        self.float.read_exact_at(&mut registers, 0)?;
        Ok(registers)
    }

    /// Replaces the floating-point registers of a stopped thread.
    ///
    /// # Errors
    /// When the processor would refuse them, while the thread runs, when it is gone.
    pub fn set_float(&self, registers: &FloatRegisters) -> io::Result<()> {
        self.float.write_all_at(registers, 0)
    }

    /// The bases of fs and gs.
    ///
    /// # Errors
    /// While the thread runs, and when it is gone.
    pub fn bases(&self) -> io::Result<[usize; 2]> {
        let mut bytes = [0; 16];
        self.bases.read_exact_at(&mut bytes, 0)?;
        let word =
            |at: usize| usize::from_ne_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
        Ok([word(0), word(8)])
    }

    /// Sets the hardware breakpoints of a stopped thread: DR0 to DR3 and DR7.
    ///
    /// # Errors
    /// When they watch anything but the program's memory, while the thread runs, when it is gone.
    pub fn set_debug(&self, addresses: [usize; 4], control: usize) -> io::Result<()> {
        let [a, b, c, d] = addresses;
        let words = [a, b, c, d, 0, control];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.debug.write_all_at(&bytes, 0)
    }
}
