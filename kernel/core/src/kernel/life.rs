//! How processes and threads begin and end.

use super::{Alarms, Caller, Kernel};
use crate::error::*;
use crate::log::Level;
use crate::machine::{Context, Machine, PowerOff};
use crate::memory::{Pages, Space, SpaceId};
use crate::schedule::{Account, Priority};
use crate::task::{
    Attention, Hold, Ids, Pid, Process, ProcessId, Standing, State, Task, TaskId, Usage,
};
use abi::signal::{SI_KERNEL, SIG_IGN, SIGCHLD, SigInfo};
use abi::wait::Ended;
use alloc::string::String;
use alloc::vec::Vec;

/// The highest number of a process or thread.
const PID_MAX: Pid = 99_999;
/// Most processes and threads there may be, however much memory there is.
const TASKS_MAX: usize = 16_384;
/// The umask of the first process.
const FIRST_UMASK: u32 = 0o022;
/// One more process or thread for so many frames: the kernel's own records of it, and the least it
/// needs to run, must not be all there is.
const FRAMES_EACH: usize = 8;

impl<M: Machine> Kernel<M> {
    /// Adds a process without threads in `space`, a child of `parent`.
    pub(crate) fn add_process(&mut self, space: SpaceId, parent: Option<ProcessId>) -> ProcessId {
        let pid = self.take_pid();
        let started_ns = self.now();
        let child_ended = self.waits.create();
        let (parent_pid, base) = match parent.map(|p| &self.processes[p.0]) {
            Some(parent) => (parent.pid, Some(parent)),
            None => (0, None),
        };
        let process = Process {
            pid,
            parent: parent_pid,
            children: Vec::new(),
            group: base.map_or(pid, |p| p.group),
            session: base.map_or(pid, |p| p.session),
            ids: base.map_or(Ids::default(), |p| p.ids),
            space: Some(space),
            files: base.map_or_else(Default::default, |p| p.files.clone()),
            threads: Vec::new(),
            view: base.map_or_else(Default::default, |p| p.view.clone()),
            cwd: base.map_or_else(|| String::from("/"), |p| p.cwd.clone()),
            exe: base.map_or_else(String::new, |p| p.exe.clone()),
            command_line: base.map_or_else(Vec::new, |p| p.command_line.clone()),
            signals: base.map_or_else(Default::default, |p| p.signals.for_child()),
            standing: Standing::Alive,
            is_stopped: false,
            change: None,
            alarms: Alarms::default(),
            leaves_core: base.is_none_or(|p| p.leaves_core),
            umask: base.map_or(FIRST_UMASK, |p| p.umask),
            child_ended,
            priority: base.map_or(Priority::NORMAL, |p| p.priority),
            past: Usage::default(),
            reaped: Usage::default(),
            started_ns,
            refusals: 0,
            is_warned: false,
            growth: Default::default(),
            is_doomed: false,
            hold: Hold::None,
            is_saving: base.is_some_and(|p| p.is_saving),
            parked_with: 0,
            next_in_job: None,
        };
        let id = ProcessId(self.processes.insert(process));
        self.pids.insert(pid, id);
        if let Some(parent) = parent {
            self.processes[parent.0].children.push(pid);
        }
        id
    }

    /// Adds a thread, ready to run. The first thread of a process gets the process's number.
    pub(crate) fn add_thread(
        &mut self,
        process: ProcessId,
        context: M::Context,
        account: Account,
    ) -> TaskId {
        let record = &self.processes[process.0];
        let space = record.space.expect("a process that gets a thread has memory");
        let tid = if record.threads.is_empty() { record.pid } else { self.take_pid() };
        let task = TaskId(self.tasks.insert(Task::new(tid, process, space, context, account)));
        self.tids.insert(tid, task);
        self.processes[process.0].threads.push(task);
        self.spaces[space.0].users += 1;
        self.stats.contexts_created += 1;
        self.tasks[task.0].serial = self.stats.contexts_created;
        self.make_ready(task);
        task
    }

    /// The next number that neither a process, a group nor a thread has.
    fn take_pid(&mut self) -> Pid {
        loop {
            let pid = self.next_pid;
            self.next_pid = pid + 1;
            if pid >= PID_MAX {
                (self.next_pid, self.are_pids_used) = (2, true);
            }
            // As long as every number is new there is nothing to look for.
            if !self.are_pids_used || !self.is_taken(pid) {
                return pid;
            }
        }
    }

    /// Goes on with a later number, as if those before it had been given out.
    pub fn skip_pids(&mut self, next: Pid) {
        self.next_pid = next.clamp(self.next_pid, PID_MAX);
    }

    /// Whether a process or a thread has this number, or one that has ended left it to a group or a
    /// session.
    fn is_taken(&self, pid: Pid) -> bool {
        let is_group = |(_, p): (usize, &Process)| p.group == pid || p.session == pid;
        self.pids.contains_key(&pid)
            || self.tids.contains_key(&pid)
            || self.processes.iter().any(is_group)
    }

