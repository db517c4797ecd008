//! Two-way pipes of packets.

use abi::redox::number::SYS_CALL;
use abi::socket::{CUT, NO_WAIT, PEEK, RECEIVE, SHUT_WRITE, SHUTDOWN};
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
        assert_eq!(call(user, one, 8, &[RECEIVE, 1, 0]), error(EOPNOTSUPP));
        assert_eq!(call(user, one, 8, &[99]), error(EOPNOTSUPP));
    });
}
