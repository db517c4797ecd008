//! Child processes.

use crate::{Check, Outcome, holds, same};
use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const CHECKS: &[Check] = &[
    ("process/a-status-arrives", status),
    ("process/arguments-arrive-as-given", arguments),
    ("process/output-is-caught", output),
    ("process/what-c-prints-comes-at-once", c_output),
    ("process/both-outputs-are-caught", both_outputs),
    ("process/input-is-given", input),
    ("process/much-goes-through", much),
    ("process/a-variable-is-inherited", variable),
    ("process/a-directory-is-given", directory),
    ("process/a-group-is-made", group),
    ("process/no-descriptor-leaks", descriptors),
    ("process/a-missing-program-is-told", missing),
    ("process/what-is-no-program-is-told", no_program),
    ("process/abort-and-panic-end-by-signal", abort),
    ("process/a-crash-ends-by-signal", crash),
    ("process/a-stack-that-overflows-is-told", overflow),
    ("process/a-child-can-be-killed", killed),
    ("process/try-wait-does-not-wait", try_wait),
    ("process/path-is-searched", path_search),
    ("process/a-script-runs-its-interpreter", script),
    ("process/main-thread-locals-are-dropped", thread_local),
    ("process/a-child-that-stops-is-told", stopped),
    ("process/fork-copies-memory", fork),
    ("process/children-start-while-threads-allocate", among_threads),
    ("process/too-many-arguments-are-refused", too_many),
    ("process/a-broken-pipe-is-an-error", broken_pipe),
    ("process/limits-can-be-set", limits),
];

/// A command that runs this program as a child with a verb.
pub(crate) fn child(words: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("child").args(words);
    Ok(command)
}

fn outcome(words: &[&str]) -> io::Result<Output> {
    child(words)?.output()
}

fn status() -> Outcome {
    for status in [0, 1, 7, 255] {
        same!(child(&["exit", &status.to_string()])?.status()?.code(), Some(status));
    }
    Ok(())
}

fn arguments() -> Outcome {
    let words = ["", "a b", "*", "\u{e4}\n"];
    let output = child(&[&["words"], &words[..]].concat())?.output()?;
    same!(String::from_utf8(output.stdout)?, format!("{words:?}"));
    Ok(())
}

fn output() -> Outcome {
    let output = outcome(&["print", "hello\nworld"])?;
    holds!(output.status.success());
    same!(output.stdout, b"hello\nworld");
    same!(output.stderr, b"");
    Ok(())
}

fn c_output() -> Outcome {
    let output = outcome(&["c-print"])?;
    same!(String::from_utf8(output.stdout)?, "7\na line\n!");
    Ok(())
}

fn both_outputs() -> Outcome {
    same!(outcome(&["complain", "oh"])?.stderr, b"oh");
    Ok(())
}

fn input() -> Outcome {
    let mut process = child(&["copy"])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    process.stdin.take().ok_or("no pipe")?.write_all(b"through")?;
    let output = process.wait_with_output()?;
    holds!(output.status.success());
    same!(output.stdout, b"through");
    Ok(())
}

fn much() -> Outcome {
    let sent: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let mut process = child(&["copy"])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut pipe = process.stdin.take().ok_or("no pipe")?;
    let copy = sent.clone();
    let writer = std::thread::spawn(move || pipe.write_all(&copy));
    let output = process.wait_with_output()?;
    writer.join().map_err(|_| "the writer panicked")??;
    holds!(output.stdout == sent, "{} of {} bytes", output.stdout.len(), sent.len());
    Ok(())
}

fn variable() -> Outcome {
    let output = child(&["variable", "CHECK"])?.env("CHECK", "given").output()?;
    same!(output.stdout, b"given");
    let output = child(&["variable", "CHECK"])?.env_clear().output()?;
    same!(output.stdout, b"");
    Ok(())
}

fn directory() -> Outcome {
    let output = child(&["where"])?.current_dir("/scheme/sys").output()?;
    same!(String::from_utf8(output.stdout)?, "/scheme/sys");
    Ok(())
}

fn group() -> Outcome {
    same!(child(&["group"])?.process_group(0).output()?.stdout, b"true");
    Ok(())
}

fn descriptors() -> Outcome {
    let _open = fs::File::open("/scheme/sys/uname")?;
    let _pipe = io::pipe()?;
    // What this program was itself given without the mark is passed on, and nothing more.
    // SAFETY: only asks.
    let kept: Vec<i32> =
        (0..64).filter(|&fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } == 0).collect();
    same!(String::from_utf8(outcome(&["descriptors"])?.stdout)?, format!("{kept:?}"));
    Ok(())
}

