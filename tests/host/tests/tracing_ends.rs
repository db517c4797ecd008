//! Tracing comes to an end: the tracee's, the tracer's, the session's.

use host_stories::tracer::*;
use host_stories::*;

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
