//! `docs/std.md` names every function of the C library, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(directory: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(fs::read_to_string(&path).expect("the file can be read"));
        }
    }
}

/// The word that begins a text: letters, digits and underscores.
fn word(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Names that follow `#[unsafe(no_mangle)]` or stand in `#[unsafe(export_name = "...")]`.
fn exported(source: &str, names: &mut BTreeSet<String>) {
    for part in source.split("#[unsafe(no_mangle)]").skip(1) {
        let item = part.find("fn ").map(|at| &part[at + 3..]);
        let item = match part.find("static ") {
            Some(at) if part.find("fn ").is_none_or(|other| at < other) => Some(&part[at + 7..]),
            _ => item,
        };
        let name = word(item.expect("an item follows").trim_start_matches("mut "));
        // The name is a variable where a macro makes the function.
        if !name.is_empty() {
            names.insert(name.to_owned());
        }
    }
    for part in source.split("export_name = \"").skip(1) {
        names.insert(word(part).to_owned());
    }
}

/// Names given to the macros that make functions.
fn from_macros(source: &str, names: &mut BTreeSet<String>) {
    for (opening, separator) in [("\nmissing! {", ' '), ("\nexport! {", ';')] {
        let Some(at) = source.find(opening) else { continue };
        let body = &source[at + opening.len()..];
        let body = &body[..body.find("\n}").expect("the macro ends")];
        let pieces = body.split([separator, '\n']);
        names.extend(pieces.map(|piece| word(piece.trim()).to_owned()).filter(|n| !n.is_empty()));
    }
}

#[test]
fn the_page_names_what_the_library_has() {
    let mut texts = Vec::new();
    sources(&root().join("runtime/src"), &mut texts);
    let mut library = BTreeSet::new();
    for text in &texts {
        exported(text, &mut library);
        from_macros(text, &mut library);
    }
    assert!(library.len() > 400, "only {} names were found", library.len());

    let page = fs::read_to_string(root().join("docs/std.md")).expect("the page is there");
    // Other tables are about other things.
    let tables = page.split("\n\n").filter(|part| part.starts_with("| names |"));
    let lines = tables.flat_map(str::lines);
    let cells = lines.filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`').map(str::trim));
    let page: BTreeSet<String> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();

    let missing: Vec<_> = library.difference(&page).collect();
    let stale: Vec<_> = page.difference(&library).collect();
    assert!(missing.is_empty(), "docs/std.md does not name {missing:?}");
    assert!(stale.is_empty(), "docs/std.md names what is not there: {stale:?}");
}
