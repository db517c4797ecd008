//! The kernel log: how lines look, what stays when room runs out, what readers see.

use kernel_core::log::{LINE_MAX, Level, Line, Log, Piece};
use proptest::prelude::*;
use std::fmt;

fn line<'a>(level: Level, time_ns: u64, message: fmt::Arguments<'a>) -> Line<'a> {
    Line { level, time_ns, cpu: 0, target: "sched", message }
}

fn info(log: &mut Log, message: &str) {
    log.write(&line(Level::Info, 0, format_args!("{message}")));
}

/// Everything from a position on, read in pieces of this size.
fn read(log: &Log, mut position: u64, size: usize) -> (String, u64) {
    let (mut text, mut missed) = (Vec::new(), 0);
    let mut piece = vec![0; size];
    loop {
        let Piece { count, next, missed: more } = log.read(position, &mut piece);
        if count == 0 {
            return (String::from_utf8(text).unwrap(), missed);
        }
        text.extend(&piece[..count]);
        (position, missed) = (next, missed + more);
    }
}

fn all(log: &Log) -> String {
    read(log, log.start(), 64).0
}

#[test]
fn a_line_looks_as_agreed() {
    let mut log = Log::new(0);
    log.write(&line(Level::Info, 1_234_567_999, format_args!("started {} CPUs", 4)));
    log.write(&Line { cpu: 12, ..line(Level::Error, 0, format_args!("")) });
    log.write(&line(Level::Debug, 123_456_000_001_000, format_args!("late")));
    log.write(&line(Level::Warn, 999_999, format_args!("ends\n")));
    assert!(all(&log).is_ascii());
    let expected = "[    1.234567] cpu0 INFO  sched: started 4 CPUs\n\
                    [123456.000001] cpu0 DEBUG sched: late\n\
                    [    0.000999] cpu0 WARN  sched: ends\n";
    assert_eq!(all(&log), expected, "an empty message is no line");
}

#[test]
fn every_line_of_a_message_has_the_prefix() {
    let mut log = Log::new(0);
    info(&mut log, "one\n\nthree");
    let prefix = "[    0.000000] cpu0 INFO  sched: ";
    assert_eq!(all(&log), format!("{prefix}one\n{prefix}\n{prefix}three\n"));
}

#[test]
fn a_terminal_has_nothing_to_obey() {
    let mut log = Log::new(0);
    info(&mut log, "\x1b[2J\r\t\u{9b}é");
    assert_eq!(all(&log), "[    0.000000] cpu0 INFO  sched: ?[2J???é\n");
}

#[test]
fn a_long_line_is_cut() {
    let mut log = Log::new(0);
    info(&mut log, &format!("{}\nnext", "ü".repeat(LINE_MAX)));
    let text = all(&log);
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].len() <= LINE_MAX && lines[0].len() > LINE_MAX - 2 && lines[0].ends_with("ü...")
    );
    assert!(lines[1].ends_with("sched: next"));
}

#[test]
fn levels_decide_what_is_kept_and_what_is_shown() {
    let mut log = Log::new(0);
    log.level = Level::Info;
    log.console_level = Level::Warn;
    let message = format_args!("x");
    assert_eq!(log.write(&line(Level::Debug, 0, message)), None);
    assert_eq!(log.end(), 0);
    assert_eq!(log.write(&line(Level::Info, 0, message)), None);
    let kept = log.end();
    assert!(kept > 0);
    assert_eq!(log.write(&line(Level::Warn, 0, message)), Some(kept..log.end()));
}

#[test]
fn levels_have_names_and_numbers() {
    for (number, name) in [(1, "ERROR"), (2, "WARN"), (3, "INFO"), (4, "DEBUG"), (5, "TRACE")] {
        let level = Level::parse(name).unwrap();
        assert_eq!((level as u8, level.to_string().as_str()), (number, name));
        assert_eq!(Level::parse(&number.to_string()), Some(level));
        assert_eq!(Level::parse(&name.to_lowercase()), Some(level));
    }
    assert_eq!(["", "0", "6", "loud"].map(Level::parse), [None; 4]);
}

#[test]
fn a_reader_that_falls_behind_is_told() {
    let mut log = Log::new(0);
    info(&mut log, "first");
    let behind = log.end();
    let long = "x".repeat(900);
    for _ in 0..10 {
        info(&mut log, &long);
    }
    let (text, missed) = read(&log, behind, 100);
    assert_eq!(missed, log.start() - behind);
    assert!(missed > 0 && text.starts_with("[    0.000000] cpu0 INFO  sched: xxx"));
    assert_eq!(text.len() as u64, log.end() - log.start());
    let ahead = log.read(log.end() + 10, &mut [0; 8]);
    assert_eq!(ahead, Piece { count: 0, next: log.end() + 10, missed: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_newest_whole_lines_stay(
        messages in prop::collection::vec("[a-zé\n]{0,1200}", 1..20),
        size in 1..3000_usize,
    ) {
        let mut log = Log::new(5000);
        let mut written = String::new();
        let mut position = 0;
        for message in &messages {
            let shown = log.write(&line(Level::Info, 7_000, format_args!("{message}")));
            let range = shown.unwrap_or(log.end()..log.end());
            prop_assert!(range.start >= position && range.end == log.end());
            prop_assert!(log.end() - log.start() <= 5000);
            let mut bytes = vec![0; (range.end - range.start) as usize];
            prop_assert_eq!(log.read(range.start, &mut bytes).missed, 0);
            written.truncate(position as usize);
            written.push_str(&" ".repeat((range.start - position) as usize));
            written.push_str(std::str::from_utf8(&bytes).unwrap());
            position = range.end;
        }
        let (kept, missed) = read(&log, 0, size);
        prop_assert_eq!(missed, log.start());
        prop_assert!(written.ends_with(&kept));
        prop_assert!(kept.is_empty() || (kept.starts_with("[    0.000007]") && kept.ends_with('\n')));
        prop_assert!(kept.lines().all(|line| line.len() <= LINE_MAX));
    }
}
