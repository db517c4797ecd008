//! Random work on the file system, compared step by step with the plainest one there can be: a map
//! from whole paths to bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ramd::tree::ROOT_HANDLE;
use ramd::{Caller, Tree};
use syscall::TimeSpec;
use syscall::error::{EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, Error, Result};
use syscall::flag::{
    MODE_DIR, MODE_TYPE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_STAT, O_SYMLINK,
    O_WRONLY,
};

const CALLER: Caller = Caller { uid: 0, gid: 0, now: TimeSpec { tv_sec: 1, tv_nsec: 0 } };

#[derive(Clone, Debug)]
enum Act {
    Create(String),
    Write(String, u64, usize, u8),
    Truncate(String, u64),
    MakeDirectory(String),
    Unlink(String),
    RemoveDirectory(String),
    Rename(String, String),
    Link(String, String),
    Hold(String),
    WriteHeld(u8),
    Release,
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "long-name"]), 1..=3)
        .prop_map(|names| names.join("/"))
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => path().prop_map(Act::Create),
        3 => (path(), 0..9000u64, 0..5000usize, any::<u8>())
            .prop_map(|(path, at, length, byte)| Act::Write(path, at, length, byte)),
        1 => (path(), 0..9000u64).prop_map(|(path, size)| Act::Truncate(path, size)),
        4 => path().prop_map(Act::MakeDirectory),
        2 => path().prop_map(Act::Unlink),
        2 => path().prop_map(Act::RemoveDirectory),
        4 => (path(), path()).prop_map(|(from, to)| Act::Rename(from, to)),
        2 => (path(), path()).prop_map(|(from, to)| Act::Link(from, to)),
        1 => path().prop_map(Act::Hold),
        1 => any::<u8>().prop_map(Act::WriteHeld),
        1 => Just(Act::Release),
    ]
}

/// A file's bytes, or none for a directory.
type Content = Option<Vec<u8>>;

#[derive(Debug, Default)]
struct Model {
    names: BTreeMap<String, usize>,
    nodes: Vec<Content>,
    held: Option<usize>,
}

fn fail<T>(errno: i32) -> Result<T> {
    Err(Error::new(errno))
}

impl Model {
    fn content(&self, path: &str) -> Option<&Content> {
        self.names.get(path).map(|&node| &self.nodes[node])
    }

    /// The node, after checking the directories on the way.
    fn find(&self, path: &str) -> Result<Option<usize>> {
        for (end, _) in path.match_indices('/') {
            match self.content(&path[..end]) {
                None => return fail(ENOENT),
                Some(Some(_)) => return fail(ENOTDIR),
                Some(None) => {}
            }
        }
        Ok(self.names.get(path).copied())
    }

    fn existing(&self, path: &str) -> Result<usize> {
        self.find(path)?.ok_or(Error::new(ENOENT))
    }

    fn file(&mut self, path: &str) -> Result<&mut Vec<u8>> {
        let node = self.existing(path)?;
        self.nodes[node].as_mut().ok_or(Error::new(EISDIR))
    }

    fn add(&mut self, path: &str, content: Content) {
        self.names.insert(path.to_owned(), self.nodes.len());
        self.nodes.push(content);
    }

    fn is_empty(&self, path: &str) -> bool {
        !self.names.keys().any(|name| name.starts_with(&format!("{path}/")))
    }

    fn create(&mut self, path: &str) -> Result<()> {
        match self.find(path)? {
            Some(node) if self.nodes[node].is_none() => fail(EISDIR),
            Some(_) => Ok(()),
            None => {
                self.add(path, Some(Vec::new()));
                Ok(())
            }
        }
    }

    fn make_directory(&mut self, path: &str) -> Result<()> {
        if self.find(path)?.is_some() {
            return fail(EEXIST);
        }
        self.add(path, None);
        Ok(())
    }

    fn removable(&self, path: &str, node: usize, directory: bool) -> Result<()> {
        match (self.nodes[node].is_none(), directory) {
            (false, true) => fail(ENOTDIR),
            (true, false) => fail(EISDIR),
            (true, true) if !self.is_empty(path) => fail(ENOTEMPTY),
            _ => Ok(()),
        }
    }

    fn remove(&mut self, path: &str, directory: bool) -> Result<()> {
        let node = self.existing(path)?;
        self.removable(path, node, directory)?;
        self.names.remove(path);
        Ok(())
    }

    fn link(&mut self, from: &str, to: &str) -> Result<()> {
        let node = self.existing(from)?;
        if self.find(to)?.is_some() {
            return fail(EEXIST);
        }
        if self.nodes[node].is_none() {
            return fail(EPERM);
        }
        self.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let node = self.existing(from)?;
        let target = self.find(to)?;
        if target == Some(node) {
            return Ok(());
        }
        let directory = self.nodes[node].is_none();
        if directory && to.starts_with(&format!("{from}/")) {
            return fail(EINVAL);
        }
        if let Some(target) = target {
            self.removable(to, target, directory)?;
        }
        let prefix = format!("{from}/");
        let below: Vec<String> =
            self.names.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
        for name in below {
            let moved = self.names.remove(&name).expect("a name just seen");
            self.names.insert(format!("{to}/{}", &name[prefix.len()..]), moved);
        }
        self.names.remove(from);
        self.names.insert(to.to_owned(), node);
        Ok(())
    }
}

fn write_model(bytes: &mut Vec<u8>, at: u64, length: usize, byte: u8) {
    if length > 0 {
        let end = at as usize + length;
        bytes.resize(bytes.len().max(end), 0);
        bytes[at as usize..end].fill(byte);
    }
}

