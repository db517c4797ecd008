//! CPUs come in at the end of what they do; the last one enters. Then all go on.

use super::super::Kernel;
use crate::emergency::daemon::Reply;
use crate::emergency::record::Record;
use crate::emergency::{Phase, Stage};
use crate::machine::{CpuId, Interrupt, Machine};
use crate::task::{ProcessId, Reason, State, TaskId, Wait};
use abi::wait::{ENDED_BY_EMERGENCY, Ended};

impl<M: Machine> Kernel<M> {
    /// What a thread waits for that was refused memory, or a page that is elsewhere.
    pub(crate) fn wait_for_memory(&self) -> Wait {
        if let Some(queue) = self.fetches.awaited() {
            return Wait::on(Reason::Page, queue);
        }
        let is_away = self.frames.awaited.is_some();
        let queue = if is_away { self.emergency.home.queue } else { self.emergency.refused };
        Wait::on(Reason::Memory, queue)
    }

    /// Whether somebody was just refused memory, and is to try again when there is some.
    #[cold]
    pub(crate) fn takes_refusal(&mut self) -> bool {
        let is_to_try_again = self.is_to_try_again();
        self.frames.is_refused = false;
        is_to_try_again
    }

    /// The same, which stays so: an emergency is to find some, or a daemon to bring a page.
    pub(crate) fn is_to_try_again(&self) -> bool {
        let may_come = self.emergency.is_enabled || self.fetches.awaited().is_some();
        self.frames.is_refused && may_come
    }

    /// Nobody is to wait for what was refused: it was done without.
    #[cold]
    #[inline(never)]
    pub(crate) fn forget_refusal(&mut self) {
        self.frames.is_refused = false;
        self.frames.awaited = None;
        self.fetches.take_awaited();
    }

    /// A thread's own access to memory was refused: it tries again after the emergency.
    pub(crate) fn park_for_memory(&mut self, task: TaskId) {
        let State::Running(cpu) = self.tasks[task.0].state else { return };
        let wait = self.wait_for_memory();
        self.tasks[task.0].state = State::Parked(wait);
        self.leave(cpu);
        if let Some(queue) = wait.queue {
            self.waits.push(&mut self.tasks, queue, task);
        }
        self.seek_memory();
    }

    /// Memory has run out: every CPU is to come in.
    #[cold]
    pub(crate) fn want_emergency(&mut self) {
        let is_saving = self.emergency.saving.is_some();
        if self.emergency.is_active() || !self.emergency.is_enabled || is_saving {
            return;
        }
        self.emergency.phase = Phase::Gathering;
        self.end_lease(Reply::Greedy);
        if self.emergency.daemon.reply.is_none() {
            self.emergency.record = Record { wanted_ns: self.now(), ..Record::default() };
        }
        let this = self.machine.this_cpu();
        for cpu in self.cpus.iter_mut() {
            cpu.must_come_in();
            // This one, too: it may be about to run the next thread, or to halt.
            if cpu.id == this || cpu.current().is_some() {
                self.machine.kick(cpu.id);
            }
        }
    }

    /// A CPU asks for a thread while the world stops, or stands still.
    #[cold]
    pub(crate) fn take_part(&mut self, cpu: CpuId) {
        self.come_in(cpu);
        let is_last = self.cpus.iter().all(|cpu| cpu.current().is_none());
        if self.emergency.phase == Phase::Gathering && is_last {
            self.freeze(cpu);
        }
        if self.emergency.driver == Some(cpu) {
            self.drive();
        }
    }

    /// Parts a CPU from its thread, which will go on later.
    fn come_in(&mut self, cpu: CpuId) {
        let Some(caller) = self.cpus[cpu].current() else { return };
        if self.tasks[caller.task.0].state == State::Ending {
            self.reap_thread(caller.task);
        } else {
            self.leave(cpu);
            self.make_ready(caller.task);
        }
    }

