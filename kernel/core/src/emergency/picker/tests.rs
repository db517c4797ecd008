use super::*;
use crate::emergency::snapshot::Member;
use crate::task::ProcessId;
use alloc::string::String;
use alloc::vec::Vec;

fn jobs() -> Snapshot {
    let mut jobs = Snapshot::default();
    let mut add = |pid: u32, name: &str, resident, before, is_essential| {
        let (index, _) = jobs.add(Member {
            id: ProcessId(pid as usize),
            pid,
            group: pid,
            name,
            resident,
            before: [before; 2],
            started_ns: 0,
            is_essential,
        });
        jobs.entry_mut(index).would_free = resident;
        jobs.entry_mut(index).would_park = resident - 50;
    };
    add(1, "init", 300, 300, true);
    add(4, "consoled", 200, 200, true);
    add(12, "leak", 20_000, 100, false);
    add(9, "notes", 700, 600, false);
    add(10, "\x1b[2Jevil\u{1f480}", 800, 650, false);
    jobs.rank();
    jobs
}

fn situation() -> Situation {
    Situation {
        free: 100,
        total: 32_768,
        target: 1000,
        progress: Progress::Writing(5_000, 20_000),
        countdown: None,
        stopped_ns: 95_000_000_000,
        lost: 0,
        can_park: 30_000,
        save_s: 20,
    }
}

fn screen(picker: &Picker, jobs: &Snapshot, now: &Situation) -> Vec<String> {
    let mut screen = Screen::default();
    picker.draw(&mut screen, jobs, now);
    (0..25).map(|row| screen.text(row)).collect()
}

fn press(picker: &mut Picker, jobs: &Snapshot, keys: &[Key]) -> Vec<Decision> {
    keys.iter().filter_map(|key| picker.key(*key, jobs, &situation())).collect()
}

#[test]
fn a_person_in_a_hurry_sees_what_grows_and_what_to_press() {
    let shown = screen(&Picker::default(), &jobs(), &situation()).join("\n");
    let expected = include_str!("golden.txt");
    assert_eq!(shown.trim_end(), expected.trim_end(), "the screen is now:\n{shown}");
}

#[test]
fn enter_and_yes_end_the_job_under_the_cursor() {
    let jobs = jobs();
    let mut picker = Picker::default();
    assert_eq!(press(&mut picker, &jobs, &[Key::Enter]), []);
    assert!(screen(&picker, &jobs, &situation())[22].contains("y = yes"));
    assert_eq!(press(&mut picker, &jobs, &[Key::Char(b'y')]), [Decision::Act]);
    let names: Vec<_> = picker.marked_jobs(&jobs).map(|(entry, _)| entry.pid).collect();
    assert_eq!(names, [12]);
}

#[test]
fn marks_add_up_and_any_other_key_ends_nothing() {
    let jobs = jobs();
    let mut picker = Picker::default();
    assert_eq!(press(&mut picker, &jobs, &[Key::Char(b' '), Key::Char(b'3'), Key::Enter]), []);
    let foot = screen(&picker, &jobs, &situation());
    assert!(foot[21].contains("end 2: frees 80.8 MB of 3.5 MB"), "{}", foot[21]);
    assert_eq!(press(&mut picker, &jobs, &[Key::Char(b'n'), Key::Escape]), []);
    assert_eq!(picker.marked_jobs(&jobs).count(), 0);
}

#[test]
fn what_others_depend_on_needs_a_capital_letter_and_the_first_process_never_ends() {
    let jobs = jobs();
    let mut picker = Picker::default();
    let to_daemon = [Key::Char(b'4'), Key::Enter];
    assert_eq!(press(&mut picker, &jobs, &to_daemon), []);
    assert_eq!(press(&mut picker, &jobs, &[Key::Char(b'y')]), []);
    assert_eq!(press(&mut picker, &jobs, &[Key::Enter, Key::Char(b'Y')]), [Decision::Act]);
    let mut picker = Picker::default();
    assert_eq!(press(&mut picker, &jobs, &[Key::Char(b'5'), Key::Char(b' ')]), []);
    assert_eq!(picker.marked_jobs(&jobs).count(), 0);
}

