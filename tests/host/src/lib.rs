//! Whole-system stories: what a program may rely on, told by programs on the simulated machine.
//!
//! Each file of `tests/` is one chapter. A story's name is the sentence it proves.
#![forbid(unsafe_code)]

mod census;
mod daemon;
pub mod emergency;
pub mod tracer;

pub use abi::redox::data::Map;
pub use abi::redox::error::*;
pub use abi::redox::flag::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, CallFlags, EVENT_TIMEOUT_ID, EventFlags, FUTEX_WAIT64,
    MODE_CHR, MODE_DIR, MODE_FIFO, MODE_FILE, MapFlags, O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK,
    O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET,
};
pub use abi::redox::schemev2::{Cqe, CqeOpcode, Opcode, Sqe};
pub use abi::signal::*;
pub use abi::wait::Ended;
pub use abi::{ANONYMOUS, LOWEST_FREE, PAGE_SIZE, STACK_SIZE, STACK_TOP, USER_END, USER_START};
pub use census::{Census, census, leaves_nothing};
pub use daemon::{Notes, daemon, daemon_that, file_server, is, kill};
pub use kernel_core::error::Errno;
pub use kernel_sim::{Action, Answer, Disk, Entry, Fault, Finished, Socket, System, User, audit};

/// A millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;

/// Tells a story on one CPU: every run of it is the same.
pub fn story(init: impl FnOnce(&mut User) + Send + 'static) -> Finished {
    System::new().run(init)
}

/// Tells a story on one, two and four CPUs, where every run may go differently.
pub fn story_on_any(init: impl Fn(&mut User) + Clone + Send + 'static) {
    for cpus in [1, 2, 4, 4] {
        let init = init.clone();
        System::new().cpus(cpus).run(move |user| init(user));
    }
}

/// An error, as a call answers it.
pub fn error<T>(errno: i32) -> Answer<T> {
    Err(Errno(errno))
}

/// How a child ends that runs `act`.
pub fn fate(user: &mut User, act: impl FnOnce(&mut User) + Send + 'static) -> Ended {
    let child = user.fork(act);
    user.wait_for(child)
}

/// The end of a process that this signal ended.
pub fn killed_by(signal: usize) -> Ended {
    Ended::Signalled(signal as u8)
}

/// The word that `proc:PID/status` has for `key`.
pub fn status_of(user: &mut User, pid: usize, key: &str) -> String {
    let text = user.read_text(&format!("proc:{pid}/status")).expect("the process is there");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).to_owned()
}

/// Lets others run until a process waits for `reason`.
pub fn until_waiting(user: &mut User, pid: usize, reason: &str) {
    // A simulated machine that is asked in a fixed rhythm may always be found at the same point of
    // another one.
    let mut pauses = (1..=7).cycle();
    while status_of(user, pid, "Wait") != reason {
        pauses.next().into_iter().for_each(|pause| user.sleep(pause));
    }
}
