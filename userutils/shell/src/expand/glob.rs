//! File names: `*.rs`, `sys:*`, `/scheme/*`.
//!
//! A path is taken apart at `/`. A scheme's name and colon at the start is one more place to
//! cut: `sys:*` are the names directly in `sys:`.

use super::{Environment, plain};
use crate::pattern::{Marked, Pattern, is_pattern};

/// Adds the paths that match a field, sorted; the field itself if none does.
pub(super) fn expand(field: &[Marked], environment: &dyn Environment, all: &mut Vec<String>) {
    if is_pattern(field) {
        let mut paths = matching(field, environment);
        if !paths.is_empty() {
            paths.sort();
            all.append(&mut paths);
            return;
        }
    }
    all.push(plain(field));
}

fn matching(field: &[Marked], environment: &dyn Environment) -> Vec<String> {
    let (scheme, rest) = field.split_at(scheme_length(field));
    let components: Vec<&[Marked]> = rest.split(|&(c, _)| c == '/').collect();
    let mut paths = vec![plain(scheme)];
    let mut known = false;
    for (at, component) in components.iter().enumerate() {
        let last = at + 1 == components.len();
        paths = paths.iter().flat_map(|path| step(path, component, environment)).collect();
        known = is_pattern(component);
        if !last {
            paths.iter_mut().for_each(|path| path.push('/'));
        }
    }
    // A directory's listing vouches for what a pattern found; anything plain must be looked up.
    if !known {
        paths.retain(|path| environment.exists(path));
    }
    paths
}

/// How many characters `NAME:` takes; 0 if the path is none of a scheme.
fn scheme_length(field: &[Marked]) -> usize {
    match field.iter().position(|&(c, _)| matches!(c, ':' | '/')) {
        Some(at) if field[at].0 == ':' && !is_pattern(&field[..at]) => at + 1,
        _ => 0,
    }
}

/// One component further from `path`, which is empty or ends in `/` or `:`.
fn step(path: &str, component: &[Marked], environment: &dyn Environment) -> Vec<String> {
    if !is_pattern(component) {
        return vec![format!("{path}{}", plain(component))];
    }
    let pattern = Pattern::new(component);
    let directory = if path.is_empty() { "." } else { path };
    let mut names = environment.entries(directory);
    names.retain(|name| {
        (!name.starts_with('.') || pattern.begins_with('.')) && pattern.matches(name)
    });
    names.into_iter().map(|name| format!("{path}{name}")).collect()
}
