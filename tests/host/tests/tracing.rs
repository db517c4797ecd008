//! Tracing: what a tracer sees, what it may change, and that nothing of it stays.

use abi::number::{GETPID, GETPPID, SETIDS};
use abi::redox::error::ERESTART;
use host_stories::tracer::*;
use host_stories::*;
use kernel_core::machine::Exception;

/// A child that makes harmless calls until it is killed.
fn chatterer(user: &mut User) -> usize {
    user.fork(|user| {
        loop {
            user.call(GETPPID, []).expect("this call always works");
        }
    })
}

/// Kills a child and waits for it.
fn bury(user: &mut User, pid: usize) {
    user.kill(pid as isize, SIGKILL).expect("it lives");
    assert_eq!(user.wait_for(pid), killed_by(SIGKILL));
}

#[test]
fn a_tracer_sees_every_call_before_and_after_it_happens() {
    story_on_any(|user| {
        let child = chatterer(user);
        let own = user.pid();
        let tracer = Tracer::attach(user, child);
        for _ in 0..20 {
            let before = tracer.until(user, PRE | POST, PRE);
            assert_eq!(before.a, GETPPID);
            assert_eq!(tracer.registers(user).rax, GETPPID);
            let after = tracer.until(user, PRE | POST, POST);
            assert_eq!((after.a, after.b), (GETPPID, own));
            assert_eq!(tracer.registers(user).rax, own);
        }
        tracer.end(user);
        bury(user, child);
    });
}

#[test]
fn attaching_stops_and_seizing_does_not() {
    story_on_any(|user| {
        let child = chatterer(user);
        let tracer = Tracer::attach(user, child);
        tracer.registers(user);
        assert_eq!(status_of(user, child, "State"), "t (traced)");
        assert_eq!(status_of(user, child, "Tracer"), user.pid().to_string());
        user.sleep(3);
        assert_eq!(status_of(user, child, "State"), "t (traced)");
        tracer.end(user);
        let tracer = Tracer::seize(user, child);
        user.sleep(3);
        assert_ne!(status_of(user, child, "State"), "t (traced)");
        tracer.until(user, PRE, PRE);
        tracer.end(user);
        bury(user, child);
    });
}

#[test]
fn a_call_can_be_changed_or_left_out() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| {
            assert_eq!(user.call(GETPPID, []), Ok(4711));
            assert_eq!(user.call(GETPPID, []), Ok(user.pid()));
        });
        tracer.until(user, PRE, PRE);
        let mut registers = tracer.registers(user);
        registers.rax = 4711;
        tracer.set_registers(user, &registers).expect("it is stopped");
        let after = tracer.until(user, POST | IGNORE, POST);
        assert_eq!((after.a, after.b), (GETPPID, 4711));
        tracer.until(user, PRE, PRE);
        let mut registers = tracer.registers(user);
        registers.rax = GETPID;
        tracer.set_registers(user, &registers).expect("it is stopped");
        tracer.go(user, 0).expect("it is there");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        tracer.end(user);
    });
}

#[test]
fn every_kind_of_wait_survives_being_attached_to() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let sleeper = user.fork(|user| user.sleep(40));
        let reading = user.fork(move |user| assert_eq!(user.read(reader, 8), Ok(b"x".to_vec())));
        let waiting = user.fork(|user| {
            let child = user.fork(|user| user.sleep(30));
            user.wait_for(child);
        });
        let suspended = user.fork(|user| {
            user.on(SIGUSR1, 0, Action::run(|_, _| {}));
            assert_eq!(user.suspend(0), error(EINTR));
        });
        let children = [sleeper, reading, waiting, suspended];
        for (child, reason) in children.into_iter().zip(["time", "readable", "child", "signal"]) {
            until_waiting(user, child, reason);
            for _ in 0..5 {
                let tracer = Tracer::attach(user, child);
                let stopped = tracer.registers(user);
                assert_eq!(tracer.registers(user)[..], stopped[..]);
                tracer.end(user);
            }
            until_waiting(user, child, reason);
        }
        user.write(writer, b"x").expect("there is room");
        user.kill(suspended as isize, SIGUSR1).expect("it lives");
        for child in children {
            assert_eq!(user.wait_for(child), Ended::Exited(0));
        }
        user.close(reader).expect("it was open");
        user.close(writer).expect("it was open");
    });
}

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
fn signals_stop_before_they_act_and_can_be_dropped() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| user.sleep(20));
        tracer.go(user, SIGNAL).expect("it is there");
        for signal in [SIGTERM, SIGCHLD, SIGUSR1] {
            user.kill(child as isize, signal).expect("it lives");
            let event = tracer.is_told(user, SIGNAL);
            assert_eq!((event.a, event.b, event.d), (signal, SIG_DFL, user.pid()));
            tracer.go(user, SIGNAL | IGNORE).expect("it is there");
        }
        user.kill(child as isize, SIGTERM).expect("it lives");
        tracer.is_told(user, SIGNAL);
        tracer.go(user, SIGNAL).expect("it is there");
        assert_eq!(user.wait_for(child), killed_by(SIGTERM));
        assert_eq!(tracer.next(user).err(), Some(Errno(ESRCH)));
        tracer.end(user);
    });
}

