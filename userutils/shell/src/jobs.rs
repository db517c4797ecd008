//! Commands that run in the background, or have been stopped.

use nix::unistd::Pid;

use crate::system::{self, Ended, News};

/// One pipeline.
#[derive(Clone, Debug)]
pub struct Job {
    /// What `%n` names.
    pub number: usize,
    /// The process group, if it has its own.
    pub group: Option<Pid>,
    /// As it was typed.
    pub text: String,
    /// Its processes, each with how it ended.
    pub processes: Vec<(Pid, Option<Ended>)>,
    /// A signal has stopped it.
    pub is_stopped: bool,
}

impl Job {
    /// A pipeline that has been started and has no number yet.
    pub fn new(group: Option<Pid>, pids: &[Pid], text: &str) -> Self {
        let processes = pids.iter().map(|pid| (*pid, None)).collect();
        Self { number: 0, group, text: text.to_owned(), processes, is_stopped: false }
    }

    /// How the pipeline ended: as its last command did, once all have.
    pub fn ended(&self) -> Option<Ended> {
        let all = self.processes.iter().all(|(_, ended)| ended.is_some());
        self.processes.last().filter(|_| all)?.1
    }

    /// One line for `jobs`.
    pub fn describe(&self) -> String {
        let state = match self.ended() {
            None if self.is_stopped => "Stopped".to_owned(),
            None => "Running".to_owned(),
            Some(Ended::Exited(0)) => "Done".to_owned(),
            Some(Ended::Exited(status)) => format!("Exit {status}"),
            Some(Ended::Signalled(signal)) => signal.to_string(),
        };
        format!("[{}] {state:<10} {}", self.number, self.text)
    }

    /// Whether one of its processes has this id.
    pub fn has(&self, pid: Pid) -> bool {
        self.processes.iter().any(|(process, _)| *process == pid)
    }
}

/// All jobs, by number.
#[derive(Debug, Default)]
pub struct Jobs(Vec<Job>);

impl Jobs {
    /// Takes a pipeline in; the number it gets.
    pub fn add(&mut self, group: Option<Pid>, pids: Vec<Pid>, text: &str) -> usize {
        let number = self.0.last().map_or(1, |job| job.number + 1);
        let processes = pids.into_iter().map(|pid| (pid, None)).collect();
        self.0.push(Job { number, group, text: text.to_owned(), processes, is_stopped: false });
        number
    }

    /// Takes a job back that was in the foreground, and has stopped; the number it gets.
    pub fn add_stopped(&mut self, job: Job) -> usize {
        let number = self.0.last().map_or(1, |last| last.number + 1);
        self.0.push(Job { number, is_stopped: true, ..job });
        number
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut Job> {
        self.0.iter_mut().find(|job| job.number == number)
    }

    /// Looks which processes have ended.
    pub fn poll(&mut self) {
        for job in &mut self.0 {
            for (pid, ended) in job.processes.iter_mut().filter(|(_, ended)| ended.is_none()) {
                match system::poll(*pid) {
                    News::None => {}
                    News::Ended(how) => *ended = Some(how),
                    News::Stopped => job.is_stopped = true,
                    News::Continued => job.is_stopped = false,
                }
            }
        }
    }

    /// Takes out the jobs that have ended.
    pub fn take_ended(&mut self) -> Vec<Job> {
        self.0.extract_if(.., |job| job.ended().is_some()).collect()
    }

    /// The job that `%n`, `%%` or a process id names.
    pub fn find(&self, name: &str) -> Option<&Job> {
        match name.strip_prefix('%') {
            Some("" | "%" | "+") => self.0.last(),
            Some(number) => {
                let number: usize = number.parse().ok()?;
                self.0.iter().find(|job| job.number == number)
            }
            None => {
                let pid = Pid::from_raw(name.parse().ok()?);
                self.0.iter().find(|job| job.has(pid))
            }
        }
    }

    /// Takes out one job.
    pub fn take(&mut self, number: usize) -> Option<Job> {
        let at = self.0.iter().position(|job| job.number == number)?;
        Some(self.0.remove(at))
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Job> {
        self.0.iter()
    }

    /// In a child: the parent's jobs are not its own.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number)
    }

    #[test]
    fn jobs_are_found_by_number_and_process() {
        let mut jobs = Jobs::default();
        assert_eq!(jobs.add(None, vec![pid(100)], "a"), 1);
        assert_eq!(jobs.add(Some(pid(200)), vec![pid(200), pid(201)], "b | c"), 2);
        assert_eq!(jobs.find("%1").unwrap().text, "a");
        assert_eq!(jobs.find("%%").unwrap().text, "b | c");
        assert_eq!(jobs.find("201").unwrap().number, 2);
        assert!(jobs.find("%3").is_none() && jobs.find("9").is_none() && jobs.find("x").is_none());
        assert_eq!(jobs.take(1).unwrap().text, "a");
        assert_eq!(jobs.add(None, vec![pid(300)], "d"), 3);
    }

    #[test]
    fn a_job_ends_with_its_last_process() {
        let mut jobs = Jobs::default();
        jobs.add(None, vec![pid(1), pid(2)], "a | b");
        jobs.0[0].processes[1].1 = Some(Ended::Exited(3));
        assert!(jobs.0[0].describe().contains("Running"));
        assert!(jobs.take_ended().is_empty());
        jobs.0[0].processes[0].1 = Some(Ended::Exited(0));
        assert_eq!(jobs.take_ended()[0].describe(), "[1] Exit 3     a | b");
        jobs.add(None, vec![pid(5)], "c");
        let job = jobs.take(1).unwrap();
        assert_eq!(jobs.add_stopped(job), 1);
        assert_eq!(jobs.find("%%").unwrap().describe(), "[1] Stopped    c");
    }
}
