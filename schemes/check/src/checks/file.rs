//! `file:` as `std` sees it: what `ram:` can do, and what only a disk shows. Without a disk there is
//! nothing to ask.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::ram::{self, leave, map, room, unmap};
use super::{Check, Checked, fails, fifos, mapped, ok, same};

pub(super) const CHECKS: &[Check] = &[
    ("file_keeps_what_is_written", || at_home(ram::keeps)),
    ("file_big_files_survive_in_pieces", || at_home(ram::big)),
    ("file_appends_at_the_end", || at_home(ram::appends)),
    ("file_names_move_and_go", || at_home(ram::names)),
    ("file_directories_are_listed_once", || at_home(ram::listed)),
    ("file_unlinked_files_live_while_open", || at_home(ram::unlinked)),
    ("file_links_lead_to_the_same_file", || at_home(ram::links)),
    ("file_symlinks_may_lead_out", || at_home(ram::symlinks)),
    ("file_modes_and_times_are_kept", || at_home(ram::attributes)),
    ("file_pages_are_shared", || at_home(ram::mapped)),
    ("file_private_pages_are_not", || at_home(ram::mapped_private)),
    ("file_long_mappings_take_what_is_touched", || at_home(mapped::long)),
    ("file_mappings_may_be_longer_than_files", || at_home(mapped::beyond)),
    ("file_calls_fetch_pages", || at_home(mapped::by_calls)),
    ("file_private_pages_may_be_read_again", || at_home(mapped::given_up)),
    ("file_fifos_are_told_from_files", || at_home(fifos::kinds)),
    ("file_fifos_bring_a_crowd_together", || at_home(fifos::crowd)),
    ("file_fifos_tell_who_does_not_wait", || at_home(fifos::without_waiting)),
    ("file_fifos_open_for_both", || at_home(fifos::both)),
    ("file_fifos_allow_what_their_files_do", || at_home(fifos::allowed)),
    ("file_fifos_let_signals_in", || at_home(fifos::interrupted)),
    ("file_takes_what_was_stored", || at_home(stored)),
    ("file_pages_outlive_the_descriptor", || at_home(outlived)),
    ("file_holes_go_beyond_4_gib", || at_home(sparse)),
    ("file_others_may_what_modes_say", || at_home(others)),
    ("file_many_names_in_a_directory", || at_home(many_names)),
];

/// Where the disk is mounted, and what is there only with a disk.
const HOME: &str = "/home";
const ON_DISK: &str = "/scheme/file/home";

fn at_home(check: fn() -> Checked) -> Checked {
    if !Path::new(ON_DISK).is_dir() {
        return Ok(());
    }
    ram::at(HOME, check)
}

/// `msync` brings what was stored to the file, also for those who read it afterwards.
fn stored() -> Checked {
    let room = room("stored")?;
    let path = room.join("file");
    ok("write", fs::write(&path, vec![b'.'; 10_000]))?;
    let file = ok("open", OpenOptions::new().read(true).write(true).open(&path))?;
    let page = map(&file, libc::MAP_SHARED)?;
    // SAFETY: one page, and only this thread uses it.
    unsafe { page.add(100).write_volatile(b'S') };
    // SAFETY: the page is mapped.
    same("msync", unsafe { libc::msync(page.cast(), 4096, libc::MS_SYNC) }, 0)?;
    same("read", ok("read", fs::read(&path))?[99..102].to_vec(), b".S.".to_vec())?;
    let only_read = ok("open", File::open(&path))?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let (null, fd) = (std::ptr::null_mut(), only_read.as_raw_fd());
    // SAFETY: a new mapping where the kernel likes; it must not come about.
    let refused = unsafe { libc::mmap(null, 4096, protection, libc::MAP_SHARED, fd, 0) };
    same("not writable", refused, libc::MAP_FAILED)?;
    unmap(page)?;
    leave(room)
}

/// A mapping is the file's, also when it is closed, and when it has lost its name.
fn outlived() -> Checked {
    let room = room("outlived")?;
    let path = room.join("file");
    ok("write", fs::write(&path, "written"))?;
    let file = ok("open", OpenOptions::new().read(true).write(true).open(&path))?;
    let page = map(&file, libc::MAP_SHARED)?;
    drop(file);
    // SAFETY: one page, and only this thread uses it.
    unsafe { page.write_volatile(b'W') };
    same("by reading", ok("read", fs::read_to_string(&path))?.as_str(), "Written")?;
    unmap(page)?;
    same("after unmapping", ok("read", fs::read_to_string(&path))?.as_str(), "Written")?;
    let file = ok("open", File::open(&path))?;
    let page = map_to_read(&file)?;
    ok("remove", fs::remove_file(&path))?;
    drop(file);
    // SAFETY: as above.
    same("without a name", unsafe { page.read_volatile() }, b'W')?;
    unmap(page)?;
    leave(room)
}

