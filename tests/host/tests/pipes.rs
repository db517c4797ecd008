//! Pipes.

use abi::redox::flag::{F_GETFL, O_ACCMODE};
use abi::redox::number::{SYS_CALL, SYS_FCNTL};
use abi::socket;
use host_stories::*;

#[test]
fn bytes_written_by_one_process_are_read_by_another() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            user.close(reader).expect("it is open");
            for word in ["one ", "two ", "three"] {
                assert_eq!(user.write(writer, word.as_bytes()), Ok(word.len()));
                user.sleep(1);
            }
        });
        user.close(writer).expect("it is open");
        let mut all = Vec::new();
        while let Ok(piece) = user.read(reader, 3)
            && !piece.is_empty()
        {
            all.extend(piece);
        }
        assert_eq!(all, b"one two three");
        user.wait_for(child);
    });
}

#[test]
fn an_empty_pipe_is_waited_for_and_its_end_is_the_end_of_the_file() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            user.close(writer).expect("it is open");
            assert_eq!(user.read(reader, 8), Ok(vec![]));
            assert_eq!(user.read(reader, 8), Ok(vec![]));
        });
        until_waiting(user, child, "readable");
        user.close(writer).expect("it is open");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn writing_where_nobody_reads_is_epipe_and_a_signal() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            user.close(reader).expect("it is open");
            user.on(SIGPIPE, 0, Action::Ignore);
            while user.write(writer, b"anybody?") == Ok(8) {}
            assert_eq!(user.write(writer, b"anybody?"), error(EPIPE));
            user.on(SIGPIPE, 0, Action::Default);
            user.write(writer, b"anybody?").expect_err("the signal ends it");
            panic!("SIGPIPE ends a process");
        });
        user.close(reader).expect("it is open");
        assert_eq!(user.wait_for(child), killed_by(SIGPIPE));
    });
}

#[test]
fn a_full_pipe_makes_its_writer_wait() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let total = 300_000;
        let child = user.fork(move |user| {
            let bytes = vec![3; total];
            let mut done = 0;
            while done < total {
                done += user.write(writer, &bytes[done..]).expect("somebody reads");
            }
        });
        user.close(writer).expect("it is open");
        until_waiting(user, child, "writable");
        let mut count = 0;
        loop {
            let piece = user.read(reader, 10_000).expect("somebody writes");
            if piece.is_empty() {
                break;
            }
            assert!(piece.iter().all(|byte| *byte == 3));
            count += piece.len();
        }
        assert_eq!((count, user.wait_for(child)), (total, Ended::Exited(0)));
    });
}

#[test]
fn nobody_waits_who_does_not_want_to() {
    story(|user| {
        let (reader, writer) = user.pipe();
        user.set_flags(reader, O_NONBLOCK).expect("it is open");
        user.set_flags(writer, O_NONBLOCK).expect("it is open");
        assert_eq!(user.read(reader, 8), error(EAGAIN));
        while user.write(writer, &[0; 4096]).is_ok() {}
        assert_eq!(user.write(writer, &[0; 4096]), error(EAGAIN));
        assert_eq!(user.read(reader, 1).map(|bytes| bytes.len()), Ok(1));
        assert_eq!(user.write(writer, &[0; 4096]), error(EAGAIN));
        assert_eq!(user.write(writer, &[0]), Ok(1));
    });
}

#[test]
fn writes_of_a_page_stay_together() {
    story_on_any(|user| {
        let (reader, writer) = user.pipe();
        let children: Vec<_> = (1..=4u8)
            .map(|number| {
                user.fork(move |user| {
                    for _ in 0..8 {
                        assert_eq!(user.write(writer, &[number; 4096]), Ok(4096));
                    }
                })
            })
            .collect();
        user.close(writer).expect("it is open");
        for _ in 0..32 {
            let mut page = Vec::new();
            while page.len() < 4096 {
                page.extend(user.read(reader, 4096 - page.len()).expect("somebody writes"));
            }
            assert!(page.iter().all(|byte| *byte == page[0]), "writes were mixed");
        }
        for child in children {
            assert_eq!(user.wait_for(child), Ended::Exited(0));
        }
    });
}

