//! What a person types, what they see, and what a program reads.

use consoled::Terminal;
use consoled::line::{INPUT_MAX, LINE_MAX, Signal};
use consoled::settings::{LONG, WindowSize};
use consoled::terminal::{Read, WRITE_MAX};
use proptest::prelude::*;
use redox_termios::{
    ECHO, ECHOE, ECHOK, ECHONL, ICANON, ICRNL, IEXTEN, IGNCR, INLCR, ISIG, ISTRIP, IXON, NOFLSH,
    OPOST, VEOL, VERASE, VINTR, VMIN, VTIME,
};
use syscall::error::{EPERM, Error};

const SECOND: u64 = 1_000_000_000;

struct Desk {
    terminal: Terminal,
    now: u64,
}

impl Desk {
    fn new() -> Self {
        Self { terminal: Terminal::new(WindowSize::new(80, 24)), now: 0 }
    }

    /// Types, and returns what appears on the screen.
    fn types(&mut self, keys: &str) -> String {
        self.types_bytes(keys.as_bytes())
    }

    fn types_bytes(&mut self, keys: &[u8]) -> String {
        self.terminal.input(keys, self.now);
        String::from_utf8_lossy(&self.terminal.take_output()).into_owned()
    }

    fn try_read(&mut self, room: usize) -> Option<String> {
        let mut buffer = vec![0; room];
        match self.terminal.read(&mut buffer, self.now, self.now) {
            Read::Done(length) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            Read::Wait(_) => None,
        }
    }

    fn reads(&mut self) -> String {
        self.try_read(1 << 17).expect("something to read")
    }

    /// A line typed from scratch: what is seen, and what is read.
    fn line(keys: &str) -> (String, String) {
        let mut desk = Self::new();
        let seen = desk.types(keys);
        (seen, desk.reads())
    }

    /// Changes settings through the bytes a program would use.
    fn set(&mut self, change: impl FnOnce(&mut redox_termios::Termios)) {
        let mut settings = *self.terminal.settings();
        change(&mut settings.termios);
        let mut bytes = [0; LONG];
        settings.read(&mut bytes).expect("room");
        assert_eq!(self.terminal.write_settings(&bytes), Ok(LONG));
    }

    fn raw(&mut self, least: u8, tenths: u8) {
        self.set(|termios| {
            termios.make_raw();
            termios.c_cc[VMIN] = least;
            termios.c_cc[VTIME] = tenths;
        });
    }
}

fn wiped(columns: usize) -> String {
    "\x08 \x08".repeat(columns)
}

#[test]
fn a_line_is_echoed_and_read_when_it_ends() {
    let mut desk = Desk::new();
    assert_eq!(desk.types("hello"), "hello");
    assert_eq!(desk.try_read(99), None);
    assert!(!desk.terminal.is_readable());
    assert_eq!(desk.types("\r"), "\r\n");
    assert!(desk.terminal.is_readable());
    assert_eq!(desk.reads(), "hello\n");
    assert_eq!(desk.try_read(99), None);
}

#[test]
fn reads_give_one_line_each_in_pieces_if_need_be() {
    let mut desk = Desk::new();
    desk.types("one\rtwo\r");
    assert_eq!(desk.try_read(2).as_deref(), Some("on"));
    assert_eq!(desk.reads(), "e\n");
    assert_eq!(desk.try_read(0).as_deref(), Some(""), "an empty buffer never waits");
    assert_eq!(desk.reads(), "two\n");
}

#[test]
fn erasing_takes_whole_characters_of_any_width() {
    assert_eq!(Desk::line("ab\x7f\r"), (format!("ab{}\r\n", wiped(1)), "a\n".into()));
    assert_eq!(Desk::line("é\x7f\r"), (format!("é{}\r\n", wiped(1)), "\n".into()));
    assert_eq!(Desk::line("x日本\x7f\r"), (format!("x日本{}\r\n", wiped(2)), "x日\n".into()));
    assert_eq!(Desk::line("🦀\x7f\r"), (format!("🦀{}\r\n", wiped(2)), "\n".into()));
    let accent = "ae\u{301}\u{302}";
    let (seen, read) = Desk::line(&format!("{accent}\x7f\r"));
    assert_eq!((seen, read), (format!("{accent}{}\r\n", wiped(1)), "a\n".into()));
}

