//! Watching from outside: samples of a running process, and processes that have crashed.

use abi::number::SETIDS;
use abi::watch::{CRASH_WORDS, SAMPLE_RATE_MAX};
use host_stories::tracer::*;
use host_stories::*;

fn words(bytes: &[u8]) -> Vec<usize> {
    let words = bytes.chunks_exact(8).map(|word| word.try_into().expect("eight bytes"));
    words.map(usize::from_ne_bytes).collect()
}

/// A child that is ordinary user 5.
fn as_stranger(user: &mut User, act: impl FnOnce(&mut User) + Send + 'static) {
    let ended = fate(user, |user| {
        let ids: Vec<u8> = [5_u32; 4].iter().flat_map(|id| id.to_ne_bytes()).collect();
        user.with(&ids, |user, at| user.call(SETIDS, [at])).expect("root may");
        act(user);
    });
    assert_eq!(ended, Ended::Exited(0));
}

#[test]
fn a_busy_process_is_sampled_as_often_as_asked() {
    story_on_any(|user| {
        let busy = user.fork(|user| {
            // What its children do counts too.
            let child = user.fork(|user| user.work(1_000 * MS));
            user.wait_for(child);
        });
        let fd = user.open(&format!("proc:{busy}/profile"), O_RDWR).expect("it may");
        user.sleep(20);
        assert_eq!(user.read(fd, 4096), Ok(vec![]));
        assert_eq!(user.write(fd, b"1000\n"), Ok(5));
        user.sleep(50);
        assert_eq!(user.write(fd, b"0"), Ok(1));
        let samples = words(&user.read(fd, 1 << 16).expect("samples have come"));
        let mut rest = samples.as_slice();
        let mut moments = Vec::new();
        while let [count, _, _, at, lost, ..] = rest {
            assert_eq!(*lost, 0);
            moments.push(*at);
            rest = &rest[*count..];
        }
        assert!((30..=60).contains(&moments.len()), "{} samples in 50 ms", moments.len());
        assert!(moments.is_sorted());
        user.sleep(20);
        assert_eq!(user.read(fd, 4096), Ok(vec![]));
        user.close(fd).expect("it was open");
        bury(user, busy);
    });
}

#[test]
fn who_may_not_trace_may_not_sample_and_nonsense_is_refused() {
    story(|user| {
        let child = chatterer(user);
        let path = format!("proc:{child}/profile");
        as_stranger(user, {
            let path = path.clone();
            move |user| assert_eq!(user.open(&path, O_RDWR), error(EPERM))
        });
        let open = |user: &mut User| user.open(&path, O_RDWR);
        let fds: Vec<usize> = (0..4).map(|_| open(user).expect("there may be four")).collect();
        assert_eq!(open(user), error(EBUSY));
        let too_often = (SAMPLE_RATE_MAX + 1).to_string();
        for wrong in [too_often.as_bytes(), b"x", b"-1", b"", b"07"] {
            assert_eq!(user.write(fds[0], wrong), error(EINVAL));
        }
        assert_eq!(user.read(fds[0], 64), error(EINVAL));
        user.write(fds[0], b"100").expect("a good rate");
        bury(user, child);
        user.sleep(50);
        user.read(fds[0], 1 << 16).expect("what there was can be read");
        for fd in fds {
            user.close(fd).expect("it was open");
        }
    });
}

/// A child that touches what is not there, and the collector's file.
fn crash(user: &mut User) -> usize {
    user.fork(|user| drop(user.load(0x10, 1)))
}

fn collector(user: &mut User) -> usize {
    let policy = user.open("sys:core", O_RDWR).expect("root may");
    user.write(policy, b"/tmp/%p").expect("any text will do");
    user.close(policy).expect("it was open");
    user.open("proc:crashes", O_RDONLY).expect("there is none yet")
}

#[test]
fn a_crashed_process_is_kept_until_it_has_been_looked_at() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let fd = collector(user);
            let child = crash(user);
            let news = words(&user.read(fd, 4096).expect("a crash"));
            assert_eq!(news.len(), CRASH_WORDS);
            assert_eq!([news[0], news[1], news[2], news[4]], [child, child, SIGSEGV, 0x10]);
            let tracer = Tracer::attach(user, child);
            tracer.registers(user);
            assert_eq!(status_of(user, child, "State"), "t (traced)");
            tracer.end(user);
            assert_eq!(user.wait_for(child), killed_by(SIGSEGV));
            // Not a crash.
            let child = chatterer(user);
            user.kill(child as isize, SIGTERM).expect("it lives");
            assert_eq!(user.wait_for(child), killed_by(SIGTERM));
            // While it waits it can be killed.
            let child = crash(user);
            user.read(fd, 4096).expect("a crash");
            bury(user, child);
            user.close(fd).expect("it was open");
        });
    });
}

#[test]
fn nobody_waits_for_ever_for_a_collector() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            // One that goes away, with one process it knows of and one that it does not.
            let fd = collector(user);
            let children = [crash(user), crash(user)];
            user.read(fd, 4096).expect("a crash");
            user.sleep(10);
            user.close(fd).expect("it was open");
            for child in children {
                assert_eq!(user.wait_for(child), killed_by(SIGSEGV));
            }
            // One that does nothing, and one that stops half-way.
            let fd = collector(user);
            let child = crash(user);
            assert_eq!(user.wait_for(child), killed_by(SIGSEGV));
            let child = crash(user);
            user.read(fd, 4096).expect("the first");
            user.read(fd, 4096).expect("the second");
            let tracer = Tracer::attach(user, child);
            assert_eq!(user.wait_for(child), killed_by(SIGSEGV));
            tracer.end(user);
            user.close(fd).expect("it was open");
        });
    });
}

#[test]
fn only_one_collects_and_only_root() {
    story(|user| {
        let fd = collector(user);
        assert_eq!(user.open("proc:crashes", O_RDONLY), error(EBUSY));
        as_stranger(user, |user| {
            assert_eq!(user.open("proc:crashes", O_RDONLY), error(EPERM));
            assert_eq!(user.open("sys:core", O_WRONLY), error(EACCES));
        });
        user.close(fd).expect("it was open");
        // Without a pattern nothing is kept.
        let policy = user.open("sys:core", O_RDWR).expect("root may");
        user.write(policy, b"off").expect("any text will do");
        let fd = user.open("proc:crashes", O_RDONLY | O_NONBLOCK).expect("there is none");
        let child = crash(user);
        assert_eq!(user.wait_for(child), killed_by(SIGSEGV));
        assert_eq!(user.read(fd, 4096), error(EAGAIN));
        assert_eq!(user.read(fd, 8), error(EINVAL));
    });
}

#[test]
fn a_deadly_session_can_spare_its_process() {
    story_on_any(|user| {
        let child = chatterer(user);
        let tracer = Tracer::open(user, child, O_TRUNC | O_EXCL).expect("it can be traced");
        tracer.registers(user);
        tracer.go(user, abi::trace::SPARE).expect("it is there");
        tracer.end(user);
        user.sleep(5);
        assert_ne!(status_of(user, child, "State"), "Z (ended)");
        let tracer = Tracer::open(user, child, O_TRUNC | O_EXCL).expect("it can be traced");
        tracer.end(user);
        assert_eq!(user.wait_for(child), killed_by(SIGKILL));
    });
}