#[test]
fn a_signal_pending_at_a_stop_is_told_once() {
    story_on_any(|user| {
        let child = chatterer(user);
        let tracer = Tracer::attach(user, child);
        tracer.until(user, PRE | SIGNAL, PRE);
        user.kill(child as isize, SIGTERM).expect("it lives");
        user.sleep(2);
        assert_eq!(status_of(user, child, "State"), "t (traced)");
        tracer.until(user, SIGNAL, SIGNAL);
        user.sleep(2);
        user.peek(|kernel| {
            assert!(kernel.traces.sessions.iter().all(|(_, session)| session.events.is_empty()));
        });
        tracer.until(user, PRE | SIGNAL | IGNORE, PRE);
        tracer.end(user);
        bury(user, child);
    });
}

#[test]
fn a_handler_interrupts_a_call_between_two_stops() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            user.on(SIGUSR1, SA_RESTART, Action::run(|_, _| {}));
            user.on(SIGUSR2, 0, Action::run(|_, _| {}));
            assert_eq!(user.read(reader, 1), error(EINTR));
            user.exit(7);
        });
        until_waiting(user, child, "readable");
        let tracer = Tracer::seize(user, child);
        tracer.go(user, POST | SIGNAL).expect("it is there");
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!(tracer.is_told(user, SIGNAL).a, SIGUSR1);
        let answer = tracer.until(user, POST | SIGNAL, POST).b;
        assert_eq!(answer, (ERESTART as usize).wrapping_neg());
        // The handler's own return, and then the call begins anew.
        assert_eq!(tracer.until(user, POST | SIGNAL, POST).a, abi::number::SIGRETURN);
        tracer.go(user, POST | SIGNAL).expect("it is there");
        until_waiting(user, child, "readable");
        user.kill(child as isize, SIGUSR2).expect("it lives");
        assert_eq!(tracer.is_told(user, SIGNAL).a, SIGUSR2);
        assert_eq!(tracer.until(user, POST | SIGNAL, POST).b, (EINTR as usize).wrapping_neg());
        tracer.go(user, 0).expect("it is there");
        assert_eq!(user.wait_for(child), Ended::Exited(7));
        tracer.end(user);
        user.close(reader).expect("it was open");
        user.close(writer).expect("it was open");
    });
}

#[test]
fn a_fault_is_told_and_can_be_mended() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| {
            let page = user.allocate(PAGE_SIZE);
            user.store(page, b"mine");
            user.protect(page, PAGE_SIZE, MapFlags::PROT_READ).expect("it is mapped");
            user.store(page, b"none");
            unreachable!("the page may not be written");
        });
        let event = tracer.until(user, SIGNAL, SIGNAL);
        assert_eq!(event.a, SIGSEGV);
        let event = tracer.until(user, SIGNAL | IGNORE, SIGNAL);
        assert_eq!(event.a, SIGSEGV, "the store is tried again");
        tracer.go(user, EXIT | SIGNAL).expect("it is there");
        let event = tracer.is_told(user, EXIT);
        assert_eq!(event.a as i32, killed_by(SIGSEGV).status());
        tracer.go(user, 0).expect("it is there");
        assert_eq!(user.wait_for(child), killed_by(SIGSEGV));
        tracer.end(user);
    });
}

