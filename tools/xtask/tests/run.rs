//! `xtask run` from outside, against a stand-in for QEMU: what is packed, and how it ends.

use initfs_format::{Archive, Builder};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A package with a program as cargo builds it, and a boot archive to add it to.
struct Package {
    folder: PathBuf,
}

impl Package {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("run-{test}"));
        let _absent = std::fs::remove_dir_all(&folder);
        let package = Self { folder };
        package.write("target/CACHEDIR.TAG", b"");
        package.write("target/debug/tool", b"tool");
        package.write("target/debug/deps/program", b"program");
        package.write("data/it's", b"data");
        package.write(".hidden/file", b"");
        let mut system = Builder::new();
        system.file("/bin/sh", 0o755, b"shell".into()).unwrap();
        package.write("system.img", &system.build());
        package
    }

    fn write(&self, path: &str, data: &[u8]) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, data).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Runs the program on a guest that behaves as `act` says.
    fn run(&self, act: &str, arguments: &[&str]) -> Output {
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-qemu.sh");
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["run", "--append"]).arg(format!("act={act}")).arg("--qemu").arg(fake);
        command.arg("--logs").arg(self.folder.join("target/logs"));
        command.arg("--initrd").arg(self.folder.join("system.img"));
        command.arg("--").arg("target/debug/deps/program").args(arguments);
        command.env("CARGO_MANIFEST_DIR", &self.folder).env("CARGO_PKG_NAME", "it");
        command.env("LIFEBOAT_TIMEOUT", "2").current_dir(&self.folder).output().unwrap()
    }

    /// The one archive that the stand-in kept.
    fn kept(&self) -> Vec<u8> {
        let mut files = self.logs();
        files.retain(|path| path.extension().is_some_and(|end| end == "kept"));
        std::fs::read(&files[0]).unwrap()
    }

    fn logs(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.folder.join("target/logs")).unwrap();
        folder.map(|entry| entry.unwrap().path()).collect()
    }
}

fn data<'a>(archive: &Archive<'a>, path: &str) -> Option<&'a [u8]> {
    archive.lookup(path, true).ok().map(|entry| entry.data())
}

#[test]
fn the_program_and_its_package_are_packed_under_their_own_paths() {
    let package = Package::new("packed");
    package.run("keep", &["a b", "it's"]);
    let (kept, folder) = (package.kept(), package.folder.to_str().unwrap());
    let archive = Archive::parse(&kept).unwrap();
    let found = |path: &str| data(&archive, &format!("{folder}/{path}"));
    assert_eq!(data(&archive, "/bin/sh"), Some(&b"shell"[..]));
    assert_eq!(found("target/debug/deps/program"), Some(&b"program"[..]));
    assert_eq!(found("target/debug/tool"), Some(&b"tool"[..]), "tests start it");
    assert_eq!(found("data/it's"), Some(&b"data"[..]));
    assert_eq!((found(".hidden/file"), found("target/CACHEDIR.TAG")), (None, None));
    let script = String::from_utf8(data(&archive, "/run/start").unwrap().into()).unwrap();
    assert!(script.starts_with(&format!("cd '{folder}' || exit 125\nexec env ")), "{script}");
    assert!(script.contains(" 'CARGO_PKG_NAME=it' "), "{script}");
    assert!(!script.contains(" 'PATH="), "the host's PATH means nothing here: {script}");
    assert!(script.ends_with("program' 'a b' 'it'\\''s'\n"), "{script}");
}

#[test]
fn a_run_that_went_well_leaves_nothing() {
    let package = Package::new("tidy");
    // The stand-in's shell has no /run/start: that is the program's status here.
    let output = package.run("", &[]);
    assert!(matches!(output.status.code(), Some(2 | 127)), "{output:?}");
    assert_eq!(package.logs(), [] as [PathBuf; 0]);
}

#[test]
fn a_run_that_failed_leaves_its_logs_but_not_the_archive() {
    let package = Package::new("hang");
    let output = package.run("hang", &[]);
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no answer within 2 s"));
    let ends: Vec<_> = package
        .logs()
        .iter()
        .filter_map(|it| it.extension()?.to_str().map(str::to_owned))
        .collect();
    assert!(
        ends.iter().any(|end| end == "log") && !ends.iter().any(|end| end == "img"),
        "{ends:?}"
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let package = Package::new("missing");
    std::fs::remove_file(package.folder.join("target/debug/deps/program")).unwrap();
    let output = package.run("", &[]);
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("target/debug/deps/program"));
}
