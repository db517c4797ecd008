//! Tracing in the worst moment: whatever else happens at a stop, nothing is lost and nothing stays.

use host_stories::tracer::*;
use host_stories::*;

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
