//! What Tab offers: commands, variables, paths, and names of schemes.

use std::fs;

/// What completion looks at.
pub(super) trait World {
    /// Builtins, functions, aliases and programs.
    fn commands(&self) -> Vec<String>;
    /// Names of variables.
    fn variables(&self) -> Vec<String>;
    /// Names in a directory, and whether each is one.
    fn entries(&self, directory: &str) -> Vec<(String, bool)>;
}

/// One offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Shown in the list.
    pub(super) shown: String,
    /// Put in place of the word.
    pub(super) text: String,
}

/// Characters that end a word.
const BORDERS: &str = " \t\n;|&<>(){}=";
/// Characters that need a backslash in a path.
const SPECIAL: &str = " \t;|&<>(){}$`'\"\\*?[]#~!";

/// Where the word under the cursor starts, and what could stand there instead.
pub(super) fn offers(before_cursor: &str, world: &dyn World) -> (usize, Vec<Offer>) {
    let start = word_start(before_cursor);
    let (before, word) = before_cursor.split_at(start);
    let quote = before.chars().last().filter(|c| matches!(c, '"' | '\''));
    if let Some(dollar) = word.rfind('$') {
        let name = &word[dollar + 1..];
        return (start + dollar, variables(name, world));
    }
    let plain = if quote.is_some() { word.to_owned() } else { unescape(word) };
    let mut all = Vec::new();
    if quote.is_none() && !plain.contains(['/', ':']) && is_command_place(before) {
        all = commands(&plain, world);
    }
    if all.is_empty() {
        all = paths(&plain, quote.is_some(), world);
    }
    all.sort_by(|a, b| a.shown.cmp(&b.shown));
    all.dedup();
    (start, all)
}

/// Behind the last border or opening quote that no backslash protects.
fn word_start(text: &str) -> usize {
    let mut start = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != Some('\'') {
            escaped = true;
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_some() {
            continue;
        } else if matches!(c, '"' | '\'') {
            quote = Some(c);
            start = at + 1;
        } else if BORDERS.contains(c) {
            start = at + 1;
        }
    }
    start
}

