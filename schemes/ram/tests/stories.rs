//! What clients may count on, told one story at a time.

use ramd::tree::{ROOT_HANDLE, SHARED_HANDLE};
use ramd::{Caller, Tree};
use syscall::error::{
    EACCES, EBADF, EEXIST, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, ENXIO,
    EPERM, EXDEV, Result,
};
use syscall::flag::{
    MODE_DIR, MODE_FIFO, MODE_FILE, MODE_SYMLINK, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW,
    O_RDONLY, O_RDWR, O_STAT, O_SYMLINK, O_TRUNC, O_WRONLY,
};
use syscall::{Stat, TimeSpec};

const fn at(seconds: i64) -> TimeSpec {
    TimeSpec { tv_sec: seconds, tv_nsec: 0 }
}

const ROOT: Caller = Caller { uid: 0, gid: 0, now: at(100) };
const ANNA: Caller = Caller { uid: 10, gid: 20, now: at(100) };
const BERT: Caller = Caller { uid: 11, gid: 21, now: at(100) };

fn errno<T>(result: Result<T>) -> i32 {
    result.err().map_or(0, |error| error.errno)
}

struct Ram(Tree);

impl Ram {
    fn new() -> Self {
        Self(Tree::new(1 << 20, at(1)))
    }

    fn open(&mut self, path: &str, flags: usize, caller: &Caller) -> Result<usize> {
        self.0.open(ROOT_HANDLE, path, flags, caller)
    }

    /// Opens and closes: whether that works.
    fn try_open(&mut self, path: &str, flags: usize, caller: &Caller) -> i32 {
        let opened = self.open(path, flags, caller);
        if let Ok(handle) = opened {
            self.0.close(handle);
        }
        errno(opened)
    }

    fn put(&mut self, path: &str, text: &str, mode: usize, caller: &Caller) {
        let handle = self.open(path, O_WRONLY | O_CREAT | O_TRUNC | mode, caller).expect(path);
        assert_eq!(self.0.write(handle, 0, false, text.as_bytes(), caller), Ok(text.len()));
        self.0.close(handle);
    }

    fn get(&mut self, path: &str) -> Result<String> {
        let handle = self.open(path, O_RDONLY, &ROOT)?;
        let mut bytes = [0; 4096];
        let read = self.0.read(handle, 0, &mut bytes);
        self.0.close(handle);
        Ok(String::from_utf8_lossy(&bytes[..read?]).into_owned())
    }

    fn directory(&mut self, path: &str, mode: usize, caller: &Caller) -> i32 {
        self.try_open(path, O_RDONLY | O_CREAT | O_EXCL | O_DIRECTORY | mode, caller)
    }

    fn symlink(&mut self, path: &str, target: &str) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_SYMLINK;
        let handle = self.open(path, flags, &ANNA).expect(path);
        self.0.write(handle, 0, false, target.as_bytes(), &ANNA).expect(target);
        self.0.close(handle);
    }

    fn stat(&mut self, path: &str) -> Stat {
        let handle = self.open(path, O_STAT | O_SYMLINK, &ROOT).expect(path);
        let stat = self.0.stat(handle).expect(path);
        self.0.close(handle);
        stat
    }

    fn rename(&mut self, from: &str, to: &str, caller: &Caller) -> i32 {
        let handle = self.open(from, O_STAT | O_SYMLINK, caller).expect(from);
        let renamed = self.0.rename(handle, to, caller);
        self.0.close(handle);
        errno(renamed)
    }

    fn unlink(&mut self, path: &str, caller: &Caller) -> i32 {
        errno(self.0.unlink(ROOT_HANDLE, path, false, caller))
    }
}

