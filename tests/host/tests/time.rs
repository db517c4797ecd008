//! Sleeping, clocks, and waiting for a word of memory.

use abi::redox::number::*;
use host_stories::*;

#[test]
fn sleepers_wake_in_the_order_of_their_moments() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        for number in [5u8, 1, 4, 2, 3] {
            user.fork(move |user| {
                user.sleep(u64::from(number) * 10);
                user.write(writer, &[number]).expect("somebody reads");
            });
        }
        user.close(writer).expect("it is open");
        let mut order = Vec::new();
        while let Ok(piece) = user.read(reader, 8)
            && !piece.is_empty()
        {
            order.extend(piece);
        }
        assert_eq!(order, [1, 2, 3, 4, 5]);
        while user.wait(-1).is_ok() {}
    });
}

#[test]
fn a_sleep_takes_its_time_and_no_more_than_a_little_longer() {
    story_on_any(|user| {
        for milliseconds in [0, 1, 100, 100_000] {
            let before = user.now();
            user.sleep(milliseconds);
            let took = user.now() - before;
            let wanted = milliseconds * MS;
            assert!((wanted..wanted + MS).contains(&took), "{took} ns for {wanted}");
        }
    });
}

#[test]
fn impossible_moments_are_errors() {
    story(|user| {
        let bad = [(-1i64, 0u64), (0, 1_000_000_000), (0, u64::from(u32::MAX))];
        for (seconds, rest) in bad {
            let bytes = [seconds.to_ne_bytes(), rest.to_ne_bytes()].concat();
            let answer = user.with(&bytes, |user, at| user.call(SYS_NANOSLEEP, [at, 0]));
            assert_eq!(answer, error(EINVAL), "{seconds} s, {rest} ns");
        }
        assert_eq!(user.call(SYS_NANOSLEEP, [0, 0]), error(EFAULT));
        assert_eq!(user.call(SYS_CLOCK_GETTIME, [99, 0]), error(EINVAL));
        assert_eq!(user.call(SYS_CLOCK_GETTIME, [CLOCK_MONOTONIC, 0]), error(EFAULT));
    });
}

#[test]
fn the_two_clocks_go_together() {
    story(|user| {
        let read = |user: &mut User, path: &str| {
            let fd = user.open(path, O_RDWR).expect("there is this clock");
            let bytes = user.read(fd, 16).expect("it can be read");
            user.close(fd).expect("it is open");
            u64::from_ne_bytes(bytes[..8].try_into().expect("8 bytes"))
        };
        let (boot, real) = (read(user, "time:4"), read(user, "time:1"));
        user.sleep(5000);
        assert_eq!(read(user, "time:4") - boot, 5);
        assert_eq!(read(user, "time:1") - real, 5);
        assert!(real > 1_600_000_000);
        assert_eq!(user.list("time:"), Ok(vec!["1".to_owned(), "4".to_owned()]));
        assert_eq!(user.open("time:2", O_RDWR), error(ENOENT));
    });
}

#[test]
fn a_word_is_waited_for_until_somebody_wakes() {
    story_on_any(|user| {
        let word = user.allocate(PAGE_SIZE);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                user.thread(move |user| {
                    while user.load_u32(word) == 0 {
                        let answer = user.futex_wait(word, 0, None);
                        assert!(matches!(answer, Ok(0) | Err(Errno(EAGAIN))), "{answer:?}");
                    }
                })
            })
            .collect();
        user.sleep(5);
        assert_eq!(user.futex_wake(word, 1), Ok(1));
        user.sleep(1);
        user.store(word, &1u32.to_ne_bytes());
        assert_eq!(user.futex_wake(word, usize::MAX), Ok(3), "the first one waits again");
        waiters.into_iter().for_each(|thread| user.join(thread));
        assert_eq!(user.futex_wake(word, 1), Ok(0));
    });
}

#[test]
fn who_comes_too_late_or_waits_too_long_is_told() {
    story_on_any(|user| {
        let word = user.allocate(PAGE_SIZE);
        assert_eq!(user.futex_wait(word, 1, None), error(EAGAIN));
        let before = user.now();
        assert_eq!(user.futex_wait(word, 0, Some(30 * MS)), error(ETIMEDOUT));
        assert!(user.now() - before >= 30 * MS);
        assert_eq!(user.futex_wait(word + 1, 0, None), error(EINVAL));
        assert_eq!(user.futex_wait(0, 0, None), error(EFAULT));
        assert_eq!(user.call(SYS_FUTEX, [word + 4, FUTEX_WAIT64, 0, 0]), error(EINVAL));
        assert_eq!(user.call(SYS_FUTEX, [word, 99, 0, 0]), error(ENOSYS));
    });
}

#[test]
fn words_of_shared_memory_are_waited_for_across_processes() {
    story_on_any(|user| {
        let word = user.allocate_shared(PAGE_SIZE);
        let child = user.fork(move |user| {
            while user.load_u32(word) == 0 {
                user.futex_wait(word, 0, None).ok();
            }
        });
        until_waiting(user, child, "futex");
        user.store(word, &1u32.to_ne_bytes());
        assert_eq!(user.futex_wake(word, 1), Ok(1));
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn words_of_private_memory_are_not() {
    story_on_any(|user| {
        let word = user.allocate(PAGE_SIZE);
        user.store(word, &0u32.to_ne_bytes());
        let child = user.fork(move |user| {
            assert_eq!(user.futex_wait(word, 0, Some(20 * MS)), error(ETIMEDOUT));
        });
        until_waiting(user, child, "futex");
        assert_eq!(user.futex_wake(word, 9), Ok(0));
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_lock_of_futexes_lets_one_thread_in_at_a_time() {
    story_on_any(|user| {
        let lock = user.allocate_shared(PAGE_SIZE);
        let count = lock + 64;
        let children: Vec<_> = (0..4)
            .map(|_| {
                user.fork(move |user| {
                    for _ in 0..20 {
                        user.lock(lock);
                        let have = user.load_word(count);
                        user.give_way();
                        user.store_word(count, have + 1);
                        user.unlock(lock);
                    }
                })
            })
            .collect();
        for child in children {
            assert_eq!(user.wait_for(child), Ended::Exited(0));
        }
        assert_eq!(user.load_word(count), 80);
    });
}

#[test]
fn many_words_waited_for_leave_nothing_behind() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let ended = fate(user, |user| {
                let words = user.allocate(PAGE_SIZE);
                for number in 0..100 {
                    let answer = user.futex_wait(words + number * 8, 0, Some(1000));
                    assert_eq!(answer, error(ETIMEDOUT));
                }
            });
            assert_eq!(ended, Ended::Exited(0));
        });
    });
}
