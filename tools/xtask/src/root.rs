//! The RedoxFS on a story's disk, seen from the host: the `redoxfs` crate alone, with nothing of
//! Lifeboat in between. For steps between two machines.

use anyhow::{Context, Result, ensure};
use redoxfs::{BLOCK_SIZE, Disk, FileSystem, Node, TreePtr};
use serde::Deserialize;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use syscall::error::{EIO, Error};

/// A file and what is to be in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    path: String,
    text: String,
}

/// What is done to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiskStep {
    /// The file must hold exactly this.
    Holds(Wanted),
    /// The file is made or replaced.
    Put(Wanted),
}

impl DiskStep {
    /// Takes the step on an image. Everything else on the disk is looked at as well: each file must
    /// be readable to its end.
    pub(crate) fn take(&self, image: &Path) -> Result<()> {
        let mut system = open(image).context("opening the file system on the host")?;
        let read = system.tx(|tx| {
            let mut folders = vec![TreePtr::root()];
            while let Some(folder) = folders.pop() {
                let mut entries = Vec::new();
                tx.child_nodes(folder, &mut entries)?;
                for entry in entries {
                    let node = tx.read_tree(entry.node_ptr())?;
                    if node.data().is_dir() {
                        folders.push(entry.node_ptr());
                    } else {
                        let length = node.data().size().min(1 << 30) as usize;
                        let mut bytes = vec![0; length];
                        tx.read_node_inner(&node, 0, &mut bytes)?;
                    }
                }
            }
            Ok(())
        });
        read.map_err(told).context("reading everything on the host")?;
        match self {
            Self::Holds(wanted) => {
                let found = read_file(&mut system, &wanted.path).map_err(told)?;
                let found = String::from_utf8_lossy(&found);
                ensure!(found == wanted.text, "{} holds {found:?} on the host", wanted.path);
            }
            Self::Put(wanted) => put(&mut system, wanted).map_err(told)?,
        }
        Ok(())
    }
}

fn told(error: Error) -> anyhow::Error {
    anyhow::anyhow!("RedoxFS: {error}")
}

/// A part of the image.
struct Part {
    file: File,
    start: u64,
    size: u64,
}

impl Disk for Part {
    unsafe fn read_at(&mut self, block: u64, into: &mut [u8]) -> syscall::error::Result<usize> {
        let read = self.file.read_exact_at(into, self.start + block * BLOCK_SIZE);
        read.map(|()| into.len()).map_err(|_| Error::new(EIO))
    }

    unsafe fn write_at(&mut self, block: u64, from: &[u8]) -> syscall::error::Result<usize> {
        let written = self.file.write_all_at(from, self.start + block * BLOCK_SIZE);
        written.map(|()| from.len()).map_err(|_| Error::new(EIO))
    }

    fn size(&mut self) -> syscall::error::Result<u64> {
        Ok(self.size)
    }
}

fn open(image: &Path) -> Result<FileSystem<Part>> {
    let table = gpt::GptConfig::new().writable(false).open(image)?;
    let is_root = |part: &&gpt::partition::Partition| {
        part.part_type_guid.guid.to_string().eq_ignore_ascii_case(abi::partition::ROOT)
    };
    let part =
        table.partitions().values().find(is_root).context("no partition of the root type")?;
    let block = *table.logical_block_size();
    let (start, size) = (part.bytes_start(block)?, part.bytes_len(block)?);
    let file = File::options().read(true).write(true).open(image)?;
    FileSystem::open(Part { file, start, size }, None, None, true).map_err(told)
}

/// The directory and the name at the end of a path.
fn find(
    tx: &mut redoxfs::Transaction<'_, Part>,
    path: &str,
) -> syscall::error::Result<(TreePtr<Node>, String)> {
    let mut names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let last = names.pop().unwrap_or_default().to_owned();
    let mut at = TreePtr::root();
    for name in names {
        at = tx.find_node(at, name)?.ptr();
    }
    Ok((at, last))
}

fn read_file(system: &mut FileSystem<Part>, path: &str) -> syscall::error::Result<Vec<u8>> {
    system.tx(|tx| {
        let (folder, name) = find(tx, path)?;
        let node = tx.find_node(folder, &name)?;
        let mut bytes = vec![0; node.data().size() as usize];
        tx.read_node_inner(&node, 0, &mut bytes)?;
        Ok(bytes)
    })
}

fn put(system: &mut FileSystem<Part>, wanted: &Wanted) -> syscall::error::Result<()> {
    system.tx(|tx| {
        let (folder, name) = find(tx, &wanted.path)?;
        let node = match tx.find_node(folder, &name) {
            Ok(node) => node,
            Err(_) => tx.create_node(folder, &name, Node::MODE_FILE | 0o644, 0, 0)?,
        };
        tx.truncate_node(node.ptr(), 0, 0, 0)?;
        tx.write_node(node.ptr(), 0, wanted.text.as_bytes(), 0, 0).map(|_| ())
    })
}
