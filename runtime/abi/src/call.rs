//! `sys:syscall`, `strace` — every call: its number, its name, and what its arguments are.
//!
//! The kernel does not build with a call that is not here, and the tools decode by this table, so
//! a new call cannot be forgotten.

use crate::number as own;
use crate::redox::number::*;

/// What an argument, or an answer, means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A number, shown in decimal.
    Number,
    /// A number with a sign.
    Signed,
    /// An address, or bits: shown in hexadecimal.
    Address,
    /// A descriptor.
    Fd,
    /// The descriptor wanted, or [`crate::LOWEST_FREE`].
    WantedFd,
    /// The address of a string; the next argument is its length.
    Text,
    /// The same, for a name in the file system; the length may carry flags.
    Path,
    /// The address of bytes that the call takes; the next argument is their length.
    Input,
    /// The address of bytes that the call gives; the next argument is how many there is room for.
    Output,
    /// The length that belongs to the argument before it.
    Length,
    /// A place in a file, or none.
    Offset,
    /// `O_*` and the mode.
    OpenFlags,
    /// `O_*` that a single transfer takes.
    IoFlags,
    /// `AT_REMOVEDIR`.
    UnlinkFlags,
    /// `SEEK_*`.
    Whence,
    /// `F_*`.
    FcntlCommand,
    /// What the [`Kind::FcntlCommand`] before it takes.
    FcntlArgument,
    /// `EVENT_*`.
    EventFlags,
    /// `CallFlags`, and how many words of metadata there are.
    CallFlags,
    /// The address of the words that [`Kind::CallFlags`] counts.
    Metadata,
    /// The address of a `Stat` that the call fills.
    Stat,
    /// The address of a `Map`.
    Map,
    /// `PROT_*`.
    Protection,
    /// `FUTEX_*`.
    FutexOperation,
    /// The address of a `TimeSpec` that the call takes.
    TimeIn,
    /// The address of a `TimeSpec` that the call fills.
    TimeOut,
    /// `CLOCK_*`.
    Clock,
    /// A process, a thread, or a group.
    Pid,
    /// `W*`.
    WaitOptions,
    /// The address of a status word that the call fills.
    Status,
    /// A signal.
    Signal,
    /// The address of a `SigAction` that the call takes.
    ActionIn,
    /// The address of a `SigAction` that the call fills.
    ActionOut,
    /// What is done with a mask of signals.
    MaskHow,
    /// The address of a mask of signals that the call takes.
    MaskIn,
    /// The address of a mask of signals that the call fills.
    MaskOut,
    /// The address of an `ExecArgs`.
    Exec,
    /// The address of four ids that the call takes.
    IdsIn,
    /// The address of four ids that the call fills.
    IdsOut,
    /// The status of a process that ends.
    ExitStatus,
    /// There is no answer: the call does not return.
    Never,
}

/// What a call is about, for choosing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Takes a path.
    File,
    /// Works on an open descriptor.
    Descriptor,
    /// Memory.
    Memory,
    /// Processes, threads, identity.
    Process,
    /// Signals.
    Signal,
    /// Time, and waiting for it.
    Time,
    /// Messages to daemons, and serving.
    Scheme,
}

/// One call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its number.
    pub number: usize,
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub class: Class,
    /// Its arguments, in order.
    pub arguments: &'static [Kind],
    /// Its answer.
    pub answer: Kind,
}

impl Class {
    /// Its word in `strace -e trace=%WORD`.
    pub const fn name(self) -> &'static str {
        match self {
            Class::File => "file",
            Class::Descriptor => "desc",
            Class::Memory => "memory",
            Class::Process => "process",
            Class::Signal => "signal",
            Class::Time => "clock",
            Class::Scheme => "scheme",
        }
    }
}

/// The call with a number.
pub const fn find(number: usize) -> Option<&'static Call> {
    let mut place = 0;
    while place < CALLS.len() {
        if CALLS[place].number == number {
            return Some(&CALLS[place]);
        }
        place += 1;
    }
    None
}

macro_rules! calls {
    ($($class:ident { $($number:path, $name:literal ($($kind:ident),*) $answer:ident;)* })*) => {
        /// Every call.
        pub const CALLS: &[Call] = &[$($(Call {
            number: $number,
            name: $name,
            class: Class::$class,
            arguments: &[$(Kind::$kind),*],
            answer: Kind::$answer,
        }),*),*];
    };
}

