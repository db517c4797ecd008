//! The panic report — everything worth knowing when the kernel finds itself broken, as a value.
//!
//! The machine fills a [`Report`] with what it can still find and writes it wherever text can be
//! seen. Writing allocates nothing, takes no lock and cannot fail in itself.

use crate::boot::KernelState;
use core::fmt;

/// What is known about a panic.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// What was said.
    pub message: &'a dyn fmt::Display,
    /// Where in the source.
    pub location: Option<Location<'a>>,
    /// Which thread's work it was.
    pub thread: Option<Thread<'a>>,
    /// What the kernel was doing.
    pub state: KernelState,
    /// The call being served, if one was.
    pub call: Option<&'a dyn fmt::Display>,
    /// The registers, in the order to show them.
    pub registers: &'a [(&'a str, u64)],
    /// The calls that led here, innermost first.
    pub frames: &'a [StackFrame<'a>],
    /// What happens next.
    pub action: PanicAction,
}

/// A place in the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location<'a> {
    /// The file, as the compiler knows it.
    pub file: &'a str,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// The thread whose work it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thread<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id.
    pub tid: usize,
}

/// One call on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackFrame<'a> {
    /// Where it goes on.
    pub address: u64,
    /// The function that holds the address, and how far in; the name as the linker knows it.
    pub symbol: Option<(&'a str, u64)>,
}

/// What happens after the report, chosen by the boot option `panic=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PanicAction {
    /// Stop this CPU for good.
    #[default]
    Halt,
    /// Start the machine again.
    Reboot,
    /// Break into a debugger.
    DebugBreak,
    /// Go on as if nothing had happened; for debugging only.
    Continue,
}

impl PanicAction {
    /// Reads `halt`, `reboot`, `debugbreak` or `continue`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Halt, Self::Reboot, Self::DebugBreak, Self::Continue];
        all.into_iter().find(|action| text.eq_ignore_ascii_case(action.name()))
    }

    /// How the report names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Halt => "Halt",
            Self::Reboot => "Reboot",
            Self::DebugBreak => "DebugBreak",
            Self::Continue => "Continue",
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "=== KERNEL PANIC ===")?;
        writeln!(f, "Message: {}", self.message)?;
        match self.location {
            Some(at) => writeln!(f, "Location: {}:{}:{}", at.file, at.line, at.column)?,
            None => writeln!(f, "Location: unknown")?,
        }
        match self.thread {
            Some(thread) => writeln!(f, "Thread: {} (tid={})", thread.name, thread.tid)?,
            None => writeln!(f, "Thread: none")?,
        }
        writeln!(f, "State: {:?}", self.state)?;
        if let Some(call) = self.call {
            writeln!(f, "SYSCALL: {call}")?;
        }
        writeln!(f, "\nRegister Dump:")?;
        self.write_registers(f)?;
        writeln!(f, "\nStack Trace:")?;
        self.write_frames(f)?;
        writeln!(f, "\nAction: {}", self.action.name())
    }
}

impl Report<'_> {
    fn write_registers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.registers.is_empty() {
            writeln!(f, "  not available")?;
        }
        for pair in self.registers.chunks(2) {
            for (name, value) in pair {
                write!(f, "  {name}=0x{value:016X}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_frames(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.frames.is_empty() {
            writeln!(f, "  not available")?;
        }
        for (number, frame) in self.frames.iter().enumerate() {
            match frame.symbol {
                // The alternate form leaves out the hash.
                Some((name, 0)) => {
                    writeln!(f, "  #{number:<2} {:#}", rustc_demangle::demangle(name))?;
                }
                Some((name, offset)) => {
                    let name = rustc_demangle::demangle(name);
                    writeln!(f, "  #{number:<2} {name:#}+{offset:#x}")?;
                }
                None => writeln!(f, "  #{number:<2} 0x{:016X}", frame.address)?,
            }
        }
        Ok(())
    }
}
