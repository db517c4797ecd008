//! Inside a signal's handler: its stack, its registers, faults it may repair, and the way back.

use abi::number::SIGALTSTACK;
use host_stories::*;
use std::sync::Arc;

#[test]
fn a_handler_is_not_interrupted_by_its_own_signal_but_by_others() {
    story(|user| {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let note = |order: &Arc<std::sync::Mutex<Vec<&'static str>>>, what| {
            order.lock().expect("no panic").push(what);
        };
        let (first, second) = (Arc::clone(&order), Arc::clone(&order));
        user.on(
            SIGUSR1,
            0,
            Action::run(move |user, _| {
                note(&first, "outer");
                let pid = user.pid() as isize;
                if first.lock().expect("no panic").len() == 1 {
                    user.kill(pid, SIGUSR1).expect("it lives");
                    user.kill(pid, SIGUSR2).expect("it lives");
                }
                note(&first, "outer ends");
            }),
        );
        user.on(SIGUSR2, 0, Action::run(move |_, _| note(&second, "inner")));
        let pid = user.pid() as isize;
        user.kill(pid, SIGUSR1).expect("it lives");
        let order = order.lock().expect("no panic").clone();
        assert_eq!(order, ["outer", "inner", "outer ends", "outer", "outer ends"]);
    });
}

#[test]
fn a_fault_can_be_repaired_by_its_handler() {
    story(|user| {
        let at = user.allocate(PAGE_SIZE);
        user.protect(at, PAGE_SIZE, MapFlags::PROT_READ).expect("it is mapped");
        let both = MapFlags::PROT_READ | MapFlags::PROT_WRITE;
        let repair = Action::run(move |user, _| {
            user.protect(at, PAGE_SIZE, both).expect("it is mapped");
        });
        user.on(SIGSEGV, 0, repair);
        user.store(at, b"mended");
        assert_eq!(user.load(at, 6), b"mended");
    });
}

#[test]
fn what_the_processor_refuses_is_a_signal() {
    story(|user| {
        use kernel_core::machine::Exception;
        for (exception, signal) in [
            (Exception::Divide, SIGFPE),
            (Exception::InvalidInstruction, SIGILL),
            (Exception::Protection, SIGSEGV),
            (Exception::Breakpoint, SIGTRAP),
            (Exception::Alignment, SIGBUS),
        ] {
            let ended = fate(user, move |user| user.misbehave(exception));
            assert_eq!(ended, killed_by(signal), "{exception:?}");
        }
    });
}

#[test]
fn a_handler_without_a_stack_cannot_run() {
    story(|user| {
        let ended = fate(user, |user| {
            user.on(SIGUSR1, 0, Action::run(|_, _| panic!("there is no stack")));
            let pid = user.pid();
            user.with_stack_at(0x2000, |user| {
                user.call(abi::number::KILL, [pid, SIGUSR1]).expect("it dies of it");
            });
        });
        assert_eq!(ended, killed_by(SIGSEGV));
    });
}

#[test]
fn there_is_no_way_back_from_no_handler() {
    story(|user| assert_eq!(user.call(abi::number::SIGRETURN, []), error(EINVAL)));
}

#[test]
fn a_child_made_in_a_handler_can_return_from_it_too() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let action = Action::run(move |user, _| {
            user.fork(move |user| {
                let pid = user.pid() as u32;
                let unfinished = user.peek(|kernel| {
                    let task = kernel.tids[&pid];
                    kernel.tasks[task.0].signals.interrupted.len()
                });
                user.write(writer, &[unfinished as u8]).expect("somebody reads");
            });
        });
        user.on(SIGUSR1, 0, action);
        let pid = user.pid() as isize;
        user.kill(pid, SIGUSR1).expect("it lives");
        assert_eq!(user.read(reader, 8), Ok(vec![1]), "the child is in the handler too");
        assert_eq!(user.wait(-1).map(|(_, ended)| ended), Ok(Ended::Exited(0)));
    });
}

#[test]
fn a_handler_lies_in_the_programs_own_half() {
    story(|user| {
        for handler in [2, USER_START - 1, USER_END, 1 << 47, usize::MAX] {
            let action = SigAction { handler, ..SigAction::default() };
            assert_eq!(user.set_action(SIGUSR1, action), error(EINVAL), "{handler:#x}");
        }
    });
}

#[test]
fn a_handler_runs_on_the_stack_it_was_given() {
    const SIZE: usize = 8192;
    story_on_any(|user| {
        let stack = user.allocate(SIZE);
        let set = move |user: &mut User, flags: usize, size: usize| {
            let words = [stack, flags, size].map(usize::to_ne_bytes).concat();
            user.with(&words, |user, at| user.call(SIGALTSTACK, [at, 0]))
        };
        let state = |user: &mut User| {
            user.with_room(24, |user, at| {
                user.call(SIGALTSTACK, [0, at]).expect("there is room");
                [0, 8, 16].map(|offset| user.load_word(at + offset))
            })
        };
        assert_eq!(state(user), [0, SS_DISABLE, 0]);
        assert_eq!(set(user, 0, SIGNAL_STACK_MIN - 1), Err(Errno(ENOMEM)));
        assert_eq!(set(user, 0, usize::MAX), Err(Errno(EINVAL)));
        assert_eq!(set(user, 4, SIZE), Err(Errno(EINVAL)));
        assert_eq!(set(user, 0, SIZE), Ok(0));
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        for flags in [0, SA_ONSTACK] {
            let seen = seen.clone();
            let handler = Action::run(move |user, _| {
                let frame = user.load(stack + SIZE - 256, 256).iter().any(|byte| *byte != 0);
                let refused = set(user, SS_DISABLE, 0);
                seen.lock().expect("no panic").push((frame, state(user)[1], refused));
                if refused.is_ok() {
                    set(user, 0, SIZE).expect("as before");
                }
            });
            user.on(SIGUSR1, flags, handler);
            let pid = user.pid() as isize;
            user.kill(pid, SIGUSR1).expect("it lives");
        }
        let seen = seen.lock().expect("no panic").clone();
        assert_eq!(seen, [(false, SS_DISABLE, Ok(0)), (true, SS_ONSTACK, Err(Errno(EPERM)))]);
        // A child has it as well; a new thread, which has a stack of its own, has not.
        let child = user.fork(move |user| assert_eq!(state(user), [stack, 0, SIZE]));
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        let thread = user.thread(move |user| assert_eq!(state(user), [0, SS_DISABLE, 0]));
        user.join(thread);
        assert_eq!(set(user, SS_DISABLE, 0), Ok(0));
        assert_eq!(state(user), [0, SS_DISABLE, 0]);
    });
}
