//! Programs that make calls at random. Nothing they do may hurt the kernel or anybody else.

use host_stories::*;
use kernel_core::machine::Exception;
use kernel_core::syscall::ROWS;

/// Random numbers that are the same in every run (Marsaglia's xorshift).
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) as usize
    }

    fn below(&mut self, limit: usize) -> usize {
        self.roll() % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Paths worth opening.
const PATHS: [&str; 18] = [
    "sys:log",
    "sys:uname",
    "sys:",
    "sys:scheme",
    "sys:mount",
    "proc:self/status",
    "proc:",
    "pipe:",
    "event:",
    "time:4",
    "time:1",
    "debug:",
    "memory:",
    "memory:physical",
    "initfs:",
    "/bin/init",
    "victim:file",
    "irq:3",
];

/// A number that some call may find interesting.
fn number(dice: &mut Dice, room: usize) -> usize {
    match dice.below(12) {
        0..4 => dice.below(24),
        4..7 => room + dice.below(4 * PAGE_SIZE),
        7 => room + dice.below(4) * PAGE_SIZE,
        8 => dice.pick(&[0, 1, 8, 64, 4095, 4096, 4097, 65_536, 1 << 20, 1 << 31, 1 << 32]),
        9 => dice.pick(&[USER_START, USER_END, USER_END - 1, 1 << 47, usize::MAX, usize::MAX - 1]),
        10 => 1 << dice.below(64),
        _ => dice.roll() << dice.below(20),
    }
}

/// Calls that only the story itself may make, because they would end it or run code that is not
/// there.
const NOT_THESE: [&str; 3] = ["fork", "thread_new", "exit"];

/// How many calls a wild thread of a wild program makes: few, for it may start others.
const THREAD_CALLS: usize = 20;

/// Makes random calls in memory of its own.
fn run_wild(user: &mut User, mut dice: Dice, count: usize) {
    let Ok(room) = user.try_allocate(4 * PAGE_SIZE) else { return };
    for _ in 0..4 {
        let path = dice.pick(&PATHS);
        user.open(path, dice.pick(&[0, O_RDONLY, O_RDWR, O_NONBLOCK | O_RDWR])).ok();
    }
    for _ in 0..count {
        scribble(user, &mut dice, room);
        let row = &ROWS[dice.below(ROWS.len())];
        if NOT_THESE.contains(&row.name) {
            do_something_else(user, &mut dice, room);
            continue;
        }
        let arguments = [(); 6].map(|()| number(&mut dice, room));
        user.raw_call(row.number, arguments);
    }
}

/// Puts something into memory that calls may read: paths, structures, noise.
fn scribble(user: &mut User, dice: &mut Dice, room: usize) {
    // What was mapped may be gone: then this program dies, as it should.
    let at = room + dice.below(4) * PAGE_SIZE;
    if dice.below(2) == 0 {
        user.store(at, dice.pick(&PATHS).as_bytes());
    } else {
        let words: Vec<u8> = (0..10).flat_map(|_| number(dice, room).to_ne_bytes()).collect();
        user.store(at, &words);
    }
}

fn do_something_else(user: &mut User, dice: &mut Dice, room: usize) {
    // Its own signals may disturb the sleepers.
    let nap = |user: &mut User| {
        user.sleep_for(MS).0.ok();
    };
    match dice.below(8) {
        0 => {
            user.try_fork(nap).ok();
        }
        1 => drop(user.load(number(dice, room), 1)),
        2 => user.misbehave(dice.pick(&[Exception::Divide, Exception::Step, Exception::Float])),
        3 => {
            user.open(dice.pick(&PATHS), dice.roll()).ok();
        }
        4 => {
            let signal = 1 + dice.below(SIGNAL_MAX);
            if !matches!(signal, SIGKILL | SIGSTOP) {
                user.on(signal, dice.pick(&[0, SA_RESTART, SA_NODEFER]), Action::run(|_, _| {}));
            }
        }
        5 => {
            // It shares memory and descriptors: whatever one does, it does under the other's feet.
            let dice = Dice::new(dice.roll() as u64);
            user.try_thread(move |user| run_wild(user, dice, THREAD_CALLS)).ok();
        }
        6 => user.work(dice.below(1000) as u64 * 1000),
        _ => user.give_way(),
    }
}

/// PID 1 takes no notice of the signals that its wild children send.
fn be_deaf(user: &mut User) {
    for signal in (1..=SIGNAL_MAX).filter(|signal| !matches!(*signal, SIGKILL | SIGSTOP | SIGCHLD))
    {
        user.on(signal, 0, Action::Ignore);
    }
}

/// Lets wild children run for a while, kills what is left, and looks at the books.
fn survive(user: &mut User, seed: u64, children: usize, count: usize) {
    for child in 0..children {
        let dice = Dice::new(seed * 1000 + child as u64);
        user.try_fork(move |user| run_wild(user, dice, count)).expect("there is room");
    }
    let mut rounds = 0;
    while user.peek(|kernel| kernel.processes.len()) > 1 {
        user.sleep(10);
        let pids = user.peek(|kernel| kernel.pids.keys().copied().collect::<Vec<_>>());
        if rounds > 3 {
            for pid in pids.into_iter().filter(|pid| *pid != 1) {
                user.kill(pid as isize, SIGKILL).ok();
            }
        }
        while matches!(user.call(abi::number::WAIT, [usize::MAX, 0, abi::number::WNOHANG]), Ok(1..))
        {
        }
        rounds += 1;
        assert!(rounds < 1000, "they cannot be killed, seed {seed}");
    }
    user.peek(|kernel| audit(kernel));
}

#[test]
fn random_calls_hurt_nobody() {
    for seed in 0..24 {
        let finished = std::panic::catch_unwind(|| {
            System::new().cpus(if seed % 3 == 0 { 4 } else { 1 }).run(move |user| {
                be_deaf(user);
                survive(user, seed, 4, 150);
                assert!(user.read_text("sys:uname").is_ok());
            })
        });
        if let Err(why) = finished {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(why);
        }
    }
}

#[test]
fn random_calls_with_little_memory_hurt_nobody() {
    for seed in 100..116 {
        System::new().option("emergency=off").memory(1 << 20).cpus(1 + (seed as u32 & 1)).run(
            move |user| {
                be_deaf(user);
                survive(user, seed, 3, 150);
            },
        );
    }
}

#[test]
fn a_wild_daemon_and_wild_clients_hurt_nobody() {
    for seed in 200..216 {
        System::new().cpus(if seed % 2 == 0 { 1 } else { 4 }).run(move |user| {
            be_deaf(user);
            daemon_that(user, "victim", move |user, socket| {
                let mut dice = Dice::new(seed);
                user.set_flags(socket.fd, O_NONBLOCK).expect("it is open");
                for _ in 0..400 {
                    let Ok(request) = user.next_request(socket) else {
                        user.work(10_000);
                        continue;
                    };
                    answer_wildly(user, &mut dice, socket, &request);
                }
            });
            survive(user, seed, 3, 200);
        });
    }
}

/// Answers as it likes, if at all.
fn answer_wildly(user: &mut User, dice: &mut Dice, socket: Socket, request: &Sqe) {
    let result = match dice.below(4) {
        0 => dice.below(8),
        1 => request.args[2] as usize,
        2 => dice.roll(),
        _ => (1 + dice.below(130)).wrapping_neg(),
    };
    let cqe = Cqe {
        flags: dice.pick(&[0, 0, 0, 0, 1, 2, 3, 4, 5, 7]),
        tag: if dice.below(8) == 0 { dice.roll() as u32 } else { request.tag },
        result: result as u64,
        extra_raw: [dice.below(2) as u8, 0, 0],
    };
    user.write(socket.fd, &cqe).ok();
    if dice.below(16) == 0 {
        user.new_file(socket, dice.below(8)).ok();
    }
}
