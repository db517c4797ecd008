//! Files and directories of a FAT volume.
//!
//! `fatfs` keeps a file's length and first cluster in each open file, so two of them would disagree.
//! Here a handle is a path, and every request opens its file anew. That is why what somebody has
//! open can be neither removed nor renamed (`EBUSY`).

mod contents;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use fatfs::{Dir, FileSystem, FsOptions};
use syscall::error::{
    EACCES, EBADF, EBUSY, EEXIST, EINVAL, EIO, EISDIR, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY,
    EOPNOTSUPP, EPERM, Error, Result,
};
use syscall::flag::{
    MODE_DIR, MODE_FIFO, MODE_FILE, MODE_TYPE, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY,
    O_STAT, O_SYMLINK, O_TRUNC, O_WRONLY,
};
use syscall::{Stat, StatVfs};

use crate::calendar::{Clock, seconds};
use crate::disk::{Backing, Disk, Shared};

/// The handle that paths start from; it is never closed.
pub const ROOT_HANDLE: usize = 0;

#[derive(Clone, Debug)]
struct Open {
    path: String,
    read: bool,
    write: bool,
    is_dir: bool,
    uid: u32,
}

/// What is known of a name.
#[derive(Clone, Copy, Debug)]
struct Known {
    is_dir: bool,
    length: u64,
    /// Seconds since 1970.
    modified: u64,
}

/// One entry of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A volume and what is open on it.
pub struct Tree<B: Backing> {
    system: FileSystem<Shared<B>>,
    disk: Shared<B>,
    handles: BTreeMap<usize, Open>,
    next: usize,
    is_read_only: bool,
}

fn error<T>(errno: i32) -> Result<T> {
    Err(Error::new(errno))
}

/// What `fatfs` says, in numbers.
fn told(error: io::Error) -> Error {
    Error::new(match error.kind() {
        ErrorKind::NotFound => ENOENT,
        ErrorKind::AlreadyExists => EEXIST,
        ErrorKind::InvalidInput => EINVAL,
        ErrorKind::WriteZero => ENOSPC,
        _ => match error.to_string().as_str() {
            "No space left on device" => ENOSPC,
            "Directory not empty" => ENOTEMPTY,
            text if text.starts_with("File name") => EINVAL,
            _ => EIO,
        },
    })
}

impl<B: Backing> Tree<B> {
    /// Opens a volume.
    pub fn new(backing: B, is_read_only: bool) -> io::Result<Self> {
        let disk = Shared(Rc::new(RefCell::new(Disk::new(backing))));
        let system = FileSystem::new(disk.clone(), FsOptions::new().time_provider(&Clock))?;
        let root = Open { path: String::new(), read: true, write: false, is_dir: true, uid: 0 };
        let handles = BTreeMap::from([(ROOT_HANDLE, root)]);
        Ok(Self { system, disk, handles, next: ROOT_HANDLE + 1, is_read_only })
    }

    /// A request begins that moves so many bytes.
    pub fn begin(&mut self, bytes: usize) {
        self.disk.0.borrow_mut().refuel(bytes);
    }

    /// Writes what has been changed.
    pub fn write_back(&mut self) -> io::Result<()> {
        self.disk.0.borrow_mut().write_back()
    }

    /// Whether there is something to write.
    pub fn is_changed(&self) -> bool {
        self.disk.0.borrow().is_changed()
    }

    /// Returns when all that was done is safe.
    pub fn sync(&mut self) -> Result<()> {
        self.disk.0.borrow_mut().sync().map_err(told)
    }

    /// Ends: the volume is marked as left in order.
    pub fn unmount(self) -> io::Result<()> {
        self.disk.0.borrow_mut().refuel(0);
        self.system.unmount()?;
        self.disk.0.borrow_mut().sync()
    }

    fn handle(&self, number: usize) -> Result<&Open> {
        self.handles.get(&number).ok_or(Error::new(EBADF))
    }

    /// Who opened a handle.
    pub fn owner(&self, number: usize) -> Result<u32> {
        self.handle(number).map(|open| open.uid)
    }

    /// The path of a handle.
    pub fn path(&self, number: usize) -> Result<&str> {
        self.handle(number).map(|open| open.path.as_str())
    }

