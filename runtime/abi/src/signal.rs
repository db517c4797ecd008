//! `SIGACTION` and friends — signal numbers, dispositions, and what a handler sees.
//!
//! Numbers are Linux's and Redox's. A mask is a `u64` with bit `signal - 1`.
//!
//! A handler is entered as a C function: `rdi` = signal, `rsi` = pointer to a [`SigInfo`], `rdx`
//! = pointer to a copy of the interrupted integer registers (`redox::IntRegisters`). The return
//! address is the action's `restorer`, which must call `SIGRETURN`. The kernel keeps the
//! interrupted registers itself, so a handler cannot forge them; writing the copy changes
//! nothing. At most [`NESTING_MAX`] handlers of one thread may be unfinished.
//!
//! A call that was parked ends with `EINTR`, or starts again after the handler when the action
//! has [`SA_RESTART`].
//!
//! A signal that is pending already is not sent a second time, but for the real-time ones
//! ([`is_queued`]): each of them is delivered, in the order in which they were sent.

/// What to do on one signal.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SigAction {
    /// [`SIG_DFL`], [`SIG_IGN`] or the handler's address.
    pub handler: usize,
    /// `SA_*`.
    pub flags: usize,
    /// Also blocked while the handler runs.
    pub mask: u64,
    /// Where the handler returns to.
    pub restorer: usize,
}

/// What a handler is told.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SigInfo {
    /// The signal.
    pub signo: i32,
    /// Always 0.
    pub errno: i32,
    /// [`SI_USER`] from `kill`, [`SI_QUEUE`] with a value, [`SI_TIMER`] from a timer, [`SI_KERNEL`] from a
    /// fault or the kernel.
    pub code: i32,
    /// The sender, for [`SI_USER`] and [`SI_QUEUE`]; the child, for `SIGCHLD`; the timer, for [`SI_TIMER`].
    pub pid: i32,
    /// The sender's real uid; for [`SI_TIMER`] how often it has rung since without being heard.
    pub uid: u32,
    /// Keeps the next field aligned.
    pub pad: u32,
    /// The address that faulted.
    pub addr: usize,
    /// The child's status word, for `SIGCHLD`.
    pub status: i32,
    /// Keeps the next field aligned.
    pub pad2: i32,
    /// What the sender or the timer's maker wants to say, for [`SI_QUEUE`] and [`SI_TIMER`].
    pub value: usize,
}

/// Another stack for handlers, laid out as C's `stack_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalStack {
    /// Its lowest byte.
    pub address: usize,
    /// `SS_*`. Only the low 32 bits count: C pads an `int` here.
    pub flags: usize,
    /// Its size in bytes.
    pub size: usize,
}

/// [`SignalStack`]: a handler runs on it.
pub const SS_ONSTACK: usize = 1;
/// [`SignalStack`]: there is none.
pub const SS_DISABLE: usize = 2;
/// The least size of a [`SignalStack`].
pub const SIGNAL_STACK_MIN: usize = 2048;

/// The default action.
pub const SIG_DFL: usize = 0;
/// Ignore.
pub const SIG_IGN: usize = 1;
/// Do not ask for `SIGCHLD` when a child only stops.
pub const SA_NOCLDSTOP: usize = 0x4000_0000;
/// Run the handler on the thread's [`SignalStack`], if it has one.
pub const SA_ONSTACK: usize = 0x0400_0000;
/// Start a parked call again instead of `EINTR`.
pub const SA_RESTART: usize = 0x0800_0000;
/// Do not block the signal while its handler runs.
pub const SA_NODEFER: usize = 0x1000_0000;
/// Back to the default once delivered.
pub const SA_RESETHAND: usize = 0x2000_0000;
/// Sent by a process.
pub const SI_USER: i32 = 0;
/// Sent by the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// Sent by a process, with a value.
pub const SI_QUEUE: i32 = -1;
/// From a timer of the process's own.
pub const SI_TIMER: i32 = -2;
/// The first real-time signal; the last one is [`SIGNAL_MAX`]. The C library keeps three for itself.
pub const REALTIME_MIN: usize = 32;
/// Most real-time signals that wait behind others of their number, for a process and for each thread.
pub const QUEUE_MAX: usize = 128;
/// Most unfinished handlers of one thread; one more ends the process with the signal.
pub const NESTING_MAX: usize = 16;
/// The highest signal number.
pub const SIGNAL_MAX: usize = 64;

/// Whether a signal is delivered as often as it was sent.
pub const fn is_queued(signal: usize) -> bool {
    signal >= REALTIME_MIN && signal <= SIGNAL_MAX
}

/// Declares the signal numbers once, with their names and default actions.
macro_rules! signals {
    ($($number:literal $name:ident $default:ident;)*) => {
        $(#[doc = concat!("Signal ", stringify!($number), ".")] pub const $name: usize = $number;)*

        /// The name of a signal, `SIGINT` and so on.
        pub const fn name(signal: usize) -> Option<&'static str> {
            match signal { $($number => Some(stringify!($name)),)* _ => None }
        }

        /// What the kernel does on a signal nobody chose an action for.
        pub const fn default(signal: usize) -> Default {
            match signal { $($number => Default::$default,)* _ => Default::End }
        }
    };
}

/// The default actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// End the process.
    End,
    /// Nothing.
    Ignore,
    /// Stop until `SIGCONT`.
    Stop,
    /// Go on.
    Continue,
}

signals! {
    1 SIGHUP End;
    2 SIGINT End;
    3 SIGQUIT End;
    4 SIGILL End;
    5 SIGTRAP End;
    6 SIGABRT End;
    7 SIGBUS End;
    8 SIGFPE End;
    9 SIGKILL End;
    10 SIGUSR1 End;
    11 SIGSEGV End;
    12 SIGUSR2 End;
    13 SIGPIPE End;
    14 SIGALRM End;
    15 SIGTERM End;
    16 SIGSTKFLT End;
    17 SIGCHLD Ignore;
    18 SIGCONT Continue;
    19 SIGSTOP Stop;
    20 SIGTSTP Stop;
    21 SIGTTIN Stop;
    22 SIGTTOU Stop;
    23 SIGURG Ignore;
    24 SIGXCPU End;
    25 SIGXFSZ End;
    26 SIGVTALRM End;
    27 SIGPROF End;
    28 SIGWINCH Ignore;
    29 SIGIO End;
    30 SIGPWR End;
    31 SIGSYS End;
}
