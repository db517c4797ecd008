//! Counting everything the kernel keeps, so that a story can show that nothing leaks.

use kernel_sim::User;

/// How many there are of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    frames_free: usize,
    spaces: usize,
    threads: usize,
    processes: usize,
    descriptions: usize,
    pipes: usize,
    schemes: usize,
    timers: usize,
    events: (usize, usize),
    wait_queues: usize,
    traces: (usize, usize),
}

impl Census {
    /// All but free frames: memory that was touched stays.
    pub fn without_memory(self) -> Self {
        Self { frames_free: 0, ..self }
    }
}

/// Counts.
pub fn census(user: &User) -> Census {
    user.peek(|kernel| Census {
        frames_free: kernel.frames.totals().free,
        spaces: kernel.spaces.len(),
        threads: kernel.tasks.len(),
        processes: kernel.processes.len(),
        descriptions: kernel.descriptions.len(),
        pipes: kernel.pipes.table.len(),
        schemes: kernel.user_schemes.len(),
        timers: kernel.timers.len(),
        events: kernel.events.counts(),
        wait_queues: kernel.waits.count(),
        traces: (kernel.traces.sessions.len(), kernel.traces.memories.len()),
    })
}

/// Does something twice, and shows that the second time left nothing behind. (The first time may
/// touch memory that stays.)
pub fn leaves_nothing(user: &mut User, mut act: impl FnMut(&mut User)) {
    act(user);
    let before = census(user);
    act(user);
    assert_eq!(census(user), before, "something is left");
}