#[test]
fn an_unlinked_file_lives_while_it_is_open() {
    let mut ram = Ram::new();
    let handle = ram.open("x", O_RDWR | O_CREAT | 0o600, &ANNA).expect("created");
    ram.0.write(handle, 0, false, b"still here", &ANNA).expect("written");
    assert_eq!(ram.unlink("x", &ANNA), 0);
    assert_eq!(ram.try_open("x", O_RDONLY, &ANNA), ENOENT);
    assert_eq!(ram.0.stat(handle).map(|stat| stat.st_nlink), Ok(0));
    let mut bytes = [0; 10];
    assert_eq!(ram.0.read(handle, 0, &mut bytes), Ok(10));
    assert_eq!(&bytes, b"still here");
    assert_eq!(errno(ram.0.path(handle)), ENOENT);
    assert!(ram.0.space().used() > 0);
    ram.0.close(handle);
    assert_eq!(ram.0.space().used(), 0);
    assert_eq!(errno(ram.0.read(handle, 0, &mut bytes)), EBADF);
}

#[test]
fn a_fifo_is_opened_elsewhere() {
    let mut ram = Ram::new();
    let make = O_CREAT | O_EXCL | O_STAT | usize::from(MODE_FIFO) | 0o622;
    assert_eq!(ram.try_open("fifo", make & !O_EXCL, &ANNA), EINVAL);
    assert_eq!(ram.try_open("fifo", make, &ANNA), 0);
    assert_eq!(ram.try_open("fifo", make, &ANNA), EEXIST);
    assert_eq!((ram.stat("fifo").st_mode, ram.stat("fifo").st_size), (MODE_FIFO | 0o622, 0));
    for (flags, caller, told) in [
        (O_RDONLY, &ANNA, ENXIO),
        (O_WRONLY | O_TRUNC | O_CREAT, &BERT, ENXIO),
        (O_RDONLY, &BERT, EACCES),
        (O_RDWR, &BERT, EACCES),
        (O_RDONLY | O_DIRECTORY, &ANNA, ENOTDIR),
        (O_STAT, &BERT, 0),
    ] {
        assert_eq!(ram.try_open("fifo", flags, caller), told, "{flags:x}");
    }
    ram.symlink("link", "fifo");
    let found = |ram: &Ram, path| ram.0.fifo(ROOT_HANDLE, path, &ANNA);
    assert_eq!(found(&ram, "link"), found(&ram, "fifo"));
    // The handle that makes it is for nothing but looking, whatever it asks for.
    let handle = ram.open("other", (make & !O_STAT) | O_RDWR, &ANNA).expect("a FIFO");
    assert_eq!(errno(ram.0.read(handle, 0, &mut [0; 4])), EBADF);
    assert_eq!(errno(ram.0.write(handle, 0, false, b"text", &ANNA)), EBADF);
    assert_eq!(errno(ram.0.truncate(handle, 5, &ANNA)), EBADF);
    ram.0.close(handle);
    assert_eq!(ram.unlink("other", &ANNA), 0);
}

#[test]
fn a_removed_directory_is_a_dead_end() {
    let mut ram = Ram::new();
    assert_eq!(ram.directory("a", 0o755, &ANNA), 0);
    assert_eq!(ram.directory("a/b", 0o755, &ANNA), 0);
    let inner = ram.open("a/b", O_RDONLY | O_DIRECTORY, &ANNA).expect("opened");
    for path in ["a/b", "a"] {
        assert_eq!(ram.0.unlink(ROOT_HANDLE, path, true, &ANNA), Ok(()));
    }
    assert_eq!(errno(ram.0.open(inner, "new", O_WRONLY | O_CREAT | 0o600, &ANNA)), ENOENT);
    assert_eq!(errno(ram.0.open(inner, "..", O_RDONLY, &ANNA)), ENOENT);
    assert_eq!(ram.0.list(inner, 0).map(Iterator::count), Ok(0));
    ram.0.close(inner);
    assert_eq!(ram.0.space().used(), 0);
}

