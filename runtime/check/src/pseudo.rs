//! Pseudo terminals: both ends in one program, and a child at the other one.

use crate::{Check, Outcome, same};
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

pub(crate) const CHECKS: &[Check] = &[
    ("pty/both-ends-have-names-settings-and-a-size", names),
    ("pty/what-is-typed-is-echoed-and-read", echo),
    ("pty/raw-bytes-pass-as-they-are", raw),
    ("pty/keys-and-sizes-are-signals", signals),
    ("pty/the-end-is-told-to-both", ends),
    ("pty/programs-in-the-background-stop", background),
    ("pty/groups-of-other-sessions-cannot-have-it", foreign_groups),
    ("pty/a-child-has-a-terminal-of-its-own", child),
    ("pty/poll-tells-what-comes", readiness),
];

unsafe extern "C" {
    fn ptsname(fd: i32) -> *mut libc::c_char;
    fn ptsname_r(fd: i32, place: *mut libc::c_char, room: usize) -> i32;
    fn forkpty(
        master: *mut i32,
        name: *mut libc::c_char,
        settings: *const libc::termios,
        size: *const libc::winsize,
    ) -> i32;
}

fn open() -> io::Result<(File, File)> {
    let (mut master, mut terminal) = (0, 0);
    // SAFETY: the places are ours; what they get belongs to nobody else.
    unsafe {
        match libc::openpty(&mut master, &mut terminal, null_mut(), null_mut(), null_mut()) {
            0 => Ok((File::from_raw_fd(master), File::from_raw_fd(terminal))),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn errno<T>(outcome: io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

/// Reads so many bytes.
fn exactly(mut file: &File, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn size(file: &File) -> [u16; 2] {
    // SAFETY: the structure is ours.
    unsafe {
        let mut size: libc::winsize = zeroed();
        libc::ioctl(file.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size);
        [size.ws_col, size.ws_row]
    }
}

fn resize(file: &File, columns: u16, rows: u16) -> i32 {
    // SAFETY: the structure is ours.
    unsafe {
        let mut size: libc::winsize = zeroed();
        (size.ws_col, size.ws_row) = (columns, rows);
        libc::ioctl(file.as_raw_fd(), libc::TIOCSWINSZ, &raw mut size)
    }
}

fn names() -> Outcome {
    // SAFETY: no memory but ours is involved, and the descriptor is nobody else's.
    let master = unsafe {
        let fd = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        same!(fd >= 0, true);
        File::from(OwnedFd::from_raw_fd(fd))
    };
    let fd = master.as_raw_fd();
    // SAFETY: as above.
    let path = unsafe {
        same!((libc::grantpt(fd), libc::unlockpt(fd)), (0, 0));
        same!(libc::isatty(fd), 1);
        let mut short = [0; 4];
        same!(ptsname_r(fd, short.as_mut_ptr(), 4), libc::ERANGE);
        std::ffi::CStr::from_ptr(ptsname(fd)).to_str()?.to_owned()
    };
    let terminal = File::options().read(true).write(true).open(&path)?;
    same!(io::IsTerminal::is_terminal(&terminal), true);
    let mut name = [0_u8; 64];
    // SAFETY: as above.
    same!(unsafe { libc::ttyname_r(terminal.as_raw_fd(), name.as_mut_ptr().cast(), 64) }, 0);
    same!(name.starts_with(path.as_bytes()), true);
    same!(size(&terminal), [80, 24]);
    same!(resize(&master, 132, 43), 0);
    same!(size(&terminal), [132, 43]);
    let (reader, _writer) = io::pipe()?;
    // SAFETY: as above.
    unsafe {
        same!(libc::grantpt(terminal.as_raw_fd()), -1);
        same!(libc::unlockpt(reader.as_raw_fd()), -1);
        same!(ptsname(reader.as_raw_fd()).is_null(), true);
    }
    Ok(())
}

fn echo() -> Outcome {
    let (mut master, mut terminal) = open()?;
    master.write_all(b"wrong\x15right\r")?;
    let mut line = [0; 64];
    same!(terminal.read(&mut line)?, 6);
    same!(&line[..6], b"right\n");
    terminal.write_all(b"seen\n")?;
    let mut shown = String::new();
    while !shown.ends_with("seen\r\n") {
        let length = master.read(&mut line)?;
        shown.push_str(&String::from_utf8_lossy(&line[..length]));
    }
    same!(shown.contains("right\r\n"), true);
    Ok(())
}

fn raw() -> Outcome {
    let (mut master, mut terminal) = open()?;
    // SAFETY: the settings are ours.
    unsafe {
        let mut settings: libc::termios = zeroed();
        same!(libc::tcgetattr(master.as_raw_fd(), &mut settings), 0);
        libc::cfmakeraw(&mut settings);
        same!(libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &settings), 0);
    }
    let all: Vec<u8> = (0..=255).collect();
    master.write_all(&all)?;
    let mut seen = [0; 256];
    terminal.read_exact(&mut seen)?;
    same!(seen[..], all[..]);
    terminal.write_all(&all)?;
    master.read_exact(&mut seen)?;
    same!(seen[..], all[..]);
    // More than waits at once: the writer goes on when there is room.
    let writer = std::thread::spawn(move || terminal.write_all(&[b'x'; 200_000]));
    same!(exactly(&master, 200_000)?.len(), 200_000);
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(())
}

static SEEN: AtomicU32 = AtomicU32::new(0);

extern "C" fn note(signal: i32) {
    SEEN.fetch_or(1 << signal, SeqCst);
}

/// Waits until a signal was seen.
fn until(signal: i32) -> bool {
    for _ in 0..1000 {
        if SEEN.load(SeqCst) & 1 << signal != 0 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Runs something in a child in a session of its own, whose terminal it is; the status is its answer.
fn in_session(terminal: &File, act: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child only makes calls, and ends.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::setsid();
            libc::tcsetpgrp(terminal.as_raw_fd(), libc::getpid());
            libc::_exit(act());
        }
        child
    }
}

fn finish(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the status is ours.
    unsafe { libc::waitpid(child, &mut status, 0) };
    status
}

fn signals() -> Outcome {
    let (mut master, terminal) = open()?;
    let (mut ready, mut tell) = io::pipe()?;
    let child = in_session(&terminal, || {
        for signal in [libc::SIGINT, libc::SIGWINCH] {
            // SAFETY: the handler only notes it.
            unsafe { libc::signal(signal, note as *const () as usize) };
        }
        let _ = tell.write(b"x");
        let heard = until(libc::SIGINT) && until(libc::SIGWINCH);
        i32::from(!(heard && size(&terminal) == [100, 50]))
    });
    ready.read_exact(&mut [0])?;
    master.write_all(b"\x03")?;
    same!(exactly(&master, 2)?, "^C");
    same!(resize(&master, 100, 50), 0);
    same!(finish(child), 0);
    Ok(())
}

fn ends() -> Outcome {
    let (mut master, mut terminal) = open()?;
    terminal.write_all(b"last")?;
    drop(terminal);
    same!(exactly(&master, 4)?, "last");
    same!(errno(master.read(&mut [0])), Some(libc::EIO));
    let (mut master, mut terminal) = open()?;
    master.write_all(b"typed\r")?;
    let (mut ready, mut tell) = io::pipe()?;
    // Whoever leads the session hears that the terminal is gone.
    let waiting = {
        let copy = terminal.try_clone()?;
        in_session(&copy, || {
            // SAFETY: the handler only notes it, and the child has the master no more.
            unsafe {
                libc::signal(libc::SIGHUP, note as *const () as usize);
                libc::close(master.as_raw_fd());
            }
            let _ = tell.write(b"x");
            i32::from(!until(libc::SIGHUP))
        })
    };
    ready.read_exact(&mut [0])?;
    drop(master);
    same!(finish(waiting), 0);
    let mut line = [0; 16];
    same!(terminal.read(&mut line)?, 6);
    same!(terminal.read(&mut line)?, 0);
    same!(errno(terminal.write(b"x")), Some(libc::EIO));
    Ok(())
}

fn background() -> Outcome {
    let (mut master, terminal) = open()?;
    let leader = in_session(&terminal, || {
        // SAFETY: the child only makes calls, and ends.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::setpgid(0, 0);
                let mut byte = [0];
                let read = libc::read(terminal.as_raw_fd(), byte.as_mut_ptr().cast(), 1);
                libc::_exit(i32::from(read != 1 || byte[0] != b'g'));
            }
            let mut status = 0;
            libc::waitpid(child, &mut status, libc::WUNTRACED);
            let is_stopped = libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTTIN;
            libc::tcsetpgrp(terminal.as_raw_fd(), child);
            libc::kill(child, libc::SIGCONT);
            libc::waitpid(child, &mut status, 0);
            i32::from(!(is_stopped && status == 0))
        }
    });
    master.write_all(b"g\r")?;
    same!(finish(leader), 0);
    Ok(())
}

/// Signals of a terminal go to its group with the daemon's rights, so not everybody may choose it.
fn foreign_groups() -> Outcome {
    let (_master, terminal) = open()?;
    // SAFETY: the call touches no memory.
    let others = unsafe { libc::getpgrp() };
    let leader = in_session(&terminal, || {
        let give = |group| {
            // SAFETY: the call touches no memory.
            match unsafe { libc::tcsetpgrp(terminal.as_raw_fd(), group) } {
                0 => 0,
                _ => io::Error::last_os_error().raw_os_error().unwrap_or(0),
            }
        };
        // SAFETY: the calls touch no memory.
        let own = unsafe {
            libc::setuid(1000);
            libc::getpgrp()
        };
        let answers = [give(others), give(1), give(0), give(-5), give(own)];
        i32::from(answers != [libc::EPERM, libc::EINVAL, libc::EINVAL, libc::EINVAL, 0])
    });
    same!(finish(leader), 0);
    Ok(())
}

fn child() -> Outcome {
    let mut master = 0;
    // SAFETY: the child only makes calls, and ends; the master is nobody else's.
    let (child, mut master) = unsafe {
        let window = libc::winsize { ws_row: 10, ws_col: 20, ws_xpixel: 0, ws_ypixel: 0 };
        let child = forkpty(&mut master, null_mut(), std::ptr::null(), &window);
        if child == 0 {
            let leads = libc::tcgetpgrp(0) == libc::getpid() && libc::getpgrp() == libc::getpid();
            let text: &[u8] = if leads { b"leads" } else { b"fails" };
            libc::write(1, text.as_ptr().cast(), text.len());
            libc::_exit(3);
        }
        same!(child > 0, true);
        (child, File::from_raw_fd(master))
    };
    same!(size(&master), [20, 10]);
    let mut shown = String::new();
    same!(errno(master.read_to_string(&mut shown)), Some(libc::EIO));
    same!(shown, "leads");
    same!(libc::WEXITSTATUS(finish(child)), 3);
    Ok(())
}

fn readiness() -> Outcome {
    let (mut master, mut terminal) = open()?;
    let poll = |file: &File, events, patience| {
        let mut poll = libc::pollfd { fd: file.as_raw_fd(), events, revents: 0 };
        // SAFETY: one entry, ours.
        unsafe { libc::poll(&mut poll, 1, patience) };
        poll.revents
    };
    same!(poll(&master, libc::POLLIN, 0), 0);
    same!(poll(&terminal, libc::POLLIN | libc::POLLOUT, 0), libc::POLLOUT);
    master.write_all(b"half")?;
    same!(poll(&terminal, libc::POLLIN, 20), 0);
    same!(poll(&master, libc::POLLIN, 1000), libc::POLLIN);
    let typing = std::thread::spawn({
        let mut master = master.try_clone()?;
        move || {
            std::thread::sleep(Duration::from_millis(20));
            master.write_all(b"\r")
        }
    });
    same!(poll(&terminal, libc::POLLIN, 10_000), libc::POLLIN);
    typing.join().map_err(|_| "the typist panicked")??;
    let mut line = [0; 16];
    same!(terminal.read(&mut line)?, 5);
    Ok(())
}
