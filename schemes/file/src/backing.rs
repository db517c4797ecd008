//! A partition of `disk:` under the file system, across restarts of its driver.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::thread::sleep;
use std::time::Duration;

use filed::store::Backing;
use syscall::error::{EIO, ENODEV, Error, Result};

/// How long a driver that died may take to come back: 5 seconds.
const TRIES: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(100);

/// A partition.
pub(crate) struct Partition {
    path: String,
    file: File,
    size: u64,
    pub(crate) is_read_only: bool,
}

impl Partition {
    pub(crate) fn open(path: String) -> io::Result<Self> {
        let (file, is_read_only) = match open(&path, true) {
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
                (open(&path, false)?, true)
            }
            opened => (opened?, false),
        };
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, is_read_only })
    }

    /// Does something with the file; does it again when the driver was restarted meanwhile. What
    /// the old driver has written is on the disk: drivers keep nothing back.
    fn with(&mut self, act: impl Fn(&File) -> io::Result<()>) -> Result<()> {
        for _ in 0..TRIES {
            match act(&self.file) {
                Ok(()) => return Ok(()),
                // Opening waits for the driver that comes, so only a failure to open takes time.
                Err(error) if error.raw_os_error() == Some(ENODEV) => {
                    match open(&self.path, !self.is_read_only) {
                        Ok(file) => self.file = file,
                        Err(_) => sleep(BETWEEN),
                    }
                }
                Err(_) => return Err(Error::new(EIO)),
            }
        }
        Err(Error::new(EIO))
    }
}

fn open(path: &str, write: bool) -> io::Result<File> {
    File::options().read(true).write(write).open(path)
}

impl Backing for Partition {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        // `with` may try more than once, which a plain borrow would not let it.
        let into = std::cell::RefCell::new(into);
        self.with(|file| file.read_exact_at(&mut into.borrow_mut(), offset))
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        self.with(|file| file.write_all_at(from, offset))
    }

    fn flush(&mut self) -> Result<()> {
        self.with(File::sync_all)
    }

    fn size(&mut self) -> Result<u64> {
        Ok(self.size)
    }
}
