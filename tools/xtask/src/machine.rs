//! The machine that QEMU makes: a value, and the command line it stands for.
//!
//! Only the hardware is decided here. What runs on it and who reads its serial port is for the
//! callers.

use crate::firmware;
use crate::store::StoreDisk;
use anyhow::{Result, ensure};
use boot_info::COMMAND_LINE_MAX;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// QEMU's translator: works everywhere.
    Emulated,
    /// The translator counting instructions, one tick of the time-stamp counter each: a run
    /// repeats exactly.
    Counted,
    /// The host's processor.
    Kvm,
}

/// Where the guest's serial port ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serial<'a> {
    /// QEMU's own standard input and output, every byte as it is.
    Pipe,
    /// A person's terminal, with QEMU's monitor behind Ctrl-A; also kept in a file.
    Terminal(&'a Path),
    /// Only a file.
    File(&'a Path),
}

/// What disks hang on.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bus {
    /// A virtio block device each.
    #[default]
    Virtio,
    /// An NVM Express controller each.
    Nvme,
    /// The ports of the chipset's AHCI controller.
    Ahci,
}

impl Bus {
    /// QEMU's device for disk `number`, whose drive is `disk` and that number.
    fn device(self, number: usize) -> String {
        match self {
            Self::Virtio => format!("virtio-blk-pci,drive=disk{number}"),
            Self::Nvme => format!("nvme,serial={number},drive=disk{number}"),
            Self::Ahci => format!("ide-hd,bus=ide.{number},drive=disk{number}"),
        }
    }
}

impl std::str::FromStr for Bus {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "virtio" => Ok(Self::Virtio),
            "nvme" => Ok(Self::Nvme),
            "ahci" => Ok(Self::Ahci),
            _ => Err(format!("no bus is called {name}: virtio, nvme or ahci")),
        }
    }
}

/// The guest's screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Display {
    /// It has none.
    None,
    /// One that nobody sees: it is asked for pictures.
    Hidden,
    /// A window of the host.
    Window,
}

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) program: OsString,
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u32,
    pub(crate) accelerator: Accelerator,
    /// UEFI firmware that boots the first disk. Without it QEMU loads the kernel itself.
    pub(crate) firmware: Option<PathBuf>,
    /// Words of the kernel command line. Firmware takes them from the disk.
    pub(crate) append: Vec<String>,
    /// Where the host reaches the second serial port, if there is one, as QEMU names it.
    pub(crate) debug_line: Option<String>,
    /// Disk images, in the order of their PCI devices.
    pub(crate) disks: Vec<PathBuf>,
    /// What they hang on.
    pub(crate) bus: Bus,
    /// More words for QEMU.
    pub(crate) more: Vec<String>,
    /// What a story's own disk is copied from.
    pub(crate) image: PathBuf,
    /// A device that ends QEMU with a code. Without it a panicked kernel's screen can be seen.
    pub(crate) has_exit_device: bool,
    /// The screen.
    pub(crate) display: Display,
    /// Whether QEMU is to listen for commands although there is no screen.
    pub(crate) has_control: bool,
    /// Where QEMU listens for commands, if it does.
    pub(crate) control: Option<PathBuf>,
    /// A fresh disk for the emergency store, made in the folder for logs.
    pub(crate) has_store: bool,
    /// Behind which device it is, and what goes wrong with it.
    pub(crate) store: StoreDisk,
    /// The folder for serial logs.
    pub(crate) logs: PathBuf,
    /// The folder with the stories.
    pub(crate) stories: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            program: std::env::var_os("QEMU").unwrap_or_else(|| "qemu-system-x86_64".into()),
            kernel: "build/kernel.elf".into(),
            initrd: "build/initfs.img".into(),
            cpus: 1,
            memory_mib: 512,
            accelerator: Accelerator::Emulated,
            firmware: None,
            append: Vec::new(),
            debug_line: None,
            disks: Vec::new(),
            bus: Bus::default(),
            more: Vec::new(),
            image: "build/disk.img".into(),
            has_exit_device: true,
            display: Display::None,
            has_control: false,
            control: None,
            has_store: false,
            store: StoreDisk::default(),
            logs: "build/logs".into(),
            stories: "tests/qemu".into(),
        }
    }
}