#[test]
fn links_are_followed_inside_and_handed_back_outside() {
    let mut ram = Ram::new();
    assert_eq!(ram.directory("d", 0o755, &ANNA), 0);
    ram.put("d/file", "text", 0o644, &ANNA);
    for (name, target) in [
        ("relative", "d/file"),
        ("absolute", "/scheme/ram/d/file"),
        ("scheme", "ram:/d/file"),
        ("d/up", "../d/./file"),
        ("chain", "relative"),
        ("directory", "d/"),
    ] {
        ram.symlink(name, target);
    }
    for path in ["relative", "absolute", "scheme", "d/up", "chain", "directory/file"] {
        assert_eq!(ram.get(path).as_deref(), Ok("text"), "{path}");
    }
    for (name, target) in [
        ("etc", "/etc/motd"),
        ("sys", "sys:uname"),
        ("over", "../../x"),
        ("ramp", "/scheme/rampart/x"),
    ] {
        ram.symlink(name, target);
        assert_eq!(ram.try_open(name, O_RDONLY, &ANNA), EXDEV, "{name}");
    }
    assert_eq!(ram.stat("relative").st_mode & 0xF000, MODE_SYMLINK);
    let handle = ram.open("etc", O_RDONLY | O_SYMLINK, &BERT).expect("the link itself");
    let mut target = [0; 64];
    assert_eq!(ram.0.read(handle, 5, &mut target), Ok(4));
    assert_eq!(&target[..4], b"motd");
}

#[test]
fn links_that_lead_nowhere_end() {
    let mut ram = Ram::new();
    ram.symlink("a", "b");
    ram.symlink("b", "a");
    ram.symlink("dangling", "new");
    assert_eq!(ram.try_open("a", O_RDONLY, &ANNA), ELOOP);
    assert_eq!(ram.try_open("a", O_RDONLY | O_NOFOLLOW, &ANNA), ELOOP);
    assert_eq!(ram.try_open("dangling", O_RDONLY, &ANNA), ENOENT);
    assert_eq!(ram.try_open("dangling", O_WRONLY | O_CREAT | O_EXCL | 0o600, &ANNA), EEXIST);
    ram.put("dangling", "through", 0o600, &ANNA);
    assert_eq!(ram.get("new").as_deref(), Ok("through"));
    assert_eq!(ram.unlink("dangling", &ANNA), 0);
    assert_eq!(ram.get("new").as_deref(), Ok("through"), "the link went, not the file");
}

#[test]
fn a_trailing_slash_means_a_directory() {
    let mut ram = Ram::new();
    ram.put("f", "", 0o600, &ANNA);
    assert_eq!(ram.try_open("f/", O_RDONLY, &ANNA), ENOTDIR);
    assert_eq!(ram.try_open("f/.", O_RDONLY, &ANNA), ENOTDIR);
    assert_eq!(ram.try_open("new/", O_WRONLY | O_CREAT | 0o600, &ANNA), EISDIR);
    assert_eq!(ram.directory("d/", 0o755, &ANNA), 0);
    assert_eq!(ram.try_open("/d/", O_RDONLY, &ANNA), 0);
    assert_eq!(ram.try_open("d", O_WRONLY, &ANNA), EISDIR);
    assert_eq!(ram.try_open("d", O_RDONLY | O_CREAT | 0o600, &ANNA), EISDIR);
    assert_eq!(ram.try_open("", O_RDONLY, &ANNA), 0);
    assert_eq!(ram.try_open("..", O_RDONLY, &ANNA), 0);
}

#[test]
fn permissions_are_checked_against_the_caller() {
    let mut ram = Ram::new();
    ram.put("secret", "s", 0o600, &ANNA);
    ram.put("open", "o", 0o644, &ANNA);
    assert_eq!(ram.try_open("secret", O_RDONLY, &BERT), EACCES);
    assert_eq!(ram.try_open("secret", O_STAT, &BERT), 0);
    assert_eq!(ram.try_open("open", O_RDONLY, &BERT), 0);
    assert_eq!(ram.try_open("open", O_RDWR, &BERT), EACCES);
    assert_eq!(ram.try_open("open", O_WRONLY | O_TRUNC, &BERT), EACCES);
    assert_eq!(ram.get("open").as_deref(), Ok("o"), "a refused open cuts nothing");
    assert_eq!(ram.directory("private", 0o700, &ANNA), 0);
    assert_eq!(ram.try_open("private/x", O_WRONLY | O_CREAT | 0o600, &BERT), EACCES);
    assert_eq!(ram.try_open("private/x", O_WRONLY | O_CREAT, &ANNA), 0);
    assert_eq!(ram.try_open("private/x", O_RDONLY, &ANNA), EACCES);
    assert_eq!(ram.try_open("private/x", O_RDWR, &ROOT), 0);
    assert_eq!(ram.unlink("open", &BERT), EPERM, "the root directory is sticky");
    assert_eq!(ram.rename("open", "mine", &BERT), EPERM);
    assert_eq!(ram.unlink("private/x", &BERT), EACCES);
}

