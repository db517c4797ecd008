//! `proc:PID/status`, `sys:context` — threads of control, and why they are not running.

mod process;
mod wait;

pub use process::{Hold, Ids, Pid, Process, ProcessId, Standing, Usage};
pub use wait::{QueueId, Reason, Wait, WaitQueues};

use crate::kernel::TimerKey;
use crate::machine::{CpuId, Machine};
use crate::memory::{Pages, SpaceId};
use crate::schedule::{Account, Priority};
use crate::scheme::user::Tag;
use crate::signal::TaskSignals;
use crate::trace::SessionId;

/// The index of a thread in the kernel's table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(pub usize);

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// In the run queue.
    Ready,
    /// On a CPU.
    Running(CpuId),
    /// Waiting; its call is run again when the wait is over.
    Parked(Wait),
    /// Stopped by a signal until `SIGCONT`.
    Stopped,
    /// Stopped by its tracer until that one says go on.
    Traced,
    /// Ended; only its CPU still has to notice.
    Ending,
}

/// How far a thread's call has come that has not ended.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is no such call.
    #[default]
    None,
    /// It has been made, and not been run yet: a tracer comes first.
    Made,
    /// It has been run, waits for something, and is run again.
    Parked,
    /// The same, and it waits for memory only: nothing of it has happened.
    Refused,
}

/// What a call keeps between being parked and being run again.
#[derive(Clone, Copy, Default, Debug)]
pub struct Unfinished {
    /// Whether there is such a call. If not, there is nothing else here.
    pub progress: Progress,
    /// The moment that ends the wait, in nanoseconds since boot.
    pub deadline: Option<u64>,
    /// The request a scheme daemon owes an answer to.
    pub owed: Option<Tag>,
    /// The daemon has answered with an error, or is gone.
    pub is_refused: bool,
    /// A futex wait has been woken.
    pub woken: bool,
    /// The moment has passed; a daemon that was asked to hurry up still owes its answer.
    pub is_late: bool,
}

impl Unfinished {
    /// Whether there is a call that has not ended.
    pub fn is_call(&self) -> bool {
        self.progress != Progress::None
    }
}

bitflags::bitflags! {
    /// Why a thread is looked after whenever it has been chosen, and before it runs user code.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Attention: u8 {
        /// Something must be looked at: a signal, a stop, the end. Set by
        /// [`crate::kernel::Kernel::demand_attention`], so that a CPU that runs the thread knows.
        const WANTED = 1;
        /// It runs only when nobody else would, so it asks each time.
        const IDLE = 2;
    }
}

/// One thread.
pub struct Task<M: Machine> {
    /// Its public number; the first thread's is its process's.
    pub tid: u32,
    /// Whose it is.
    pub process: ProcessId,
    /// The memory it runs in.
    pub space: SpaceId,
    /// Its registers; absent only while a CPU runs it.
    pub context: Option<M::Context>,
    /// What it is doing.
    pub state: State,
    /// The call it has not finished.
    pub unfinished: Unfinished,
    /// Signals for this thread, and handlers it is in.
    pub signals: TaskSignals<M>,
    /// Why it comes by [`crate::kernel::Kernel::attend`] before user code runs again.
    pub attention: Attention,
    /// What it has had of the CPUs' time.
    pub account: Account,
    /// Ticks in user code.
    pub user_ticks: u64,
    /// Ticks in the kernel on its behalf.
    pub kernel_ticks: u64,
    /// Times it was given a CPU.
    pub switches: u64,
    /// The CPU it ran on last.
    pub last_cpu: CpuId,
    /// Who traces it, if anybody.
    pub session: Option<SessionId>,
    /// A traced thread made it, and its tracer has not let it go yet.
    pub is_held: bool,
    /// Its registers may carry what a tracer has put there.
    pub is_marked: bool,
    /// What is there is of a session that has ended while the thread ran. It goes when the thread
    /// comes by, whoever traces it by then.
    pub has_leftovers: bool,
    /// No other thread has ever had this number.
    pub serial: u64,
    /// The timer that ends its wait.
    pub timer: Option<TimerKey>,
    /// Pages of a mapped file, one of which it waited for, and that their daemon does not give together.
    pub refused_pages: Option<(SpaceId, Pages)>,
    /// Neighbours in the wait queue it is parked on.
    pub(crate) links: wait::Links,
}

impl<M: Machine> Task<M> {
    /// A thread ready to start.
    pub fn new(
        tid: u32,
        process: ProcessId,
        space: SpaceId,
        context: M::Context,
        account: Account,
    ) -> Self {
        let is_idle = account.priority == Priority::IDLE;
        Self {
            tid,
            process,
            space,
            context: Some(context),
            state: State::Ready,
            unfinished: Unfinished::default(),
            signals: TaskSignals::default(),
            attention: if is_idle { Attention::IDLE } else { Attention::empty() },
            account,
            user_ticks: 0,
            kernel_ticks: 0,
            switches: 0,
            last_cpu: CpuId(0),
            session: None,
            is_held: false,
            is_marked: false,
            has_leftovers: false,
            serial: 0,
            timer: None,
            refused_pages: None,
            links: wait::Links::default(),
        }
    }

    /// Its wait is over. Returns the timer that would have ended it.
    #[inline(always)]
    pub(crate) fn unpark(&mut self) -> Option<TimerKey> {
        self.state = State::Ready;
        self.timer.take()
    }

    /// Adds the ticks of a turn that has ended: in user code, in the kernel.
    pub(crate) fn count_turn(&mut self, [user, kernel]: [u64; 2]) {
        self.user_ticks += user;
        self.kernel_ticks += kernel;
    }

    /// The registers, while no CPU has them.
    ///
    /// # Panics
    /// When the thread runs: the kernel lost track.
    pub fn context(&mut self) -> &mut M::Context {
        self.context.as_mut().expect("a thread that traps has brought its registers back")
    }

    /// Its state as one letter, as `ps` shows it.
    pub fn letter(&self) -> char {
        match self.state {
            State::Ready | State::Running(_) => 'R',
            State::Parked(_) if self.unfinished.deadline.is_some() => 'S',
            State::Parked(_) => 'B',
            State::Stopped => 'T',
            State::Traced => 't',
            State::Ending => 'Z',
        }
    }
}
