//! A daemon is asked what to do: it alone runs, everyone else's pages stay in the store, and then the
//! world stops anew with its answer, or without one.

use host_stories::emergency::*;
use host_stories::*;

const MEMORY: usize = 8 << 20;
const DISK: usize = MEMORY / PAGE_SIZE + 200;
const PAGES: usize = 60;
/// Nobody answers for so long that only the daemon's own end can be the reason to go on.
const POLICY: &str = "emergency.auto=fastest-growing,600s";
/// Somebody else decides in the end. Nothing but the clock runs until then: no key wakes a CPU.
const SOON: &str = "emergency.auto=fastest-growing,3s";

/// A program that is asked, and does with the question and the file what it is told to.
fn decider(user: &mut User, act: impl FnOnce(&mut User, usize, &str) + Send + 'static) -> usize {
    let child = user.fork(move |user| {
        lead(user);
        let file = user.open("emergency:daemon", O_RDWR).expect("nobody is asked yet");
        let question = user.read(file, 16 << 10).expect("it is asked");
        act(user, file, core::str::from_utf8(&question).expect("it is text"));
    });
    until_waiting(user, child, "event");
    child
}

/// The number of the job that grew most.
fn fastest(question: &str) -> u32 {
    let jobs = question.lines().skip_while(|line| !line.starts_with("PID")).skip(1);
    let growth = |line: &str| {
        let mut words = line.split_whitespace();
        let pid = words.next().and_then(|word| word.parse().ok()).expect("a number");
        (words.nth(3).and_then(|word| word.parse::<i64>().ok()).expect("a growth"), pid)
    };
    jobs.map(growth).max().expect("there are jobs").1
}

/// A keeper and a leak, which ends in an emergency; the keeper's document is whole. How the daemon
/// ended.
fn story(user: &mut User, daemon: usize) -> Ended {
    let (reader, writer) = user.pipe();
    let keeper = user.fork(move |user| {
        user.close(writer).expect("it is open");
        lead(user);
        let at = write_document(user, 3, PAGES);
        assert_eq!(user.read(reader, 1).as_deref(), Ok(&[][..]));
        check_document(user, 3, at, PAGES);
    });
    until_waiting(user, keeper, "readable");
    let leak = leak(user);
    assert_eq!(user.wait_for(leak), sacrificed());
    user.close(writer).expect("it is open");
    assert_eq!(user.wait_for(keeper), Ended::Exited(0));
    assert_eq!(status_number(user, "lost_pages"), 0);
    assert_eq!(status_number(user, "allocations"), 0);
    let ended = user.wait_for(daemon);
    user.peek(|kernel| audit(kernel));
    ended
}

fn machines(tell: impl Fn(System)) {
    for (cpus, restore) in [(1, "ram"), (1, "disk"), (2, "disk"), (4, "ram"), (2, "disk,lazy")] {
        let disk = Disk::new(DISK);
        tell(
            System::new()
                .memory(MEMORY)
                .cpus(cpus)
                .disk(&disk)
                .option("emergency.format=any")
                .option(&format!("emergency.restore={restore}")),
        );
    }
}

#[test]
fn it_is_obeyed_and_nothing_is_written_twice() {
    machines(|machine| {
        let finished = machine.option(POLICY).run(|user| {
            let daemon = decider(user, |user, file, question| {
                let written = status_number(user, "slots_used");
                assert!(written > 60, "{written} pages are in the store");
                let kill = format!("kill {}", fastest(question));
                user.write(file, kill.as_bytes()).expect("it is asked");
            });
            assert_eq!(story(user, daemon), Ended::Exited(0));
            // Each page once: there are no more than there is memory.
            let all = (MEMORY / PAGE_SIZE) as u64;
            assert!(status_number(user, "evacuated") < all);
        });
        assert!(finished.log.contains("the daemon"), "{}", finished.log);
    });
}

#[test]
fn what_it_shares_with_others_comes_back_when_it_touches_it() {
    machines(|machine| {
        machine.option(POLICY).run(|user| {
            let shared = user.allocate_shared(4 * PAGE_SIZE);
            user.store(shared, b"before");
            let daemon = decider(user, move |user, file, question| {
                assert_eq!(user.load(shared, 6), b"before");
                user.store(shared + PAGE_SIZE, b"during");
                user.write(file, format!("kill {}", fastest(question)).as_bytes()).expect("asked");
            });
            assert_eq!(story(user, daemon), Ended::Exited(0));
            assert_eq!(user.load(shared, 6), b"before");
            assert_eq!(user.load(shared + PAGE_SIZE, 6), b"during");
        });
    });
}

#[test]
fn one_that_ends_instead_leaves_it_to_the_policy() {
    machines(|machine| {
        machine.option(SOON).run(|user| {
            let daemon = decider(user, |user, _, _| user.exit(7));
            assert_eq!(story(user, daemon), Ended::Exited(7));
        });
    });
}

#[test]
fn one_that_crashes_instead_leaves_it_to_the_policy() {
    machines(|machine| {
        machine.option(SOON).run(|user| {
            let daemon = decider(user, |user, _, _| {
                user.store(8, b"x");
            });
            assert_eq!(story(user, daemon), killed_by(SIGSEGV));
        });
    });
}

#[test]
fn one_that_says_nothing_is_ended() {
    machines(|machine| {
        machine.typing(60 * SECOND, "\ry").run(|user| {
            let daemon = decider(user, |user, _, _| user.sleep(3_600_000));
            assert_eq!(story(user, daemon), sacrificed());
        });
    });
}

#[test]
fn one_that_takes_all_memory_is_ended() {
    machines(|machine| {
        machine.typing(60 * SECOND, "\ry").run(|user| {
            let daemon = decider(user, |user, _, _| {
                let at = user.allocate(1 << 30);
                user.fill(at, 1 << 30, 1);
            });
            assert_eq!(story(user, daemon), sacrificed());
        });
    });
}

#[test]
fn one_that_names_nobody_leaves_it_to_the_person() {
    machines(|machine| {
        machine.typing(60 * SECOND, "\ry").run(|user| {
            let daemon = decider(user, |user, file, _| {
                assert_eq!(user.write(file, b"die"), error(EINVAL));
                user.write(file, b"kill 1\nkill 4000000\n").expect("it is asked");
            });
            assert_eq!(story(user, daemon), Ended::Exited(0));
        });
    });
}

#[test]
fn a_process_that_the_daemon_kills_ends_when_the_world_goes_on() {
    machines(|machine| {
        machine.option(POLICY).run(|user| {
            let victim = user.fork(|user| {
                lead(user);
                write_document(user, 5, PAGES);
                user.sleep(3_600_000);
            });
            until_waiting(user, victim, "time");
            let daemon = decider(user, move |user, file, question| {
                user.kill(victim as isize, SIGKILL).expect("root may");
                let at = write_document(user, 6, 5);
                user.write(file, format!("kill {}", fastest(question)).as_bytes()).expect("asked");
                check_document(user, 6, at, 5);
            });
            assert_eq!(story(user, daemon), Ended::Exited(0));
            assert_eq!(user.wait_for(victim), killed_by(SIGKILL));
        });
    });
}
