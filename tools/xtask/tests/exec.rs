//! `xtask exec` from outside, against a stand-in for QEMU: what comes out, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where a test keeps its logs.
fn logs(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(test)
}

/// Runs `xtask exec` on a guest that behaves as `act` says.
fn exec(test: &str, act: &str, command: &str) -> Output {
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-qemu.sh");
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["exec", "--timeout", "2", "--append"])
        .arg(format!("act={act}"))
        .arg("--qemu")
        .arg(fake)
        .arg("--logs")
        .arg(logs(test))
        .args(["--", command])
        .output()
        .unwrap()
}

/// The exit status and what was said on standard error.
fn ending(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into())
}

#[test]
fn the_commands_bytes_and_status_come_through() {
    let output = exec("bytes", "", r"printf 'a\n\0\r\n\377'; exit 7");
    assert_eq!(output.stdout, b"a\n\0\r\n\xff");
    assert_eq!(ending(&output), (7, String::new()));
    let log = std::fs::read(logs("bytes").join("exec.log")).unwrap();
    assert!(log.starts_with(b"booting"), "the serial log keeps everything");
}

#[test]
fn quoting_and_a_long_output_survive() {
    let output = exec("quoting", "", r#"echo "it's \$HOME"; seq 200000"#);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("it's $HOME\n1\n") && text.ends_with("\n200000\n"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_panic_fails_with_the_transcript() {
    let output = exec("panic", "panic", "echo before");
    let (status, report) = ending(&output);
    assert_eq!(status, 125);
    assert!(report.contains("the kernel panicked") && report.contains("why: asked to"), "{report}");
    assert!(output.stdout.starts_with(b"before\n"));
}

#[test]
fn a_machine_that_resets_fails_and_says_how() {
    for (act, how) in [("triple-fault", "the processor triple-faulted"), ("reset", "machine reset")]
    {
        let (status, report) = ending(&exec(act, act, "true"));
        assert_eq!(status, 125);
        assert!(report.contains(how) && report.contains("booting"), "{report}");
    }
}

#[test]
fn no_answer_in_time_fails() {
    let (status, report) = ending(&exec("hang", "hang", "true"));
    assert_eq!(status, 125);
    assert!(report.contains("no answer within 2 s") && report.contains("booting"), "{report}");
}

#[test]
fn an_emulator_that_cannot_start_says_why() {
    let (status, report) = ending(&exec("no-kernel", "no-kernel", "true"));
    assert_eq!(status, 125);
    assert!(report.contains("could not load kernel"), "{report}");
}

#[test]
fn a_guest_that_does_not_shut_down_fails() {
    let (status, report) = ending(&exec("stuck", "stuck", "true"));
    assert_eq!(status, 125);
    assert!(report.contains("did not shut down"), "{report}");
}