    /// Whether there may be one more process or thread. Those that have ended and have not been
    /// waited for count.
    pub(crate) fn has_room_for_task(&mut self) -> bool {
        let most = self.tasks_max();
        self.tasks.len() < most
            && self.processes.len() < most
            && self.pids.try_reserve(1).is_ok()
            && self.tids.try_reserve(1).is_ok()
            && self.queue.has_room()
    }

    /// Whether the kernel's heap has room for about so many bytes in small pieces beside what every
    /// operation may take.
    pub(crate) fn has_heap_for(&self, bytes: usize) -> bool {
        let is_little = bytes <= self.machine.heap_reserve() / 2;
        is_little || bytes <= self.machine.heap_free() / 2
    }

    /// Most threads of all processes together, and most processes.
    pub(crate) fn tasks_max(&self) -> usize {
        (self.frames.totals().total / FRAMES_EACH).min(TASKS_MAX)
    }

    /// Copies the calling process with this one thread. `EAGAIN` when there are too many.
    pub(crate) fn fork(&mut self, caller: Caller) -> Outcome {
        if !self.has_room_for_task() {
            return fail(EAGAIN);
        }
        self.check_clone(caller.task)?;
        let files = self.processes[caller.process.0].files.heap_bytes();
        if !self.has_heap_for(files + self.spaces[caller.space.0].heap_bytes()) {
            return fail(ENOMEM);
        }
        let parent_space = &mut self.spaces[caller.space.0];
        let child_space = parent_space.fork(&mut self.machine, &mut self.frames)?;
        let thread = &mut self.tasks[caller.task.0];
        self.machine.suspend(thread.context());
        let mut context: M::Context = thread.context().clone();
        context.set_answer(0);
        let mask = thread.signals.mask;
        let (interrupted, alternate) =
            (thread.signals.interrupted.clone(), thread.signals.alternate);
        for file in child_space.held() {
            self.descriptions[file.0].references += 1;
        }
        let space = SpaceId(self.spaces.insert(child_space));
        let child = self.add_process(space, Some(caller.process));
        for (_, fd) in self.processes[child.0].files.iter() {
            self.descriptions[fd.description.0].references += 1;
        }
        let account = self.account_from(caller.task);
        let task = self.add_thread(child, context, account);
        let signals = &mut self.tasks[task.0].signals;
        // The handlers that the thread is in are on the child's stack too.
        (signals.mask, signals.interrupted, signals.alternate) = (mask, interrupted, alternate);
        self.made_thread(caller.task, task);
        Ok(self.processes[child.0].pid as usize)
    }

    /// Ends all threads of a process; the last to let go of a CPU finishes it.
    pub(crate) fn end_process(&mut self, process: ProcessId, ended: Ended) {
        let record = &mut self.processes[process.0];
        if record.standing != Standing::Alive {
            return;
        }
        record.standing = Standing::Ending(ended);
        for task in record.threads.clone() {
            self.end_thread(task);
        }
    }

    /// Ends every thread of the caller's process but the calling one.
    pub(crate) fn end_other_threads(&mut self, caller: Caller) {
        for task in self.processes[caller.process.0].threads.clone() {
            if task != caller.task {
                self.end_thread(task);
            }
        }
    }

    /// Ends a thread, now if no other CPU runs it, else as soon as that one comes in.
    pub(crate) fn end_thread(&mut self, task: TaskId) {
        let this_cpu = self.machine.this_cpu();
        match self.tasks[task.0].state {
            State::Running(cpu) if cpu != this_cpu => {
                self.tasks[task.0].state = State::Ending;
                self.tasks[task.0].attention.insert(Attention::WANTED);
                self.cpus[cpu].end_current();
                self.machine.kick(cpu);
            }
            State::Ending => {}
            State::Parked(_) => {
                self.wake_task(task);
                self.reap_thread(task);
            }
            _ => self.reap_thread(task),
        }
    }

    /// Forgets a thread that no other CPU runs.
    pub(crate) fn reap_thread(&mut self, task: TaskId) {
        let this_cpu = self.machine.this_cpu();
        if self.cpus[this_cpu].current().is_some_and(|caller| caller.task == task) {
            self.leave(this_cpu);
        }
        self.withdraw(task);
        if let Some(tag) = self.tasks[task.0].unfinished.owed {
            self.abandon_request(tag);
        }
        let thread = self.tasks.remove(task.0);
        // Not if another thread has taken the number over by `exec`.
        if self.tids.get(&thread.tid) == Some(&task) {
            self.tids.remove(&thread.tid);
        }
        let process = thread.process;
        if let Some(session) = thread.session {
            let ended = match self.processes[process.0].standing {
                Standing::Ending(ended) => ended,
                _ => Ended::Exited(0),
            };
            self.tracee_gone(session, ended);
        }
        let record = &mut self.processes[process.0];
        record.threads.retain(|have| *have != task);
        let peak = self.spaces[thread.space.0].peak();
        record.past.add(Usage { ticks: [thread.user_ticks, thread.kernel_ticks], peak });
        if record.threads.is_empty() {
            self.finish_process(process);
        }
        self.stop_using(thread.space);
    }

