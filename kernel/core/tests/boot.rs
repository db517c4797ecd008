//! Booting: the order of stages, what a failure undoes, what `sys:boot` shows.

use kernel_core::boot::order::order;
use kernel_core::boot::{
    BootError, BootState, Context, Event, IllegalChange, KernelState, LifecyclePhase, OrderError,
    Ordered, Past, Pipeline, Stage,
};
use proptest::prelude::*;

/// A machine that only remembers.
#[derive(Default)]
struct Mock {
    ticks: std::cell::Cell<u64>,
    told: Vec<String>,
    is_flaky: bool,
}

impl Context for Mock {
    fn ticks(&self) -> u64 {
        self.ticks.set(self.ticks.get() + 10);
        self.ticks.get()
    }

    fn report(&mut self, event: Event) {
        self.told.push(match event {
            Event::Started(stage) => stage.to_string(),
            Event::Done(stage) => format!("{stage} done"),
            Event::Retried(stage, reason) => format!("{stage} again: {reason}"),
            Event::Failed(stage, reason) => format!("{stage} failed: {reason}"),
            Event::Stopped(stage) => format!("{stage} stopped"),
            Event::StopFailed(stage, reason) => format!("{stage} not stopped: {reason}"),
        });
    }
}

fn fine(_: &mut Mock) -> Result<(), BootError> {
    Ok(())
}

fn bad(_: &mut Mock) -> Result<(), BootError> {
    Err(BootError::Fatal("no RSDP"))
}

/// Fails the first time.
fn flaky(mock: &mut Mock) -> Result<(), BootError> {
    mock.is_flaky = !mock.is_flaky;
    if mock.is_flaky { Err(BootError::Fatal("not yet")) } else { Ok(()) }
}

const fn stage(
    name: &'static str,
    phase: LifecyclePhase,
    needs: &'static [&'static str],
) -> Stage<Mock> {
    Stage { name, phase, needs, run: fine, stop: fine }
}

use LifecyclePhase::{CoreInit, EarlyInit, LateInit};

fn usual() -> Vec<Stage<Mock>> {
    vec![
        stage("disk", LateInit, &["irq", "heap"]),
        stage("irq", CoreInit, &["acpi"]),
        stage("acpi", CoreInit, &["heap"]),
        stage("time", CoreInit, &[]),
        stage("heap", EarlyInit, &[]),
    ]
}

fn shown(pipeline: &Pipeline<Mock>) -> String {
    let mut text = String::new();
    pipeline.render(|ticks| ticks * 2, &mut text).unwrap();
    text
}

#[test]
fn stages_run_in_the_order_of_their_needs() {
    let mut mock = Mock::default();
    let mut pipeline = Pipeline::new(usual()).unwrap();
    assert_eq!((pipeline.state(), pipeline.phase()), (BootState::NotStarted, LifecyclePhase::Boot));
    pipeline.run(&mut mock).unwrap();
    assert_eq!(pipeline.state(), BootState::Completed { stages_run: 5 });
    assert_eq!(pipeline.phase(), LifecyclePhase::Running);
    let expected = "Completed 5\n\
                    heap EarlyInit - 20 20 done\n\
                    acpi CoreInit heap 60 20 done\n\
                    irq CoreInit acpi 100 20 done\n\
                    time CoreInit - 140 20 done\n\
                    disk LateInit irq,heap 180 20 done\n";
    assert_eq!(shown(&pipeline), expected, "by phase, then by registration");
    assert_eq!(mock.told[..3], ["heap", "heap done", "acpi"]);
    let told = mock.told.len();
    assert_eq!(pipeline.run(&mut mock), Ok(()));
    assert_eq!(mock.told.len(), told, "only once");
}

#[test]
fn shutting_down_mirrors_booting() {
    let mut mock = Mock::default();
    let mut stages = usual();
    stages[2].stop = bad;
    let mut pipeline = Pipeline::new(stages).unwrap();
    pipeline.run(&mut mock).unwrap();
    let started: Vec<_> = mock.told.iter().step_by(2).cloned().collect();
    mock.told.clear();
    pipeline.stop_all(&mut mock);
    let stopped: Vec<_> = mock.told.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(stopped.into_iter().rev().collect::<Vec<_>>(), started);
    assert_eq!(mock.told[3], "acpi not stopped: no RSDP", "and the rest goes on");
    assert_eq!(pipeline.phase(), LifecyclePhase::Halted);
    mock.told.clear();
    pipeline.stop_all(&mut mock);
    assert_eq!(mock.told.len(), 0, "none twice");
}

