//! The services while they run: start in order, wait until ready, restart, stop in reverse.
//!
//! Never gives up on the rest because one service failed: what depends on it is left out, and
//! both are said.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::manifest::{Manifest, Service};
use crate::order::{OrderError, order};
use crate::process::{self, Death, Streams};
use crate::report::Report;
use crate::restart::{Decision, Ended, History};
use crate::sys;

/// How long a service may take until its schemes exist.
const READY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a service may take to end after `SIGTERM`.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks, at first and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// One service and its process.
#[derive(Debug)]
struct Slot {
    service: Service,
    process: Option<(Pid, Instant)>,
    history: History,
}

/// All services, in starting order.
#[derive(Debug)]
pub(crate) struct Supervisor {
    slots: Vec<Slot>,
    environment: BTreeMap<String, String>,
}

impl Supervisor {
    /// Orders the services; starts nothing.
    pub(crate) fn new(manifest: &Manifest) -> Result<Self, OrderError> {
        let slot = |at: usize| Slot {
            service: manifest.services[at].clone(),
            process: None,
            history: History::default(),
        };
        let slots = order(&manifest.services)?.into_iter().map(slot).collect();
        Ok(Self { slots, environment: manifest.environment() })
    }

    /// For a manifest whose services have no order.
    pub(crate) fn none(manifest: &Manifest) -> Self {
        Self { slots: Vec::new(), environment: manifest.environment() }
    }

    /// Whether a service gives this scheme.
    pub(crate) fn gives(&self, scheme: &str) -> bool {
        self.slots.iter().any(|slot| slot.service.schemes.iter().any(|name| name == scheme))
    }

    /// The names in starting order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.service.name.as_str())
    }

    /// Starts every service and waits until each is ready.
    pub(crate) fn start_all(&mut self, report: &mut Report) {
        for at in 0..self.slots.len() {
            if let Some(missing) = self.missing_need(at) {
                let name = &self.slots[at].service.name;
                report.say(format_args!("{name}: not started: `{missing}` is not running"));
                continue;
            }
            if self.start(at, report) {
                self.wait_ready(at, report);
            }
        }
    }

    /// The first need of a service that is not up.
    fn missing_need(&self, at: usize) -> Option<&str> {
        let is_up = |name: &String| {
            self.slots.iter().any(|slot| slot.service.name == *name && slot.process.is_some())
        };
        self.slots[at].service.needs.iter().find(|name| !is_up(name)).map(String::as_str)
    }

    fn start(&mut self, at: usize, report: &mut Report) -> bool {
        let service = &self.slots[at].service;
        let name = &service.name;
        let (command, args) = command_of(service);
        match process::start(&command, &args, &self.environment, Streams::daemon()) {
            Ok(pid) => self.slots[at].process = Some((pid, Instant::now())),
            Err(error) => report.say(format_args!("{name}: cannot start {command}: {error}")),
        }
        self.slots[at].process.is_some()
    }

    /// Looks at `sys:scheme` until all the service's schemes are there, it ended, or time is up.
    fn wait_ready(&mut self, at: usize, report: &mut Report) {
        let schemes = self.slots[at].service.schemes.clone();
        if schemes.is_empty() {
            return;
        }
        let start = Instant::now();
        let mut pause = LOOK.0;
        loop {
            let there = match fs::read_to_string("/scheme/sys/scheme") {
                Ok(there) => there,
                Err(error) => return report.say(format_args!("sys:scheme: {error}")),
            };
            let Some(scheme) = sys::first_missing(&there, &schemes) else { return };
            while let Some(death) = process::reap_one() {
                self.ended(death, report);
            }
            let name = &self.slots[at].service.name;
            if self.slots[at].process.is_none() {
                return report.say(format_args!("{name}: ended before `{scheme}:` was there"));
            }
            if start.elapsed() > READY_TIMEOUT {
                let limit = READY_TIMEOUT.as_secs();
                let text = format_args!("{name}: `{scheme}:` is not there after {limit} s");
                return report.say(text);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK.1);
        }
    }

    /// Takes note of a process that ended; an orphan is nobody's and needs no more.
    pub(crate) fn ended(&mut self, (pid, how): Death, report: &mut Report) {
        let is_it = |slot: &Slot| slot.process.is_some_and(|(running, _)| running == pid);
        let Some(at) = self.slots.iter().position(is_it) else { return };
        let slot = &mut self.slots[at];
        let (_, since) = slot.process.take().expect("found by its process");
        let name = slot.service.name.clone();
        match slot.history.decide(slot.service.restart, how, since.elapsed()) {
            Decision::Leave => report.say(format_args!("{name}: {how}")),
            Decision::GiveUp => {
                report.say(format_args!("{name}: {how}; ends too often, left alone"))
            }
            Decision::Restart => {
                report.say(format_args!("{name}: {how}; starting it again"));
                self.start(at, report);
            }
        }
    }

    /// Stops every service, the last started first.
    pub(crate) fn stop_all(&mut self, report: &mut Report) {
        for at in (0..self.slots.len()).rev() {
            let Some((pid, _)) = self.slots[at].process.take() else { continue };
            if !stop(pid) {
                let name = &self.slots[at].service.name;
                report.say(format_args!("{name}: did not end on SIGTERM; killed"));
            }
        }
    }
}