#[test]
fn erasing_stops_at_the_start() {
    assert_eq!(Desk::line("a\x7f\x7f\x7fb\r"), (format!("a{}b\r\n", wiped(1)), "b\n".into()));
    let mut desk = Desk::new();
    assert_eq!(desk.types("\x7f\x17\x15"), "");
}

#[test]
fn a_character_in_pieces_is_still_one() {
    let mut desk = Desk::new();
    for byte in "é".bytes() {
        desk.types_bytes(&[byte]);
    }
    assert_eq!(desk.types("\x7f"), wiped(1));
    desk.types_bytes(b"a\xFF");
    assert_eq!(desk.types("\x7f\r"), format!("{}\r\n", wiped(1)));
    assert_eq!(desk.reads(), "a\n");
}

#[test]
fn a_tab_is_wiped_back_to_where_it_began() {
    let mut desk = Desk::new();
    desk.terminal.write(b"$ ");
    desk.terminal.take_output();
    assert_eq!(desk.types("a\tb"), "a\tb");
    assert_eq!(desk.types("\x7f\x7f"), wiped(1) + &wiped(5), "from column 8 to column 3");
    assert_eq!(desk.types("\x7f\r"), format!("{}\r\n", wiped(1)));
}

#[test]
fn a_word_goes_with_the_blanks_behind_it() {
    let mut desk = Desk::new();
    desk.types("cat two words  ");
    assert_eq!(desk.types("\x17"), wiped(7));
    assert_eq!(desk.types("\x17"), wiped(4));
    assert_eq!(desk.types("x\x17\x17\r"), format!("x{}{}\r\n", wiped(1), wiped(4)));
    assert_eq!(desk.reads(), "\n");
}

#[test]
fn the_whole_line_goes_at_once() {
    assert_eq!(Desk::line("日x\x15y\r"), (format!("日x{}y\r\n", wiped(3)), "y\n".into()));
    let mut desk = Desk::new();
    desk.set(|termios| termios.c_lflag &= !ECHOE);
    assert_eq!(desk.types("ab\x15"), "ab^U\r\n");
    desk.set(|termios| termios.c_lflag &= !ECHOK);
    assert_eq!(desk.types("ab\x15"), "ab^U");
    assert_eq!(desk.types("ab\x7f"), "ab^?", "without ECHOE the key itself is shown");
}

#[test]
fn control_characters_are_shown_and_wiped_as_two() {
    let mut desk = Desk::new();
    assert_eq!(desk.types("\x01\x1b"), "^A^[");
    assert_eq!(desk.types("\x7f"), wiped(2));
    assert_eq!(desk.types("\r"), "\r\n");
    assert_eq!(desk.reads(), "\x01\n");
}

#[test]
fn the_next_key_can_be_taken_as_it_is() {
    let mut desk = Desk::new();
    assert_eq!(desk.types("\x16"), "^\x08");
    assert_eq!(desk.types("\x03"), "^C");
    assert!(desk.terminal.take_signals().is_empty());
    desk.types("\x16\x7f\x16\x16\x16\r\r");
    assert_eq!(desk.reads(), "\x03\x7f\x16\r\n");
    desk.set(|termios| termios.c_lflag &= !IEXTEN);
    desk.types("\x16a\r");
    assert_eq!(desk.reads(), "\x16a\n");
}

#[test]
fn the_line_can_be_shown_again() {
    let mut desk = Desk::new();
    desk.types("ab");
    assert_eq!(desk.types("\x12"), "^R\r\nab");
    assert_eq!(desk.types("\x7f"), wiped(1));
}

#[test]
fn end_of_file_is_an_empty_read_and_only_then() {
    let mut desk = Desk::new();
    assert_eq!(desk.types("\x04"), "");
    assert_eq!(desk.reads(), "");
    desk.types("abc\x04");
    assert_eq!(desk.try_read(3).as_deref(), Some("abc"));
    assert_eq!(desk.try_read(3), None, "the end came with the text");
    desk.types("abc\x04\x04");
    assert_eq!((desk.reads(), desk.reads()), ("abc".into(), String::new()));
}

