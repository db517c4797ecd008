//! `proc:PID/profile` — taking samples, when a CPU's timer has brought its thread in.
//!
//! Nothing is parked, brought or changed for a sample: what is not there is not seen. While nobody
//! profiles, the timer's interrupt pays one test.

use super::{Kernel, Waiter};
use crate::machine::{Access, Context, CpuId, Machine};
use crate::memory::{Page, SpaceId};
use crate::task::{ProcessId, TaskId};
use crate::trace::ProcessKey;
use abi::watch::SAMPLE_DEPTH;
use abi::{PAGE_SIZE, USER_END};

/// How far up the family is looked.
const GENERATIONS: usize = 16;
const NANOS: u64 = 1_000_000_000;

impl<M: Machine> Kernel<M> {
    /// Takes so many samples a second from now on; 0 for none.
    pub(crate) fn set_profile(&mut self, number: usize, rate: u64) {
        if let Some(timer) = self.profiles[number].timer.take() {
            self.timers.cancel(timer);
        }
        self.profiles[number].period_ns = NANOS.checked_div(rate).unwrap_or(0);
        if rate > 0 {
            self.wind_profile(number);
            // CPUs that run on without an end set their timers when they come in.
            let this = self.machine.this_cpu();
            let others: alloc::vec::Vec<CpuId> = self
                .cpus
                .iter()
                .filter(|cpu| cpu.id != this && cpu.has_thread)
                .map(|c| c.id)
                .collect();
            others.into_iter().for_each(|cpu| self.machine.kick(cpu));
        }
    }

    /// Sets the clock for the next sample.
    pub(crate) fn wind_profile(&mut self, number: usize) {
        let deadline = self.now() + self.profiles[number].period_ns;
        let timer = self.add_timer(deadline, Waiter::Profile(number));
        self.profiles[number].timer = Some(timer);
    }

    /// Nobody wants these samples any more.
    pub(crate) fn end_profile(&mut self, number: usize) {
        self.set_profile(number, 0);
        self.profiles.remove(number);
    }

    /// Looks at the thread that a timer has brought in.
    #[cold]
    pub(crate) fn take_samples(&mut self, cpu: CpuId, now: u64) {
        let Some(caller) = self.cpus[cpu].current() else { return };
        let numbers: alloc::vec::Vec<usize> =
            self.profiles.iter().map(|(number, _)| number).collect();
        for number in numbers {
            let is_due = self.profiles[number].is_due(cpu.0 as usize, now);
            if is_due && self.is_family(caller.process, self.profiles[number].process) {
                let mut places = [0; SAMPLE_DEPTH];
                let count = self.walk_stack(caller.task, caller.space, &mut places);
                let pid = self.processes[caller.process.0].pid as usize;
                let tid = self.tasks[caller.task.0].tid as usize;
                self.profiles[number].add(pid, tid, now, &places[..count]);
            }
        }
    }

    /// Whether a process is the one that a key names, or comes from it and is as much the
    /// watcher's: what runs for somebody else is not looked into.
    fn is_family(&self, process: ProcessId, wanted: ProcessKey) -> bool {
        let ids = self.processes[process.0].ids;
        let mut one = process;
        for _ in 0..GENERATIONS {
            let record = &self.processes[one.0];
            if record.ids != ids {
                return false;
            }
            if self.process_key(one) == wanted {
                return true;
            }
            let Some(parent) = self.find_process(record.parent) else { return false };
            one = parent;
        }
        false
    }

    /// Follows the frame pointers of a thread. Returns how many places it has found: the
    /// instruction, then return addresses.
    fn walk_stack(&mut self, task: TaskId, space: SpaceId, places: &mut [usize]) -> usize {
        let registers = self.tasks[task.0].context().registers();
        places[0] = registers.rip;
        let (mut count, mut frame) = (1, registers.rbp);
        while count < places.len() {
            let word = size_of::<usize>();
            let (Some(next), Some(place)) =
                (self.word_there(space, frame), self.word_there(space, frame.wrapping_add(word)))
            else {
                break;
            };
            if !(1..USER_END).contains(&place) {
                break;
            }
            places[count] = place;
            count += 1;
            // Stacks grow downwards: what does not lead up is no frame.
            if next <= frame {
                break;
            }
            frame = next;
        }
        count
    }

    /// A word of a program's memory, if it is there.
    fn word_there(&self, space: SpaceId, address: usize) -> Option<usize> {
        let is_good =
            address.is_multiple_of(size_of::<usize>()) && (1..USER_END).contains(&address);
        let page = is_good.then(|| Page::containing(address))?;
        let (frame, have) = self.machine.lookup(&self.spaces.get(space.0)?.tables, page)?;
        if have.contains(Access::DEVICE) || !have.contains(Access::READ) {
            return None;
        }
        let mut bytes = [0; size_of::<usize>()];
        self.machine.read(frame.at(address % PAGE_SIZE), &mut bytes);
        Some(usize::from_ne_bytes(bytes))
    }
}
