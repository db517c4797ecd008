//! Running the stages, and what `sys:boot` tells about it.

use super::order::{OrderError, Ordered, order};
use super::phase::LifecyclePhase;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// Why a stage did not succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootError {
    /// Going on makes no sense.
    Fatal(&'static str),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Fatal(reason) = self;
        f.write_str(reason)
    }
}

/// One step of booting.
pub struct Stage<C> {
    /// What others call it.
    pub name: &'static str,
    /// When in the system's life it runs.
    pub phase: LifecyclePhase,
    /// The stages that must have run before.
    pub needs: &'static [&'static str],
    /// Does it. Doing it twice must do no harm.
    pub run: fn(&mut C) -> Result<(), BootError>,
    /// Undoes it.
    pub stop: fn(&mut C) -> Result<(), BootError>,
}

impl<C> Ordered<'static> for Stage<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn needs(&self) -> &'static [&'static str] {
        self.needs
    }

    fn group(&self) -> usize {
        self.phase as usize
    }
}

/// A stage that ran before there was a pipeline to run it: the machine's own first steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Past {
    /// The stage.
    pub name: &'static str,
    /// When it began, in ticks.
    pub start: u64,
    /// When it was done.
    pub end: u64,
}

/// How long the loader took before the kernel's first instruction, in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoaderTicks {
    /// For its work.
    pub worked: u64,
    /// For a person to press a key.
    pub waited: u64,
}

/// What stages work on.
pub trait Context {
    /// A counter that only grows, for timing.
    fn ticks(&self) -> u64;
    /// Told about everything that happens, for the log.
    fn report(&mut self, event: Event);
}

/// Something that happened to a stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It begins.
    Started(&'static str),
    /// It is done.
    Done(&'static str),
    /// It failed and is tried again.
    Retried(&'static str, BootError),
    /// It failed for good.
    Failed(&'static str, BootError),
    /// It is undone.
    Stopped(&'static str),
    /// It could not be undone; the others are undone all the same.
    StopFailed(&'static str, BootError),
}

/// How far booting has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BootState {
    /// No stage has begun.
    #[default]
    NotStarted,
    /// This stage runs.
    Running {
        /// Its name.
        stage: &'static str,
    },
    /// All have run.
    Completed {
        /// How many.
        stages_run: usize,
    },
    /// One has failed.
    Failed {
        /// Its name.
        stage: &'static str,
        /// Its place in the order, from 1.
        number: usize,
        /// Why.
        reason: BootError,
    },
}

impl fmt::Display for BootState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("NotStarted"),
            Self::Running { stage } => write!(f, "Running {stage}"),
            Self::Completed { stages_run } => write!(f, "Completed {stages_run}"),
            Self::Failed { stage, number, reason } => {
                write!(f, "BOOT FAILED at stage {number} ({stage}): {reason}")
            }
        }
    }
}

/// What has become of one stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Not begun.
    Waiting,
    /// Begun.
    Running,
    /// Succeeded.
    Done,
    /// Failed.
    Failed,
    /// Undone.
    Stopped,
}

impl Progress {
    /// How `sys:boot` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// One stage and what happened to it.
struct Row<C> {
    stage: Stage<C>,
    progress: Progress,
    is_broken: bool,
    start: u64,
    end: u64,
}

/// The sorted stages.
pub struct Pipeline<C> {
    rows: Vec<Row<C>>,
    state: BootState,
    phase: LifecyclePhase,
}

impl<C: Context> Pipeline<C> {
    /// Sorts stages.
    ///
    /// # Errors
    ///
    /// They have no order; the error names them.
    pub fn new(stages: Vec<Stage<C>>) -> Result<Self, OrderError<'static>> {
        let sorted = order(&stages)?;
        let mut stages: Vec<Option<Stage<C>>> = stages.into_iter().map(Some).collect();
        let rows = sorted.into_iter().filter_map(|index| stages[index].take()).map(Row::new);
        let rows = rows.collect();
        Ok(Self { rows, state: BootState::NotStarted, phase: LifecyclePhase::Boot })
    }

    /// How far it has come.
    pub fn state(&self) -> BootState {
        self.state
    }

    /// The phase the system is in.
    pub fn phase(&self) -> LifecyclePhase {
        self.phase
    }

