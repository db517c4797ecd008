//! Tracers and traced programs that do things in any order: the books are right after every step, every
//! answer is one that the documents name, and in the end nothing is left.

use abi::number::{FORK, GETPPID, WAIT, WNOHANG};
use abi::redox::data::PtraceEvent;
use abi::trace::{STOP_EXEC, STOP_HARDWARE, STOP_NOW};
use host_stories::tracer::*;
use host_stories::*;
use kernel_core::machine::Exception;
use proptest::prelude::*;

/// How many programs are traced, and how many sessions there are at once.
const CHILDREN: usize = 3;
const SESSIONS: usize = 4;

/// One thing that a tracer does.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Begins a session with a program's first thread, or ends the one in this place.
    Toggle {
        place: usize,
        child: usize,
        flags: usize,
    },
    /// Begins a session with whoever was made last, by this place's thread.
    Adopt {
        place: usize,
    },
    Go {
        place: usize,
        flags: u64,
    },
    Read {
        place: usize,
    },
    Registers {
        place: usize,
    },
    Memory {
        place: usize,
        is_borrowed: bool,
    },
    Signal {
        child: usize,
        signal: usize,
    },
    Pass {
        microseconds: u64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let place = 0..SESSIONS;
    let open = prop::sample::select(vec![0, O_TRUNC, O_TRUNC, O_EXCL, O_TRUNC | O_EXCL]);
    let bits = [PRE, POST, STEP, SIGNAL, BREAKPOINT, EXIT, CLONE, SWITCH, STOP_EXEC, STOP_HARDWARE];
    let flags = prop::sample::subsequence(bits.to_vec(), 0..5);
    let extra = prop::sample::select(vec![0, 0, 0, IGNORE, STOP_NOW]);
    let flags = (flags, extra).prop_map(|(bits, extra)| bits.iter().fold(extra, |a, b| a | b));
    let signals = vec![SIGUSR1, SIGUSR1, SIGCHLD, SIGSTOP, SIGCONT, SIGCONT, SIGTERM, SIGKILL];
    prop_oneof![
        3 => (place.clone(), 0..CHILDREN, open)
            .prop_map(|(place, child, flags)| Act::Toggle { place, child, flags }),
        1 => place.clone().prop_map(|place| Act::Adopt { place }),
        6 => (place.clone(), flags).prop_map(|(place, flags)| Act::Go { place, flags }),
        6 => place.clone().prop_map(|place| Act::Read { place }),
        3 => place.clone().prop_map(|place| Act::Registers { place }),
        2 => (place, any::<bool>())
            .prop_map(|(place, is_borrowed)| Act::Memory { place, is_borrowed }),
        2 => (0..CHILDREN, prop::sample::select(signals))
            .prop_map(|(child, signal)| Act::Signal { child, signal }),
        4 => (0u64..3000).prop_map(|microseconds| Act::Pass { microseconds }),
    ]
}

/// What a traced program does, over and over. Its calls may be left out, so it relies on none.
fn busy(user: &mut User, kind: usize) {
    let Ok(page) = user.try_allocate(PAGE_SIZE) else { return };
    let catch = |user: &mut User, signal: usize| {
        user.on(
            signal,
            0,
            Action::run(|user, _| {
                user.call(GETPPID, []).ok();
            }),
        );
    };
    catch(user, SIGUSR1);
    catch(user, SIGTRAP);
    for round in kind.. {
        match round % 7 {
            0 => user.misbehave(Exception::Breakpoint),
            1 => user.store(page, b"x"),
            2 => {
                user.sleep_for(MS).0.ok();
            }
            3 => {
                user.try_fork(|user| user.work(50_000)).ok();
                user.call(WAIT, [usize::MAX, 0, 0]).ok();
            }
            4 => {
                user.try_thread(|user| user.work(20_000)).ok();
            }
            5 => user.work(30_000),
            _ => {
                user.call(GETPPID, []).ok();
            }
        }
    }
}

/// A session, and what its tracer has read last since the thread went on.
struct Held {
    tracer: Tracer,
    tid: usize,
    last: Option<PtraceEvent>,
    is_over: bool,
}

impl Held {
    fn open(user: &mut User, pid: usize, tid: usize, flags: usize) -> Option<Self> {
        let path = format!("proc:{pid}/thread/{tid}/trace");
        match user.open(&path, O_RDWR | O_NONBLOCK | flags) {
            Ok(fd) => Some(Self { tracer: Tracer { fd, pid }, tid, last: None, is_over: false }),
            Err(Errno(EBUSY | ENOENT | ESRCH)) => None,
            Err(errno) => panic!("a session begins with {errno:?}"),
        }
    }

    fn path(&self, name: &str) -> String {
        format!("proc:{}/thread/{}/{name}", self.tracer.pid, self.tid)
    }

    fn go(&mut self, user: &mut User, flags: u64) {
        // A program that is not ended when it asks for it is none of this machine's.
        let may_ignore = self.last.is_some_and(|event| {
            event.cause.bits() == PRE && matches!(event.a, GETPPID | WAIT | FORK)
        });
        let flags = if may_ignore { flags } else { flags & !IGNORE };
        let stays = flags & STOP_NOW != 0;
        match self.tracer.go(user, flags) {
            Ok(8) => assert!(!self.is_over),
            Err(Errno(ESRCH)) => {}
            other => panic!("going on answers {other:?}"),
        }
        if !stays {
            self.last = None;
        }
    }

