//! Tracing in the worst moment: whatever else happens at a stop, nothing is lost and nothing stays.

use abi::number::GETPPID;
use abi::redox::IntRegisters;
use abi::trace::STOP_NOW;
use host_stories::tracer::*;
use host_stories::*;
use kernel_core::machine::Exception;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn what_a_call_waited_for_comes_while_its_thread_is_stopped() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| assert_eq!(user.read(reader, 8), Ok(b"late".to_vec())));
        until_waiting(user, child, "readable");
        let tracer = Tracer::attach(user, child);
        tracer.registers(user);
        user.write(writer, b"late").expect("there is room");
        let after = tracer.until(user, POST | PRE, POST);
        assert_eq!(after.b, 4);
        tracer.end(user);
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn clients_of_a_stopped_daemon_wait_and_lose_nothing() {
    story_on_any(|user| {
        let server = daemon(user, "slow", file_server(Notes::default()));
        let tracer = Tracer::attach(user, server);
        tracer.registers(user);
        let client = user.fork(move |user| {
            tracer.end(user);
            let fd = user.open("slow:file", O_RDONLY).expect("it is served");
            assert_eq!(user.read(fd, 100), Ok(b"this is file 1".to_vec()));
        });
        user.sleep(2);
        let client_tracer = Tracer::attach(user, client);
        client_tracer.registers(user);
        tracer.end(user);
        user.sleep(2);
        client_tracer.end(user);
        assert_eq!(user.wait_for(client), Ended::Exited(0));
        kill(user, server);
    });
}

/// A child that comes to a stop of every kind, over and over.
fn busybody(user: &mut User) -> usize {
    user.fork(|user| {
        let page = user.allocate(PAGE_SIZE);
        loop {
            user.store(page, b"x");
            user.call(GETPPID, []).expect("this call always works");
            // Who does not trace breakpoints sees the signal.
            user.on(SIGTRAP, 0, Action::run(|_, _| {}));
            user.misbehave(Exception::Breakpoint);
        }
    })
}

/// Goes on until the thread has stopped for this, and leads it over breakpoints.
fn stop_for(user: &mut User, tracer: Tracer, cause: u64) {
    let flags = if cause == STOP_NOW { 0 } else { cause };
    tracer.go(user, flags).expect("it is there");
    if cause == STOP_NOW {
        tracer.go(user, STOP_NOW).expect("it is there");
    }
    tracer.is_told(user, cause);
    if cause == BREAKPOINT {
        let mut registers = tracer.registers(user);
        registers.rip += 1;
        tracer.set_registers(user, &registers).expect("it is stopped");
    }
}

const CAUSES: [u64; 6] = [PRE, POST, STEP, BREAKPOINT, SIGNAL, STOP_NOW];

#[test]
fn a_signal_that_comes_during_any_stop_waits_and_is_told_once() {
    story_on_any(|user| {
        for cause in CAUSES {
            let child = busybody(user);
            let tracer = Tracer::attach(user, child);
            stop_for(user, tracer, cause);
            user.kill(child as isize, SIGTERM).expect("it lives");
            // Stopping and going on are about signals: the tracer's stop stays.
            user.kill(child as isize, SIGSTOP).expect("it lives");
            user.kill(child as isize, SIGCONT).expect("it lives");
            user.sleep(2);
            assert_eq!(status_of(user, child, "State"), "t (traced)", "{cause:#x}");
            let mut seen = Vec::new();
            let mut flags = SIGNAL;
            while !seen.contains(&SIGTERM) {
                tracer.go(user, flags).expect("it is there");
                seen.push(tracer.is_told(user, SIGNAL).a);
                // The signals that were sent are dropped, its own are not.
                let is_own = seen.last() == Some(&SIGTRAP);
                flags = if is_own { SIGNAL } else { SIGNAL | IGNORE };
            }
            tracer.until(user, PRE | IGNORE, PRE);
            assert_eq!(seen.iter().filter(|signal| **signal == SIGTERM).count(), 1);
            tracer.end(user);
            bury(user, child);
        }
    });
}

