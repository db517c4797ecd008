//! C strings, numbers in texts, and calendars, against models.
#![cfg(target_os = "redox")]

use libc::{c_char, c_int, c_void, size_t};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::ffi::CString;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;

unsafe extern "C" {
    fn strlcpy(to: *mut c_char, from: *const c_char, room: size_t) -> size_t;
    fn memrchr(bytes: *const c_void, letter: c_int, count: size_t) -> *mut c_void;
    fn strcoll(left: *const c_char, right: *const c_char) -> c_int;
    fn dprintf(fd: c_int, format: *const c_char, ...) -> c_int;
}

/// Letters few enough that texts share beginnings, with bytes above 127 among them.
fn text() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(b"aAbB\x7f\x80\xff".to_vec()), 0..12)
}

fn c(text: &[u8]) -> CString {
    CString::new(text).expect("no NUL in it")
}

fn sign(number: c_int) -> Ordering {
    number.cmp(&0)
}

/// Where a pointer into a text points.
fn place(found: *const c_char, text: &CString) -> Option<usize> {
    (!found.is_null()).then(|| found as usize - text.as_ptr() as usize)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_compare_as_their_bytes_do(left in text(), right in text(), most in 0..14_usize) {
        let (a, b) = (c(&left), c(&right));
        let cut = |text: &[u8]| text[..text.len().min(most)].to_vec();
        let lower = |text: &[u8]| text.to_ascii_lowercase();
        // SAFETY: both are C strings.
        unsafe {
            prop_assert_eq!(sign(libc::strcmp(a.as_ptr(), b.as_ptr())), left.cmp(&right));
            prop_assert_eq!(sign(strcoll(a.as_ptr(), b.as_ptr())), left.cmp(&right));
            let some = libc::strncmp(a.as_ptr(), b.as_ptr(), most);
            prop_assert_eq!(sign(some), cut(&left).cmp(&cut(&right)));
            let folded = libc::strcasecmp(a.as_ptr(), b.as_ptr());
            prop_assert_eq!(sign(folded), lower(&left).cmp(&lower(&right)));
        }
    }

    #[test]
    fn letters_are_found_first_and_last(text in text(), letter in text()) {
        let Some(&letter) = letter.first() else { return Ok(()) };
        let text_c = c(&text);
        // SAFETY: a C string.
        let (first, last, in_memory) = unsafe {
            let (text, letter) = (text_c.as_ptr(), c_int::from(letter));
            (
                libc::strchr(text, letter),
                libc::strrchr(text, letter),
                memrchr(text.cast(), letter, text_c.count_bytes()),
            )
        };
        let expected = text.iter().rposition(|&byte| byte == letter);
        prop_assert_eq!(place(first, &text_c), text.iter().position(|&byte| byte == letter));
        prop_assert_eq!(place(last, &text_c), expected);
        prop_assert_eq!(place(in_memory.cast(), &text_c), expected);
    }

    #[test]
    fn copies_stay_in_their_room(text in text(), room in 0..14_usize) {
        let text_c = c(&text);
        let mut copy = [0x55_u8; 16];
        // SAFETY: the copy has more room than is said.
        let length = unsafe { strlcpy(copy.as_mut_ptr().cast(), text_c.as_ptr(), room) };
        prop_assert_eq!(length, text.len());
        let kept = text.len().min(room.saturating_sub(1));
        prop_assert_eq!(&copy[..kept], &text[..kept]);
        if room > 0 {
            prop_assert_eq!(copy[kept], 0);
        }
        prop_assert!(copy[room.max(kept)..].iter().skip(usize::from(room == 0)).all(|&b| b == 0x55));
        let mut padded = [0x55_u8; 16];
        // SAFETY: the copy has more room than is said.
        unsafe { libc::strncpy(padded.as_mut_ptr().cast(), text_c.as_ptr(), room) };
        let kept = text.len().min(room);
        prop_assert_eq!(&padded[..kept], &text[..kept]);
        prop_assert!(padded[kept..room].iter().all(|&byte| byte == 0));
        prop_assert!(padded[room..].iter().all(|&byte| byte == 0x55));
    }

    #[test]
    fn calendars_go_there_and_back(time in -60_000_000_000_i64..250_000_000_000) {
        // SAFETY: all zero is a valid `tm`.
        let mut parts: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: both places are ours.
        unsafe {
            prop_assert!(!libc::gmtime_r(&raw const time, &raw mut parts).is_null());
            prop_assert!((0..12).contains(&parts.tm_mon) && (1..=31).contains(&parts.tm_mday));
            prop_assert_eq!(parts.tm_wday, (time.div_euclid(86_400) + 4).rem_euclid(7) as c_int);
            prop_assert_eq!(libc::timegm(&raw mut parts), time);
        }
    }

    #[test]
    fn addresses_in_numbers_are_found(bytes in any::<[u8; 16]>(), four in any::<bool>(), port: u16) {
        let address = match four {
            true => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
            false => IpAddr::from(bytes),
        };
        let found: Vec<_> = (address.to_string().as_str(), port).to_socket_addrs()?.collect();
        prop_assert_eq!(found.first().map(|it| (it.ip(), it.port())), Some((address, port)));
    }
}

#[test]
fn texts_are_written_as_their_format_says() {
    let mut room = [0x55_u8; 32];
    // SAFETY: the room is as long as told, and the arguments are what the format says.
    unsafe {
        let place = room.as_mut_ptr().cast::<c_char>();
        let length = libc::snprintf(
            place,
            20,
            c"%s: %5d 0x%02x %.2f".as_ptr(),
            c"text".as_ptr(),
            -42_i32,
            7_u32,
            2.5_f64,
        );
        assert_eq!((length, &room[..20]), (21, &b"text:   -42 0x07 2.\0"[..]));
        assert!(room[20..].iter().all(|byte| *byte == 0x55));
        let many = c"%d %d %d %d %d %d %d %ld".as_ptr();
        let length = libc::snprintf(place, 32, many, 1, 2, 3, 4, 5, 6, 7, 8_i64);
        assert_eq!(&room[..length as usize], b"1 2 3 4 5 6 7 8");
        assert_eq!(libc::snprintf(std::ptr::null_mut(), 0, c"%d".as_ptr(), 1234), 4);
        assert_eq!(libc::snprintf(place, 32, c"%g".as_ptr(), 1.0), -1);
    }
}

#[test]
fn texts_are_printed_whole() {
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let long = "long ".repeat(200);
    let text = c(long.as_bytes());
    // SAFETY: the arguments are what the format says.
    unsafe {
        let fd = write.as_raw_fd();
        assert_eq!(dprintf(fd, c"%d, %s".as_ptr(), 7_i32, c"short\n".as_ptr()), 9);
        assert_eq!(dprintf(fd, c"%s%5d".as_ptr(), text.as_ptr(), 42_i32), 1005);
        assert_eq!(dprintf(fd, c"%g".as_ptr(), 1.0), -1);
        assert_eq!(dprintf(-1, c"text".as_ptr()), -1);
    }
    drop(write);
    assert_eq!(std::io::read_to_string(&mut read).expect("text"), format!("7, short\n{long}   42"));
}
