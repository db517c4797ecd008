//! What writers and readers may count on.

use logd::line::{Line, TEXT_MAX};
use logd::reader::{Reader, Scope};
use logd::store::{Limits, Store, TAGS_MAX};
use logd::writer::Writer;
use proptest::prelude::*;
use syscall::error::{ENOSPC, Error};

fn tag(name: &str) -> Scope {
    Scope::Tag(name.into())
}

/// Everything a reader gets, through a buffer of this size.
fn all(reader: &mut Reader, store: &Store, room: usize) -> String {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; room];
    loop {
        let length = reader.read(store, &mut buffer);
        if length == 0 {
            return String::from_utf8(bytes).expect("text");
        }
        bytes.extend_from_slice(&buffer[..length]);
    }
}

/// The texts only.
fn texts(scope: Scope, store: &Store) -> Vec<String> {
    let read = all(&mut Reader::new(scope), store, 64);
    let text = |line: &str| {
        let (_, rest) = line.split_once("] ")?;
        rest.split_once("  ").map(|(_, text)| text.to_owned())
    };
    read.lines().map(|line| text(line).expect("a line of the log")).collect()
}

fn write(store: &mut Store, tag: &str, text: &str) {
    let written = Writer::new(tag).write(store, text.as_bytes(), 1_000_000, 7);
    assert_eq!(written, Ok(text.len()));
}

#[test]
fn lines_are_read_in_order_for_all_and_for_one() {
    let mut store = Store::default();
    write(&mut store, "a", "one\n");
    write(&mut store, "b", "two\nWARN three\n");
    write(&mut store, "a", "four\n");
    let everything = "[    1.000000] a[7] INFO  one\n[    1.000000] b[7] INFO  two\n\
                      [    1.000000] b[7] WARN  three\n[    1.000000] a[7] INFO  four\n";
    for room in [1, 7, 1000] {
        assert_eq!(all(&mut Reader::new(Scope::All), &store, room), everything);
    }
    let of_a = "[    1.000000] a[7] INFO  one\n[    1.000000] a[7] INFO  four\n";
    assert_eq!(all(&mut Reader::new(tag("a")), &store, 64), of_a);
    assert_eq!(store.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let mut store = Store::default();
    let mut reader = Reader::new(tag("new"));
    assert!(!reader.has_more(&store), "a tag that does not exist yet");
    write(&mut store, "other", "x\n");
    assert!(!reader.has_more(&store));
    write(&mut store, "new", "first\n");
    assert!(reader.has_more(&store));
    assert!(all(&mut reader, &store, 5).ends_with("first\n"));
    assert!(!reader.has_more(&store));
    write(&mut store, "new", "second\n");
    assert!(all(&mut reader, &store, 5).ends_with("second\n"));
}

#[test]
fn a_line_may_come_in_pieces_from_several_writers() {
    let mut store = Store::default();
    let (mut one, mut two) = (Writer::new("t"), Writer::new("t"));
    one.write(&mut store, b"hel", 1, 1).expect("taken");
    two.write(&mut store, b"middle\n", 2, 2).expect("taken");
    one.write(&mut store, b"lo\n\n  \nlast", 3, 1).expect("taken");
    assert_eq!(texts(tag("t"), &store), ["middle", "hello"]);
    one.flush(&mut store, 4, 1);
    assert_eq!(texts(tag("t"), &store), ["middle", "hello", "last"], "blank lines are left out");
}

#[test]
fn a_very_long_line_is_kept_in_pieces() {
    let mut store = Store::default();
    let long = "é".repeat(TEXT_MAX);
    write(&mut store, "t", &(long.clone() + "\n"));
    let pieces = texts(tag("t"), &store);
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces.concat(), long, "no character is cut in two");
}

#[test]
fn a_loud_tag_loses_its_own_lines_first() {
    let mut store = Store::new(Limits { tag: 1000, total: 100_000 });
    write(&mut store, "quiet", "early\n");
    for index in 0..100 {
        write(&mut store, "loud", &format!("{index}\n"));
    }
    assert_eq!(texts(tag("quiet"), &store), ["early"]);
    let loud = texts(tag("loud"), &store);
    assert_eq!(loud.last().map(String::as_str), Some("99"));
    assert_eq!(loud[0], format!("{} lines lost", 100 - (loud.len() - 1)));
    let everything = texts(Scope::All, &store);
    assert_eq!(everything[0], "early");
    assert_eq!(everything[1..], loud[..]);
}

#[test]
fn all_together_have_a_limit_too() {
    let mut store = Store::new(Limits { tag: 1000, total: 1500 });
    for index in 0..60 {
        write(&mut store, ["a", "b", "c"][index % 3], &format!("{index}\n"));
        assert!(store.bytes() <= 1500);
    }
    let everything = texts(Scope::All, &store);
    assert_eq!(everything[0], format!("{} lines lost", 60 - (everything.len() - 1)));
    assert_eq!(everything.last().map(String::as_str), Some("59"));
}

#[test]
fn a_slow_reader_is_told_what_it_missed() {
    let mut store = Store::new(Limits { tag: 300, total: 300 });
    let mut reader = Reader::new(Scope::All);
    write(&mut store, "t", "0\n");
    assert!(all(&mut reader, &store, 99).ends_with(" 0\n"));
    for index in 1..=10 {
        write(&mut store, "t", &format!("{index}\n"));
    }
    let read = all(&mut reader, &store, 99);
    assert!(read.starts_with("[    1.000000] logd WARN  7 lines lost\n"), "{read}");
    assert!(read.ends_with("INFO  10\n"));
}

#[test]
fn there_are_only_so_many_tags() {
    let mut store = Store::default();
    for index in 0..TAGS_MAX {
        assert!(store.find_or_make(&format!("t{index}")).is_ok());
    }
    let mut writer = Writer::new("one-too-many");
    assert_eq!(writer.write(&mut store, b"x\n", 0, 1), Err(Error::new(ENOSPC)));
    assert!(store.find_or_make("t0").is_ok());
}

proptest! {
    /// Whatever is written, every line is either read or counted as lost, in order.
    #[test]
    fn every_line_is_read_or_counted(
        lines in prop::collection::vec((0usize..3, "[a-z]{1,60}"), 0..80),
        tag_limit in 100usize..3000,
        total_limit in 100usize..6000,
    ) {
        const TAGS: [&str; 3] = ["a", "b", "c"];
        let mut store = Store::new(Limits { tag: tag_limit, total: total_limit });
        for (tag, text) in &lines {
            let id = store.find_or_make(TAGS[*tag]).expect("three tags");
            store.add(id, Line::new(0, 1, text.as_bytes()));
        }
        let scopes = [Scope::All, tag("a"), tag("b"), tag("c")];
        for scope in scopes {
            let mut expected = lines.iter().filter(|(tag, _)| match &scope {
                Scope::All => true,
                Scope::Tag(name) => **name == *TAGS[*tag],
            });
            for text in texts(scope.clone(), &store) {
                if let Some(count) = text.strip_suffix(" lines lost").or(text.strip_suffix(" line lost")) {
                    let count: usize = count.parse().expect("a number");
                    prop_assert!(expected.nth(count - 1).is_some());
                } else {
                    prop_assert_eq!(Some(&text), expected.next().map(|(_, text)| text));
                }
            }
            prop_assert_eq!(expected.count(), 0, "the newest lines are always there");
        }
    }
}
