//! The serving loop: read requests, answer them, keep the ones that must wait.
//!
//! A scheme says `EWOULDBLOCK` for a request that cannot be answered yet. Unless the client asked
//! not to wait, the request stays here and is tried again, oldest first, whenever the scheme
//! reports [`Daemon::progress`]. A client that is interrupted takes its request back and gets
//! `ECANCELED`, which its side turns into `EINTR`. When those that wait hold half of the window, the
//! next one is refused (`ENOBUFS`).

use std::collections::VecDeque;

use libredox::Fd;
use redox_scheme::scheme::{Op, SchemeResponse, SchemeState, SchemeSync, register_scheme_inner};
use redox_scheme::{
    CallRequest, CallerCtx, CancellationRequest, Id, OpenResult, Request, RequestKind, Response,
    SignalBehavior, Socket,
};
use syscall::error::{
    EAGAIN, ECANCELED, ENOBUFS, ENODEV, ENOSYS, EOPNOTSUPP, EWOULDBLOCK, Error, Result,
};
use syscall::flag::EventFlags;

/// Most requests taken from the kernel at once.
const BATCH: usize = 32;

/// Bytes of the window that waiting requests may hold: half of it. The rest is for those that let
/// them go on.
const WAITING_MAX: usize = 4 << 20;

/// What a request holds of the window while it waits.
fn held(op: &mut Op) -> usize {
    let bytes = match op {
        Op::OpenAt(open) => open.path().len(),
        Op::Read(read) => read.buf().len(),
        Op::Write(write) => write.buf().len(),
        Op::Call(call) => call.fds_and_payload_and_metadata().1.len(),
        _ => 0,
    };
    bytes.next_multiple_of(syscall::PAGE_SIZE)
}

/// A scheme that can make clients wait.
pub trait Daemon: SchemeSync {
    /// Whether something happened since the last question that may let a waiting request finish.
    fn progress(&mut self) -> bool {
        false
    }

    /// A process has let go of a handle that it was given something by: it closed a descriptor, or
    /// ended. See [`Daemon::is_for_process`].
    fn detached(&mut self, _handle: usize, _pid: usize) {}

    /// Whether the request that was answered last gave its process something that goes when it lets go
    /// of the handle. Asked once for each.
    fn is_for_process(&mut self) -> bool {
        false
    }

    /// A waiting request was taken back by its client and will not be tried again.
    fn cancelled(&mut self, _request: Id) {}

    /// Whether waiting requests are always finished soon, as those to a disk are. Then neither a
    /// client that asked not to wait nor one that is interrupted ends them early.
    fn finishes_soon(&self) -> bool {
        false
    }

    /// Every answer so far has reached the kernel.
    fn sent(&mut self) {}

    /// The next handle that became ready and whose owner wants to be told.
    fn next_event(&mut self) -> Option<(usize, EventFlags)> {
        None
    }
}

/// The answer that gives a client a file, which is the client's from then on. The `redox-scheme` crate
/// closes the descriptor as soon as the kernel has passed the file on. Closing it here, too, would be
/// closing whatever has got its number meanwhile.
pub fn hand_over(file: Fd) -> OpenResult {
    OpenResult::OtherScheme { fd: file.into_raw() }
}

/// What came of one look at the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There were requests; there may be more.
    Served,
    /// There are none any more: the next one is an event.
    Idle,
    /// The kernel has closed the socket.
    Closed,
}

/// One scheme socket and the requests that came from it.
pub struct Server {
    socket: Socket,
    state: SchemeState,
    requests: Vec<Request>,
    responses: VecDeque<Response>,
    waiting: VecDeque<(CallerCtx, Op)>,
    /// Bytes of the window that they hold.
    held: usize,
}

impl Server {
    /// Opens a socket on which [`Server::turn`] waits for requests.
    pub fn waiting() -> Result<Self> {
        Ok(Self::new(Socket::create()?))
    }

    /// Opens a socket for a daemon that waits elsewhere: [`Server::turn`] never parks.
    pub fn nonblocking() -> Result<Self> {
        Ok(Self::new(Socket::nonblock()?))
    }

    fn new(socket: Socket) -> Self {
        Self {
            socket,
            state: SchemeState::new(),
            requests: Vec::with_capacity(BATCH),
            responses: VecDeque::with_capacity(BATCH),
            waiting: VecDeque::new(),
            held: 0,
        }
    }

    /// The socket's descriptor, for an event queue.
    pub fn descriptor(&self) -> usize {
        self.socket.inner().raw()
    }

    /// Gives the scheme its name; from here on clients can open it. `root` is the handle that
    /// paths start from.
    pub fn register(&self, name: &str, root: usize) -> Result<()> {
        register_scheme_inner(&self.socket, name, root)
    }

    /// Serves until the kernel closes the socket.
    pub fn run(mut self, daemon: &mut impl Daemon) -> Result<()> {
        while self.turn(daemon)? != Turn::Closed {}
        Ok(())
    }

