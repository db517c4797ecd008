//! The disk image, by the `image` program's command line.

use redoxfs::{DiskFile, FileSystem, TreePtr};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const MANIFEST: &str = r#"
[[user]]
name = "root"
id = 0
home = "/tmp"

[[user]]
name = "ann"
id = 1000
group = 100
full_name = "Ann Example"
home = "/home/ann"

[disk]
efi = "40M"
root = "8M"
store = "1M"

[[disk.directory]]
path = "/srv/data"
mode = 0o750
owner = [7, 8]

[[disk.file]]
path = "/etc/motd"
data = "hello\n"
mode = 0o600
owner = [7, 8]

[[disk.link]]
path = "/etc/welcome"
target = "motd"

[[disk.link]]
path = "/etc"
names = ["hello", "hi"]
target = "motd"

[[disk.package]]
name = "tools"
into = "/bin"
programs = ["box"]
names = ["ls", "cat"]

[[disk.package]]
name = "more"
into = "/opt"
sources = ["page"]
needs = ["tools"]
"#;

struct Host {
    folder: TempDir,
}

impl Host {
    fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("filesystem.toml", manifest);
        fs::create_dir(folder.path().join("programs")).unwrap();
        write("programs/box", "a program");
        write("page", "a page");
        write("loader", "a loader");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn image(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_image"));
        command.args(arguments).current_dir(self.path()).output().unwrap()
    }

    /// Builds the disk with these words more.
    fn disk(&self, more: &[&str]) -> Output {
        let words = ["disk", "--manifest", "filesystem.toml", "--programs", "programs"];
        self.image(&[&words[..], &["--output", "a.img"], more].concat())
    }