#[test]
fn control_characters_become_signals() {
    let mut desk = Desk::new();
    assert_eq!(desk.types("half\x03"), "half^C");
    assert_eq!(desk.terminal.take_signals(), [Signal::Interrupt]);
    assert_eq!(desk.types("\x1c\x1a"), "^\\^Z");
    assert_eq!(desk.terminal.take_signals(), [Signal::Quit, Signal::Suspend]);
    desk.types("new\r");
    assert_eq!(desk.reads(), "new\n", "what was typed before Ctrl-C is forgotten");
}

#[test]
fn signals_can_leave_the_input_alone_or_be_off() {
    let mut desk = Desk::new();
    desk.set(|termios| termios.c_lflag |= NOFLSH);
    desk.types("line\rhalf\x03 more\r");
    assert_eq!(desk.terminal.take_signals(), [Signal::Interrupt]);
    assert_eq!((desk.reads(), desk.reads()), ("line\n".into(), "half more\n".into()));
    desk.set(|termios| termios.c_lflag &= !ISIG);
    desk.types("\x03\r");
    assert!(desk.terminal.take_signals().is_empty());
    assert_eq!(desk.reads(), "\x03\n");
    desk.set(|termios| {
        termios.c_lflag |= ISIG;
        termios.c_cc[VINTR] = 0;
        termios.c_cc[VERASE] = b'#';
    });
    desk.types("\0\x03ab#\r");
    assert!(desk.terminal.take_signals().is_empty(), "zero switches a character off");
    assert_eq!(desk.reads(), "\0\x03a\n");
}

#[test]
fn what_is_typed_ahead_waits_its_turn() {
    let mut desk = Desk::new();
    desk.types("ls\rcat x\rha");
    desk.terminal.write(b"output\n");
    assert_eq!(desk.terminal.take_output(), b"output\r\n");
    assert_eq!(desk.reads(), "ls\n");
    assert_eq!(desk.types("lf\r"), "lf\r\n");
    assert_eq!((desk.reads(), desk.reads()), ("cat x\n".into(), "half\n".into()));
}

#[test]
fn carriage_returns_and_newlines_are_translated_as_asked() {
    let mut desk = Desk::new();
    desk.set(|termios| termios.c_iflag = IGNCR);
    desk.types("a\rb\n");
    assert_eq!(desk.reads(), "ab\n");
    desk.set(|termios| termios.c_iflag = 0);
    assert_eq!(desk.types("a\rb\n"), "a^Mb\r\n");
    assert_eq!(desk.reads(), "a\rb\n");
    desk.set(|termios| termios.c_iflag = INLCR);
    desk.types("a\n\x04");
    assert_eq!(desk.reads(), "a\r");
    desk.set(|termios| termios.c_iflag = ISTRIP | ICRNL);
    desk.types_bytes(b"\xE1\r");
    assert_eq!(desk.reads(), "a\n");
}

#[test]
fn other_characters_can_end_a_line() {
    let mut desk = Desk::new();
    desk.set(|termios| termios.c_cc[VEOL] = b';');
    assert_eq!(desk.types("a;b\r"), "a;b\r\n");
    assert_eq!((desk.reads(), desk.reads()), ("a;".into(), "b\n".into()));
}

#[test]
fn passwords_are_not_shown() {
    let mut desk = Desk::new();
    desk.set(|termios| termios.c_lflag = termios.c_lflag & !ECHO | ECHONL);
    assert_eq!(desk.types("secret\x7f\r"), "\r\n");
    assert_eq!(desk.reads(), "secre\n");
    desk.set(|termios| termios.c_lflag &= !ECHONL);
    assert_eq!(desk.types("\x03x\r"), "");
}

#[test]
fn a_line_has_a_longest_length_and_can_still_be_ended() {
    let mut desk = Desk::new();
    let long = "x".repeat(LINE_MAX - 1);
    assert_eq!(desk.types(&long), long);
    assert_eq!(desk.types("yy"), "\x07\x07");
    assert_eq!(desk.types("\r"), "\r\n");
    assert_eq!(desk.reads(), long + "\n");
}

