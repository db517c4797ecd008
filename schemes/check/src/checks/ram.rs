//! `ram:` as `std` sees it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::{Check, Checked, fails, fifos, mapped as long_mappings, ok, same};

pub(super) const CHECKS: &[Check] = &[
    ("ram_keeps_what_is_written", keeps),
    ("ram_big_files_survive_in_pieces", big),
    ("ram_files_have_holes", holes),
    ("ram_appends_at_the_end", appends),
    ("ram_names_move_and_go", names),
    ("ram_directories_are_listed_once", listed),
    ("ram_unlinked_files_live_while_open", unlinked),
    ("ram_links_lead_to_the_same_file", links),
    ("ram_symlinks_may_lead_out", symlinks),
    ("ram_modes_and_times_are_kept", attributes),
    ("ram_fifos_are_told_from_files", fifos::kinds),
    ("ram_fifos_bring_a_crowd_together", fifos::crowd),
    ("ram_fifos_tell_who_does_not_wait", fifos::without_waiting),
    ("ram_fifos_open_for_both", fifos::both),
    ("ram_fifos_allow_what_their_files_do", fifos::allowed),
    ("ram_fifos_let_signals_in", fifos::interrupted),
    ("ram_pages_are_shared", mapped),
    ("ram_private_pages_are_not", mapped_private),
    ("ram_long_mappings_take_what_is_touched", long_mappings::long),
    ("ram_mappings_may_be_longer_than_files", long_mappings::beyond),
    ("ram_calls_fetch_pages", long_mappings::by_calls),
    ("ram_private_pages_may_be_read_again", long_mappings::given_up),
    ("ram_serves_many_at_once", many),
    ("ram_gives_space_back", space),
    ("ram_bad_paths_are_told", bad),
];

/// Where the checks have their rooms.
static BASE: Mutex<&str> = Mutex::new("/tmp");

fn base() -> &'static str {
    *BASE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a check somewhere else.
pub(super) fn at(place: &'static str, check: fn() -> Checked) -> Checked {
    let set = |place| *BASE.lock().unwrap_or_else(PoisonError::into_inner) = place;
    let old = base();
    set(place);
    let checked = check();
    set(old);
    checked
}

/// A directory of one check's own.
pub(super) fn room(name: &str) -> Result<PathBuf, String> {
    let room = PathBuf::from(format!("{}/check-{}-{name}", base(), std::process::id()));
    ok("room", fs::create_dir(&room))?;
    Ok(room)
}

pub(super) fn leave(room: PathBuf) -> Checked {
    ok("leave", fs::remove_dir_all(room))
}

pub(super) fn keeps() -> Checked {
    let room = room("keeps")?;
    let path = room.join("file");
    ok("write", fs::write(&path, "hello"))?;
    same("read", ok("read", fs::read_to_string(&path))?.as_str(), "hello")?;
    let by_scheme = path.display().to_string();
    let by_scheme = by_scheme.replace("/tmp", "/scheme/ram").replace("/home", "/scheme/file/home");
    same("scheme path", ok("read", fs::read_to_string(by_scheme))?.as_str(), "hello")?;
    ok("shorter", fs::write(&path, "x"))?;
    same("truncated", ok("stat", fs::metadata(&path))?.len(), 1)?;
    leave(room)
}

pub(super) fn big() -> Checked {
    let room = room("big")?;
    let path = room.join("file");
    let bytes: Vec<u8> = (0..5_000_000u32).map(|number| (number / 7) as u8).collect();
    ok("write", fs::write(&path, &bytes))?;
    same("read", ok("read", fs::read(&path))? == bytes, true)?;
    ok("copy", fs::copy(&path, room.join("copy")))?;
    same("copied", ok("read", fs::read(room.join("copy")))? == bytes, true)?;
    leave(room)
}

fn holes() -> Checked {
    let room = room("holes")?;
    let path = room.join("file");
    let file = ok("create", File::create_new(&path))?;
    ok("far", file.write_all_at(b"end", 1_000_000))?;
    let stat = ok("stat", file.metadata())?;
    same("length", (stat.len(), stat.blocks()), (1_000_003, 8))?;
    ok("cut", file.set_len(1_000_001))?;
    ok("grow", file.set_len(1_000_003))?;
    let bytes = ok("read", fs::read(&path))?;
    same("tail", &bytes[999_999..], b"\0e\0\0")?;
    leave(room)
}

pub(super) fn appends() -> Checked {
    let room = room("appends")?;
    let path = room.join("file");
    let append = || OpenOptions::new().append(true).create(true).open(&path);
    let (mut one, mut two) = (ok("open", append())?, ok("open", append())?);
    for _ in 0..3 {
        ok("one", one.write_all(b"1"))?;
        ok("two", two.write_all(b"2"))?;
    }
    same("text", ok("read", fs::read_to_string(&path))?.as_str(), "121212")?;
    let mut file = ok("open", OpenOptions::new().read(true).write(true).open(&path))?;
    same("end", ok("seek", file.seek(SeekFrom::End(-2)))?, 4)?;
    let mut text = String::new();
    ok("read", file.read_to_string(&mut text))?;
    same("tail", text.as_str(), "12")?;
    leave(room)
}

