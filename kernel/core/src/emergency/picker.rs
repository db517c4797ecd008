//! The picker: a person chooses which jobs end, save first or are parked. Keys go in, a screen
//! comes out; nothing else.
//!
//! It never allocates, never waits, and never believes a program's name. Whatever is marked is
//! confirmed by a second key; what others depend on by a capital one.

use super::input::Key;
use super::screen::{Pen, Screen, Style};
use super::snapshot::{Fate, MAX_SNAPSHOT_ENTRIES, Snapshot, SnapshotEntry};
use core::fmt;

/// Rows of the screen that show jobs.
const LIST: core::ops::Range<usize> = 6..20;
/// Jobs on one screen.
const PAGE: usize = LIST.end - LIST.start;
/// Cells of the progress bar.
const BAR: usize = 30;

/// What is to become of one job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PickerAction {
    /// It ends, and its memory is free.
    Kill,
    /// It alone runs on for a while, to save its work; then it ends.
    Save,
    /// It stays in the store until somebody has it back.
    Park,
}

impl PickerAction {
    fn mark(self) -> &'static str {
        match self {
            PickerAction::Kill => "[END]",
            PickerAction::Save => "[SAV]",
            PickerAction::Park => "[PRK]",
        }
    }
}

/// What a person decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Every marked job gets what it is marked for.
    Act,
    /// Nothing ends; possible while enough memory is free.
    Continue,
}

/// How far the store is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is none; the text says why.
    None(&'static str),
    /// It is being found out what to write.
    Counting,
    /// Pages written, of so many.
    Writing(usize, usize),
    /// All pages are in the store.
    Safe(usize),
    /// The disk failed; the text says how.
    Broken(&'static str),
    /// A job's pages are going where they can stay.
    Parking,
    /// Pages checked or read back, of so many.
    Restoring(usize, usize),
}

/// What the picker is told each time it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Frames free now.
    pub free: usize,
    /// Frames in all.
    pub total: usize,
    /// Frames that must be free to go on.
    pub target: usize,
    /// The store.
    pub progress: Progress,
    /// Seconds until the policy decides.
    pub countdown: Option<u64>,
    /// When the world stopped, nanoseconds since boot.
    pub stopped_ns: u64,
    /// Pages that could not be read back.
    pub lost: usize,
    /// Pages that can be parked; none without a store that has room for it.
    pub can_park: usize,
    /// How long a job may save, in seconds.
    pub save_s: u64,
}

impl Situation {
    fn needed(&self) -> usize {
        self.target.saturating_sub(self.free)
    }
}

/// A size in 4 KiB pages, as a person reads it.
struct Pages(usize);

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 * 10 / 256;
        write!(f, "{}.{} MB", tenths / 10, tenths % 10)
    }
}

/// A difference in 4 KiB pages, with its sign.
struct Growth(isize);

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.unsigned_abs() * 10 / 256;
        let sign = match self.0 {
            _ if tenths == 0 => "",
            ..0 => "-",
            _ => "+",
        };
        write!(f, "{sign}{}.{} MB", tenths / 10, tenths % 10)
    }
}

/// What the person is being asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    None,
    Act,
    ActOnEssential,
}

/// The picker's state between two keys.
#[derive(Debug)]
pub struct Picker {
    cursor: usize,
    top: usize,
    marked: [Option<PickerAction>; MAX_SNAPSHOT_ENTRIES + 1],
    question: Question,
    /// What the person should know, until the next key.
    pub message: &'static str,
    /// Whether a key has been pressed: then nobody decides behind the person's back.
    pub is_touched: bool,
}

impl Default for Picker {
    fn default() -> Self {
        Self {
            cursor: 0,
            top: 0,
            marked: [None; MAX_SNAPSHOT_ENTRIES + 1],
            question: Question::None,
            message: "",
            is_touched: false,
        }
    }
}

impl Picker {
    /// What the job at `index` is marked for.
    pub fn mark(&self, index: usize) -> Option<PickerAction> {
        self.marked[index]
    }

    /// Marks a job, or takes the mark away.
    pub fn set_mark(&mut self, index: usize, mark: Option<PickerAction>) {
        self.marked[index] = mark;
    }

    /// Takes all marks away.
    pub fn unmark_all(&mut self) {
        self.marked.fill(None);
    }