#[test]
fn a_failure_undoes_what_has_run() {
    let mut mock = Mock::default();
    let mut stages = usual();
    stages[2].run = bad;
    let mut pipeline = Pipeline::new(stages).unwrap();
    assert_eq!(pipeline.run(&mut mock), Err(BootError::Fatal("no RSDP")));
    assert_eq!(
        mock.told[2..],
        ["acpi", "acpi again: no RSDP", "acpi failed: no RSDP", "heap stopped"]
    );
    assert_eq!(pipeline.phase(), LifecyclePhase::Halted);
    let expected = "BOOT FAILED at stage 2 (acpi): no RSDP\n\
                    heap EarlyInit - 20 20 stopped\n\
                    acpi CoreInit heap 60 20 failed\n\
                    irq CoreInit acpi - - waiting\n\
                    time CoreInit - - - waiting\n\
                    disk LateInit irq,heap - - waiting\n";
    assert_eq!(shown(&pipeline), expected);
}

#[test]
fn a_stage_gets_a_second_chance() {
    let mut mock = Mock::default();
    let mut stages = usual();
    stages[2].run = flaky;
    assert_eq!(Pipeline::new(stages).unwrap().run(&mut mock), Ok(()));
    assert_eq!(mock.told[2..5], ["acpi", "acpi again: not yet", "acpi done"]);
}

#[test]
fn a_failure_can_be_asked_for() {
    let mut mock = Mock::default();
    let mut pipeline = Pipeline::new(usual()).unwrap();
    assert!(!pipeline.inject_failure("nothing"));
    assert!(pipeline.inject_failure("irq"));
    assert!(pipeline.run(&mut mock).is_err());
    assert!(shown(&pipeline).starts_with("BOOT FAILED at stage 3 (irq): failure asked for\n"));
}

fn past(name: &'static str, start: u64, end: u64) -> Past {
    Past { name, start, end }
}

#[test]
fn what_ran_before_is_shown_and_undone_but_not_run() {
    let mut mock = Mock { ticks: 100.into(), ..Mock::default() };
    let mut pipeline = Pipeline::new(usual()).unwrap();
    assert_eq!(pipeline.adopt(&[past("heap", 1, 3), past("acpi", 3, 7)]), Ok(()));
    assert!(!pipeline.inject_failure("acpi"), "it is too late for that");
    pipeline.run(&mut mock).unwrap();
    assert_eq!(mock.told[..2], ["irq", "irq done"]);
    let text = shown(&pipeline);
    assert!(text.contains("heap EarlyInit - 2 4 done\nacpi CoreInit heap 6 8 done\n"), "{text}");
    pipeline.stop_all(&mut mock);
    assert_eq!(mock.told[mock.told.len() - 2..], ["acpi stopped", "heap stopped"]);
}

#[test]
fn what_ran_before_must_have_run_in_order() {
    let adopt = |past: &[Past]| Pipeline::new(usual()).unwrap().adopt(past);
    let early = OrderError::TooEarly { name: "acpi", need: "heap" };
    assert_eq!(adopt(&[past("acpi", 3, 7)]), Err(early.clone()));
    assert_eq!(adopt(&[past("heap", 1, 4), past("acpi", 3, 7)]), Err(early));
    let unknown = OrderError::Unknown { name: "the machine", need: "ghost" };
    assert_eq!(adopt(&[past("ghost", 1, 4)]), Err(unknown));
}

#[test]
fn nothing_to_do_is_done() {
    let mut pipeline = Pipeline::new(vec![]).unwrap();
    pipeline.run(&mut Mock::default()).unwrap();
    assert_eq!(pipeline.state(), BootState::Completed { stages_run: 0 });
}

#[test]
fn an_impossible_order_names_the_stages() {
    let error = |stages| match Pipeline::new(stages) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("sorted"),
    };
    let circle = vec![
        stage("x", CoreInit, &["a"]),
        stage("a", CoreInit, &["free", "b"]),
        stage("b", CoreInit, &["c"]),
        stage("c", CoreInit, &["a"]),
        stage("free", CoreInit, &[]),
    ];
    assert_eq!(error(circle), "circle: a needs b needs c needs a");
    assert_eq!(error(vec![stage("a", CoreInit, &["a"])]), "circle: a needs a");
    let unknown = vec![stage("a", CoreInit, &["ghost"])];
    assert_eq!(error(unknown), "a needs ghost, which does not exist");
    let twice = vec![stage("a", CoreInit, &[]), stage("a", LateInit, &[])];
    assert_eq!(error(twice), "a is there twice");
    let early = vec![stage("a", EarlyInit, &["b"]), stage("b", CoreInit, &[])];
    assert_eq!(error(early), "a needs b, which comes later");
}

