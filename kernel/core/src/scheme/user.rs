//! Schemes served by daemons: the socket they read requests from and write answers to.
//!
//! The wire protocol is redox_syscall's `schemev2`, bit for bit. A client's call goes through
//! three hands, and each may be the last to run for a while:
//!
//! 1. *ask*: the client's bytes are copied into the daemon's window, the client parks;
//! 2. *collect* and *settle*: the daemon reads the request and writes the answer;
//! 3. *take*: the client's call runs again, finds the answer and copies the bytes home itself,
//!    so that a page it lost in the meantime comes back the ordinary way.
//!
//! A daemon that dies owes nobody anything: every waiting client gets `ENODEV` at once, and so
//! does every later call on its files.

use crate::error::*;
use crate::handle::DescriptionId;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::{PAYLOAD_MAX, Slot, SpaceId, UserSlice, Window};
use crate::scheme::SchemeId;
use crate::table::Table;
use crate::task::{Pid, QueueId, Reason, TaskId, Wait};
use abi::redox::flag::EventFlags;
use abi::redox::schemev2::{Cqe, CqeOpcode, NewFdFlags, Opcode, Sqe, SqeFlags};
use alloc::collections::VecDeque;

/// Names one request: whose scheme, and the number the daemon sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag {
    pub(crate) scheme: usize,
    number: u32,
}

/// What goes with a request.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// Nothing.
    None,
    /// A path or the like that the kernel has already.
    Bytes(&'a [u8]),
    /// The client's bytes go to the daemon.
    Send(UserSlice),
    /// The daemon fills room for so many bytes, which go to the client.
    Receive(UserSlice),
    /// Both.
    Exchange(UserSlice),
}

impl Payload<'_> {
    fn length(&self) -> usize {
        match self {
            Payload::None => 0,
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Send(user) | Payload::Receive(user) | Payload::Exchange(user) => user.length,
        }
    }
}

/// A request as a call wants it asked.
pub struct Request<'a> {
    /// What is asked.
    pub opcode: Opcode,
    /// The daemon's number of the file.
    pub number: usize,
    /// What goes along. Its address and length become arguments 1 and 2.
    pub payload: Payload<'a>,
    /// Arguments 1 to 4 when there is no payload, 3 and 4 when there is.
    pub arguments: [u64; 4],
    /// Argument 5, where it is not the caller's user and group.
    pub last: Option<u64>,
}

/// An answer a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The value.
    pub value: usize,
    /// Whether a file just opened keeps its position in the kernel.
    pub is_positioned: bool,
    /// A file of another scheme, handed over instead of one of the daemon's own. One reference
    /// belongs to whoever takes the answer.
    pub other: Option<DescriptionId>,
}

#[derive(Clone, Copy)]
enum Stage {
    /// In the queue.
    Queued,
    /// With the daemon.
    Taken,
    /// Answered; the client has not run yet.
    Answered(Result<Answer, Errno>),
}

struct Owed {
    sqe: Sqe,
    /// Nobody any more, if the client has ended.
    client: Option<TaskId>,
    slot: Option<Slot>,
    stage: Stage,
    is_cancelled: bool,
    generation: u16,
}

#[derive(Clone, Copy)]
enum Message {
    Request(u32),
    Notice(Sqe),
}

impl Owed {
    /// Whether this is what came of a request.
    #[inline]
    fn is_for(&self, request: &Request<'_>) -> bool {
        let is_same =
            self.sqe.opcode == request.opcode as u8 && self.sqe.args[0] == request.number as u64;
        // With a payload, two of the arguments tell where it is, and the position in the file may
        // have been moved by others who share it.
        let has_payload = !matches!(request.payload, Payload::None);
        is_same && (has_payload || self.sqe.args[1..5] == request.arguments)
    }
}

/// A daemon's scheme.
pub struct UserScheme {
    /// The process that made the socket.
    pub owner: Pid,
    /// Whose memory the window is in.
    space: SpaceId,
    /// Gone once the socket is closed.
    window: Option<Window>,
    queue: VecDeque<Message>,
    owed: Table<Owed>,
    generation: u16,
    /// The daemon waits here for requests.
    readable: QueueId,
    /// Clients wait here for room in the window.
    room: QueueId,
    /// Whether any may.
    is_wanted: bool,
    /// Open files of this scheme.
    files: usize,
    /// Whether the socket's number still stands for this scheme.
    has_socket: bool,
}

impl UserScheme {
    fn is_alive(&self) -> bool {
        self.window.is_some()
    }

    fn find(&mut self, number: u32) -> Option<&mut Owed> {
        find(&mut self.owed, number)
    }