    /// Obeys a key. Returns what is to be done, once it is certain.
    pub fn key(&mut self, key: Key, jobs: &Snapshot, now: &Situation) -> Option<Decision> {
        self.is_touched = true;
        self.message = "";
        if self.question != Question::None {
            return self.answer(key);
        }
        let last = jobs.len().saturating_sub(1);
        match key {
            Key::Up | Key::Char(b'k') => self.cursor = self.cursor.saturating_sub(1),
            Key::Down | Key::Char(b'j') => self.cursor = (self.cursor + 1).min(last),
            Key::PageUp => self.cursor = self.cursor.saturating_sub(PAGE),
            Key::PageDown => self.cursor = (self.cursor + PAGE).min(last),
            Key::Char(b' ') => {
                self.mark_row(self.cursor, PickerAction::Kill, jobs, now);
                self.cursor = (self.cursor + 1).min(last);
            }
            Key::Char(b's') => self.mark_row(self.cursor, PickerAction::Save, jobs, now),
            Key::Char(b'p') => self.mark_row(self.cursor, PickerAction::Park, jobs, now),
            Key::Char(digit @ b'1'..=b'9') => {
                let row = self.top + usize::from(digit - b'1');
                if row <= last {
                    self.cursor = row;
                    self.mark_row(row, PickerAction::Kill, jobs, now);
                }
            }
            Key::Enter => self.ask(jobs, now),
            Key::Char(b'c') if now.needed() == 0 => return Some(Decision::Continue),
            Key::Char(b'c') => self.message = "Not yet: too little memory is free to go on.",
            Key::Escape => self.unmark_all(),
            Key::Char(_) => {}
        }
        self.top = self.top.clamp((self.cursor + 1).saturating_sub(PAGE), self.cursor);
        None
    }

    /// Marks the job in a row for `action`; a second time takes the mark away.
    fn mark_row(&mut self, row: usize, action: PickerAction, jobs: &Snapshot, now: &Situation) {
        let Some(index) = jobs.ranked(row) else { return };
        let entry = &jobs.entries()[index];
        let is_park = action == PickerAction::Park;
        self.message = match () {
            () if entry.is_first => "Without the first process nothing goes on.",
            () if entry.is_others => "These are many jobs: choose one of those above.",
            () if entry.fate == Fate::Parked => "That job is parked: emerg resume brings it back.",
            () if entry.fate != Fate::Lives => "That job is gone already.",
            () if action != PickerAction::Kill && entry.is_essential => {
                "Others depend on that job: it can only be ended."
            }
            () if is_park && now.can_park == 0 => "There is no store with room to park a job in.",
            () if is_park && now.can_park < entry.would_park => {
                "The store has too little room left to park that job."
            }
            () => {
                let mark = &mut self.marked[index];
                *mark = if *mark == Some(action) { None } else { Some(action) };
                ""
            }
        };
    }

    /// Enter: with nothing marked it means ending the row under the cursor.
    fn ask(&mut self, jobs: &Snapshot, now: &Situation) {
        if self.marked_jobs(jobs).next().is_none() {
            self.mark_row(self.cursor, PickerAction::Kill, jobs, now);
        }
        self.question = match () {
            () if self.marked_jobs(jobs).next().is_none() => Question::None,
            () if self.marked_jobs(jobs).any(|(entry, _)| entry.is_essential) => {
                Question::ActOnEssential
            }
            () => Question::Act,
        };
    }

    fn answer(&mut self, key: Key) -> Option<Decision> {
        let question = core::mem::replace(&mut self.question, Question::None);
        match (question, key) {
            (Question::Act, Key::Char(b'y' | b'Y'))
            | (Question::ActOnEssential, Key::Char(b'Y')) => return Some(Decision::Act),
            (Question::ActOnEssential, Key::Char(b'y')) => {
                self.message = "Others depend on a marked job: a capital Y, if it must be.";
            }
            _ => self.message = "Nothing has been done.",
        }
        None
    }

