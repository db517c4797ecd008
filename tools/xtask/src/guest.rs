//! A running QEMU: what it prints, what is typed to it, how it ends.
//!
//! Every byte of the serial port goes to the log file before anyone looks at it. Dropping a guest
//! kills it, and the kernel of the host kills it should this program die first.

use crate::machine::{Display, Machine, Serial};
use crate::picture;
use crate::qmp::Qmp;
use crate::store;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

/// What a panicking kernel prints first.
pub(crate) const PANIC: &[u8] = b"=== KERNEL PANIC ===";
/// What the kernel writes to the exit device when all is well.
pub(crate) const EXIT_OK: u8 = 0x10;

/// What happened next.
#[derive(Debug)]
pub(crate) enum Event {
    /// The serial port said this.
    Said(Vec<u8>),
    /// QEMU is gone.
    Ended(Ending),
    /// Neither, until the deadline.
    Silence,
}

/// How QEMU ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The guest wrote this to the exit device.
    Code(u8),
    /// The guest reset, or switched off.
    Reset,
    /// The processor gave up: an exception while it delivered a double fault.
    TripleFault,
    /// QEMU failed by itself, or was killed.
    Broken(ExitStatus),
}

/// A running QEMU with its serial port in our hands.
pub(crate) struct Guest {
    child: Child,
    keyboard: ChildStdin,
    /// Where QEMU listens for commands, if it has a screen.
    control: Option<PathBuf>,
    qmp: Option<Qmp>,
    /// The file for pictures of the screen.
    picture: PathBuf,
    said: Receiver<Vec<u8>>,
    transcript: Vec<u8>,
    panicked: bool,
    /// The image of its emergency store.
    store: Option<PathBuf>,
    /// What QEMU itself prints.
    complaints: PathBuf,
    /// What it notes about resets.
    resets: PathBuf,
}

impl Guest {
    /// Starts `machine`; `name` names its log files.
    pub(crate) fn start(machine: &Machine, name: &str) -> Result<Self> {
        std::fs::create_dir_all(&machine.logs)
            .with_context(|| format!("creating {}", machine.logs.display()))?;
        let log = create(&machine.logs.join(format!("{name}.log")))?;
        let complaints = machine.logs.join(format!("{name}.qemu.txt"));
        let store = store::image(machine, name)?;
        let has_screen = machine.display == Display::Hidden;
        let has_control = has_screen || machine.has_control;
        let control = has_control.then(|| machine.logs.join(format!("{name}.qmp")));
        let machine = &Machine { control: control.clone(), ..machine.clone() };
        let mut command = die_with_us(machine.command(Serial::Pipe, store.as_deref())?);
        // Only here does QEMU tell a triple fault from any other reset.
        let resets = machine.logs.join(format!("{name}.resets.txt"));
        command.args(["-d", "cpu_reset", "-D"]).arg(&resets);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(create(&complaints)?);
        let mut child =
            command.spawn().with_context(|| format!("starting {}", machine.program.display()))?;
        let keyboard = child.stdin.take().context("QEMU has no standard input")?;
        let output = child.stdout.take().context("QEMU has no standard output")?;
        let (sender, said) = sync_channel(64);
        std::thread::spawn(move || listen(output, log, &sender));
        Ok(Self {
            control,
            qmp: None,
            picture: machine.logs.join(format!("{name}.ppm")),
            child,
            keyboard,
            said,
            transcript: Vec::new(),
            panicked: false,
            store,
            complaints,
            resets,
        })
    }