#[test]
fn each_end_does_only_its_own_work() {
    story(|user| {
        let (reader, writer) = user.pipe();
        assert_eq!(user.read(writer, 1), error(EBADF));
        assert_eq!(user.write(reader, b"x"), error(EBADF));
        assert_eq!(user.seek(reader, 0, SEEK_SET), error(ESPIPE));
        assert_eq!(user.dup(writer, b"write"), error(EINVAL));
        assert_eq!(user.dup(reader, b"nonsense"), error(EINVAL));
        assert_eq!(user.write(writer, b""), Ok(0));
        user.write(writer, b"three").expect("there is room");
        let stat = user.stat(reader).expect("it is open");
        assert_eq!((stat.st_mode & 0xF000, stat.st_size), (MODE_FIFO, 5));
    });
}

#[test]
fn pipes_leave_nothing_behind() {
    story(|user| {
        leaves_nothing(user, |user| {
            for _ in 0..200 {
                let (reader, writer) = user.pipe();
                user.write(writer, b"forgotten").expect("there is room");
                user.close(reader).expect("it is open");
                user.close(writer).expect("it is open");
            }
        });
    });
}

fn pair(user: &mut User) -> (usize, usize) {
    let one = user.open("pipe:pair", O_RDWR).expect("a two-way pipe can be made");
    let other = user.dup(one, b"peer").expect("it has another end");
    (one, other)
}

#[test]
fn a_two_way_pipe_carries_both_ways() {
    story_on_any(|user| {
        let (one, other) = pair(user);
        let child = user.fork(move |user| {
            user.close(one).expect("it is open");
            let question = user.read(other, 8).expect("somebody asks");
            assert_eq!(question, b"question");
            assert_eq!(user.write(other, b"answer"), Ok(6));
            assert_eq!(user.read(other, 8), Ok(vec![]));
        });
        user.close(other).expect("it is open");
        until_waiting(user, child, "readable");
        assert_eq!(user.write(one, b"question"), Ok(8));
        assert_eq!(user.read(one, 8), Ok(b"answer".to_vec()));
        user.close(one).expect("it is open");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn an_end_of_a_two_way_pipe_learns_that_the_other_has_gone() {
    story(|user| {
        let (one, other) = pair(user);
        user.on(SIGPIPE, 0, Action::Ignore);
        user.write(other, b"last").expect("there is room");
        assert_eq!(user.dup(one, b"write"), error(EINVAL));
        user.close(other).expect("it is open");
        assert_eq!(user.write(one, b"anybody?"), error(EPIPE));
        assert_eq!(user.read(one, 8), Ok(b"last".to_vec()));
        assert_eq!(user.read(one, 8), Ok(vec![]));
    });
}

#[test]
fn two_way_pipes_leave_nothing_behind() {
    story(|user| {
        leaves_nothing(user, |user| {
            for turn in 0..200 {
                let (one, other) = pair(user);
                user.write(one, b"forgotten").expect("there is room");
                user.write(other, b"as well").expect("there is room");
                let (first, second) = if turn % 2 == 0 { (one, other) } else { (other, one) };
                user.close(first).expect("it is open");
                user.close(second).expect("it is open");
            }
        });
    });
}

#[test]
fn a_two_way_pipe_carries_bytes_both_ways() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let one = user.open("pipe:pair", O_RDWR).expect("it can be made");
            let other = user.dup(one, b"peer").expect("it has another end");
            let child = user.fork(move |user| {
                user.close(one).expect("it is open");
                assert_eq!(user.read(other, 64).as_deref(), Ok(&b"question"[..]));
                user.write(other, b"answer").expect("somebody reads");
            });
            user.close(other).expect("it is open");
            user.write(one, b"question").expect("somebody reads");
            assert_eq!(user.read(one, 64).as_deref(), Ok(&b"answer"[..]));
            assert_eq!(user.read(one, 64), Ok(vec![]));
            user.on(SIGPIPE, 0, Action::Ignore);
            assert_eq!(user.write(one, b"hello?"), error(EPIPE));
            user.close(one).expect("it is open");
            assert_eq!(user.wait_for(child), Ended::Exited(0));
        });
    });
}

