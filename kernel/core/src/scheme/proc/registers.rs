//! `proc:PID/regs/` — a thread's registers, one file for each set. Each is written whole, wherever
//! the file's position stands. Reading takes a thread that no CPU runs; writing one that its tracer has stopped.

use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::{Context, DebugRegisters, Machine};
use crate::memory::UserSlice;
use crate::task::TaskId;
use crate::trace::ThreadKey;
use abi::USER_END;
use abi::redox::{FloatRegisters, IntRegisters};
use abi::trace::DEBUG_BYTES;
use alloc::vec::Vec;

/// Which registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    /// `IntRegisters`.
    Integer,
    /// `FloatRegisters`: the part that `fxsave` knows.
    Float,
    /// The whole floating-point and vector state, as the processor's `xsave` stores it.
    Extended,
    /// The bases of fs and gs.
    Bases,
    /// Hardware breakpoints: DR0 to DR3, DR6, DR7.
    Debug,
}

impl Set {
    pub(super) const ALL: [Set; 5] =
        [Set::Integer, Set::Float, Set::Extended, Set::Bases, Set::Debug];

    pub(super) fn name(self) -> &'static str {
        match self {
            Set::Integer => "int",
            Set::Float => "float",
            Set::Extended => "xsave",
            Set::Bases => "env",
            Set::Debug => "debug",
        }
    }
}

/// Reads the set from `offset` on.
pub(super) fn read<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    key: ThreadKey,
    set: Set,
    into: UserSlice,
    offset: u64,
) -> Outcome {
    let task = k.task_of(key)?;
    let size = size_of::<IntRegisters>();
    if set == Set::Integer && offset == 0 && into.length >= size {
        // What debuggers do most: nothing is copied twice.
        let (at, room) = k.writable_at(caller.space, into.part(0, size))?;
        let registers = k.traced_registers(task)?;
        if room == size {
            k.machine.write(at, &registers);
            return Ok(size);
        }
    }
    read_part(k, caller, task, set, into, offset)
}

#[inline(never)]
fn read_part<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    task: TaskId,
    set: Set,
    into: UserSlice,
    offset: u64,
) -> Outcome {
    if set == Set::Integer {
        let registers = k.traced_registers(task)?;
        return put(k, caller, into, &registers, offset);
    }
    k.check_at_home(task)?;
    let bytes = bytes(k, task, set);
    put(k, caller, into, &bytes, offset)
}

fn put<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    into: UserSlice,
    bytes: &[u8],
    offset: u64,
) -> Outcome {
    let rest = bytes.get(offset as usize..).unwrap_or_default();
    let count = rest.len().min(into.length);
    k.copy_out(caller.space, into, &rest[..count])?;
    Ok(count)
}

fn bytes<M: Machine>(k: &mut Kernel<M>, task: TaskId, set: Set) -> Vec<u8> {
    let context = k.tasks[task.0].context();
    let words = |words: &[usize]| words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    match set {
        Set::Integer => context.registers().to_vec(),
        Set::Float => context.float()[..size_of::<FloatRegisters>()].to_vec(),
        Set::Extended => context.float().to_vec(),
        Set::Bases => words(&[context.thread_pointer(), context.second_base()]),
        Set::Debug => {
            let DebugRegisters { addresses: [a, b, c, d], status, control } = context.debug();
            words(&[a, b, c, d, status, control])
        }
    }
}

/// Replaces the set. `EINVAL` when it is not whole, or holds what a program may not have.
pub(super) fn write<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    key: ThreadKey,
    set: Set,
    from: UserSlice,
) -> Outcome {
    let task = k.task_of(key)?;
    k.check_stopped(task)?;
    let size = match set {
        Set::Integer => size_of::<IntRegisters>(),
        Set::Float => size_of::<FloatRegisters>(),
        Set::Extended => k.tasks[task.0].context().float().len(),
        Set::Bases => 2 * size_of::<usize>(),
        Set::Debug => DEBUG_BYTES,
    };
    if from.length != size {
        return fail(EINVAL);
    }
    let bytes = k.copy_in_vec(caller.space, from)?;
    let context = k.tasks[task.0].context();
    let is_good = match set {
        Set::Integer => {
            let mut registers = IntRegisters::default();
            registers.copy_from_slice(&bytes);
            k.set_traced_registers(task, &registers)?;
            true
        }
        Set::Float | Set::Extended => context.set_float(&bytes),
        Set::Bases => {
            let [fs, gs] = words(&bytes);
            let is_good = fs <= USER_END && gs <= USER_END;
            if is_good {
                context.set_thread_pointer(fs);
                context.set_second_base(gs);
            }
            is_good
        }
        Set::Debug => {
            let [a, b, c, d, status, control] = words(&bytes);
            context.set_debug(DebugRegisters { addresses: [a, b, c, d], status, control })
        }
    };
    if is_good { Ok(size) } else { fail(EINVAL) }
}

fn words<const N: usize>(bytes: &[u8]) -> [usize; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(size_of::<usize>())) {
        let mut one = [0; size_of::<usize>()];
        one.copy_from_slice(bytes);
        *word = usize::from_ne_bytes(one);
    }
    words
}
