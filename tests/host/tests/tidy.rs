//! What must be true of the source itself.

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file below a folder of the repository, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("it is text");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn the_portable_kernel_has_no_unsafe_code_and_knows_no_target() {
    let lib = fs::read_to_string("../../kernel/core/src/lib.rs").expect("it is there");
    assert!(lib.contains("#![forbid(unsafe_code)]"));
    for (path, text) in sources("kernel/core/src") {
        for word in ["cfg(target", "target_arch", "core::arch", "std::", "spin::"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn every_file_of_the_kernel_says_what_it_is_for() {
    for folder in ["kernel/core/src", "kernel/sim/src", "tests/host"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{} starts without a word", path.display());
        }
    }
}

#[test]
fn nothing_is_left_to_do_in_a_comment() {
    for (path, text) in sources("kernel/core/src").into_iter().chain(sources("kernel/sim/src")) {
        for word in ["TODO", "FIXME", "XXX", "HACK"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