    /// The daemon's memory, while it serves.
    pub fn daemon_space(&self) -> Option<SpaceId> {
        self.is_alive().then_some(self.space)
    }

    /// Requests that have not been answered.
    pub fn waiting(&self) -> usize {
        self.owed.iter().filter(|(_, owed)| !matches!(owed.stage, Stage::Answered(_))).count()
    }
}

/// The request with a number: its place, and whose turn at that place it is.
#[inline]
fn find(owed: &mut Table<Owed>, number: u32) -> Option<&mut Owed> {
    let owed = owed.get_mut((number & 0xFFFF) as usize)?;
    (owed.generation == (number >> 16) as u16).then_some(owed)
}

/// Opcodes whose answer is a new file.
fn opens(opcode: u8) -> bool {
    opcode == Opcode::OpenAt as u8 || opcode == Opcode::Dup as u8
}

impl<M: Machine> Kernel<M> {
    /// Makes a scheme for the caller to serve. The window is in its memory.
    pub(crate) fn create_user_scheme(&mut self, caller: Caller) -> Outcome<usize> {
        let space = &mut self.spaces[caller.space.0];
        let window = Window::new(space).ok_or(Errno(ENOMEM))?;
        let owner = self.processes[caller.process.0].pid;
        let (readable, room) = (self.waits.create(), self.waits.create());
        Ok(self.user_schemes.insert(UserScheme {
            owner,
            space: caller.space,
            window: Some(window),
            queue: VecDeque::new(),
            owed: Table::new(),
            generation: 0,
            readable,
            room,
            is_wanted: false,
            files: 0,
            has_socket: true,
        }))
    }

    /// Asks the daemon and parks, or takes the answer if the call has asked before.
    pub(crate) fn ask(
        &mut self,
        caller: Caller,
        scheme: usize,
        request: Request<'_>,
    ) -> Outcome<Answer> {
        match self.tasks[caller.task.0].unfinished.owed {
            None => self.send_request(caller, scheme, request),
            Some(tag) => self.ask_again(caller, scheme, request, tag),
        }
    }

    fn ask_again(
        &mut self,
        caller: Caller,
        scheme: usize,
        request: Request<'_>,
        tag: Tag,
    ) -> Outcome<Answer> {
        let found = self.user_schemes.get_mut(tag.scheme).and_then(|s| s.find(tag.number));
        let Some(owed) = found else {
            self.tasks[caller.task.0].unfinished.owed = None;
            return fail(ENODEV);
        };
        if tag.scheme != scheme || !owed.is_for(&request) {
            return self.ask_anew(caller, scheme, request, tag);
        }
        match owed.stage {
            Stage::Answered(result) => {
                let (slot, opcode) = (owed.slot, owed.sqe.opcode);
                self.take_answer(caller, tag, request.payload, slot, opcode, result)
            }
            _ => Err(Stop::Park(Wait::alone(Reason::Reply))),
        }
    }

    /// The program has changed what the call's arguments point at, or what its descriptors name. An
    /// answer to something else is no answer.
    #[cold]
    #[inline(never)]
    fn ask_anew(
        &mut self,
        caller: Caller,
        scheme: usize,
        request: Request<'_>,
        tag: Tag,
    ) -> Outcome<Answer> {
        self.tasks[caller.task.0].unfinished.owed = None;
        self.abandon_request(tag);
        self.send_request(caller, scheme, request)
    }

    #[inline(always)]
    fn send_request(
        &mut self,
        caller: Caller,
        scheme: usize,
        request: Request<'_>,
    ) -> Outcome<Answer> {
        let length = request.payload.length();
        if length > PAYLOAD_MAX {
            return fail(EMSGSIZE);
        }
        let slot = self.fill_slot(caller, scheme, request.payload, length)?;
        let client = &self.processes[caller.process.0];
        let user = u64::from(client.ids.euid) | u64::from(client.ids.egid) << 32;
        let pid = u64::from(client.pid);
        let [a, b, c, d] = request.arguments;
        let server = &mut self.user_schemes[scheme];
        let (a, b) = match (slot, &server.window) {
            (Some(slot), Some(window)) => (window.address(slot) as u64, length as u64),
            _ => (a, b),
        };
        server.generation = server.generation.wrapping_add(1);
        let generation = server.generation;
        let number = u32::from(generation) << 16 | server.owed.vacant_key() as u32 & 0xFFFF;
        let sqe = Sqe {
            opcode: request.opcode as u8,
            sqe_flags: SqeFlags::empty(),
            tag: number,
            args: [request.number as u64, a, b, c, d, request.last.unwrap_or(user)],
            caller: pid,
            ..Sqe::default()
        };
        server.owed.insert(Owed {
            sqe,
            client: Some(caller.task),
            slot,
            stage: Stage::Queued,
            is_cancelled: false,
            generation,
        });
        server.queue.push_back(Message::Request(number));
        let readable = server.readable;
        self.tasks[caller.task.0].unfinished.owed = Some(Tag { scheme, number });
        self.wake_all(readable);
        self.raise_socket(scheme);
        Err(Stop::Park(Wait::alone(Reason::Reply)))
    }

