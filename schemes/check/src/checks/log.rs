//! `log:`

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::{Check, Checked, fails, ok, same};

pub(super) const CHECKS: &[Check] = &[
    ("log_keeps_lines_under_their_tag", keeps),
    ("log_can_be_followed", followed),
    ("log_has_a_limit_and_says_so", limited),
    ("log_bad_paths_are_told", bad),
];

fn tag(name: &str) -> String {
    format!("/scheme/log/check-{}-{name}", std::process::id())
}

fn keeps() -> Checked {
    let path = tag("keeps");
    ok("write", fs::write(&path, "one\nWARN two\nthree"))?;
    let text = ok("read", fs::read_to_string(&path))?;
    let me = format!("[{}]", std::process::id());
    let ends: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(&me).map(|(_, end)| end)).collect();
    same("lines", ends, vec![" INFO  one", " WARN  two", " INFO  three"])?;
    let all = ok("read", fs::read_to_string("/scheme/log"))?;
    same("among all", all.contains(&text), true)?;
    let mut tags = ok("list", fs::read_dir("/scheme/log"))?;
    let found = tags.any(|entry| {
        entry.is_ok_and(|entry| path.ends_with(&*entry.file_name().to_string_lossy()))
    });
    same("among the tags", found, true)?;
    same("a directory", ok("stat", fs::metadata("/scheme/log"))?.is_dir(), true)
}

fn followed() -> Checked {
    let path = tag("followed");
    let nonblocking =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(format!("{path}@follow"));
    let mut follower = ok("open", nonblocking)?;
    let mut buffer = [0; 200];
    fails("nothing yet", follower.read(&mut buffer), libc::EAGAIN)?;
    ok("write", fs::write(&path, "news\n"))?;
    let length = ok("read", follower.read(&mut buffer))?;
    same("the line", buffer[..length].ends_with(b" INFO  news\n"), true)?;
    fails("nothing more", follower.read(&mut buffer), libc::EAGAIN)?;
    let mut waiting = ok("open", File::open(format!("{path}@follow")))?;
    ok("read", waiting.read(&mut buffer))?;
    let child = std::process::Command::new(ok("own path", std::env::current_exe())?)
        .arg("log_keeps")
        .stdout(ok("log", OpenOptions::new().write(true).open(&path))?)
        .spawn();
    let length = ok("a read that waited", waiting.read(&mut buffer))?;
    let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
    same("the child's words", line.contains("@@TEST log_keeps"), true)?;
    ok("wait", ok("spawn", child)?.wait())?;
    Ok(())
}

fn limited() -> Checked {
    let path = tag("limited");
    let mut writer = ok("open", OpenOptions::new().write(true).open(&path))?;
    for index in 0..3000 {
        ok("write", writeln!(writer, "line {index}"))?;
    }
    let text = ok("read", fs::read_to_string(&path))?;
    same("lost", text.lines().next().is_some_and(|line| line.ends_with("lines lost")), true)?;
    same("kept", text.ends_with("INFO  line 2999\n"), true)
}

fn bad() -> Checked {
    fails("unknown", File::open(tag("unknown")), libc::ENOENT)?;
    fails("nonsense", File::open("/scheme/log/a b"), libc::EINVAL)?;
    fails("to all", OpenOptions::new().write(true).open("/scheme/log"), libc::EISDIR)
}
