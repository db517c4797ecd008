//! Both ends of terminals, without a daemon around them.

use super::*;

fn errno<T>(result: Result<T>) -> i32 {
    result.err().map_or(0, |error| error.errno)
}

/// A terminal that is open at both ends.
fn pair() -> (Ptys, usize) {
    let mut ptys = Ptys::default();
    let number = ptys.create(1000, 7).expect("there is room");
    ptys.open(number, 1000).expect("it is there");
    (ptys, number)
}

/// What the master sees.
fn screen(ptys: &mut Ptys, number: usize) -> String {
    let mut buffer = [0; 256];
    let length = ptys.read_master(number, &mut buffer).expect("something is there");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn line(ptys: &mut Ptys, number: usize) -> Option<String> {
    let mut buffer = [0; 256];
    match ptys.read(number, &mut buffer, 0, 0).expect("it is there") {
        Read::Done(length) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
        Read::Wait(_) => None,
    }
}

#[test]
fn what_is_typed_is_echoed_and_read_in_lines() {
    let (mut ptys, number) = pair();
    assert_eq!(errno(ptys.read_master(number, &mut [0])), EWOULDBLOCK);
    assert_eq!(ptys.write_master(number, b"helo\x7flo", 0), Ok(7));
    assert_eq!(line(&mut ptys, number), None);
    assert_eq!(screen(&mut ptys, number), "helo\x08 \x08lo");
    ptys.write_master(number, b"\r", 0).expect("it is there");
    assert_eq!(line(&mut ptys, number).as_deref(), Some("hello\n"));
    assert_eq!(ptys.write(number, b"answer\n"), Ok(7));
    assert_eq!(screen(&mut ptys, number), "\r\nanswer\r\n");
}

#[test]
fn control_characters_become_signals() {
    let (mut ptys, number) = pair();
    ptys.write_master(number, b"\x03", 0).expect("it is there");
    let signals = ptys.get(number).expect("it is there").terminal.take_signals();
    assert_eq!(signals, [consoled::line::Signal::Interrupt]);
}

#[test]
fn when_the_master_goes_programs_find_the_end() {
    let (mut ptys, number) = pair();
    ptys.write_master(number, b"last\r", 0).expect("it is there");
    let pty = ptys.get(number).expect("it is there");
    pty.terminal.write_group(&77_u32.to_ne_bytes(), |_| Ok(())).expect("a group");
    assert_eq!(ptys.close(number, End::Master), Some(77));
    assert_eq!(line(&mut ptys, number).as_deref(), Some("last\n"));
    assert_eq!(line(&mut ptys, number).as_deref(), Some(""));
    assert_eq!(errno(ptys.write(number, b"x")), EIO);
    assert_eq!(errno(ptys.open(number, 0)), EIO);
    assert_eq!(ptys.ready(number, End::Terminal), Ok((true, true)));
    assert_eq!(ptys.close(number, End::Terminal), None);
    assert_eq!(errno(ptys.open(number, 0)), ENXIO);
    assert_eq!(errno(ptys.get(number).map(drop)), EBADF);
}

#[test]
fn when_the_programs_go_the_master_finds_the_end_after_the_last_byte() {
    let mut ptys = Ptys::default();
    let number = ptys.create(0, 7).expect("there is room");
    // Nobody has come yet.
    assert_eq!(errno(ptys.read_master(number, &mut [0])), EWOULDBLOCK);
    ptys.open(number, 0).expect("it is there");
    ptys.write(number, b"bye").expect("there is room");
    ptys.close(number, End::Terminal);
    assert_eq!(ptys.ready(number, End::Master), Ok((true, true)));
    assert_eq!(screen(&mut ptys, number), "bye");
    assert_eq!(errno(ptys.read_master(number, &mut [0])), EIO);
    assert_eq!(ptys.ready(number, End::Master), Ok((true, true)));
    // Somebody comes again.
    ptys.open(number, 0).expect("it is there");
    assert_eq!(errno(ptys.read_master(number, &mut [0])), EWOULDBLOCK);
}

#[test]
fn what_nobody_reads_has_a_bound() {
    let (mut ptys, number) = pair();
    let mut taken = 0;
    let refused = loop {
        match ptys.write(number, &[b'x'; 5000]) {
            Ok(length) => taken += length,
            Err(error) => break error.errno,
        }
    };
    assert_eq!(refused, EWOULDBLOCK);
    assert!((OUTPUT_MAX..2 * OUTPUT_MAX).contains(&taken), "{taken}");
    assert_eq!(ptys.ready(number, End::Terminal), Ok((false, false)));
    ptys.read_master(number, &mut [0; 9000]).expect("something is there");
    assert_eq!(ptys.ready(number, End::Terminal), Ok((false, true)));
    for _ in ptys.ptys.len()..PTYS_MAX {
        ptys.create(0, 1).expect("there is room");
    }
    assert_eq!(errno(ptys.create(0, 1)), EAGAIN);
}

#[test]
fn what_is_typed_and_not_looked_at_has_a_bound() {
    let (mut ptys, number) = pair();
    for _ in 0..200 {
        // The line is full soon, and then every byte rings.
        ptys.write_master(number, &[b'x'; 4000], 0).expect("it is open");
    }
    let mut shown = 0;
    while let Ok(count) = ptys.read_master(number, &mut [0; 9000]) {
        shown += count;
    }
    assert!(shown < 2 * OUTPUT_MAX, "{shown}");
    ptys.write_master(number, b"\x15", 0).expect("it is open");
    while ptys.read_master(number, &mut [0; 9000]).is_ok() {}
    ptys.write_master(number, b"y", 0).expect("it is open");
    assert_eq!(screen(&mut ptys, number), "y", "there is room again");
}

#[test]
fn a_terminal_is_its_users_own() {
    let mut ptys = Ptys::default();
    let number = ptys.create(1000, 7).expect("there is room");
    assert_eq!(errno(ptys.open(number, 1001)), EACCES);
    assert!(ptys.open(number, 0).is_ok());
    assert_eq!(errno(ptys.open(number + 1, 0)), ENXIO);
    assert_eq!(ptys.list(), "  0   80x24   open  1  group     -  made by pid     7 of user 1000\n");
}
