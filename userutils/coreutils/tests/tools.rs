//! Every tool answers under its own name and in words.

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_coreutils");
    Command::new(program).args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The build of uucore embeds the messages it finds beside it; a program built without them
/// still runs, but prints keys such as `ls-about`.
#[test]
fn messages_are_embedded() {
    let list = text(&run(&["--list"]).stdout);
    let names: Vec<&str> = list.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert!(names.len() > 40, "{list}");
    for name in names.iter().filter(|name| !name.contains(['[', ' ']) && **name != "test") {
        let help = text(&run(&[name, "--help"]).stdout);
        assert!(help.contains("Usage: "), "{name}: {help}");
        assert!(!help.contains(&format!("{name}-about")), "{name}: {help}");
    }
}

#[test]
fn tools_work_by_name() {
    assert_eq!(text(&run(&["basename", "/a/b"]).stdout), "b\n");
    assert_eq!(run(&["[", "a", "=", "a", "]"]).status.code(), Some(0));
    assert_eq!(run(&["test", "a", "=", "b"]).status.code(), Some(1));
    assert!(text(&run(&["ls", "-la", "/"]).stdout).starts_with("total "));
    assert_eq!(run(&["no-such-tool"]).status.code(), Some(2));
}