impl Machine {
    /// This machine with one more word on its kernel command line.
    pub(crate) fn with(&self, word: impl Into<String>) -> Self {
        let mut machine = self.clone();
        machine.append.push(word.into());
        machine
    }

    /// The QEMU command that makes this machine.
    ///
    /// # Errors
    /// The kernel would not take so many words.
    pub(crate) fn command(&self, serial: Serial, store: Option<&Path>) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.args(self.processor_arguments());
        command.args(["-m", &self.memory_mib.to_string(), "-smp", &self.cpus.to_string()]);
        command.arg("-nodefaults");
        if self.display != Display::Window {
            command.args(["-display", "none"]);
        }
        if self.display != Display::None {
            command.args(["-device", "VGA"]);
        }
        if let Some(socket) = &self.control {
            let mut option = with_path("unix:", socket);
            option.push(",server=on,wait=off");
            command.arg("-qmp").arg(option);
        }
        // A person may reboot; a run that somebody judges ends there.
        if !matches!(serial, Serial::Terminal(_)) {
            command.arg("-no-reboot");
        }
        if self.has_exit_device {
            command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        }
        for (number, disk) in self.disks.iter().enumerate() {
            let drive = format!("if=none,format=raw,id=disk{number},file=");
            command.arg("-drive").arg(with_path(&drive, disk));
            command.args(["-device", &self.bus.device(number)]);
        }
        command.args(serial_arguments(serial));
        if let Some(line) = &self.debug_line {
            command.args(["-serial", line]);
        }
        if let Some(image) = store {
            command.args(self.store.arguments(image));
        }
        command.args(&self.more);
        match &self.firmware {
            Some(file) => command.args(firmware::arguments(file)),
            None => {
                command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initrd);
                command.args(["-append", &self.words()?])
            }
        };
        Ok(command)
    }

    /// The words of the kernel command line, if they are not too many.
    pub(crate) fn words(&self) -> Result<String> {
        let words = self.append.join(" ");
        ensure!(
            words.len() <= COMMAND_LINE_MAX,
            "the kernel command line has {} bytes, and the kernel takes {COMMAND_LINE_MAX} (a \
             command for `exec` counts twice): put a long command into a script",
            words.len(),
        );
        Ok(words)
    }

    fn processor_arguments(&self) -> Vec<&'static str> {
        match self.accelerator {
            Accelerator::Emulated => vec!["-M", "q35", "-accel", "tcg", "-cpu", "max"],
            Accelerator::Kvm => vec!["-M", "q35", "-accel", "kvm", "-cpu", "host"],
            // The seed and the clock take the host's entropy and time out of the run. Without
            // erms and fsrm every system copies eight bytes per counted iteration, not one.
            Accelerator::Counted => vec![
                "-M",
                "q35",
                "-accel",
                "tcg",
                "-icount",
                "shift=0,align=off,sleep=off",
                "-cpu",
                "max,-erms,-fsrm",
                "-seed",
                "1",
                "-rtc",
                "base=2026-01-01T00:00:00,clock=vm",
            ],
        }
    }
}

fn serial_arguments(serial: Serial) -> Vec<OsString> {
    let (chardev, monitor) = match serial {
        Serial::Pipe => ("stdio,id=serial,signal=off".into(), false),
        Serial::Terminal(log) => {
            (with_path("stdio,id=serial,mux=on,signal=off,logfile=", log), true)
        }
        Serial::File(log) => (with_path("file,id=serial,path=", log), false),
    };
    let mut arguments = vec!["-chardev".into(), chardev];
    arguments.extend(["-serial".into(), "chardev:serial".into()]);
    if monitor {
        arguments.extend(["-mon".into(), "chardev=serial,mode=readline".into()]);
    }
    arguments
}