    fn freeze(&mut self, cpu: CpuId) {
        let now = self.now();
        let emergency = &mut *self.emergency;
        emergency.phase = Phase::Frozen;
        emergency.driver = Some(cpu);
        emergency.record.frozen_ns = now;
        emergency.allocations_before = self.machine.heap_allocations();
        emergency.record.free[0] = self.frames.totals().free;
        emergency.lines = [0; 4];
        self.meet();
    }

    /// Whether a CPU that has no thread to run must not halt.
    pub fn stays_awake(&self, cpu: CpuId) -> bool {
        self.emergency.driver == Some(cpu) && self.emergency.is_busy
    }

    /// An interrupt while the world stands still. Devices wait; typed keys do not.
    pub(crate) fn interrupted_frozen(&mut self, cpu: CpuId, interrupt: Interrupt) {
        match interrupt {
            Interrupt::Timer => self.cpus[cpu].timer_is_off(),
            Interrupt::Kick => {}
            Interrupt::Line(line) if line == self.machine.console_line() => {
                let now = self.now();
                self.emergency.pressed_ns.get_or_insert(now);
                let mut bytes = [0; 32];
                loop {
                    let count = self.machine.console_read(&mut bytes);
                    bytes[..count].iter().for_each(|byte| self.emergency.input.push_irq(*byte));
                    if count < bytes.len() {
                        break;
                    }
                }
                self.machine.unmask_line(line);
            }
            Interrupt::Line(line) if Some(line) == self.machine.keyboard_line() => {
                let mut codes = [0; 32];
                loop {
                    let count = self.machine.keyboard_read(&mut codes);
                    codes[..count].iter().for_each(|code| self.emergency.input.push_code(*code));
                    if count < codes.len() {
                        break;
                    }
                }
                self.machine.unmask_line(line);
            }
            Interrupt::Line(line) => {
                self.emergency.lines[line as usize / 64] |= 1 << (line % 64);
            }
        }
        match self.emergency.driver {
            Some(driver) if driver != cpu => self.machine.kick(driver),
            _ => {}
        }
    }

    /// The world goes on: first the clock, then the dead are buried, then the living wake.
    pub(super) fn thaw(&mut self) {
        let now = self.now();
        let allocations = self.machine.heap_allocations();
        let emergency = &mut *self.emergency;
        emergency.record.allocations += allocations - emergency.allocations_before;
        emergency.record.thawed_ns = now;
        emergency.record.readable = emergency.store.bare.count();
        emergency.record.free[1] = self.frames.totals().free;
        emergency.paused_ns += now - emergency.record.frozen_ns;
        emergency.phase = Phase::Calm;
        emergency.driver = None;
        emergency.is_busy = false;
        emergency.wake_at = None;
        self.cpus.iter_mut().for_each(super::super::Cpu::timer_is_off);
        self.uncover_screen();
        self.bury();
        if self.emergency.daemon.is_asking {
            self.begin_lease();
        } else {
            self.report_emergency();
            self.end_asking();
            self.begin_saving();
            self.begin_homecoming();
        }
        self.wake_all(self.emergency.refused);
        let this = self.machine.this_cpu();
        let lines = self.emergency.lines;
        for line in (0..=255).filter(|line| lines[line / 64] & 1 << (line % 64) != 0) {
            self.line_fired(this, line as u8);
        }
        for cpu in self.cpus.iter().filter(|cpu| cpu.id != this) {
            self.machine.kick(cpu.id);
        }
    }

    /// Ends the processes that were chosen: files close, parents hear of it. Their memory went
    /// before. One after the other, so that the kernel's heap can be filled up in between.
    fn bury(&mut self) {
        let mut doomed = alloc::vec::Vec::new();
        let all = self.processes.iter();
        doomed.extend(all.filter(|(_, p)| p.is_doomed).map(|(index, _)| ProcessId(index)));
        for process in doomed {
            self.top_up_heap();
            self.end_process(process, Ended::Signalled(ENDED_BY_EMERGENCY));
        }
    }

    /// Whether everything that had to be done has been.
    pub(super) fn is_done(&self) -> bool {
        self.emergency.stage == Stage::Done
    }
}