/// A message to a two-way pipe.
fn ask(user: &mut User, fd: usize, payload: &[u8], metadata: &[u64]) -> Answer {
    let words: Vec<u8> = metadata.iter().flat_map(|word| word.to_ne_bytes()).collect();
    user.with(payload, |user, at| {
        user.with(&words, |user, words_at| {
            let flags = CallFlags::READ | CallFlags::WRITE;
            let flags = flags.bits() | metadata.len();
            user.call(SYS_CALL, [fd, at, payload.len(), flags, words_at])
        })
    })
}

/// Sends bytes with files.
fn pass(user: &mut User, fd: usize, files: &[usize], bytes: &[u8]) -> Answer {
    let mut payload: Vec<u8> = files.iter().flat_map(|fd| (*fd as u64).to_ne_bytes()).collect();
    payload.extend(bytes);
    ask(user, fd, &payload, &[socket::SEND, files.len() as u64, socket::NO_WAIT])
}

/// Receives up to 64 bytes, and files: as many bytes, as many files, and the first file.
fn take(user: &mut User, fd: usize, room: usize) -> Answer<(usize, usize, usize)> {
    user.with_room(room * 8 + 64, |user, at| {
        let words = [socket::RECEIVE, room as u64, socket::NO_WAIT];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let answer = user.with(&bytes, |user, words_at| {
            let flags = (CallFlags::READ | CallFlags::WRITE).bits() | words.len();
            user.call(SYS_CALL, [fd, at, room * 8 + 64, flags, words_at])
        })?;
        let files = (answer & !socket::LOST_FILES) >> 32;
        let first = if files > 0 { user.load_word(at) } else { 0 };
        Ok((answer as u32 as usize, files, first))
    })
}

#[test]
fn files_travel_with_the_bytes_they_were_sent_with() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let (one, other) = pair(user);
            let (reader, writer) = user.pipe();
            assert_eq!(user.write(one, b"before"), Ok(6));
            assert_eq!(pass(user, one, &[writer], b"with"), Ok(4));
            assert_eq!(user.close(writer), Ok(0));
            assert_eq!(take(user, other, 2), Ok((6, 0, 0)));
            let (bytes, files, writer) = take(user, other, 2).expect("it is there");
            assert_eq!((bytes, files), (4, 1));
            assert_eq!(user.write(writer, b"through"), Ok(7));
            assert_eq!(user.read(reader, 9), Ok(b"through".to_vec()));
            // On the way when everything is closed; read over; without room.
            assert_eq!(pass(user, one, &[writer, writer], b"x"), Ok(1));
            assert_eq!(user.read(other, 1), Ok(b"x".to_vec()));
            assert_eq!(pass(user, one, &[writer], b"x"), Ok(1));
            assert_eq!(take(user, other, 0), Ok((1, 0, 0)));
            assert_eq!(pass(user, one, &[writer], b"x"), Ok(1));
            for fd in [writer, one, other] {
                assert_eq!(user.close(fd), Ok(0));
            }
            assert_eq!(user.read(reader, 1), Ok(vec![]));
            assert_eq!(user.close(reader), Ok(0));
        });
    });
}

#[test]
fn nonsense_in_a_message_is_refused() {
    story_on_any(|user| {
        let (one, other) = pair(user);
        for count in [3, 65, 1 << 61, u64::MAX / 8, u64::MAX] {
            let send = [socket::SEND, count, socket::NO_WAIT];
            assert_eq!(ask(user, one, b"payload", &send), error(EINVAL), "{count}");
            let receive = [socket::RECEIVE, count, socket::NO_WAIT];
            assert_eq!(ask(user, other, b"payload", &receive), error(EINVAL), "{count}");
        }
        for how in [0, 4, u64::MAX] {
            assert_eq!(ask(user, one, b"", &[socket::SHUTDOWN, how]), error(EINVAL));
        }
        assert_eq!(ask(user, one, b"", &[u64::MAX]), error(EOPNOTSUPP));
        assert_eq!(user.write(one, b"still whole"), Ok(11));
        assert_eq!(user.read(other, 20), Ok(b"still whole".to_vec()));
    });
}

