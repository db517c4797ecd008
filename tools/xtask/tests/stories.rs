//! `xtask test` from outside, against a stand-in for QEMU: stories that pass and that must fail.

use std::path::Path;
use std::process::{Command, Output};

/// Runs one story's text; `test` names its folder.
fn tell(test: &str, story: &str) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("story.toml"), story).unwrap();
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["test", "--qemu"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-qemu.sh"))
        .arg("--logs")
        .arg(&folder)
        .arg("--stories")
        .arg(&folder)
        .output()
        .unwrap()
}

/// The story passes, or fails with a report that says `why`.
fn check(test: &str, story: &str, why: Option<&str>) {
    let output = tell(test, story);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.success(), why.is_none(), "{text}");
    match why {
        None => assert!(text.contains("test result: ok. 1 passed; 0 failed"), "{text}"),
        Some(why) => assert!(text.contains(why), "{text}"),
    }
}

#[test]
fn a_conversation_like_a_persons() {
    let story = r#"
        about = "types, reads, shuts down"
        forbid = ["never"]
        [[step]]
        expect = '\$ $'
        [[step]]
        line = "echo one; echo two"
        [[step]]
        expect = '^one$'
        [[step]]
        expect = '^two$'
        [[step]]
        send = "shutdown\r"
        [[step]]
        ends = "shutdown"
    "#;
    check("conversation", story, None);
}

#[test]
fn commands_of_their_own() {
    let story = "about = 'x'\n[[step]]\nexec = 'echo hi; exit 3'\nstatus = 3\nstdout = \"hi\\n\"";
    check("commands", story, None);
}

#[test]
fn an_answer_is_looked_for_behind_the_one_before() {
    let story = "about = 'x'\ntimeout = 2\n[[step]]\nline = 'echo hi'\n[[step]]\nexpect = '^hi$'\n\
        [[step]]\nexpect = '^hi$'";
    check("behind", story, Some("step 3: lifeboat: the console never showed"));
}

#[test]
fn a_wrong_status_fails_and_shows_the_output() {
    check("status", "about = 'x'\n[[step]]\nexec = 'echo shown; exit 1'", Some("shown"));
}

#[test]
fn a_panic_fails_at_once_with_its_report() {
    let story = "about = 'x'\n[[step]]\nline = 'panic'\n[[step]]\nexpect = 'never'";
    check("panic", story, Some("why: asked to"));
}

#[test]
fn forbidden_text_fails() {
    let story = "about = 'x'\nforbid = ['h.']\n[[step]]\nline = 'echo hi'\n[[step]]\nexpect = 'hi'";
    check("forbidden", story, Some("the story forbids"));
}

#[test]
fn a_reset_is_not_a_shutdown() {
    let story = "about = 'x'\n[[step]]\nline = 'reboot'\n[[step]]\nends = 'shutdown'";
    check("reset", story, Some("not the ending that was wanted"));
}

#[test]
fn a_story_that_cannot_be_read_is_named() {
    let output = tell("unreadable", "about = 'x'\nsteps = 1");
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("story.toml"));
}
