//! The `image` program through its command line.

use initfs_format::{Archive, Kind};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with a manifest and built programs.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new(manifest: &str, programs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("filesystem.toml"), manifest).unwrap();
        fs::create_dir(folder.path().join("programs")).unwrap();
        for name in programs {
            fs::write(folder.path().join("programs").join(name), name).unwrap();
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn image(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_image"));
        command.args(arguments).current_dir(self.path()).output().unwrap()
    }

    fn build(&self, output: &str, more: &[&str]) -> Output {
        let plain = [
            "build",
            "--manifest",
            "filesystem.toml",
            "--programs",
            "programs",
            "--output",
            output,
        ];
        self.image(&[&plain, more].concat())
    }

    /// The archive's bytes.
    fn built(&self) -> Vec<u8> {
        let output = self.build("initfs.img", &[]);
        assert!(output.status.success(), "{}", errors(&output));
        fs::read(self.path().join("initfs.img")).unwrap()
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn text(archive: &[u8], path: &str) -> String {
    let archive = Archive::parse(archive).unwrap();
    String::from_utf8(archive.lookup(path, true).unwrap().data().to_vec()).unwrap()
}

const MANIFEST: &str = r#"
[environment]
PATH = "/bin"

[[program]]
into = "/bin"
names = ["init", "ramd", "coreutils"]

[[file]]
path = "/etc/motd"
data = "hello\n"

[[file]]
path = "/share"
source = "pages"
mode = 0o444

[[link]]
path = "/bin"
names = ["ls", "cat"]
target = "coreutils"

[[service]]
name = "ram"
command = "/bin/ramd"
args = ["--limit", "64M"]
scheme = "ram"

[[mount]]
at = "/tmp"
target = "ram:/"
"#;

fn host() -> Host {
    let host = Host::new(MANIFEST, &["init", "ramd", "coreutils"]);
    fs::create_dir_all(host.path().join("pages/deep")).unwrap();
    fs::write(host.path().join("pages/a.md"), "page a").unwrap();
    fs::write(host.path().join("pages/deep/b.md"), "page b").unwrap();
    host
}

#[test]
fn everything_named_is_packed() {
    let archive = host().built();
    assert_eq!(text(&archive, "/bin/ls"), "coreutils");
    assert_eq!(text(&archive, "/etc/motd"), "hello\n");
    assert_eq!(text(&archive, "/share/deep/b.md"), "page b");
    let archive = Archive::parse(&archive).unwrap();
    assert_eq!(archive.lookup("/bin/init", true).unwrap().mode(), 0o755);
    assert_eq!(archive.lookup("/share/a.md", true).unwrap().mode(), 0o444);
}

#[test]
fn init_gets_its_services_and_mounts() {
    let expected = r#"[environment]
PATH = "/bin"

[[service]]
name = "ram"
command = "/bin/ramd"
args = ["--limit", "64M"]
needs = []
schemes = ["ram"]
restart = "on-failure"

[[mount]]
at = "/tmp"
target = "ram:/"
"#;
    assert_eq!(text(&host().built(), "/etc/init.toml"), expected);
}

#[test]
fn what_is_mounted_is_seen_in_its_directory() {
    let archive = host().built();
    let archive = Archive::parse(&archive).unwrap();
    assert_eq!(archive.lookup("/tmp", true).unwrap().kind(), Kind::Directory);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(host().built(), host().built());
}

#[test]
fn an_extra_manifest_adds_to_the_first() {
    let host = host();
    fs::create_dir(host.path().join("guest")).unwrap();
    fs::write(host.path().join("guest/page"), "beside the extra manifest").unwrap();
    let extra = "[[program]]\ninto = '/bin/tests'\nnames = ['init']\n\
                 [[file]]\npath = '/etc/page'\nsource = 'page'\n";
    fs::write(host.path().join("guest/guest.toml"), extra).unwrap();
    assert!(host.build("a.img", &["--extra", "guest/guest.toml"]).status.success());
    let archive = fs::read(host.path().join("a.img")).unwrap();
    assert_eq!(text(&archive, "/bin/tests/init"), "init");
    assert_eq!(text(&archive, "/etc/page"), "beside the extra manifest");
}

#[test]
fn mistakes_are_reported_by_file_and_line() {
    let service = "[[service]]\nname = 'a'\ncommand = '/bin/init'\n";
    let cases = [
        ("\n[[file]]\npth = '/x'\n", ":3: unknown field `pth`, expected one of `path`"),
        ("\n[[file]]\npath = '/x'\nmode = '644'\n", ":4: invalid type: string"),
        ("\n\n[[link]]\npath = '/x'\n", ":3: missing field `target`"),
        ("[[file]]\npath = '/x'\n", ":1: expected either `data` or `source`"),
        ("[[file]]\npath = '/x'\nsource = 'no'\n", ":1: cannot read no"),
        ("[[file]]\npath = 'x'\ndata = ''\n", ":1: \"x\" is not an absolute path"),
        ("[[program]]\ninto = '/bin'\nnames = ['a', 'b']\n", ":1: not built in programs: a, b"),
        ("[[mount]]\nat = '/'\ntarget = 'ram:'\n", ":1: expected an absolute path other"),
        ("[[mount]]\nat = '/a'\ntarget = '/b'\n", ":1: expected `SCHEME:path`"),
        ("[[mount]]\nat = '/a'\ntarget = 'b:/'\n", ":1: no service gives the scheme \"b\""),
        (service, ":1: command \"/bin/init\": no such file or directory"),
        ("x =", ":1: "),
    ];
    for (manifest, expected) in cases {
        let output = Host::new(manifest, &[]).build("a.img", &[]);
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        let expected = format!("image: filesystem.toml{expected}");
        assert!(errors.starts_with(&expected), "wanted {expected:?}, got {errors:?}");
    }
}

#[test]
fn services_that_cannot_start_are_refused() {
    let program = "[[program]]\ninto = '/bin'\nnames = ['d']\n";
    let service = |name: &str, more: &str| {
        format!("[[service]]\nname = '{name}'\ncommand = '/bin/d'\n{more}\n")
    };
    let cases = [
        (service("a", "needs = ['x']"), "service \"a\" needs \"x\", which is no service"),
        (
            service("a", "needs = ['b']") + &service("b", "needs = ['a']") + &service("c", ""),
            "services wait for each other: a, b",
        ),
        (service("a", "needs = ['a']"), "services wait for each other: a"),
        (service("a", "") + &service("a", ""), "a second service is called \"a\""),
        (
            service("a", "scheme = 's'") + &service("b", "scheme = 's'"),
            "scheme \"s\" is given twice",
        ),
        (service("a", "scheme = ['s', 't', 's']"), "scheme \"s\" is given twice"),
        (service("a", "scheme = 7"), "expected a name or a list of names"),
        (service("a", "memory = '3 MB'"), ":7: expected a size like \"64M\", found \"3 MB\""),
        (service("a", "memory_each = '64K'"), ":7: expected at least 1M of memory, found \"64K\""),
        (service("a", "memory = 64"), ":7: invalid type: integer `64`, expected a string"),
        (service("a", "restart = 'often'"), "unknown variant `often`, expected one of `never`"),
    ];
    for (services, expected) in cases {
        let output = Host::new(&format!("{program}{services}"), &["d"]).build("a.img", &[]);
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(expected), "wanted {expected:?}, got {errors:?}");
    }
}

#[test]
fn an_archive_is_listed_and_taken_apart() {
    let host = host();
    host.built();
    let listing = String::from_utf8(host.image(&["list", "initfs.img"]).stdout).unwrap();
    assert!(listing.contains("d 0755         0 /bin\n"), "{listing}");
    assert!(listing.contains("- 0755         4 /bin/init\n"), "{listing}");
    assert!(listing.contains("l 0777         9 /bin/ls -> coreutils\n"), "{listing}");
    assert!(host.image(&["extract", "initfs.img", "out"]).status.success());
    assert_eq!(fs::read_to_string(host.path().join("out/bin/ls")).unwrap(), "coreutils");
    let again = host.image(&["extract", "initfs.img", "out"]);
    assert!(errors(&again).starts_with("image: cannot make out"), "{}", errors(&again));
}

#[test]
fn the_command_line_is_checked() {
    let host = host();
    assert!(host.image(&["--help"]).status.success());
    for wrong in [&[][..], &["pack"], &["build"], &["list"], &["list", "a", "b"], &["--x"]] {
        assert_eq!(host.image(wrong).status.code(), Some(2), "{wrong:?}");
    }
    fs::write(host.path().join("junk"), "junk").unwrap();
    let junk = host.image(&["list", "junk"]);
    assert_eq!(errors(&junk), "image: cannot use junk: not a boot archive\n");
}
