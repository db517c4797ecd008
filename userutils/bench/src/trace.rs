//! Tracing: one stop and going on, by kind, and looking inside.

use crate::sample::Bench;
use guest::Result;
use guest::abi::number::GETPPID;
use guest::abi::redox::IntRegisters;
use guest::abi::redox::flag::{O_RDWR, O_TRUNC};
use guest::call::call0;
use guest::file::open;
use guest::process::Child;
use guest::time::sleep_ms;
use guest::trace::{BREAKPOINT, PRE, STEP, Tracer};
use std::arch::asm;

/// A child that makes a harmless call for ever.
fn chatterer() -> Result<Child> {
    Child::start(|| {
        loop {
            guest::process::tid();
        }
    })
}

/// A child that runs into breakpoints for ever.
fn stumbler() -> Result<Child> {
    Child::start(|| {
        loop {
            // SAFETY: touches one register; the breakpoint is behind a loop that only a tracer ends.
            unsafe {
                asm!("2: pause", "test rax, rax", "jz 2b", "int3", inout("rax") 0usize => _);
            }
        }
    })
}

/// Takes over a process that waits, as `PTRACE_ATTACH`, waiting for the stop and `PTRACE_DETACH` do:
/// opening its session stops it, reading its registers waits until it has stopped, closing the
/// session lets it go on. The descriptor of the registers is open all the time. Beside that, what a
/// process pays whom nobody traces while another one is.
fn attach_and_detach(bench: &mut Bench) -> Result<()> {
    let child = Child::start(|| {
        loop {
            sleep_ms(1_000_000);
        }
    })?;
    sleep_ms(5);
    let path = format!("proc:{}/trace", child.pid);
    let registers = open(&format!("proc:{}/regs/int", child.pid), O_RDWR)?;
    let mut room = IntRegisters::default();
    bench.row("trace_attach_detach", 50, 500, || -> Result<()> {
        let session = open(&path, O_RDWR | O_TRUNC)?;
        registers.read_at(&mut room, 0)?;
        drop(session);
        Ok(())
    });
    let _session = open(&path, O_RDWR | O_TRUNC)?;
    registers.read_at(&mut room, 0)?;
    // SAFETY: no memory is involved.
    bench.row("trace_others_call", 100, 5000, || unsafe { call0(GETPPID) });
    Ok(())
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    attach_and_detach(bench)?;
    let child = chatterer()?;
    // The rows' calls cannot fail while the child lives.
    let tracer = Tracer::attach(child.pid)?;
    bench.row("trace_syscall_stop", 50, 2000, || tracer.until(PRE, PRE));
    bench.row("trace_single_step", 50, 2000, || tracer.until(STEP, STEP));
    bench.row("trace_read_regs", 50, 2000, || tracer.registers());
    let memory = tracer.memory(0)?;
    let at = tracer.registers()?.rsp & !0xFFF;
    let mut page = [0; 4096];
    bench.row("trace_read_8b", 50, 2000, || memory.read(at, &mut page[..8]));
    bench.row("trace_read_4k", 50, 2000, || memory.read(at, &mut page));
    drop((memory, tracer, child));
    let child = stumbler()?;
    // It must be in its loop, or another register would be changed.
    sleep_ms(5);
    let tracer = Tracer::attach(child.pid)?;
    let mut registers = tracer.registers()?;
    registers.rax = 1;
    tracer.set_registers(&registers)?;
    tracer.until(BREAKPOINT, BREAKPOINT)?;
    // Going on without leading over it runs into it again.
    bench.row("trace_breakpoint", 50, 2000, || tracer.until(BREAKPOINT, BREAKPOINT));
    Ok(())
}