fn missing() -> Outcome {
    for program in ["/nowhere/program", "no-such-program", "/scheme/nowhere/program"] {
        let kind = Command::new(program).status().map_err(|error| error.kind());
        same!(kind.err(), Some(io::ErrorKind::NotFound));
    }
    Ok(())
}

fn no_program() -> Outcome {
    let error = Command::new("/etc/passwd").status().err().ok_or("it ran")?;
    same!(error.kind(), io::ErrorKind::PermissionDenied);
    Ok(())
}

fn abort() -> Outcome {
    same!(outcome(&["abort"])?.status.signal(), Some(libc::SIGABRT));
    let output = outcome(&["panic"])?;
    same!(output.status.signal(), Some(libc::SIGABRT));
    let text = String::from_utf8(output.stderr)?;
    holds!(text.contains("as asked for"), "{text}");
    Ok(())
}

fn crash() -> Outcome {
    same!(outcome(&["crash"])?.status.signal(), Some(libc::SIGSEGV));
    Ok(())
}

fn overflow() -> Outcome {
    for (place, name) in [("main", "main"), ("thread", "deep")] {
        let output = outcome(&["overflow", place])?;
        same!(output.status.signal(), Some(libc::SIGABRT));
        let told = String::from_utf8(output.stderr)?;
        holds!(told.contains(&format!("thread '{name}' (")), "{told}");
        holds!(told.contains(" has overflowed its stack"), "{told}");
    }
    Ok(())
}

fn killed() -> Outcome {
    let mut process = child(&["sleep"])?.spawn()?;
    process.kill()?;
    same!(process.wait()?.signal(), Some(libc::SIGKILL));
    Ok(())
}

fn try_wait() -> Outcome {
    let mut process = child(&["copy"])?.stdin(Stdio::piped()).spawn()?;
    same!(process.try_wait()?, None);
    drop(process.stdin.take());
    same!(process.wait()?.code(), Some(0));
    Ok(())
}

fn path_search() -> Outcome {
    let own = env::current_exe()?;
    let (directory, name) = (own.parent().ok_or("no parent")?, own.file_name().ok_or("no name")?);
    let path = format!("/nowhere:{}", directory.display());
    let status = Command::new(name).args(["child", "exit", "5"]).env("PATH", path).status()?;
    same!(status.code(), Some(5));
    Ok(())
}

fn script() -> Outcome {
    let path = env::temp_dir().join("check-script");
    // Everything behind the interpreter is one argument, so the name of a check fits there.
    let line = format!("#!{} no-check-has-this-name\nanything\n", env::current_exe()?.display());
    fs::write(&path, line)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    same!(Command::new(&path).status()?.code(), Some(0));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    let error = Command::new(&path).status().err().ok_or("it ran")?;
    same!(error.kind(), io::ErrorKind::PermissionDenied);
    fs::remove_file(&path)?;
    Ok(())
}

fn thread_local() -> Outcome {
    same!(outcome(&["main-thread-local"])?.stdout, b"goodbye\n");
    Ok(())
}

fn fork() -> Outcome {
    let mut number = Box::new(1);
    let (mut reader, mut writer) = io::pipe()?;
    // SAFETY: there is one thread, and the child only writes and leaves.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error().into()),
        0 => {
            *number = 2;
            let sent = writer.write_all(&[*number]);
            // SAFETY: no preconditions.
            unsafe { libc::_exit(i32::from(sent.is_err())) }
        }
        pid => {
            drop(writer);
            let mut answer = [0];
            reader.read_exact(&mut answer)?;
            let mut status = -1;
            // SAFETY: the status is ours to fill.
            same!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            same!((status, answer[0], *number), (0, 2, 1));
        }
    }
    // SAFETY: as above.
    same!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) }, -1);
    same!(io::Error::last_os_error().raw_os_error(), Some(libc::ECHILD));
    Ok(())
}

fn broken_pipe() -> Outcome {
    let (reader, mut writer) = io::pipe()?;
    drop(reader);
    let error = writer.write_all(b"x").err().ok_or("it was written")?;
    same!(error.kind(), io::ErrorKind::BrokenPipe);
    Ok(())
}

fn among_threads() -> Outcome {
    let done = AtomicBool::new(false);
    let statuses = std::thread::scope(|scope| {
        for size in [100, 100_000] {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    drop(vec![1_u8; size]);
                }
            });
        }
        let run = || Ok::<_, io::Error>(child(&["exit", "3"])?.env("CHECK", "x").status()?.code());
        let statuses: Result<Vec<_>, _> = (0..10).map(|_| run()).collect();
        done.store(true, Ordering::Relaxed);
        statuses
    })?;
    same!(statuses, [Some(3); 10]);
    Ok(())
}

fn too_many() -> Outcome {
    let error = child(&["print", &"x".repeat(300_000)])?.output().err().ok_or("it ran")?;
    same!(error.kind(), io::ErrorKind::ArgumentListTooLong);
    Ok(())
}

