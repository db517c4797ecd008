//! Paths: from what a program wrote to what the kernel takes.
//!
//! The kernel knows absolute paths only: `NAME:rest`, `/scheme/NAME/rest` and `/rest`. This module
//! joins a relative path to the working directory and takes out `.`, `..` and double slashes. It
//! does so by the text alone: `a/..` is gone even when `a` is a symbolic link.
//!
//! A first part such as `ram:` counts as a scheme when it begins with a letter and has no slash
//! before the colon. A file in the working directory that looks like one is reached as `./ram:x`.

/// The longest path, in bytes. The same as `abi::PATH_MAX`.
pub const PATH_MAX: usize = 4096;

/// Why a path could not be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The empty path names nothing (`ENOENT`).
    Empty,
    /// More than [`PATH_MAX`] bytes (`ENAMETOOLONG`).
    TooLong,
}

/// An absolute path in a buffer of its own.
pub struct PathBuffer {
    bytes: [u8; PATH_MAX],
    length: usize,
    /// Bytes at the beginning that `..` never removes.
    root: usize,
    /// The text ended with `/`, `/.` or `/..`: only a directory will do.
    directory: bool,
}

impl Default for PathBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl PathBuffer {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self { bytes: [0; PATH_MAX], length: 0, root: 0, directory: false }
    }

    /// The path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Whether the text asked for a directory by ending with a slash.
    pub fn wants_directory(&self) -> bool {
        self.directory
    }

    /// Makes this the absolute form of `path`. `cwd` is only looked at when [`needs_cwd`].
    pub fn resolve(&mut self, cwd: &[u8], path: &[u8]) -> Result<(), PathError> {
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        self.length = 0;
        self.root = 0;
        self.directory = false;
        if needs_cwd(path) {
            self.start(cwd)?;
            return self.push_parts(path);
        }
        self.start(path)
    }

    /// Appends `path`, which is relative, part by part.
    pub fn push_parts(&mut self, path: &[u8]) -> Result<(), PathError> {
        for part in path.split(|&byte| byte == b'/') {
            self.push_part(part)?;
        }
        let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        self.directory = matches!(last, b"" | b"." | b"..");
        Ok(())
    }

    /// Removes the last part; the root stays.
    pub fn pop(&mut self) {
        let kept = &self.bytes[self.root..self.length];
        let cut = kept.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.length = self.root + cut;
    }

    /// Where the first part behind the root ends; `None` when there is only the root.
    pub fn first_end(&self) -> Option<usize> {
        (self.length > self.root).then(|| self.end_of_part(self.root))
    }

    /// Where the part behind the one that ends at `end` ends; `None` when that was the last.
    pub fn next_end(&self, end: usize) -> Option<usize> {
        (end < self.length).then(|| self.end_of_part(end + 1))
    }

    fn end_of_part(&self, start: usize) -> usize {
        let rest = &self.bytes[start..self.length];
        start + rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len())
    }

    /// Replaces the part that ends at `end`, a symbolic link, by what it leads to.
    pub fn replace_link(&mut self, end: usize, target: &[u8]) -> Result<(), PathError> {
        let mut other = Self::new();
        let parts = &self.bytes[self.root..end];
        let slash = parts.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        other.resolve(&self.bytes[..self.root + slash], target)?;
        other.push_parts(&self.bytes[end..self.length])?;
        other.directory = self.directory;
        *self = other;
        Ok(())
    }

    /// Takes the root from an absolute path and pushes the rest.
    fn start(&mut self, path: &[u8]) -> Result<(), PathError> {
        let root = match scheme_end(path) {
            Some(end) if path.get(end) == Some(&b'/') => end + 1,
            Some(end) => end,
            // A working directory that is not absolute is taken from `/`.
            None => 0,
        };
        if root == 0 {
            self.append(b"/")?;
        } else {
            self.append(&path[..root])?;
        }
        self.root = self.length;
        let rest = &path[root..];
        if rest.is_empty() {
            return Ok(());
        }
        self.push_parts(rest)
    }

    fn push_part(&mut self, part: &[u8]) -> Result<(), PathError> {
        match part {
            b"" | b"." => Ok(()),
            b".." => {
                self.pop();
                Ok(())
            }
            _ => {
                if self.length > self.root {
                    self.append(b"/")?;
                }
                self.append(part)
            }
        }
    }

    fn append(&mut self, more: &[u8]) -> Result<(), PathError> {
        let end = self.length + more.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(PathError::TooLong)?;
        place.copy_from_slice(more);
        self.length = end;
        Ok(())
    }

    /// Turns `NAME:rest` into `/scheme/NAME/rest`, the form that programs see as absolute.
    pub fn to_slash_form(&mut self) -> Result<(), PathError> {
        let Some(end) = scheme_end(self.as_bytes()) else {
            return Ok(());
        };
        let mut other = Self::new();
        other.append(b"/")?;
        other.root = 1;
        other.push_parts(b"scheme")?;
        other.push_part(&self.bytes[..end - 1])?;
        other.push_parts(&self.bytes[end..self.length])?;
        other.directory = self.directory;
        *self = other;
        Ok(())
    }
}

