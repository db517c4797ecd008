//! A stopped thread's registers, as its tracer sees and changes them. A call that waits is shown as
//! if the thread stood before it.

use super::*;

impl<M: Machine> Kernel<M> {
    /// The registers of a thread as its tracer sees them. One that is in a parked call stands
    /// before it. `EBUSY` while a CPU has them.
    #[inline(always)]
    pub(crate) fn traced_registers(&mut self, task: TaskId) -> Outcome<IntRegisters> {
        if self.tasks[task.0].state != State::Traced {
            self.check_at_home(task)?;
        }
        let is_before = self.stands_before_call(task);
        let mut registers = self.tasks[task.0].context().registers();
        if is_before {
            registers.rip -= CALL_LENGTH;
        }
        Ok(registers)
    }

    /// Replaces the registers of a stopped thread. A parked call is given up when they no longer
    /// lead to it. `EINVAL` when they lead out of the program.
    pub(crate) fn set_traced_registers(
        &mut self,
        task: TaskId,
        registers: &IntRegisters,
    ) -> Outcome<()> {
        self.check_stopped(task)?;
        let mut new = *registers;
        if self.stands_before_call(task) {
            let old = self.traced_registers(task)?;
            let call = |r: &IntRegisters| [r.rip, r.rax, r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9];
            if call(&old) == call(registers) {
                new.rip += CALL_LENGTH;
            } else {
                let unfinished = core::mem::take(&mut self.tasks[task.0].unfinished);
                if let Some(tag) = unfinished.owed {
                    self.abandon_request(tag);
                }
                self.take_mask_back(task);
            }
        }
        match self.tasks[task.0].context().set_registers(&new) {
            true => Ok(()),
            false => fail(EINVAL),
        }
    }

    /// Whether a thread shows itself as standing before a call that it has begun.
    fn stands_before_call(&self, task: TaskId) -> bool {
        let thread = &self.tasks[task.0];
        if !thread.unfinished.is_call() {
            return false;
        }
        let at_call = PtraceFlags::PTRACE_STOP_PRE_SYSCALL | PtraceFlags::PTRACE_STOP_EXIT;
        let is_shown_inside = thread.session.is_some_and(|SessionId(place)| {
            let phase = self.traces.sessions[place].phase;
            matches!(phase, Phase::Stopped(cause) if at_call.contains(cause) && !cause.is_empty())
        });
        !is_shown_inside
    }

    /// Whether a thread's registers can be looked at. Waits if it is about to stop; `EBUSY` if it
    /// runs.
    pub(crate) fn check_at_home(&mut self, task: TaskId) -> Outcome<()> {
        let thread = &self.tasks[task.0];
        let is_away = matches!(thread.state, State::Running(_) | State::Ending);
        match thread.session.map(|SessionId(place)| &self.traces.sessions[place]) {
            Some(session) if matches!(session.phase, Phase::Stopping(_)) => {
                Err(Stop::Park(Wait::on(Reason::Tracee, session.changed)))
            }
            _ if is_away => fail(EBUSY),
            _ => Ok(()),
        }
    }

    /// Whether a thread's registers may be changed: its tracer has stopped it. Waits and fails as
    /// [`Kernel::check_at_home`].
    pub(crate) fn check_stopped(&mut self, task: TaskId) -> Outcome<()> {
        let thread = &self.tasks[task.0];
        match thread.session.map(|SessionId(place)| &self.traces.sessions[place]) {
            Some(session) => match session.phase {
                Phase::Stopped(_) => Ok(()),
                Phase::Stopping(_) => Err(Stop::Park(Wait::on(Reason::Tracee, session.changed))),
                Phase::Running => fail(EBUSY),
            },
            None => fail(EBUSY),
        }
    }
}