    /// The jobs that are marked.
    pub fn marked_jobs<'a>(
        &'a self,
        jobs: &'a Snapshot,
    ) -> impl Iterator<Item = (&'a SnapshotEntry, PickerAction)> + 'a {
        let entries = jobs.entries().iter().enumerate();
        entries.filter_map(|(index, entry)| Some((entry, self.mark(index)?)))
    }

    /// Draws everything.
    pub fn draw(&self, screen: &mut Screen, jobs: &Snapshot, now: &Situation) {
        draw_head(screen, now);
        draw_progress(screen, now);
        screen.clear_row(4);
        screen.at(5, 0, Style::Bold).text(format_args!(
            "     {:<20}{:>6}{:>6}{:>11}{:>12}{:>12}{:>7}",
            "JOB", "PID", "PROCS", "IN USE", "WOULD FREE", "GREW/10s", "AGE"
        ));
        for line in 0..PAGE {
            let row = LIST.start + line;
            screen.clear_row(row);
            if let Some(index) = jobs.ranked(self.top + line) {
                self.draw_job(screen, row, line, index, &jobs.entries()[index], now);
            }
        }
        self.draw_foot(screen, jobs, now);
    }

    fn draw_job(
        &self,
        screen: &mut Screen,
        row: usize,
        line: usize,
        index: usize,
        entry: &SnapshotEntry,
        now: &Situation,
    ) {
        let is_here = self.top + line == self.cursor;
        let style = match (entry.fate, is_here) {
            (_, true) => Style::Reverse,
            (Fate::Killed | Fate::Lost | Fate::Parked, _) => Style::Dim,
            _ if self.mark(index) == Some(PickerAction::Kill) => Style::Red,
            _ if self.mark(index).is_some() => Style::Green,
            _ if entry.is_essential => Style::Dim,
            _ => Style::Plain,
        };
        let mark = match entry.fate {
            Fate::Killed => "ended",
            Fate::Lost => "LOST ",
            Fate::Parked => "prkd ",
            Fate::Lives => self.mark(index).map_or("", PickerAction::mark),
        };
        let arrow = if is_here { '>' } else { ' ' };
        let mut pen = screen.at(row, 0, style);
        match line {
            _ if !mark.is_empty() => pen.text(format_args!("{mark:<5}")),
            0..9 => pen.text(format_args!("{arrow}{:>2}  ", line + 1)),
            _ => pen.text(format_args!("{arrow}    ")),
        }
        let length = entry.name.iter().position(|byte| *byte == 0).unwrap_or(entry.name.len());
        let shown = length.min(if entry.is_essential { 17 } else { 19 });
        pen.bytes(&entry.name[..shown]);
        if entry.is_essential {
            pen.bytes(b" *");
        }
        let used = shown + if entry.is_essential { 2 } else { 0 };
        pen.text(format_args!("{:width$}", "", width = 20 - used));
        let seconds = now.stopped_ns.saturating_sub(entry.started_ns) / 1_000_000_000;
        pen.text(format_args!(
            "{:>6}{:>6}{:>11}{:>12}{:>12}",
            entry.pid,
            entry.processes,
            Text::<16>::of(format_args!("{}", Pages(entry.resident))),
            Text::<16>::of(format_args!("{}", Pages(entry.would_free))),
            Text::<16>::of(format_args!("{}", Growth(entry.growth_10s))),
        ));
        match seconds {
            0..120 => pen.text(format_args!("{seconds:>6}s")),
            120..7200 => pen.text(format_args!("{:>6}m", seconds / 60)),
            _ => pen.text(format_args!("{:>6}h", seconds / 3600)),
        }
    }

    fn draw_foot(&self, screen: &mut Screen, jobs: &Snapshot, now: &Situation) {
        (20..25).for_each(|row| screen.clear_row(row));
        let below = jobs.len().saturating_sub(self.top + PAGE);
        if below > 0 || self.top > 0 {
            screen.at(20, 5, Style::Dim).text(format_args!("{} above, {below} below", self.top));
        }
        let total = Total::of(self.marked_jobs(jobs));
        if total.count() > 0 {
            let style = if total.frees >= now.needed() { Style::Green } else { Style::Plain };
            let mut pen = screen.at(21, 1, style);
            total.draw(&mut pen, now);
        }
        let mut pen = screen.at(22, 1, Style::Bold);
        match self.question {
            Question::Act => match total.ends {
                0 => pen.text(format_args!("Do that?   y = yes, any other key = no")),
                _ => pen.text(format_args!(
                    "End what is marked? What it has not saved is lost.   y = yes, other = no"
                )),
            },
            Question::ActOnEssential => pen.text(format_args!(
                "Others DEPEND on a marked job (*). End it all the same?   Y = yes, other = no"
            )),
            Question::None if !self.message.is_empty() => {
                pen.text(format_args!("{}", self.message))
            }
            Question::None => match now.countdown {
                Some(seconds) => {
                    pen.text(format_args!("Without a key the policy decides in {seconds} s."))
                }
                None if now.needed() == 0 => pen.text(format_args!(
                    "Enough memory is free: c goes on without ending anything."
                )),
                None => {}
            },
        }
        screen.at(24, 0, Style::Reverse).text(format_args!(
            "{:<80}",
            " arrows choose  space END  s SAVE first  p PARK  Enter do it  Esc undo  c go on"
        ));
    }
}