/// Ends one process: politely, then by force. False when force was needed.
pub(crate) fn stop(pid: Pid) -> bool {
    let start = Instant::now();
    let mut pause = LOOK.0;
    if kill(pid, Signal::SIGTERM).is_err() {
        return true;
    }
    while start.elapsed() < STOP_TIMEOUT {
        while let Some((ended, _)) = process::reap_one() {
            if ended == pid {
                return true;
            }
        }
        // It may have been reaped as one of several while another was stopped.
        if kill(pid, None).is_err() {
            return true;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LOOK.1);
    }
    // Nothing is left to do if even this fails: the machine is about to stop.
    let _ = kill(pid, Signal::SIGKILL);
    false
}

/// How a process ended, told while others end too: each of those goes to the supervisor.
/// `None` when a stop was asked for first.
pub(crate) fn wait_for(pid: Pid, services: &mut Supervisor, report: &mut Report) -> Option<Ended> {
    loop {
        if process::stop_asked().is_some() {
            return None;
        }
        match process::wait_any() {
            Ok(Some((ended, how))) if ended == pid => return Some(how),
            Ok(Some(death)) => services.ended(death, report),
            Ok(None) => {}
            Err(error) => {
                report.say(format_args!("process {pid} is lost: {error}"));
                return Some(Ended::Exited(1));
            }
        }
    }
}

/// The program of a service and its arguments: through `limit` when it has limits of memory.
fn command_of(service: &Service) -> (String, Vec<String>) {
    let limits = [("-j", &service.memory), ("-m", &service.memory_each)];
    let mut words: Vec<String> = limits
        .into_iter()
        .filter_map(|(option, size)| Some([option.to_owned(), size.clone()?]))
        .flatten()
        .collect();
    if words.is_empty() {
        return (service.command.clone(), service.args.clone());
    }
    words.push(service.command.clone());
    words.extend(service.args.iter().cloned());
    ("/bin/limit".into(), words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn limits_come_before_the_command() {
        let text = "[[service]]\nname='a'\ncommand='/a'\nargs=['x']\n\
                    [[service]]\nname='b'\ncommand='/b'\nargs=['y']\n\
                    memory='4M'\nmemory_each='2M'\n";
        let manifest = Manifest::parse(text).unwrap();
        let [plain, limited] = &manifest.services[..] else { panic!("two services") };
        assert_eq!(command_of(plain), ("/a".into(), vec!["x".into()]));
        let words = ["-j", "4M", "-m", "2M", "/b", "y"].map(String::from).to_vec();
        assert_eq!(command_of(limited), ("/bin/limit".into(), words));
    }
}