    /// Waits for something to happen, no longer than until `deadline`.
    pub(crate) fn next(&mut self, deadline: Instant) -> Result<Event> {
        let patience = deadline.saturating_duration_since(Instant::now());
        match self.said.recv_timeout(patience) {
            Ok(bytes) => {
                self.note(&bytes);
                Ok(Event::Said(bytes))
            }
            Err(RecvTimeoutError::Timeout) => Ok(Event::Silence),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().context("waiting for QEMU")?;
                Ok(Event::Ended(self.ending(status)))
            }
        }
    }

    /// Types `keys`. A guest that is gone already takes none; the next event says so.
    pub(crate) fn type_keys(&mut self, keys: &[u8]) {
        let _gone = self.keyboard.write_all(keys).and_then(|()| self.keyboard.flush());
    }

    /// The image of its emergency store, if it has one.
    pub(crate) fn store(&self) -> Option<&Path> {
        self.store.as_deref()
    }

    /// QEMU's control line.
    pub(crate) fn qmp(&mut self) -> Result<&mut Qmp> {
        let socket = self.control.as_ref().context("the machine has no control line")?;
        match &mut self.qmp {
            Some(qmp) => Ok(qmp),
            none => Ok(none.insert(Qmp::connect(socket)?)),
        }
    }

    /// The text on the screen, a line for each row.
    pub(crate) fn screen(&mut self) -> Result<String> {
        let file = self.picture.clone();
        self.qmp()?.screendump(&file)?;
        picture::text(&file)
    }

    /// All that the serial port said up to the last event.
    pub(crate) fn transcript(&self) -> &[u8] {
        &self.transcript
    }

    /// Whether the kernel has panicked.
    pub(crate) fn has_panicked(&self) -> bool {
        self.panicked
    }

    fn note(&mut self, bytes: &[u8]) {
        // Only what is new, and as much before it as the text could have begun in.
        let from = self.transcript.len().saturating_sub(PANIC.len());
        self.transcript.extend_from_slice(bytes);
        self.panicked |= self.transcript[from..].windows(PANIC.len()).any(|text| text == PANIC);
    }

    /// What QEMU itself had to say, an error as a rule.
    pub(crate) fn complaints(&self) -> String {
        let text = std::fs::read(&self.complaints).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_end().into()
    }

    fn ending(&self, status: ExitStatus) -> Ending {
        match Ending::of(status) {
            Ending::Reset if self.has_triple_fault() => Ending::TripleFault,
            ending => ending,
        }
    }

    fn has_triple_fault(&self) -> bool {
        let notes = std::fs::read(&self.resets).unwrap_or_default();
        String::from_utf8_lossy(&notes).contains("Triple fault")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already, which is what we want.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        if let Some(socket) = &self.control {
            // One that stays is in nobody's way: the next QEMU replaces it.
            let _stays = std::fs::remove_file(socket);
        }
    }
}

impl Ending {
    /// What QEMU's exit status says.
    pub(crate) fn of(status: ExitStatus) -> Self {
        match status.code() {
            Some(0) => Self::Reset,
            // The exit device ends QEMU with 2 × code + 1. A QEMU that could not start ends with
            // 1, which would be code 0: nobody writes that.
            Some(code) if code > 1 && code & 1 == 1 => Self::Code((code >> 1) as u8),
            _ => Self::Broken(status),
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Code(EXIT_OK) => write!(f, "it shut down"),
            Self::Code(code) => write!(f, "it ended itself with code {code:#x}"),
            Self::Reset => write!(f, "the machine reset"),
            Self::TripleFault => write!(f, "the processor triple-faulted"),
            Self::Broken(status) => write!(f, "QEMU ended with {status}"),
        }
    }
}

/// Passes on what QEMU prints until it ends or nobody listens.
fn listen(mut output: ChildStdout, mut log: File, listener: &SyncSender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut buffer) {
        let bytes = &buffer[..length];
        // A full disk must not end the run: the log is for people.
        let _unlogged = log.write_all(bytes);
        if listener.send(bytes.into()).is_err() {
            return;
        }
    }
}

/// Makes the host end the command when the thread that starts it ends, however it ends.
pub(crate) fn die_with_us(command: Command) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return command;
    }
    let mut wrapped = Command::new(setpriv);
    wrapped.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
    wrapped
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("creating {}", path.display()))
}
