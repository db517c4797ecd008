//! What the guest's shell does for a job: its folder, its environment, the program.

use super::Job;
use anyhow::{Context as _, Result};
use std::path::Path;

/// Where it is in the archive.
pub(super) const PATH: &str = "/run/start";

/// The script. `env` sets the variables, because their names need not be names for the shell.
pub(super) fn text(job: &Job) -> Result<String> {
    let mut words = vec!["exec".into(), "env".into()];
    for (name, value) in &job.environment {
        words.push(quoted(&format!("{name}={value}")));
    }
    words.push(quoted(path(&job.program)?));
    words.extend(job.arguments.iter().map(|argument| quoted(argument)));
    Ok(format!("cd {} || exit 125\n{}\n", quoted(path(&job.folder)?), words.join(" ")))
}

/// A word that the shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_arrives_as_it_is() {
        let job = Job {
            program: "/a b/it's".into(),
            arguments: vec!["--exact".into(), "$HOME".into(), String::new()],
            folder: "/a b".into(),
            environment: vec![("CARGO_BIN_EXE_x-y".into(), "/z\n'".into())],
            files: Vec::new(),
        };
        let script = text(&job).unwrap();
        let end = r"'CARGO_BIN_EXE_x-y=/z
'\''' '/a b/it'\''s' '--exact' '$HOME' ''";
        assert_eq!(script, format!("cd '/a b' || exit 125\nexec env {end}\n"));
    }
}