    /// Takes one batch of requests and answers what can be answered.
    pub fn turn(&mut self, daemon: &mut impl Daemon) -> Result<Turn> {
        match self.socket.read_requests(&mut self.requests, SignalBehavior::Restart) {
            Ok(()) if self.requests.is_empty() => return Ok(Turn::Closed),
            Ok(()) => {}
            Err(Error { errno: EAGAIN }) => return Ok(Turn::Idle),
            Err(error) => return Err(error),
        }
        let may_be_more = self.requests.len() == BATCH;
        let mut requests = std::mem::take(&mut self.requests);
        for request in requests.drain(..) {
            self.take(request, daemon);
        }
        self.requests = requests;
        self.settle(daemon);
        Ok(if may_be_more { Turn::Served } else { Turn::Idle })
    }

    /// Answers waiting requests after the daemon made progress on its own, and posts events.
    pub fn settle(&mut self, daemon: &mut impl Daemon) {
        while daemon.progress() {
            for _ in 0..self.waiting.len() {
                if let Some((caller, mut op)) = self.waiting.pop_front() {
                    self.held -= held(&mut op);
                    self.answer(caller, op, daemon);
                }
            }
        }
        while let Some((handle, flags)) = daemon.next_event() {
            self.responses.push_back(Response::post_fevent(handle, flags.bits()));
        }
        self.send();
        daemon.sent();
    }

    fn take(&mut self, request: Request, daemon: &mut impl Daemon) {
        match request.kind() {
            RequestKind::Call(call) => self.call(call, daemon),
            RequestKind::Cancellation(cancelled) => self.cancel(&cancelled, daemon),
            RequestKind::SendFd(request) => {
                self.responses.push_back(Response::err(EOPNOTSUPP, request));
            }
            RequestKind::RecvFd(request) => {
                self.responses.push_back(Response::err(EOPNOTSUPP, request));
            }
            RequestKind::OnClose { id } => daemon.on_close(id),
            RequestKind::OnDetach { id, pid } => daemon.detached(id, pid),
            // Notices that want no answer, about things these daemons never ask for.
            RequestKind::MsyncMsg | RequestKind::MunmapMsg | RequestKind::MmapMsg => {}
        }
    }

    fn call(&mut self, call: CallRequest, daemon: &mut impl Daemon) {
        let caller = call.caller();
        match call.op() {
            Ok(op) => self.answer(caller, op, daemon),
            Err(unknown) => self.responses.push_back(Response::err(ENOSYS, unknown)),
        }
    }

    fn answer(&mut self, caller: CallerCtx, mut op: Op, daemon: &mut impl Daemon) {
        let outcome = op.handle_sync_dont_consume(&caller, daemon, &mut self.state);
        let would_block = matches!(
            outcome,
            SchemeResponse::Opened(Err(Error { errno: EWOULDBLOCK }))
                | SchemeResponse::Regular(Err(Error { errno: EWOULDBLOCK }))
        );
        if would_block && (!op.is_explicitly_nonblock() || daemon.finishes_soon()) {
            let bytes = held(&mut op);
            if self.held + bytes > WAITING_MAX && !daemon.finishes_soon() {
                self.responses.push_back(Response::err(ENOBUFS, op));
                return;
            }
            self.held += bytes;
            self.waiting.push_back((caller, op));
            return;
        }
        self.responses.push_back(match outcome {
            // The same to a client, but programs know it by the other number.
            _ if would_block => Response::err(EAGAIN, op),
            SchemeResponse::Regular(result) if daemon.is_for_process() => {
                Response::new_notify_on_detach(result, op)
            }
            SchemeResponse::Regular(result) => Response::new(result, op),
            SchemeResponse::Opened(result) => Response::open_dup_like(result, op),
            SchemeResponse::RegularAndNotifyOnDetach(result) => {
                Response::new_notify_on_detach(result, op)
            }
        });
    }

    fn cancel(&mut self, cancelled: &CancellationRequest, daemon: &mut impl Daemon) {
        if daemon.finishes_soon() {
            return;
        }
        let position = self.waiting.iter().position(|(caller, _)| caller.id == cancelled.id);
        if let Some((_, mut op)) = position.and_then(|position| self.waiting.remove(position)) {
            self.held -= held(&mut op);
            daemon.cancelled(cancelled.id);
            self.responses.push_back(Response::err(ECANCELED, op));
        }
    }

    /// Sends every response. The kernel takes those for clients that are gone, too: one that it refuses
    /// is this daemon's own mistake, and is dropped, so that it cannot hold back the others.
    fn send(&mut self) {
        while !self.responses.is_empty() {
            let before = self.responses.len();
            let sent = self.socket.write_responses(&mut self.responses, SignalBehavior::Restart);
            match sent {
                Ok(()) if self.responses.len() < before => continue,
                // Nobody is served any more.
                Ok(()) | Err(Error { errno: ENODEV }) => {}
                Err(error) => eprintln!("an answer was refused: {error}"),
            }
            self.responses.pop_front();
        }
    }
}
