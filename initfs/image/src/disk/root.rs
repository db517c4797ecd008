//! The RedoxFS that `file:` serves: a fresh file system with what the manifests name.

use crate::manifest::{DiskDirectory, DiskFile, Manifest, Package};
use crate::pack::join;
use crate::users;
use anyhow::{anyhow, bail};
use redoxfs::{BLOCK_SIZE, Disk, FileSystem, HEADER_RING, Node, Transaction, TreePtr};
use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use syscall::error::{EEXIST, EIO, ENOENT, Error};

use super::part::Part;

/// "Lifeboat", twice: in place of the random number that a file system usually has.
const UUID: [u8; 16] = *b"LifeboatLifeboat";

#[expect(unsafe_code, reason = "the crate marks both as unsafe to call; they do nothing unsafe")]
impl Disk for Part {
    unsafe fn read_at(&mut self, block: u64, into: &mut [u8]) -> syscall::Result<usize> {
        let found = self.seek(SeekFrom::Start(block * BLOCK_SIZE));
        found.and_then(|_| self.read(into)).map_err(|_| Error::new(EIO))
    }

    unsafe fn write_at(&mut self, block: u64, from: &[u8]) -> syscall::Result<usize> {
        let found = self.seek(SeekFrom::Start(block * BLOCK_SIZE));
        found.and_then(|_| self.write(from)).map_err(|_| Error::new(EIO))
    }

    fn size(&mut self) -> syscall::Result<u64> {
        Ok(Part::size(self))
    }
}

