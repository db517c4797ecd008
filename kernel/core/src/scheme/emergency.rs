//! `emergency:` — what happens when memory runs out, and what has happened.
//!
//! `emergency:` lists its files; `emergency:status`, `log`, `snapshot`, `parked`, `pressure` and
//! `policy` are text. Writing a policy to `policy`, or `enter` or `resume PID` to `ctl`, is for root.
//! `pressure` is ready to be read each time the level changes, so it can be waited for with
//! `event:`. Reading `save` waits until the reader's job is to save its work.

use super::text::Subject;
use super::{Opened, Position, Scheme, directory::Entry};
use crate::emergency::policy::{Policy, Rule};
use crate::emergency::record::Name;
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::{Kind, UserSlice};
use crate::task::{Hold, Reason, Wait};
use abi::PAGE_SIZE;
use abi::redox::data::Stat;
use abi::redox::flag::*;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

type Read<M> = fn(&mut Kernel<M>) -> String;

/// The place of `save` among the files.
const SAVE: usize = 6;
/// The place of `daemon`.
const DAEMON: usize = 9;
type Write<M> = fn(&mut Kernel<M>, &str) -> Outcome<()>;

/// One file.
struct Row<M: Machine> {
    name: &'static str,
    read: Read<M>,
    write: Option<Write<M>>,
}

struct Rows<M>(core::marker::PhantomData<M>);

/// The place of `pressure` among the files.
const PRESSURE: usize = 3;

impl<M: Machine> Rows<M> {
    const ALL: &'static [Row<M>] = &[
        Row { name: "status", read: status, write: None },
        Row { name: "log", read: log, write: None },
        Row { name: "snapshot", read: snapshot, write: None },
        Row { name: "pressure", read: pressure_text, write: None },
        Row { name: "policy", read: |k| policy(k) + "\n", write: Some(set_policy) },
        Row { name: "ctl", read: |_| "enter\ntest\nresume PID\n".to_owned(), write: Some(command) },
        Row { name: "save", read: |_| String::new(), write: None },
        Row { name: "parked", read: parked, write: None },
        Row { name: "jobs", read: jobs, write: None },
        Row { name: "daemon", read: daemon, write: Some(|_, _| fail(EPERM)) },
    ];
}

pub(super) struct Emergency;

impl<M: Machine> Scheme<M> for Emergency {
    fn name(&self) -> &'static str {
        "emergency"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, flags: usize) -> Outcome<Opened> {
        let wants_write = flags & O_WRONLY != 0;
        if path.is_empty() {
            return Opened::positioned(k.texts.open(Subject::EmergencyList));
        }
        let found = Rows::<M>::ALL.iter().position(|row| row.name == path);
        let index = found.ok_or(Errno(ENOENT))?;
        let may_write =
            Rows::<M>::ALL[index].write.is_some() && k.processes[caller.process.0].ids.euid == 0;
        if wants_write && !may_write {
            return fail(EACCES);
        }
        let number = k.texts.open(Subject::Emergency(index));
        if index == DAEMON
            && wants_write
            && let Err(error) = k.register_oom_daemon(caller.process, number)
        {
            k.texts.close(number);
            return Err(error);
        }
        Opened::positioned(number)
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        k.read_text(caller, number, into, at.offset, |k, subject| match subject {
            Subject::Emergency(SAVE) => match k.seconds_to_save(caller.process) {
                Some(seconds) => Ok(format!("seconds: {seconds}\n")),
                None if at.is_nonblocking => fail(EAGAIN),
                None => Err(Stop::Park(Wait::on(Reason::Event, k.emergency.told_to_save))),
            },
            Subject::Emergency(DAEMON) if k.is_oom_daemon(caller.process) => {
                match k.asks(caller.process) {
                    Some((lease, missing)) => {
                        let jobs = snapshot(k);
                        Ok(format!("lease_ms: {lease}\nmissing: {missing}\n{jobs}"))
                    }
                    None if at.is_nonblocking => fail(EAGAIN),
                    None => Err(Stop::Park(Wait::on(Reason::Event, k.emergency.told_to_save))),
                }
            }
            Subject::Emergency(row) => Ok((Rows::<M>::ALL[row].read)(k)),
            _ => fail(EISDIR),
        })
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        _: Position,
    ) -> Outcome {
        let Subject::Emergency(row) = k.texts.subject(number)? else { return fail(EISDIR) };
        let write = Rows::<M>::ALL[row].write.ok_or(Errno(EACCES))?;
        let command = k.copy_in_command(caller, from)?;
        match row {
            DAEMON => k.oom_daemon_says(caller.process, command.trim())?,
            _ => write(k, command.trim())?,
        }
        Ok(from.length)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        k.texts.close(number);
        k.forget_oom_daemon(number);
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        match k.texts.subject(number) {
            // Whether the reader itself is to save, reading tells.
            Ok(Subject::Emergency(SAVE)) if k.emergency.saving.is_none() => EventFlags::empty(),
            Ok(Subject::Emergency(DAEMON)) if k.emergency.daemon.lease.is_none() => {
                EventFlags::EVENT_WRITE
            }
            _ => EventFlags::EVENT_READ | EventFlags::EVENT_WRITE,
        }
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        match k.texts.subject(number) {
            Ok(Subject::Emergency(row)) => Rows::<M>::ALL[row].name.to_owned(),
            _ => String::new(),
        }
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let st_mode = match k.texts.subject(number)? {
            Subject::Emergency(row) if Rows::<M>::ALL[row].write.is_some() => MODE_FILE | 0o644,
            Subject::Emergency(_) => MODE_FILE | 0o444,
            _ => MODE_DIR | 0o555,
        };
        Ok(Stat { st_mode, st_nlink: 1, ..Stat::default() })
    }

    fn entry(
        &self,
        k: &mut Kernel<M>,
        _: Caller,
        number: usize,
        from: usize,
    ) -> Outcome<Option<Entry>> {
        match k.texts.subject(number)? {
            Subject::EmergencyList => {
                Ok(Rows::<M>::ALL.get(from).map(|row| Entry::file(from, row.name)))
            }
            _ => fail(ENOTDIR),
        }
    }
}

