//! Background commands and signals.

use std::str::FromStr;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::{failure, usage};
use crate::run::{Escape, Flow};
use crate::state::Shell;
use crate::system::{self, Waited};

pub(super) fn jobs(shell: &mut Shell, _: &[String], output: &mut String) -> Flow {
    shell.jobs.poll();
    for job in shell.jobs.iter() {
        output.push_str(&(job.describe() + "\n"));
    }
    shell.jobs.take_ended();
    Ok(0)
}

pub(super) fn wait(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let mut status = 0;
    if args.len() == 1 {
        let numbers: Vec<usize> = shell.jobs.iter().map(|job| job.number).collect();
        for number in numbers {
            finish(shell, number)?;
        }
    }
    for name in &args[1..] {
        status = match shell.jobs.find(name).map(|job| job.number) {
            Some(number) => finish(shell, number)?,
            None => {
                shell.complain(format_args!("wait: {name}: no such background command"));
                127
            }
        };
    }
    Ok(status)
}

/// Waits for every process of a job. After Ctrl-C the job is still one.
fn finish(shell: &mut Shell, number: usize) -> Flow {
    shell.jobs.poll();
    let Some(job) = shell.jobs.take(number) else { return Ok(127) };
    let mut last = job.ended().map_or(0, |ended| ended.status());
    for &(pid, ended) in &job.processes {
        last = match ended {
            Some(ended) => ended.status(),
            None => match system::wait(pid, false) {
                Ok(Waited::Ended(ended)) => ended.status(),
                Ok(Waited::Stopped(_) | Waited::Interrupted) => {
                    let pids = job.processes.iter().map(|(pid, _)| *pid).collect();
                    shell.jobs.add(job.group, pids, &job.text);
                    return Err(Escape::Interrupted);
                }
                Err(_) => 127,
            },
        };
    }
    Ok(last)
}

pub(super) fn foreground(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let name = args.get(1).map_or("%%", String::as_str);
    let found = shell.jobs.find(name).map(|job| job.number);
    let Some(mut job) = found.and_then(|it| shell.jobs.take(it)) else {
        return failure(shell, args, format_args!("{name}: no such command"));
    };
    // Now, and not with the rest of the output: the command is about to say something itself.
    let _ = system::print(&format!("{}\n", job.text));
    job.is_stopped = false;
    if let (Some(terminal), Some(group)) = (&shell.terminal, job.group) {
        terminal.give(group);
        let _ = signal::killpg(group, Signal::SIGCONT);
    }
    shell.wait_foreground(job)
}

pub(super) fn background(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let name = args.get(1).map_or("%%", String::as_str);
    let found = shell.jobs.find(name).map(|job| job.number);
    let Some(job) = found.and_then(|number| shell.jobs.get_mut(number)) else {
        return failure(shell, args, format_args!("{name}: no such command"));
    };
    job.is_stopped = false;
    let (number, group, text) = (job.number, job.group, job.text.clone());
    if let Some(group) = group
        && let Err(error) = signal::killpg(group, Signal::SIGCONT)
    {
        return failure(shell, args, format_args!("{name}: {}", error.desc()));
    }
    output.push_str(&format!("[{number}] {text} &\n"));
    Ok(0)
}

pub(super) fn kill(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let mut targets = &args[1..];
    let mut signal = Some(Signal::SIGTERM);
    match targets.first().map(String::as_str) {
        Some("-l") => return list(shell, args, output),
        Some("-s") if targets.len() > 1 => {
            signal = match by_name(&targets[1]) {
                Some(named) => named,
                None => return usage(shell, args, format_args!("{}: no such signal", targets[1])),
            };
            targets = &targets[2..];
        }
        Some("--") => targets = &targets[1..],
        Some(flag) if flag.starts_with('-') && flag.len() > 1 => {
            signal = match by_name(&flag[1..]) {
                Some(named) => named,
                None => return usage(shell, args, format_args!("{flag}: no such signal")),
            };
            targets = &targets[1..];
        }
        _ => {}
    }
    if targets.is_empty() {
        return usage(shell, args, "whom?");
    }
    let mut status = 0;
    for target in targets {
        if let Err(error) = send(shell, target, signal) {
            shell.complain(format_args!("kill: {target}: {error}"));
            status = 1;
        }
    }
    Ok(status)
}

/// All signals, or names for numbers and numbers for names.
fn list(shell: &Shell, args: &[String], output: &mut String) -> Flow {
    if args.len() == 2 {
        let line = |signal: Signal| format!("{:2} {}\n", signal as i32, signal.as_str());
        output.extend(Signal::iterator().map(line));
    }
    for name in &args[2..] {
        match (name.parse::<i32>(), by_name(name)) {
            (_, None) => return usage(shell, args, format_args!("{name}: no such signal")),
            (Ok(_), Some(Some(signal))) => {
                output.push_str(signal.as_str().trim_start_matches("SIG"));
            }
            (_, Some(signal)) => output.push_str(&signal.map_or(0, |it| it as i32).to_string()),
        }
        output.push('\n');
    }
    Ok(0)
}

fn send(shell: &Shell, target: &str, signal: Option<Signal>) -> Result<(), String> {
    if target.starts_with('%') {
        let job = shell.jobs.find(target).ok_or("no such background command")?;
        return match job.group {
            Some(group) => signal::killpg(group, signal).map_err(|error| error.desc().to_owned()),
            None => job.processes.iter().filter(|(_, ended)| ended.is_none()).try_for_each(
                |(pid, _)| signal::kill(*pid, signal).map_err(|error| error.desc().to_owned()),
            ),
        };
    }
    let pid: i32 = target.parse().map_err(|_| "is no process id")?;
    signal::kill(Pid::from_raw(pid), signal).map_err(|error| error.desc().to_owned())
}

/// `9`, `KILL`, `SIGKILL`, in any case; `0` is no signal, only a question.
fn by_name(name: &str) -> Option<Option<Signal>> {
    if let Ok(number) = name.parse::<i32>() {
        // What `$?` shows after an end by a signal names it, too.
        let number = if number > 128 { number - 128 } else { number };
        return if number == 0 { Some(None) } else { Signal::try_from(number).ok().map(Some) };
    }
    let name = name.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    Signal::from_str(&name).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for name in ["9", "137", "KILL", "SIGKILL", "kill"] {
            assert_eq!(by_name(name), Some(Some(Signal::SIGKILL)), "{name}");
        }
        assert_eq!(by_name("0"), Some(None));
        assert_eq!((by_name("99"), by_name("NONE")), (None, None));
    }
}
