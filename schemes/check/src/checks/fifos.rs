//! FIFOs, for `ram:` and `file:`: who opens waits, who must not wait is told, and what a file allows
//! holds for its pipe, too.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::ram::{leave, room};
use super::{Checked, fails, ok, same};

fn make(path: &Path) -> Checked {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the name ends with a NUL, and the call only reads it.
    same("mkfifo", unsafe { libc::mkfifo(name.as_ptr(), 0o644) }, 0)
}

/// 64 writers and 64 readers find each other, whoever comes first, and every byte arrives once.
pub(super) fn crowd() -> Checked {
    let room = room("crowd")?;
    let path = room.join("fifo");
    make(&path)?;
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let path = path.clone();
            thread::spawn(move || File::open(path).and_then(|mut file| file.read(&mut [0; 1])))
        })
        .collect();
    // One that stays, so that the others never meet the end.
    let path_of_writers = path.clone();
    let mut kept = ok("open", File::options().write(true).open(&path))?;
    let writers: Vec<_> = (0..63)
        .map(|_| {
            let path = path_of_writers.clone();
            thread::spawn(move || File::options().write(true).open(path)?.write(b"x"))
        })
        .collect();
    same("write", ok("write", kept.write(b"x"))?, 1)?;
    let mut counts = [0, 0];
    for (count, threads) in counts.iter_mut().zip([readers, writers]) {
        for thread in threads {
            *count += ok("transfer", thread.join().map_err(|_| "a thread panicked".to_owned())?)?;
        }
    }
    same("bytes read and written", counts, [64, 63])?;
    leave(room)
}

pub(super) fn kinds() -> Checked {
    let room = room("kinds")?;
    let path = room.join("fifo");
    make(&path)?;
    let data = ok("metadata", fs::metadata(&path))?;
    same("a fifo", data.file_type().is_fifo(), true)?;
    same("mode", data.permissions().mode() & 0o777, 0o644)?;
    let listed = ok("list", fs::read_dir(&room))?.next();
    let listed = ok("entry", listed.ok_or("nothing listed")?)?;
    same("listed as a fifo", ok("type", listed.file_type())?.is_fifo(), true)?;
    ok("rename", fs::rename(&path, room.join("other")))?;
    fails("gone", File::open(&path), libc::ENOENT)?;
    leave(room)
}

pub(super) fn without_waiting() -> Checked {
    let room = room("without-waiting")?;
    let path = room.join("fifo");
    make(&path)?;
    let mut options = OpenOptions::new();
    options.custom_flags(libc::O_NONBLOCK);
    fails("write alone", options.clone().write(true).open(&path), libc::ENXIO)?;
    let mut reader = ok("read alone", options.clone().read(true).open(&path))?;
    same("nobody writes", ok("read", reader.read(&mut [0; 8]))?, 0)?;
    let mut writer = ok("write", options.clone().write(true).open(&path))?;
    fails("nothing yet", reader.read(&mut [0; 8]), libc::EAGAIN)?;
    ok("write", writer.write_all(b"word"))?;
    // Making it shorter, as a shell does before it writes, is nothing to a FIFO.
    drop(ok("truncating", options.clone().write(true).truncate(true).create(true).open(&path))?);
    drop(writer);
    let mut text = String::new();
    ok("read", reader.read_to_string(&mut text))?;
    same("text", text.as_str(), "word")?;
    leave(room)
}

/// Who opens for both waits for nobody.
pub(super) fn both() -> Checked {
    let room = room("both")?;
    let path = room.join("fifo");
    make(&path)?;
    let mut both = ok("open", File::options().read(true).write(true).open(&path))?;
    ok("write", both.write_all(b"to myself"))?;
    let mut bytes = [0; 9];
    ok("read", both.read_exact(&mut bytes))?;
    same("bytes", &bytes, b"to myself")?;
    let mut reader = ok("reader", File::open(&path))?;
    let mut writer = ok("writer", File::options().write(true).open(&path))?;
    ok("write", writer.write_all(b"!"))?;
    same("read", ok("read", reader.read(&mut bytes))?, 1)?;
    leave(room)
}

/// Whoever may only read cannot write, and the other way round.
pub(super) fn allowed() -> Checked {
    let room = room("allowed")?;
    let path = room.join("fifo");
    make(&path)?;
    ok("mode", fs::set_permissions(&room, Permissions::from_mode(0o755)))?;
    let reader = ok("open", File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path))?;
    for (mode, expected) in [(0o644, "denied"), (0o622, "")] {
        ok("mode", fs::set_permissions(&path, Permissions::from_mode(mode)))?;
        let script = format!("echo x > {} || echo denied", path.display());
        let told =
            ok("sh", Command::new("/bin/sh").args(["-c", &script]).uid(77).gid(77).output())?;
        same("a stranger", String::from_utf8_lossy(&told.stdout).trim(), expected)?;
    }
    drop(reader);
    leave(room)
}

/// A signal ends the wait for the other end.
pub(super) fn interrupted() -> Checked {
    extern "C" fn nothing(_: i32) {}
    let room = room("interrupted")?;
    let path = room.join("fifo");
    make(&path)?;
    // SAFETY: an action without flags and mask, whose handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
        libc::alarm(1);
    }
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the name ends with a NUL.
    let fd = unsafe { libc::open(name.as_ptr(), libc::O_WRONLY) };
    let error = std::io::Error::last_os_error().raw_os_error();
    same("open", (fd, error), (-1, Some(libc::EINTR)))?;
    leave(room)
}