#[test]
fn seven_changes_of_state_are_legal() {
    let legal: Vec<_> = KernelState::ALL
        .into_iter()
        .flat_map(|from| KernelState::ALL.map(|to| (from, to)))
        .filter(|(from, to)| from.clone().change(*to).is_ok())
        .map(|(from, to)| (from as u32, to as u32))
        .collect();
    assert_eq!(legal, [(0, 1), (1, 2), (1, 4), (2, 3), (2, 4), (2, 5), (5, 2)]);
    let mut state = KernelState::Panic;
    let refused = IllegalChange { from: KernelState::Panic, to: KernelState::Running };
    assert_eq!(state.change(KernelState::Running), Err(refused));
    assert_eq!(refused.to_string(), "cannot go from Panic to Running");
    assert_eq!((state, KernelState::Running.to_string()), (KernelState::Panic, "Running 2".into()));
}

#[test]
fn phases_only_go_forward() {
    let mut phase = LifecyclePhase::Boot;
    assert!(phase.advance(CoreInit));
    assert!(!phase.advance(EarlyInit) && !phase.advance(CoreInit));
    assert_eq!(phase, CoreInit);
}

/// A thing to be sorted, by number.
struct Item {
    name: &'static str,
    needs: &'static [&'static str],
    group: usize,
}

impl Ordered<'static> for Item {
    fn name(&self) -> &'static str {
        self.name
    }

    fn needs(&self) -> &'static [&'static str] {
        self.needs
    }

    fn group(&self) -> usize {
        self.group
    }
}

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

fn items(needs: &[(usize, usize)], groups: &[usize]) -> Vec<Item> {
    let needs_of = |index| {
        let needs = needs.iter().filter(|(who, _)| *who == index);
        Vec::leak(needs.map(|(_, need)| NAMES[*need]).collect())
    };
    let item = |(index, group): (usize, &usize)| Item {
        name: NAMES[index],
        needs: needs_of(index),
        group: *group,
    };
    groups.iter().enumerate().map(item).collect()
}

proptest! {
    #[test]
    fn every_need_comes_first(
        ranks in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
        pairs in prop::collection::vec((0..12_usize, 0..12_usize), 0..40),
    ) {
        // Needs point to lower ranks, so there is no circle; groups follow the ranks.
        let needs: Vec<_> = pairs.into_iter().filter(|(who, need)| ranks[*need] < ranks[*who]).collect();
        let groups: Vec<_> = ranks.iter().map(|rank| rank / 5).collect();
        let items = items(&needs, &groups);
        let sorted = order(&items).unwrap();
        prop_assert_eq!(&sorted, &order(&items).unwrap());
        let place = |index: usize| sorted.iter().position(|i| *i == index).unwrap();
        prop_assert_eq!(sorted.len(), 12);
        for (who, need) in &needs {
            prop_assert!(place(*need) < place(*who));
        }
        prop_assert!(sorted.is_sorted_by_key(|index| groups[*index]));
        // The first registered of those that could be next: swapping neighbours must be impossible.
        for pair in sorted.windows(2) {
            let depends = needs.contains(&(pair[1], pair[0]));
            prop_assert!(depends || (groups[pair[0]], pair[0]) < (groups[pair[1]], pair[1]));
        }
    }

    #[test]
    fn any_needs_give_an_order_or_a_real_circle(
        needs in prop::collection::vec((0..12_usize, 0..12_usize), 0..20),
    ) {
        let items = items(&needs, &[0; 12]);
        let index = |name: &str| NAMES.iter().position(|other| *other == name).unwrap();
        match order(&items) {
            Ok(sorted) => prop_assert_eq!(sorted.len(), 12),
            Err(OrderError::Cycle(names)) => {
                prop_assert!(!names.is_empty());
                for (who, need) in names.iter().zip(names.iter().cycle().skip(1)) {
                    prop_assert!(needs.contains(&(index(who), index(need))));
                }
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
