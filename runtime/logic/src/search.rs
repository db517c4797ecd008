//! Where `execvp` looks for a program.

use crate::path::scheme_end;

/// Where programs are when `PATH` is not set.
pub const DEFAULT_PATH: &[u8] = b"/bin";

/// Whether a program's name is itself a path, so that `PATH` is not searched.
pub fn is_path(name: &[u8]) -> bool {
    name.contains(&b'/') || scheme_end(name).is_some()
}

/// The directories of a `PATH`, in order; an empty one means the working directory.
///
/// Directories are separated by colons. A scheme's own colon is told apart by what follows it: in
/// `ram:/bin:/bin` the first colon belongs to `ram:/bin`, because a directory named `ram` would be
/// relative, and relative directories are written with a dot.
pub fn directories(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(path);
    core::iter::from_fn(move || {
        let text = rest?;
        let from = scheme_end(text).unwrap_or(0);
        match text[from..].iter().position(|&byte| byte == b':') {
            Some(colon) => {
                rest = Some(&text[from + colon + 1..]);
                Some(&text[..from + colon])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
        .map(|directory| if directory.is_empty() { &b"."[..] } else { directory })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(path: &str) -> Vec<String> {
        directories(path.as_bytes()).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect()
    }

    #[test]
    fn colons_separate_directories() {
        assert_eq!(list("/bin:/tmp/bin"), ["/bin", "/tmp/bin"]);
        assert_eq!(list("/bin:"), ["/bin", "."]);
        assert_eq!(list("ram:/bin:initfs:bin:/bin"), ["ram:/bin", "initfs:bin", "/bin"]);
        assert_eq!(list(""), ["."]);
    }

    #[test]
    fn a_slash_or_a_scheme_makes_a_path() {
        assert!(is_path(b"./a"));
        assert!(is_path(b"ram:a"));
        assert!(!is_path(b"ls"));
    }
}