fn stopped() -> Outcome {
    let mut process = child(&["sleep"])?.spawn()?;
    let pid = process.id() as libc::pid_t;
    let wait = |options: i32| {
        let mut status = 0;
        // SAFETY: the status is ours.
        let found = unsafe { libc::waitpid(pid, &mut status, options) };
        (found, status)
    };
    let send = |signal: i32| {
        // SAFETY: no memory is involved.
        unsafe { libc::kill(pid, signal) }
    };
    same!(send(libc::SIGSTOP), 0);
    let (found, status) = wait(libc::WUNTRACED);
    same!((found, libc::WIFSTOPPED(status), libc::WSTOPSIG(status)), (pid, true, libc::SIGSTOP));
    same!(wait(libc::WUNTRACED | libc::WNOHANG).0, 0);
    same!(send(libc::SIGCONT), 0);
    let (found, status) = wait(libc::WCONTINUED);
    same!((found, libc::WIFCONTINUED(status)), (pid, true));
    process.kill()?;
    let mut info = [0_i32; 32];
    // SAFETY: there is room for the structure: signal, error, why, process.
    let answer = unsafe { waitid(1, pid, info.as_mut_ptr(), libc::WEXITED) };
    const KILLED: i32 = 2;
    same!((answer, info[0], info[2], info[3]), (0, libc::SIGCHLD, KILLED, pid));
    // SAFETY: as above.
    same!(unsafe { waitid(1, pid, info.as_mut_ptr(), libc::WEXITED) }, -1);
    same!(io::Error::last_os_error().raw_os_error(), Some(libc::ECHILD));
    Ok(())
}

unsafe extern "C" {
    /// The `libc` crate does not have it for this target.
    fn waitid(kind: i32, id: libc::pid_t, info: *mut i32, options: i32) -> i32;
}

fn limits() -> Outcome {
    let get = |resource| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the place is ours.
        unsafe { libc::getrlimit(resource, &mut limit) };
        limit.rlim_cur
    };
    let set = |resource, most, hard| {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: hard };
        // SAFETY: the structure is ours.
        match unsafe { libc::setrlimit(resource, &limit) } {
            -1 => std::io::Error::last_os_error().raw_os_error().unwrap_or_default(),
            _ => 0,
        }
    };
    let files = get(libc::RLIMIT_NOFILE);
    same!(get(libc::RLIMIT_AS), libc::RLIM_INFINITY);
    // In a child, because not everybody may take it back.
    // SAFETY: the child only makes calls, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let try_all = || -> Outcome {
            same!(set(libc::RLIMIT_NOFILE, 20, files), 0);
            same!(get(libc::RLIMIT_NOFILE), 20);
            // SAFETY: no memory is involved.
            let copies: Vec<_> = (0..20).map(|_| unsafe { libc::dup(1) }).collect();
            same!(copies.last(), Some(&-1));
            same!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EMFILE));
            // SAFETY: as above.
            copies.iter().for_each(|fd| _ = unsafe { libc::close(*fd) });
            same!(set(libc::RLIMIT_AS, 64 << 20, 64 << 20), 0);
            same!(get(libc::RLIMIT_AS), 64 << 20);
            same!(Vec::<u8>::new().try_reserve_exact(128 << 20).is_err(), true);
            same!(set(libc::RLIMIT_CORE, 0, 0), 0);
            same!(get(libc::RLIMIT_CORE), 0);
            same!(set(libc::RLIMIT_CORE, 4096, 4096), libc::EINVAL);
            same!(set(libc::RLIMIT_AS, 2, 1), libc::EINVAL);
            same!(set(libc::RLIMIT_CPU, 1, 1), libc::EINVAL);
            let stack = get(libc::RLIMIT_STACK);
            same!(set(libc::RLIMIT_STACK, stack, stack), 0);
            same!(set(libc::RLIMIT_STACK, stack / 2, stack), libc::EINVAL);
            // SAFETY: as above.
            unsafe {
                libc::setgid(1000);
                libc::setuid(1000);
            }
            same!(set(libc::RLIMIT_NOFILE, files, files), libc::EPERM);
            same!(set(libc::RLIMIT_AS, 128 << 20, 128 << 20), libc::EPERM);
            same!(set(libc::RLIMIT_NOFILE, 10, 10), 0);
            Ok(())
        };
        let failed = try_all().map_err(|error| eprintln!("{error}")).is_err();
        // SAFETY: the child's end.
        unsafe { libc::_exit(i32::from(failed)) };
    }
    let mut status = 0;
    // SAFETY: the status is ours.
    same!((unsafe { libc::waitpid(child, &mut status, 0) }, status), (child, 0));
    same!(get(libc::RLIMIT_NOFILE), files);
    Ok(())
}
