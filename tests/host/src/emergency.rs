//! Programs for stories about running out of memory.

use crate::*;

/// Seconds, in nanoseconds.
pub const SECOND: u64 = 1_000 * MS;

/// Makes the caller a job of its own.
pub fn lead(user: &mut User) {
    user.call(abi::number::SETPGID, [0, 0]).expect("it may lead a group");
}

/// The byte that a document of this number has at this place.
fn byte(number: usize, at: usize) -> u8 {
    (at as u64 ^ (number as u64) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0]
}

/// Writes a document of `pages` pages and returns where it is.
pub fn write_document(user: &mut User, number: usize, pages: usize) -> usize {
    let size = pages * PAGE_SIZE;
    let at = user.allocate(size);
    let bytes: Vec<u8> = (0..size).map(|offset| byte(number, offset)).collect();
    user.store(at, &bytes);
    at
}

/// Checks every byte of a document.
///
/// # Panics
/// When one is wrong.
pub fn check_document(user: &mut User, number: usize, at: usize, pages: usize) {
    let bytes = user.load(at, pages * PAGE_SIZE);
    let wrong = bytes.iter().enumerate().find(|(offset, have)| **have != byte(number, *offset));
    assert_eq!(wrong, None, "document {number} has changed");
}

/// A job that holds a document, and ends well if it is still whole when `done` says so.
pub fn keeper(user: &mut User, number: usize, pages: usize, done: usize) -> usize {
    user.fork(move |user| {
        lead(user);
        let at = write_document(user, number, pages);
        assert_eq!(user.read(done, 1).as_deref(), Ok(&[][..]), "the pipe is closed");
        check_document(user, number, at, pages);
    })
}

/// A job that takes memory until it is ended.
pub fn leak(user: &mut User) -> usize {
    user.fork(|user| {
        lead(user);
        let size = 1 << 30;
        let at = user.allocate(size);
        user.fill(at, size, 1);
        panic!("there is not so much");
    })
}

/// A `key: value` number from `emergency:status`.
pub fn status_number(user: &mut User, key: &str) -> u64 {
    let text = user.read_text("emergency:status").expect("it is there");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {key} in {text}"))
}

/// The end of a process that an emergency ended.
pub fn sacrificed() -> Ended {
    Ended::Signalled(abi::wait::ENDED_BY_EMERGENCY)
}

/// How the keepers of `documents` documents ended, of `pages` pages each, that check them when `act`
/// is over.
pub fn fates(
    user: &mut User,
    documents: usize,
    pages: usize,
    act: impl FnOnce(&mut User),
) -> Vec<Ended> {
    let (reader, writer) = user.pipe();
    let keepers: Vec<usize> = (0..documents)
        .map(|number| {
            let child = user.fork(move |user| {
                user.close(writer).expect("it is open");
                lead(user);
                let at = write_document(user, number, pages);
                assert_eq!(user.read(reader, 1).as_deref(), Ok(&[][..]), "the pipe is closed");
                check_document(user, number, at, pages);
            });
            until_waiting(user, child, "readable");
            child
        })
        .collect();
    act(user);
    user.close(writer).expect("it is open");
    user.close(reader).expect("it is open");
    keepers.into_iter().map(|keeper| user.wait_for(keeper)).collect()
}
