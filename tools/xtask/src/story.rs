//! `tests/qemu/*.toml` — a story: what is done to a fresh machine, and what must come of it.
//!
//! A step is either a command line for a machine of its own (`exec`, judged by its exact bytes
//! and its status) or part of one conversation over the serial console (`line`, `send`, `expect`,
//! `ends`). tests/qemu/README.md describes every field.

use crate::machine::Bus;
use crate::root::{DiskStep, Wanted};
use crate::store::{Device, Fault, StoreDisk, StoreStep};
use anyhow::{Context as _, Result, bail, ensure};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// One story, checked.
#[derive(Debug)]
pub(crate) struct Story {
    /// The file's name without `.toml`.
    pub(crate) name: String,
    /// Once for each number of CPUs.
    pub(crate) cpus: Vec<u32>,
    pub(crate) memory_mib: u32,
    /// A disk for the emergency store, the same for all machines of the story.
    pub(crate) has_store: bool,
    /// Behind which device, and what goes wrong with it.
    pub(crate) store: StoreDisk,
    /// More of the kernel's command line.
    pub(crate) append: String,
    /// For each machine of the story.
    pub(crate) limit: Duration,
    /// What no console may show.
    pub(crate) forbid: Vec<Regex>,
    /// Whether the machines of the story have a disk, the same one.
    pub(crate) has_disk: bool,
    /// What the disk hangs on; once for each.
    pub(crate) buses: Vec<Bus>,
    /// More words for QEMU.
    pub(crate) qemu: Vec<String>,
    /// Whether firmware boots that disk, instead of QEMU the kernel.
    pub(crate) has_firmware: bool,
    /// Whether the machines have a screen and a keyboard.
    pub(crate) has_screen: bool,
    /// Why it is not run yet.
    pub(crate) off: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Debug)]
pub(crate) enum Step {
    /// A command line on a machine of its own.
    Exec(Exec),
    /// Keys, as they are.
    Send(String),
    /// Wait until the console shows this.
    Expect(Regex),
    /// Wait until the guest ends like this.
    Ends(Ends),
    /// Characters on the keyboard.
    Keys(String),
    /// Keys of the keyboard together.
    Press(Vec<String>),
    /// Wait until the screen shows this.
    Shows(Regex),
    /// Keep a picture of the screen.
    Picture(String),
    /// Between two machines: take a file off the disk's EFI partition.
    EspRemove(String),
    /// Between two machines: write a text to a file there.
    EspWrite(String, String),
    /// Ask for a device of QEMU's to be taken out.
    Unplug(String),
    /// Put a device in: what `-device` would be told, by name.
    Plug(BTreeMap<String, String>),
    /// Make the kernel panic, and wait until the console shows this.
    Interrupt(Regex),
    /// Pull the plug.
    Cut,
    /// Do nothing for a while, as a person does.
    Pause(Duration),
    /// A GDB on the host does this to the kernel, from its first instruction on, and prints that.
    KernelGdb(String, Vec<Regex>),
    /// Look into the emergency store, change it, or take it away.
    Store(StoreStep),
    /// Look at the disk from the host, or write to it, while no machine runs.
    Disk(DiskStep),
}

/// A command line and what must come of it.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) command: String,
    pub(crate) status: u8,
    /// Exactly this output.
    pub(crate) stdout: Option<String>,
    /// All of these somewhere in it.
    pub(crate) contains: Vec<String>,
    /// All of these match it.
    pub(crate) matches: Vec<Regex>,
    /// None of these anywhere in it.
    pub(crate) lacks: Vec<String>,
    /// A GDB on the host that debugs a program meanwhile.
    pub(crate) gdb: Option<Gdb>,
}

/// A GDB on the host, connected to the guest's second serial port.
#[derive(Debug)]
pub(crate) struct Gdb {
    /// What is typed to it once it is connected.
    pub(crate) commands: String,
    /// The program on the host, for its symbols.
    pub(crate) symbols: String,
    /// All of these match what it prints.
    pub(crate) matches: Vec<Regex>,
    /// It reads a core file that the guest writes to the port.
    pub(crate) reads_core: bool,
}