    /// Puts the payload where the daemon can see it. Last step that may park or fail.
    #[inline(always)]
    fn fill_slot(
        &mut self,
        caller: Caller,
        scheme: usize,
        payload: Payload<'_>,
        length: usize,
    ) -> Outcome<Option<Slot>> {
        let server = self.user_schemes.get_mut(scheme).ok_or(Errno(ENODEV))?;
        let window = server.window.as_mut().ok_or(Errno(ENODEV))?;
        if server.owed.len() >= 0xFFFF {
            server.is_wanted = true;
            return Err(Stop::Park(Wait::on(Reason::Window, server.room)));
        }
        if matches!(payload, Payload::None) {
            return Ok(None);
        }
        let space = &mut self.spaces[server.space.0];
        let slot = window.take(length, &mut self.machine, &mut self.frames, space)?;
        let Some(slot) = slot else {
            server.is_wanted = true;
            return Err(Stop::Park(Wait::on(Reason::Window, server.room)));
        };
        let filled = match payload {
            Payload::Bytes(bytes) => {
                self.write_slot(scheme, slot, bytes);
                Ok(())
            }
            Payload::Send(user) | Payload::Exchange(user) => {
                self.copy_slot(caller.space, scheme, slot, user, Direction::ToDaemon)
            }
            Payload::Receive(_) | Payload::None => Ok(()),
        };
        if let Err(stop) = filled {
            if let Some(window) = &mut self.user_schemes[scheme].window {
                window.give_back(slot);
            }
            return Err(stop);
        }
        Ok(Some(slot))
    }

    /// The call has run again, and there is an answer: hand it over.
    #[inline(always)]
    fn take_answer(
        &mut self,
        caller: Caller,
        tag: Tag,
        payload: Payload<'_>,
        slot: Option<Slot>,
        opcode: u8,
        result: Result<Answer, Errno>,
    ) -> Outcome<Answer> {
        let scheme = tag.scheme;
        // Last step that may park; commit after it.
        let result = match (result, slot) {
            (Ok(answer), Some(slot)) => {
                match self.bring_home(caller, scheme, slot, payload, opcode, answer) {
                    Err(Stop::Park(wait)) => return Err(Stop::Park(wait)),
                    Err(Stop::Error(errno)) => Err(errno),
                    Ok(()) | Err(Stop::Replaced) => Ok(answer),
                }
            }
            // The window went before the bytes could be taken home.
            (Ok(_), None) if matches!(payload, Payload::Receive(_) | Payload::Exchange(_)) => {
                Err(Errno(ENODEV))
            }
            (result, _) => result,
        };
        self.tasks[caller.task.0].unfinished.owed = None;
        self.forget_request(scheme, tag.number);
        result.map_err(Stop::Error)
    }

    #[inline(always)]
    fn bring_home(
        &mut self,
        caller: Caller,
        scheme: usize,
        slot: Slot,
        payload: Payload<'_>,
        opcode: u8,
        answer: Answer,
    ) -> Outcome<()> {
        let counts = opcode == Opcode::Read as u8 || opcode == Opcode::Fpath as u8;
        match payload {
            Payload::Receive(user) if counts => {
                if answer.value > user.length {
                    return fail(EIO);
                }
                let user = user.part(0, answer.value);
                self.copy_slot(caller.space, scheme, slot, user, Direction::ToClient)
            }
            Payload::Receive(user) | Payload::Exchange(user) => {
                self.copy_slot(caller.space, scheme, slot, user, Direction::ToClient)
            }
            Payload::Send(user) if answer.value > user.length && opcode == Opcode::Write as u8 => {
                fail(EIO)
            }
            _ => Ok(()),
        }
    }

