//! No more memory than allowed: an error where one can be given, a signal where not.

use host_stories::*;

const MIB: usize = 1 << 20;

fn limit(user: &mut User, text: &str) -> Answer<()> {
    user.write_text("proc:self/limits", text).map(|_| ())
}

/// Bytes in use, and the most there may be, from `proc:self/limits`.
fn limits(user: &mut User, key: &str) -> (usize, Option<usize>) {
    let text = user.read_text("proc:self/limits").expect("it is there");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    let (used, most) = line.and_then(|line| line.split_once(' ')).expect("two words");
    (used.parse().expect("a number"), most.parse().ok())
}

#[test]
fn a_limit_is_shown_and_only_root_raises_it() {
    story(|user| {
        assert_eq!(limits(user, "Memory").1, None);
        assert_eq!(limits(user, "Job"), (0, None));
        let ended = fate(user, |user| {
            limit(user, "memory 8M").expect("one may limit oneself");
            limit(user, "job 16M").expect("one may limit oneself");
            assert_eq!(limits(user, "Memory").1, Some(8 * MIB));
            let (used, most) = limits(user, "Job");
            assert_eq!((used, most), (limits(user, "Memory").0, Some(16 * MIB)));
            limit(user, "memory 12M").expect("root may");
            for nonsense in ["", "memory", "memory much", "memory -1", "job 3T", "frames 3"] {
                assert_eq!(limit(user, nonsense), error(EINVAL), "{nonsense}");
            }
        });
        assert_eq!(ended, Ended::Exited(0));
        assert_eq!(limits(user, "Memory").1, None);
        user.peek(|kernel| assert!(kernel.frames.budgets.is_empty()));
    });
}