#[test]
fn no_pipe_carries_itself() {
    story_on_any(|user| {
        leaves_nothing(user, |user| {
            let (one, other) = pair(user);
            let (far, near) = pair(user);
            for end in [one, other] {
                assert_eq!(pass(user, one, &[end], b"x"), error(ETOOMANYREFS));
            }
            assert_eq!(pass(user, one, &[far], b"x"), Ok(1));
            assert_eq!(pass(user, near, &[one], b"x"), error(ETOOMANYREFS));
            assert_eq!(pass(user, one, &[99], b"x"), error(EBADF));
            assert_eq!(pass(user, one, &[near], b""), error(EINVAL));
            for fd in [one, other, far, near] {
                assert_eq!(user.close(fd), Ok(0));
            }
        });
    });
}

#[test]
fn one_direction_of_a_two_way_pipe_ends_alone() {
    story_on_any(|user| {
        let (one, other) = pair(user);
        user.on(SIGPIPE, 0, Action::Ignore);
        assert_eq!(user.write(one, b"last"), Ok(4));
        let waiting = user.fork(move |user| {
            assert_eq!(user.read(other, 9), Ok(b"last".to_vec()));
            assert_eq!(user.read(other, 9), Ok(vec![]));
        });
        until_waiting(user, waiting, "readable");
        assert_eq!(ask(user, one, &[], &[socket::SHUTDOWN, socket::SHUT_WRITE]), Ok(0));
        assert_eq!(user.wait_for(waiting), Ended::Exited(0));
        assert_eq!(user.write(one, b"more"), error(EPIPE));
        assert_eq!(user.write(other, b"back"), Ok(4));
        assert_eq!(user.read(one, 9), Ok(b"back".to_vec()));
        assert_eq!(ask(user, one, &[], &[socket::SHUTDOWN, 0]), error(EINVAL));
        assert_eq!(ask(user, one, &[], &[99]), error(EOPNOTSUPP));
        assert_eq!(ask(user, one, b"name", &[socket::SET_NAME]), Ok(0));
        assert_eq!(ask(user, one, b"name", &[socket::SET_NAME]), error(EINVAL));
        assert_eq!(ask(user, other, &[0; 8], &[socket::NAME, socket::PEER]), Ok(4));
        assert_eq!(ask(user, other, &[0; 8], &[socket::NAME, socket::OWN]), Ok(0));
    });
}

/// A pipe whose ends come and go, and one of its ends.
fn fifo(user: &mut User) -> usize {
    user.open("pipe:fifo", O_RDWR).expect("a pipe without ends")
}

#[test]
fn the_ends_of_a_fifo_come_and_go() {
    story_on_any(|user| {
        let fifo = fifo(user);
        assert_eq!(user.read(fifo, 1), error(EBADF));
        assert_eq!(user.write(fifo, b"x"), error(EBADF));
        assert_eq!(user.dup(fifo, b"read-met"), error(ENXIO));
        assert_eq!(user.dup(fifo, b"write-met"), error(ENXIO));
        assert_eq!(user.dup(fifo, b"else"), error(EINVAL));
        for (end, access) in [(&b"read"[..], O_RDONLY), (b"write", O_WRONLY)] {
            let end = user.dup(fifo, end).expect("an end");
            let flags = user.call(SYS_FCNTL, [end, F_GETFL, 0]);
            assert_eq!(flags.map(|flags| flags & O_ACCMODE), Ok(access));
            user.close(end).expect("it is open");
        }
        for round in 0..3 {
            let reader = user.dup(fifo, b"read").expect("the first end");
            assert_eq!(user.read(reader, 8), Ok(vec![]), "nobody writes");
            let writer = user.dup(fifo, b"write-met").expect("somebody reads");
            assert_eq!(user.write(writer, b"round"), Ok(5));
            let second = user.dup(fifo, b"read-met").expect("somebody writes");
            assert_eq!(user.read(second, 2), Ok(b"ro".to_vec()), "round {round}");
            user.close(second).expect("it is open");
            user.close(writer).expect("it is open");
            assert_eq!(user.read(reader, 8), Ok(b"und".to_vec()));
            assert_eq!(user.read(reader, 8), Ok(vec![]), "the writer is gone");
            user.close(reader).expect("it is open");
        }
    });
}