/// Whether a text shows the level of pressure.
pub(crate) fn shows_pressure(subject: Subject) -> bool {
    subject == Subject::Emergency(PRESSURE)
}

/// Whether a text tells who is to save.
pub(crate) fn shows_saving(subject: Subject) -> bool {
    subject == Subject::Emergency(SAVE)
}

/// Whether a text asks the daemon.
pub(crate) fn shows_daemon(subject: Subject) -> bool {
    subject == Subject::Emergency(DAEMON)
}

/// Who is asked when memory runs out.
fn daemon<M: Machine>(k: &mut Kernel<M>) -> String {
    let Some(registered) = k.emergency.daemon.registered else { return "none\n".to_owned() };
    let (pid, seconds) = (registered.pid, registered.after_ns / 1_000_000_000);
    let name = Name(k.processes[registered.process.0].name().as_bytes()).to_string();
    let lease = k.emergency.daemon.lease_ns / 1_000_000;
    format!("pid: {pid}\nname: {name}\nafter_s: {seconds}\nlease_ms: {lease}\n")
}

/// Who has what now, by job: the processes of one group that run the same program.
fn jobs<M: Machine>(k: &mut Kernel<M>) -> String {
    let all = k.processes.iter().map(|(_, process)| process);
    let mut alive: Vec<_> = all.filter(|process| process.space.is_some()).collect();
    alive.sort_unstable_by(|a, b| (a.group, a.name(), a.pid).cmp(&(b.group, b.name(), b.pid)));
    let mut text = String::from("PID   PROCS RESIDENT  SHARED    WIRED     EVACUATED NAME\n");
    for job in alive.chunk_by(|a, b| (a.group, a.name()) == (b.group, b.name())) {
        let mut sums = [0; 4];
        for process in job {
            let Some(space) = process.space.and_then(|space| k.spaces.get(space.0)) else {
                continue;
            };
            let present = |kinds: &[Kind]| space.present_of(&k.machine, kinds);
            let wired = match k.is_essential(process) {
                true => space.resident,
                false => present(&[Kind::Wired, Kind::Window]),
            };
            let shared = present(&[Kind::Shared, Kind::Wired]);
            let counts = [space.resident, shared, wired, space.evacuated];
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        let [resident, shared, wired, evacuated] = sums.map(|pages| pages * PAGE_SIZE);
        let (pid, count, name) = (job[0].pid, job.len(), Name(job[0].name().as_bytes()));
        text += &format!(
            "{pid:<5} {count:<5} {resident:<9} {shared:<9} {wired:<9} {evacuated:<9} {name}\n"
        );
    }
    text
}

/// The jobs in the lot, and how much of each is there.
fn parked<M: Machine>(k: &mut Kernel<M>) -> String {
    let all = k.processes.iter().map(|(_, process)| process);
    let mut parked: Vec<_> = all.filter(|process| process.hold == Hold::Parked).collect();
    parked.sort_unstable_by_key(|process| (process.parked_with, process.pid));
    let mut text = String::new();
    for job in parked.chunk_by(|a, b| a.parked_with == b.parked_with) {
        let spaces = job.iter().filter_map(|process| k.spaces.get(process.space?.0));
        let kib: usize = spaces.map(|space| space.evacuated * PAGE_SIZE / 1024).sum();
        let is_coming = k.emergency.resuming.is_some_and(|r| r.job == job[0].parked_with);
        let state = if is_coming { "resuming" } else { "parked" };
        let name = Name(job[0].name().as_bytes());
        let (pid, count) = (job[0].parked_with, job.len());
        text += &format!("{pid} {state} {count} processes {kib} KiB {name}\n");
    }
    text
}

/// The level, and what it was made of.
pub(super) fn pressure_text<M: Machine>(k: &mut Kernel<M>) -> String {
    let counts = k.frames.totals();
    let percent = counts.free * 100 / counts.total.max(1);
    let (level, changes) = (k.emergency.level, k.emergency.level_changes);
    format!("level: {level}\nfree_percent: {percent}\nchanges: {changes}\n")
}

fn policy<M: Machine>(k: &Kernel<M>) -> String {
    match k.emergency.policy.0 {
        None => "never".to_owned(),
        Some((Rule::FastestGrowing, seconds)) => format!("fastest-growing,{seconds}s"),
        Some((Rule::Largest, seconds)) => format!("largest,{seconds}s"),
    }
}

fn set_policy<M: Machine>(k: &mut Kernel<M>, text: &str) -> Outcome<()> {
    k.emergency.policy = Policy::parse(text).ok_or(Errno(EINVAL))?;
    Ok(())
}

/// `enter`: the world stops now, as if memory had run out. `test`: it stops, the disk is measured,
/// everything goes there and comes back, and the world goes on. `resume PID`: a parked job comes back.
fn command<M: Machine>(k: &mut Kernel<M>, text: &str) -> Outcome<()> {
    match text {
        "enter" | "test" if !k.emergency.is_enabled => fail(EPERM),
        "enter" | "test" => {
            k.want_emergency();
            k.emergency.is_test = text == "test";
            Ok(())
        }
        _ => {
            let pid = text.strip_prefix("resume ").and_then(|pid| pid.trim().parse().ok());
            k.resume_job(pid.ok_or(Errno(EINVAL))?)
        }
    }
}

fn status<M: Machine>(k: &mut Kernel<M>) -> String {
    let last = k.emergency.records.iter().next_back().copied().unwrap_or_default();
    let store = &k.emergency.store;
    let ready = match store.is_ready() {
        true => "ready".to_owned(),
        false => format!("none ({})", store.why_not),
    };
    let target = k.frames.reserve() * PAGE_SIZE;
    format!(
        "enabled: {}\nstore: {ready}\nsecrecy: {}\nslots: {}\nheader: {}\npolicy: {}\nlevel: {}\n\
         reserve: {target}\ncount: {}\npaused_ns: {}\nevacuated: {}\nrestored: {}\n\
         read_back: {}\ndiscarded: {}\nslots_used: {}\nlot_room: {}\nfailed_writes: {}\nlost_pages: {}\n\
         allocations: {}\n",
        if k.emergency.is_enabled { "yes" } else { "no" },
        store.secrecy(),
        store.total_page_slots(),
        store.header.state,
        policy(k),
        k.emergency.level,
        k.emergency.records.count,
        k.emergency.paused_ns,
        last.evacuated,
        last.restored,
        last.read_back,
        last.discarded,
        store.held.count(),
        store.lot.room(),
        last.failed_writes,
        last.lost_pages,
        last.allocations,
    )
}

fn log<M: Machine>(k: &mut Kernel<M>) -> String {
    let records = k.emergency.records.iter().map(ToString::to_string);
    records.collect::<Vec<_>>().join("\n")
}

/// Who had the memory when the world stopped last.
fn snapshot<M: Machine>(k: &mut Kernel<M>) -> String {
    let mut text = String::from("PID   PROCS RESIDENT  WOULD_FREE GROWTH_10S FATE   FLAGS NAME\n");
    let jobs = &k.emergency.snapshot;
    for entry in (0..).map_while(|row| jobs.ranked(row)).map(|job| &jobs.entries()[job]) {
        let fate = format!("{:?}", entry.fate).to_lowercase();
        let flags = if entry.is_essential { "E" } else { "-" };
        text += &format!(
            "{:<5} {:<5} {:<9} {:<10} {:<10} {fate:<6} {flags:<5} {}\n",
            entry.pid,
            entry.processes,
            entry.resident,
            entry.would_free,
            entry.growth_10s,
            Name(&entry.name),
        );
    }
    text
}
