//! The picker: a person chooses which jobs end. Keys go in, a screen comes out; nothing else.
//!
//! It never allocates, never waits, and never believes a program's name. Whatever is marked is
//! confirmed by a second key; what others depend on by a capital one.

use super::input::Key;
use super::screen::{Screen, Style};
use super::snapshot::{Fate, MAX_SNAPSHOT_ENTRIES, Snapshot, SnapshotEntry};
use core::fmt;

/// Rows of the screen that show jobs.
const LIST: core::ops::Range<usize> = 6..20;
/// Jobs on one screen.
const PAGE: usize = LIST.end - LIST.start;
/// Cells of the progress bar.
const BAR: usize = 30;

/// What a person decided about the marked jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PickerAction {
    /// They end, and their memory is free.
    Kill,
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
    /// Processes whose pages could not be read back.
    pub lost: usize,
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
    Kill,
    KillEssential,
}

/// The picker's state between two keys.
#[derive(Debug)]
pub struct Picker {
    cursor: usize,
    top: usize,
    marked: [u64; MAX_SNAPSHOT_ENTRIES.div_ceil(64) + 1],
    question: Question,
    message: &'static str,
    /// Whether a key has been pressed: then nobody decides behind the person's back.
    pub is_touched: bool,
}

impl Default for Picker {
    fn default() -> Self {
        Self {
            cursor: 0,
            top: 0,
            marked: [0; MAX_SNAPSHOT_ENTRIES.div_ceil(64) + 1],
            question: Question::None,
            message: "",
            is_touched: false,
        }
    }
}

impl Picker {
    /// Whether the job at `index` is marked.
    pub fn is_marked(&self, index: usize) -> bool {
        self.marked[index / 64] & 1 << (index % 64) != 0
    }

    /// Marks a job, or takes the mark away.
    pub fn set_mark(&mut self, index: usize, is_marked: bool) {
        self.marked[index / 64] &= !(1 << (index % 64));
        self.marked[index / 64] |= u64::from(is_marked) << (index % 64);
    }

    /// Takes all marks away, because what was marked has happened.
    pub fn unmark_all(&mut self) {
        self.marked.fill(0);
    }

    /// Obeys a key. Returns what is to be done, once it is certain.
    pub fn key(&mut self, key: Key, jobs: &Snapshot, now: &Situation) -> Option<PickerAction> {
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
                self.mark_row(self.cursor, jobs);
                self.cursor = (self.cursor + 1).min(last);
            }
            Key::Char(digit @ b'1'..=b'9') => {
                let row = self.top + usize::from(digit - b'1');
                if row <= last {
                    self.cursor = row;
                    self.mark_row(row, jobs);
                }
            }
            Key::Enter => self.ask(jobs),
            Key::Char(b'c') if now.needed() == 0 => return Some(PickerAction::Continue),
            Key::Char(b'c') => self.message = "Not yet: too little memory is free to go on.",
            Key::Escape => self.unmark_all(),
            Key::Char(_) => {}
        }
        self.top = self.top.clamp((self.cursor + 1).saturating_sub(PAGE), self.cursor);
        None
    }

    fn mark_row(&mut self, row: usize, jobs: &Snapshot) {
        let Some(index) = jobs.ranked(row) else { return };
        let entry = &jobs.entries()[index];
        match () {
            () if entry.is_first => self.message = "Without the first process nothing goes on.",
            () if entry.is_others => self.message = "These are many jobs: end one of those above.",
            () if entry.fate != Fate::Lives => self.message = "That job is gone already.",
            () => self.set_mark(index, !self.is_marked(index)),
        }
    }

    /// Enter: with nothing marked it means the row under the cursor.
    fn ask(&mut self, jobs: &Snapshot) {
        if self.marked_jobs(jobs).next().is_none() {
            self.mark_row(self.cursor, jobs);
        }
        self.question = match () {
            () if self.marked_jobs(jobs).next().is_none() => Question::None,
            () if self.marked_jobs(jobs).any(|entry| entry.is_essential) => Question::KillEssential,
            () => Question::Kill,
        };
    }

    fn answer(&mut self, key: Key) -> Option<PickerAction> {
        let question = core::mem::replace(&mut self.question, Question::None);
        match (question, key) {
            (Question::Kill, Key::Char(b'y' | b'Y'))
            | (Question::KillEssential, Key::Char(b'Y')) => return Some(PickerAction::Kill),
            (Question::KillEssential, Key::Char(b'y')) => {
                self.message = "Others depend on a marked job: a capital Y, if it must be.";
            }
            _ => self.message = "Nothing has been ended.",
        }
        None
    }

    /// The jobs that are marked.
    pub fn marked_jobs<'a>(
        &'a self,
        jobs: &'a Snapshot,
    ) -> impl Iterator<Item = &'a SnapshotEntry> + 'a {
        let entries = jobs.entries().iter().enumerate();
        entries.filter(|(index, _)| self.is_marked(*index)).map(|(_, entry)| entry)
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
            (Fate::Killed | Fate::Lost, _) => Style::Dim,
            _ if self.is_marked(index) => Style::Red,
            _ if entry.is_essential => Style::Dim,
            _ => Style::Plain,
        };
        let mark = match entry.fate {
            Fate::Killed => "ended",
            Fate::Lost => "LOST ",
            Fate::Lives if self.is_marked(index) => "[END]",
            Fate::Lives => "",
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
        let (mut count, mut frees) = (0, 0);
        for entry in self.marked_jobs(jobs) {
            count += 1;
            frees += entry.would_free;
        }
        if count > 0 {
            let style = if frees >= now.needed() { Style::Green } else { Style::Plain };
            let plural = if count == 1 { "" } else { "s" };
            screen.at(21, 1, style).text(format_args!(
                "{count} job{plural} marked: frees {} of the {} that are needed.",
                Pages(frees),
                Pages(now.needed())
            ));
        }
        let mut pen = screen.at(22, 1, Style::Bold);
        match self.question {
            Question::Kill => pen.text(format_args!(
                "End what is marked? What it has not saved is lost.   y = yes, any other key = no"
            )),
            Question::KillEssential => pen.text(format_args!(
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
            " up/down choose    space mark    Enter end what is marked    Esc unmark    c go on"
        ));
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
        needed => pen.text(format_args!("End jobs that free at least {}.", Pages(needed))),
    }
    if now.lost > 0 {
        screen.at(1, 72, Style::Red).text(format_args!("{} LOST", now.lost));
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
