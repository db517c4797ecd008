//! The loop of one CPU.
//!
//! User code runs between two takings of the lock; everything else happens while it is held.

use crate::kernel::Chosen;
use crate::machine::{CpuId, Port, Trap};

/// Runs threads until the machine is over. Returns only on the simulated machine.
pub fn run_cpu<P: Port>(port: &P, cpu: CpuId) {
    let mut kernel = port.lock();
    while !port.is_over() {
        kernel.poll_interrupts(cpu);
        let Some(chosen) = kernel.next(cpu) else {
            if kernel.stays_awake(cpu) {
                drop(kernel);
                kernel = port.lock();
                continue;
            }
            kernel.hibernate(cpu);
            kernel = port.hibernate(kernel);
            kernel.unhibernate(cpu);
            continue;
        };
        let Chosen { mut context, space } = chosen;
        let now = &mut *kernel;
        let loaded = P::load(&mut now.machine, &now.spaces[space.0].tables);
        loop {
            drop(kernel);
            let trap = port.run(&mut context, &loaded);
            if trap != Trap::Call {
                kernel = port.lock();
                kernel.trapped(cpu, context, trap);
                break;
            }
            kernel = port.lock();
            match kernel.called(cpu, context) {
                Some(same) => context = same,
                None => break,
            }
        }
    }
}