fn map_to_read(file: &File) -> Result<*mut u8, String> {
    let (null, fd) = (std::ptr::null_mut(), file.as_raw_fd());
    // SAFETY: a new mapping where the kernel likes.
    let page = unsafe { libc::mmap(null, 4096, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
    if page == libc::MAP_FAILED {
        return Err(format!("mmap: {}", std::io::Error::last_os_error()));
    }
    Ok(page.cast())
}

/// A file of 5 GiB with a few bytes in it takes a few blocks.
fn sparse() -> Checked {
    const FAR: u64 = 5 << 30;
    let room = room("sparse")?;
    let path = room.join("file");
    let mut options = OpenOptions::new();
    let file = ok("create", options.read(true).write(true).create_new(true).open(&path))?;
    ok("write", file.write_all_at(b"far", FAR))?;
    ok("sync", file.sync_all())?;
    let stat = ok("stat", file.metadata())?;
    same("length", stat.len(), FAR + 3)?;
    same("few blocks", stat.blocks() < 4096, true)?;
    let mut bytes = [1; 6];
    ok("read", file.read_exact_at(&mut bytes, FAR - 3))?;
    same("bytes", &bytes, b"\0\0\0far")?;
    ok("cut", file.set_len(FAR / 2))?;
    same("cut", ok("stat", file.metadata())?.len(), FAR / 2)?;
    leave(room)
}

/// What another user may is what owner and mode say.
fn others() -> Checked {
    const USER: u32 = 1234;
    let room = room("others")?;
    ok("open room", fs::set_permissions(&room, Permissions::from_mode(0o777)))?;
    let (secret, shown) = (room.join("secret"), room.join("shown"));
    for (path, mode) in [(&secret, 0o600), (&shown, 0o644)] {
        ok("write", fs::write(path, "text"))?;
        ok("mode", fs::set_permissions(path, Permissions::from_mode(mode)))?;
    }
    let own = room.join("own");
    let script = format!(
        "cat {0}/secret && exit 1; cat {0}/shown >/dev/null || exit 2; echo x >> {0}/shown && exit 3
         chmod 666 {0}/shown && exit 4; echo mine > {0}/own || exit 5; chmod 600 {0}/own || exit 6
         rm -f {0}/own.not; mv {0}/shown {0}/moved || exit 7; exit 0",
        room.display()
    );
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(&script).uid(USER).gid(USER).stderr(std::process::Stdio::null());
    same("as another user", ok("shell", shell.status())?.code(), Some(0))?;
    let stat = ok("stat", fs::metadata(&own))?;
    same("owner", (stat.uid(), stat.gid(), stat.mode() & 0o777), (USER, USER, 0o600))?;
    ok("closed room", fs::set_permissions(&room, Permissions::from_mode(0o755)))?;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("rm {} && exit 1; exit 0", own.display()));
    shell.uid(USER).gid(USER).stderr(std::process::Stdio::null());
    same("in a closed room", ok("shell", shell.status())?.code(), Some(0))?;
    ok("give away", chown(&own, Some(0), Some(0)))?;
    fails(
        "mode of nobody's",
        fs::set_permissions(room.join("none"), Permissions::from_mode(0o000)),
        2,
    )?;
    leave(room)
}

/// Two thousand names: each is found, and listed once.
fn many_names() -> Checked {
    const NAMES: u32 = 2000;
    let room = room("many")?;
    let first = room.join("0");
    ok("first", fs::write(&first, "x"))?;
    for number in 1..NAMES {
        ok("link", fs::hard_link(&first, room.join(number.to_string())))?;
    }
    same("links", ok("stat", fs::metadata(&first))?.nlink(), u64::from(NAMES))?;
    let mut listed: Vec<u32> = ok("list", fs::read_dir(&room))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    listed.sort_unstable();
    same("listed", listed == (0..NAMES).collect::<Vec<_>>(), true)?;
    leave(room)
}
