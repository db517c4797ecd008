//! The house rules that a machine can check, over every source file of the repository.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Rust file below `folder` with its text, but for what was built.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_ours = !name.starts_with('.') && name != "build" && !name.starts_with("target");
        if path.is_dir() && is_ours {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Fails with the list of offenders.
fn none_of(offenders: Vec<String>, rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

/// `path:line` of every line in `folder` that `is_wrong` finds fault with.
fn lines(folder: &str, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(&root().join(folder)) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| is_wrong(line)) {
            found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
        }
    }
    found
}

#[test]
fn every_module_says_what_it_is_for() {
    // A module's own `tests.rs` is for what the module is for.
    let modules = sources(&root()).into_iter().filter(|(path, _)| !path.ends_with("tests.rs"));
    let silent = modules.filter(|(_, text)| {
        let first = text.lines().find(|line| !line.starts_with("#![") && !line.trim().is_empty());
        !first.is_some_and(|line| line.starts_with("//!"))
    });
    let silent = silent.map(|(path, _)| path.display().to_string()).collect();
    none_of(silent, "these files do not open with `//!`");
}

#[test]
fn nothing_is_left_for_later_in_silence() {
    // Put together here, so that this file does not find itself.
    let note = regex::Regex::new(&["\\b(TO", "DO|FIX", "ME|XX", "X)\\b"].concat()).unwrap();
    none_of(lines("", |line| note.is_match(line)), "an issue is the place for these");
    let dead = ["allow(", "dead_code"].concat();
    none_of(lines("", |line| line.contains(&dead)), "dead code is removed, not allowed");
}

#[test]
fn the_portable_kernel_stays_portable() {
    let machine = |line: &str| line.contains("cfg(target") || line.contains("asm!");
    none_of(lines("kernel/core", machine), "the machine crate is the place for these");
    let text = std::fs::read_to_string(root().join("kernel/core/src/lib.rs")).unwrap();
    assert!(text.contains("#![forbid(unsafe_code)]"), "kernel-core forbids unsafe code");
}
