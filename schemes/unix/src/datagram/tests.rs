//! Sockets that send each other packets, without a daemon around them.

use super::*;
use abi::socket::NAME_MAX;
use abi::socket::{CUT, NAME, NO_WAIT, OWN, PEEK, RECEIVE, RECEIVE_FROM, SEND, SEND_TO, TOKEN};
use syscall::error::EADDRINUSE;
use syscall::error::{EAGAIN, EOPNOTSUPP};

const ONE: Token = [b'1'; TOKEN];
const TWO: Token = [b'2'; TOKEN];

fn errno<T>(result: Result<T>) -> i32 {
    result.err().map_or(0, |error| error.errno)
}

/// Two sockets with names, and one without.
fn three() -> (Datagrams, [usize; 3]) {
    let mut all = Datagrams::default();
    let ids = [all.create(7), all.create(7), all.create(8)];
    all.bind(ids[0], b"/tmp/one", ONE).expect("a fresh socket");
    all.bind(ids[1], b"\0two", TWO).expect("a fresh socket");
    (all, ids)
}

fn text(packet: Result<Option<Packet>>) -> Option<(String, String)> {
    let packet = packet.expect("a packet waits")?;
    let text = |bytes| String::from_utf8(bytes).expect("text was sent");
    Some((text(packet.from), text(packet.bytes)))
}

#[test]
fn packets_come_whole_and_with_their_senders_names() {
    let (mut all, [one, two, none]) = three();
    assert_eq!(all.send(two, Some(&ONE), b"from two"), Ok(8));
    assert_eq!(all.send(none, Some(&ONE), b""), Ok(0));
    assert_eq!(all.send(one, Some(b"\0two"), b"back"), Ok(4));
    let seen = text(all.receive(one, true));
    assert_eq!(seen, Some(("\0two".into(), "from two".into())));
    assert_eq!(text(all.receive(one, false)), seen);
    assert_eq!(text(all.receive(one, false)), Some((String::new(), String::new())));
    assert_eq!(errno(all.receive(one, false)), EWOULDBLOCK);
    assert_eq!(text(all.receive(two, false)), Some(("/tmp/one".into(), "back".into())));
}

#[test]
fn nobody_is_found_under_a_name_that_is_free() {
    let (mut all, [one, two, none]) = three();
    assert_eq!(errno(all.send(none, None, b"x")), ENOTCONN);
    assert_eq!(errno(all.send(none, Some(b"\0other"), b"x")), ECONNREFUSED);
    assert_eq!(errno(all.send(none, Some(b""), b"x")), ECONNREFUSED);
    assert_eq!(errno(all.bind(one, b"again", TWO)), EINVAL);
    assert_eq!(errno(all.bind(none, b"\0two", TWO)), EADDRINUSE);
    all.close(two);
    assert_eq!(errno(all.send(none, Some(&TWO), b"x")), ECONNREFUSED);
    assert!(all.bind(none, b"\0two", TWO).is_ok());
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let (mut all, [one, two, none]) = three();
    all.connect(one, &TWO).expect("it is there");
    assert_eq!(all.peer(one), Ok(&b"\0two"[..]));
    assert_eq!(errno(all.peer(two)), ENOTCONN);
    assert_eq!(errno(all.send(none, Some(&ONE), b"x")), EPERM);
    assert_eq!(errno(all.connect(none, &ONE)), EPERM);
    assert_eq!(all.send(one, None, b"to two"), Ok(6));
    assert_eq!(all.send(two, Some(&ONE), b"to one"), Ok(6));
    all.connect(one, b"").expect("nothing can fail");
    assert_eq!(errno(all.send(one, None, b"x")), ENOTCONN);
    assert_eq!(all.send(none, Some(&ONE), b"x"), Ok(1));
}

#[test]
fn a_peer_that_is_gone_is_told_once() {
    let (mut all, [one, two, _]) = three();
    all.connect(one, &TWO).expect("it is there");
    all.close(two);
    // Whoever has its place now is somebody else.
    assert_eq!(all.create(9), two);
    assert_eq!(errno(all.send(one, None, b"x")), ECONNREFUSED);
    assert_eq!(errno(all.send(one, None, b"x")), ENOTCONN);
}