pub(super) fn names() -> Checked {
    let room = room("names")?;
    let (old, new) = (room.join("old"), room.join("new"));
    ok("write", fs::write(&old, "old"))?;
    ok("write", fs::write(&new, "new"))?;
    ok("rename", fs::rename(&old, &new))?;
    same("replaced", ok("read", fs::read_to_string(&new))?.as_str(), "old")?;
    fails("gone", fs::metadata(&old), libc::ENOENT)?;
    ok("mkdir", fs::create_dir_all(room.join("a/b/c")))?;
    fails("inside itself", fs::rename(room.join("a"), room.join("a/b/d")), libc::EINVAL)?;
    fails("not empty", fs::remove_dir(room.join("a")), libc::ENOTEMPTY)?;
    fails("a file", fs::remove_dir(&new), libc::ENOTDIR)?;
    fails("a directory", fs::remove_file(room.join("a")), libc::EISDIR)?;
    ok("move", fs::rename(room.join("a/b"), room.join("moved")))?;
    ok("stat", fs::metadata(room.join("moved/c")))?;
    let real = ok("canonicalize", fs::canonicalize(room.join("moved/../new")))?;
    same("read by it", ok("read", fs::read_to_string(real))?.as_str(), "old")?;
    leave(room)
}

pub(super) fn listed() -> Checked {
    let room = room("listed")?;
    let mut expected: Vec<String> = (0..300).map(|index| format!("file-{index:03}")).collect();
    for name in &expected {
        ok("create", File::create(room.join(name)))?;
    }
    ok("mkdir", fs::create_dir(room.join("sub")))?;
    expected.push("sub".to_owned());
    let mut seen = Vec::new();
    for entry in ok("list", fs::read_dir(&room))? {
        let entry = ok("entry", entry)?;
        let kind = ok("type", entry.file_type())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        same("type", kind.is_dir(), name == "sub")?;
        seen.push(name);
    }
    seen.sort();
    same("names", seen, expected)?;
    leave(room)
}

pub(super) fn unlinked() -> Checked {
    let room = room("unlinked")?;
    let path = room.join("file");
    let file =
        ok("create", OpenOptions::new().read(true).write(true).create_new(true).open(&path))?;
    ok("write", file.write_all_at(b"still here", 0))?;
    ok("unlink", fs::remove_file(&path))?;
    let mut bytes = [0; 10];
    ok("read", file.read_exact_at(&mut bytes, 0))?;
    same("bytes", &bytes, b"still here")?;
    same("links", ok("stat", file.metadata())?.nlink(), 0)?;
    leave(room)
}

pub(super) fn links() -> Checked {
    let room = room("links")?;
    let (a, b) = (room.join("a"), room.join("b"));
    ok("write", fs::write(&a, "one"))?;
    ok("link", fs::hard_link(&a, &b))?;
    ok("write", fs::write(&b, "two"))?;
    same("text", ok("read", fs::read_to_string(&a))?.as_str(), "two")?;
    let (a_stat, b_stat) = (ok("stat", fs::metadata(&a))?, ok("stat", fs::metadata(&b))?);
    same("node", (a_stat.ino(), a_stat.nlink()), (b_stat.ino(), 2))?;
    fails("exists", fs::hard_link(&a, &b), libc::EEXIST)?;
    leave(room)
}

pub(super) fn symlinks() -> Checked {
    let room = room("symlinks")?;
    ok("write", fs::write(room.join("file"), "text"))?;
    ok("relative", symlink("file", room.join("relative")))?;
    ok("out", symlink("/scheme/sys/uname", room.join("out")))?;
    ok("loop", symlink("loop", room.join("loop")))?;
    let read = |name: &str| fs::read_to_string(room.join(name));
    same("relative", ok("relative", read("relative"))?.as_str(), "text")?;
    same("out", ok("out", read("out"))?, ok("uname", fs::read_to_string("/scheme/sys/uname"))?)?;
    fails("loop", read("loop"), libc::ELOOP)?;
    let target = ok("readlink", fs::read_link(room.join("out")))?;
    same("target", target, PathBuf::from("/scheme/sys/uname"))?;
    let stat = ok("lstat", fs::symlink_metadata(room.join("relative")))?;
    same("a link", (stat.is_symlink(), stat.len()), (true, 4))?;
    leave(room)
}