    /// The last thread is gone: give everything back, and tell the parent.
    fn finish_process(&mut self, process: ProcessId) {
        let record = &mut self.processes[process.0];
        let ended = match record.standing {
            Standing::Ending(ended) => ended,
            _ => Ended::Exited(0),
        };
        record.standing = Standing::Zombie(ended);
        let (hold, is_saving) = (record.hold, core::mem::take(&mut record.is_saving));
        if hold == Hold::Parked {
            self.forget_parked(process);
        }
        if is_saving {
            self.saver_ended();
        }
        self.end_alarms(process, true);
        self.forget_crash(process);
        self.forget_ended_daemon(process);
        let record = &mut self.processes[process.0];
        let files = core::mem::take(&mut record.files);
        record.space = None;
        for (_, fd) in files.iter() {
            self.detach(process, fd);
        }
        let pid = self.processes[process.0].pid;
        if pid == 1 {
            self.log(Level::Error, "init", format_args!("PID 1 ended: {ended:?}"));
            self.machine.power_off(PowerOff::Shutdown(crate::power::FAILURE));
            return;
        }
        self.orphan_children(process);
        self.tell_parent(process, ended);
    }

    /// One thread less runs in a space; the last one takes it along.
    pub(crate) fn stop_using(&mut self, id: SpaceId) {
        let space = &mut self.spaces[id.0];
        space.users -= 1;
        if space.users == 0 {
            self.drop_space(id);
        }
    }

    /// Frees a space that no thread uses any more.
    pub(crate) fn drop_space(&mut self, id: SpaceId) {
        self.end_schemes_in(id);
        self.forget_fetches(id, Pages::USER);
        let mut space: Space<M> = self.spaces.remove(id.0);
        // First the tables leave the CPUs that still have them loaded, then the frames go: so
        // taking it apart needs no flush.
        space.clear(&mut self.machine, &mut self.frames);
        self.frames.budgets.leave(space.budget, space.resident);
        let files = space.into_held(&mut self.machine, &mut self.frames);
        files.into_iter().for_each(|file| self.release_description(file));
    }

    /// Takes pages out of a space, and closes files that it shows no more.
    pub(crate) fn unmap_pages(&mut self, id: SpaceId, pages: Pages) {
        self.forget_fetches(id, pages);
        let space = &mut self.spaces[id.0];
        let files = space.files_in(pages);
        space.remove(&mut self.machine, &mut self.frames, pages);
        for file in files {
            if self.spaces[id.0].lets_go(file) {
                self.release_description(file);
            }
        }
    }

    /// Children of an ended process become PID 1's.
    fn orphan_children(&mut self, process: ProcessId) {
        let children = core::mem::take(&mut self.processes[process.0].children);
        let Some(init) = self.find_process(1) else { return };
        for pid in children {
            let Some(child) = self.find_process(pid) else { continue };
            self.processes[child.0].parent = 1;
            self.processes[init.0].children.push(pid);
            if let Standing::Zombie(ended) = self.processes[child.0].standing {
                self.tell_parent(child, ended);
            }
        }
    }

    fn tell_parent(&mut self, process: ProcessId, ended: Ended) {
        let record = &self.processes[process.0];
        let (pid, ruid) = (record.pid, record.ids.ruid);
        let Some(parent) = self.find_process(record.parent) else { return };
        let action = self.processes[parent.0].signals.action(abi::signal::SIGCHLD);
        let info = SigInfo {
            signo: SIGCHLD as i32,
            code: SI_KERNEL,
            pid: pid as i32,
            uid: ruid,
            status: ended.status(),
            ..SigInfo::default()
        };
        self.signal_process(parent, info);
        if action.handler == SIG_IGN {
            self.forget_zombie(process);
        }
        let queue = self.processes[parent.0].child_ended;
        self.wake_all(queue);
    }

    /// Removes an ended process for good, once its parent knows.
    pub(crate) fn forget_zombie(&mut self, process: ProcessId) {
        let record = self.processes.remove(process.0);
        if self.last_unknown == process {
            self.last_unknown = ProcessId::NONE;
        }
        self.pids.remove(&record.pid);
        self.end_queue(record.child_ended);
        if let Some(parent) = self.find_process(record.parent) {
            let parent = &mut self.processes[parent.0];
            parent.children.retain(|pid| *pid != record.pid);
        }
    }
}