/// Whether `path` is relative, so that the working directory decides what it names.
pub fn needs_cwd(path: &[u8]) -> bool {
    path.first() != Some(&b'/') && scheme_end(path).is_none()
}

/// Whether resolving would leave `path` as it is: absolute, and without `.`, `..`, double slashes
/// and a slash at its end.
pub fn is_tidy(path: &[u8]) -> bool {
    let rest = match scheme_end(path) {
        Some(end) => path[end..].strip_prefix(b"/").unwrap_or(&path[end..]),
        None => match path.strip_prefix(b"/") {
            Some(rest) => rest,
            None => return false,
        },
    };
    let untidy = |part: &[u8]| matches!(part, b"" | b"." | b"..");
    path.len() <= PATH_MAX && (rest.is_empty() || !rest.split(|&byte| byte == b'/').any(untidy))
}

/// Where the rest begins in `NAME:rest`: the index behind the colon.
pub fn scheme_end(path: &[u8]) -> Option<usize> {
    if !path.first()?.is_ascii_alphabetic() {
        return None;
    }
    let stop = path.iter().position(|&byte| byte == b'/' || byte == b':')?;
    (path[stop] == b':').then_some(stop + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolved(cwd: &str, path: &str) -> String {
        let mut buffer = PathBuffer::new();
        buffer.resolve(cwd.as_bytes(), path.as_bytes()).unwrap();
        String::from_utf8(buffer.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn paths_come_out_absolute() {
        for (cwd, path, expected) in [
            ("/home", "a", "/home/a"),
            ("/home", "./a//b/.", "/home/a/b"),
            ("/home", "..", "/"),
            ("/home", "../..", "/"),
            ("/", "a", "/a"),
            ("/home", "/x/../y", "/y"),
            ("/home", "ram:x", "ram:x"),
            ("/home", "ram:", "ram:"),
            ("/home", "ram:/", "ram:/"),
            ("/home", "ram:a/../../b", "ram:b"),
            ("/home", "ram:/a/../../b", "ram:/b"),
            ("/home", "/scheme/ram/a/..", "/scheme/ram"),
            ("/scheme/ram", "..", "/scheme"),
            ("ram:", "a", "ram:a"),
            ("ram:/a", "../b", "ram:/b"),
            ("/home", "./ram:x", "/home/ram:x"),
            ("/home", "a/b:c", "/home/a/b:c"),
            ("/home", "12:30", "/home/12:30"),
            ("", "a", "/a"),
        ] {
            assert_eq!(resolved(cwd, path), expected, "{path:?} in {cwd:?}");
        }
    }

    #[test]
    fn a_trailing_slash_asks_for_a_directory() {
        for (path, expected) in
            [("a", false), ("a/", true), ("a/.", true), ("a/..", true), (".", true), ("/a", false)]
        {
            let mut buffer = PathBuffer::new();
            buffer.resolve(b"/", path.as_bytes()).unwrap();
            assert_eq!(buffer.wants_directory(), expected, "{path:?}");
        }
    }

    #[test]
    fn the_slash_form_keeps_the_rest() {
        for (path, expected) in [
            ("ram:", "/scheme/ram"),
            ("ram:/a", "/scheme/ram/a"),
            ("ram:a/b", "/scheme/ram/a/b"),
            ("/a", "/a"),
        ] {
            let mut buffer = PathBuffer::new();
            buffer.resolve(b"/", path.as_bytes()).unwrap();
            buffer.to_slash_form().unwrap();
            assert_eq!(buffer.as_bytes(), expected.as_bytes());
        }
    }

    fn parts(path: &str) -> Vec<String> {
        let mut buffer = PathBuffer::new();
        buffer.resolve(b"/", path.as_bytes()).unwrap();
        let mut ends = Vec::new();
        let mut at = buffer.first_end();
        while let Some(end) = at {
            ends.push(String::from_utf8(buffer.as_bytes()[..end].to_vec()).unwrap());
            at = buffer.next_end(end);
        }
        ends
    }

    #[test]
    fn a_path_is_walked_part_by_part() {
        assert_eq!(parts("/a/bc/d"), ["/a", "/a/bc", "/a/bc/d"]);
        assert_eq!(parts("ram:/a/b"), ["ram:/a", "ram:/a/b"]);
        assert_eq!(parts("ram:a"), ["ram:a"]);
        assert!(parts("/").is_empty());
        assert!(parts("ram:").is_empty());
    }

    #[test]
    fn a_link_is_replaced_by_its_target() {
        for (path, end, target, expected) in [
            ("/a/b/c", 4, "x", "/a/x/c"),
            ("/a/b/c", 4, "/x/y", "/x/y/c"),
            ("/a/b/c", 4, "../x", "/x/c"),
            ("/a/b", 2, "x", "/x/b"),
            ("/a", 2, "ram:z", "ram:z"),
            ("ram:a/b", 5, "x", "ram:x/b"),
            ("ram:/a/b", 6, "../x", "ram:/x/b"),
        ] {
            let mut buffer = PathBuffer::new();
            buffer.resolve(b"/", path.as_bytes()).unwrap();
            buffer.replace_link(end, target.as_bytes()).unwrap();
            assert_eq!(buffer.as_bytes(), expected.as_bytes(), "{path} {end} {target}");
        }
    }

    #[test]
    fn bad_paths_are_refused() {
        let mut buffer = PathBuffer::new();
        assert_eq!(buffer.resolve(b"/", b""), Err(PathError::Empty));
        let long = vec![b'a'; PATH_MAX + 1];
        assert_eq!(buffer.resolve(b"/", &long), Err(PathError::TooLong));
        assert_eq!(buffer.resolve(b"/", &long[..PATH_MAX - 1]), Ok(()));
        assert_eq!(buffer.resolve(b"/", &long[..PATH_MAX]), Err(PathError::TooLong));
    }

    /// The same, the plain way: a list of parts.
    fn model(cwd: &str, path: &str) -> String {
        let slash = if cwd.ends_with(':') { "" } else { "/" };
        let relative = needs_cwd(path.as_bytes());
        let whole = if relative { format!("{cwd}{slash}{path}") } else { path.into() };
        let (root, rest) = match scheme_end(whole.as_bytes()) {
            Some(end) => (&whole[..end], &whole[end..]),
            None => ("", whole.as_str()),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in rest.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let slash = if root.is_empty() || rest.starts_with('/') { "/" } else { "" };
        format!("{root}{slash}{}", parts.join("/"))
    }

    proptest! {
        #[test]
        fn resolving_agrees_with_the_model(
            cwd in "(/[a-c]{1,3}){0,3}|ram:(/[a-c]){0,3}",
            path in "([a-c.:/]|\\.\\.){1,24}",
        ) {
            let cwd = if cwd.is_empty() { "/".to_string() } else { cwd };
            prop_assert_eq!(resolved(&cwd, &path), model(&cwd, &path));
        }

        #[test]
        fn resolving_twice_changes_nothing(path in "([a-c.:/]|\\.\\.){1,24}") {
            let once = resolved("/d", &path);
            prop_assert_eq!(resolved("/e", &once), once);
        }

        #[test]
        fn what_is_tidy_stays_as_it_is(path in "([a-b.:/]|\\.\\.){1,12}") {
            let mut buffer = PathBuffer::new();
            buffer.resolve(b"/d", path.as_bytes()).unwrap();
            let stays = buffer.as_bytes() == path.as_bytes();
            // A root is left as it is, and is a directory all the same.
            let is_root = buffer.first_end().is_none();
            let wants = buffer.wants_directory() && !is_root;
            prop_assert_eq!(is_tidy(path.as_bytes()), stays && !wants);
        }

        #[test]
        fn any_bytes_are_survived(path in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = PathBuffer::new();
            if buffer.resolve(b"/", &path).is_ok() {
                prop_assert!(!needs_cwd(buffer.as_bytes()));
            }
        }
    }
}