    fn read(&mut self, user: &mut User) {
        match self.tracer.next(user) {
            Ok(event) => {
                assert!(!self.is_over, "an event after the end");
                assert_eq!(event.cause.bits().count_ones(), 1, "{event:?}");
                self.last = Some(event);
            }
            Err(Errno(EAGAIN)) => assert!(!self.is_over),
            Err(Errno(ESRCH)) => self.is_over = true,
            Err(errno) => panic!("reading answers {errno:?}"),
        }
    }

    fn exchange_registers(&self, user: &mut User) {
        let fd = match user.open(&self.path("regs/int"), O_RDWR) {
            Ok(fd) => fd,
            Err(Errno(ENOENT | ESRCH)) => return,
            Err(errno) => panic!("registers are opened with {errno:?}"),
        };
        match user.read(fd, 160) {
            Ok(bytes) => match user.write(fd, &bytes) {
                Ok(160) | Err(Errno(EBUSY | ESRCH)) => {}
                other => panic!("registers are written with {other:?}"),
            },
            Err(Errno(EBUSY | ESRCH)) => {}
            Err(errno) => panic!("registers are read with {errno:?}"),
        }
        user.close(fd).expect("it was open");
    }

    fn change_memory(&self, user: &mut User, is_borrowed: bool) {
        let flags = if is_borrowed { O_RDWR | O_EXCL } else { O_RDWR };
        let Ok(fd) = user.open(&format!("proc:{}/mem", self.tracer.pid), flags) else { return };
        let at = STACK_TOP - PAGE_SIZE;
        user.seek(fd, at as isize, SEEK_SET).expect("a place");
        match user.read(fd, 8) {
            Ok(bytes) => {
                user.seek(fd, at as isize, SEEK_SET).expect("a place");
                assert!(matches!(user.write(fd, &bytes), Ok(8) | Err(Errno(ESRCH))));
            }
            Err(Errno(ESRCH)) => {}
            Err(errno) => panic!("memory is read with {errno:?}"),
        }
        user.close(fd).expect("it was open");
    }
}

fn perform(user: &mut User, act: Act, held: &mut [Option<Held>; SESSIONS], pids: &[usize]) {
    match act {
        Act::Toggle { place, child, flags } => match held[place].take() {
            Some(old) => old.tracer.end(user),
            None => held[place] = Held::open(user, pids[child], pids[child], flags),
        },
        Act::Adopt { place } => {
            let news = held[place].as_ref().and_then(|held| held.last);
            let free = held.iter().position(Option::is_none);
            if let (Some(event), Some(free)) = (news, free)
                && event.cause.bits() == CLONE
            {
                held[free] = Held::open(user, event.b, event.a, 0);
            }
        }
        Act::Signal { child, signal } => match user.kill(pids[child] as isize, signal) {
            Ok(_) | Err(Errno(ESRCH)) => {}
            Err(errno) => panic!("a signal is sent with {errno:?}"),
        },
        Act::Pass { microseconds } => {
            user.sleep_for(microseconds * 1000).0.ok();
        }
        Act::Go { place, .. }
        | Act::Read { place }
        | Act::Registers { place }
        | Act::Memory { place, .. } => {
            let Some(held) = &mut held[place] else { return };
            match act {
                Act::Go { flags, .. } => held.go(user, flags),
                Act::Read { .. } => held.read(user),
                Act::Registers { .. } => held.exchange_registers(user),
                Act::Memory { is_borrowed, .. } => held.change_memory(user, is_borrowed),
                _ => unreachable!("handled above"),
            }
        }
    }
}

/// Ends everybody else, and waits for the end.
fn clear(user: &mut User) {
    while user.peek(|kernel| kernel.processes.len()) > 1 {
        let pids = user.peek(|kernel| kernel.pids.keys().copied().collect::<Vec<_>>());
        for pid in pids.into_iter().filter(|pid| *pid != 1) {
            user.kill(pid as isize, SIGKILL).ok();
        }
        while matches!(user.call(WAIT, [usize::MAX, 0, WNOHANG]), Ok(1..)) {}
        user.sleep(1);
    }
}

fn run(cpus: u32, acts: &[Act]) {
    let acts = acts.to_vec();
    System::new().cpus(cpus).run(move |user| {
        let before = census(user);
        let pids = [0, 1, 2].map(|kind| user.fork(move |user| busy(user, kind)));
        let mut held = [const { None }; SESSIONS];
        for act in acts {
            perform(user, act, &mut held, &pids);
            user.peek(|kernel| audit(kernel));
        }
        // Some sessions end before their threads, some after.
        for held in held.iter_mut().step_by(2).filter_map(Option::take) {
            held.tracer.end(user);
        }
        clear(user);
        for mut held in held.into_iter().flatten() {
            while !held.is_over {
                held.read(user);
            }
            held.tracer.end(user);
        }
        user.peek(|kernel| audit(kernel));
        let after = census(user);
        assert_eq!(after.without_memory(), before.without_memory(), "something is left");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_acts_leaves_the_books_right_on_one_cpu(
        acts in prop::collection::vec(act(), 1..80)
    ) {
        run(1, &acts);
    }

    #[test]
    fn any_order_of_acts_leaves_the_books_right_on_four_cpus(
        acts in prop::collection::vec(act(), 1..80)
    ) {
        run(4, &acts);
    }
}
