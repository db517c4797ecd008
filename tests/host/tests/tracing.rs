//! Tracing: what a tracer sees, what it may change, and who may trace.

use abi::number::{GETPID, GETPPID, SETIDS};
use abi::redox::error::ERESTART;
use host_stories::tracer::*;
use host_stories::*;
use kernel_core::machine::Exception;

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
fn a_handler_before_a_call_has_begun_interrupts_nothing() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| {
            user.on(SIGUSR1, 0, Action::run(|_, _| {}));
            assert_eq!(user.call(GETPPID, []), Ok(1));
            user.exit(7);
        });
        tracer.until(user, PRE, PRE);
        assert_eq!(tracer.until(user, PRE, PRE).a, GETPPID);
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!(tracer.until(user, PRE | POST, POST).b, (ERESTART as usize).wrapping_neg());
        assert_eq!(tracer.until(user, PRE, PRE).a, abi::number::SIGRETURN);
        assert_eq!(tracer.until(user, PRE, PRE).a, GETPPID);
        assert_eq!(tracer.until(user, POST, POST).b, 1);
        tracer.go(user, 0).expect("it is there");
        assert_eq!(user.wait_for(child), Ended::Exited(7));
        tracer.end(user);
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
fn a_fault_that_nobody_catches_stops_at_the_exit_too() {
    story_on_any(|user| {
        let (child, tracer) = traced_child(user, |user| user.misbehave(Exception::Divide));
        let event = tracer.until(user, EXIT, EXIT);
        assert_eq!(event.a as i32, killed_by(SIGFPE).status());
        assert_eq!(status_of(user, child, "State"), "t (traced)");
        tracer.go(user, 0).expect("it is there");
        assert_eq!(user.wait_for(child), killed_by(SIGFPE));
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
            // This lets all children go, also those of whom no news has been read: it may be over.
            let answer = tracer.go(user, CLONE);
            assert!(matches!(answer, Ok(8) | Err(Errno(ESRCH))), "{answer:?}");
        }
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
