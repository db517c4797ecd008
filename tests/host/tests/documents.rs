//! What the documents say is so.

use kernel_core::scheme::KernelSchemes;
use kernel_core::syscall::ROWS;
use kernel_sim::Sim;
use std::fs;
use std::path::{Path, PathBuf};

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn read(path: &str) -> String {
    fs::read_to_string(documents().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of the table rows whose first cell is a hexadecimal number.
fn numbered_rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| 0x"));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn every_system_call_has_its_row() {
    let text = read("abi.md");
    let rows = numbered_rows(&text);
    for call in ROWS {
        let number = format!("{:#010x}", call.number);
        let row = rows.iter().find(|row| row[0] == number);
        let row = row.unwrap_or_else(|| panic!("abi.md has no row {number} {}", call.name));
        assert_eq!(row.len(), 5, "columns of {}", call.name);
        assert_eq!(row[1], format!("`{}`", call.name), "the name of {number}");
        let arguments = row[2].split(',').filter(|word| !word.trim().is_empty());
        assert_eq!(arguments.count(), call.count, "the arguments of {}", call.name);
    }
    assert_eq!(rows.len(), ROWS.len(), "abi.md has rows for calls that do not exist");
}

#[test]
fn every_scheme_of_the_kernel_has_its_page() {
    for scheme in KernelSchemes::<Sim>::ALL {
        let name = scheme.name();
        let page = read(&format!("schemes/{name}.md"));
        assert!(page.starts_with(&format!("# `{name}:`")), "the title of {name}.md");
        assert!(page.contains("\n## Session\n") || name == "initfs", "the session of {name}.md");
    }
}

#[test]
fn every_daemon_has_its_page() {
    let manifest = documents().join("../filesystem.toml");
    let manifest = fs::read_to_string(manifest).expect("it is there");
    let index = read("README.md");
    let values = manifest.lines().filter_map(|line| line.strip_prefix("scheme = "));
    let names: Vec<&str> = values.flat_map(|value| value.split('"').skip(1).step_by(2)).collect();
    assert!(names.len() >= 6, "the manifest has services: {names:?}");
    for name in names {
        let row = index.lines().find(|line| line.contains(&format!("`{name}:`")));
        let row = row.unwrap_or_else(|| panic!("docs/README.md does not list {name}:"));
        let page = links(row).first().copied().expect("the row is a link").to_owned();
        let title = read(&page).lines().next().unwrap_or_default().to_owned();
        assert!(title.contains(&format!("`{name}:`")), "the title of {page}: {title}");
    }
}

#[test]
fn the_pages_of_sys_and_proc_name_every_file() {
    host_stories::story(|user| {
        for (page, directory) in [("sys", "sys:"), ("proc", "proc:1")] {
            let text = read(&format!("schemes/{page}.md"));
            for name in user.list(directory).expect("it is there") {
                let found = text.contains(&format!("| `{name}` |"))
                    || text.contains(&format!("| `proc:PID/{name}` |"));
                assert!(found, "{page}.md does not name {name}");
            }
        }
    });
}

#[test]
fn the_index_leads_to_every_document() {
    let index = read("README.md");
    for folder in ["", "schemes"] {
        for entry in fs::read_dir(documents().join(folder)).expect("the folder is there") {
            let name = entry.expect("it can be read").file_name();
            let name = name.to_str().expect("a plain name");
            let path = Path::new(folder).join(name);
            if name.ends_with(".md") && name != "README.md" {
                let link = format!("]({})", path.display());
                assert!(index.contains(&link), "docs/README.md has no link {link}");
            }
        }
    }
}

/// Targets of the links in a document that are files here.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = fs::read_dir(documents().join("schemes")).expect("the folder is there");
    let mut files: Vec<PathBuf> = pages.map(|page| page.expect("it is readable").path()).collect();
    files.extend(
        ["README.md", "abi.md", "boot.md", "walk-of-a-read.md"].map(|name| documents().join(name)),
    );
    for file in files {
        let text = fs::read_to_string(&file).expect("it is readable");
        let folder = file.parent().expect("it is in a folder");
        for link in links(&text) {
            let target = folder.join(link.split('#').next().unwrap_or(link));
            assert!(target.exists(), "{} links to {link}", file.display());
        }
    }
}

/// Names in code font that look like `path/to/file.rs` or `path/to/file.rs`: `function`.
fn source_names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs") && !name.contains('*'))
}

#[test]
fn the_walk_names_files_and_functions_that_exist() {
    let root = documents().join("..");
    let text = read("walk-of-a-read.md");
    assert!(text.lines().count() <= 120, "the walk is to be short");
    let mut sources = String::new();
    for name in source_names(&text) {
        let path = root.join(name);
        sources += &fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let calls = text.split('`').skip(1).step_by(2).filter_map(|name| name.strip_suffix("()"));
    for function in calls {
        let name = function.rsplit("::").next().unwrap_or(function);
        let is_there = ["fn ", "macro_rules! "].iter().any(|kind| {
            sources.match_indices(&format!("{kind}{name}")).any(|(at, found)| {
                !sources[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
            })
        });
        assert!(is_there || sources.contains(&format!("\n{name}:")), "there is no {function}()");
    }
}
