//! Whole-system stories: what a program may rely on, told by programs on the simulated machine.
//!
//! Each file of `tests/` is one chapter. A story's name is the sentence it proves.
#![forbid(unsafe_code)]

pub use abi::redox::error::*;
pub use abi::redox::flag::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, CallFlags, EVENT_TIMEOUT_ID, EventFlags, FUTEX_WAIT64,
    MODE_DIR, MODE_FIFO, MODE_FILE, MapFlags, O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_RDONLY,
    O_RDWR, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET,
};
pub use abi::signal::*;
pub use abi::wait::Ended;
pub use abi::{PAGE_SIZE, USER_END, USER_START};
pub use kernel_core::error::Errno;
pub use kernel_sim::{Action, Answer, Finished, Socket, System, User};

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