#[test]
fn unread_input_has_an_end() {
    let mut desk = Desk::new();
    let line = "x".repeat(LINE_MAX - 1) + "\r";
    for _ in 0..INPUT_MAX / LINE_MAX {
        desk.types(&line);
    }
    assert_eq!(desk.types("z\r"), "\x07\x07");
    assert_eq!(desk.types("\x03"), "^C", "signals still work");
    assert_eq!(desk.try_read(99), None);
    desk.types("z\r");
    assert_eq!(desk.reads(), "z\n");
    desk.raw(1, 0);
    desk.types(&"y".repeat(INPUT_MAX + 10));
    assert_eq!(desk.reads().len(), INPUT_MAX);
}

#[test]
fn the_screen_stops_and_goes_on() {
    let mut desk = Desk::new();
    desk.types("\x13");
    assert_eq!(desk.terminal.write(b"text"), None);
    assert!(!desk.terminal.is_writable());
    desk.types("\x11");
    assert_eq!(desk.terminal.write(b"text"), Some(4));
    desk.types("\x13\x03");
    assert!(desk.terminal.is_writable(), "Ctrl-C starts it again");
    desk.types("\x13");
    desk.set(|termios| termios.c_iflag &= !IXON);
    assert!(desk.terminal.is_writable());
    desk.terminal.take_output();
    assert_eq!(desk.types("\x13"), "^S");
}

#[test]
fn output_is_processed_and_long_writes_come_in_pieces() {
    let mut desk = Desk::new();
    assert_eq!(desk.terminal.write(b"a\nb"), Some(3));
    assert_eq!(desk.terminal.take_output(), b"a\r\nb");
    assert_eq!(desk.terminal.write(&[b'x'; WRITE_MAX + 1]), Some(WRITE_MAX));
    desk.terminal.take_output();
    desk.set(|termios| termios.c_oflag &= !OPOST);
    desk.terminal.write(b"a\nb");
    assert_eq!(desk.terminal.take_output(), b"a\nb");
}

#[test]
fn raw_bytes_arrive_at_once_and_untouched() {
    let mut desk = Desk::new();
    desk.raw(1, 0);
    assert_eq!(desk.try_read(9), None);
    assert_eq!(desk.types("\x03\r\x7f\x04\x1a"), "");
    assert!(desk.terminal.is_readable());
    assert_eq!(desk.reads(), "\x03\r\x7f\x04\x1a");
    assert!(desk.terminal.take_signals().is_empty());
}

#[test]
fn raw_reads_wait_for_enough_bytes_or_long_enough() {
    let mut desk = Desk::new();
    desk.raw(3, 0);
    desk.types("ab");
    assert!(!desk.terminal.is_readable());
    assert_eq!(desk.try_read(9), None);
    assert_eq!(desk.try_read(2).as_deref(), Some("ab"), "a small buffer is full sooner");
    desk.types("cde");
    assert_eq!(desk.reads(), "cde");

    desk.raw(0, 0);
    assert_eq!(desk.reads(), "", "a look that never waits");

    desk.raw(0, 5);
    let mut buffer = [0; 9];
    assert_eq!(desk.terminal.read(&mut buffer, 0, 0), Read::Wait(Some(SECOND / 2)));
    assert_eq!(desk.terminal.read(&mut buffer, 0, SECOND / 2 - 1), Read::Wait(Some(SECOND / 2)));
    assert_eq!(desk.terminal.read(&mut buffer, 0, SECOND / 2), Read::Done(0));
    desk.types("x");
    assert_eq!(desk.terminal.read(&mut buffer, 0, 1), Read::Done(1));

    desk.raw(3, 5);
    assert_eq!(desk.terminal.read(&mut buffer, 0, 9 * SECOND), Read::Wait(None), "no byte yet");
    desk.now = 9 * SECOND;
    desk.types("a");
    let until = 9 * SECOND + SECOND / 2;
    assert_eq!(desk.terminal.read(&mut buffer, 0, 9 * SECOND), Read::Wait(Some(until)));
    assert_eq!(desk.terminal.read(&mut buffer, 0, until), Read::Done(1));
}

#[test]
fn switching_modes_loses_nothing() {
    let mut desk = Desk::new();
    desk.types("line\rhalf");
    desk.raw(1, 0);
    assert_eq!(desk.try_read(2).as_deref(), Some("li"));
    desk.types("er\rne");
    desk.set(|termios| {
        termios.c_lflag |= ICANON | ECHO | ECHOE;
        termios.c_iflag |= ICRNL;
    });
    assert_eq!(desk.reads(), "ne\n");
    assert_eq!(desk.reads(), "halfer\n");
    assert_eq!(desk.try_read(99), None);
    desk.types("w\r");
    assert_eq!(desk.reads(), "new\n");
}

