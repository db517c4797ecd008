//! Lines as they are written: a call's is begun when the call begins and ended when it ends, and
//! cut in two when another thread has something to say in between.

use crate::options::{Options, Stamp};
use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Where an answer is put, when there is room.
const COLUMN: usize = 40;

/// Where the lines go.
pub(crate) struct Printer {
    out: Box<dyn Write>,
    stamp: Stamp,
    last: Instant,
    /// Lines say whose they are.
    pub(crate) names_threads: bool,
    /// Whose line is not ended, and how long it is.
    open: Option<(u32, usize)>,
}

impl Printer {
    pub(crate) fn new(options: &Options) -> io::Result<Self> {
        let out: Box<dyn Write> = match &options.output {
            Some(path) => Box::new(File::create(path)?),
            None => Box::new(io::stderr()),
        };
        let (stamp, names_threads) = (options.stamp, options.pids.len() > 1);
        Ok(Self { out, stamp, last: Instant::now(), names_threads, open: None })
    }

    /// Begins a line.
    pub(crate) fn begin(&mut self, tid: u32, text: &str) -> io::Result<()> {
        self.cut()?;
        let line = self.prefix(tid) + text;
        self.open = Some((tid, line.len()));
        self.write(&line)
    }

    /// Ends the line of a call: what is left of its arguments, and its answer.
    pub(crate) fn end(
        &mut self,
        tid: u32,
        name: &str,
        rest: &str,
        answer: &str,
        time: Option<Duration>,
    ) -> io::Result<()> {
        let mut begun = match self.open {
            Some((whose, length)) if whose == tid => length,
            _ => {
                self.cut()?;
                let line = self.prefix(tid) + "<... " + name + " resumed>";
                self.write(&line)?;
                line.len()
            }
        };
        self.open = None;
        begun += rest.len() + 1;
        let pad = " ".repeat(COLUMN.saturating_sub(begun));
        let time = time.map_or_else(String::new, |time| format!(" <{:.6}>", time.as_secs_f64()));
        self.write(&format!("{rest}){pad} = {answer}{time}\n"))
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, tid: u32, text: &str) -> io::Result<()> {
        self.cut()?;
        let line = self.prefix(tid) + text + "\n";
        self.write(&line)
    }

    /// Text that is nobody's.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.cut()?;
        self.write(text)
    }

    /// Ends a line whose call goes on.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        match self.open.take() {
            Some(_) => self.write(" <unfinished ...>\n"),
            None => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    fn prefix(&mut self, tid: u32) -> String {
        let mut text = if self.names_threads { format!("[pid {tid:>5}] ") } else { String::new() };
        let now = Instant::now();
        match self.stamp {
            Stamp::None => {}
            Stamp::TimeOfDay => {
                let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let seconds = time.as_secs() % DAY;
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                text += &format!("{hours:02}:{minutes:02}:{:02} ", seconds % 60);
            }
            Stamp::Relative => {
                text += &format!("{:>10.6} ", (now - self.last).as_secs_f64());
            }
        }
        self.last = now;
        text
    }
}
