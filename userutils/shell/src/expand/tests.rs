use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ast::Command;
use crate::parse::Parser;

/// A world of a few variables and files; a substituted command's output is its first word.
#[derive(Default)]
struct World {
    variables: BTreeMap<String, String>,
    positional: Vec<String>,
    files: Vec<&'static str>,
    strict: bool,
}

impl Environment for World {
    fn get(&self, name: &str) -> Option<String> {
        match name {
            "#" => Some(self.positional.len().to_string()),
            name => self.variables.get(name).cloned(),
        }
    }
    fn assign(&mut self, name: &str, value: String) -> Result<(), Error> {
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }
    fn positional(&self) -> &[String] {
        &self.positional
    }
    fn output_of(&mut self, list: &List) -> Result<String, Error> {
        Ok(format!("{}\n\n", list.items[0].text))
    }
    fn entries(&self, directory: &str) -> Vec<String> {
        let directory = if directory == "." { "" } else { directory };
        let below = |file: &&str| {
            let rest = file.strip_prefix(directory)?;
            let name = rest.split('/').next().unwrap_or_default();
            (!name.is_empty() && !name.contains(':')).then(|| name.to_owned())
        };
        let mut names: Vec<_> = self.files.iter().filter_map(below).collect();
        names.dedup();
        names
    }
    fn exists(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.starts_with(path))
    }
    fn keeps_patterns(&self) -> bool {
        false
    }
    fn forbids_unset(&self) -> bool {
        self.strict
    }
}

