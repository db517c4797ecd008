//! The daemon's side of its socket: it reads requests and writes answers. Whatever it writes, it can
//! hurt only itself.

use super::*;

impl<M: Machine> Kernel<M> {
    /// The daemon reads: as many requests as fit. Returns bytes.
    pub(crate) fn collect_requests(
        &mut self,
        caller: Caller,
        scheme: usize,
        into: UserSlice,
        is_nonblocking: bool,
    ) -> Outcome {
        const SIZE: usize = size_of::<Sqe>();
        let server = self.user_schemes.get_mut(scheme).ok_or(Errno(EBADF))?;
        if !server.is_alive() {
            return fail(ENODEV);
        }
        if caller.space != server.space || into.length < SIZE {
            return fail(EINVAL);
        }
        let readable = server.readable;
        let mut are_more = !server.queue.is_empty();
        let mut done = 0;
        while are_more && done + SIZE <= into.length {
            match self.collect_one(caller, scheme, into.part(done, SIZE)) {
                Ok((count, more)) => {
                    done += count;
                    are_more = more;
                }
                Err(stop) if done == 0 => return Err(stop),
                Err(_) => {
                    // The daemon need not look again before it hears of more.
                    self.raise_socket(scheme);
                    break;
                }
            }
        }
        match done {
            0 if is_nonblocking => fail(EAGAIN),
            0 => Err(Stop::Park(Wait::on(Reason::Readable, readable))),
            _ => Ok(done),
        }
    }

    /// Takes one message off the queue. Returns its size, or 0 when nobody wants it answered any
    /// more, and whether there are more. Where it goes is found first: a lost page must not lose a
    /// request.
    #[inline(always)]
    pub(super) fn collect_one(
        &mut self,
        caller: Caller,
        scheme: usize,
        into: UserSlice,
    ) -> Outcome<(usize, bool)> {
        let (to, room) = self.writable_at(caller.space, into)?;
        let rest = match into.part(room, into.length) {
            UserSlice { length: 0, .. } => None,
            rest => Some(self.writable_at(caller.space, rest)?.0),
        };
        let UserScheme { queue, owed, .. } = &mut self.user_schemes[scheme];
        let sqe = match queue.front() {
            Some(Message::Notice(sqe)) => Some(sqe),
            Some(Message::Request(number)) => find(owed, *number).map(|owed| {
                owed.stage = Stage::Taken;
                &owed.sqe
            }),
            None => None,
        };
        let count = match sqe {
            Some(sqe) => {
                self.machine.write(to, &sqe[..room]);
                if let Some(rest) = rest {
                    self.machine.write(rest, &sqe[room..]);
                }
                sqe.len()
            }
            None => 0,
        };
        queue.pop_front();
        Ok((count, !queue.is_empty()))
    }

    /// The daemon writes: answers and events. Returns bytes taken; an answer that makes no sense
    /// ends the write, as `EINVAL` when it is the first.
    pub(crate) fn settle_answers(
        &mut self,
        caller: Caller,
        scheme: usize,
        from: UserSlice,
    ) -> Outcome {
        const SIZE: usize = size_of::<Cqe>();
        let mut done = 0;
        while done + SIZE <= from.length {
            match self.settle(caller, scheme, from.part(done, SIZE)) {
                Ok(()) => done += SIZE,
                Err(stop) if done == 0 => return Err(stop),
                Err(_) => break,
            }
        }
        if done == 0 { fail(EINVAL) } else { Ok(done) }
    }

