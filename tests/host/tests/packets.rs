//! Two-way pipes of packets.

use abi::number::SETIDS;
use abi::redox::number::SYS_CALL;
use abi::socket::{
    CUT, LOST_FILES, NO_WAIT, PEEK, PEER, PEER_IDS, RECEIVE, SEND, SET_IDS, SHUT_WRITE, SHUTDOWN,
    WHOLE_LENGTH,
};
use host_stories::*;

fn pair(user: &mut User, kind: &str) -> (usize, usize) {
    let one = user.open(&format!("packet:{kind}"), O_RDWR).expect("packets can be sent");
    let other = user.dup(one, b"peer").expect("it has another end");
    (one, other)
}

/// A message without files.
fn call(user: &mut User, fd: usize, room: usize, words: &[u64]) -> Answer {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    user.with(&bytes, |user, at| {
        user.with_room(room.max(1), |user, payload| {
            let flags = abi::redox::flag::CallFlags::READ.bits() | words.len();
            user.call(SYS_CALL, [fd, payload, room, flags, at])
        })
    })
}

#[test]
fn packets_arrive_whole_one_by_one_and_in_order() {
    story_on_any(|user| {
        for kind in ["datagram", "sequence"] {
            let (one, other) = pair(user, kind);
            for packet in [&b"first"[..], b"", b"the third"] {
                assert_eq!(user.write(one, packet), Ok(packet.len()));
            }
            assert_eq!(user.write(other, b"back"), Ok(4));
            assert_eq!(user.read(other, 64).as_deref(), Ok(&b"first"[..]));
            assert_eq!(user.read(other, 64).as_deref(), Ok(&b""[..]));
            // What there is no room for is lost.
            assert_eq!(user.read(other, 3).as_deref(), Ok(&b"the"[..]));
            assert_eq!(user.read(one, 64).as_deref(), Ok(&b"back"[..]));
            user.close(one).expect("it is open");
            assert_eq!(user.read(other, 64).as_deref(), Ok(&b""[..]));
            user.on(SIGPIPE, 0, Action::Ignore);
            assert_eq!(user.write(other, b"x"), error(EPIPE));
            user.close(other).expect("it is open");
        }
        assert_eq!(user.open("packet:else", O_RDWR), error(ENOENT));
        assert_eq!(user.peek(|kernel| kernel.pipes.packets.len()), 0);
    });
}

#[test]
fn who_reads_or_writes_too_early_waits_unless_told_not_to() {
    story_on_any(|user| {
        let (one, other) = pair(user, "datagram");
        let child = user.fork(move |user| {
            assert_eq!(user.read(other, 8).as_deref(), Ok(&b"late"[..]));
        });
        until_waiting(user, child, "readable");
        user.write(one, b"late").expect("somebody reads");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        assert_eq!(call(user, other, 8, &[RECEIVE, 0, NO_WAIT]), error(EAGAIN));
        // Packets of no bytes take a place, too.
        let child = user.fork(move |user| {
            for _ in 0..257 {
                user.write(one, b"").expect("it waits for room");
            }
        });
        until_waiting(user, child, "writable");
        assert_eq!(user.read(other, 8).as_deref(), Ok(&b""[..]));
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        let large = vec![7; 65_537];
        assert_eq!(user.write(one, &large), error(EMSGSIZE));
    });
}

#[test]
fn a_packet_can_be_looked_at_and_one_direction_ended() {
    story_on_any(|user| {
        let (one, other) = pair(user, "sequence");
        user.write(one, b"abcdef").expect("there is room");
        assert_eq!(call(user, other, 4, &[RECEIVE, 0, PEEK]), Ok(4 | CUT));
        assert_eq!(call(user, other, 6, &[RECEIVE, 0, PEEK]), Ok(6));
        assert_eq!(call(user, one, 0, &[SHUTDOWN, SHUT_WRITE]), Ok(0));
        assert_eq!(user.read(other, 64).as_deref(), Ok(&b"abcdef"[..]));
        assert_eq!(user.read(other, 64).as_deref(), Ok(&b""[..]));
        assert_eq!(user.write(other, b"still"), Ok(5));
        assert_eq!(user.read(one, 64).as_deref(), Ok(&b"still"[..]));
        assert_eq!(call(user, one, 0, &[SHUTDOWN, 0]), error(EINVAL));
        assert_eq!(call(user, one, 8, &[RECEIVE, 2, 0]), error(EINVAL));
        assert_eq!(call(user, one, 8, &[99]), error(EOPNOTSUPP));
    });
}

/// A message that goes to the scheme as it is: descriptors, and then bytes.
fn send(user: &mut User, fd: usize, files: &[usize], bytes: &[u8]) -> Answer {
    let words = [SEND, files.len() as u64, 0].map(u64::to_ne_bytes);
    let numbers = files.iter().flat_map(|fd| fd.to_ne_bytes());
    let payload: Vec<u8> = numbers.chain(bytes.iter().copied()).collect();
    user.with(words.as_flattened(), |user, at| {
        user.with(&payload, |user, place| {
            user.call(SYS_CALL, [fd, place, payload.len(), words.len(), at])
        })
    })
}

/// The answer to `RECEIVE` with room for files and bytes, and the descriptors that arrived.
fn receive(user: &mut User, fd: usize, files: usize, bytes: usize) -> (Answer, Vec<usize>) {
    let words = [RECEIVE, files as u64, WHOLE_LENGTH].map(u64::to_ne_bytes);
    user.with(words.as_flattened(), |user, at| {
        user.with_room((files * 8 + bytes).max(1), |user, place| {
            let flags = abi::redox::flag::CallFlags::READ.bits() | words.len();
            let answer = user.call(SYS_CALL, [fd, place, files * 8 + bytes, flags, at]);
            let arrived = answer.map_or(0, |answer| (answer & !(CUT | LOST_FILES)) >> 32);
            (answer, (0..arrived).map(|word| user.load_word(place + word * 8)).collect())
        })
    })
}