    /// Takes over stages that have run. They are not run again, but shown and undone as the others.
    ///
    /// # Errors
    ///
    /// One is not among the stages, or began before one that it needs was done.
    pub fn adopt(&mut self, past: &[Past]) -> Result<(), OrderError<'static>> {
        for done in past {
            let name = done.name;
            let needs = match self.row(name) {
                Some(row) => {
                    (row.progress, row.start, row.end) = (Progress::Done, done.start, done.end);
                    row.stage.needs
                }
                None => return Err(OrderError::Unknown { name: "the machine", need: name }),
            };
            let is_done = |need: &&&str| {
                let mut rows = self.rows.iter();
                rows.any(|row| {
                    let is_over = row.progress == Progress::Done && row.end <= done.start;
                    row.stage.name == **need && is_over
                })
            };
            if let Some(need) = needs.iter().find(|need| !is_done(need)) {
                return Err(OrderError::TooEarly { name, need });
            }
        }
        Ok(())
    }

    fn row(&mut self, name: &str) -> Option<&mut Row<C>> {
        self.rows.iter_mut().find(|row| row.stage.name == name)
    }

    /// Makes a stage fail, as the boot option `fail=STAGE` asks; false when there is none that
    /// is still to run.
    pub fn inject_failure(&mut self, stage: &str) -> bool {
        let row = self.row(stage).filter(|row| row.progress == Progress::Waiting);
        row.map(|row| row.is_broken = true).is_some()
    }

    /// Runs all stages. When one fails twice, those before it are undone, last first. Only the
    /// first call does anything.
    ///
    /// # Errors
    ///
    /// Why booting failed; [`Pipeline::state`] names the stage.
    pub fn run(&mut self, context: &mut C) -> Result<(), BootError> {
        if self.state != BootState::NotStarted {
            return Ok(());
        }
        for index in 0..self.rows.len() {
            let row = &mut self.rows[index];
            let stage = row.stage.name;
            self.state = BootState::Running { stage };
            self.phase.advance(row.stage.phase);
            if row.progress == Progress::Done {
                continue;
            }
            if let Err(reason) = row.run(context) {
                self.state = BootState::Failed { stage, number: index + 1, reason };
                self.stop_all(context);
                return Err(reason);
            }
        }
        self.state = BootState::Completed { stages_run: self.rows.len() };
        self.phase.advance(LifecyclePhase::Running);
        Ok(())
    }

    /// Undoes every stage that has run, last first. A stage that cannot be undone does not stop
    /// the rest, and none is undone twice.
    pub fn stop_all(&mut self, context: &mut C) {
        self.phase.advance(LifecyclePhase::ShuttingDown);
        for row in self.rows.iter_mut().rev().filter(|row| row.progress == Progress::Done) {
            row.stop(context);
        }
        self.phase.advance(LifecyclePhase::Halted);
    }

    /// Writes what `sys:boot` shows: the state, then a line per stage in their order: name, phase,
    /// needs, start and duration in nanoseconds, progress.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    pub fn render(&self, nanoseconds: impl Fn(u64) -> u64, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "{}", self.state)?;
        for row in &self.rows {
            write!(out, "{} {} ", row.stage.name, row.stage.phase)?;
            match row.stage.needs {
                [] => out.write_str("-")?,
                [first, rest @ ..] => {
                    out.write_str(first)?;
                    rest.iter().try_for_each(|need| write!(out, ",{need}"))?;
                }
            }
            match row.progress {
                Progress::Waiting => out.write_str(" - -")?,
                Progress::Running => write!(out, " {} -", nanoseconds(row.start))?,
                Progress::Done | Progress::Failed | Progress::Stopped => {
                    let (start, end) = (nanoseconds(row.start), nanoseconds(row.end));
                    write!(out, " {start} {}", end.saturating_sub(start))?;
                }
            }
            writeln!(out, " {}", row.progress.name())?;
        }
        Ok(())
    }
}

impl<C: Context> Row<C> {
    fn new(stage: Stage<C>) -> Self {
        Self { stage, progress: Progress::Waiting, is_broken: false, start: 0, end: 0 }
    }

    fn run(&mut self, context: &mut C) -> Result<(), BootError> {
        let name = self.stage.name;
        context.report(Event::Started(name));
        (self.progress, self.start) = (Progress::Running, context.ticks());
        let result = self.attempt(context).or_else(|reason| {
            context.report(Event::Retried(name, reason));
            self.attempt(context)
        });
        self.end = context.ticks();
        match result {
            Ok(()) => {
                self.progress = Progress::Done;
                context.report(Event::Done(name));
            }
            Err(reason) => {
                self.progress = Progress::Failed;
                context.report(Event::Failed(name, reason));
            }
        }
        result
    }

    fn attempt(&mut self, context: &mut C) -> Result<(), BootError> {
        if self.is_broken {
            return Err(BootError::Fatal("failure asked for"));
        }
        (self.stage.run)(context)
    }

    fn stop(&mut self, context: &mut C) {
        self.progress = Progress::Stopped;
        let name = self.stage.name;
        match (self.stage.stop)(context) {
            Ok(()) => context.report(Event::Stopped(name)),
            Err(reason) => context.report(Event::StopFailed(name, reason)),
        }
    }
}