#[test]
fn one_end_of_a_fifo_may_be_both() {
    story_on_any(|user| {
        let fifo = fifo(user);
        let both = user.dup(fifo, b"both").expect("both ends");
        assert_eq!(user.write(both, b"self"), Ok(4));
        assert_eq!(user.read(both, 8), Ok(b"self".to_vec()));
        let reader = user.dup(fifo, b"read-met").expect("an end");
        let child = user.fork(move |user| {
            user.close(both).expect("it is open");
            assert_eq!(user.read(reader, 8), Ok(b"one".to_vec()));
            assert_eq!(user.read(reader, 8), Ok(vec![]), "the last writer is gone");
        });
        until_waiting(user, child, "readable");
        assert_eq!(user.write(both, b"one"), Ok(3));
        until_waiting(user, child, "readable");
        user.close(both).expect("it is open");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        user.close(reader).expect("it is open");
        assert_eq!(user.stat(fifo).expect("it is open").st_nlink, 1);
    });
}

#[test]
fn what_nobody_has_an_end_of_any_more_is_gone() {
    story_on_any(|user| {
        let fifo = fifo(user);
        let (reader, writer) = (user.dup(fifo, b"read"), user.dup(fifo, b"write"));
        let (reader, writer) = (reader.expect("an end"), writer.expect("an end"));
        assert_eq!(user.write(writer, b"old"), Ok(3));
        assert_eq!(user.stat(fifo).expect("it is open").st_size, 3);
        user.close(reader).expect("it is open");
        assert_eq!(user.stat(fifo).expect("it is open").st_size, 3, "it may be read by the next");
        user.close(writer).expect("it is open");
        assert_eq!(user.stat(fifo).expect("it is open").st_size, 0);
        let reader = user.dup(fifo, b"read").expect("an end");
        assert_eq!(user.read(reader, 8), Ok(vec![]));
    });
}

#[test]
fn the_ends_of_a_fifo_outlive_what_kept_it() {
    story_on_any(|user| {
        let fifo = fifo(user);
        let reader = user.dup(fifo, b"read").expect("an end");
        let writer = user.dup(fifo, b"write").expect("an end");
        assert_eq!(user.dup(reader, b"write"), error(EINVAL), "who may read may not write");
        user.close(fifo).expect("it is open");
        assert_eq!(user.dup(reader, b"write"), error(EINVAL), "nor then");
        assert_eq!(user.write(writer, b"still"), Ok(5));
        assert_eq!(user.read(reader, 8), Ok(b"still".to_vec()));
        let child = user.fork(move |user| {
            user.close(writer).expect("it is open");
            assert_eq!(user.read(reader, 8), Ok(vec![]));
        });
        until_waiting(user, child, "readable");
        user.close(writer).expect("it is open");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn fifos_leave_nothing_behind() {
    story(|user| {
        leaves_nothing(user, |user| {
            for round in 0..200 {
                let fifo = fifo(user);
                let reader = user.dup(fifo, b"read").expect("an end");
                let writer = user.dup(fifo, b"write-met").expect("an end");
                user.write(writer, b"forgotten").expect("there is room");
                let order =
                    [[fifo, reader, writer], [writer, fifo, reader], [reader, writer, fifo]];
                for fd in order[round % 3] {
                    user.close(fd).expect("it is open");
                }
            }
        });
    });
}