#[test]
fn a_handle_can_do_what_it_was_opened_for() {
    let mut ram = Ram::new();
    ram.put("f", "abc", 0o666, &ANNA);
    let read = ram.open("f", O_RDONLY, &ANNA).expect("to read");
    let write = ram.open("f", O_WRONLY, &ANNA).expect("to write");
    let stat = ram.open("f", O_STAT | O_RDWR, &ANNA).expect("to look at");
    assert_eq!(errno(ram.0.write(read, 0, false, b"x", &ANNA)), EBADF);
    assert_eq!(errno(ram.0.truncate(read, 0, &ANNA)), EBADF);
    assert_eq!(errno(ram.0.read(write, 0, &mut [0])), EBADF);
    assert_eq!(errno(ram.0.read(stat, 0, &mut [0])), EBADF);
    assert_eq!(errno(ram.0.map(read, 0, 4096, true)), EACCES);
    assert!(ram.0.map(read, 0, 4096, false).is_ok());
    assert_eq!(errno(ram.0.map(write, 0, 4096, false)), EACCES);
    let twin = ram.0.dup(read).expect("a twin");
    ram.0.close(read);
    assert_eq!(ram.0.read(twin, 0, &mut [0; 3]), Ok(3));
    assert_eq!(errno(ram.0.list(twin, 0).map(|_| ())), ENOTDIR);
}

#[test]
fn rename_replaces_all_at_once() {
    let mut ram = Ram::new();
    ram.put("old", "old", 0o644, &ANNA);
    ram.put("new", "new", 0o644, &ANNA);
    let reader = ram.open("new", O_RDONLY, &ANNA).expect("opened before");
    assert_eq!(ram.rename("old", "new", &ANNA), 0);
    assert_eq!(ram.get("new").as_deref(), Ok("old"));
    assert_eq!(errno(ram.get("old")), ENOENT);
    let mut bytes = [0; 3];
    assert_eq!(ram.0.read(reader, 0, &mut bytes), Ok(3));
    assert_eq!(&bytes, b"new", "who had it open keeps it");
    assert_eq!(ram.directory("d", 0o755, &ANNA), 0);
    assert_eq!(ram.directory("d/e", 0o755, &ANNA), 0);
    assert_eq!(ram.rename("d", "d/e/f", &ANNA), EINVAL);
    assert_eq!(ram.rename("d/e", "moved", &ANNA), 0);
    assert_eq!((ram.stat("").st_nlink, ram.stat("d").st_nlink), (4, 2));
    ram.put("someone", "", 0o666, &BERT);
    assert_eq!(ram.rename("new", "someone", &ANNA), EPERM, "sticky protects the replaced one too");
}

#[test]
fn a_path_follows_its_file() {
    let mut ram = Ram::new();
    assert_eq!(ram.directory("d", 0o755, &ANNA), 0);
    ram.put("d/f", "", 0o644, &ANNA);
    let handle = ram.open("d/f", O_RDONLY, &ANNA).expect("opened");
    let root = ram.open("", O_RDONLY, &ANNA).expect("the root");
    assert_eq!(ram.0.path(handle).as_deref(), Ok("d/f"));
    assert_eq!(ram.rename("d", "e", &ANNA), 0);
    assert_eq!(ram.0.path(handle).as_deref(), Ok("e/f"));
    assert_eq!(ram.rename("e/f", "g", &ANNA), 0);
    assert_eq!(ram.0.path(handle).as_deref(), Ok("g"));
    assert_eq!(ram.0.path(root).as_deref(), Ok(""));
}