/// What is marked, added up.
#[derive(Clone, Copy, Default)]
struct Total {
    ends: usize,
    saves: usize,
    parks: usize,
    frees: usize,
}

impl Total {
    fn of<'a>(marked: impl Iterator<Item = (&'a SnapshotEntry, PickerAction)>) -> Self {
        marked.fold(Self::default(), |mut total, (entry, action)| {
            match action {
                PickerAction::Kill => total.ends += 1,
                PickerAction::Save => total.saves += 1,
                PickerAction::Park => total.parks += 1,
            }
            total.frees += match action {
                PickerAction::Park => entry.would_park,
                PickerAction::Kill | PickerAction::Save => entry.would_free,
            };
            total
        })
    }

    fn count(&self) -> usize {
        self.ends + self.saves + self.parks
    }

    /// `end 2, park 1: frees 80.8 MB of 3.5 MB needed.`
    fn draw(&self, pen: &mut Pen<'_>, now: &Situation) {
        let kinds = [("end", self.ends), ("save first", self.saves), ("park", self.parks)];
        let mut separator = "";
        for (word, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
            pen.text(format_args!("{separator}{word} {count}"));
            separator = ", ";
        }
        pen.text(format_args!(": frees {} of {} needed.", Pages(self.frees), Pages(now.needed())));
        if self.saves > 0 {
            pen.text(format_args!(" ({} s to save)", now.save_s));
        }
    }
}

fn draw_head(screen: &mut Screen, now: &Situation) {
    screen.at(0, 0, Style::Reverse).text(format_args!(
        "{:<80}",
        " LIFEBOAT   Memory is full. Everything waits, and nothing is lost: you choose."
    ));
    screen.clear_row(1);
    screen.at(1, 1, Style::Plain).text(format_args!(
        "{} of {} are free.",
        Pages(now.free),
        Pages(now.total)
    ));
    let mut pen = screen.at(1, 35, Style::Bold);
    match now.needed() {
        0 => pen.text(format_args!("That is enough to go on.")),
        needed => pen.text(format_args!("Choose jobs that free {} or more.", Pages(needed))),
    }
    if now.lost > 0 {
        screen.at(1, 68, Style::Red).text(format_args!("{} pages LOST", now.lost));
    }
}

fn draw_progress(screen: &mut Screen, now: &Situation) {
    screen.clear_row(2);
    screen.clear_row(3);
    let mut pen = screen.at(2, 1, Style::Plain);
    let (word, done, all) = match now.progress {
        Progress::None(why) => {
            return pen.text(format_args!("No store ({why}): pages stay in memory."));
        }
        Progress::Broken(why) => {
            return pen.text(format_args!("The store failed ({why}): pages stay in memory."));
        }
        Progress::Parking => return pen.text(format_args!("Store: parking a job ...")),
        Progress::Counting => return pen.text(format_args!("Store: counting pages ...")),
        Progress::Safe(pages) => {
            return pen
                .text(format_args!("Store: all {} of programs are safe on disk.", Pages(pages)));
        }
        Progress::Writing(done, all) => ("Store: writing", done, all),
        Progress::Restoring(done, all) => ("Store: restoring", done, all),
    };
    let full = done * BAR / all.max(1);
    pen.text(format_args!("{word:<17}["));
    (0..BAR).for_each(|cell| pen.bytes(if cell < full { b"#" } else { b"." }));
    pen.text(format_args!("] {} of {}", Pages(done), Pages(all)));
}

/// Text in a fixed place, so that it can be lined up.
struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    fn of(text: fmt::Arguments<'_>) -> Self {
        let mut made = Self { bytes: [0; N], length: 0 };
        // What does not fit is cut off.
        let _ = fmt::Write::write_fmt(&mut made, text);
        made
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes().filter(u8::is_ascii) {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
