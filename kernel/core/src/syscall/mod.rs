//! `sys:syscall` — the calls: one row each.
//!
//! A row gives number, name, how many arguments, and the handler. Handlers look, copy, commit:
//! whatever may park or fail comes first, because a parked call runs again from the top.

mod file;
mod link;
mod memory;
mod patience;
mod process;
mod signal;
mod socket;
mod time;

pub(crate) use file::ready_flags;
pub(crate) use memory::{access_of, make_room, map_anonymous, place};
pub(crate) use patience::is_over as is_time_over;
pub(crate) use time::{copy_in_time, time_spec};

use crate::error::{ENOSYS, Errno, Stop, answer};
use crate::kernel::{Caller, Kernel};
use crate::log::Level;
use crate::machine::{Context, Machine};
use abi::number as own;
use abi::redox::number::*;
use core::marker::PhantomData;

/// What a handler gets: six registers, of which it uses its first few.
pub type Arguments = [usize; 6];

/// One call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its number.
    pub number: usize,
    /// Its name, as `strace` prints it.
    pub name: &'static str,
    /// How many arguments it takes.
    pub count: usize,
}

/// Declares the rows once: the table for people, and the dispatch for programs. A row whose handler
/// looks at the caller's registers, or ends the caller, says `with registers`; for all others they
/// stay in the hands of whoever dispatches, which is quicker.
macro_rules! calls {
    ($($slot:literal $number:path, $name:literal, $count:literal => $handler:path $(, $with:ident registers)?;)*) => {
        /// All calls, by slot.
        pub const ROWS: &[Row] = &[$(Row { number: $number, name: $name, count: $count }),*];

        impl<M: Machine> Entries<M> {
            const BY_SLOT: [Entry<M>; SLOTS] = [$(Entry {
                number: $number,
                run: |kernel, caller, context| {
                    kernel.stats.calls[$slot] += 1;
                    let arguments = context.call().arguments;
                    calls!(@run $handler, kernel, caller, arguments, context $(, $with)?)
                },
            }),*];
        }
    };
    (@run $handler:path, $kernel:ident, $caller:ident, $arguments:ident, $context:ident) => {{
        let outcome = $handler($kernel, *$caller, $arguments);
        $kernel.conclude(*$caller, $context, outcome)
    }};
    (@run $handler:path, $kernel:ident, $caller:ident, $arguments:ident, $context:ident, with) => {{
        $kernel.tasks[$caller.task.0].context = Some($context);
        match $handler($kernel, *$caller, $arguments) {
            Err(Stop::Replaced) => None,
            outcome => {
                let context = $kernel.tasks[$caller.task.0].context.take()?;
                $kernel.conclude(*$caller, context, outcome)
            }
        }
    }};
}

type Run<M, C> = fn(&mut Kernel<M>, &Caller, C) -> Option<C>;

/// What runs a call.
struct Entry<M: Machine> {
    number: usize,
    run: Run<M, M::Context>,
}

impl<M: Machine> Clone for Entry<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine> Copy for Entry<M> {}

/// The calls for a machine, by a number's place: one look finds a call, or that there is none.
struct Entries<M>(PhantomData<M>);

impl<M: Machine> Entries<M> {
    const BY_PLACE: &[Entry<M>; PLACES] = &{
        let mut entries = [Entry { number: NO_CALL, run: unknown }; PLACES];
        let mut slot = 0;
        while slot < SLOTS {
            let entry = Self::BY_SLOT[slot];
            entries[place_of(entry.number, SPREAD)] = entry;
            slot += 1;
        }
        entries
    };
}

/// Places in the table; many more than calls, so that a factor that keeps them apart is soon found.
const PLACES: usize = 512;
/// A number that no row has.
const NO_CALL: usize = usize::MAX;
/// The factor that gives every call's number a place of its own.
const SPREAD: u32 = {
    let mut factor = 0x9E37_79B9_u32;
    while !keeps_apart(factor) {
        factor = factor.wrapping_mul(0x915F_77F5);
    }
    factor
};

