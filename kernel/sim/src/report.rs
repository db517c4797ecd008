//! Who waits for what, for the story that went wrong.

use crate::hardware::Sim;
use kernel_core::kernel::Kernel;
use kernel_core::task::State;
use std::fmt::Write;

/// One line for every thread and every daemon's scheme, then the log.
pub fn describe(kernel: &mut Kernel<Sim>) -> String {
    let mut text = String::new();
    for (index, task) in kernel.tasks.iter() {
        let process = &kernel.processes[task.process.0];
        let doing = match task.state {
            State::Parked(wait) => {
                format!("waits for {}, until {:?}", wait.reason, task.unfinished.deadline)
            }
            state => format!("{state:?}"),
        };
        line(
            &mut text,
            format_args!(
                "thread {index}, tid {}, of process {} ({}): {doing}, {:?}, attention {:?}, pending {:#x} {:#x}",
                task.tid,
                process.pid,
                process.name(),
                task.unfinished,
                task.attention,
                task.signals.pending.mask(),
                process.signals.pending.mask(),
            ),
        );
    }
    for (index, scheme) in kernel.user_schemes.iter() {
        let waiting = scheme.waiting();
        line(&mut text, format_args!("scheme {index} of process {} owes {waiting}", scheme.owner));
    }
    for cpu in kernel.cpus.iter() {
        line(
            &mut text,
            format_args!("{:?} runs {:?}, idle {}", cpu.id, cpu.current(), cpu.is_idle),
        );
    }
    text + &log(kernel)
}

/// The kernel's log.
pub(crate) fn log(kernel: &Kernel<Sim>) -> String {
    let (start, end) = (kernel.log.start(), kernel.log.end());
    let mut bytes = vec![0; (end - start) as usize];
    let piece = kernel.log.read(start, &mut bytes);
    String::from_utf8_lossy(&bytes[..piece.count]).into_owned()
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(text, "{what}").expect("a string takes everything");
}