#[test]
fn a_breakpoint_stops_and_is_told_where() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| {
            user.misbehave(Exception::Breakpoint);
            user.exit(3);
        });
        let event = tracer.until(user, BREAKPOINT, BREAKPOINT);
        let mut registers = tracer.registers(user);
        assert_eq!(event.a, registers.rip);
        tracer.until(user, BREAKPOINT, BREAKPOINT);
        registers.rip += 1;
        tracer.set_registers(user, &registers).expect("it is stopped");
        tracer.go(user, 0).expect("it is there");
        assert_eq!(user.wait_for(child), Ended::Exited(3));
        tracer.end(user);
        // Nobody listens: the program is on its own.
        let child = user.fork(|user| user.misbehave(Exception::Breakpoint));
        assert_eq!(user.wait_for(child), killed_by(SIGTRAP));
    });
}

#[test]
fn a_step_is_one_instruction_or_one_call() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| {
            let page = user.allocate(PAGE_SIZE);
            for round in 0..10 {
                user.store(page, &[round]);
            }
            user.exit(5);
        });
        let mut steps = 0;
        loop {
            tracer.go(user, STEP | EXIT).expect("it is there");
            let event = tracer.next(user).expect("an event comes");
            if event.cause.bits() == EXIT {
                break;
            }
            assert_eq!(event.cause.bits(), STEP);
            assert_eq!(event.a, tracer.registers(user).rip);
            steps += 1;
        }
        assert!((11..40).contains(&steps), "{steps} steps");
        tracer.go(user, 0).expect("it is there");
        assert_eq!(user.wait_for(child), Ended::Exited(5));
        tracer.end(user);
    });
}

