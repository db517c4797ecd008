//! Requests that are called off, files that are closed, and schemes that nobody serves any more.

use super::*;

impl<M: Machine> Kernel<M> {
    /// The client is interrupted: ask the daemon to hurry up. Returns false when the call was not
    /// waiting for a daemon.
    pub(crate) fn cancel_request(&mut self, task: TaskId) -> bool {
        let Some(tag) = self.tasks[task.0].unfinished.owed else { return false };
        let Some(server) = self.user_schemes.get_mut(tag.scheme) else { return false };
        let Some(owed) = server.find(tag.number) else { return false };
        if matches!(owed.stage, Stage::Answered(_)) || owed.is_cancelled {
            return true;
        }
        owed.is_cancelled = true;
        let number = tag.number;
        if matches!(owed.stage, Stage::Queued) {
            // The daemon has not seen it: it never happened.
            owed.stage = Stage::Answered(Err(Errno(ECANCELED)));
            server.queue.retain(|m| !matches!(m, Message::Request(n) if *n == number));
            self.refuse(task);
            return true;
        }
        let caller = owed.sqe.caller;
        self.notify_cancel(tag.scheme, number, caller);
        true
    }

    /// A client's request has ended in an error, which is all that its call has to come back to.
    pub(super) fn refuse(&mut self, client: TaskId) {
        self.tasks[client.0].unfinished.is_refused = true;
        self.wake_task(client);
    }

    /// The error that a daemon has answered to a thread's request, which is forgotten with it.
    pub(crate) fn take_refusal(&mut self, task: TaskId) -> Option<Errno> {
        let tag = self.tasks[task.0].unfinished.owed?;
        let owed = self.user_schemes.get_mut(tag.scheme)?.find(tag.number)?;
        let Stage::Answered(Err(errno)) = owed.stage else { return None };
        self.forget_request(tag.scheme, tag.number);
        self.tasks[task.0].unfinished.owed = None;
        Some(errno)
    }

    /// The client has ended, or its call has: nobody waits for the answer any more.
    pub(crate) fn abandon_request(&mut self, tag: Tag) {
        let Some(server) = self.user_schemes.get_mut(tag.scheme) else { return };
        let Some(owed) = server.find(tag.number) else { return };
        owed.client = None;
        let opcode = owed.sqe.opcode;
        match owed.stage {
            Stage::Queued => {
                let number = tag.number;
                server.queue.retain(|m| !matches!(m, Message::Request(n) if *n == number));
                self.forget_request(tag.scheme, number);
            }
            // Else the daemon would keep it, and give it what somebody alive is waiting for.
            Stage::Taken if !owed.is_cancelled => {
                owed.is_cancelled = true;
                let caller = owed.sqe.caller;
                self.notify_cancel(tag.scheme, tag.number, caller);
            }
            Stage::Taken => {}
            Stage::Answered(result) => {
                self.forget_request(tag.scheme, tag.number);
                self.drop_answer(tag.scheme, opcode, result);
            }
        }
    }

    /// The last descriptor of the socket is closed.
    pub(crate) fn close_socket(&mut self, scheme: usize) {
        self.end_user_scheme(scheme);
        if let Some(server) = self.user_schemes.get_mut(scheme) {
            server.has_socket = false;
            self.bury_scheme(scheme);
        }
    }

    /// The memory with the windows is about to go. Others may still have the sockets, from a
    /// `fork`, but nobody can serve any more.
    pub(crate) fn end_schemes_in(&mut self, space: SpaceId) {
        let inside = self.user_schemes.iter().filter(|(_, s)| s.daemon_space() == Some(space));
        let ending: alloc::vec::Vec<usize> = inside.map(|(scheme, _)| scheme).collect();
        ending.into_iter().for_each(|scheme| self.end_user_scheme(scheme));
    }

    /// Nobody serves any more: whoever waits gets `ENODEV`, names disappear.
    pub(crate) fn end_user_scheme(&mut self, scheme: usize) {
        self.deliver_answers(scheme);
        let server = &mut self.user_schemes[scheme];
        let Some(window) = server.window.take() else { return };
        server.queue.clear();
        let readable = server.readable;
        let mut clients = alloc::vec::Vec::new();
        server.owed.retain(|_, owed| {
            owed.slot = None;
            if !matches!(owed.stage, Stage::Answered(_)) {
                owed.stage = Stage::Answered(Err(Errno(ENODEV)));
                clients.extend(owed.client);
            }
            owed.client.is_some()
        });
        let (space, room) = (server.space, server.room);
        if let Some(space) = self.spaces.get_mut(space.0) {
            space.remove(&mut self.machine, &mut self.frames, window.pages());
        }
        clients.into_iter().for_each(|task| self.refuse(task));
        self.end_fetches_from(scheme);
        self.wake_all(room);
        self.wake_all(readable);
        for key in self.events.watched_in(SchemeId::User(scheme)) {
            // Ready to tell that it is gone.
            self.raise(key, EventFlags::EVENT_READ | EventFlags::EVENT_WRITE);
        }
        self.forget_names(scheme);
        self.bury_scheme(scheme);
    }

