//! Lifeboat's own system-call numbers: class [`CLASS`], beside those of `syscall::number`.
//!
//! Arguments are listed in register order. "path" is a pointer and a length in bytes (UTF-8,
//! no NUL needed), always absolute: `NAME:rest`, `/scheme/NAME/rest`, or `/rest` looked up in the
//! process's mounts. The runtime makes relative paths absolute.

/// All of Lifeboat's own calls carry this bit; no Redox call does.
pub const CLASS: usize = 0x4000_0000;

/// `status` → never. Ends the whole process; parents read `status & 0xFF`.
pub const EXIT: usize = CLASS | 1;
/// `path, flags` → descriptor. `flags` are `O_*`; the low 12 bits are the mode for `O_CREAT`.
/// `O_CLOEXEC` is [`O_CLOEXEC`].
pub const OPEN: usize = CLASS | 2;
/// → 0 in the child, the child's pid in the parent. Copy-on-write; only the calling thread.
pub const FORK: usize = CLASS | 3;
/// `*const ExecArgs` → never, or an error with the old program untouched. See [`crate::exec`].
pub const EXEC: usize = CLASS | 4;
/// `pid, *mut i32 status, options` → pid of the child, or 0 under `WNOHANG`.
/// `pid` as for `waitpid`: > 0 that child, −1 any, 0 own group, < −1 that group.
pub const WAIT: usize = CLASS | 5;
/// `pid, signal` → 0. `pid` as for `kill`: > 0 that process, 0 own group, −1 all, < −1 a group.
/// Signal 0 only checks.
pub const KILL: usize = CLASS | 6;
/// → process id.
pub const GETPID: usize = CLASS | 7;
/// → parent's process id.
pub const GETPPID: usize = CLASS | 8;
/// → thread id. The first thread's is the process id.
pub const GETTID: usize = CLASS | 9;
/// `pid` (0 = self) → process group.
pub const GETPGID: usize = CLASS | 10;
/// `pid` (0 = self), `group` (0 = own pid) → 0.
pub const SETPGID: usize = CLASS | 11;
/// `pid` (0 = self) → session.
pub const GETSID: usize = CLASS | 12;
/// → new session id; `EPERM` for a group leader.
pub const SETSID: usize = CLASS | 13;
/// `*mut [u32; 4]` ← real uid, effective uid, real gid, effective gid.
pub const GETIDS: usize = CLASS | 14;
/// `*const [u32; 4]`, `u32::MAX` keeps one → 0. `EPERM` unless root or swapping among own ids.
pub const SETIDS: usize = CLASS | 15;
/// `path` → 0. Only remembers: the runtime has checked that it is a directory.
pub const CHDIR: usize = CLASS | 16;
/// `buffer, length` → bytes written. `ERANGE` when too small.
pub const GETCWD: usize = CLASS | 17;
/// `path, flags` (0 or `AT_REMOVEDIR`) → 0.
pub const UNLINK: usize = CLASS | 18;
/// `signal, *const SigAction or 0, *mut SigAction or 0` → 0. See [`crate::signal`].
pub const SIGACTION: usize = CLASS | 19;
/// `how` (0 block, 1 unblock, 2 set), `*const u64 or 0, *mut u64 or 0` → 0. Per thread.
pub const SIGPROCMASK: usize = CLASS | 20;
/// Only from the restorer: takes the thread back to where the signal found it.
pub const SIGRETURN: usize = CLASS | 21;
/// `*mut u64` ← signals pending for this thread.
pub const SIGPENDING: usize = CLASS | 22;
/// `*const u64 mask` → `EINTR` after a handler ran.
pub const SIGSUSPEND: usize = CLASS | 23;
/// `entry, stack, argument, fs_base, signal stack, its size` → thread id. The thread starts at
/// `entry(argument, thread id)` with `rsp = stack`. A signal stack of size 0 is none; see [`SIGALTSTACK`].
pub const THREAD_NEW: usize = CLASS | 24;
/// `address, length, *mut u32 done` → never. Ends this thread: unmaps `[address, +length)` (its
/// own stack, nothing when 0), then stores 0 at `done` (nothing when null) and wakes one futex
/// waiter there. The last thread to end ends the process with status 0.
pub const THREAD_EXIT: usize = CLASS | 25;
/// `namespace fd, name (pointer, length), root fd` → 0. Gives a scheme its name.
pub const REGISTER_SCHEME: usize = CLASS | 26;
/// `process, thread, signal` → 0. To one thread.
pub const TGKILL: usize = CLASS | 27;

