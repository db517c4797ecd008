//! Processes and threads: how they begin, what they become, how they end.

use abi::exec::ExecArgs;
use host_stories::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn a_parent_learns_how_its_child_ended() {
    story_on_any(|user| {
        let child = user.fork(|user| user.exit(7));
        assert_eq!(user.wait_for(child), Ended::Exited(7));
        assert_eq!(user.wait(-1), error(ECHILD));
    });
}

#[test]
fn a_child_knows_itself_and_its_parent() {
    story_on_any(|user| {
        let parent = user.pid();
        let child = user.fork(move |user| {
            assert_ne!(user.pid(), parent);
            assert_eq!(user.parent(), parent);
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn waiting_picks_the_child_it_was_asked_for() {
    story_on_any(|user| {
        let slow = user.fork(|user| user.sleep(5));
        let quick = user.fork(|user| user.exit(1));
        assert_eq!(user.call(abi::number::WAIT, [slow, 0, abi::number::WNOHANG]), Ok(0));
        assert_eq!(user.wait(slow as isize), Ok((slow, Ended::Exited(0))));
        assert_eq!(user.wait(-1), Ok((quick, Ended::Exited(1))));
        assert_eq!(user.wait(9999), error(ECHILD));
    });
}

#[test]
fn children_of_a_group_can_be_waited_for_together() {
    story_on_any(|user| {
        let group = user.fork(|user| {
            user.call(abi::number::SETPGID, [0, 0]).expect("it may lead a group");
            user.exit(3);
        });
        let other = user.fork(|user| user.exit(4));
        until_zombie(user, group);
        assert_eq!(user.wait(-(group as isize)), Ok((group, Ended::Exited(3))));
        assert_eq!(user.wait(0), Ok((other, Ended::Exited(4))));
    });
}

fn until_zombie(user: &mut User, pid: usize) {
    while !status_of(user, pid, "State").starts_with('Z') {
        user.sleep(1);
    }
}

#[test]
fn a_bad_status_pointer_does_not_lose_the_child() {
    story(|user| {
        let child = user.fork(|user| user.exit(5));
        let all = -1isize as usize;
        assert_eq!(user.call(abi::number::WAIT, [all, USER_END, 0]), error(EFAULT));
        assert_eq!(user.wait_for(child), Ended::Exited(5));
    });
}

#[test]
fn orphans_go_to_pid_1_and_it_can_wait_for_them() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            let grandchild = user.fork(move |user| {
                user.sleep(10);
                assert_eq!(user.parent(), 1);
                user.exit(9);
            });
            user.write(writer, &grandchild.to_ne_bytes()).expect("somebody reads");
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        let bytes = user.read(reader, 8).expect("it was written");
        let orphan = usize::from_ne_bytes(bytes.try_into().expect("8 bytes"));
        assert_eq!(user.wait(-1), Ok((orphan, Ended::Exited(9))));
    });
}

#[test]
fn an_orphan_that_has_ended_already_goes_to_pid_1_too() {
    story_on_any(|user| {
        let child = user.fork(|user| {
            user.fork(|user| user.exit(9));
            user.sleep(5);
        });
        user.wait_for(child);
        assert_eq!(user.wait(-1).map(|(_, ended)| ended), Ok(Ended::Exited(9)));
        assert_eq!(user.wait(-1), error(ECHILD));
    });
}

#[test]
fn a_program_gets_its_strings_and_keeps_its_number_and_files() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let program = user.program(move |user| {
            let (args, envs) = user.start_strings();
            assert_eq!(args, ["cat", "", "sys:uname"]);
            assert_eq!(envs, ["HOME=/", "A="]);
            let pid = user.pid();
            user.write(writer, &pid.to_ne_bytes()).expect("the file stayed open");
            assert_eq!(user.read_text("proc:self/exe").as_deref(), Ok("/bin/cat\n"));
            assert_eq!(user.read_text("proc:self/cmdline").as_deref(), Ok("cat\0\0sys:uname\0"));
        });
        let child = user.fork(move |user| {
            let args = ["cat", "", "sys:uname"];
            let errno = user.exec("/bin/cat", &program, &args, &["HOME=/", "A="]);
            panic!("exec failed: {errno:?}");
        });
        assert_eq!(user.read(reader, 8), Ok(child.to_ne_bytes().to_vec()));
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn exec_forgets_memory_and_handlers_and_closes_what_was_marked() {
    story(|user| {
        let program = user.program(|user| {
            assert!(user.read_text("proc:self/fd/3").is_err());
            assert!(user.read_text("proc:self/fd/4").is_ok());
            let pid = user.pid() as isize;
            user.kill(pid, SIGUSR1).expect("it may");
            assert_eq!(user.kill(pid, SIGUSR2), Ok(0));
        });
        let ended = fate(user, move |user| {
            let marked = user.open("sys:uname", O_RDONLY | abi::number::O_CLOEXEC);
            assert_eq!(marked, Ok(3));
            assert_eq!(user.open("sys:uname", O_RDONLY), Ok(4));
            user.on(SIGUSR1, 0, Action::Ignore);
            user.on(SIGUSR2, 0, Action::run(|_, _| panic!("handlers are forgotten")));
            user.exec("/bin/program", &program, &[], &[]);
        });
        assert_eq!(ended, killed_by(SIGUSR2));
    });
}

#[test]
fn exec_of_garbage_leaves_the_caller_untouched() {
    story(|user| {
        let good = user.program(|_| {});
        let mut mangled = good.clone();
        mangled[18] = 0;
        let truncated = good[..good.len() - 1].to_vec();
        let far = {
            let mut far = good.clone();
            far[64 + 23] = 0xFF;
            far
        };
        leaves_nothing(user, move |user| {
            let at = user.allocate(PAGE_SIZE);
            user.store(at, b"mine");
            for image in [&b""[..], b"#!/bin/sh", &[0; 8192], &mangled, &truncated, &far] {
                assert_eq!(user.exec("/bin/x", image, &["x"], &[]), Errno(ENOEXEC));
            }
            assert_eq!(user.load(at, 4), b"mine");
            user.unmap(at, PAGE_SIZE).expect("it is mapped");
        });
    });
}

#[test]
fn exec_checks_its_arguments_first() {
    story(|user| {
        let image = user.program(|_| {});
        let at = user.allocate(image.len());
        user.store(at, &image);
        let good = ExecArgs { image: at, image_len: image.len(), ..ExecArgs::default() };
        for (arguments, errno) in [
            (ExecArgs { args_count: 1, ..good }, EINVAL),
            (ExecArgs { args: at, args_len: 4, args_count: 4, ..good }, EINVAL),
            (ExecArgs { args: at, args_len: usize::MAX, ..good }, E2BIG),
            (ExecArgs { args_len: usize::MAX, envs_len: 2, ..good }, E2BIG),
            (ExecArgs { envs: USER_END, envs_len: 10, ..good }, EFAULT),
            (ExecArgs { path: USER_END, path_len: 10, ..good }, EFAULT),
            (ExecArgs { image: USER_END, ..good }, EFAULT),
            (ExecArgs { image_len: usize::MAX, ..good }, EFAULT),
            (ExecArgs { image: 0x7000_0000, ..good }, EFAULT),
        ] {
            assert_eq!(user.exec_raw(&arguments), Errno(errno), "{arguments:?}");
        }
    });
}

#[test]
fn exec_ends_all_other_threads() {
    story_on_any(|user| {
        let program = user.program(|user| {
            user.sleep(1);
            user.exit(6);
        });
        let ended = fate(user, move |user| {
            for number in 0..3 {
                user.thread(move |user| match number {
                    0 => user.sleep(1_000_000),
                    1 => user.work(1_000_000 * MS),
                    _ => drop(user.futex_wait(user_word(), 0, None)),
                });
            }
            user.sleep(1);
            user.exec("/bin/program", &program, &[], &[]);
        });
        assert_eq!(ended, Ended::Exited(6));
    });
}

/// A word at the top of the stack, which is 0.
fn user_word() -> usize {
    STACK_TOP - 8
}

#[test]
fn threads_share_memory_and_are_joined() {
    story_on_any(|user| {
        let at = user.allocate(PAGE_SIZE);
        let threads: Vec<_> = (0..8)
            .map(|number| user.thread(move |user| user.store_word(at + number * 8, number + 1)))
            .collect();
        threads.into_iter().for_each(|thread| user.join(thread));
        let sum: usize = (0..8).map(|number| user.load_word(at + number * 8)).sum();
        assert_eq!(sum, 36);
    });
}

#[test]
fn a_process_ends_with_all_its_threads_wherever_they_are() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let ended = fate(user, |user| {
                for number in 0..4 {
                    user.thread(move |user| match number {
                        0 => user.sleep(1_000_000),
                        1 => user.work(1_000_000 * MS),
                        2 => loop {
                            user.pid();
                        },
                        _ => drop(user.suspend(0)),
                    });
                }
                user.sleep(1);
                user.exit(2);
            });
            assert_eq!(ended, Ended::Exited(2));
        });
    });
}