    /// Lets clients that have been answered take their answers home while the window is there: a
    /// daemon may answer and end.
    pub(super) fn deliver_answers(&mut self, scheme: usize) {
        let server = &self.user_schemes[scheme];
        let answered = server.owed.iter().filter(|(_, o)| matches!(o.stage, Stage::Answered(_)));
        let clients: alloc::vec::Vec<TaskId> = answered.filter_map(|(_, o)| o.client).collect();
        clients.into_iter().for_each(|client| self.call_early(client));
        self.take_fetches_from(scheme);
    }

    /// Forgets a dead scheme once no file and no client remembers it.
    pub(super) fn bury_scheme(&mut self, scheme: usize) {
        let Some(server) = self.user_schemes.get(scheme) else { return };
        if server.is_alive() || server.has_socket || server.files > 0 || !server.owed.is_empty() {
            return;
        }
        if self.waits.is_empty(server.room) && self.waits.is_empty(server.readable) {
            let server = self.user_schemes.remove(scheme);
            self.waits.destroy(server.room);
            self.waits.destroy(server.readable);
        }
    }

    /// One more open file of the scheme.
    pub(crate) fn count_user_file(&mut self, scheme: usize) {
        self.user_schemes[scheme].files += 1;
    }

    /// One file less; the daemon is told.
    pub(crate) fn close_user_file(&mut self, scheme: usize, number: usize) {
        self.notify_close(scheme, number);
        if let Some(server) = self.user_schemes.get_mut(scheme) {
            server.files -= 1;
            self.bury_scheme(scheme);
        }
    }

    /// What the daemon has just answered goes with the process's descriptor for that file: tell when
    /// it closes one, from now on. It may have closed it already.
    pub(super) fn watch_detach(&mut self, scheme: usize, number: usize, pid: Pid) {
        let key = (SchemeId::User(scheme), number);
        let process = self.find_process(pid).map(|process| &self.processes[process.0]);
        let files = process.into_iter().flat_map(|process| process.files.iter());
        let descriptions = &self.descriptions;
        let found = files.map(|(_, fd)| fd.description).find(|id| {
            let description = &descriptions[id.0];
            (description.scheme, description.number) == key
        });
        match found {
            Some(id) => self.descriptions[id.0].tells_detach = true,
            None => self.notify_closing(scheme, Opcode::Detach, number, pid),
        }
    }

    /// A process closes a descriptor for a file whose daemon wants to know.
    pub(crate) fn notify_detach(&mut self, process: ProcessId, id: DescriptionId) {
        let Description { scheme, number, .. } = self.descriptions[id.0];
        let SchemeId::User(scheme) = scheme else { return };
        let pid = self.processes[process.0].pid;
        self.notify_closing(scheme, Opcode::Detach, number, pid);
    }

    pub(super) fn notify_cancel(&mut self, scheme: usize, number: u32, caller: u64) {
        self.notify(
            scheme,
            Sqe {
                opcode: Opcode::Cancel as u8,
                sqe_flags: SqeFlags::ONEWAY,
                tag: number,
                caller,
                ..Sqe::default()
            },
        );
    }

    pub(super) fn notify_close(&mut self, scheme: usize, number: usize) {
        self.notify_closing(scheme, Opcode::CloseMsg, number, 0);
    }

    fn notify_closing(&mut self, scheme: usize, opcode: Opcode, number: usize, pid: Pid) {
        self.notify(
            scheme,
            Sqe {
                opcode: opcode as u8,
                sqe_flags: SqeFlags::ONEWAY,
                args: [number as u64, 0, 0, 0, 0, 0],
                caller: pid.into(),
                ..Sqe::default()
            },
        );
    }

    pub(super) fn notify(&mut self, scheme: usize, sqe: Sqe) {
        let Some(server) = self.user_schemes.get_mut(scheme) else { return };
        if !server.is_alive() {
            return;
        }
        server.queue.push_back(Message::Notice(sqe));
        let readable = server.readable;
        self.wake_all(readable);
        self.raise_socket(scheme);
    }
}