    /// A path from the root, without `.` and `..`.
    fn absolute(&self, start: usize, path: &str) -> Result<String> {
        if path.contains('\0') {
            return error(EINVAL);
        }
        let base = if path.starts_with('/') { "" } else { self.handle(start)?.path.as_str() };
        let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        Ok(parts.join("/"))
    }

    fn folder(&self, path: &str) -> Result<Dir<'_, Shared<B>>> {
        let root = self.system.root_dir();
        if path.is_empty() { Ok(root) } else { root.open_dir(path).map_err(told) }
    }

    /// What there is at a path.
    fn find(&self, path: &str) -> Result<Known> {
        let Some((parent, name)) = split(path) else {
            return Ok(Known { is_dir: true, length: 0, modified: 0 });
        };
        let is_inside = !parent.is_empty();
        if is_inside && !self.find(parent)?.is_dir {
            return error(ENOTDIR);
        }
        for entry in self.folder(parent)?.iter() {
            let entry = entry.map_err(told)?;
            if is_same(&entry.file_name(), name) || is_same(&entry.short_file_name(), name) {
                let modified = seconds(entry.modified());
                return Ok(Known { is_dir: entry.is_dir(), length: entry.len(), modified });
            }
        }
        error(ENOENT)
    }

    fn allow_change(&self, uid: u32) -> Result<()> {
        match () {
            () if uid != 0 => error(EACCES),
            () if self.is_read_only => error(syscall::error::EROFS),
            () => Ok(()),
        }
    }

    /// Opens a path, relative to an open directory.
    pub fn open(&mut self, start: usize, path: &str, flags: usize, uid: u32) -> Result<usize> {
        let ends_in_slash = path.ends_with('/');
        let path = self.absolute(start, path)?;
        let access = if flags & O_STAT != 0 { 0 } else { flags & O_ACCMODE };
        let (read, write) = (access & O_RDONLY != 0, access & O_WRONLY != 0);
        let is_dir = match self.find(&path) {
            Ok(_) if flags & O_CREAT != 0 && flags & O_EXCL != 0 => return error(EEXIST),
            Ok(known) if known.is_dir && (write || flags & O_TRUNC != 0) => return error(EISDIR),
            Ok(known) if !known.is_dir && (ends_in_slash || flags & O_DIRECTORY != 0) => {
                return error(ENOTDIR);
            }
            Ok(known) => {
                if write {
                    self.allow_change(uid)?;
                }
                if write && flags & O_TRUNC != 0 && known.length > 0 {
                    self.cut(&path, 0)?;
                }
                known.is_dir
            }
            Err(Error { errno: ENOENT }) if flags & O_CREAT != 0 => {
                self.allow_change(uid)?;
                self.create(&path, flags, ends_in_slash)?
            }
            Err(error) => return Err(error),
        };
        let number = self.next;
        self.next += 1;
        self.handles.insert(number, Open { path, read, write, is_dir, uid });
        Ok(number)
    }

    fn create(&mut self, path: &str, flags: usize, ends_in_slash: bool) -> Result<bool> {
        if flags as u16 & MODE_TYPE == MODE_FIFO {
            return error(EOPNOTSUPP);
        }
        let root = self.system.root_dir();
        match () {
            () if flags & O_SYMLINK != 0 => error(EPERM),
            () if flags & O_DIRECTORY != 0 => root.create_dir(path).map(|_| true).map_err(told),
            () if ends_in_slash => error(EISDIR),
            () => root.create_file(path).map(|_| false).map_err(told),
        }
    }

    /// Another handle like this one.
    pub fn dup(&mut self, number: usize) -> Result<usize> {
        let open = self.handle(number)?.clone();
        let number = self.next;
        self.next += 1;
        self.handles.insert(number, open);
        Ok(number)
    }

    /// Closes a handle.
    pub fn close(&mut self, number: usize) {
        if number != ROOT_HANDLE {
            self.handles.remove(&number);
        }
    }

    /// Whether so many files are open there or below at most. Open directories do no harm.
    fn allow_removal(&self, path: &str, handles: usize) -> Result<()> {
        let users = self.handles.values().filter(|open| {
            !open.is_dir && (is_same(&open.path, path) || is_below(&open.path, path))
        });
        if users.count() > handles { error(EBUSY) } else { Ok(()) }
    }

    /// Removes a file, or with `directory` an empty directory.
    pub fn unlink(&mut self, start: usize, path: &str, directory: bool, uid: u32) -> Result<()> {
        let path = self.absolute(start, path)?;
        let known = self.find(&path)?;
        match () {
            () if path.is_empty() => return error(EBUSY),
            () if known.is_dir && !directory => return error(EISDIR),
            () if !known.is_dir && directory => return error(ENOTDIR),
            () => {}
        }
        self.allow_change(uid)?;
        self.allow_removal(&path, 0)?;
        self.system.root_dir().remove(&path).map_err(told)
    }

    /// Moves what a handle stands for. A file that is there is replaced.
    pub fn rename(&mut self, handle: usize, path: &str, uid: u32) -> Result<()> {
        let from = self.handle(handle)?.path.clone();
        let to = self.absolute(ROOT_HANDLE, path)?;
        self.allow_change(uid)?;
        match () {
            () if from.is_empty() || to.is_empty() => return error(EBUSY),
            () if is_below(&to, &from) => return error(EINVAL),
            () if from == to => return Ok(()),
            () => {}
        }
        let is_dir = self.find(&from)?.is_dir;
        self.allow_removal(&from, usize::from(!is_dir))?;
        if !is_same(&from, &to)
            && let Ok(known) = self.find(&to)
        {
            match (is_dir, known.is_dir) {
                (true, false) => return error(ENOTDIR),
                (false, true) => return error(EISDIR),
                _ => {}
            }
            self.allow_removal(&to, 0)?;
            self.system.root_dir().remove(&to).map_err(told)?;
        }
        let root = self.system.root_dir();
        root.rename(&from, &root, &to).map_err(told)?;
        if let Some(open) = self.handles.get_mut(&handle) {
            open.path = to;
        }
        Ok(())
    }

    /// Everything about what a handle stands for.
    pub fn stat(&self, handle: usize) -> Result<Stat> {
        let open = self.handle(handle)?;
        let known = self.find(&open.path)?;
        let cluster = u64::from(self.system.cluster_size());
        Ok(Stat {
            st_dev: u64::from_le_bytes(*b"fat\0\0\0\0\0"),
            // FAT has no numbers for files; one that is the same for the same path will do.
            st_ino: number_of(&open.path),
            st_mode: if known.is_dir { MODE_DIR | 0o755 } else { MODE_FILE | 0o644 },
            st_nlink: 1,
            st_size: known.length,
            st_blksize: cluster as u32,
            st_blocks: known.length.div_ceil(cluster) * cluster / 512,
            st_mtime: known.modified,
            st_ctime: known.modified,
            st_atime: known.modified,
            ..Stat::default()
        })
    }

    /// How much room there is.
    pub fn stat_space(&mut self) -> Result<StatVfs> {
        let stats = self.system.stats().map_err(told)?;
        let free = u64::from(stats.free_clusters());
        Ok(StatVfs {
            f_bsize: stats.cluster_size(),
            f_blocks: stats.total_clusters().into(),
            f_bfree: free,
            f_bavail: free,
        })
    }

    /// Names in a directory.
    pub fn list(&self, handle: usize) -> Result<Vec<Listed>> {
        let open = self.handle(handle)?;
        match () {
            () if !open.is_dir => return error(ENOTDIR),
            () if !open.read => return error(EBADF),
            () => {}
        }
        let mut listed = Vec::new();
        for entry in self.folder(&open.path)?.iter() {
            let entry = entry.map_err(told)?;
            let name = entry.file_name();
            if name != "." && name != ".." {
                listed.push(Listed { name, is_dir: entry.is_dir() });
            }
        }
        Ok(listed)
    }
}

/// A path's directory and last name; none for the root.
fn split(path: &str) -> Option<(&str, &str)> {
    match path.rsplit_once('/') {
        Some(parts) => Some(parts),
        None if path.is_empty() => None,
        None => Some(("", path)),
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    let (path, directory) = (path.to_uppercase(), directory.to_uppercase());
    path.strip_prefix(&directory).is_some_and(|rest| rest.starts_with('/'))
}

/// FAT does not tell upper case from lower.
fn is_same(one: &str, other: &str) -> bool {
    one == other || one.to_uppercase() == other.to_uppercase()
}

fn number_of(path: &str) -> u64 {
    path.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte.to_ascii_uppercase())).wrapping_mul(0x0100_0000_01B3)
    })
}