#[test]
fn a_thread_that_is_ended_as_its_turn_ends_gets_no_other() {
    for _ in 0..20 {
        System::new().cpus(4).run(|user| {
            // Somebody always waits for a turn.
            let others: Vec<_> = (0..5).map(|_| user.fork(|user| user.work(200 * MS))).collect();
            let ended = fate(user, |user| {
                for _ in 0..3 {
                    user.thread(|user| {
                        loop {
                            user.work(MS);
                        }
                    });
                }
                user.sleep(5);
                // All turns end while nobody can take the lock.
                user.peek(|kernel| {
                    kernel.machine.pass(20 * MS);
                    std::thread::sleep(Duration::from_micros(200));
                });
                user.exit(2);
            });
            assert_eq!(ended, Ended::Exited(2));
            for child in others {
                assert_eq!(user.wait_for(child), Ended::Exited(0));
            }
        });
    }
}

#[test]
fn a_process_lives_as_long_as_its_last_thread() {
    story_on_any(|user| {
        let ended = fate(user, |user| {
            user.thread(|user| {
                user.sleep(5);
                user.exit(8);
            });
            user.call(abi::number::THREAD_EXIT, [0, 0, 0]).expect_err("it does not come back");
        });
        assert_eq!(ended, Ended::Exited(8));
    });
}