#[test]
fn a_mapping_that_could_never_be_filled_is_refused() {
    story(|user| {
        let ended = fate(user, |user| {
            limit(user, "memory 4M").expect("one may limit oneself");
            assert_eq!(user.try_allocate(5 * MIB), error(ENOMEM));
            let at = user.allocate(3 * MIB);
            user.fill(at, 3 * MIB, 1);
            assert_eq!(user.try_allocate(2 * MIB), error(ENOMEM));
            let shared = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED;
            let map = Map { offset: 0, size: 2 * MIB, flags: shared, address: 0 };
            assert_eq!(user.map(ANONYMOUS, map), error(ENOMEM));
            user.unmap(at, 3 * MIB).expect("it is mapped");
            assert!(user.try_allocate(2 * MIB).is_ok());
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}

#[test]
fn touching_more_than_allowed_is_a_signal_that_can_be_caught() {
    story(|user| {
        let ended = fate(user, |user| {
            limit(user, "memory 4M").expect("one may limit oneself");
            let first = user.allocate(3 * MIB);
            let second = user.allocate(3 * MIB);
            user.fill(first, 3 * MIB, 1);
            user.fill(second, 3 * MIB, 1);
        });
        assert_eq!(ended, killed_by(SIGBUS));
        // A call that has to bring the page gets an error instead.
        let ended = fate(user, |user| {
            limit(user, "memory 2M").expect("one may limit oneself");
            let (first, second) = (user.allocate(MIB), user.allocate(3 * MIB / 2));
            user.fill(first, MIB, 1);
            let fd = user.open("sys:help", O_RDONLY).expect("it is there");
            let mut last = Ok(1);
            for page in 0..(3 * MIB / 2) / PAGE_SIZE {
                let call = [fd, second + page * PAGE_SIZE, 1];
                last = user.call(abi::redox::number::SYS_READ, call);
                if last.is_err() {
                    break;
                }
            }
            assert_eq!(last, error(ENOMEM));
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}

#[test]
fn children_inherit_a_limit_and_share_that_of_a_job() {
    for cpus in [1, 4] {
        System::new().cpus(cpus).run(|user| {
            leaves_nothing(user, |user| {
                let ended = fate(user, |user| {
                    limit(user, "memory 4M").expect("one may limit oneself");
                    let ended = fate(user, |user| {
                        assert_eq!(limits(user, "Memory").1, Some(4 * MIB));
                        assert_eq!(user.try_allocate(5 * MIB), error(ENOMEM));
                    });
                    assert_eq!(ended, Ended::Exited(0));
                });
                assert_eq!(ended, Ended::Exited(0));
                let ended = fate(user, |user| {
                    limit(user, "job 6M").expect("one may limit oneself");
                    // A way out is none.
                    limit(user, "job 900M").expect("a job in a job");
                    let (reader, writer) = user.pipe();
                    let hoarder = user.fork(move |user| {
                        let at = user.allocate(4 * MIB);
                        user.fill(at, 4 * MIB, 1);
                        assert_eq!(user.read(reader, 1).as_deref(), Ok(&b"!"[..]));
                    });
                    until_waiting(user, hoarder, "readable");
                    assert_eq!(user.try_allocate(4 * MIB), error(ENOMEM));
                    let at = user.allocate(MIB);
                    user.fill(at, MIB, 1);
                    // What a fork would have is counted, shared or not.
                    assert_eq!(user.try_fork(|_| {}), error(ENOMEM));
                    user.write(writer, b"!").expect("there is room");
                    assert_eq!(user.wait_for(hoarder), Ended::Exited(0));
                    assert_eq!(fate(user, |_| {}), Ended::Exited(0));
                });
                assert_eq!(ended, Ended::Exited(0));
                user.peek(|kernel| assert!(kernel.frames.budgets.is_empty()));
            });
        });
    }
}

#[test]
fn a_program_that_is_started_keeps_the_limits() {
    story(|user| {
        let program = user.program(|user| {
            assert_eq!(limits(user, "Memory").1, Some(4 * MIB));
            let (used, most) = limits(user, "Job");
            assert_eq!((used, most), (limits(user, "Memory").0, Some(6 * MIB)));
            assert_eq!(user.try_allocate(5 * MIB), error(ENOMEM));
        });
        let ended = fate(user, move |user| {
            limit(user, "memory 4M").expect("one may limit oneself");
            limit(user, "job 6M").expect("one may limit oneself");
            user.exec("/bin/x", &program, &["x"], &[]);
        });
        assert_eq!(ended, Ended::Exited(0));
        user.peek(|kernel| assert!(kernel.frames.budgets.is_empty()));
    });
}

#[test]
fn what_the_books_say_adds_up() {
    System::new().memory(8 * MIB).option("emergency=off").run(|user| {
        let check = |user: &mut User| {
            let text = user.read_text("sys:mem").expect("it is there");
            let number = |key: &str| -> usize {
                let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":"));
                line.and_then(|value| value.trim().parse().ok()).expect("a number")
            };
            let [total, used, free, reserved] = ["total", "used", "free", "reserved"].map(number);
            assert_eq!(total, used + free + reserved, "{text}");
            (free, reserved)
        };
        let (free, reserved) = check(user);
        assert!(free > 4 * MIB && reserved > 0);
        let ended = fate(user, move |user| {
            let at = user.allocate(free);
            for page in 0..free / PAGE_SIZE - 40 {
                user.fill(at + page * PAGE_SIZE, PAGE_SIZE, 1);
                if page % 100 == 0 {
                    check(user);
                }
            }
            let pid = user.pid();
            let resident: usize = status_of(user, pid, "Resident").parse().expect("a number");
            assert!(resident >= free - 40 * PAGE_SIZE);
            user.fill(at, free, 1);
        });
        assert_eq!(ended, killed_by(SIGSEGV));
        check(user);
        let shared = user.allocate_shared(5 * PAGE_SIZE);
        let pid = user.pid();
        assert_eq!(status_of(user, pid, "Shared"), (5 * PAGE_SIZE).to_string());
        assert_eq!(status_of(user, pid, "Evacuated"), "0");
        // Others depend on the first process: it never leaves memory.
        assert_eq!(status_of(user, pid, "Wired"), status_of(user, pid, "Resident"));
        let jobs = user.read_text("emergency:jobs").expect("it is there");
        assert_eq!(jobs.lines().count(), 2, "{jobs}");
        user.unmap(shared, 5 * PAGE_SIZE).expect("it is mapped");
    });
}

#[test]
fn descriptors_have_a_bound_that_children_inherit() {
    story_on_any(|user| {
        let most = limits(user, "Descriptors").1.expect("there is a bound");
        let ended = fate(user, move |user| {
            let first = user.open("proc:self/limits", O_RDWR).expect("it is there");
            limit(user, &format!("descriptors {}", first + 2)).expect("one may limit oneself");
            assert_eq!(limits(user, "Descriptors").1, Some(first + 2));
            let second = user.dup(first, b"").expect("it is below the bound");
            assert_eq!(user.dup(first, b""), error(EMFILE));
            assert_eq!(user.dup2(first, second + 1), error(EBADF));
            assert_eq!(user.dup2(first, second), Ok(second));
            let child = fate(user, move |user| {
                assert_eq!(user.dup(first, b""), error(EMFILE));
                user.close(second).expect("it is open");
                assert!(user.dup(first, b"").is_ok());
            });
            assert_eq!(child, Ended::Exited(0));
            user.close(second).expect("it is open");
            for nonsense in [format!("descriptors {}", most + 1), "descriptors none".into()] {
                assert_eq!(limit(user, &nonsense), error(EINVAL), "{nonsense}");
            }
            limit(user, &format!("descriptors {most}")).expect("root may");
        });
        assert_eq!(ended, Ended::Exited(0));
        assert_eq!(limits(user, "Descriptors").1, Some(most));
    });
}

#[test]
fn whoever_wants_no_core_says_so() {
    story(|user| {
        let ended = fate(user, |user| {
            assert_eq!(limits(user, "Core"), (0, None));
            limit(user, "core 0").expect("one may limit oneself");
            assert_eq!(limits(user, "Core"), (0, Some(0)));
            assert_eq!(limit(user, "core 5"), error(EINVAL));
            limit(user, "core none").expect("root may");
            assert_eq!(limits(user, "Core"), (0, None));
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}
