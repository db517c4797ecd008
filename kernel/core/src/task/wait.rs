//! The complete list of reasons to wait, and the queues to wait in.

use super::{Task, TaskId};
use crate::machine::Machine;
use crate::table::Table;
use core::fmt;

/// Declares the reasons once: the list cannot lack one, nor can what is shown.
macro_rules! reasons {
    ($($(#[$about:meta])* $name:ident = $word:literal,)*) => {
        /// Why a thread is parked. `ps` prints it; nothing else can make a thread stop by itself.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Reason {
            $($(#[$about])* $name,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Reason] = &[$(Reason::$name),*];

            /// Its word in `proc:PID/status`.
            pub fn word(self) -> &'static str {
                match self {
                    $(Reason::$name => $word,)*
                }
            }
        }
    };
}

reasons! {
    /// A scheme daemon owes an answer.
    Reply = "reply",
    /// Something to read.
    Readable = "readable",
    /// Room to write.
    Writable = "writable",
    /// Room in a daemon's request window.
    Window = "window",
    /// An event in a queue.
    Event = "event",
    /// A child to end.
    Child = "child",
    /// A moment.
    Time = "time",
    /// A futex to be woken.
    Futex = "futex",
    /// A signal.
    Signal = "signal",
    /// Memory: there was none left, and an emergency is to find some.
    Memory = "memory",
    /// A page of a mapped file, which its daemon is to bring.
    Page = "page",
    /// A traced thread to stop, or to do something its tracer wants to know.
    Tracee = "tracee",
    /// The tracer to say go on.
    Tracer = "tracer",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a parked thread waits for. Small, because every call's outcome has room for one: a moment
/// that ends the wait is in [`super::Unfinished`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// Why.
    pub reason: Reason,
    /// The queue whose wake-up ends it.
    pub queue: Option<QueueId>,
}

impl Wait {
    /// Until `queue` is woken.
    pub fn on(reason: Reason, queue: QueueId) -> Self {
        Self { reason, queue: Some(queue) }
    }

    /// Until whoever knows the thread wakes it, or its moment comes.
    pub fn alone(reason: Reason) -> Self {
        Self { reason, queue: None }
    }
}

/// The index of a wait queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueId(u32);

/// A parked thread's place in its queue.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Links {
    next: Option<TaskId>,
    back: Option<TaskId>,
}

#[derive(Clone, Copy, Default)]
struct Ends {
    first: Option<TaskId>,
    last: Option<TaskId>,
}

/// All wait queues. Threads are linked through their own records, so waiting needs no memory.
#[derive(Default)]
pub struct WaitQueues {
    queues: Table<Ends>,
}

impl WaitQueues {
    /// A new, empty queue.
    pub fn create(&mut self) -> QueueId {
        QueueId(self.queues.insert(Ends::default()) as u32)
    }

    /// Forgets an empty queue.
    pub fn destroy(&mut self, queue: QueueId) {
        let ends = self.queues.remove(queue.0 as usize);
        debug_assert!(ends.first.is_none(), "a queue is destroyed under its waiters");
    }

    /// How many queues there are.
    pub fn count(&self) -> usize {
        self.queues.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self, queue: QueueId) -> bool {
        self.first(queue).is_none()
    }

    /// Who has waited longest.
    pub fn first(&self, queue: QueueId) -> Option<TaskId> {
        self.queues[queue.0 as usize].first
    }

    /// Adds a thread at the end.
    pub(crate) fn push<M: Machine>(
        &mut self,
        tasks: &mut Table<Task<M>>,
        queue: QueueId,
        task: TaskId,
    ) {
        let ends = &mut self.queues[queue.0 as usize];
        tasks[task.0].links = Links { next: None, back: ends.last };
        match ends.last {
            Some(last) => tasks[last.0].links.next = Some(task),
            None => ends.first = Some(task),
        }
        ends.last = Some(task);
    }

    /// Takes out who has waited longest. Also tells whether somebody else waits.
    #[inline(always)]
    pub(crate) fn pop<M: Machine>(
        &mut self,
        tasks: &mut Table<Task<M>>,
        queue: QueueId,
    ) -> Option<(TaskId, bool)> {
        let ends = &mut self.queues[queue.0 as usize];
        let task = ends.first?;
        let next = core::mem::take(&mut tasks[task.0].links).next;
        ends.first = next;
        match next {
            Some(next) => tasks[next.0].links.back = None,
            None => ends.last = None,
        }
        Some((task, next.is_some()))
    }

    /// Takes a thread out, wherever it stands.
    pub(crate) fn remove<M: Machine>(
        &mut self,
        tasks: &mut Table<Task<M>>,
        queue: QueueId,
        task: TaskId,
    ) {
        let Links { next, back } = core::mem::take(&mut tasks[task.0].links);
        let ends = &mut self.queues[queue.0 as usize];
        match back {
            Some(back) => tasks[back.0].links.next = next,
            None => ends.first = next,
        }
        match next {
            Some(next) => tasks[next.0].links.back = back,
            None => ends.last = back,
        }
    }
}