calls! {
    File {
        own::OPEN, "open" (Path, Length, OpenFlags) Fd;
        SYS_OPENAT_INTO2, "openat" (Fd, Path, Length, OpenFlags, WantedFd) Fd;
        SYS_FRENAME, "frename" (Fd, Path, Length) Number;
        SYS_FLINK, "flink" (Fd, Path, Length) Number;
        SYS_UNLINKAT, "unlinkat" (Fd, Path, Length, UnlinkFlags) Number;
        own::UNLINK, "unlink" (Path, Length, UnlinkFlags) Number;
        own::CHDIR, "chdir" (Path, Length) Number;
        own::GETCWD, "getcwd" (Output, Length) Number;
    }
    Descriptor {
        SYS_READ, "read" (Fd, Output, Length) Number;
        SYS_WRITE, "write" (Fd, Input, Length) Number;
        SYS_READ2, "read2" (Fd, Output, Length, Offset, IoFlags) Number;
        SYS_WRITE2, "write2" (Fd, Input, Length, Offset, IoFlags) Number;
        SYS_CLOSE, "close" (Fd) Number;
        SYS_DUP_INTO, "dup" (Fd, Text, Length, WantedFd) Fd;
        SYS_DUP2, "dup2" (Fd, Fd, Text, Length, OpenFlags) Fd;
        SYS_LSEEK, "lseek" (Fd, Signed, Whence) Number;
        SYS_FCNTL, "fcntl" (Fd, FcntlCommand, FcntlArgument) Number;
        SYS_FSTAT, "fstat" (Fd, Stat, Length) Number;
        SYS_FSYNC, "fsync" (Fd) Number;
        SYS_FPATH, "fpath" (Fd, Output, Length) Number;
        SYS_FEVENT, "fevent" (Fd, EventFlags) EventFlags;
        SYS_FCHOWN, "fchown" (Fd, Number, Number) Number;
    }
    Scheme {
        SYS_CALL, "call" (Fd, Input, Length, CallFlags, Metadata) Number;
        own::REGISTER_SCHEME, "register_scheme" (Fd, Text, Length, Fd) Number;
    }
    Memory {
        SYS_FMAP, "mmap" (WantedFd, Map, Length) Address;
        SYS_FUNMAP, "munmap" (Address, Length) Number;
        SYS_MPROTECT, "mprotect" (Address, Length, Protection) Number;
        own::MSYNC, "msync" (Address, Length) Address;
        own::DISCARD, "discard" (Address, Length) Number;
    }
    Time {
        SYS_FUTEX, "futex" (Address, FutexOperation, Number, Address, Address) Number;
        SYS_NANOSLEEP, "nanosleep" (TimeIn, TimeOut) Number;
        SYS_CLOCK_GETTIME, "clock_gettime" (Clock, TimeOut) Number;
        SYS_YIELD, "yield" () Number;
    }
    Process {
        own::EXIT, "exit" (ExitStatus) Never;
        own::FORK, "fork" () Pid;
        own::EXEC, "exec" (Exec) Number;
        own::WAIT, "wait" (Pid, Status, WaitOptions) Pid;
        own::GETPID, "getpid" () Pid;
        own::GETPPID, "getppid" () Pid;
        own::GETTID, "gettid" () Pid;
        own::GETPGID, "getpgid" (Pid) Pid;
        own::SETPGID, "setpgid" (Pid, Pid) Number;
        own::GETSID, "getsid" (Pid) Pid;
        own::SETSID, "setsid" () Pid;
        own::GETIDS, "getids" (IdsOut) Number;
        own::SETIDS, "setids" (IdsIn) Number;
        own::THREAD_NEW, "thread_new" (Address, Address, Address, Address, Address, Number) Pid;
        own::THREAD_EXIT, "thread_exit" (Address, Length, Address) Never;
    }
    Signal {
        own::KILL, "kill" (Pid, Signal) Number;
        own::TGKILL, "tgkill" (Pid, Pid, Signal) Number;
        own::SIGACTION, "sigaction" (Signal, ActionIn, ActionOut) Number;
        own::SIGPROCMASK, "sigprocmask" (MaskHow, MaskIn, MaskOut) Number;
        own::SIGRETURN, "sigreturn" () Number;
        own::SIGPENDING, "sigpending" (MaskOut) Number;
        own::SIGSUSPEND, "sigsuspend" (MaskIn) Number;
        own::SIGTIMEDWAIT, "sigtimedwait" (MaskIn, Address, TimeIn) Signal;
        own::READ_MASKED, "read_masked" (Fd, Output, Length, MaskIn) Number;
        own::SETTIMER, "settimer" (Address, Address) Number;
        own::TIMER_NEW, "timer_new" (Signal, Address, Pid) Number;
        own::TIMER_SET, "timer_set" (Number, Address, Address) Number;
        own::TIMER_END, "timer_end" (Number) Number;
        own::TIMER_MISSED, "timer_missed" (Number) Number;
        own::SIGQUEUE, "sigqueue" (Pid, Signal, Address) Number;
        own::SIGALTSTACK, "sigaltstack" (Address, Address) Number;
        own::UMASK, "umask" (Address) Address;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_here_once_and_has_at_most_six_arguments() {
        for (place, call) in CALLS.iter().enumerate() {
            assert!(call.arguments.len() <= 6, "{}", call.name);
            let others = &CALLS[place + 1..];
            let is_alone =
                others.iter().all(|other| other.number != call.number && other.name != call.name);
            assert!(is_alone, "{} is here twice", call.name);
            assert_eq!(find(call.number), Some(call));
        }
        assert_eq!(find(0xDEAD), None);
    }
}