    #[inline(never)]
    pub(super) fn settle(&mut self, caller: Caller, scheme: usize, from: UserSlice) -> Outcome<()> {
        let mut cqe = Cqe::default();
        self.copy_in(caller.space, from, &mut cqe)?;
        let value = value_or_error(cqe.result);
        let is_positioned = cqe.extra_raw[0] & NewFdFlags::POSITIONED.bits() != 0;
        let plain = |value| Answer { value, is_positioned, other: None };
        match CqeOpcode::try_from_raw(cqe.flags & 7) {
            Some(CqeOpcode::RespondRegular) => {
                self.answer_request(scheme, cqe.tag, value.map(plain))
            }
            Some(CqeOpcode::RespondAndNotifyOnDetach) => {
                let owed = self.user_schemes[scheme].find(cqe.tag).map(|owed| owed.sqe);
                self.answer_request(scheme, cqe.tag, value.map(plain))?;
                if let Some(request) = owed.filter(|_| value.is_ok()) {
                    self.watch_detach(scheme, request.args[0] as usize, request.caller as Pid);
                }
                Ok(())
            }
            Some(CqeOpcode::RespondWithFd) => {
                let fd = self.processes[caller.process.0].files.get(cqe.result as usize)?;
                self.descriptions[fd.description.0].references += 1;
                let answer = Answer { other: Some(fd.description), ..plain(0) };
                let answered = self.answer_request(scheme, cqe.tag, Ok(answer));
                if answered.is_err() {
                    self.release_description(fd.description);
                }
                answered
            }
            _ if !self.is_served(scheme) => fail(ENODEV),
            Some(CqeOpcode::SendFevent) => {
                let flags = EventFlags::from_bits_truncate(cqe.tag as usize);
                self.raise((SchemeId::User(scheme), cqe.result as usize), flags);
                Ok(())
            }
            _ => fail(EINVAL),
        }
    }

    #[inline(always)]
    pub(super) fn answer_request(
        &mut self,
        scheme: usize,
        number: u32,
        result: Result<Answer, Errno>,
    ) -> Outcome<()> {
        let server = &mut self.user_schemes[scheme];
        if !server.is_alive() {
            return fail(ENODEV);
        }
        let owed = server.find(number).ok_or(Errno(EINVAL))?;
        if !matches!(owed.stage, Stage::Taken) {
            return fail(EINVAL);
        }
        let opcode = owed.sqe.opcode;
        let is_file = matches!(result, Ok(Answer { other: Some(_), .. }));
        if is_file && !opens(opcode) {
            return fail(EINVAL);
        }
        match owed.client {
            Some(client) => {
                owed.stage = Stage::Answered(result);
                match result {
                    // A call that maps a file knows what to do with an error.
                    Err(_) if opcode != Opcode::MmapPrep as u8 => self.refuse(client),
                    _ => self.wake_task(client),
                }
            }
            None => {
                self.forget_request(scheme, number);
                let place = result.map(|answer| answer.value);
                if !self.fetch_answered(Tag { scheme, number }, place) {
                    self.drop_answer(scheme, opcode, result);
                }
            }
        }
        Ok(())
    }

    /// An answer that nobody is there to take: close what it opened.
    pub(super) fn drop_answer(&mut self, scheme: usize, opcode: u8, result: Result<Answer, Errno>) {
        match result {
            Ok(Answer { other: Some(description), .. }) => self.release_description(description),
            Ok(answer) if opens(opcode) => self.notify_close(scheme, answer.value),
            _ => {}
        }
    }

    /// Whether the daemon has something to read.
    pub(crate) fn has_requests(&self, scheme: usize) -> bool {
        self.user_schemes.get(scheme).is_some_and(|server| !server.queue.is_empty())
    }

    /// Whether the daemon still serves.
    pub(crate) fn is_served(&self, scheme: usize) -> bool {
        self.user_schemes.get(scheme).is_some_and(UserScheme::is_alive)
    }
}

/// What a daemon means: the last page of numbers is for errors. (redox_syscall's own `demux` looks
/// at 32 bits only, and takes the size of a file a byte short of 4 GiB for `EPERM`.)
fn value_or_error(result: u64) -> Result<usize, Errno> {
    match result.wrapping_neg() {
        errno @ 1..4096 => Err(Errno(errno as i32)),
        _ => Ok(result as usize),
    }
}