#[test]
fn memory_is_read_and_written_and_text_breaks_sharing() {
    story_on_any(|user| {
        let page = user.allocate(PAGE_SIZE);
        user.store(page, b"parent's");
        let (reader, writer) = user.pipe();
        let (child, tracer) = traced_child(user, move |user| {
            user.read(reader, 1).expect("it comes");
            assert_eq!(user.load(page, 8), b"changed!");
        });
        let fd = user.open(&tracer.path("mem"), O_RDWR).expect("it may");
        user.seek(fd, page as isize, SEEK_SET).expect("any address is a place");
        assert_eq!(user.read(fd, 8), Ok(b"parent's".to_vec()));
        user.seek(fd, page as isize, SEEK_SET).expect("any address is a place");
        assert_eq!(user.write(fd, b"changed!"), Ok(8));
        assert_eq!(user.load(page, 8), b"parent's");
        user.seek(fd, (STACK_TOP - 4) as isize, SEEK_SET).expect("a place");
        assert_eq!(user.read(fd, 8).map(|bytes| bytes.len()), Ok(4));
        user.seek(fd, 0x10, SEEK_SET).expect("a place");
        assert_eq!(user.read(fd, 8), error(EFAULT));
        assert_eq!(user.write(fd, b"x"), error(EFAULT));
        // Text is shared with the parent and may not be written by anybody.
        let text = tracer.registers(user).rip & !(PAGE_SIZE - 1);
        let before = user.load(text, 16);
        user.seek(fd, text as isize, SEEK_SET).expect("a place");
        assert_eq!(user.write(fd, &[0xCC; 16]), Ok(16));
        assert_eq!(user.load(text, 16), before);
        user.seek(fd, text as isize, SEEK_SET).expect("a place");
        assert_eq!(user.read(fd, 16), Ok(vec![0xCC; 16]));
        user.close(fd).expect("it was open");
        tracer.end(user);
        user.write(writer, b"!").expect("there is room");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn borrowed_writes_are_taken_back() {
    story_on_any(|user| {
        let page = user.allocate(PAGE_SIZE);
        user.store(page, b"abcdef");
        let child = chatterer(user);
        let look = |user: &mut User, fd: usize| {
            user.seek(fd, page as isize, SEEK_SET).expect("a place");
            user.read(fd, 6).expect("it is there")
        };
        let plain = user.open(&format!("proc:{child}/mem"), O_RDWR).expect("it may");
        let fd = user.open(&format!("proc:{child}/mem"), O_RDWR | O_EXCL).expect("it may");
        for (at, bytes) in [(1, b"X"), (3, b"Y"), (3, b"Z")] {
            user.seek(fd, (page + at) as isize, SEEK_SET).expect("a place");
            assert_eq!(user.write(fd, bytes), Ok(1));
        }
        assert_eq!(look(user, plain), b"aXcZef");
        user.seek(fd, (page + 1) as isize, SEEK_SET).expect("a place");
        assert_eq!(user.write(fd, b"b"), Ok(1));
        assert_eq!(user.write(fd, &[0; 17]), error(EINVAL));
        user.close(fd).expect("it was open");
        assert_eq!(look(user, plain), b"abcdef");
        user.close(plain).expect("it was open");
        bury(user, child);
    });
}

#[test]
fn many_places_are_read_in_one_call() {
    story_on_any(|user| {
        let page = user.allocate(3 * PAGE_SIZE);
        user.unmap(page + 2 * PAGE_SIZE, PAGE_SIZE).expect("it was mapped");
        user.store(page, b"one two three");
        let child = chatterer(user);
        let fd = user.open(&format!("proc:{child}/mem"), O_RDONLY).expect("it may");
        let places = [(page, 3), (page + 4, 3), (0x10, 5), (page + 2 * PAGE_SIZE - 2, 4)];
        let pairs = places.iter().flat_map(|(at, length)| [*at, *length]);
        let mut payload: Vec<u8> = pairs.flat_map(usize::to_ne_bytes).collect();
        payload.resize(payload.len() + 15, b'.');
        let (found, payload) = user.with_room(payload.len(), |user, at| {
            user.store(at, &payload);
            let words = [abi::trace::READ_VECTOR, places.len()];
            let words: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let found = user.with(&words, |user, words| {
                let call = abi::redox::number::SYS_CALL;
                user.call(call, [fd, at, payload.len(), words_flags(2), words])
            });
            (found, user.load(at, payload.len()))
        });
        assert_eq!(found, Ok(8));
        assert_eq!(&payload[64..], b"onetwo.....\0\0..");
        let lengths = [24, 40, 56].map(|at| payload[at]);
        assert_eq!(lengths, [3, 0, 2]);
        user.close(fd).expect("it was open");
        bury(user, child);
    });
}

/// The flags of a call with so many words of metadata.
fn words_flags(count: usize) -> usize {
    CallFlags::READ.bits() | count
}

#[test]
fn children_and_threads_wait_for_their_tracer() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| {
            let grandchild = user.fork(|user| user.exit(9));
            assert_eq!(user.wait_for(grandchild), Ended::Exited(9));
            let thread = user.thread(|_| {});
            user.join(thread);
            user.exit(2);
        });
        let event = tracer.until(user, CLONE, CLONE);
        let grandchild = event.a;
        assert_eq!(event.b, grandchild);
        user.sleep(3);
        assert_eq!(status_of(user, grandchild, "State"), "t (traced)");
        let second = Tracer::seize(user, grandchild);
        tracer.go(user, CLONE).expect("it is there");
        user.sleep(3);
        assert_eq!(status_of(user, grandchild, "State"), "t (traced)", "it is the second's now");
        assert_eq!(second.until(user, EXIT, EXIT).a as i32, Ended::Exited(9).status());
        second.end(user);
        let event = tracer.is_told(user, CLONE);
        assert_eq!(event.b, child);
        let path = format!("proc:{child}/thread/{}/trace", event.a);
        let thread = user.open(&path, O_RDWR).expect("it waits");
        let thread = Tracer { fd: thread, pid: child };
        assert_eq!(thread.until(user, PRE, PRE).a, abi::number::THREAD_EXIT);
        thread.end(user);
        assert_eq!(user.wait_for(child), Ended::Exited(2));
        tracer.end(user);
    });
}

#[test]
fn the_news_of_children_never_pile_up() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| {
            for _ in 0..200 {
                user.fork(|_| {});
            }
            for _ in 0..200 {
                user.wait(-1).expect("there are children");
            }
        });
        tracer.go(user, CLONE).expect("it is there");
        until_waiting(user, child, "tracer");
        for _ in 0..200 {
            tracer.is_told(user, CLONE);
            tracer.go(user, CLONE).expect("it is there");
        }
        tracer.go(user, 0).expect("it is there");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        tracer.end(user);
    });
}

#[test]
fn another_program_is_told_and_can_stop_at_its_first_instruction() {
    story_on_any(|user| {
        let exec = abi::trace::STOP_EXEC;
        let program = user.program(|user| user.exit(4));
        let (child, tracer) = traced_child(user, move |user| {
            let errno = user.exec("/bin/other", &program, &["other"], &[]);
            unreachable!("{errno:?}");
        });
        let flags = SWITCH | exec | BREAKPOINT;
        tracer.until(user, flags, SWITCH);
        let event = tracer.is_told(user, exec);
        assert_eq!(event.a, tracer.registers(user).rip);
        assert_eq!(user.read_text(&tracer.path("exe")).as_deref(), Ok("/bin/other\n"));
        tracer.go(user, flags).expect("it is there");
        assert_eq!(user.wait_for(child), Ended::Exited(4));
        tracer.end(user);
    });
}

