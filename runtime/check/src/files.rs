//! Files, in the directory for temporary ones.

use crate::process::child;
use crate::{Check, Outcome, holds, same};
use std::env::temp_dir;
use std::fs::{self, File, FileTimes, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

pub(crate) const CHECKS: &[Check] = &[
    ("files/written-bytes-are-read", write_read),
    ("files/positions-are-kept", positions),
    ("files/several-buffers-at-once", vectored),
    ("files/appending-appends", append),
    ("files/a-new-file-must-be-new", create_new),
    ("files/lengths-are-set", lengths),
    ("files/modes-are-set", modes),
    ("files/times-are-set", times),
    ("files/a-copy-is-the-same", copy),
    ("files/a-rename-replaces", rename),
    ("files/a-removed-file-can-still-be-read", removed),
    ("files/what-is-missing-is-told", missing),
    ("files/a-mode-of-opening-is-kept", directions),
    ("files/a-large-file-is-whole", large),
    ("files/temporary-names-are-new", temporary),
    ("files/two-descriptors-share-a-position", duplicate),
    ("files/a-lock-keeps-others-out", lock),
    ("files/a-lock-ends-with-its-process", lock_of_child),
];

/// A path of this check's own.
pub(crate) fn place(name: &str) -> PathBuf {
    temp_dir().join(format!("check-{name}"))
}

fn write_read() -> Outcome {
    let path = place("write");
    fs::write(&path, "first\nsecond\n")?;
    same!(fs::read_to_string(&path)?, "first\nsecond\n");
    let data = fs::metadata(&path)?;
    holds!(data.is_file() && data.len() == 13);
    fs::remove_file(&path)?;
    holds!(!path.exists());
    Ok(())
}

fn positions() -> Outcome {
    let path = place("positions");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    file.write_all(b"0123456789")?;
    same!(file.stream_position()?, 10);
    same!(file.seek(SeekFrom::End(-3))?, 7);
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    same!(rest, "789");
    let mut two = [0; 2];
    file.read_exact_at(&mut two, 4)?;
    same!(&two, b"45");
    file.write_all_at(b"xy", 1)?;
    same!(file.stream_position()?, 10);
    holds!(file.seek(SeekFrom::Current(-11)).is_err());
    same!(fs::read(&path)?, b"0xy3456789");
    fs::remove_file(&path)?;
    Ok(())
}

fn vectored() -> Outcome {
    let path = place("vectored");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    same!(file.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")])?, 5);
    file.rewind()?;
    let (mut first, mut second) = ([0; 3], [0; 5]);
    let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    same!(file.read_vectored(&mut buffers)?, 5);
    same!((&first, &second), (b"abc", b"de\0\0\0"));
    fs::remove_file(&path)?;
    Ok(())
}

fn append() -> Outcome {
    let path = place("append");
    fs::write(&path, "one")?;
    OpenOptions::new().append(true).open(&path)?.write_all(b" two")?;
    same!(fs::read(&path)?, b"one two");
    fs::remove_file(&path)?;
    Ok(())
}

fn create_new() -> Outcome {
    let path = place("new");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o640);
    options.open(&path)?;
    same!(fs::metadata(&path)?.mode() & 0o777, 0o640);
    same!(options.open(&path).map_err(|error| error.kind()).err(), Some(ErrorKind::AlreadyExists));
    fs::remove_file(&path)?;
    Ok(())
}

fn lengths() -> Outcome {
    let path = place("lengths");
    fs::write(&path, "0123456789")?;
    let file = OpenOptions::new().write(true).open(&path)?;
    file.set_len(4)?;
    same!(fs::read(&path)?, b"0123");
    file.set_len(6)?;
    same!(fs::read(&path)?, b"0123\0\0");
    file.sync_all()?;
    file.sync_data()?;
    OpenOptions::new().write(true).truncate(true).open(&path)?;
    same!(fs::metadata(&path)?.len(), 0);
    fs::remove_file(&path)?;
    Ok(())
}

fn modes() -> Outcome {
    let path = place("modes");
    let file = File::create(&path)?;
    same!(file.metadata()?.mode() & 0o777, 0o644);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    same!(file.metadata()?.mode() & 0o777, 0o600);
    file.set_permissions(fs::Permissions::from_mode(0o444))?;
    holds!(fs::metadata(&path)?.permissions().readonly());
    fs::remove_file(&path)?;
    Ok(())
}

fn times() -> Outcome {
    let path = place("times");
    let file = File::create(&path)?;
    let moment = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 500);
    let before = fs::metadata(&path)?.accessed()?;
    // What is not named stays.
    file.set_times(FileTimes::new().set_modified(moment))?;
    same!(fs::metadata(&path)?.modified()?, moment);
    same!(fs::metadata(&path)?.accessed()?, before);
    file.set_times(FileTimes::new().set_accessed(moment))?;
    same!(fs::metadata(&path)?.accessed()?, moment);
    let now = SystemTime::now();
    fs::write(&path, "x")?;
    holds!(fs::metadata(&path)?.modified()? + Duration::from_secs(2) > now);
    fs::remove_file(&path)?;
    Ok(())
}

