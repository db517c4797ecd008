//! The daemon's side of schemes, in the bytes of the protocol, and event queues.

use super::{Answer, User};
use abi::number::REGISTER_SCHEME;
use abi::redox::data::{Event, NewFdParams};
use abi::redox::flag::*;
use abi::redox::schemev2::{Cqe, CqeOpcode, Sqe};

/// A scheme that this process serves.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    /// Where requests come from, and answers go to.
    pub fd: usize,
}

impl User {
    /// Makes a scheme, and registers it as `name` with file 0 as its root.
    pub fn serve(&mut self, name: &str) -> Socket {
        let socket = self.create_scheme();
        let root = self.new_file(socket, 0).expect("a socket makes files");
        self.register(name, root).expect("the name is free");
        self.close(root).expect("it is open");
        socket
    }

    /// Makes a scheme without a name.
    pub fn create_scheme(&mut self) -> Socket {
        let right = self.open("namespace:scheme-creation-cap", O_RDWR).expect("root may serve");
        let fd = self.dup(right, b"create-scheme").expect("root may serve");
        self.close(right).expect("it is open");
        Socket { fd }
    }

    /// A file of a scheme that this process serves.
    ///
    /// # Errors
    /// As the call.
    pub fn new_file(&mut self, socket: Socket, number: usize) -> Answer {
        let mut params = [0; size_of::<NewFdParams>()];
        params[8..16].copy_from_slice(&number.to_ne_bytes());
        params[16..24].copy_from_slice(&O_RDWR.to_ne_bytes());
        self.dup(socket.fd, &params)
    }

    /// Gives a scheme's root a name.
    ///
    /// # Errors
    /// As the call.
    pub fn register(&mut self, name: &str, root: usize) -> Answer {
        let namespace = self.open("namespace:", O_RDWR)?;
        let answer = self.with(name.as_bytes(), |user, at| {
            user.call(REGISTER_SCHEME, [namespace, at, name.len(), root])
        });
        self.close(namespace)?;
        answer
    }

    /// The next request.
    ///
    /// # Errors
    /// As the call.
    pub fn next_request(&mut self, socket: Socket) -> Answer<Sqe> {
        let mut sqe = Sqe::default();
        let bytes = self.read(socket.fd, sqe.len())?;
        sqe.copy_from_slice(&bytes);
        Ok(sqe)
    }

    /// Answers a request with a value or an error.
    ///
    /// # Errors
    /// As the call.
    pub fn answer(&mut self, socket: Socket, request: &Sqe, answer: Answer) -> Answer {
        let result = match answer {
            Ok(value) => value as u64,
            Err(errno) => (errno.0 as u64).wrapping_neg(),
        };
        let flags = CqeOpcode::RespondRegular as u8;
        let cqe = Cqe { flags, tag: request.tag, result, ..Cqe::default() };
        self.write(socket.fd, &cqe)
    }

    /// The bytes that a request brought along.
    pub fn payload(&mut self, request: &Sqe) -> Vec<u8> {
        self.load(request.args[1] as usize, request.args[2] as usize)
    }

    /// Writes what a request asks for where the client will find it. Returns how many bytes fit.
    pub fn fill_payload(&mut self, request: &Sqe, bytes: &[u8]) -> usize {
        let count = bytes.len().min(request.args[2] as usize);
        self.store(request.args[1] as usize, &bytes[..count]);
        count
    }

    /// A new event queue.
    pub fn event_queue(&mut self) -> usize {
        self.open("event:", O_RDWR).expect("an event queue can be made")
    }

    /// Makes a queue watch a descriptor; empty flags end it.
    ///
    /// # Errors
    /// As the call.
    pub fn watch(&mut self, queue: usize, id: usize, flags: EventFlags, data: usize) -> Answer {
        self.write(queue, &Event { id, flags, data })
    }

    /// The next event of a queue.
    ///
    /// # Errors
    /// As the call.
    pub fn next_event(&mut self, queue: usize) -> Answer<Event> {
        let mut event = Event::default();
        let bytes = self.read(queue, event.len())?;
        event.copy_from_slice(&bytes);
        Ok(event)
    }
}