fn world() -> World {
    let variables = [("x", "one  two"), ("empty", ""), ("HOME", "/home"), ("star", "*")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    World {
        variables: variables.map(owned).into(),
        positional: vec!["p 1".into(), "p2".into()],
        files: vec!["b.rs", "a.rs", ".hidden", "dir/c.rs", "sys:uname", "sys:uptime", "sys:mem"],
        strict: false,
    }
}

fn words(text: &str) -> Vec<Word> {
    let none = |_: &str| None;
    let line = format!("echo {text}");
    let mut list = Parser::new(&line, &none).next_command().unwrap().unwrap();
    match list.items.remove(0).chain.first.commands.remove(0) {
        Command::Simple(simple) => simple.words[1..].to_vec(),
        other => panic!("{other:?}"),
    }
}

fn try_expand(text: &str, world: &mut World) -> Result<Vec<String>, Error> {
    fields(&words(text), world)
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(try_expand(text, &mut world()).unwrap(), expected, "{text}");
}

#[test]
fn values_split_outside_of_quotes_only() {
    check("$x", &["one", "two"]);
    check("\"$x\"", &["one  two"]);
    check("a${x}b", &["aone", "twob"]);
    check("a\" $x \"b", &["a one  two b"]);
    check("$empty \"$empty\" '' $none", &["", ""]);
    check("'$x' \\$x", &["$x", "$x"]);
}

#[test]
fn parameters_keep_their_borders_in_quotes() {
    check("\"$@\"", &["p 1", "p2"]);
    check("$@", &["p", "1", "p2"]);
    check("a\"$@\"b", &["ap 1", "p2b"]);
    check("\"$*\" $# $2 ${1} \"$1\"", &["p 1 p2", "2", "p2", "p", "1", "p 1"]);
    let mut nobody = World::default();
    assert_eq!(try_expand("\"$@\" \"$*\"", &mut nobody).unwrap(), [""]);
}

#[test]
fn defaults_and_alternatives_choose() {
    check("${none:-a b} \"${none:-a b}\" ${empty-c} ${empty:-c}", &["a", "b", "a b", "c"]);
    check("${x:+set} ${none+set} ${empty+set} ${empty:+set}", &["set", "set"]);
    check("${none:-'a b'} ${none:-$x}", &["a b", "one", "two"]);
    check("${new:=value} $new ${#new}", &["value", "value", "5"]);
    let error = try_expand("${none:?is needed}", &mut world()).unwrap_err();
    assert_eq!(error, "none: is needed");
    let mut strict = World { strict: true, ..world() };
    assert_eq!(try_expand("$none", &mut strict).unwrap_err(), "none: parameter not set");
    assert!(try_expand("${none-}", &mut strict).unwrap().is_empty());
}

#[test]
fn starts_and_ends_are_cut_off() {
    let mut world = world();
    world.variables.insert("p".into(), "/a/b.tar.gz".into());
    let all = try_expand("${p##*/} ${p#*/} ${p%.*} ${p%%.*} ${p%none} ${p#'*'}", &mut world);
    let expected = ["b.tar.gz", "a/b.tar.gz", "/a/b.tar", "/a/b", "/a/b.tar.gz", "/a/b.tar.gz"];
    assert_eq!(all.unwrap(), expected);
}

#[test]
fn outputs_lose_their_last_newlines() {
    check("$(word) \"$(two words)\" $(two words)", &["word", "two words", "two", "words"]);
}

#[test]
fn file_names_are_found_also_in_schemes() {
    check("*.rs", &["a.rs", "b.rs"]);
    check("sys:u*", &["sys:uname", "sys:uptime"]);
    check("*/c.rs d*/*.rs", &["dir/c.rs", "dir/c.rs"]);
    check(".h*", &[".hidden"]);
    check("'*'.rs \"*\" \\*", &["*.rs", "*", "*"]);
    check("none* sys:x*", &["none*", "sys:x*"]);
    check("\"$star\"", &["*"]);
    check("$star.rs", &["a.rs", "b.rs"]);
}

#[test]
fn a_tilde_is_the_home_directory() {
    check("~ ~/a a~ '~' ~nobody", &["/home", "/home/a", "a~", "~", "~nobody"]);
}

#[test]
fn other_separators_keep_empty_fields() {
    let mut world = world();
    world.variables.insert("IFS".into(), ": ".into());
    world.variables.insert("path".into(), "a::b : c:".into());
    assert_eq!(try_expand("$path", &mut world).unwrap(), ["a", "", "b", "c"]);
    world.variables.insert("IFS".into(), String::new());
    assert_eq!(try_expand("$x", &mut world).unwrap(), ["one  two"]);
}

#[test]
fn arithmetic_follows_c() {
    for (expression, value) in [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 2 - 3", 5),
        ("7 / 2 + 7 % 2", 4),
        ("-3 + +1 - !0 + ~0", -4),
        ("1 << 4 | 1", 17),
        ("6 & 3 ^ 1", 3),
        ("3 < 4 && 4 <= 4 && 5 > 4 && 1 != 2", 1),
        ("0 || 0", 0),
        ("1 ? 2 : 3 ? 4 : 5", 2),
        ("0x1F + 010", 39),
        ("1 || (1 / 0)", 1),
        ("", 0),
    ] {
        assert_eq!(arithmetic::compute(expression, &mut world()), Ok(value), "{expression}");
    }
}

#[test]
fn arithmetic_assigns_variables() {
    let mut world = World::default();
    let all = try_expand("$((i = 3)) $((i += 2)) $((i++)) $((++i)) $i $((i == 7))", &mut world);
    assert_eq!(all.unwrap(), ["3", "5", "5", "7", "7", "1"]);
    world.variables.insert("e".into(), "i * 2".into());
    assert_eq!(arithmetic::compute("e + none", &mut world), Ok(14));
    assert_eq!(arithmetic::compute("0 && (i = 9)", &mut world), Ok(0));
    assert_eq!(world.variables["i"], "7");
}

#[test]
fn arithmetic_says_what_is_wrong() {
    let error = |text| arithmetic::compute(text, &mut world()).unwrap_err();
    assert_eq!(error("1 / 0"), "1 / 0: division by zero");
    assert_eq!(error("1 +"), "1 +: a number or name is missing");
    assert_eq!(error("08"), "08: `08` is no number");
    let mut world = World::default();
    world.variables.insert("loop".into(), "loop".into());
    assert!(arithmetic::compute("loop", &mut world).unwrap_err().contains("too deeply"));
}

proptest! {
    #[test]
    fn no_expression_breaks(text in "[0-9a-c+*/%()<>=!?:&|^~ -]{0,40}") {
        let _ = arithmetic::compute(&text, &mut world());
    }

    #[test]
    fn a_quoted_variable_is_one_field(value in "\\PC{0,30}") {
        let mut world = World::default();
        world.variables.insert("v".into(), value.clone());
        prop_assert_eq!(try_expand("\"$v\"", &mut world).unwrap(), [value]);
    }
}