#[test]
fn a_hard_link_is_the_same_file() {
    let mut ram = Ram::new();
    ram.put("a", "one", 0o644, &ANNA);
    let handle = ram.open("a", O_RDWR, &ANNA).expect("opened");
    assert_eq!(ram.0.link(handle, "b", &ANNA), Ok(()));
    assert_eq!(errno(ram.0.link(handle, "b", &ANNA)), EEXIST);
    ram.0.write(handle, 0, true, b" two", &ANNA).expect("appended");
    assert_eq!(ram.get("b").as_deref(), Ok("one two"));
    assert_eq!(ram.stat("b").st_nlink, 2);
    assert_eq!(ram.stat("a").st_ino, ram.stat("b").st_ino);
    assert_eq!(ram.unlink("a", &ANNA), 0);
    assert_eq!(ram.0.path(handle).as_deref(), Ok("b"));
    let directory = ram.open("", O_RDONLY, &ANNA).expect("a directory");
    assert_eq!(errno(ram.0.link(directory, "c", &ANNA)), EPERM);
}

#[test]
fn no_space_is_said_and_nothing_is_lost() {
    let mut ram = Ram(Tree::new(3 * 4096, at(1)));
    let handle = ram.open("f", O_RDWR | O_CREAT | 0o600, &ANNA).expect("created");
    assert_eq!(ram.0.write(handle, 0, false, &[1; 20_000], &ANNA), Ok(8192));
    assert_eq!(errno(ram.0.write(handle, 8192, false, &[1], &ANNA)), ENOSPC);
    let used = ram.0.space().used();
    let long = "n".repeat(255);
    let mut made = 0;
    while ram.try_open(&format!("{made}"), O_WRONLY | O_CREAT | 0o600, &ANNA) == 0 {
        made += 1;
    }
    assert!((1..20).contains(&made));
    assert_eq!(ram.try_open("one-more", O_WRONLY | O_CREAT | 0o600, &ANNA), ENOSPC);
    assert_eq!(ram.rename("0", &long, &ANNA), ENOSPC, "a longer name costs more");
    assert_eq!(ram.try_open("0", O_RDONLY, &ANNA), 0, "and a refused rename moves nothing");
    for index in 0..made {
        assert_eq!(ram.unlink(&format!("{index}"), &ANNA), 0);
    }
    assert_eq!(ram.0.space().used(), used);
    assert_eq!(ram.0.truncate(handle, 4096, &ANNA), Ok(()));
    assert_eq!(ram.0.stat_space().f_bfree, 1);
}

#[test]
fn bad_names_are_refused() {
    let mut ram = Ram::new();
    let create = O_WRONLY | O_CREAT | 0o600;
    assert_eq!(ram.try_open(&"n".repeat(256), create, &ANNA), ENAMETOOLONG);
    assert_eq!(ram.try_open(&"n".repeat(255), create, &ANNA), 0);
    assert_eq!(ram.try_open("a\0b", create, &ANNA), EINVAL);
    assert_eq!(errno(ram.0.open(99, "a", O_RDONLY, &ANNA)), EBADF);
    assert_eq!(ram.try_open("no/such", create, &ANNA), ENOENT);
    let handle = ram.open("link", create | O_EXCL | O_SYMLINK, &ANNA).expect("a link");
    for target in [&b""[..], b"a\0b", b"\xff"] {
        assert_eq!(errno(ram.0.write(handle, 0, false, target, &ANNA)), EINVAL, "{target:?}");
    }
    let long = [b'x'; 5000];
    assert_eq!(errno(ram.0.write(handle, 0, false, &long, &ANNA)), ENAMETOOLONG);
}