/// The file system, driven as a client drives it: open, act, close.
struct Real {
    tree: Tree,
    held: Option<usize>,
}

impl Real {
    fn with<T>(
        &mut self,
        path: &str,
        flags: usize,
        act: impl FnOnce(&mut Tree, usize) -> Result<T>,
    ) -> Result<T> {
        let handle = self.tree.open(ROOT_HANDLE, path, flags, &CALLER)?;
        let result = act(&mut self.tree, handle);
        self.tree.close(handle);
        result
    }

    fn contents(&mut self, path: &str) -> Vec<u8> {
        self.with(path, O_RDONLY, |tree, handle| {
            let mut bytes = vec![0; tree.size(handle)? as usize + 1];
            let read = tree.read(handle, 0, &mut bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        })
        .expect("a listed file is readable")
    }

    /// Every path there is, with its contents.
    fn all(&mut self, below: &str, into: &mut BTreeMap<String, Content>) {
        let listed = self
            .with(below, O_RDONLY | O_DIRECTORY, |tree, handle| {
                let entries = tree.list(handle, 0)?;
                Ok(entries.map(|entry| entry.name.to_owned()).collect::<Vec<_>>())
            })
            .expect("a listed directory is listable");
        for name in listed {
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let stat = self.with(&path, O_STAT, |tree, handle| tree.stat(handle));
            let is_directory = stat.expect("a listed name").st_mode & MODE_TYPE == MODE_DIR;
            if is_directory {
                into.insert(path.clone(), None);
                self.all(&path, into);
            } else {
                let bytes = self.contents(&path);
                into.insert(path, Some(bytes));
            }
        }
    }
}

fn apply(act: &Act, model: &mut Model, real: &mut Real) -> (Result<()>, Result<()>) {
    const NAME: usize = O_STAT | O_SYMLINK;
    match act {
        Act::Create(path) => {
            (model.create(path), real.with(path, O_WRONLY | O_CREAT | 0o644, |_, _| Ok(())))
        }
        Act::Write(path, at, length, byte) => (
            model.file(path).map(|bytes| write_model(bytes, *at, *length, *byte)),
            real.with(path, O_WRONLY, |tree, handle| {
                let written = tree.write(handle, *at, false, &vec![*byte; *length], &CALLER)?;
                assert_eq!(written, *length);
                Ok(())
            }),
        ),
        Act::Truncate(path, size) => (
            model.file(path).map(|bytes| bytes.resize(*size as usize, 0)),
            real.with(path, O_RDWR, |tree, handle| tree.truncate(handle, *size, &CALLER)),
        ),
        Act::MakeDirectory(path) => (
            model.make_directory(path),
            real.with(path, O_RDONLY | O_CREAT | O_EXCL | O_DIRECTORY | 0o755, |_, _| Ok(())),
        ),
        Act::Unlink(path) => {
            (model.remove(path, false), real.tree.unlink(ROOT_HANDLE, path, false, &CALLER))
        }
        Act::RemoveDirectory(path) => {
            (model.remove(path, true), real.tree.unlink(ROOT_HANDLE, path, true, &CALLER))
        }
        Act::Rename(from, to) => (
            model.rename(from, to),
            real.with(from, NAME, |tree, handle| tree.rename(handle, to, &CALLER)),
        ),
        Act::Link(from, to) => (
            model.link(from, to),
            real.with(from, NAME, |tree, handle| tree.link(handle, to, &CALLER)),
        ),
        Act::Hold(path) => {
            release(model, real);
            let expected = model.existing(path).and_then(|node| match model.nodes[node] {
                Some(_) => Ok(node),
                None => fail(EISDIR),
            });
            let handle = real.tree.open(ROOT_HANDLE, path, O_RDWR, &CALLER);
            (model.held, real.held) = (expected.ok(), handle.ok());
            (expected.map(|_| ()), handle.map(|_| ()))
        }
        Act::WriteHeld(byte) => {
            if let (Some(node), Some(handle)) = (model.held, real.held) {
                let bytes = model.nodes[node].as_mut().expect("only files are held");
                bytes.push(*byte);
                let written = real.tree.write(handle, 0, true, &[*byte], &CALLER);
                assert_eq!(written, Ok(1));
                let mut seen = vec![0; bytes.len()];
                assert_eq!(real.tree.read(handle, 0, &mut seen), Ok(bytes.len()));
                assert_eq!(&seen, bytes);
            }
            (Ok(()), Ok(()))
        }
        Act::Release => {
            release(model, real);
            (Ok(()), Ok(()))
        }
    }
}

fn release(model: &mut Model, real: &mut Real) {
    model.held = None;
    if let Some(handle) = real.held.take() {
        real.tree.close(handle);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn it_does_what_a_map_of_paths_does(acts in prop::collection::vec(act(), 0..60)) {
        let mut model = Model::default();
        let mut real = Real { tree: Tree::new(16 << 20, CALLER.now), held: None };
        for act in &acts {
            let (expected, seen) = apply(act, &mut model, &mut real);
            prop_assert_eq!(seen, expected, "{:?}", act);
            let mut all = BTreeMap::new();
            real.all("", &mut all);
            let expected: BTreeMap<String, Content> = model
                .names
                .iter()
                .map(|(path, &node)| (path.clone(), model.nodes[node].clone()))
                .collect();
            prop_assert_eq!(all, expected, "after {:?}", act);
        }
        release(&mut model, &mut real);
        for path in model.names.keys().rev() {
            let directory = model.content(path) == Some(&None);
            prop_assert_eq!(real.tree.unlink(ROOT_HANDLE, path, directory, &CALLER), Ok(()));
        }
        prop_assert_eq!(real.tree.space().used(), 0, "everything is given back");
    }
}
