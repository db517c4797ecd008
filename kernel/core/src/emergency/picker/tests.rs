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
    }
}

fn screen(picker: &Picker, jobs: &Snapshot, now: &Situation) -> Vec<String> {
    let mut screen = Screen::default();
    picker.draw(&mut screen, jobs, now);
    (0..25).map(|row| screen.text(row)).collect()
}

fn press(picker: &mut Picker, jobs: &Snapshot, keys: &[Key]) -> Vec<PickerAction> {
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
    assert_eq!(press(&mut picker, &jobs, &[Key::Char(b'y')]), [PickerAction::Kill]);
    let names: Vec<_> = picker.marked_jobs(&jobs).map(|entry| entry.pid).collect();
    assert_eq!(names, [12]);
}

#[test]
fn marks_add_up_and_any_other_key_ends_nothing() {
    let jobs = jobs();
    let mut picker = Picker::default();
    assert_eq!(press(&mut picker, &jobs, &[Key::Char(b' '), Key::Char(b'3'), Key::Enter]), []);
    let foot = screen(&picker, &jobs, &situation());
    assert!(foot[21].contains("2 jobs marked: frees 80.8 MB"), "{}", foot[21]);
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
    assert_eq!(press(&mut picker, &jobs, &[Key::Enter, Key::Char(b'Y')]), [PickerAction::Kill]);
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
    assert_eq!(picker.key(Key::Char(b'c'), &jobs, &enough), Some(PickerAction::Continue));
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