/// An option value that ends in a path; QEMU wants commas in it doubled.
pub(crate) fn with_path(option: &str, path: &Path) -> OsString {
    OsString::from(format!("{option}{}", path.display().to_string().replace(',', ",,")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(machine: &Machine, serial: Serial) -> String {
        let command = machine.command(serial, None).unwrap();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn a_machine_becomes_a_command_line() {
        let machine = Machine { cpus: 4, memory_mib: 128, ..Machine::default() };
        let line = words(&machine.with("quiet").with("exec=6c73"), Serial::Pipe);
        assert!(line.contains("-accel tcg -cpu max -m 128 -smp 4"), "{line}");
        assert!(line.ends_with("-initrd build/initfs.img -append quiet exec=6c73"), "{line}");
        assert!(!line.contains("kvm") && !line.contains("icount"), "{line}");
    }

    #[test]
    fn what_the_kernel_would_cut_is_refused() {
        let fits = Machine::default().with("x".repeat(COMMAND_LINE_MAX));
        assert!(fits.words().is_ok());
        let why = fits.with("y").command(Serial::Pipe, None).unwrap_err().to_string();
        assert!(why.contains("2050 bytes"), "{why}");
    }

    #[test]
    fn a_screen_is_hidden_or_a_window() {
        let machine = Machine { control: Some("c,d".into()), ..Machine::default() };
        let line = words(&machine, Serial::Pipe);
        assert!(line.contains("-display none") && !line.contains("VGA"), "{line}");
        assert!(line.contains("-qmp unix:c,,d,server=on,wait=off"), "{line}");
        let hidden = Machine { display: Display::Hidden, ..Machine::default() };
        assert!(words(&hidden, Serial::Pipe).contains("-display none -device VGA"));
        let window = Machine { display: Display::Window, ..Machine::default() };
        assert!(!words(&window, Serial::Pipe).contains("-display"));
    }

    #[test]
    fn firmware_boots_the_disk_by_itself() {
        let machine = Machine {
            firmware: Some("/x/OVMF.fd".into()),
            disks: vec!["d.img".into()],
            ..Machine::default()
        };
        let line = words(&machine, Serial::Pipe);
        assert!(line.ends_with("-bios /x/OVMF.fd") && line.contains("file=d.img"), "{line}");
        assert!(!line.contains("-kernel") && !line.contains("-append"), "{line}");
    }

    #[test]
    fn counting_takes_the_hosts_clock_and_chance_away() {
        let machine = Machine { accelerator: Accelerator::Counted, ..Machine::default() };
        let line = words(&machine, Serial::Pipe);
        for needed in ["shift=0", "sleep=off", "max,-erms,-fsrm", "-seed 1", "clock=vm"] {
            assert!(line.contains(needed), "{needed} is missing: {line}");
        }
    }

    #[test]
    fn disks_hang_on_the_bus_that_was_chosen() {
        for (bus, device) in [
            ("virtio", "virtio-blk-pci,drive=disk0"),
            ("nvme", "nvme,serial=0,drive=disk0"),
            ("ahci", "ide-hd,bus=ide.0,drive=disk0"),
        ] {
            let (bus, disks) = (bus.parse().unwrap(), vec!["d".into()]);
            let line = words(&Machine { bus, disks, ..Machine::default() }, Serial::Pipe);
            assert!(line.contains(device), "{line}");
        }
        assert!("scsi".parse::<Bus>().is_err());
    }

    #[test]
    fn a_comma_in_a_log_path_is_doubled() {
        let line = words(&Machine::default(), Serial::File(Path::new("a,b.log")));
        assert!(line.contains("path=a,,b.log"), "{line}");
    }
}