fn copy() -> Outcome {
    let (from, to) = (place("from"), place("to"));
    let bytes: Vec<u8> = (0..50_000_u32).map(|number| number as u8).collect();
    fs::write(&from, &bytes)?;
    same!(fs::copy(&from, &to)?, 50_000);
    holds!(fs::read(&to)? == bytes);
    holds!(fs::copy("/scheme/sys/uname", &to)? > 8);
    holds!(fs::read(&to)?.starts_with(b"Lifeboat"));
    fs::remove_file(&from)?;
    fs::remove_file(&to)?;
    Ok(())
}

fn rename() -> Outcome {
    let (from, to) = (place("old"), place("new-name"));
    fs::write(&from, "old")?;
    fs::write(&to, "replaced")?;
    fs::rename(&from, &to)?;
    holds!(!from.exists());
    same!(fs::read(&to)?, b"old");
    same!(fs::rename(&from, &to).map_err(|error| error.kind()).err(), Some(ErrorKind::NotFound));
    let kind = fs::rename(&to, "/scheme/sys/x").map_err(|error| error.kind()).err();
    same!(kind, Some(ErrorKind::CrossesDevices));
    fs::remove_file(&to)?;
    Ok(())
}

fn removed() -> Outcome {
    let path = place("removed");
    fs::write(&path, "still here")?;
    let mut file = File::open(&path)?;
    fs::remove_file(&path)?;
    same!(io::read_to_string(&mut file)?, "still here");
    Ok(())
}

fn missing() -> Outcome {
    let kind = |path: &str| File::open(path).map_err(|error| error.kind()).err();
    same!(kind("/tmp/no-such-file"), Some(ErrorKind::NotFound));
    same!(kind("nowhere:file"), Some(ErrorKind::NotFound));
    same!(kind(""), Some(ErrorKind::NotFound));
    same!(kind(&"x".repeat(5000)), Some(ErrorKind::InvalidFilename));
    same!(kind("/etc/passwd/x"), Some(ErrorKind::NotADirectory));
    same!(kind("/etc/passwd/"), Some(ErrorKind::NotADirectory));
    Ok(())
}

fn directions() -> Outcome {
    let path = place("directions");
    fs::write(&path, "x")?;
    holds!(File::open(&path)?.write_all(b"y").is_err());
    holds!(OpenOptions::new().write(true).open(&path)?.read(&mut [0]).is_err());
    fs::remove_file(&path)?;
    Ok(())
}

fn large() -> Outcome {
    let path = place("large");
    let bytes: Vec<u8> = (0..500_000_u32).map(|number| (number / 7) as u8).collect();
    fs::write(&path, &bytes)?;
    holds!(fs::read(&path)? == bytes);
    fs::remove_file(&path)?;
    Ok(())
}

fn temporary() -> Outcome {
    let mut names = Vec::new();
    for _ in 0..2 {
        let template = temp_dir().join("check-XXXXXX");
        let mut template = template.into_os_string().into_encoded_bytes();
        template.push(0);
        // SAFETY: the template is ours and NUL-terminated.
        let fd = unsafe { libc::mkstemp(template.as_mut_ptr().cast()) };
        holds!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: nobody else uses the descriptor.
        same!(unsafe { libc::close(fd) }, 0);
        template.pop();
        names.push(String::from_utf8(template)?);
    }
    holds!(names[0] != names[1]);
    for name in names {
        fs::remove_file(name)?;
    }
    Ok(())
}

fn duplicate() -> Outcome {
    let path = place("duplicate");
    fs::write(&path, "0123456789")?;
    let mut file = File::open(&path)?;
    let mut other = file.try_clone()?;
    file.read_exact(&mut [0; 4])?;
    same!(other.stream_position()?, 4);
    fs::remove_file(&path)?;
    Ok(())
}

fn lock() -> Outcome {
    let path = place("lock");
    let file = File::create(&path)?;
    let other = File::open(&path)?;
    file.lock()?;
    file.lock()?;
    holds!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    holds!(matches!(other.try_lock_shared(), Err(TryLockError::WouldBlock)));
    // A copy of the descriptor is the same open file.
    file.try_clone()?.try_lock()?;
    file.unlock()?;
    other.try_lock_shared()?;
    file.try_lock_shared()?;
    holds!(matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
    drop(other);
    file.try_lock()?;
    let waited = std::thread::scope(|scope| -> io::Result<Duration> {
        let start = Instant::now();
        let waiter = scope.spawn(|| File::open(&path).and_then(|other| other.lock()));
        std::thread::sleep(Duration::from_millis(50));
        file.unlock()?;
        waiter.join().map_err(|_| io::Error::other("the thread panicked"))??;
        Ok(start.elapsed())
    })?;
    holds!(waited >= Duration::from_millis(50), "{waited:?}");
    fs::remove_file(&path)?;
    Ok(())
}

fn lock_of_child() -> Outcome {
    let path = place("lock-of-child");
    let file = File::create(&path)?;
    let words = ["lock", path.to_str().ok_or("no text")?];
    let mut holder = child(&words)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut told = [0; 6];
    holder.stdout.as_mut().ok_or("no pipe")?.read_exact(&mut told)?;
    holds!(matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
    holder.kill()?;
    file.lock()?;
    holder.wait()?;
    fs::remove_file(&path)?;
    Ok(())
}