#[test]
fn two_threads_hit_their_breakpoints_together() {
    const HITS: usize = 30;
    for cpus in [1, 2, 4, 4, 4] {
        System::new().cpus(cpus).run(|user| {
            let (child, first) = traced_child(user, |user| {
                let hit = |user: &mut User| {
                    for _ in 0..HITS {
                        user.misbehave(Exception::Breakpoint);
                    }
                };
                let other = user.thread(hit);
                hit(user);
                user.join(other);
            });
            let made = first.until(user, CLONE | BREAKPOINT, CLONE);
            let path = format!("proc:{child}/thread/{}/trace", made.a);
            let fd = user.open(&path, O_RDWR).expect("it waits");
            let registers = format!("proc:{child}/thread/{}/regs/int", made.a);
            let registers = user.open(&registers, O_RDWR).expect("it waits");
            let second = Tracer { fd, pid: child };
            second.go(user, BREAKPOINT | EXIT).expect("it is there");
            let own = user.open(&first.path("regs/int"), O_RDWR).expect("it is there");
            for _ in 0..HITS {
                // Both have run into theirs before either goes on.
                first.is_told(user, BREAKPOINT);
                second.is_told(user, BREAKPOINT);
                for (tracer, fd) in [(first, own), (second, registers)] {
                    let mut set = IntRegisters::default();
                    user.seek(fd, 0, SEEK_SET).expect("a place");
                    set.copy_from_slice(&user.read(fd, 160).expect("it is stopped"));
                    set.rip += 1;
                    assert_eq!(user.write(fd, &set), Ok(160));
                    tracer.go(user, BREAKPOINT | EXIT).expect("it is there");
                }
            }
            for tracer in [second, first] {
                tracer.is_told(user, EXIT);
                tracer.end(user);
            }
            assert_eq!(user.wait_for(child), Ended::Exited(0));
        });
    }
}

#[test]
fn a_thread_on_another_cpu_stops_steps_and_dies() {
    for cpus in [2, 4, 4] {
        System::new().cpus(cpus).run(|user| {
            for round in 0..20 {
                // Makes no call, so it is in user code all the time.
                let child = user.fork(|user| {
                    loop {
                        user.work(1_000_000);
                    }
                });
                let tracer = Tracer::seize(user, child);
                tracer.go(user, STOP_NOW).expect("it is there");
                tracer.is_told(user, STOP_NOW);
                let before = tracer.registers(user);
                assert_eq!(tracer.registers(user)[..], before[..]);
                for _ in 0..3 {
                    tracer.until(user, STEP, STEP);
                }
                // Told to step while it runs, without a stop in between.
                tracer.go(user, 0).expect("it is there");
                tracer.until(user, STEP, STEP);
                if round % 2 == 0 {
                    tracer.go(user, 0).expect("it is there");
                }
                bury(user, child);
                assert_eq!(tracer.next(user).err(), Some(Errno(ESRCH)));
                tracer.end(user);
            }
        });
    }
}

#[test]
fn another_thread_becomes_a_program_while_the_traced_one_is_stopped() {
    story_on_any(|user| {
        for causes in [[PRE, 0], [0, PRE], [STOP_NOW, STOP_NOW]] {
            let program = user.program(|user| user.exit(4));
            let go = user.allocate_shared(PAGE_SIZE);
            let child = user.fork(move |user| {
                user.thread(move |user| {
                    while user.load_u32(go) == 0 {
                        user.work(10_000);
                    }
                    let errno = user.exec("/bin/other", &program, &["other"], &[]);
                    unreachable!("{errno:?}");
                });
                loop {
                    user.call(GETPPID, []).expect("this call always works");
                }
            });
            let first = Tracer::attach(user, child);
            let thread = loop {
                let threads = user.list(&first.path("thread")).expect("it is there");
                match threads.iter().find(|tid| **tid != child.to_string()) {
                    Some(tid) => break tid.clone(),
                    None => {
                        first.go(user, 0).expect("it is there");
                        user.sleep(1);
                        first.go(user, STOP_NOW).expect("it is there");
                        first.is_told(user, STOP_NOW);
                    }
                }
            };
            let path = format!("proc:{child}/thread/{thread}/trace");
            let fd = user.open(&path, O_RDWR | O_TRUNC).expect("it is there");
            let second = Tracer { fd, pid: child };
            if causes[0] != 0 {
                stop_for(user, first, causes[0]);
            }
            // The second thread becomes the process; of the first nothing is left.
            let exec = abi::trace::STOP_EXEC;
            second.go(user, exec | SWITCH | PRE).expect("it is there");
            user.store(go, &[1]);
            let mut event = second.next(user).expect("it stops");
            while event.cause.bits() == PRE {
                if event.a == abi::number::EXEC && causes[1] == PRE {
                    user.sleep(2);
                    assert_eq!(user.read_text(&first.path("exe")).as_deref(), Ok("/bin/init\n"));
                }
                second.go(user, exec | SWITCH | PRE).expect("it is there");
                event = second.next(user).expect("it stops");
            }
            assert_eq!(event.cause.bits(), SWITCH);
            assert_eq!(second.is_told(user, exec).a, second.registers(user).rip);
            while let Ok(event) = first.next(user) {
                assert_eq!(event.cause.bits(), PRE, "what was not read yet");
            }
            first.end(user);
            second.go(user, 0).expect("it is there");
            assert_eq!(user.wait_for(child), Ended::Exited(4));
            second.end(user);
        }
    });
}

