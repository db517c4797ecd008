//! `prof` — where a program spends its time.

use super::folded::{Folded, Sample};
use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};
use elf_files::symbols::Program;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

pub(crate) const TOOL: Tool = Tool {
    name: "prof",
    help: "\
prof - show where a program spends its time

Usage: prof record [-F HZ] [-o FILE] COMMAND [ARG...]
       prof record [-F HZ] [-o FILE] [-d SECONDS] -p PID
       prof report [FILE]
       prof folded [FILE]

`record` looks at the program, and the processes it makes, HZ times a second of
each CPU, and writes how often each stack was seen. `report` lists functions:
SELF is their share of the samples, TOTAL with what they call. `folded` prints
the stacks as flame graph tools read them.

Options:
  -F HZ       samples a second, at most 1000 (99)
  -p PID      a process that runs already, until it ends or -d is over
  -d SECONDS  how long (10)
  -o FILE     write to FILE (prof.out)
  -h, --help  print this text
  --version   print the version

Examples:
  prof record -o /tmp/p sort /share/doc/proc.md
  prof report /tmp/p

Files:
  proc:PID/profile

See also: top, pstack, strace
",
    run,
};

/// Samples are fetched so often: the kernel keeps some thousand.
const INTERVAL: Duration = Duration::from_millis(50);
const FILE: &str = "prof.out";

/// What `record` is to do.
struct Options {
    rate: u64,
    file: String,
    pid: Option<u32>,
    limit: Duration,
    command: Vec<String>,
}

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    match arguments.next()? {
        Some(Argument::Word(word)) if word == "record" => record(&options(arguments)?),
        Some(Argument::Word(word)) if word == "report" => {
            output(&read(arguments)?.report())?;
            Ok(0)
        }
        Some(Argument::Word(word)) if word == "folded" => {
            output(&read(arguments)?.text())?;
            Ok(0)
        }
        Some(other) => Err(other.unexpected()),
        None => Err(Failure::Usage("record, report or folded?".into())),
    }
}

fn read(arguments: &mut Arguments) -> Result<Folded, Failure> {
    let path = match arguments.next()? {
        Some(Argument::Word(word)) => word,
        Some(other) => return Err(other.unexpected()),
        None => FILE.to_owned(),
    };
    let text = fs::read_to_string(&path).map_err(|error| Failure::of(&path, error))?;
    Folded::parse(&text).map_err(|line| Failure::Failed(format!("{path}: line {line}: no stack")))
}

fn options(arguments: &mut Arguments) -> Result<Options, Failure> {
    let limit = Duration::from_secs(10);
    let mut options =
        Options { rate: 99, file: FILE.to_owned(), pid: None, limit, command: Vec::new() };
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('F') => options.rate = arguments.value()?,
            Argument::Short('o') => options.file = arguments.text()?,
            Argument::Short('p') => options.pid = Some(super::number(&arguments.text()?)?),
            Argument::Short('d') => options.limit = Duration::from_secs(arguments.value()?),
            Argument::Word(word) => {
                options.command = vec![word];
                options.command.extend(arguments.rest()?);
            }
            other => return Err(other.unexpected()),
        }
    }
    let most = abi::watch::SAMPLE_RATE_MAX;
    if !(1..=most).contains(&options.rate) {
        return Err(Failure::Usage(format!("-F {}: from 1 to {most}", options.rate)));
    }
    if options.pid.is_some() != options.command.is_empty() {
        return Err(Failure::Usage("either a command or -p PID".into()));
    }
    Ok(options)
}

/// Records until the program ends or the time is over. The status is the command's.
fn record(options: &Options) -> Result<u8, Failure> {
    let mut out = File::create(&options.file).map_err(|e| Failure::of(&options.file, e))?;
    let (pid, mut recorder) = match options.pid {
        Some(pid) => (pid, Recorder::begin(pid, options.rate)?),
        None => start(options)?,
    };
    let has_child = options.pid.is_none();
    let deadline = Instant::now() + options.limit;
    let status = loop {
        std::thread::sleep(INTERVAL);
        let ended = if has_child { end_of(pid)? } else { None };
        recorder.fetch()?;
        if let Some(status) = ended {
            break status;
        }
        let is_over = Instant::now() >= deadline || super::text(pid, "name").is_err();
        if !has_child && is_over {
            break 0;
        }
    };
    out.write_all(recorder.folded.text().as_bytes()).map_err(|e| Failure::of(&options.file, e))?;
    let (count, lost) = (recorder.folded.count(), recorder.lost);
    eprintln!("prof: {count} samples, {lost} lost, written to {}", options.file);
    Ok(status)
}

/// Starts the command, which is watched from its first instruction on.
fn start(options: &Options) -> Result<(u32, Recorder), Failure> {
    let failed = |error| Failure::of(&options.command[0], error);
    let launched = tracer::launch("prof", &options.command, false).map_err(failed)?;
    let pid = launched.session.pid();
    let recorder = Recorder::begin(pid, options.rate)?;
    // It goes on when the session is dropped.
    drop(launched.into_session());
    Ok((pid, recorder))
}

/// The exit status of the command, once it has ended.
fn end_of(pid: u32) -> Result<Option<u8>, Failure> {
    match waitpid(Pid::from_raw(pid as i32), Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Ok(Some(code as u8)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(128 + signal as u8)),
        Ok(_) => Ok(None),
        Err(error) => Err(Failure::of("the command", error)),
    }
}

/// Fetches samples and counts stacks.
struct Recorder {
    file: File,
    /// Programs by path: a process may become another.
    programs: BTreeMap<String, Program>,
    /// Path and name of each process, as they were when it was last seen.
    seen: BTreeMap<u32, (String, String)>,
    folded: Folded,
    lost: usize,
}

impl Recorder {
    fn begin(pid: u32, rate: u64) -> Result<Self, Failure> {
        let failed = |error| Failure::of(format_args!("process {pid}"), error);
        let mut options = OpenOptions::new();
        let path = format!("/scheme/proc/{pid}/profile");
        let mut file = options.read(true).write(true).open(path).map_err(failed)?;
        file.write_all(rate.to_string().as_bytes()).map_err(failed)?;
        let (programs, seen) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { file, programs, seen, folded: Folded::default(), lost: 0 })
    }

    fn fetch(&mut self) -> Result<(), Failure> {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = self.file.read(&mut bytes).map_err(|e| Failure::of("proc:profile", e))?;
            if count == 0 {
                return Ok(());
            }
            for sample in Sample::all(&bytes[..count]) {
                self.lost += sample.lost;
                self.add(&sample);
            }
        }
    }

    fn add(&mut self, sample: &Sample) {
        let fact = |name| super::text(sample.pid, name).map(|text| text.trim_end().to_owned());
        if let (Ok(path), Ok(name)) = (fact("exe"), fact("name")) {
            self.seen.insert(sample.pid, (path, name));
        }
        let (path, name) = self.seen.get(&sample.pid).cloned().unwrap_or_default();
        let program = self.programs.entry(path).or_insert_with(|| super::program(sample.pid).1);
        let name = if name.is_empty() { "[ended]" } else { name.as_str() };
        let places = sample.places.iter().enumerate().rev().map(|(depth, place)| {
            // A return address may be the first one behind a function that never returns.
            let inside = if depth == 0 { *place } else { place.saturating_sub(1) };
            program.find(inside).map_or("??", |(name, _)| name)
        });
        self.folded.add(std::iter::once(name).chain(places));
    }
}