#[test]
fn unread_input_can_be_thrown_away() {
    let mut desk = Desk::new();
    desk.types("line\rhalf");
    assert_eq!(desk.terminal.write_flush(&1u32.to_le_bytes()), Ok(4));
    assert!(desk.terminal.is_readable(), "only output was meant");
    assert_eq!(desk.terminal.write_flush(&0u32.to_le_bytes()), Ok(4));
    assert_eq!(desk.try_read(99), None);
    desk.types("x\r");
    assert_eq!(desk.reads(), "x\n");
    assert!(desk.terminal.write_flush(&3u32.to_le_bytes()).is_err());
}

#[test]
fn the_window_says_when_it_changed() {
    let mut desk = Desk::new();
    let mut bytes = [0; 8];
    assert_eq!(desk.terminal.size().read(&mut bytes), Ok(8));
    assert_eq!(desk.terminal.write_size(&bytes), Ok(8));
    assert!(!desk.terminal.take_resized());
    bytes[0] = 50;
    assert_eq!(desk.terminal.write_size(&bytes), Ok(8));
    assert!(desk.terminal.take_resized());
    assert!(!desk.terminal.take_resized());
}

#[test]
fn the_foreground_group_is_kept() {
    let mut desk = Desk::new();
    assert_eq!(desk.terminal.group(), None);
    assert_eq!(desk.terminal.write_group(&7u32.to_le_bytes(), |_| Ok(())), Ok(4));
    let refused = |_| Err(Error::new(EPERM));
    assert!(desk.terminal.write_group(&8u32.to_le_bytes(), refused).is_err());
    assert_eq!(desk.terminal.group(), Some(7));
    let mut bytes = [0; 4];
    assert_eq!(desk.terminal.read_group(&mut bytes), Ok(4));
    assert_eq!(bytes, [7, 0, 0, 0]);
}

proptest! {
    /// Whatever is typed in whatever mode, nothing breaks, and without control characters every
    /// byte is read.
    #[test]
    fn nothing_a_person_or_program_does_breaks_it(
        acts in prop::collection::vec(
            (any::<[u32; 4]>(), any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..40), 0usize..50),
            0..20,
        ),
    ) {
        let mut desk = Desk::new();
        for (flags, characters, keys, room) in acts {
            desk.types_bytes(&keys);
            desk.try_read(room);
            desk.terminal.write(&keys);
            desk.set(|termios| {
                termios.c_iflag = flags[0];
                termios.c_oflag = flags[1];
                termios.c_lflag = flags[3];
                termios.c_cc = characters;
            });
            desk.now += 1;
            desk.terminal.take_signals();
        }
    }

    #[test]
    fn plain_text_is_read_as_typed(text in "[ -~é日🦀\r]{0,200}", room in 1usize..20) {
        let mut desk = Desk::new();
        let seen = desk.types(&text);
        prop_assert_eq!(seen, text.replace('\r', "\r\n"));
        let mut read = String::new();
        let mut bytes = Vec::new();
        let mut buffer = vec![0; room];
        while let Read::Done(length) = desk.terminal.read(&mut buffer, 0, 0) {
            bytes.extend_from_slice(&buffer[..length]);
        }
        read.push_str(&String::from_utf8_lossy(&bytes));
        let whole = text.rfind('\r').map_or("", |end| &text[..=end]);
        prop_assert_eq!(read, whole.replace('\r', "\n"));
    }

    /// Erasing everything leaves the screen as it was.
    #[test]
    fn what_was_shown_is_wiped(text in "[a-z\t é日\u{1}]{0,40}") {
        let mut desk = Desk::new();
        desk.terminal.write(b"prompt> ");
        desk.terminal.take_output();
        let mut column = consoled::column::Column::default();
        column.follow(b"prompt> ");
        let start = column.get();
        column.follow(desk.types(&text).as_bytes());
        column.follow(desk.types("\x15").as_bytes());
        prop_assert_eq!(column.get(), start);
        desk.types("\r");
        prop_assert_eq!(desk.reads(), "\n");
    }
}