#[test]
fn times_tell_what_happened() {
    let mut ram = Ram::new();
    ram.put("f", "x", 0o644, &ANNA);
    let later = Caller { now: at(200), ..ANNA };
    let handle = ram.open("f", O_RDWR, &later).expect("opened");
    ram.0.write(handle, 0, false, b"y", &later).expect("written");
    assert_eq!((ram.stat("f").st_mtime, ram.stat("f").st_atime), (200, 100));
    ram.0.set_mode(handle, 0o600, &Caller { now: at(300), ..ANNA }).expect("its own file");
    assert_eq!((ram.stat("f").st_mtime, ram.stat("f").st_ctime), (200, 300));
    let (now, keep) = (TimeSpec { tv_sec: 0, tv_nsec: -1 }, TimeSpec { tv_sec: 0, tv_nsec: -2 });
    assert_eq!(ram.0.set_times(handle, at(7), keep, &later), Ok(()));
    assert_eq!((ram.stat("f").st_atime, ram.stat("f").st_mtime), (7, 200));
    assert_eq!(ram.0.set_times(handle, now, now, &BERT), Ok(()), "the handle may write");
    assert_eq!(errno(ram.0.set_times(handle, at(1), at(1), &BERT)), EPERM);
    let bad = TimeSpec { tv_sec: 0, tv_nsec: 1_000_000_000 };
    assert_eq!(errno(ram.0.set_times(handle, bad, keep, &ANNA)), EINVAL);
}

#[test]
fn types_and_group_are_told() {
    let mut ram = Ram::new();
    assert_eq!(ram.directory("d", 0o2775, &ANNA), 0);
    assert_eq!(ram.directory("d/sub", 0o755, &BERT), EACCES);
    assert_eq!(ram.directory("d/sub", 0o755, &ROOT), 0);
    let sub = ram.stat("d/sub");
    assert_eq!((sub.st_mode, sub.st_gid, sub.st_uid), (MODE_DIR | 0o2755, 20, 0));
    ram.put("f", "12345", 0o640, &ANNA);
    let file = ram.stat("f");
    assert_eq!((file.st_mode, file.st_size, file.st_blocks), (MODE_FILE | 0o640, 5, 8));
}

#[test]
fn shared_memory_has_names_of_its_own() {
    let mut ram = Ram::new();
    ram.put("both", "ram", 0o644, &ANNA);
    let flags = O_RDWR | O_CREAT | O_EXCL | 0o600;
    let handle = ram.0.open(SHARED_HANDLE, "both", flags, &ANNA).expect("another name");
    assert_eq!(ram.0.write(handle, 0, false, b"shared", &ANNA), Ok(6));
    assert_eq!(ram.get("both").as_deref(), Ok("ram"));
    assert_eq!(errno(ram.0.open(SHARED_HANDLE, "both", O_RDWR, &BERT)), EACCES);
    assert_eq!((ram.0.path(handle).as_deref(), ram.0.is_shared(handle)), (Ok("both"), Ok(true)));
    // Paths never lead from one into the other.
    for path in ["../both", "/both", "./../../both"] {
        let same = ram.0.open(SHARED_HANDLE, path, O_RDONLY, &ROOT).expect(path);
        assert_eq!(ram.0.size(same), Ok(6), "{path}");
        ram.0.close(same);
    }
    assert_eq!(ram.0.link(handle, "second", &ANNA), Ok(()));
    assert_eq!(ram.0.rename(handle, "third", &ANNA), Ok(()));
    assert_eq!(ram.try_open("second", O_RDONLY, &ROOT), ENOENT);
    assert_eq!(ram.try_open("third", O_RDONLY, &ROOT), ENOENT);
    let folder = O_CREAT | O_DIRECTORY | 0o755;
    let folder = ram.0.open(SHARED_HANDLE, "folder", folder, &ANNA).expect("a new name");
    assert_eq!(errno(ram.0.rename(folder, "folder/inside", &ANNA)), EINVAL);
    assert_eq!(ram.0.path(SHARED_HANDLE).as_deref(), Ok(""));
    assert_eq!(ram.0.unlink(SHARED_HANDLE, "second", false, &ANNA), Ok(()));
    assert_eq!(ram.0.unlink(SHARED_HANDLE, "third", false, &ANNA), Ok(()));
    // Neither root can be closed.
    ram.0.close(SHARED_HANDLE);
    assert_eq!(ram.0.write(handle, 0, false, b"lives on", &ANNA), Ok(8));
    assert!(ram.0.open(SHARED_HANDLE, "folder", O_RDONLY, &ANNA).is_ok());
    assert_eq!(ram.get("both").as_deref(), Ok("ram"));
}
