//! `cargo xtask` — the command line.

use crate::machine::{Accelerator, Machine};
use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt as _};
use std::ffi::OsString;
use std::time::Duration;

/// The help text.
pub(crate) const HELP: &str = "\
xtask - run Lifeboat in QEMU and judge what it prints

Usage: cargo xtask TASK [OPTIONS] [-- ARGUMENTS]

Tasks:
  qemu              boot to the shell on this terminal; Ctrl-A X quits
  exec -- CMD       boot, run CMD in the shell, print its output, end with its status;
                    125 if Lifeboat itself failed
  run -- PROGRAM    boot, run a program that was built on the host, with its arguments, its
                    package's files and cargo's variables; end with its status
  test [-- FILTER]  run the stories in tests/qemu; takes libtest's arguments
  bench             count instructions, beside Linux and Redox
  gdb               boot stopped, with GDB attached

Options:
  --kernel FILE     the kernel               (build/kernel.elf)
  --initrd FILE     the boot archive         (build/initfs.img)
  --smp N           CPUs                     (1)
  --mem MIB         memory                   (512)
  --debug-port PORT a second serial port for gdbserver, at this TCP port of the host
  --disk FILE       a disk image, read and written; may be repeated
  --bus BUS         what disks hang on: virtio, nvme or ahci (virtio)
  --store           a disk for the emergency store, freshly made
  --kvm             hardware virtualisation instead of emulation
  --append TEXT     more kernel command line; may be repeated
  --timeout SECONDS until exec gives up      (60)
  --qemu PROGRAM    the emulator             ($QEMU, or qemu-system-x86_64)
  --logs FOLDER     where serial logs go     (build/logs)
  --stories FOLDER  where test finds stories (tests/qemu)

Examples:
  cargo xtask exec --smp 4 -- 'ps; ls sys:'
  cargo xtask test -- pipes

Environment, for run:
  LIFEBOAT_SMP, LIFEBOAT_MEM   CPUs (2), MiB of memory (1024)
  LIFEBOAT_TIMEOUT             seconds until it gives up (300)
  LIFEBOAT_FILES               more files and folders to pack, with `:` between them
  LIFEBOAT_ENV                 names of variables to pass on; CARGO_* and RUST_* always are
";

/// One call of xtask, understood.
pub(crate) struct Request {
    pub(crate) machine: Machine,
    pub(crate) task: Task,
}

/// What to do.
pub(crate) enum Task {
    Help,
    Qemu,
    Gdb,
    Exec { command: String, limit: Duration },
    Run { words: Vec<OsString> },
    Test { arguments: Vec<OsString> },
    Bench,
}

impl Request {
    /// Reads the command line; the error says what is wrong with it.
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, lexopt::Error> {
        let mut machine = Machine::default();
        let mut limit = Duration::from_secs(60);
        let mut words: Vec<OsString> = Vec::new();
        let mut help = false;
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => help = true,
                Long("kernel") => machine.kernel = parser.value()?.into(),
                Long("initrd") => machine.initrd = parser.value()?.into(),
                Long("smp") => machine.cpus = parser.value()?.parse()?,
                Long("mem") => machine.memory_mib = parser.value()?.parse()?,
                Long("debug-port") => {
                    let port: u16 = parser.value()?.parse()?;
                    machine.debug_line = Some(format!("tcp:127.0.0.1:{port},server=on,wait=off"));
                }
                Long("disk") => machine.disks.push(parser.value()?.into()),
                Long("bus") => machine.bus = parser.value()?.parse()?,
                Long("store") => machine.has_store = true,
                Long("kvm") => machine.accelerator = Accelerator::Kvm,
                Long("append") => machine.append.push(parser.value()?.string()?),
                Long("timeout") => limit = Duration::from_secs(parser.value()?.parse()?),
                Long("qemu") => machine.program = parser.value()?,
                Long("logs") => machine.logs = parser.value()?.into(),
                Long("stories") => machine.stories = parser.value()?.into(),
                Value(word) => words.push(word),
                other => return Err(other.unexpected()),
            }
        }
        let task = if help { Task::Help } else { Self::task(words, limit)? };
        Ok(Self { machine, task })
    }

    fn task(words: Vec<OsString>, limit: Duration) -> Result<Task, lexopt::Error> {
        let mut words = words.into_iter();
        let Some(name) = words.next() else { return Ok(Task::Help) };
        let rest: Vec<OsString> = words.collect();
        match name.to_str() {
            Some("exec") => {
                let [command] = <[OsString; 1]>::try_from(rest)
                    .map_err(|_| "exec takes one command line: exec -- 'ls sys:'")?;
                Ok(Task::Exec { command: command.string()?, limit })
            }
            Some("run") => Ok(Task::Run { words: rest }),
            Some("test") => Ok(Task::Test { arguments: rest }),
            Some(name) if !rest.is_empty() => Err(format!("{name} takes no arguments").into()),
            Some("qemu") => Ok(Task::Qemu),
            Some("gdb") => Ok(Task::Gdb),
            Some("bench") => Ok(Task::Bench),
            _ => Err(format!("no task is called {}", name.display()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Request, lexopt::Error> {
        Request::parse(Parser::from_args(words))
    }

    #[test]
    fn exec_keeps_its_command_in_one_piece() {
        let request = parse(&["exec", "--smp", "4", "--", "ls -l; echo $?"]).unwrap();
        assert_eq!(request.machine.cpus, 4);
        assert!(matches!(request.task, Task::Exec { command, .. } if command == "ls -l; echo $?"));
    }

    #[test]
    fn a_misspelt_command_line_is_an_error() {
        for words in [&["boot"][..], &["exec"], &["exec", "a", "b"], &["qemu", "x"], &["--smp"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
        assert!(parse(&["qemu", "--smp", "many"]).is_err());
    }

    #[test]
    fn test_hands_its_arguments_on() {
        let request = parse(&["test", "--", "--exact", "pipes"]).unwrap();
        assert!(matches!(request.task, Task::Test { arguments } if arguments.len() == 2));
    }
}