    /// The file system on the disk.
    fn root(&self) -> FileSystem<DiskFile> {
        let start = 1 << 20;
        let mut disk = fs::File::open(self.path().join("a.img")).unwrap();
        disk.seek(SeekFrom::Start(start)).unwrap();
        let mut part = Vec::new();
        disk.take(8 << 20).read_to_end(&mut part).unwrap();
        fs::write(self.path().join("part"), part).unwrap();
        let file = DiskFile::open(self.path().join("part")).unwrap();
        FileSystem::open(file, None, None, false).unwrap()
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn built(manifest: &str) -> Host {
    let host = Host::new(manifest);
    let output = host.disk(&["--boot", "loader=EFI/BOOT/BOOTX64.EFI"]);
    assert!(output.status.success(), "{}", errors(&output));
    host
}

/// What is at a path: mode, owner, group and bytes.
fn look(system: &mut FileSystem<DiskFile>, path: &str) -> (u16, u32, u32, String) {
    let found = system.tx(|tx| {
        let mut node = tx.read_tree(TreePtr::root())?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            node = tx.find_node(node.ptr(), name)?;
        }
        let data = node.data();
        let mut bytes = vec![0; if data.is_dir() { 0 } else { data.size() as usize }];
        let (mode, owner, group) = (data.mode() & 0o7777, data.uid(), data.gid());
        tx.read_node(node.ptr(), 0, &mut bytes, 0, 0)?;
        Ok((mode, owner, group, String::from_utf8(bytes).unwrap()))
    });
    found.unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn everything_named_is_on_the_disk() {
    let host = built(MANIFEST);
    let mut root = host.root();
    let mut is = |path: &str, mode, owner, group, text: &str| {
        assert_eq!(look(&mut root, path), (mode, owner, group, text.to_owned()), "{path}");
    };
    is("/srv", 0o755, 0, 0, "");
    is("/srv/data", 0o750, 7, 8, "");
    is("/etc/motd", 0o600, 7, 8, "hello\n");
    is("/etc/welcome", 0o777, 0, 0, "motd");
    is("/etc/hello", 0o777, 0, 0, "motd");
    is("/etc/hi", 0o777, 0, 0, "motd");
    is("/bin/box", 0o755, 0, 0, "a program");
    is("/bin/ls", 0o777, 0, 0, "box");
    is("/opt/page", 0o755, 0, 0, "a page");
    is("/home/ann", 0o700, 1000, 100, "");
    is(
        "/etc/passwd",
        0o644,
        0,
        0,
        "root;0;0;root;/tmp;/bin/sh\nann;1000;100;Ann Example;/home/ann;/bin/sh\n",
    );
    is("/etc/group", 0o644, 0, 0, "root;0;root\nann;100;ann\n");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, other) = (built(MANIFEST), built(MANIFEST));
    let bytes = |host: &Host| fs::read(host.path().join("a.img")).unwrap();
    assert!(bytes(&one) == bytes(&other));
    let changed = built(&MANIFEST.replace("hello", "hallo"));
    assert!(bytes(&one) != bytes(&changed));
}

/// What the file on the EFI partition holds.
fn loader(host: &Host) -> String {
    let mut disk = fs::File::open(host.path().join("a.img")).unwrap();
    disk.seek(SeekFrom::Start(10 << 20)).unwrap();
    let mut part = vec![0; 40 << 20];
    disk.read_exact(&mut part).unwrap();
    let cursor = std::io::Cursor::new(part);
    let volume = fatfs::FileSystem::new(cursor, fatfs::FsOptions::new()).unwrap();
    let mut text = String::new();
    let mut file = volume.root_dir().open_file("EFI/BOOT/BOOTX64.EFI").unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn boot_files_can_be_renewed_and_nothing_else_changes() {
    let host = built(MANIFEST);
    assert_eq!(loader(&host), "a loader");
    let before = fs::read(host.path().join("a.img")).unwrap();
    fs::write(host.path().join("loader"), "a new loader").unwrap();
    let boot = "loader=EFI/BOOT/BOOTX64.EFI";
    let output = host.image(&["boot", "--boot", boot, "a.img"]);
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(loader(&host), "a new loader");
    let after = fs::read(host.path().join("a.img")).unwrap();
    assert!(before[..10 << 20] == after[..10 << 20], "root and store are as they were");
    fs::write(host.path().join("loader"), "a loader").unwrap();
    assert!(host.image(&["boot", "--boot", boot, "a.img"]).status.success());
    assert!(fs::read(host.path().join("a.img")).unwrap() == before, "and back");

    fs::write(host.path().join("no.img"), vec![0; 1 << 20]).unwrap();
    let output = host.image(&["boot", "--boot", boot, "no.img"]);
    assert!(errors(&output).starts_with("image: cannot update no.img: "), "{}", errors(&output));
}

#[test]
fn every_mistake_has_its_file_and_line() {
    let disk = "[disk]\nroot = '8M'\n";
    let user = |more: &str| format!("[[user]]\nname = 'a'\nid = 1\nhome = '/a'\n{more}\n{disk}");
    let on_disk = |more: &str| format!("{disk}\n{more}\n");
    let package = "[[disk.package]]\nname = 'p'\ninto = '/bin'\n";
    let cases = [
        (String::new(), "no manifest has a [disk] section with sizes"),
        ("[disk]\nroot = 8\n".into(), "filesystem.toml:2: invalid type: integer"),
        ("[disk]\nroot = '8X'\n".into(), "filesystem.toml:1: expected a size like \"64M\""),
        ("[disk]\nefi = '8M'\n".into(), "filesystem.toml:1: `root` needs a size"),
        (on_disk("[[disk.file]]\npath = '/x'"), ":4: expected either `data` or `source`"),
        (on_disk("[[disk.file]]\npath = '/x'\nsource = 'no'"), ":4: cannot read no"),
        (
            on_disk("[[disk.file]]\npath = 'x'\ndata = ''"),
            ":4: expected an absolute path in `path`",
        ),
        (on_disk("[[disk.file]]\npath = '/x'\nowner = 1"), ":6: invalid type: integer"),
        (on_disk("[[disk.link]]\npath = '/x'"), ":4: missing field `target`"),
        (on_disk(&format!("{package}programs = ['box', 'no']")), ":4: not built in programs: no"),
        (on_disk(&format!("{package}names = ['ls']")), ":4: `names` needs a program"),
        (on_disk(&format!("{package}needs = ['q']")), ":4: package \"p\" needs \"q\""),
        (on_disk(&format!("{package}{package}")), ":7: a second package is called \"p\""),
        (user("name2 = 'b'"), ":5: unknown field `name2`"),
        (user("full_name = 'A;B'"), ":1: expected one line without `;` in `full_name`"),
        (user("shell = 'sh'"), ":1: expected an absolute path in `shell`, found \"sh\""),
        (user("[[user]]\nname = 'a'\nid = 2\nhome = '/a'"), ":5: a second user is called \"a\""),
        (user("[[user]]\nname = 'b'\nid = 1\nhome = '/a'"), ":5: a second user has the id 1"),
        (user("[[user]]\nname = 'B'\nid = 2\nhome = '/a'"), ":5: expected a name of small letters"),
        (user("[[user]]\nname = 'b'\nid = -2\nhome = '/a'"), ":7: invalid value: integer"),
        (
            user("[[user]]\nname = 'b'\nid = 2\nhome = 'a'"),
            ":5: expected an absolute path in `home`",
        ),
    ];
    for (manifest, expected) in cases {
        let host = Host::new(&manifest);
        let output = host.disk(&[]);
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{manifest}\n{errors}");
        assert!(errors.contains(expected), "wanted {expected:?}, got {errors:?}");
        assert!(!host.path().join("a.img").exists(), "nothing is left for {expected:?}");
    }
    let host = Host::new(disk);
    let output = host.disk(&["--boot", "loader=EFI/BOOT/BOOTX64.EFI"]);
    assert!(errors(&output).contains("boot files need `efi` in [disk]"), "{}", errors(&output));
}