#[test]
fn everybody_gets_a_turn() {
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    story(move |user| {
        let busy: Vec<_> = (0..3)
            .map(|_| {
                let done = Arc::clone(&count);
                user.fork(move |user| {
                    user.work(50 * MS);
                    done.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        user.sleep(200);
        assert_eq!(count.load(Ordering::SeqCst), 3, "one of them was not given 50 ms in 200");
        for child in busy {
            assert_eq!(user.wait_for(child), Ended::Exited(0));
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), 3);
}

#[test]
fn two_that_call_each_other_do_not_starve_a_third() {
    story(|user| {
        let (to_b, from_a) = user.pipe();
        let (to_a, from_b) = user.pipe();
        let pair = [(to_a, from_a), (to_b, from_b)].map(|(reader, writer)| {
            user.fork(move |user| {
                loop {
                    user.write(writer, b"ping").expect("the other reads");
                    user.read(reader, 4).expect("the other writes");
                }
            })
        });
        let third = user.fork(|user| user.work(20 * MS));
        user.wait_for(third);
        for child in pair {
            user.kill(child as isize, SIGKILL).expect("it may");
            user.wait_for(child);
        }
    });
}

#[test]
fn when_pid_1_ends_the_machine_is_switched_off() {
    let finished = story(|user| user.exit(0));
    assert!(finished.off.is_some());
    assert!(finished.log.contains("PID 1 ended"), "{}", finished.log);
}

#[test]
fn a_thousand_children_leave_nothing_behind() {
    story(|user| {
        leaves_nothing(user, |user| {
            for _ in 0..500 {
                let child = user.fork(|user| user.store(user_word() - 64, &[1]));
                user.wait_for(child);
            }
        });
    });
}

#[test]
fn ids_groups_and_sessions_follow_their_rules() {
    story(|user| {
        use abi::number::*;
        assert_eq!(user.call(GETPGID, [0]), Ok(1));
        assert_eq!(user.call(SETSID, []), Ok(1));
        let child = user.fork(|user| {
            let pid = user.pid();
            assert_eq!(user.call(GETSID, [0]), Ok(1));
            assert_eq!(user.call(SETSID, []), Ok(pid));
            assert_eq!(user.call(SETSID, []), Ok(pid));
            assert_eq!(user.call(SETPGID, [0, 0]), error(EPERM));
            let ids = user.allocate(PAGE_SIZE);
            user.store(ids, &[7u32, 7, 8, 8].map(u32::to_ne_bytes).concat());
            assert_eq!(user.call(SETIDS, [ids]), Ok(0));
            user.store(ids, &[0u32; 4].map(u32::to_ne_bytes).concat());
            assert_eq!(user.call(SETIDS, [ids]), error(EPERM));
            assert_eq!(user.open("debug:", O_RDWR), error(EACCES));
            assert_eq!(user.kill(1, SIGTERM), error(EPERM));
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        assert_eq!(user.call(GETPGID, [77]), error(ESRCH));
    });
}

#[test]
fn numbers_that_fit_no_process_name_none() {
    story(|user| {
        use abi::number::*;
        let child = user.fork(|user| user.sleep(5));
        let far = 1 << 32;
        assert_eq!(user.wait(isize::MIN), error(ECHILD));
        assert_eq!(user.kill(isize::MIN, SIGTERM), error(ESRCH));
        assert_eq!(user.call(GETPGID, [far | child]), error(ESRCH));
        assert_eq!(user.call(GETSID, [far | child]), error(ESRCH));
        assert_eq!(user.call(SETPGID, [far | child, 0]), error(ESRCH));
        assert_eq!(user.call(SETPGID, [child, far | child]), error(EINVAL));
        assert_eq!(user.call(TGKILL, [child, far | child, SIGTERM]), error(ESRCH));
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_thread_that_has_been_ended_makes_no_more_calls() {
    for _ in 0..10 {
        System::new().cpus(4).run(|user| {
            let program = user.program(|user| {
                let descriptors = |user: &mut User| {
                    let pid = user.pid() as u32;
                    user.peek(|kernel| {
                        let process = &kernel.processes[kernel.pids[&pid].0];
                        process.files.iter().map(|(fd, _)| fd).collect::<Vec<_>>()
                    })
                };
                let before = descriptors(user);
                user.sleep(1);
                assert_eq!(descriptors(user), before, "the old program still opens files");
            });
            let ended = fate(user, move |user| {
                for _ in 0..3 {
                    user.thread(|user| {
                        loop {
                            let fd = user.open("sys:uname", O_RDONLY).expect("there is room");
                            user.close(fd).expect("it is open");
                        }
                    });
                }
                user.sleep(1);
                user.exec("/bin/program", &program, &[], &[]);
            });
            assert_eq!(ended, Ended::Exited(0));
        });
    }
}

#[test]
fn a_program_started_by_any_thread_runs_as_the_first_one() {
    story_on_any(|user| {
        let program = user.program(|user| {
            let (pid, tid) = (user.pid(), user.call(abi::number::GETTID, []));
            assert_eq!(tid, Ok(pid));
            user.exit(3);
        });
        let ended = fate(user, move |user| {
            user.thread(move |user| {
                user.exec("/bin/program", &program, &[], &[]);
            });
            user.sleep(1_000_000);
        });
        assert_eq!(ended, Ended::Exited(3));
    });
}

#[test]
fn the_umask_is_passed_on() {
    story(|user| {
        let mask = |user: &mut User, mask: usize| user.call(abi::number::UMASK, [mask]);
        assert_eq!(mask(user, usize::MAX), Ok(0o022));
        assert_eq!(mask(user, 0o077), Ok(0o022));
        assert_eq!(mask(user, 0o1000), Ok(0o077), "more than permissions only asks");
        let program = user.program(move |user| {
            assert_eq!(mask(user, usize::MAX), Ok(0o077));
            user.exit(0);
        });
        let ended = fate(user, move |user| {
            user.exec("/bin/program", &program, &[], &[]);
        });
        assert_eq!(ended, Ended::Exited(0));
        assert_eq!(status_of(user, 1, "Umask"), "0077");
    });
}

#[test]
fn a_number_that_a_group_still_has_is_not_given_out_again() {
    story(|user| {
        let (reader, writer) = user.pipe();
        let leader = user.fork(move |user| {
            user.call(abi::number::SETPGID, [0, 0]).expect("it may lead a group");
            user.fork(move |user| {
                user.close(writer).expect("it is open");
                drop(user.read(reader, 1));
            });
        });
        assert_eq!(user.wait_for(leader), Ended::Exited(0));
        // Round once through all numbers.
        user.peek(|kernel| kernel.skip_pids(99_999 - 20));
        for _ in 0..40 {
            let child = user.fork(|user| user.exit(0));
            assert_ne!(child, leader, "its group lives");
            assert_eq!(user.wait_for(child), Ended::Exited(0));
        }
        user.kill(-(leader as isize), SIGKILL).expect("the group is there");
        assert!(matches!(user.wait(-1), Ok((_, Ended::Signalled(9)))));
    });
}
