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

mod end;
mod payload;
mod serve;

use crate::error::*;
use crate::handle::{Description, DescriptionId};
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::{PAYLOAD_MAX, Slot, SpaceId, UserSlice, Window};
use crate::scheme::SchemeId;
use crate::table::Table;
use crate::task::{Pid, ProcessId, QueueId, Reason, TaskId, Wait};
use abi::redox::flag::EventFlags;
use abi::redox::schemev2::{Cqe, CqeOpcode, NewFdFlags, Opcode, Sqe, SqeFlags};
use alloc::collections::VecDeque;

/// Names one request: whose scheme, and the number the daemon sees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
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
    /// The thread whose call waits for the answer. Nobody, if it has ended, and for pages: those are for
    /// whoever touches them.
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

    /// Adds a request of process `caller` to the queue, and gives it a number.
    #[inline(always)]
    fn enqueue(
        &mut self,
        opcode: Opcode,
        args: [u64; 6],
        caller: u64,
        client: Option<TaskId>,
        slot: Option<Slot>,
    ) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let number = u32::from(generation) << 16 | self.owed.vacant_key() as u32 & 0xFFFF;
        let sqe = Sqe { opcode: opcode as u8, tag: number, args, caller, ..Sqe::default() };
        let stage = Stage::Queued;
        self.owed.insert(Owed { sqe, client, slot, stage, is_cancelled: false, generation });
        self.queue.push_back(Message::Request(number));
        number
    }

    /// Where to wait for room for one more request, if there is none.
    #[inline(always)]
    pub(crate) fn room_to_await(&mut self) -> Option<QueueId> {
        if self.owed.len() < 0xFFFF {
            return None;
        }
        self.is_wanted = true;
        Some(self.room)
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
        let args = [request.number as u64, a, b, c, d, request.last.unwrap_or(user)];
        let number = server.enqueue(request.opcode, args, pid, Some(caller.task), slot);
        let readable = server.readable;
        self.tasks[caller.task.0].unfinished.owed = Some(Tag { scheme, number });
        self.wake_all(readable);
        self.raise_socket(scheme);
        Err(Stop::Park(Wait::alone(Reason::Reply)))
    }

    /// Asks where pages of a file are, of which no thread's call waits for the answer.
    pub(crate) fn ask_for_pages(
        &mut self,
        caller: Caller,
        scheme: usize,
        number: usize,
        [size, flags, offset]: [u64; 3],
    ) -> Tag {
        let client = &self.processes[caller.process.0];
        let user = u64::from(client.ids.euid) | u64::from(client.ids.egid) << 32;
        let pid = u64::from(client.pid);
        let args = [number as u64, size, flags, offset, 0, user];
        let server = &mut self.user_schemes[scheme];
        let number = server.enqueue(Opcode::MmapPrep, args, pid, None, None);
        let readable = server.readable;
        self.wake_all(readable);
        self.raise_socket(scheme);
        Tag { scheme, number }
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
                    // The answer waits until there is memory: asking again would do it twice.
                    Err(stop) if self.is_to_try_again() => return Err(stop),
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
}