/// Makes the file system.
pub(super) fn write(part: Part, manifests: &[Manifest], programs: &Path) -> anyhow::Result<()> {
    let mut system =
        FileSystem::create(part, None, 0, 0).map_err(|error| anyhow!("RedoxFS: {error}"))?;
    system.header.uuid = UUID;
    let mut failure = None;
    let made = system.tx(|tx| {
        fill(tx, manifests, programs).map_err(|error| {
            failure = Some(error);
            Error::new(EIO)
        })
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    made.and_then(|()| system.cleanup()).map_err(|error| anyhow!("RedoxFS: {error}"))?;
    forget_old_headers(&mut system)
}

/// Old headers have the random number in them, and nobody needs them.
fn forget_old_headers(system: &mut FileSystem<Part>) -> anyhow::Result<()> {
    let current = system.header.generation() % HEADER_RING;
    let base = system.block;
    for slot in (0..HEADER_RING).filter(|slot| *slot != current) {
        let at = (base + slot) * BLOCK_SIZE;
        system.disk.seek(SeekFrom::Start(at))?;
        let mut old = [0; BLOCK_SIZE as usize];
        system.disk.read_exact(&mut old)?;
        if old.iter().any(|byte| *byte != 0) {
            system.disk.seek(SeekFrom::Start(at))?;
            system.disk.write_all(&[0; BLOCK_SIZE as usize])?;
        }
    }
    Ok(())
}

fn fill(
    tx: &mut Transaction<'_, Part>,
    manifests: &[Manifest],
    programs: &Path,
) -> anyhow::Result<()> {
    check_packages(manifests)?;
    for manifest in manifests {
        let Some(disk) = &manifest.sections.disk else { continue };
        for at in &disk.get_ref().directory {
            let DiskDirectory { path, mode, owner } = at.get_ref();
            add(tx, path, Node::MODE_DIR | mode, *owner, &[])
                .map_err(|error| manifest.mistake(at, format!("{error:#}")))?;
        }
        for at in &disk.get_ref().file {
            let file = at.get_ref();
            let bytes = contents(manifest, file)
                .map_err(|error| manifest.mistake(at, format!("{error:#}")))?;
            add(tx, &file.path, Node::MODE_FILE | file.mode, file.owner, &bytes)
                .map_err(|error| manifest.mistake(at, format!("{error:#}")))?;
        }
        for at in &disk.get_ref().link {
            let link = at.get_ref();
            for path in link.paths() {
                add(tx, &path, Node::MODE_SYMLINK | 0o777, [0; 2], link.target.as_bytes())
                    .map_err(|error| manifest.mistake(at, format!("{error:#}")))?;
            }
        }
        for at in &disk.get_ref().package {
            add_package(tx, manifest, at.get_ref(), programs)
                .map_err(|error| manifest.mistake(at, format!("{error:#}")))?;
        }
    }
    add_users(tx, manifests)
}

/// The users' names, and their homes.
fn add_users(tx: &mut Transaction<'_, Part>, manifests: &[Manifest]) -> anyhow::Result<()> {
    if let Some([passwd, group]) = users::render(manifests)? {
        for (path, text) in [(users::PASSWD, passwd), (users::GROUP, group)] {
            add(tx, path, Node::MODE_FILE | 0o644, [0; 2], text.as_bytes())?;
        }
    }
    for (home, owner) in users::homes(manifests) {
        add(tx, home, Node::MODE_DIR | 0o700, owner, &[])?;
    }
    Ok(())
}

fn add_package(
    tx: &mut Transaction<'_, Part>,
    manifest: &Manifest,
    package: &Package,
    programs: &Path,
) -> anyhow::Result<()> {
    let Package { into, names, .. } = package;
    let built = package.programs.iter().map(|name| programs.join(name));
    let missing: Vec<&str> = built
        .clone()
        .zip(&package.programs)
        .filter(|(file, _)| !file.is_file())
        .map(|(_, name)| name.as_str())
        .collect();
    if !missing.is_empty() {
        bail!("not built in {}: {}", programs.display(), missing.join(", "));
    }
    let others = package.sources.iter().map(|source| manifest.source(source));
    for file in built.chain(others) {
        let name = file.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| anyhow!("{} has no name", file.display()))?;
        let bytes = crate::pack::read(&file)?;
        add(tx, &join(into, name), Node::MODE_FILE | 0o755, [0; 2], &bytes)?;
    }
    let Some(first) = package.programs.first() else {
        return if names.is_empty() { Ok(()) } else { bail!("`names` needs a program to lead to") };
    };
    for name in names {
        add(tx, &join(into, name), Node::MODE_SYMLINK | 0o777, [0; 2], first.as_bytes())?;
    }
    Ok(())
}

/// Every package has a name of its own, and what it needs is there.
fn check_packages(manifests: &[Manifest]) -> anyhow::Result<()> {
    let all = || {
        let disks = manifests.iter().filter_map(|m| Some((m, m.sections.disk.as_ref()?)));
        disks.flat_map(|(m, disk)| disk.get_ref().package.iter().map(move |at| (m, at)))
    };
    let mut names = BTreeSet::new();
    for (manifest, at) in all() {
        if !names.insert(at.get_ref().name.as_str()) {
            let message = format!("a second package is called {:?}", at.get_ref().name);
            return Err(manifest.mistake(at, message).into());
        }
    }
    for (manifest, at) in all() {
        let Package { name, needs, .. } = at.get_ref();
        if let Some(need) = needs.iter().find(|need| !names.contains(need.as_str())) {
            let message = format!("package {name:?} needs {need:?}, which is no package");
            return Err(manifest.mistake(at, message).into());
        }
    }
    Ok(())
}

fn contents(manifest: &Manifest, file: &DiskFile) -> anyhow::Result<Vec<u8>> {
    match (&file.data, &file.source) {
        (Some(data), None) => Ok(data.clone().into_bytes()),
        (None, Some(source)) => crate::pack::read(&manifest.source(source)),
        _ => bail!("expected either `data` or `source`"),
    }
}

/// Makes a node, and directories on the way. A directory may be there already.
fn add(
    tx: &mut Transaction<'_, Part>,
    path: &str,
    mode: u16,
    owner: [u32; 2],
    bytes: &[u8],
) -> anyhow::Result<()> {
    let is_plain = |name: &str| !matches!(name, "" | "." | "..");
    let names: Vec<&str> = path.strip_prefix('/').unwrap_or_default().split('/').collect();
    let Some((name, parents)) = names.split_last().filter(|_| names.iter().all(|n| is_plain(n)))
    else {
        bail!("expected an absolute path in `path`, found {path:?}");
    };
    let mut parent = TreePtr::root();
    for name in parents {
        parent = directory(tx, parent, name)?;
    }
    let is_directory = mode & Node::MODE_TYPE == Node::MODE_DIR;
    let mut node = match tx.create_node(parent, name, mode, 0, 0) {
        Err(Error { errno: EEXIST }) if is_directory => plain(tx.find_node(parent, name))?,
        made => plain(made)?,
    };
    node.data_mut().set_mode(mode);
    node.data_mut().set_uid(owner[0]);
    node.data_mut().set_gid(owner[1]);
    let pointer = node.ptr();
    plain(tx.sync_tree(node))?;
    if !bytes.is_empty() {
        plain(tx.write_node(pointer, 0, bytes, 0, 0))?;
    }
    Ok(())
}

fn directory(
    tx: &mut Transaction<'_, Part>,
    parent: TreePtr<Node>,
    name: &str,
) -> anyhow::Result<TreePtr<Node>> {
    match tx.find_node(parent, name) {
        Ok(node) if node.data().is_dir() => Ok(node.ptr()),
        Ok(_) => bail!("{name:?} is no directory"),
        Err(Error { errno: ENOENT }) => {
            Ok(plain(tx.create_node(parent, name, Node::MODE_DIR | 0o755, 0, 0))?.ptr())
        }
        Err(error) => Err(anyhow!("RedoxFS: {error}")),
    }
}

fn plain<T>(result: syscall::Result<T>) -> anyhow::Result<T> {
    result.map_err(|error| anyhow!("RedoxFS: {error} (is `root` too small?)"))
}
