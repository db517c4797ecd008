//! Entering a signal's handler and coming back: what it finds on its stack, and what becomes of the call
//! that it interrupts.
//!
//! The registers that a signal interrupted stay in the kernel, so that no handler can forge them.

use super::{Caller, Kernel};
use crate::error::*;
use crate::machine::{Access, Context, DebugRegisters, Machine};
use crate::memory::{Page, UserSlice};
use crate::signal::{Interrupted, UNSTOPPABLE, bit};
use crate::task::{Progress, TaskId};
use abi::signal::*;

/// The System V red zone: bytes below the stack pointer that a function may use.
const RED_ZONE: usize = 128;

/// More than what a handler finds on the stack: return address, details, registers.
const HANDLER_FRAME: usize = 512;

impl<M: Machine> Kernel<M> {
    /// Ends a parked call with `EINTR`, or moves the thread back to before it. A call that has not
    /// been run is none to interrupt: it is made after the handler. Returns whether its tracer
    /// wants to see that first.
    pub(super) fn interrupt_call(&mut self, task: TaskId, action: SigAction) -> bool {
        let thread = &mut self.tasks[task.0];
        if !thread.unfinished.is_call() {
            return false;
        }
        self.tell_rest_of_sleep(task);
        let thread = &mut self.tasks[task.0];
        // Neither a wait for a moment nor one for a signal may begin anew; what has only been refused
        // memory must.
        let may_restart =
            thread.unfinished.deadline.is_none() && thread.signals.suspended_mask.is_none();
        let unfinished = core::mem::take(&mut thread.unfinished);
        thread.signals.awaited = 0;
        let context = thread.context();
        let number = context.call().number;
        let is_restarted =
            action.flags & SA_RESTART != 0 || unfinished.progress == Progress::Refused;
        let begins_anew = unfinished.progress == Progress::Made || is_restarted && may_restart;
        if begins_anew {
            context.rewind_call(number);
        } else {
            context.set_answer((EINTR as usize).wrapping_neg());
        }
        self.call_interrupted(task, number, begins_anew)
    }

    /// Below which address a handler's frame goes: the thread's other stack if the action wants it
    /// and no handler is there yet, else where the thread was, without its red zone.
    fn handler_top(&mut self, task: TaskId, action: SigAction) -> usize {
        let thread = &mut self.tasks[task.0];
        let pointer = thread.context().stack_pointer();
        match thread.signals.alternate {
            Some(stack) if action.flags & SA_ONSTACK != 0 && !stack.holds(pointer) => stack.top(),
            _ => pointer.wrapping_sub(RED_ZONE),
        }
    }

    /// Whether there is no memory for what a handler finds on the stack, and an emergency is to
    /// find some.
    pub(super) fn lacks_room_for_handler(&mut self, task: TaskId, action: SigAction) -> bool {
        let top = self.handler_top(task, action);
        let space = self.tasks[task.0].space;
        let ends = [top.wrapping_sub(1), top.wrapping_sub(HANDLER_FRAME)];
        ends.into_iter().any(|address| {
            let page = Page::containing(address);
            let tables = &self.spaces[space.0].tables;
            let is_there = self.machine.lookup(tables, page);
            is_there.is_none_or(|(_, have)| !have.contains(Access::WRITE))
                && self.bring_page(space, page, Access::WRITE).is_err()
                && self.frames.is_refused
                && self.takes_refusal()
        })
    }

    /// Points the thread at its handler. When the handler cannot be entered: the signal that ends
    /// the process.
    pub(super) fn enter_handler(
        &mut self,
        task: TaskId,
        action: SigAction,
        info: SigInfo,
    ) -> Result<(), usize> {
        let stack = self.handler_top(task, action);
        let thread = &mut self.tasks[task.0];
        if thread.signals.interrupted.len() >= NESTING_MAX {
            return Err(info.signo as usize);
        }
        let registers = thread.context().registers();
        let mut frame = alloc::vec::Vec::with_capacity(256);
        frame.extend_from_slice(&action.restorer.to_ne_bytes());
        frame.extend_from_slice(&[0; 8]);
        frame.extend_from_slice(&info_bytes(&info));
        frame.extend_from_slice(&registers);
        // On entry to a function the stack pointer is 8 below a multiple of 16, where the return
        // address is (System V x86-64 ABI, 3.2.2).
        let top = stack.wrapping_sub(frame.len()) & !15;
        let base = top.wrapping_sub(8);
        let space = thread.space;
        let slice = UserSlice::new(base, frame.len()).map_err(|_| SIGSEGV)?;
        if self.copy_out(space, slice, &frame).is_err() {
            self.forget_refusal();
            return Err(SIGSEGV);
        }
        let thread = &mut self.tasks[task.0];
        let cpu_copy = thread.context.as_mut().expect("an attended thread has its registers");
        self.machine.suspend(cpu_copy);
        let mut saved: M::Context = cpu_copy.clone();
        if thread.is_marked {
            // What a tracer wants belongs to the thread, not to where it was.
            saved.set_step(false);
            saved.set_debug(DebugRegisters::default());
        }
        let mask = thread.signals.suspended_mask.take().unwrap_or(thread.signals.mask);
        thread.signals.interrupted.push(Interrupted { context: saved, mask });
        let blocked = if action.flags & SA_NODEFER != 0 { 0 } else { bit(info.signo as usize) };
        thread.signals.mask |= (action.mask | blocked) & !UNSTOPPABLE;
        let context = thread.context();
        context.set_pointers(action.handler, base);
        context.set_argument(0, info.signo as usize);
        context.set_argument(1, base + 16);
        context.set_argument(2, base + 16 + size_of::<SigInfo>());
        if action.flags & SA_RESETHAND != 0 {
            let process = thread.process;
            let signals = &mut self.processes[process.0].signals;
            signals.set_action(info.signo as usize, SigAction::default());
        }
        self.handler_entered(task);
        Ok(())
    }

    /// The handler is done: back to where the signal came.
    pub(crate) fn return_from_handler(&mut self, caller: Caller) -> Outcome {
        let thread = &mut self.tasks[caller.task.0];
        let Some(Interrupted { mut context, mask }) = thread.signals.interrupted.pop() else {
            return fail(EINVAL);
        };
        self.machine.suspend(thread.context());
        if thread.is_marked {
            context.set_debug(thread.context().debug());
        }
        thread.context = Some(context);
        thread.signals.mask = mask;
        self.demand_attention(caller.task);
        Err(Stop::Replaced)
    }
}

/// `SigInfo` as programs see it.
pub(crate) fn info_bytes(info: &SigInfo) -> [u8; size_of::<SigInfo>()] {
    let mut bytes = [0; size_of::<SigInfo>()];
    let words = [info.signo, info.errno, info.code, info.pid, info.uid as i32, info.pad as i32];
    for (index, word) in words.iter().enumerate() {
        bytes[index * 4..index * 4 + 4].copy_from_slice(&word.to_ne_bytes());
    }
    bytes[24..32].copy_from_slice(&info.addr.to_ne_bytes());
    bytes[32..36].copy_from_slice(&info.status.to_ne_bytes());
    bytes[40..48].copy_from_slice(&info.value.to_ne_bytes());
    bytes
}
