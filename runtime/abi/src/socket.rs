//! `CALL` on sockets: two-way pipes (`pipe:pair`), and those that wait for a peer (`unix:`).
//!
//! The first word of metadata says what is asked for. The others, and the payload, are listed with
//! each. Connected sockets are the kernel's, and read and written as any file; `unix:` only brings
//! the two sides together. Datagrams with names are its own (`unix:datagram`).

/// Two-way pipe, `how` ([`SHUT_READ`], [`SHUT_WRITE`]): ends one direction, for all who have this
/// end. What was written can still be read.
pub const SHUTDOWN: u64 = 1;
/// Two-way pipe, count of descriptors, flags: the payload is that many descriptors, as words of 64
/// bits, and then bytes. Writes the bytes and passes the files on with the first of them. The answer
/// is how many bytes were written.
pub const SEND: u64 = 2;
/// Two-way pipe, room for descriptors, flags: the payload is that much room, as words of 64 bits,
/// and then room for bytes. The answer is how many bytes were read, plus how many descriptors times
/// 2³², plus [`LOST_FILES`]. Bytes with which other files came are left for the next call.
pub const RECEIVE: u64 = 3;
/// Two-way pipe or `unix:`, which ([`OWN`], [`PEER`]): fills the payload with the name of an end.
/// The answer is its length, which may be more than there is room for.
pub const NAME: u64 = 4;
/// Two-way pipe: the payload is the name of this end, which had none.
pub const SET_NAME: u64 = 5;
/// `unix:`: the payload is the name others will see; the answer is 0, and the payload then begins
/// with the [`TOKEN`] bytes that lead to the socket.
pub const BIND: u64 = 6;
/// `unix:`, backlog: others may connect from now on.
pub const LISTEN: u64 = 7;

/// `unix:datagram`: the payload is a token, or a name after a NUL. Packets go there from now on, and
/// come from there only. An empty payload undoes it.
pub const CONNECT: u64 = 8;
/// `unix:datagram`, length of the name, flags: the payload is a token, or a name after a NUL, and
/// then a packet for that socket.
pub const SEND_TO: u64 = 9;
/// `unix:datagram`, flags: the payload is [`NAME_MAX`] bytes, which the sender's name fills, and then
/// room for a packet. The answer is how many bytes were read, plus the length of the name times 2³²,
/// plus [`CUT`].
pub const RECEIVE_FROM: u64 = 10;

/// `unix:`: whether others may connect; the answer is 1 or 0.
pub const LISTENS: u64 = 11;
/// Two-way pipe: fills the payload with process, user and group of who has made, or connected, the other
/// end, as words of 32 bits.
pub const PEER_IDS: u64 = 12;
/// Two-way pipe, which ([`OWN`], [`PEER`]): the payload is what [`PEER_IDS`] says of an end. Only root may.
pub const SET_IDS: u64 = 13;

/// [`NAME`]: of this end.
pub const OWN: u64 = 0;
/// [`NAME`]: of the other end.
pub const PEER: u64 = 1;

/// [`SHUTDOWN`]: nothing more is read here, and the peer cannot write.
pub const SHUT_READ: u64 = 1;
/// [`SHUTDOWN`]: nothing more is written here, and the peer finds the end of the file.
pub const SHUT_WRITE: u64 = 2;

/// [`SEND`], [`RECEIVE`]: fail rather than wait.
pub const NO_WAIT: u64 = 1;
/// [`RECEIVE`]: leave the bytes, and the files with them.
pub const PEEK: u64 = 2;
/// [`RECEIVE`]: descriptors are closed by `exec`.
pub const CLOSE_ON_EXEC: u64 = 4;
/// [`SEND`]: no `SIGPIPE`.
pub const NO_SIGNAL: u64 = 8;
/// [`RECEIVE`], of packets: the answer says how long the packet was, also when there was less room.
pub const WHOLE_LENGTH: u64 = 16;

/// In the answer to [`RECEIVE`]: there was no room for all files, and the rest are closed.
pub const LOST_FILES: usize = 1 << 63;

/// In the answer to [`RECEIVE`], of packets: there was no room for all bytes, and the rest is lost.
pub const CUT: usize = 1 << 62;

/// Most files that one message passes on.
pub const FILES_MAX: usize = 64;
/// Bytes of what leads to a socket: hexadecimal digits.
pub const TOKEN: usize = 32;
/// The longest name.
pub const NAME_MAX: usize = 108;
/// The longest packet between sockets with names, and all that wait for one of them together.
pub const DATAGRAM_MAX: usize = 65536;