pub(super) fn attributes() -> Checked {
    let room = room("attributes")?;
    let path = room.join("file");
    ok("write", fs::write(&path, "x"))?;
    ok("chmod", fs::set_permissions(&path, Permissions::from_mode(0o640)))?;
    let stat = ok("stat", fs::metadata(&path))?;
    same("mode", stat.mode() & 0o7777, 0o640)?;
    let file = ok("open", File::open(&path))?;
    let (keep, time) = (libc::UTIME_OMIT, 1_000_000);
    let times =
        [(0, keep), (time, 500)].map(|(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec });
    // SAFETY: the array holds two times, as the call wants.
    same("futimens", unsafe { libc::futimens(file.as_raw_fd(), times.as_ptr()) }, 0)?;
    let changed = ok("stat", file.metadata())?;
    same("modified", (changed.mtime(), changed.mtime_nsec()), (time, 500))?;
    same("accessed", changed.atime(), stat.atime())?;
    leave(room)
}

/// One page of a file, mapped.
pub(super) fn map(file: &File, flags: i32) -> Result<*mut u8, String> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping where the kernel likes.
    let address =
        unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, file.as_raw_fd(), 0) };
    if address == libc::MAP_FAILED {
        return Err(format!("mmap: {}", std::io::Error::last_os_error()));
    }
    Ok(address.cast())
}

pub(super) fn unmap(address: *mut u8) -> Checked {
    // SAFETY: the mapping is this check's own and is not used any more.
    let status = unsafe { libc::munmap(address.cast(), 4096) };
    same("munmap", status, 0)
}

pub(super) fn mapped() -> Checked {
    let room = room("mapped")?;
    let path = room.join("file");
    ok("write", fs::write(&path, "written"))?;
    let file = ok("open", OpenOptions::new().read(true).write(true).open(&path))?;
    let (one, two) = (map(&file, libc::MAP_SHARED)?, map(&file, libc::MAP_SHARED)?);
    // SAFETY: both are one page long, and only this thread uses them.
    unsafe {
        same("read", one.read_volatile(), b'w')?;
        one.write_volatile(b'W');
        same("by the other", two.read_volatile(), b'W')?;
    }
    same("by reading", ok("read", fs::read_to_string(&path))?.as_str(), "Written")?;
    ok("write", file.write_all_at(b"!", 6))?;
    // SAFETY: as above.
    same("by writing", unsafe { one.add(6).read_volatile() }, b'!')?;
    ok("grow", file.write_all_at(b"far", 10_000_000))?;
    ok("write", file.write_all_at(b"?", 6))?;
    // SAFETY: as above.
    same("after growing", unsafe { one.add(6).read_volatile() }, b'?')?;
    unmap(one)?;
    unmap(two)?;
    leave(room)
}

pub(super) fn mapped_private() -> Checked {
    let room = room("private")?;
    let path = room.join("file");
    ok("write", fs::write(&path, "written"))?;
    let file = ok("open", OpenOptions::new().read(true).write(true).open(&path))?;
    let page = map(&file, libc::MAP_PRIVATE)?;
    // SAFETY: one page long, and only this thread uses it.
    unsafe {
        page.write_volatile(b'W');
        same("own copy", page.read_volatile(), b'W')?;
    }
    same("the file", ok("read", fs::read_to_string(&path))?.as_str(), "written")?;
    ok("write", file.write_all_at(b"x", 3))?;
    same("the file", ok("read", fs::read_to_string(&path))?.as_str(), "wrixten")?;
    unmap(page)?;
    leave(room)
}

/// Several processes, each with files of its own.
fn many() -> Checked {
    let me = ok("own path", std::env::current_exe())?;
    let children: Vec<_> = (0..4)
        .map(|_| Command::new(&me).arg("ram_names").stdout(std::process::Stdio::null()).spawn())
        .collect();
    for child in children {
        let status = ok("wait", ok("spawn", child)?.wait())?;
        same("status", status.code(), Some(0))?;
    }
    Ok(())
}

fn free_blocks() -> Result<u64, String> {
    let root = ok("open", File::open("/tmp"))?;
    // SAFETY: zero is a value of this structure of integers.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is writable and of the right type.
    same("fstatvfs", unsafe { libc::fstatvfs(root.as_raw_fd(), &mut stat) }, 0)?;
    Ok(stat.f_bfree)
}

fn space() -> Checked {
    let before = free_blocks()?;
    let room = room("space")?;
    ok("write", fs::write(room.join("file"), vec![1; 1 << 20]))?;
    let during = free_blocks()?;
    same("taken", before - during >= 256, true)?;
    leave(room)?;
    same("given back", free_blocks()?, before)
}

fn bad() -> Checked {
    let room = room("bad")?;
    fails("long", File::create(room.join("n".repeat(256))), libc::ENAMETOOLONG)?;
    fails("below nothing", File::create(room.join("no/file")), libc::ENOENT)?;
    ok("write", fs::write(room.join("file"), ""))?;
    fails("below a file", File::open(room.join("file/x")), libc::ENOTDIR)?;
    fails("write a directory", OpenOptions::new().write(true).open(&room), libc::EISDIR)?;
    fails("exists", fs::create_dir(room.join("file")), libc::EEXIST)?;
    leave(room)
}