#[test]
fn the_end_of_a_tracee_wakes_its_tracer_and_loses_no_event() {
    story_on_any(|user| {
        for flags in [0, PRE, EXIT] {
            let child = chatterer(user);
            let tracer = Tracer::seize(user, child);
            let own = user.pid();
            let killer = user.fork(move |user| {
                if flags == PRE {
                    user.sleep(5);
                }
                until_waiting(user, own, "tracee");
                user.kill(child as isize, SIGKILL).expect("it lives");
            });
            match flags {
                PRE => {
                    tracer.until(user, PRE, PRE);
                }
                EXIT => {
                    // Killed on the spot: there is no stop, but the news comes.
                    let event = tracer.until(user, EXIT, EXIT);
                    assert_eq!(event.a as i32, killed_by(SIGKILL).status());
                }
                _ => {}
            }
            assert_eq!(tracer.next(user).err(), Some(Errno(ESRCH)));
            assert_eq!(tracer.go(user, 0), error(ESRCH));
            assert_eq!(user.wait_for(child), killed_by(SIGKILL));
            user.wait_for(killer);
            tracer.end(user);
        }
    });
}

#[test]
fn a_stopped_thread_can_be_killed_at_any_stop() {
    story_on_any(|user| {
        for (flags, cause) in [(PRE, PRE), (POST, POST), (STEP, STEP), (0, 0)] {
            let child = chatterer(user);
            let tracer = Tracer::attach(user, child);
            if cause != 0 {
                tracer.until(user, flags, cause);
            }
            bury(user, child);
            assert_eq!(tracer.next(user).err(), Some(Errno(ESRCH)));
            tracer.end(user);
        }
    });
}

#[test]
fn a_dying_tracer_lets_go_or_takes_along() {
    story_on_any(|user| {
        for (flags, cause) in [(PRE, PRE), (POST, POST), (STEP, STEP), (0, 0)] {
            for is_deadly in [false, true] {
                let child = chatterer(user);
                let tracer = user.fork(move |user| {
                    let open = if is_deadly { O_TRUNC | O_EXCL } else { O_TRUNC };
                    let tracer = Tracer::open(user, child, open).expect("it can be traced");
                    tracer.registers(user);
                    if cause != 0 {
                        tracer.until(user, flags, cause);
                    }
                });
                assert_eq!(user.wait_for(tracer), Ended::Exited(0));
                if is_deadly {
                    assert_eq!(user.wait_for(child), killed_by(SIGKILL));
                } else {
                    let tracer = Tracer::seize(user, child);
                    tracer.until(user, PRE, PRE);
                    tracer.end(user);
                    bury(user, child);
                }
            }
        }
    });
}

#[test]
fn sessions_are_one_for_a_thread_and_refused_with_a_reason() {
    story_on_any(|user| {
        let child = chatterer(user);
        let tracer = Tracer::attach(user, child);
        assert_eq!(Tracer::open(user, child, 0).err(), Some(Errno(EBUSY)));
        assert_eq!(Tracer::open(user, 1, 0).err(), Some(Errno(EPERM)), "oneself");
        assert_eq!(Tracer::open(user, 999, 0).err(), Some(Errno(ENOENT)));
        assert_eq!(tracer.go(user, 0x400), error(EINVAL));
        assert_eq!(user.write(tracer.fd, b"seven b"), error(EINVAL));
        assert_eq!(user.read(tracer.fd, 55), error(EINVAL));
        let fd = tracer.fd;
        user.set_flags(fd, O_NONBLOCK).expect("a flag");
        assert_eq!(user.read(fd, 56), error(EAGAIN));
        tracer.go(user, 0).expect("it is there");
        let registers = abi::redox::IntRegisters::default();
        assert_eq!(tracer.set_registers(user, &registers), error(EBUSY));
        tracer.end(user);
        bury(user, child);
    });
}

