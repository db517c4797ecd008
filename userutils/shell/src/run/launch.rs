//! Children: pipelines, the background, and who has the terminal.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::signal::Signal;
use nix::unistd::{Pid, setpgid};

use super::simple::Prepared;
use super::{Escape, Flow, Place};
use crate::ast::{Chain, Command, Item, List};
use crate::jobs::Job;
use crate::state::Shell;
use crate::system::{self, Ended, Terminal, Waited};

/// What a child is for.
#[derive(Debug)]
pub enum Part<'a> {
    /// A member of a pipeline.
    Command(&'a Command),
    /// `( list )` and `$(list)`.
    List(&'a List),
    /// `a && b &`.
    Chain(&'a Chain),
    /// A program whose arguments are known.
    Program(&'a Prepared<'a>),
}

/// A pipeline that was started.
struct Started {
    group: Option<Pid>,
    pids: Vec<Pid>,
}

impl Shell {
    /// Runs a pipeline and waits for it; the status of its last member.
    pub(super) fn foreground(&mut self, parts: &[Part]) -> Flow {
        let started = self.start(parts, true);
        let Some(Started { group, pids }) = self.said(started) else { return Ok(1) };
        let text = self.typed.clone();
        self.wait_foreground(Job::new(group, &pids, &text))
    }

    /// `item &`.
    pub(super) fn background(&mut self, item: &Item) -> Flow {
        let chain = &item.chain;
        let whole = [Part::Chain(chain)];
        let members: Vec<Part> = chain.first.commands.iter().map(Part::Command).collect();
        let one_pipeline = chain.rest.is_empty() && !chain.first.negated;
        let started = self.start(if one_pipeline { &members } else { &whole }, false);
        let Some(Started { group, pids }) = self.said(started) else { return Ok(1) };
        let last = *pids.last().expect("a pipeline has members");
        self.last_background = Some(last);
        let number = self.jobs.add(group, pids, &item.text);
        if self.is_interactive() {
            // Not worth a failure if it cannot be said.
            let _ = system::print(&format!("[{number}] {last}\n"));
        }
        Ok(0)
    }

    fn said<T>(&self, result: io::Result<T>) -> Option<T> {
        result.map_err(|error| self.complain(format_args!("cannot start a process: {error}"))).ok()
    }

    /// Starts every member with pipes between them. When one cannot be started, those before it
    /// end by themselves: their pipe has no reader.
    fn start(&mut self, parts: &[Part], foreground: bool) -> io::Result<Started> {
        let mut started = Started { group: None, pids: Vec::new() };
        let mut input: Option<OwnedFd> = None;
        for (at, part) in parts.iter().enumerate() {
            let is_last = at + 1 == parts.len();
            let pipe = if is_last { None } else { Some(std::io::pipe()?) };
            let (reader, writer) = pipe.unzip();
            let (group, has_input) = (started.group, input.is_some());
            let terminal = self.terminal.as_ref().map(Terminal::try_clone).transpose()?;
            let pid = self.fork_child(part, || {
                join_group(terminal.as_ref(), group, foreground);
                if !foreground && terminal.is_none() {
                    system::ignore_keyboard()?;
                    if !has_input {
                        system::put(system::null()?.as_raw_fd(), 0)?;
                    }
                }
                input.iter().try_for_each(|input| system::put(input.as_raw_fd(), 0))?;
                writer.iter().try_for_each(|writer| system::put(writer.as_raw_fd(), 1))
            })?;
            input = reader.map(OwnedFd::from);
            if let Some(terminal) = &self.terminal {
                let group = *started.group.get_or_insert(pid);
                // Parent and child both do it, so that neither goes on before it is done.
                let _ = setpgid(pid, group);
                if foreground {
                    terminal.give(group);
                }
            }
            started.pids.push(pid);
        }
        Ok(started)
    }

    /// Makes a child that sets up its descriptors, does its part and ends.
    pub(crate) fn fork_child(
        &mut self,
        part: &Part,
        set_up: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Pid> {
        if let Some(pid) = system::fork()? {
            return Ok(pid);
        }
        let was_interactive = self.terminal.is_some();
        let ready = set_up().and_then(|()| match was_interactive {
            true => system::default_signals(),
            false => Ok(()),
        });
        self.terminal = None;
        self.jobs.clear();
        let status = match ready {
            Ok(()) => self.part(part),
            Err(error) => {
                self.complain(error);
                1
            }
        };
        system::exit_child(status)
    }

    fn part(&mut self, part: &Part) -> i32 {
        let flow = match part {
            Part::Command(command) => self.command(command, Place::Child),
            Part::List(list) => self.last_list(list),
            Part::Chain(chain) => self.chain(chain),
            Part::Program(prepared) => self.become_program(prepared),
        };
        flow.unwrap_or_else(|escape| escape.status(self.status))
    }

    /// Waits for every member, then takes the terminal back.
    pub(crate) fn wait_foreground(&mut self, mut job: Job) -> Flow {
        let mut last = Ended::Exited(0);
        let (mut interrupted, mut killed) = (false, false);
        let sees_stops = self.terminal.is_some();
        for at in 0..job.processes.len() {
            let (pid, ended) = job.processes[at];
            if let Some(ended) = ended {
                last = ended;
                continue;
            }
            // A Ctrl-C meant for the pipeline ends the pipeline; until then there is something
            // to wait for.
            last = loop {
                match system::wait(pid, sees_stops) {
                    Ok(Waited::Ended(ended)) => break ended,
                    Ok(Waited::Interrupted) => system::clear_interrupt(),
                    Ok(Waited::Stopped(signal)) => return self.set_aside(job, signal),
                    Err(_) => break Ended::Exited(127),
                }
            };
            job.processes[at].1 = Some(last);
            interrupted |= last == Ended::Signalled(Signal::SIGINT);
            killed |= matches!(last, Ended::Signalled(_));
            self.tell_death(last);
        }
        if let Some(terminal) = &self.terminal {
            terminal.give(nix::unistd::getpgrp());
            if killed {
                terminal.reset();
            }
            if interrupted {
                return Err(Escape::Interrupted);
            }
        }
        Ok(last.status())
    }

    /// The pipeline in the foreground has stopped: the person gets the terminal back.
    fn set_aside(&mut self, job: Job, signal: Signal) -> Flow {
        if let Some(terminal) = &self.terminal {
            terminal.give(nix::unistd::getpgrp());
            terminal.reset();
        }
        let number = self.jobs.add_stopped(job);
        if let Some(job) = self.jobs.find(&format!("%{number}")) {
            // Behind the `^Z` of the terminal. Not worth a failure if it cannot be said.
            let _ = system::print(&format!("\n{}\n", job.describe()));
        }
        // What follows on the same line would run without what it was to come after.
        Err(Escape::Stopped(128 + signal as i32))
    }

    /// A program that dies by a signal cannot say so itself. Ctrl-C and a closed pipe are
    /// everyday ends.
    fn tell_death(&self, ended: Ended) {
        match ended {
            Ended::Exited(_) | Ended::Signalled(Signal::SIGINT | Signal::SIGPIPE) => {}
            Ended::Signalled(signal) => self.complain(format_args!("killed by {signal}")),
        }
    }
}

/// In the child: its own group, or the one its pipeline has.
fn join_group(terminal: Option<&Terminal>, group: Option<Pid>, foreground: bool) {
    let Some(terminal) = terminal else { return };
    let own = Pid::from_raw(0);
    // The parent does the same; whoever is second changes nothing.
    let _ = setpgid(own, group.unwrap_or(own));
    if foreground {
        terminal.give(nix::unistd::getpgrp());
    }
}
