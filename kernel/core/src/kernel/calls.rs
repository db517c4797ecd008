//! How a call ends, waits and begins anew: answers go into registers, parked threads go aside, and a
//! parked call runs again from the top when its thread has been chosen.
//!
//! Never decides what a call does: that is [`syscall::dispatch`]'s business.

use super::{Caller, Kernel};
use crate::error::*;
use crate::kernel::Waiter;
use crate::machine::{Context, Machine};
use crate::syscall;
use crate::task::{Attention, Progress, State, TaskId, Unfinished, Wait};

impl<M: Machine> Kernel<M> {
    /// A call has come to an end, or to a halt. Returns the registers with the answer. Without one
    /// they are where they belong: with the thread that waits.
    #[inline(always)]
    pub(crate) fn conclude(
        &mut self,
        caller: Caller,
        mut context: M::Context,
        outcome: Outcome,
    ) -> Option<M::Context> {
        let value = match outcome {
            Ok(value) => value,
            Err(Stop::Error(_)) if self.frames.is_refused && self.takes_refusal() => {
                self.park_refused(caller.task, context);
                return None;
            }
            Err(Stop::Error(errno)) => answer(Err(errno)),
            Err(Stop::Park(_))
                if self.impatient > 0 && syscall::is_time_over(self, caller, context.call()) =>
            {
                answer(Err(Errno(EAGAIN)))
            }
            Err(Stop::Park(wait)) => {
                self.park(caller.task, wait, context);
                return None;
            }
            Err(Stop::Replaced) => return None,
        };
        context.set_answer(value);
        Some(context)
    }

    /// Runs a parked call again, unless all that is left of it is a daemon's error. Returns the
    /// registers when that was all.
    #[inline(always)]
    pub(super) fn call_again(&mut self, caller: Caller) -> Option<M::Context> {
        let thread = &mut self.tasks[caller.task.0];
        if thread.session.is_some() {
            return self.call_traced(caller);
        }
        thread.unfinished.progress = Progress::None;
        if thread.unfinished.is_refused {
            return self.refuse_call(caller.task);
        }
        let context = thread.context.take()?;
        self.run_again(caller, context)
    }

    #[inline(always)]
    fn run_again(&mut self, caller: Caller, context: M::Context) -> Option<M::Context> {
        let context = syscall::dispatch(self, &caller, context)?;
        let unfinished = core::mem::take(&mut self.tasks[caller.task.0].unfinished);
        // The call may have ended without taking the answer it was waiting for: what it named then
        // may no longer be there.
        if let Some(tag) = unfinished.owed {
            self.abandon_request(tag);
        }
        Some(context)
    }

    /// The same for a traced thread, whose tracer wants to know of the end. It comes by once more.
    #[cold]
    #[inline(never)]
    fn call_traced(&mut self, caller: Caller) -> Option<M::Context> {
        let thread = &mut self.tasks[caller.task.0];
        thread.unfinished.progress = Progress::None;
        let number = thread.context().call().number;
        let context = if thread.unfinished.is_refused {
            self.refuse_call(caller.task)
        } else {
            let context = thread.context.take()?;
            self.run_again(caller, context)
        };
        let has_answer = context.is_some();
        if has_answer {
            self.tasks[caller.task.0].context = context;
        }
        if has_answer || self.is_replaced(caller.task) {
            self.call_ended(caller.task, number);
        }
        None
    }

    /// Ends a call with a daemon's error.
    #[cold]
    #[inline(never)]
    fn refuse_call(&mut self, task: TaskId) -> Option<M::Context> {
        let errno = self.take_refusal(task).unwrap_or(Errno(ENODEV));
        let thread = &mut self.tasks[task.0];
        if errno == Errno(ECANCELED) && thread.attention.contains(Attention::WANTED) {
            // As if it had never been asked: the signal it was cancelled for decides whether the
            // call is tried again.
            thread.unfinished = Unfinished {
                progress: Progress::Parked,
                is_refused: false,
                is_late: false,
                ..thread.unfinished
            };
            return None;
        }
        let errno = match errno {
            Errno(ECANCELED) if thread.unfinished.is_late => Errno(EAGAIN),
            Errno(ECANCELED) => Errno(EINTR),
            errno => errno,
        };
        thread.unfinished = Unfinished::default();
        self.take_mask_back(task);
        let mut context = self.tasks[task.0].context.take()?;
        context.set_answer(answer(Err(errno)));
        Some(context)
    }

    /// Whether a thread whose call gave no answer is not waiting either: it has new registers.
    fn is_replaced(&self, task: TaskId) -> bool {
        let thread = self.tasks.get(task.0);
        thread.is_some_and(|thread| !thread.unfinished.is_call() && thread.context.is_some())
    }

    /// Runs a woken thread's call before its turn comes, because what it needs is about to go.
    pub(crate) fn call_early(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        let is_at_rest = matches!(thread.state, State::Ready | State::Stopped | State::Traced);
        if is_at_rest && thread.unfinished.is_call() {
            let caller = Caller { task, process: thread.process, space: thread.space };
            if let Some(context) = self.call_again(caller) {
                self.tasks[task.0].context = Some(context);
            }
            self.forget_refusal();
        }
    }

    /// Puts a thread aside whose call was refused memory, or a page. It has done nothing yet.
    #[cold]
    #[inline(never)]
    fn park_refused(&mut self, task: TaskId, context: M::Context) {
        // The moment that ends the call's own wait does not end this one: it would come at once, again
        // and again.
        let deadline = self.tasks[task.0].unfinished.deadline.take();
        self.park(task, self.wait_for_memory(), context);
        let unfinished = &mut self.tasks[task.0].unfinished;
        (unfinished.progress, unfinished.deadline) = (Progress::Refused, deadline);
        self.seek_memory();
    }

    /// Puts a thread aside until its wait is over. A thread with a signal to take stays, so that
    /// [`Kernel::attend`] can interrupt its call, unless a daemon still owes it an answer.
    fn park(&mut self, task: TaskId, wait: Wait, mut context: M::Context) {
        let thread = &mut self.tasks[task.0];
        thread.unfinished.progress = Progress::Parked;
        let is_wanted = thread.attention.contains(Attention::WANTED);
        let stays = is_wanted && thread.unfinished.owed.is_none();
        let State::Running(cpu) = thread.state else {
            thread.context = Some(context);
            return;
        };
        if stays {
            thread.context = Some(context);
            return;
        }
        thread.state = State::Parked(wait);
        self.machine.suspend(&mut context);
        thread.context = Some(context);
        thread.count_turn(self.cpus[cpu].let_go(self.machine.ticks()));
        let deadline = thread.unfinished.deadline;
        if let Some(queue) = wait.queue {
            self.waits.push(&mut self.tasks, queue, task);
        }
        if let Some(deadline) = deadline {
            let timer = self.add_timer(deadline, Waiter::Task(task));
            self.tasks[task.0].timer = Some(timer);
        }
    }
}