#[test]
fn registers_cannot_be_set_to_leave_the_program() {
    story_on_any(|user| {
        let child = chatterer(user);
        let tracer = Tracer::attach(user, child);
        let good = tracer.registers(user);
        for address in [USER_END, usize::MAX, 0xFFFF_8000_0000_0000] {
            let mut bad = good;
            bad.rip = address;
            assert_eq!(tracer.set_registers(user, &bad), error(EINVAL));
            let bytes = [address.to_ne_bytes(), 0usize.to_ne_bytes()].concat();
            if address > USER_END {
                assert_eq!(tracer.poke(user, "regs/env", &bytes), error(EINVAL));
            }
            let debug: Vec<u8> =
                [address, 0, 0, 0, 0, 1].iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert_eq!(tracer.poke(user, "regs/debug", &debug), error(EINVAL));
        }
        assert_eq!(tracer.registers(user)[..], good[..]);
        for name in ["regs/int", "regs/float", "regs/xsave", "regs/env", "regs/debug"] {
            let bytes = tracer.peek(user, name, 4096).expect("it is stopped");
            assert_eq!(tracer.poke(user, name, &bytes), Ok(bytes.len()));
            assert_eq!(tracer.poke(user, name, &bytes[1..]), error(EINVAL));
            assert_eq!(tracer.peek(user, name, 4096), Ok(bytes));
        }
        tracer.end(user);
        bury(user, child);
    });
}

#[test]
fn only_the_same_owner_and_root_may_trace() {
    let finished = story(|user| {
        let roots = chatterer(user);
        let delegated = Tracer::attach(user, roots);
        let stranger = user.fork(move |user| {
            let ids: Vec<u8> = [7u32; 4].iter().flat_map(|id| id.to_ne_bytes()).collect();
            user.with(&ids, |user, at| user.call(SETIDS, [at])).expect("root may");
            for name in ["trace", "mem", "regs/int", "syscall"] {
                let path = format!("proc:{roots}/{name}");
                assert_eq!(user.open(&path, O_RDONLY), error(EPERM), "{name}");
            }
            // A descriptor that somebody who may has passed on is enough.
            delegated.until(user, PRE, PRE);
            let own = user.fork(|user| user.sleep(1000));
            let tracer = Tracer::attach(user, own);
            tracer.registers(user);
            tracer.end(user);
            user.kill(own as isize, SIGKILL).expect("it lives");
            user.wait_for(own);
        });
        assert_eq!(user.wait_for(stranger), Ended::Exited(0));
        delegated.end(user);
        bury(user, roots);
    });
    assert!(finished.log.contains("may not trace"), "{}", finished.log);
}

#[test]
fn tracers_are_traced_and_killed_in_a_row() {
    story_on_any(|user| {
        let child = chatterer(user);
        let tracer = user.fork(move |user| {
            let tracer = Tracer::attach(user, child);
            loop {
                tracer.until(user, PRE, PRE);
            }
        });
        until_waiting(user, tracer, "tracee");
        let outer = Tracer::attach(user, tracer);
        for _ in 0..10 {
            outer.until(user, PRE, PRE);
        }
        bury(user, tracer);
        outer.end(user);
        let again = Tracer::attach(user, child);
        again.until(user, POST, POST);
        again.end(user);
        bury(user, child);
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

#[test]
fn a_thousand_sessions_leave_nothing() {
    story(|user| {
        leaves_nothing(user, |user| {
            let child = chatterer(user);
            let sleeper = user.fork(|user| user.sleep(1_000_000));
            for round in 0..500 {
                for pid in [child, sleeper] {
                    let tracer = Tracer::attach(user, pid);
                    match round % 3 {
                        0 => drop(tracer.registers(user)),
                        1 if pid == child => drop(tracer.until(user, PRE, PRE)),
                        _ => {}
                    }
                    tracer.end(user);
                }
            }
            bury(user, child);
            bury(user, sleeper);
        });
    });
}

#[test]
fn events_come_through_event_queues() {
    story_on_any(|user| {
        let first = chatterer(user);
        let second = chatterer(user);
        let queue = user.event_queue();
        let tracers = [Tracer::attach(user, first), Tracer::attach(user, second)];
        for tracer in tracers {
            let read = EventFlags::EVENT_READ;
            user.watch(queue, tracer.fd, read, tracer.pid).expect("it can be watched");
            tracer.go(user, PRE).expect("it is there");
        }
        let mut seen = Vec::new();
        while seen.len() < 2 {
            seen.push(user.next_event(queue).expect("something happens").data);
        }
        seen.sort_unstable();
        assert_eq!(seen, [first, second]);
        for tracer in tracers {
            tracer.is_told(user, PRE);
            tracer.end(user);
            bury(user, tracer.pid);
        }
        user.close(queue).expect("it was open");
    });
}