#[test]
fn going_on_needs_enough_memory() {
    let jobs = jobs();
    let mut picker = Picker::default();
    assert_eq!(picker.key(Key::Char(b'c'), &jobs, &situation()), None);
    let enough = Situation { free: 1000, ..situation() };
    assert_eq!(picker.key(Key::Char(b'c'), &jobs, &enough), Some(Decision::Continue));
}

#[test]
fn the_list_scrolls_with_the_cursor() {
    let mut jobs = Snapshot::default();
    for pid in 100..160 {
        jobs.add(Member {
            id: ProcessId(pid),
            pid: pid as u32,
            group: pid as u32,
            name: "job",
            resident: 1000 - pid,
            before: [0; 2],
            started_ns: 0,
            is_essential: false,
        });
    }
    jobs.rank();
    let mut picker = Picker::default();
    press(&mut picker, &jobs, &[Key::PageDown, Key::PageDown, Key::Down]);
    let shown = screen(&picker, &jobs, &situation());
    assert!(shown[19].starts_with('>') && shown[19].contains(" 129 "), "{}", shown[19]);
    press(&mut picker, &jobs, &[Key::PageUp, Key::PageUp, Key::PageUp]);
    assert!(screen(&picker, &jobs, &situation())[6].contains(" 100 "));
}

#[test]
fn each_job_has_its_own_verb_and_the_same_key_takes_it_back() {
    let jobs = jobs();
    let mut picker = Picker::default();
    let keys = [Key::Char(b'p'), Key::Down, Key::Char(b's'), Key::Char(b'3')];
    assert_eq!(press(&mut picker, &jobs, &keys), []);
    let shown = screen(&picker, &jobs, &situation());
    assert!(shown[6].starts_with("[PRK]leak"), "{}", shown[6]);
    assert!(shown[7].starts_with("[SAV]?[2Jevil"), "{}", shown[7]);
    assert!(shown[8].starts_with("[END]notes"), "{}", shown[8]);
    assert!(shown[21].contains("end 1, save first 1, park 1: frees 83.7 MB"), "{}", shown[21]);
    assert!(shown[21].contains("(20 s to save)"), "{}", shown[21]);
    let verbs: Vec<_> = picker.marked_jobs(&jobs).map(|(_, verb)| verb).collect();
    assert_eq!(verbs, [PickerAction::Park, PickerAction::Kill, PickerAction::Save]);
    assert_eq!(press(&mut picker, &jobs, &[Key::Char(b'3')]), []);
    assert_eq!(picker.marked_jobs(&jobs).count(), 2);
    assert_eq!(press(&mut picker, &jobs, &[Key::Enter, Key::Char(b'y')]), [Decision::Act]);
}

#[test]
fn parking_needs_a_store_with_room_and_nobody_who_depends_on_it() {
    let jobs = jobs();
    let refused = |key, can_park, row| {
        let mut picker = Picker::default();
        let now = Situation { can_park, ..situation() };
        (0..row).for_each(|_| assert_eq!(picker.key(Key::Down, &jobs, &now), None));
        assert_eq!(picker.key(Key::Char(key), &jobs, &now), None);
        assert_eq!(picker.marked_jobs(&jobs).count(), 0);
        screen(&picker, &jobs, &now)[22].clone()
    };
    assert!(refused(b'p', 0, 0).contains("no store with room"));
    assert!(refused(b'p', 100, 0).contains("too little room left"));
    assert!(refused(b'p', 30_000, 3).contains("Others depend on that job"));
    assert!(refused(b's', 30_000, 3).contains("Others depend on that job"));
    assert!(refused(b's', 30_000, 4).contains("Without the first process"));
}
