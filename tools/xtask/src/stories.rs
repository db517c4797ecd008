//! `make test-qemu` — tells every story in `tests/qemu`, two at a time, in libtest's words.

use crate::debugger::Debugger;
use crate::dialogue::Dialogue;
use crate::disk::FreshDisk;
use crate::esp;
use crate::exec::{self, Outcome};
use crate::firmware;
use crate::guest::{EXIT_OK, Ending};
use crate::machine::{Display, Machine};
use crate::story::{Ends, Exec, Step, Story};
use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::{Arguments, Trial};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// More would only make each other's time limits unfair.
const AT_ONCE: usize = 2;

/// Runs the stories that `arguments` (libtest's) select.
pub(crate) fn run(machine: &Machine, arguments: Vec<OsString>) -> Result<ExitCode> {
    let name = OsString::from("qemu stories");
    let mut arguments = Arguments::from_iter(std::iter::once(name).chain(arguments));
    arguments.test_threads.get_or_insert(AT_ONCE);
    let mut trials = Vec::new();
    for path in story_files(&machine.stories)? {
        let story = Story::read(&path).with_context(|| format!("in {}", path.display()))?;
        trials.extend(trials_of(machine, Arc::new(story)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    Ok(conclusion.exit_code())
}

fn story_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("reading the stories in {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The story once for each number of CPUs and each bus; the first bus is not in the name.
fn trials_of(machine: &Machine, story: Arc<Story>) -> impl Iterator<Item = Trial> {
    let buses = story.buses.clone();
    let all = { buses }.into_iter().flat_map({
        let cpus = story.cpus.clone();
        move |bus| cpus.clone().into_iter().map(move |cpus| (bus, cpus))
    });
    all.map(move |(bus, cpus)| {
        let mut name = format!("{}::smp{cpus}", story.name);
        if bus != story.buses[0] {
            name = format!("{name}::{bus:?}").to_lowercase();
        }
        let mut machine =
            Machine { cpus, memory_mib: story.memory_mib, ..machine.with(&*story.append) };
        machine.has_store = story.has_store;
        (machine.bus, machine.more) = (bus, story.qemu.clone());
        machine.store = story.store.clone();
        if story.has_screen {
            machine.display = Display::Hidden;
            let stops = story.steps.iter().any(|step| matches!(step, Step::Interrupt(_)));
            machine.has_exit_device = !stops;
        }
        machine.has_control =
            story.steps.iter().any(|step| matches!(step, Step::Unplug(_) | Step::Plug(_)));
        machine.append.retain(|word| !word.is_empty());
        let is_off = story.off.is_some();
        let story = Arc::clone(&story);
        Trial::test(name, move || {
            tell(&story, &machine).map_err(|error| format!("{error:#}").into())
        })
        .with_ignored_flag(is_off)
    })
}

fn tell(story: &Story, machine: &Machine) -> Result<()> {
    let bus = format!("{:?}", machine.bus).to_lowercase();
    let name = format!("{}-smp{}-{bus}", story.name, machine.cpus);
    let disk = if story.has_disk { Some(FreshDisk::new(machine, &name)?) } else { None };
    let firmware = match story.has_firmware {
        true => Some(firmware::find()?.context("no UEFI firmware here: install OVMF")?),
        false => None,
    };
    let machine = Machine { firmware, ..machine.clone() };
    let machine = &Machine {
        disks: disk.iter().map(|disk| disk.file().to_owned()).collect(),
        ..machine.clone()
    };
    let mut dialogue = None;
    for (index, step) in story.steps.iter().enumerate() {
        let number = index + 1;
        take(step, story, machine, &format!("{name}-step{number}"), &mut dialogue)
            .with_context(|| format!("step {number}"))?;
    }
    if let Some(dialogue) = dialogue {
        forbid(story, dialogue.text()).map_err(|error| dialogue.failed(&error.to_string()))?;
    }
    Ok(())
}

fn take(
    step: &Step,
    story: &Story,
    machine: &Machine,
    name: &str,
    dialogue: &mut Option<Dialogue>,
) -> Result<()> {
    if let Step::Exec(exec) = step {
        return perform(exec, story, machine, name);
    }
    if let Step::KernelGdb(commands, wanted) = step {
        let heard = crate::gdb::ask(machine, commands, story.limit, name)?;
        for wanted in wanted {
            ensure!(wanted.is_match(&heard), "{heard}GDB printed nothing like: {wanted}");
        }
        return Ok(());
    }
    if let Step::Cut = step {
        // Dropping a guest kills it at once.
        let talk = dialogue.take().context("no machine is running")?;
        return forbid(story, talk.text());
    }
    if let Step::Disk(step) = step {
        ensure!(dialogue.is_none(), "a machine is using the disk");
        return step.take(machine.disks.first().context("the story has no disk")?);
    }
    if let Step::EspRemove(_) | Step::EspWrite(..) = step {
        ensure!(dialogue.is_none(), "the disk is in use");
        let disk = machine.disks.first().context("the story has no disk")?;
        return match step {
            Step::EspWrite(path, text) => esp::write(disk, path, text),
            Step::EspRemove(path) => esp::remove(disk, path),
            _ => Ok(()),
        };
    }
    let talk = match dialogue {
        Some(talk) => talk,
        None => dialogue.insert(Dialogue::start(machine, name, story.limit)?),
    };
    match step {
        Step::Send(keys) => talk.type_keys(keys),
        Step::Expect(wanted) => talk.expect(wanted)?,
        Step::Keys(text) => talk.type_on_keyboard(text)?,
        Step::Press(keys) => talk.press(&keys.iter().map(String::as_str).collect::<Vec<_>>())?,
        Step::Shows(wanted) => talk.watch(wanted)?,
        Step::Interrupt(wanted) => talk.interrupt(wanted)?,
        Step::Unplug(device) => talk.unplug(device)?,
        Step::Plug(device) => talk.plug(device)?,
        Step::Picture(file) => talk.picture(&machine.logs.join(file))?,
        Step::Ends(wanted) => {
            let ending = talk.ending()?;
            let is_right = match wanted {
                Ends::Shutdown => ending == Ending::Code(EXIT_OK),
                Ends::Reset => ending == Ending::Reset,
            };
            ensure!(is_right, talk.failed(&format!("not the ending that was wanted: {ending}")));
            forbid(story, talk.text()).map_err(|error| talk.failed(&error.to_string()))?;
            // What follows happens on a machine that is switched on anew.
            *dialogue = None;
        }
        Step::Pause(pause) => std::thread::sleep(*pause),
        Step::Store(step) => {
            let image = talk.store().context("the story has no store")?;
            step.take(image).map_err(|error| talk.failed(&format!("{error:#}")))?;
        }
        Step::Exec(_) | Step::Cut | Step::KernelGdb(..) => {}
        Step::Disk(_) | Step::EspRemove(_) | Step::EspWrite(..) => {}
    }
    Ok(())
}

fn perform(exec: &Exec, story: &Story, machine: &Machine, name: &str) -> Result<()> {
    let mut machine = machine.clone();
    let mut debugger = Debugger::new(exec.gdb.as_ref(), &mut machine, name);
    let outcome = exec::run(&machine, &exec.command, story.limit, name, &mut debugger);
    let heard = debugger.finish()?;
    let output = String::from_utf8_lossy(&debugger.output);
    let all = if heard.is_empty() { String::new() } else { format!("GDB's output:\n{heard}\n") };
    let status = match outcome.with_context(|| all.clone())? {
        Outcome::Status(status) => status,
        Outcome::Failed(report) => bail!("{all}{report}"),
    };
    for wanted in exec.gdb.iter().flat_map(|gdb| &gdb.matches) {
        ensure!(wanted.is_match(&heard), "{all}GDB printed nothing like: {wanted}");
    }
    judge(exec, status, &output)
        .and_then(|()| forbid(story, &output))
        .with_context(|| format!("{}\nits output:\n{output}", exec.command))
}

/// Compares what came with what was wanted.
fn judge(exec: &Exec, status: u8, output: &str) -> Result<()> {
    ensure!(status == exec.status, "it ended with status {status}, not {}", exec.status);
    if let Some(wanted) = &exec.stdout {
        ensure!(output == wanted, "it should have printed exactly:\n{wanted}");
    }
    for wanted in &exec.contains {
        ensure!(output.contains(wanted.as_str()), "it never printed: {wanted}");
    }
    for wanted in &exec.matches {
        ensure!(wanted.is_match(output), "it printed nothing like: {wanted}");
    }
    for unwanted in &exec.lacks {
        ensure!(!output.contains(unwanted.as_str()), "it printed: {unwanted}");
    }
    Ok(())
}

fn forbid(story: &Story, text: &str) -> Result<()> {
    for unwanted in &story.forbid {
        ensure!(!unwanted.is_match(text), "the story forbids /{unwanted}/");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(fields: &str) -> Exec {
        let text = format!("about = 'x'\n[[step]]\nexec = 'x'\n{fields}");
        match Story::parse("s", &text).unwrap().steps.remove(0) {
            Step::Exec(exec) => exec,
            other => panic!("not an exec: {other:?}"),
        }
    }

    #[test]
    fn every_kind_of_expectation_can_fail() {
        let output = "one\ntwo\n";
        for (fields, verdict) in [
            ("stdout = \"one\\ntwo\\n\"", true),
            ("stdout = \"one\\n\"", false),
            ("stdout_contains = ['tw']", true),
            ("stdout_contains = ['one', 'three']", false),
            ("stdout_matches = ['^two$']", true),
            ("stdout_matches = ['^wo$']", false),
            ("stdout_lacks = ['three']", true),
            ("stdout_lacks = ['two']", false),
            ("status = 3", false),
        ] {
            assert_eq!(judge(&exec(fields), 0, output).is_ok(), verdict, "{fields}");
        }
    }

    #[test]
    fn the_stories_in_the_tree_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/qemu");
        for path in story_files(&folder).unwrap() {
            Story::read(&path).unwrap_or_else(|error| panic!("{}: {error:#}", path.display()));
        }
    }
}
