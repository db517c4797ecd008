//! `script` — runs a program in a terminal of its own, and writes down what it shows.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::Failure;

pub(crate) const TOOL: Tool = Tool {
    name: "script",
    help: "\
script - run a shell, or a command, and write down all that it shows

Usage: script [-a] [-c COMMAND] [FILE]

The program has a terminal of its own (pty:), of the same size as this one. What
it shows is shown here and written to FILE (typescript) as it is, escape
sequences and all. The status is the program's.

Options:
  -a          append to FILE
  -c COMMAND  run this with the shell, instead of the shell itself
  -h, --help  print this text
  --version   print the version

Examples:
  script
  script -c 'ls --color' listing

Files:
  pty:new, pty:list

See also: docs/schemes/pty.md
",
    run,
};

/// What Ctrl-D types.
const END: u8 = 4;
/// How often the program's end is looked for when nothing else happens.
const PATIENCE_MS: i32 = 100;

static HAS_RESIZED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_resize(_: i32) {
    HAS_RESIZED.store(true, Ordering::Relaxed);
}

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut command, mut path, mut appends) = (None, None, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('a') => appends = true,
            Argument::Short('c') => command = Some(arguments.text()?),
            Argument::Word(word) if path.is_none() => path = Some(word),
            other => return Err(Failure::Usage(format!("{other:?} is too much"))),
        }
    }
    let path = path.as_deref().unwrap_or("typescript");
    let record = match appends {
        true => File::options().append(true).create(true).open(path),
        false => File::create(path),
    };
    let record = record.map_err(|error| Failure::of(path, error))?;
    let failed = |error| Failure::of("pty:", error);
    let (master, terminal) = open().map_err(failed)?;
    let own = Own::take();
    own.resize(&master);
    let child = start(command.as_deref(), terminal).map_err(failed)?;
    let ended = Session { master, record, child, reads_input: true }.go();
    drop(own);
    ended.map_err(failed)
}

fn check(answer: i32) -> io::Result<i32> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Both ends of a new terminal. The master is not inherited and does not wait.
fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let (mut master, mut terminal) = (0, 0);
    // SAFETY: the places are ours, and what they get belongs to nobody else.
    unsafe {
        check(libc::openpty(
            &mut master,
            &mut terminal,
            std::ptr::null_mut(),
            null::<libc::termios>().cast_mut(),
            null::<libc::winsize>().cast_mut(),
        ))?;
        let ends = (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(terminal));
        for fd in [master, terminal] {
            check(libc::ioctl(fd, libc::FIOCLEX))?;
        }
        let mut on = 1;
        check(libc::ioctl(master, libc::FIONBIO, &raw mut on))?;
        Ok(ends)
    }
}

/// Starts the program in the terminal, as the leader of a session.
fn start(command: Option<&str>, terminal: OwnedFd) -> io::Result<Child> {
    let mut shell = Command::new("sh");
    if let Some(command) = command {
        shell.args(["-c", command]);
    }
    let ends = [terminal.try_clone()?, terminal.try_clone()?, terminal];
    let [input, output, errors] = ends;
    shell.stdin(input).stdout(output).stderr(errors);
    let lead = || {
        // SAFETY: no memory is involved.
        unsafe {
            check(libc::setsid())?;
            check(libc::tcsetpgrp(0, libc::getpid()))?;
        }
        Ok(())
    };
    // SAFETY: the child only makes calls before it is the program.
    unsafe { shell.pre_exec(lead) }.spawn()
}

/// The terminal that this tool itself was started in, while it passes everything on.
struct Own {
    settings: Option<libc::termios>,
}

impl Own {
    fn take() -> Self {
        // SAFETY: any bits are settings, and the handler only sets a flag.
        unsafe {
            let mut settings: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(0, &mut settings) < 0 {
                return Self { settings: None };
            }
            let mut raw = settings;
            libc::cfmakeraw(&mut raw);
            libc::tcsetattr(0, libc::TCSADRAIN, &raw);
            libc::signal(libc::SIGWINCH, note_resize as *const () as usize);
            Self { settings: Some(settings) }
        }
    }

    /// Gives the program's terminal the size of this one.
    fn resize(&self, master: &OwnedFd) {
        if self.settings.is_some() {
            copy_size(master.as_raw_fd());
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(settings) = &self.settings {
            // SAFETY: they came from there.
            unsafe { libc::tcsetattr(0, libc::TCSADRAIN, settings) };
        }
    }
}

/// A size that cannot be told or set stays what it is.
fn copy_size(master: RawFd) {
    // SAFETY: the structure is ours.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        if libc::ioctl(0, libc::TIOCGWINSZ, &raw mut size) == 0 {
            libc::ioctl(master, libc::TIOCSWINSZ, &raw mut size);
        }
    }
}

/// The program and its record.
struct Session {
    master: OwnedFd,
    record: File,
    child: Child,
    /// Until its end.
    reads_input: bool,
}

impl Session {
    /// Passes everything on until the program ends. Returns its status.
    fn go(mut self) -> io::Result<u8> {
        loop {
            if HAS_RESIZED.swap(false, Ordering::Relaxed) {
                copy_size(self.master.as_raw_fd());
            }
            let [input, screen] = self.wait()?;
            if input {
                self.type_in()?;
            }
            let is_over = !screen && self.child.try_wait()?.is_some();
            // What it showed last is still there when it has ended.
            if !self.show()? || is_over {
                break;
            }
        }
        let status = self.child.wait()?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Ok(code.unwrap_or_default() as u8)
    }

    /// Waits for keys, and for something to show.
    fn wait(&self) -> io::Result<[bool; 2]> {
        let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let input = if self.reads_input { 0 } else { -1 };
        let mut polls = [poll(input), poll(self.master.as_raw_fd())];
        // SAFETY: two entries, ours.
        match check(unsafe { libc::poll(polls.as_mut_ptr(), 2, PATIENCE_MS) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; 2]),
            Err(error) => Err(error),
            Ok(_) => Ok(polls.map(|poll| poll.revents != 0)),
        }
    }

    /// Types what comes from this tool's input.
    fn type_in(&mut self) -> io::Result<()> {
        let mut keys = [0; 4096];
        // SAFETY: the buffer is ours.
        let read = unsafe { libc::read(0, keys.as_mut_ptr().cast(), keys.len()) };
        let typed = match usize::try_from(read) {
            Err(_) => return Ok(()),
            Ok(0) => {
                self.reads_input = false;
                &[END][..]
            }
            Ok(length) => &keys[..length],
        };
        let master = File::from(self.master.try_clone()?);
        (&master).write_all(typed)
    }

    /// Shows what there is, and writes it down. False when nothing will come any more.
    fn show(&mut self) -> io::Result<bool> {
        let mut shown = [0; 4096];
        let fd = self.master.as_raw_fd();
        loop {
            // SAFETY: the buffer is ours.
            let read = unsafe { libc::read(fd, shown.as_mut_ptr().cast(), shown.len()) };
            let Ok(length) = usize::try_from(read) else {
                let error = io::Error::last_os_error();
                return Ok(matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ));
            };
            if length == 0 {
                return Ok(false);
            }
            io::stdout().write_all(&shown[..length])?;
            io::stdout().flush()?;
            self.record.write_all(&shown[..length])?;
        }
    }
}