#[test]
fn what_waits_has_a_bound() {
    let (mut all, [one, two, _]) = three();
    let big = vec![1; DATAGRAM_MAX];
    assert_eq!(errno(all.send(two, Some(&ONE), &vec![0; DATAGRAM_MAX + 1])), EMSGSIZE);
    assert_eq!(all.send(two, Some(&ONE), &big), Ok(DATAGRAM_MAX));
    assert_eq!(errno(all.send(two, Some(&ONE), b"x")), EWOULDBLOCK);
    assert!(all.receive(one, false).is_ok());
    for _ in 0..WAITING_MAX {
        assert_eq!(all.send(two, Some(&ONE), b""), Ok(0));
    }
    assert_eq!(errno(all.send(two, Some(&ONE), b"")), EWOULDBLOCK);
}

#[test]
fn directions_end_alone() {
    let (mut all, [one, two, none]) = three();
    assert_eq!(errno(all.shut_down(one, 0)), EINVAL);
    all.send(two, Some(&ONE), b"last").expect("there is room");
    all.shut_down(one, SHUT_READ).expect("it is a socket");
    assert_eq!(errno(all.send(two, Some(&ONE), b"x")), EPIPE);
    assert_eq!(text(all.receive(one, false)), Some(("\0two".into(), "last".into())));
    assert_eq!(text(all.receive(one, false)), None);
    all.shut_down(none, SHUT_WRITE).expect("it is a socket");
    assert_eq!(errno(all.send(none, Some(&TWO), b"x")), EPIPE);
    assert_eq!(all.send(one, Some(&TWO), b"x"), Ok(1));
}

#[test]
fn watchers_are_told_of_packets_and_of_room() {
    let (read, write) = (EventFlags::EVENT_READ, EventFlags::EVENT_WRITE);
    let (mut all, [one, two, _]) = three();
    all.connect(two, &ONE).expect("it is there");
    assert_eq!(all.watch(one, read), Ok(write));
    assert_eq!(all.send(two, None, &vec![1; DATAGRAM_MAX]), Ok(DATAGRAM_MAX));
    assert_eq!((all.next_ready(), all.next_ready()), (Some((one, read)), None));
    assert_eq!(all.watch(two, read | write), Ok(write));
    for _ in 1..WAITING_MAX {
        all.send(two, None, b"").expect("empty packets need no room but a place");
    }
    while all.next_ready().is_some() {}
    assert_eq!(all.watch(two, read | write), Ok(EventFlags::empty()));
    assert!(all.progress());
    assert!(all.receive(one, false).is_ok());
    assert_eq!(all.next_ready(), Some((two, write)));
    assert!(all.progress());
    assert!(!all.progress());
}

#[test]
fn the_list_shows_what_waits() {
    let (mut all, [one, ..]) = three();
    all.send(one, Some(&TWO), b"x").expect("there is room");
    let want = "datagram    0 waiting  pid     7  /tmp/one\n\
                datagram    1 waiting  pid     7  @two\n\
                datagram    0 waiting  pid     8  -\n";
    assert_eq!(all.list(), want);
}

#[test]
fn messages_carry_names_and_packets() {
    let (mut all, [one, two, none]) = three();
    let mut packet = [&ONE[..], b"hello"].concat();
    assert_eq!(all.call(two, &mut packet, &[SEND_TO, TOKEN as u64, 0]), Ok(5));
    let mut room = vec![0; NAME_MAX + 3];
    let answer = all.call(one, &mut room, &[RECEIVE_FROM, PEEK]);
    assert_eq!(answer, Ok(3 | 4 << 32 | CUT));
    assert_eq!((&room[..4], &room[NAME_MAX..]), (&b"\0two"[..], &b"hel"[..]));
    assert_eq!(all.call(one, &mut room[..5], &[RECEIVE, 0, 0]), Ok(5));
    assert_eq!(errno(all.call(one, &mut room, &[RECEIVE, 0, NO_WAIT])), EAGAIN);
    assert_eq!(errno(all.call(one, &mut room, &[RECEIVE, 0, 0])), EWOULDBLOCK);
    assert_eq!(all.call(two, &mut [], &[NAME, OWN]), Ok(4));
    // Nonsense.
    assert_eq!(errno(all.call(none, &mut packet, &[SEND_TO, u64::MAX, 0])), EINVAL);
    assert_eq!(errno(all.call(none, &mut room[..5], &[RECEIVE_FROM, 0])), EINVAL);
    assert_eq!(errno(all.call(none, &mut room, &[RECEIVE, u64::MAX, 0])), EINVAL);
    assert_eq!(errno(all.call(none, &mut room, &[SEND, 1, 0])), EOPNOTSUPP);
    assert_eq!(errno(all.call(none, &mut room, &[])), EOPNOTSUPP);
}