const fn place_of(number: usize, factor: u32) -> usize {
    ((number as u32).wrapping_mul(factor) >> (u32::BITS - PLACES.ilog2())) as usize
}

const fn keeps_apart(factor: u32) -> bool {
    let mut is_taken = [false; PLACES];
    let mut slot = 0;
    while slot < SLOTS {
        let place = place_of(ROWS[slot].number, factor);
        if is_taken[place] {
            return false;
        }
        is_taken[place] = true;
        slot += 1;
    }
    true
}

/// Runs the call that the registers ask for, and counts it. Returns them with the answer; without
/// one they are where they belong, with the thread that waits, or gone.
#[inline]
pub(crate) fn dispatch<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: &Caller,
    context: M::Context,
) -> Option<M::Context> {
    let number = context.call().number;
    let entry = &Entries::<M>::BY_PLACE[place_of(number, SPREAD)];
    let run = if entry.number == number { entry.run } else { unknown };
    run(kernel, caller, context)
}

calls! {
    0 SYS_READ, "read", 3 => file::read;
    1 SYS_WRITE, "write", 3 => file::write;
    2 SYS_READ2, "read2", 5 => file::read_at;
    3 SYS_WRITE2, "write2", 5 => file::write_at;
    4 own::OPEN, "open", 3 => file::open;
    5 SYS_OPENAT_INTO2, "openat", 5 => file::open_at;
    6 SYS_CLOSE, "close", 1 => file::close;
    7 SYS_DUP_INTO, "dup", 4 => file::dup;
    8 SYS_DUP2, "dup2", 5 => file::dup2;
    9 SYS_LSEEK, "lseek", 3 => file::seek;
    10 SYS_FCNTL, "fcntl", 3 => file::control;
    11 SYS_FSTAT, "fstat", 3 => file::stat;
    12 SYS_FSYNC, "fsync", 1 => file::sync;
    13 SYS_FPATH, "fpath", 3 => file::path;
    14 SYS_FEVENT, "fevent", 2 => file::event;
    15 SYS_FCHOWN, "fchown", 3 => link::change_owner;
    16 SYS_FRENAME, "frename", 3 => link::rename;
    17 SYS_FLINK, "flink", 3 => link::link;
    18 SYS_UNLINKAT, "unlinkat", 4 => link::unlink_at;
    19 own::UNLINK, "unlink", 3 => link::unlink;
    20 SYS_CALL, "call", 5 => socket::call;
    21 own::REGISTER_SCHEME, "register_scheme", 4 => socket::register;
    22 SYS_FMAP, "mmap", 3 => memory::map;
    23 SYS_FUNMAP, "munmap", 2 => memory::unmap;
    24 SYS_MPROTECT, "mprotect", 3 => memory::protect;
    25 SYS_FUTEX, "futex", 5 => time::futex;
    26 SYS_NANOSLEEP, "nanosleep", 2 => time::sleep;
    27 SYS_CLOCK_GETTIME, "clock_gettime", 2 => time::clock;
    28 SYS_YIELD, "yield", 0 => time::yield_turn;
    29 own::EXIT, "exit", 1 => process::exit, with registers;
    30 own::FORK, "fork", 0 => process::fork, with registers;
    31 own::EXEC, "exec", 1 => process::exec, with registers;
    32 own::WAIT, "wait", 3 => process::wait;
    33 own::GETPID, "getpid", 0 => process::pid;
    34 own::GETPPID, "getppid", 0 => process::parent;
    35 own::GETTID, "gettid", 0 => process::tid;
    36 own::GETPGID, "getpgid", 1 => process::group;
    37 own::SETPGID, "setpgid", 2 => process::set_group;
    38 own::GETSID, "getsid", 1 => process::session;
    39 own::SETSID, "setsid", 0 => process::set_session;
    40 own::GETIDS, "getids", 1 => process::ids;
    41 own::SETIDS, "setids", 1 => process::set_ids;
    42 own::CHDIR, "chdir", 2 => process::change_directory;
    43 own::GETCWD, "getcwd", 2 => process::directory;
    44 own::THREAD_NEW, "thread_new", 6 => process::thread_new;
    45 own::THREAD_EXIT, "thread_exit", 3 => process::thread_exit, with registers;
    46 own::KILL, "kill", 2 => signal::kill;
    47 own::TGKILL, "tgkill", 3 => signal::kill_thread;
    48 own::SIGACTION, "sigaction", 3 => signal::action;
    49 own::SIGPROCMASK, "sigprocmask", 3 => signal::mask;
    50 own::SIGRETURN, "sigreturn", 0 => signal::return_from, with registers;
    51 own::SIGPENDING, "sigpending", 1 => signal::pending;
    52 own::SIGSUSPEND, "sigsuspend", 1 => signal::suspend;
    53 own::UMASK, "umask", 1 => process::umask;
    54 own::SIGALTSTACK, "sigaltstack", 2 => signal::alternate_stack, with registers;
    55 own::MSYNC, "msync", 2 => memory::sync;
    56 own::SIGTIMEDWAIT, "sigtimedwait", 3 => signal::wait;
    57 own::READ_MASKED, "read_masked", 4 => signal::read_masked;
    58 own::SETTIMER, "settimer", 2 => time::set_alarm;
    59 own::DISCARD, "discard", 2 => memory::discard;
    60 own::TIMER_NEW, "timer_new", 3 => time::make_timer;
    61 own::TIMER_SET, "timer_set", 3 => time::set_timer;
    62 own::TIMER_END, "timer_end", 1 => time::end_timer;
    63 own::TIMER_MISSED, "timer_missed", 1 => time::missed_by_timer;
    64 own::SIGQUEUE, "sigqueue", 3 => signal::queue;
}