fn unescape(word: &str) -> String {
    let mut plain = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if SPECIAL.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Whether a command may follow.
fn is_command_place(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t']);
    let last_word = before.rsplit([' ', '\t', ';', '\n']).next().unwrap_or_default();
    before.is_empty()
        || before.ends_with([';', '|', '&', '(', '{', '\n'])
        || matches!(last_word, "then" | "do" | "else" | "elif" | "if" | "while" | "until" | "!")
}

fn variables(name: &str, world: &dyn World) -> Vec<Offer> {
    let matching = world.variables().into_iter().filter(|variable| variable.starts_with(name));
    matching.map(|variable| Offer { text: format!("${variable}"), shown: variable }).collect()
}

fn commands(prefix: &str, world: &dyn World) -> Vec<Offer> {
    let matching = world.commands().into_iter().filter(|name| name.starts_with(prefix));
    matching.map(|name| Offer { text: format!("{} ", escape(&name)), shown: name }).collect()
}

/// Paths, and at the very start of one also schemes.
fn paths(word: &str, quoted: bool, world: &dyn World) -> Vec<Offer> {
    let cut = word.rfind('/').or_else(|| word.find(':')).map_or(0, |at| at + 1);
    let (directory, prefix) = word.split_at(cut);
    let offer = |name: &str, end: &str| {
        let text = format!("{directory}{name}");
        let text = if quoted { text } else { escape(&text) };
        Offer { text: text + end, shown: format!("{name}{end}") }
    };
    let wanted = |name: &str| {
        name.starts_with(prefix) && (!name.starts_with('.') || prefix.starts_with('.'))
    };
    let listed = world.entries(if directory.is_empty() { "." } else { directory });
    let here = listed.iter().filter(|(name, _)| wanted(name));
    let mut all: Vec<Offer> = here
        .map(|(name, is_directory)| offer(name, if *is_directory { "/" } else { "" }))
        .collect();
    if directory.is_empty() && !prefix.is_empty() {
        let schemes = world.entries("/scheme");
        all.extend(
            schemes.iter().filter(|(name, _)| wanted(name)).map(|(name, _)| offer(name, ":")),
        );
    }
    all
}

/// Lists a real directory. A link counts as what it leads to.
pub(super) fn list(directory: &str) -> Vec<(String, bool)> {
    let home = directory
        .strip_prefix("~/")
        .and_then(|rest| Some(format!("{}/{rest}", std::env::var("HOME").ok()?)));
    let Ok(entries) = fs::read_dir(home.as_deref().unwrap_or(directory)) else {
        return Vec::new();
    };
    let described = |entry: fs::DirEntry| {
        let is_directory = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => fs::metadata(entry.path()).is_ok_and(|it| it.is_dir()),
            Ok(kind) => kind.is_dir(),
            Err(_) => false,
        };
        (entry.file_name().to_string_lossy().into_owned(), is_directory)
    };
    let mut all: Vec<(String, bool)> = entries.flatten().map(described).collect();
    // Every root has it, but not every file system that is one knows.
    let is_missing = !all.iter().any(|(name, _)| name == "scheme");
    if directory == "/" && is_missing && fs::metadata("/scheme").is_ok_and(|it| it.is_dir()) {
        all.push(("scheme".to_owned(), true));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl World for Fixed {
        fn commands(&self) -> Vec<String> {
            ["cat", "cd", "hexdump"].map(str::to_owned).into()
        }
        fn variables(&self) -> Vec<String> {
            ["HOME", "PATH", "PWD"].map(str::to_owned).into()
        }
        fn entries(&self, directory: &str) -> Vec<(String, bool)> {
            let names: &[(&str, bool)] = match directory {
                "." => &[("src", true), ("sys.rs", false), ("a b", false), (".git", true)],
                "src/" => &[("main.rs", false), ("lib.rs", false)],
                "sys:" => &[("uname", false), ("uptime", false), ("irq", true)],
                "/scheme" => &[("sys", true), ("ram", true)],
                "/scheme/sys/" => &[("uname", false)],
                _ => &[],
            };
            names.iter().map(|(name, is)| (name.to_string(), *is)).collect()
        }
    }

    #[track_caller]
    fn check(line: &str, start: usize, expected: &[&str]) {
        let (at, offers) = offers(line, &Fixed);
        let texts: Vec<_> = offers.iter().map(|offer| offer.text.as_str()).collect();
        assert_eq!((at, &texts[..]), (start, expected), "{line}");
    }

    #[test]
    fn commands_stand_at_the_start_and_behind_operators() {
        check("c", 0, &["cat ", "cd "]);
        check("hexd", 0, &["hexdump "]);
        check("cat x | ca", 8, &["cat "]);
        check("if ca", 3, &["cat "]);
        check("echo ca", 5, &[]);
    }

    #[test]
    fn paths_and_schemes_stand_elsewhere() {
        check("cat s", 4, &["src/", "sys.rs", "sys:"]);
        check("cat src/m", 4, &["src/main.rs"]);
        check("cat sys:u", 4, &["sys:uname", "sys:uptime"]);
        check("cat sys:i", 4, &["sys:irq/"]);
        check("cat /scheme/sys/u", 4, &["/scheme/sys/uname"]);
        check("cat <sys:un", 5, &["sys:uname"]);
        check("src", 0, &["src/"]);
        check("cat .", 4, &[".git/"]);
    }

    #[test]
    fn blanks_are_escaped_or_quoted() {
        check("cat a", 4, &["a\\ b"]);
        check("cat a\\ ", 4, &["a\\ b"]);
        check("cat \"a ", 5, &["a b"]);
    }

    #[test]
    fn variables_follow_a_dollar() {
        check("echo $P", 5, &["$PATH", "$PWD"]);
        check("echo \"x$HO", 7, &["$HOME"]);
    }
}