#[test]
fn files_travel_with_the_packet_they_were_sent_with() {
    story_on_any(|user| {
        let descriptions = user.peek(|kernel| kernel.descriptions.len());
        for kind in ["datagram", "sequence"] {
            let (one, other) = pair(user, kind);
            let (reader, writer) = user.pipe();
            assert_eq!(send(user, one, &[], b"plain"), Ok(5));
            assert_eq!(send(user, one, &[writer, writer], b""), Ok(0));
            assert_eq!(send(user, one, &[writer], b"too long"), Ok(8));
            assert_eq!(send(user, one, &[writer], b"lost"), Ok(4));
            user.close(writer).expect("it is open");
            assert_eq!(receive(user, other, 1, 8), (Ok(5), vec![]));
            let (answer, files) = receive(user, other, 2, 8);
            assert_eq!((answer, files.len()), (Ok(2 << 32), 2));
            assert_eq!(user.write(files[1], b"through"), Ok(7));
            files.into_iter().for_each(|fd| _ = user.close(fd));
            let (answer, files) = receive(user, other, 0, 3);
            assert_eq!((answer, files.len()), (Ok(8 | CUT | LOST_FILES), 0));
            // What nobody receives goes with its reader.
            user.close(other).expect("it is open");
            assert_eq!(user.read(reader, 16).as_deref(), Ok(&b"through"[..]));
            assert_eq!(user.read(reader, 16).as_deref(), Ok(&b""[..]), "nobody can write");
            user.close(one).expect("it is open");
            user.close(reader).expect("it is open");
        }
        assert_eq!(user.peek(|kernel| kernel.descriptions.len()), descriptions);
        assert_eq!(user.peek(|kernel| kernel.pipes.packets.len()), 0);
    });
}

#[test]
fn no_circle_of_packets_and_pipes_keeps_itself() {
    story_on_any(|user| {
        let descriptions = user.peek(|kernel| kernel.descriptions.len());
        let (one, other) = pair(user, "datagram");
        let stream = user.open("pipe:pair", O_RDWR).expect("pipes can be made");
        let far = user.dup(stream, b"peer").expect("it has another end");
        assert_eq!(send(user, one, &[other], b"x"), error(ETOOMANYREFS));
        assert_eq!(send(user, one, &[far], b"x"), Ok(1));
        // What travels carries nothing, and what carries something does not travel.
        assert_eq!(send(user, stream, &[0], b"x"), error(ETOOMANYREFS));
        assert_eq!(send(user, stream, &[one], b"x"), error(ETOOMANYREFS));
        let (third, fourth) = pair(user, "sequence");
        assert_eq!(send(user, third, &[other], b"x"), error(ETOOMANYREFS));
        let (_, files) = receive(user, other, 1, 8);
        assert_eq!(send(user, stream, &[one], b"x"), Ok(1));
        assert_eq!(send(user, one, &[0], b"x"), error(ETOOMANYREFS));
        for (files, bytes) in [(65, 600), (2, 8)] {
            let payload = vec![0; bytes];
            let words = [SEND, files, 0].map(u64::to_ne_bytes);
            let answer = user.with(words.as_flattened(), |user, at| {
                user.with(&payload, |user, place| {
                    user.call(SYS_CALL, [third, place, payload.len(), words.len(), at])
                })
            });
            assert_eq!(answer, error(EINVAL));
        }
        for fd in [one, other, stream, far, third, fourth].into_iter().chain(files) {
            user.close(fd).expect("it is open");
        }
        assert_eq!(user.peek(|kernel| kernel.descriptions.len()), descriptions);
        assert_eq!(user.peek(|kernel| kernel.pipes.packets.len()), 0);
    });
}

#[test]
fn only_root_says_whose_an_end_is() {
    story_on_any(|user| {
        let own = user.pid() as u32;
        for path in ["packet:sequence", "pipe:pair"] {
            let one = user.open(path, O_RDWR).expect("it can be made");
            let ids = |user: &mut User| {
                user.with(&PEER_IDS.to_ne_bytes(), |user, at| {
                    user.with_room(12, |user, place| {
                        user.call(SYS_CALL, [one, place, 12, 1, at]).expect("it is a socket");
                        [0, 4, 8].map(|field| user.load_u32(place + field))
                    })
                })
            };
            let set = move |user: &mut User, ids: [u32; 3]| {
                let words = [SET_IDS, PEER].map(u64::to_ne_bytes);
                user.with(words.as_flattened(), |user, at| {
                    user.with(ids.map(u32::to_ne_bytes).as_flattened(), |user, place| {
                        user.call(SYS_CALL, [one, place, 12, 2, at])
                    })
                })
            };
            assert_eq!(ids(user), [own, 0, 0]);
            assert_eq!(set(user, [9, 8, 7]), Ok(0));
            assert_eq!(ids(user), [9, 8, 7]);
            let child = user.fork(move |user| {
                let ids = [7; 4].map(u32::to_ne_bytes);
                user.with(ids.as_flattened(), |user, at| user.call(SETIDS, [at])).expect("root");
                assert_eq!(set(user, [1, 0, 0]), error(EPERM));
            });
            assert_eq!(user.wait_for(child), Ended::Exited(0));
            assert_eq!(ids(user), [9, 8, 7]);
        }
    });
}