#[test]
fn a_session_that_ends_with_news_unread_leaves_none_to_the_next() {
    story_on_any(|user| {
        for cause in CAUSES {
            let child = busybody(user);
            for round in 0..6 {
                let tracer = Tracer::attach(user, child);
                let flags = if cause == STOP_NOW { STOP_NOW } else { cause | CLONE | EXIT };
                tracer.go(user, flags).expect("it is there");
                // It has stopped, is about to, or does not know yet.
                if round % 3 == 0 {
                    user.sleep(1);
                } else if round % 3 == 1 {
                    user.work(1_000);
                }
                tracer.end(user);
            }
            let tracer = Tracer::seize(user, child);
            user.set_flags(tracer.fd, O_NONBLOCK).expect("a flag");
            user.sleep(1);
            assert_eq!(tracer.next(user).err(), Some(Errno(EAGAIN)), "{cause:#x}");
            assert_ne!(status_of(user, child, "State"), "t (traced)");
            tracer.end(user);
            bury(user, child);
        }
    });
}

#[test]
fn a_row_of_tracers_three_deep_works_and_falls_in_any_order() {
    story_on_any(|user| {
        for first_to_fall in 0..3 {
            let bottom = chatterer(user);
            let trace = |pid: usize| {
                move |user: &mut User| {
                    let tracer = Tracer::attach(user, pid);
                    while tracer.go(user, PRE | POST).is_ok() {
                        let Ok(event) = tracer.next(user) else { return };
                        assert!(matches!(event.cause.bits(), PRE | POST), "{event:?}");
                    }
                }
            };
            let middle = user.fork(trace(bottom));
            let top = user.fork(trace(middle));
            user.sleep(1);
            let own = Tracer::attach(user, top);
            own.until(user, PRE, PRE);
            for _ in 0..20 {
                own.until(user, PRE | POST, POST);
                own.until(user, PRE | POST, PRE);
            }
            let mut left = vec![bottom, middle, top];
            bury(user, left.remove(first_to_fall));
            if first_to_fall == 2 {
                assert_eq!(own.next(user).err(), Some(Errno(ESRCH)));
            }
            own.end(user);
            for pid in left {
                user.kill(pid as isize, SIGKILL).ok();
                user.wait_for(pid);
            }
        }
    });
}

#[test]
fn clients_of_a_daemon_that_is_traced_all_the_time_lose_nothing() {
    const READS: usize = 40;
    story_on_any(|user| {
        let server = daemon(user, "watched", file_server(Notes::default()));
        // Without clients the daemon would never stop at a call.
        let is_over = Arc::new(AtomicBool::new(false));
        let clients: Vec<usize> = (0..4)
            .map(|_| {
                let is_over = Arc::clone(&is_over);
                user.fork(move |user| {
                    let fd = user.open("watched:file", O_RDWR).expect("it is served");
                    let mut reads = 0;
                    while reads < READS || !is_over.load(Ordering::SeqCst) {
                        reads += 1;
                        let text = user.read(fd, 100).expect("it is served");
                        assert!(text.starts_with(b"this is file "));
                        assert_eq!(user.write(fd, b"four"), Ok(4));
                    }
                })
            })
            .collect();
        for cause in [PRE, POST, STEP, STOP_NOW].repeat(5) {
            let tracer = Tracer::attach(user, server);
            stop_for(user, tracer, cause);
            tracer.registers(user);
            user.sleep(1);
            tracer.end(user);
        }
        is_over.store(true, Ordering::SeqCst);
        for client in clients {
            assert_eq!(user.wait_for(client), Ended::Exited(0));
        }
        kill(user, server);
    });
}