/// How a guest may end.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ends {
    /// Shut down.
    Shutdown,
    /// Reset.
    Reset,
}

impl Story {
    /// Reads the story in `path`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let name = path.file_stem().and_then(|stem| stem.to_str()).context("its name")?;
        let text = std::fs::read_to_string(path)?;
        Self::parse(name, &text)
    }

    /// Makes a story of a file's text.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        ensure!(!file.about.trim().is_empty(), "`about` says nothing");
        ensure!(!file.smp.is_empty() && !file.smp.contains(&0), "`smp` needs numbers of CPUs");
        ensure!(!file.step.is_empty(), "a story needs steps");
        ensure!(!file.bus.is_empty(), "`bus` needs names of buses");
        let needs_disk = !file.firmware || (file.disk && file.append.is_empty());
        ensure!(needs_disk, "`firmware` needs `disk`, and has no `append`");
        let steps = file.step.into_iter().enumerate().map(|(index, step)| {
            step.check().with_context(|| format!("step {} of the story", index + 1))
        });
        Ok(Self {
            name: name.into(),
            cpus: file.smp,
            memory_mib: file.mem,
            has_store: file.store,
            store: StoreDisk {
                device: file.store_device,
                faults: file.store_faults,
                is_partition: file.store_partition,
            },
            append: file.append,
            limit: Duration::from_secs(file.timeout),
            forbid: file.forbid.iter().map(|text| pattern(text)).collect::<Result<_>>()?,
            has_disk: file.disk,
            buses: file.bus,
            qemu: file.qemu,
            has_firmware: file.firmware,
            has_screen: file.screen,
            off: file.off,
            steps: steps.collect::<Result<_>>()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    #[serde(default = "one_cpu")]
    smp: Vec<u32>,
    #[serde(default = "memory_mib")]
    mem: u32,
    #[serde(default)]
    store: bool,
    #[serde(default)]
    store_device: Device,
    #[serde(default)]
    store_partition: bool,
    #[serde(default)]
    store_faults: Vec<Fault>,
    #[serde(default)]
    append: String,
    #[serde(default = "seconds")]
    timeout: u64,
    #[serde(default)]
    forbid: Vec<String>,
    #[serde(default)]
    disk: bool,
    #[serde(default = "virtio")]
    bus: Vec<Bus>,
    #[serde(default)]
    qemu: Vec<String>,
    #[serde(default)]
    firmware: bool,
    #[serde(default)]
    screen: bool,
    off: Option<String>,
    step: Vec<FileStep>,
}

fn one_cpu() -> Vec<u32> {
    vec![1]
}

fn virtio() -> Vec<Bus> {
    vec![Bus::Virtio]
}

fn memory_mib() -> u32 {
    512
}

fn seconds() -> u64 {
    60
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    exec: Option<String>,
    status: Option<u8>,
    stdout: Option<String>,
    #[serde(default)]
    stdout_contains: Vec<String>,
    #[serde(default)]
    stdout_matches: Vec<String>,
    #[serde(default)]
    stdout_lacks: Vec<String>,
    gdb: Option<String>,
    gdb_symbols: Option<String>,
    #[serde(default)]
    gdb_matches: Vec<String>,
    #[serde(default)]
    gdb_core: bool,
    kernel_gdb: Option<String>,
    line: Option<String>,
    send: Option<String>,
    expect: Option<String>,
    ends: Option<Ends>,
    #[serde(default)]
    cut: bool,
    pause_ms: Option<u64>,
    store_flip: Option<usize>,
    store_flip_at: Option<String>,
    store_holds: Option<String>,
    store_lacks: Option<String>,
    monitor: Option<String>,
    keys: Option<String>,
    press: Option<String>,
    shows: Option<String>,
    picture: Option<String>,
    nmi: Option<String>,
    unplug: Option<String>,
    plug: Option<BTreeMap<String, String>>,
    esp_remove: Option<String>,
    esp_write: Option<String>,
    disk_holds: Option<Wanted>,
    disk_put: Option<Wanted>,
}

impl FileStep {
    fn check(self) -> Result<Step> {
        if let Some(commands) = self.kernel_gdb {
            let says_more = self.exec.is_some() || self.line.is_some() || self.gdb.is_some();
            ensure!(!says_more, "`kernel_gdb` stands alone");
            return Ok(Step::KernelGdb(commands, patterns(&self.gdb_matches)?));
        }
        let judges = self.status.is_some()
            || self.stdout.is_some()
            || !self.stdout_contains.is_empty()
            || !self.stdout_matches.is_empty()
            || !self.stdout_lacks.is_empty();
        ensure!(self.exec.is_some() || !judges, "`status` and `stdout` belong to `exec`");
        if let Some(step) = self.screen_step()? {
            let says_more = judges
                || self.cut
                || self.exec.is_some()
                || self.line.is_some()
                || self.send.is_some()
                || self.expect.is_some()
                || self.ends.is_some()
                || self.pause_ms.is_some();
            ensure!(!says_more, "a step of screen and keyboard stands alone");
            return Ok(step);
        }
        let gdb = match (self.gdb, self.gdb_symbols) {
            (Some(commands), Some(symbols)) => {
                let (matches, reads_core) = (patterns(&self.gdb_matches)?, self.gdb_core);
                Some(Gdb { commands, symbols, matches, reads_core })
            }
            (None, None) if self.gdb_matches.is_empty() && !self.gdb_core => None,
            _ => bail!("`gdb` and `gdb_symbols` belong together"),
        };
        ensure!(self.exec.is_some() || gdb.is_none(), "`gdb` belongs to `exec`");
        let says_more = judges
            || self.exec.is_some()
            || self.line.is_some()
            || self.send.is_some()
            || self.expect.is_some()
            || self.ends.is_some()
            || self.pause_ms.is_some();
        let mut store_steps = [
            self.store_flip.map(StoreStep::Flip),
            self.store_flip_at.map(StoreStep::FlipAt),
            self.store_holds.map(StoreStep::Holds),
            self.store_lacks.map(StoreStep::Lacks),
            self.monitor.map(StoreStep::Monitor),
        ]
        .into_iter()
        .flatten();
        if let Some(step) = store_steps.next() {
            let is_alone = !says_more && !self.cut && store_steps.next().is_none();
            ensure!(is_alone, "what is done to the store stands alone");
            return Ok(Step::Store(step));
        }
        let mut disk_steps =
            [self.disk_holds.map(DiskStep::Holds), self.disk_put.map(DiskStep::Put)]
                .into_iter()
                .flatten();
        if let Some(step) = disk_steps.next() {
            let is_alone = !says_more && !self.cut && disk_steps.next().is_none();
            ensure!(is_alone, "what is done to the disk stands alone");
            return Ok(Step::Disk(step));
        }
        if self.cut {
            ensure!(!says_more, "`cut` stands alone");
            return Ok(Step::Cut);
        }
        match (self.exec, self.line, self.send, self.expect, self.ends, self.pause_ms) {
            (Some(command), None, None, None, None, None) => Ok(Step::Exec(Exec {
                command,
                status: self.status.unwrap_or(0),
                stdout: self.stdout,
                contains: self.stdout_contains,
                matches: patterns(&self.stdout_matches)?,
                lacks: self.stdout_lacks,
                gdb,
            })),
            // The Enter key sends a carriage return; the console's line discipline turns it.
            (None, Some(line), None, None, None, None) => Ok(Step::Send(line + "\r")),
            (None, None, Some(keys), None, None, None) => Ok(Step::Send(keys)),
            (None, None, None, Some(wanted), None, None) => Ok(Step::Expect(pattern(&wanted)?)),
            (None, None, None, None, Some(ends), None) => Ok(Step::Ends(ends)),
            (None, None, None, None, None, Some(ms)) => Ok(Step::Pause(Duration::from_millis(ms))),
            _ => bail!(
                "a step is one of `exec`, `line`, `send`, `expect`, `ends`, `cut`, `pause_ms`, \
                 `store_*`, `monitor`, `keys`, `press`, `shows`, `picture`, `nmi`, \
                 `unplug`, `plug`, `esp_remove`, `esp_write`, `disk_*`"
            ),
        }
    }

    /// The step, if it is one of screen and keyboard.
    fn screen_step(&self) -> Result<Option<Step>> {
        let combination = |keys: &String| keys.split('-').map(str::to_owned).collect();
        let steps = [
            self.keys.clone().map(Step::Keys),
            self.press.as_ref().map(combination).map(Step::Press),
            self.shows.as_deref().map(pattern).transpose()?.map(Step::Shows),
            self.picture.clone().map(Step::Picture),
            self.esp_remove.clone().map(Step::EspRemove),
            self.esp_write.as_deref().map(esp_write).transpose()?,
            self.unplug.clone().map(Step::Unplug),
            self.plug.clone().map(Step::Plug),
            self.nmi.as_deref().map(pattern).transpose()?.map(Step::Interrupt),
        ];
        let mut steps = steps.into_iter().flatten();
        let step = steps.next();
        ensure!(steps.next().is_none(), "a step is one thing");
        Ok(step)
    }
}

/// `PATH=TEXT`.
fn esp_write(text: &str) -> Result<Step> {
    let (path, text) = text.split_once('=').context("`esp_write` is PATH=TEXT")?;
    Ok(Step::EspWrite(path.into(), text.into()))
}

fn patterns(texts: &[String]) -> Result<Vec<Regex>> {
    texts.iter().map(|text| pattern(text)).collect()
}

/// `^` and `$` mean lines: so a pattern tells a command's output from the echo of the command.
fn pattern(text: &str) -> Result<Regex> {
    Ok(RegexBuilder::new(text).multi_line(true).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_is_read_with_its_defaults() {
        let text = "about = 'x'\n[[step]]\nexec = 'true'\n[[step]]\nline = 'ls'\n";
        let story = Story::parse("s", text).unwrap();
        assert_eq!((story.cpus, story.memory_mib, story.off), (vec![1], 512, None));
        assert!(matches!(&story.steps[0], Step::Exec(exec) if exec.status == 0));
        assert!(matches!(&story.steps[1], Step::Send(keys) if keys == "ls\r"));
    }

    #[test]
    fn a_story_that_says_two_things_or_nothing_is_refused() {
        for text in [
            "about = 'x'",
            "about = ''\n[[step]]\nexec = 'true'",
            "about = 'x'\nstep = []",
            "about = 'x'\nbus = []\n[[step]]\nexec = 'true'",
            "about = 'x'\nbus = ['scsi']\n[[step]]\nexec = 'true'",
            "about = 'x'\nfirmware = true\n[[step]]\nexec = 'true'",
            "about = 'x'\n[[step]]\nkeys = 'x'\nshows = 'x'",
            "about = 'x'\n[[step]]\nkeys = 'x'\nline = 'x'",
            "about = 'x'\nsmp = [0]\n[[step]]\nexec = 'true'",
            "about = 'x'\nsteps = 1\n[[step]]\nexec = 'true'",
            "about = 'x'\n[[step]]\nexec = 'true'\nline = 'x'",
            "about = 'x'\n[[step]]\nline = 'x'\nstatus = 1",
            "about = 'x'\n[[step]]\nexpect = '('",
            "about = 'x'\n[[step]]\nexec = 'true'\nstatus = 256",
            "about = 'x'\n[[step]]\nends = 'well'",
            "about = 'x'\n[[step]]\ncut = true\nline = 'x'",
            "about = 'x'\n[[step]]\nstore_flip = 1\nline = 'x'",
            "about = 'x'\n[[step]]\nstore_holds = 'x'\nmonitor = 'x'",
            "about = 'x'\n[[step]]\ndisk_holds = { path = 'x' }",
            "about = 'x'\n[[step]]\ncut = true\ndisk_put = { path = 'x', text = 'x' }",
            "about = 'x'\nstore_device = 'floppy'\n[[step]]\nexec = 'x'",
            "about = 'x'\nstore_faults = ['erase 1..2']\n[[step]]\nexec = 'x'",
        ] {
            assert!(Story::parse("s", text).is_err(), "{text}");
        }
    }

    #[test]
    fn anchors_mean_lines() {
        assert!(pattern("^hi$").unwrap().is_match("$ echo hi\nhi\n$ "));
        assert!(!pattern("^hi$").unwrap().is_match("$ echo hi\n"));
    }
}
