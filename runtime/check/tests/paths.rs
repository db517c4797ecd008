//! Paths against a model: a tree of folders in memory, walked part by part.
//!
//! The working directory is the process's, so the tests of this file take turns.
#![cfg(target_os = "redox")]

use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::{env, fs};

static TURN: Mutex<()> = Mutex::new(());

/// The scheme whose files the tests use: a folder over Linux, a daemon in Lifeboat.
const SCHEME: &str = "ram";

/// Where the tree is, without and with the scheme in front.
const ROOT: &[&str] = &["scheme", SCHEME, "paths-test"];
const FOLDERS: &[&str] = &["", "a", "a/b", "a/b/c", "b"];
const FILES: &[&str] = &["f", "a/f", "a/b/c/f", "b/x:y"];

fn turn() -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(|broken| broken.into_inner());
    // Over Linux, schemes are folders.
    if !Path::new("/scheme/sys").exists() {
        fs::create_dir_all(format!("/tmp/lifeboat-schemes/{SCHEME}")).expect("room in /tmp");
    }
    for folder in FOLDERS {
        let _ = fs::create_dir(format!("ram:/paths-test/{folder}"));
    }
    for file in FILES {
        fs::write(format!("/scheme/ram/paths-test/{file}"), file).expect("the folders are there");
    }
    turn
}

/// The parts of a path that has been walked, from `/`.
type Parts = Vec<String>;

fn begin(cwd: &Parts, path: &str) -> (Parts, String) {
    let end = path.find([':', '/']).filter(|&at| path[at..].starts_with(':'));
    match end {
        Some(end) if path.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            (vec!["scheme".into(), path[..end].into()], path[end + 1..].into())
        }
        _ if path.starts_with('/') => (Vec::new(), path.into()),
        _ => (cwd.clone(), path.into()),
    }
}

/// What a path names, by the text alone; `..` stays below a scheme that is named with a colon.
fn walk(cwd: &Parts, path: &str) -> Parts {
    let (mut parts, rest) = begin(cwd, path);
    let root = if path.contains(':') && !needs_cwd(path) { parts.len() } else { 0 };
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.len() > root => drop(parts.pop()),
            ".." => {}
            part => parts.push(part.into()),
        }
    }
    parts
}

fn needs_cwd(path: &str) -> bool {
    !path.starts_with('/') && begin(&vec!["cwd".into()], path).0 == ["cwd"]
}

/// What the model says is at a place inside the tree; nothing for places outside.
enum There {
    Folder,
    File(&'static str),
    Nothing,
    Outside,
}

fn there(parts: &Parts) -> There {
    if parts.len() < ROOT.len() || parts[..ROOT.len()] != *ROOT {
        return There::Outside;
    }
    let inside = parts[ROOT.len()..].join("/");
    match FILES.iter().find(|file| **file == inside) {
        Some(file) => There::File(file),
        None if FOLDERS.contains(&inside.as_str()) => There::Folder,
        None => There::Nothing,
    }
}

fn part() -> impl Strategy<Value = String> {
    let names = ["a", "b", "c", "f", "x:y", ".", "..", ""];
    proptest::sample::select(names.to_vec()).prop_map(String::from)
}

fn path() -> impl Strategy<Value = String> {
    let fronts = ["", "", "./", "ram:/paths-test/", "ram:paths-test/", "/scheme/ram/paths-test/"];
    let front = proptest::sample::select(fronts.to_vec());
    (front, proptest::collection::vec(part(), 1..6))
        .prop_map(|(front, parts)| format!("{front}{}", parts.join("/")))
}

fn cwd() -> Parts {
    let text = env::current_dir().expect("there is a working directory");
    let text = text.to_str().expect("it is text").trim_start_matches('/').to_owned();
    text.split('/').map(String::from).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn files_are_found_where_the_model_says(
        start in proptest::sample::select(FOLDERS.to_vec()),
        paths in proptest::collection::vec(path(), 1..6),
    ) {
        let _turn = turn();
        env::set_current_dir(format!("/scheme/ram/paths-test/{start}"))?;
        for path in &paths {
            let parts = walk(&cwd(), path);
            // A slash behind a file asks for a folder.
            let as_folder = path.ends_with(['/']) || path.ends_with("/.") || path.ends_with("/..");
            match there(&parts) {
                There::File(file) if !as_folder => {
                    let text = fs::read_to_string(path).ok();
                    prop_assert_eq!(text.as_deref(), Some(file), "{}", path);
                }
                There::File(_) => prop_assert!(fs::read(path).is_err(), "{}", path),
                There::Folder if !path.is_empty() => {
                    prop_assert!(fs::metadata(path)?.is_dir(), "{}", path);
                    prop_assert!(env::set_current_dir(path).is_ok(), "{}", path);
                    prop_assert_eq!(cwd(), parts, "{}", path);
                }
                There::Nothing => prop_assert!(fs::metadata(path).is_err(), "{}", path),
                There::Folder | There::Outside => {}
            }
        }
    }
}

#[test]
fn three_names_mean_one_file() {
    let _turn = turn();
    env::set_current_dir("ram:paths-test/b").expect("the folder is there");
    for name in ["./x:y", "ram:paths-test/b/x:y", "/scheme/ram/paths-test/b/x:y", "../b/x:y"] {
        assert_eq!(fs::read_to_string(name).expect(name), "b/x:y");
    }
    // Without `./` it is a scheme's name, which nobody has.
    assert!(fs::read("x:y").is_err());
}

#[test]
fn names_in_a_folder_are_told_once_each() {
    let _turn = turn();
    let told = fs::read_dir("ram:/paths-test/a").expect("the folder is there");
    let names: Vec<_> = told.map(|entry| entry.expect("an entry").file_name()).collect();
    let unique: BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert!(unique.iter().any(|name| *name == "b") && unique.iter().any(|name| *name == "f"));
}

#[test]
fn bad_paths_cost_an_error() {
    let _turn = turn();
    let long = "x".repeat(5_000);
    assert_eq!(fs::metadata("").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::metadata(&long).unwrap_err().raw_os_error(), Some(libc::ENAMETOOLONG));
    assert_eq!(
        env::set_current_dir("ram:paths-test/f").unwrap_err().raw_os_error(),
        Some(libc::ENOTDIR)
    );
    assert_eq!(
        fs::metadata("/scheme/ram/paths-test/f/").unwrap_err().raw_os_error(),
        Some(libc::ENOTDIR)
    );
}