/// Tools know a call by [`abi::call`]: the kernel does not build with one that is not there.
const _: () = {
    let mut slot = 0;
    while slot < ROWS.len() {
        let row = &ROWS[slot];
        match abi::call::find(row.number) {
            Some(call) => assert!(call.arguments.len() == row.count, "a call has other arguments"),
            None => panic!("a call is missing in abi::call"),
        }
        slot += 1;
    }
    assert!(abi::call::CALLS.len() == ROWS.len(), "abi::call has a call that is none");
};

/// Whether a call takes next to nothing of the kernel's heap, or gives back: such calls work when
/// the heap cannot grow.
pub(crate) fn gives_back(number: usize) -> bool {
    const ALL: [usize; 14] = [
        SYS_CLOSE,
        SYS_READ,
        SYS_FUNMAP,
        SYS_YIELD,
        SYS_CLOCK_GETTIME,
        SYS_NANOSLEEP,
        own::EXIT,
        own::WAIT,
        own::GETPID,
        own::GETTID,
        own::THREAD_EXIT,
        own::KILL,
        own::SIGRETURN,
        own::SIGPROCMASK,
    ];
    ALL.contains(&number)
}

/// How many calls there are.
pub const SLOTS: usize = ROWS.len();

fn unknown<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: &Caller,
    mut context: M::Context,
) -> Option<M::Context> {
    kernel.stats.calls[SLOTS] += 1;
    if kernel.last_unknown != caller.process {
        return unknown_again(kernel, caller, context);
    }
    context.set_answer(answer(Err(Errno(ENOSYS))));
    Some(context)
}

/// A number that is no call, from another process than the last one. Logged once per process: a
/// loop must not fill the log.
#[cold]
#[inline(never)]
fn unknown_again<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: &Caller,
    mut context: M::Context,
) -> Option<M::Context> {
    kernel.last_unknown = caller.process;
    let process = &mut kernel.processes[caller.process.0];
    if !core::mem::replace(&mut process.is_warned, true) {
        let (pid, number) = (process.pid, context.call().number);
        kernel.log(
            Level::Error,
            "syscall",
            format_args!("invalid number {number:#x} from process {pid}; others are not logged"),
        );
    }
    context.set_answer(answer(Err(Errno(ENOSYS))));
    Some(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_number_and_name_is_used_once() {
        let numbers: BTreeSet<usize> = ROWS.iter().map(|row| row.number).collect();
        let names: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!((numbers.len(), names.len()), (SLOTS, SLOTS));
    }
}