/// `mask` → the old one. Bits that files which the process makes do not get; a mask with more than
/// the nine bits of permissions only asks. The kernel keeps it over `FORK` and `EXEC`, and the
/// runtime applies it.
pub const UMASK: usize = CLASS | 28;

/// `*const SignalStack or 0, *mut SignalStack or 0` → 0. Per thread: the stack that handlers with
/// `SA_ONSTACK` run on. `EPERM` from a handler that runs on it, `ENOMEM` when it is too small. See
/// [`crate::signal::SignalStack`].
pub const SIGALTSTACK: usize = CLASS | 29;
/// `address, length` → where the pages of the first shared file in there end, once its daemon has
/// made safe what was written to them; 0 when there is none. `ENOMEM` where nothing is mapped.
pub const MSYNC: usize = CLASS | 30;

/// `*const u64 set, *mut SigInfo or 0, *const TimeSpec or 0` → the signal of the set that was taken.
/// Waits for one unless one is pending; `EAGAIN` when the time is over, `EINTR` after a handler ran.
pub const SIGTIMEDWAIT: usize = CLASS | 31;
/// `fd, buffer, length, *const u64 mask` → as `read`, with another mask while it waits. After a
/// handler ran `EINTR`, and the mask is the old one.
pub const READ_MASKED: usize = CLASS | 32;
/// `*const [TimeSpec; 2] or 0, *mut [TimeSpec; 2] or 0`: the process's alarm, and what it was. The
/// first time is how long until `SIGALRM`, none when 0; the second how long between later ones. The
/// alarm survives `EXEC`, and `FORK` passes none on.
pub const SETTIMER: usize = CLASS | 33;
/// `address, length` → 0. Private pages of no file become zeroes again, and their frames free.
/// `EINVAL` for others, `ENOMEM` where nothing is mapped.
pub const DISCARD: usize = CLASS | 34;
/// `signal, value, thread` → the number of a new timer of the process that sends the signal with the value,
/// to the process, or for a thread that is not 0 to this one; signal 0 sends nothing. `EAGAIN` when it has
/// too many. Timers go with the program, and `FORK` passes none on.
pub const TIMER_NEW: usize = CLASS | 35;
/// `number, *const [TimeSpec; 2] or 0, *mut [TimeSpec; 2] or 0`: as [`SETTIMER`], for such a timer.
pub const TIMER_SET: usize = CLASS | 36;
/// `number` → 0. Forgets such a timer.
pub const TIMER_END: usize = CLASS | 37;
/// `number` → how often such a timer had rung again, unheard, when its last signal was taken.
pub const TIMER_MISSED: usize = CLASS | 38;
/// `pid, signal, value` → 0. Sends a signal to one process, with a value. `EAGAIN` for a real-time signal when
/// too many wait there.
pub const SIGQUEUE: usize = CLASS | 39;

/// Close-on-exec for [`OPEN`] and `fcntl` (`O_CLOEXEC` of the libc crate for this target).
pub const O_CLOEXEC: usize = 0x0100_0000;
/// `fcntl`, nanoseconds → what it was: how long calls that read from the open file wait, 0 for ever; then
/// they fail with `EAGAIN`. [`ONLY_ASK`] changes nothing.
pub const F_READ_TIMEOUT: usize = CLASS | 1;
/// `fcntl`: the same for calls that write.
pub const F_WRITE_TIMEOUT: usize = CLASS | 2;
/// `fcntl`, other → 0: every descriptor of the process that names the same open file as this one names that
/// of the other from now on, which gets its timeouts.
pub const F_REPLACE: usize = CLASS | 3;
/// [`F_READ_TIMEOUT`], [`F_WRITE_TIMEOUT`]: no change.
pub const ONLY_ASK: usize = usize::MAX;
/// [`WAIT`]: do not park.
pub const WNOHANG: usize = 1;
/// [`WAIT`]: a child that has stopped counts too, once.
pub const WUNTRACED: usize = 2;
/// [`WAIT`]: a child that goes on after a stop counts too, once.
pub const WCONTINUED: usize = 8;
/// [`WAIT`]: a child that has ended does not count.
pub const WLIVING: usize = 16;
/// [`WAIT`]: only tell; the child can be waited for again.
pub const WNOWAIT: usize = 0x0100_0000;