    /// Removes a finished request and lets waiting clients have its room.
    #[inline]
    fn forget_request(&mut self, scheme: usize, number: u32) {
        let server = &mut self.user_schemes[scheme];
        let owed = server.owed.remove((number & 0xFFFF) as usize);
        if let (Some(slot), Some(window)) = (owed.slot, &mut server.window) {
            window.give_back(slot);
        }
        let is_alive = server.is_alive();
        if core::mem::take(&mut server.is_wanted) {
            let room = server.room;
            // All, not one: the one might be stopped or killed before it can use the room.
            self.wake_all(room);
        }
        if !is_alive {
            self.bury_scheme(scheme);
        }
    }

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
                Err(_) => break,
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
    fn collect_one(
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
    fn settle(&mut self, caller: Caller, scheme: usize, from: UserSlice) -> Outcome<()> {
        let mut cqe = Cqe::default();
        self.copy_in(caller.space, from, &mut cqe)?;
        let value = value_or_error(cqe.result);
        let is_positioned = cqe.extra_raw[0] & NewFdFlags::POSITIONED.bits() != 0;
        let plain = |value| Answer { value, is_positioned, other: None };
        match CqeOpcode::try_from_raw(cqe.flags & 7) {
            Some(CqeOpcode::RespondRegular | CqeOpcode::RespondAndNotifyOnDetach) => {
                self.answer_request(scheme, cqe.tag, value.map(plain))
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
    fn answer_request(
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
                    Ok(_) => self.wake_task(client),
                    Err(_) => self.refuse(client),
                }
            }
            None => {
                self.forget_request(scheme, number);
                self.drop_answer(scheme, opcode, result);
            }
        }
        Ok(())
    }

    /// An answer that nobody is there to take: close what it opened.
    fn drop_answer(&mut self, scheme: usize, opcode: u8, result: Result<Answer, Errno>) {
        match result {
            Ok(Answer { other: Some(description), .. }) => self.release_description(description),
            Ok(answer) if opens(opcode) => self.notify_close(scheme, answer.value),
            _ => {}
        }
    }

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
    fn refuse(&mut self, client: TaskId) {
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
    fn deliver_answers(&mut self, scheme: usize) {
        let server = &self.user_schemes[scheme];
        let answered = server.owed.iter().filter(|(_, o)| matches!(o.stage, Stage::Answered(_)));
        let clients: alloc::vec::Vec<TaskId> = answered.filter_map(|(_, o)| o.client).collect();
        clients.into_iter().for_each(|client| self.call_early(client));
    }

    /// Forgets a dead scheme once no file and no client remembers it.
    fn bury_scheme(&mut self, scheme: usize) {
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

    fn notify_cancel(&mut self, scheme: usize, number: u32, caller: u64) {
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

    fn notify_close(&mut self, scheme: usize, number: usize) {
        self.notify(
            scheme,
            Sqe {
                opcode: Opcode::CloseMsg as u8,
                sqe_flags: SqeFlags::ONEWAY,
                args: [number as u64, 0, 0, 0, 0, 0],
                ..Sqe::default()
            },
        );
    }

    fn notify(&mut self, scheme: usize, sqe: Sqe) {
        let Some(server) = self.user_schemes.get_mut(scheme) else { return };
        if !server.is_alive() {
            return;
        }
        server.queue.push_back(Message::Notice(sqe));
        let readable = server.readable;
        self.wake_all(readable);
        self.raise_socket(scheme);
    }

    /// Whether the daemon has something to read.
    pub(crate) fn has_requests(&self, scheme: usize) -> bool {
        self.user_schemes.get(scheme).is_some_and(|server| !server.queue.is_empty())
    }

    /// Whether the daemon still serves.
    pub(crate) fn is_served(&self, scheme: usize) -> bool {
        self.user_schemes.get(scheme).is_some_and(UserScheme::is_alive)
    }

    fn write_slot(&mut self, scheme: usize, slot: Slot, bytes: &[u8]) {
        let Some(window) = &self.user_schemes[scheme].window else { return };
        let mut done = 0;
        while done < bytes.len() {
            let (at, room) = window.physical(slot, done);
            let end = bytes.len().min(done + room);
            self.machine.write(at, &bytes[done..end]);
            done = end;
        }
    }

    /// Copies between a client's memory and a slot, page by page, once.
    #[inline(always)]
    fn copy_slot(
        &mut self,
        space: SpaceId,
        scheme: usize,
        slot: Slot,
        user: UserSlice,
        direction: Direction,
    ) -> Outcome<()> {
        let mut done = 0;
        while done < user.length {
            let Some(window) = &self.user_schemes[scheme].window else { return fail(ENODEV) };
            let (daemon, room) = window.physical(slot, done);
            let part = user.part(done, room);
            let (client, length) = match direction {
                Direction::ToDaemon => self.readable_at(space, part)?,
                Direction::ToClient => self.writable_at(space, part)?,
            };
            match direction {
                Direction::ToDaemon => self.machine.copy(client, daemon, length),
                Direction::ToClient => self.machine.copy(daemon, client, length),
            }
            done += length;
        }
        Ok(())
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

/// Which way [`Kernel::copy_slot`] copies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToDaemon,
    ToClient,
}
