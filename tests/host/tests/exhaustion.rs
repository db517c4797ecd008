//! When something runs out: memory, processes, descriptors, time.

use host_stories::*;

/// A machine with little memory.
fn small() -> System {
    System::new().memory(2 << 20).option("emergency=off")
}

#[test]
fn who_takes_all_memory_dies_of_it_and_gives_everything_back() {
    for cpus in [1, 4] {
        small().cpus(cpus).run(|user| {
            leaves_nothing(user, |user| {
                let ended = fate(user, |user| {
                    let size = 64 << 20;
                    let at = user.allocate(size);
                    user.fill(at, size, 1);
                    panic!("there is not so much");
                });
                assert_eq!(ended, killed_by(SIGSEGV));
            });
        });
    }
}

#[test]
fn a_call_without_memory_fails_and_nothing_is_lost() {
    small().run(|user| {
        leaves_nothing(user, |user| {
            let ended = fate(user, |user| {
                let size = 64 << 20;
                let shared = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED;
                let mut step = 256 << 10;
                while step >= PAGE_SIZE {
                    let map = Map { offset: 0, size: step, flags: shared, address: 0 };
                    match user.map(ANONYMOUS, map) {
                        Ok(_) => {}
                        Err(errno) => {
                            assert_eq!(errno, Errno(ENOMEM));
                            step /= 2;
                        }
                    }
                }
                // Reading fresh memory needs tables at most.
                let (reader, writer) = user.pipe();
                assert_eq!(user.write(writer, b"still works"), Ok(11));
                assert_eq!(user.read(reader, 64).as_deref(), Ok(&b"still works"[..]));
                assert_eq!(user.try_fork(|_| {}), error(ENOMEM));
                let at = user.try_allocate(size);
                assert!(at.is_ok(), "room costs nothing until it is used");
                assert_eq!(user.try_allocate(USER_END), error(ENOMEM));
            });
            assert_eq!(ended, Ended::Exited(0));
        });
    });
}

#[test]
fn programs_start_and_fail_to_start_at_every_amount_of_free_memory() {
    small().run(|user| {
        let program = user.program(|user| {
            let at = user.allocate(4 * PAGE_SIZE);
            user.fill(at, 4 * PAGE_SIZE, 1);
        });
        leaves_nothing(user, move |user| {
            for left in 0..40 {
                let image = program.clone();
                let hoarder = user.fork(move |user| {
                    leave_frames(user, left);
                    if let Ok(child) = user.try_fork(move |user| {
                        let errno = user.exec("/bin/x", &image, &["x", "y"], &[]);
                        assert_eq!(errno, Errno(ENOMEM));
                    }) {
                        let ended = user.wait_for(child);
                        assert!(matches!(ended, Ended::Exited(0) | Ended::Signalled(11)));
                    }
                });
                let ended = user.wait_for(hoarder);
                assert!(matches!(ended, Ended::Exited(0) | Ended::Signalled(11)), "{ended:?}");
                user.peek(|kernel| audit(kernel));
            }
        });
    });
}

/// Takes all memory but a few frames.
fn leave_frames(user: &mut User, left: usize) {
    let free = user.peek(|kernel| kernel.frames.totals().free);
    // Some more go for page tables.
    let count = free.saturating_sub(left + 8);
    let flags = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED;
    let map = Map { offset: 0, size: count * PAGE_SIZE, flags, address: 0 };
    user.map(ANONYMOUS, map).expect("there is so much");
}

#[test]
fn daemons_and_clients_survive_that_memory_runs_out() {
    for cpus in [1, 4] {
        small().cpus(cpus).run(|user| {
            let server = daemon(user, "files", file_server(Notes::default()));
            for left in 0..24 {
                let client = user.fork(move |user| {
                    leave_frames(user, left);
                    for _ in 0..3 {
                        let Ok(fd) = user.open("files:x", O_RDWR) else { return };
                        user.write(fd, b"hello").ok();
                        user.read(fd, 64).ok();
                        user.close(fd).ok();
                    }
                });
                user.wait_for(client);
                user.peek(|kernel| audit(kernel));
            }
            let fd = user.open("files:y", O_RDWR).expect("it is served");
            assert_eq!(user.write(fd, b"hello"), Ok(5));
            kill(user, server);
        });
    }
}

#[test]
fn signals_without_memory_for_their_handlers_end_the_process() {
    small().run(|user| {
        for left in 0..12 {
            let ended = fate(user, move |user| {
                user.on(SIGUSR1, 0, Action::run(|_, _| {}));
                let pid = user.pid() as isize;
                leave_frames(user, left);
                user.with_stack_at(STACK_TOP - STACK_SIZE / 2, |user| {
                    user.call(abi::number::KILL, [pid as usize, SIGUSR1]).ok();
                });
            });
            assert!(matches!(ended, Ended::Exited(0) | Ended::Signalled(11)), "{ended:?}");
            user.peek(|kernel| audit(kernel));
        }
    });
}

#[test]
fn descriptors_run_out_with_an_error_and_come_back() {
    story(|user| {
        leaves_nothing(user, |user| {
            let ended = fate(user, |user| {
                let fd = user.open("sys:uname", O_RDONLY).expect("it is there");
                let last = loop {
                    match user.dup(fd, b"") {
                        Ok(fd) => assert!(fd < abi::FD_MAX),
                        Err(errno) => break errno,
                    }
                };
                assert_eq!(last, Errno(EMFILE));
                assert_eq!(user.open("sys:uname", O_RDONLY), error(EMFILE));
                assert_eq!(user.open("pipe:", O_RDONLY), error(EMFILE));
                assert_eq!(user.dup(fd, b""), error(EMFILE));
                user.close(500).expect("it is open");
                assert_eq!(user.open("sys:uname", O_RDONLY), Ok(500));
            });
            assert_eq!(ended, Ended::Exited(0));
        });
    });
}

#[test]
fn a_fork_bomb_ends_with_an_error_and_can_be_cleaned_up() {
    for cpus in [1, 4] {
        small().cpus(cpus).run(|user| {
            leaves_nothing(user, |user| {
                let bomb = user.fork(|user| {
                    user.call(abi::number::SETPGID, [0, 0]).expect("it may lead");
                    while user.try_fork(|user| user.sleep(1_000_000)).is_ok() {}
                    user.sleep(1_000_000);
                });
                until_waiting(user, bomb, "time");
                user.kill(-(bomb as isize), SIGKILL).expect("they live");
                while user.wait(-1).is_ok() {}
            });
        });
    }
}

#[test]
fn zombies_are_limited_too() {
    System::new().memory(16 << 20).option("emergency=off").run(|user| {
        let mut count = 0;
        let last = loop {
            match user.try_fork(|_| {}) {
                Ok(_) => count += 1,
                Err(errno) => break errno,
            }
            user.give_way();
            if count > 1000 {
                panic!("there is no limit");
            }
        };
        assert_eq!(last, Errno(EAGAIN));
        while user.wait(-1).is_ok() {}
        assert!(user.try_fork(|_| {}).is_ok());
    });
}
