//! `time:CLOCK` — clocks and timers. Clock 1 is real time, 4 is time since boot.
//!
//! Reading gives a `TimeSpec`: now. Writing one sets a timer for that moment; when it comes the
//! file is ready to read for `event:`. `time:CLOCK/getres` reads the resolution.

use super::{Opened, Position, Scheme, directory::Entry, text::parse_number};
use crate::error::*;
use crate::kernel::{Caller, Kernel, TimerKey, Waiter};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::syscall::{copy_in_time, time_spec};
use crate::table::Table;
use abi::redox::data::{Stat, TimeSpec};
use abi::redox::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME, EventFlags, MODE_CHR, MODE_DIR};
use alloc::format;
use alloc::string::String;

const SIZE: usize = size_of::<TimeSpec>();

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    List,
    Now,
    Resolution,
}

struct Clock {
    clock: usize,
    shows: Shows,
    timer: Option<TimerKey>,
    is_expired: bool,
}

/// Open files of `time:`.
#[derive(Default)]
pub struct Clocks {
    open: Table<Clock>,
}

impl Clocks {
    /// The timer of a file has fired.
    pub fn expire(&mut self, number: usize) {
        if let Some(clock) = self.open.get_mut(number) {
            clock.timer = None;
            clock.is_expired = true;
        }
    }
}

pub(super) struct Time;

impl<M: Machine> Scheme<M> for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    fn open(&self, k: &mut Kernel<M>, _: Caller, path: &str, _: usize) -> Outcome<Opened> {
        let (clock, what) = path.split_once('/').unwrap_or((path, ""));
        let shows = match what {
            _ if path.is_empty() => Shows::List,
            "" | "gettime" | "timer" => Shows::Now,
            "getres" => Shows::Resolution,
            _ => return fail(ENOENT),
        };
        let clock = match parse_number(clock) {
            Some(number @ (CLOCK_REALTIME | CLOCK_MONOTONIC)) => number,
            _ if shows == Shows::List => CLOCK_MONOTONIC,
            _ => return fail(ENOENT),
        };
        let clock = Clock { clock, shows, timer: None, is_expired: false };
        Opened::stream(k.clocks.open.insert(clock))
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        _: Position,
    ) -> Outcome {
        if into.length < SIZE {
            return fail(EINVAL);
        }
        let Clock { clock, shows, .. } = k.clocks.open[number];
        let nanos = match shows {
            Shows::List => return fail(EISDIR),
            Shows::Now => k.clock(clock)?,
            Shows::Resolution => 1,
        };
        k.copy_out(caller.space, into, &time_spec(nanos))?;
        k.clocks.open[number].is_expired = false;
        Ok(SIZE)
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        _: Position,
    ) -> Outcome {
        if from.length < SIZE {
            return fail(EINVAL);
        }
        match k.clocks.open[number].shows {
            Shows::List => return fail(EISDIR),
            Shows::Now => {}
            Shows::Resolution => return fail(EBADF),
        }
        let moment = copy_in_time(k, caller, from.address)?;
        let Clock { clock, timer, .. } = k.clocks.open[number];
        let deadline = moment.saturating_sub(k.clock_start(clock)?);
        if let Some(old) = timer {
            k.timers.cancel(old);
        }
        let timer = k.add_timer(deadline, Waiter::TimeFile(number));
        k.clocks.open[number].timer = Some(timer);
        k.clocks.open[number].is_expired = false;
        Ok(SIZE)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        if let Some(timer) = k.clocks.open.remove(number).timer {
            k.timers.cancel(timer);
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let mut flags = EventFlags::EVENT_WRITE;
        flags.set(EventFlags::EVENT_READ, k.clocks.open[number].is_expired);
        flags
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        match k.clocks.open.get(number) {
            Some(Clock { clock, shows: Shows::Now, .. }) => format!("{clock}"),
            Some(Clock { clock, shows: Shows::Resolution, .. }) => format!("{clock}/getres"),
            _ => String::new(),
        }
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let is_list = k.clocks.open[number].shows == Shows::List;
        let mode = if is_list { MODE_DIR | 0o555 } else { MODE_CHR | 0o666 };
        Ok(Stat { st_mode: mode, ..Stat::default() })
    }

    fn entry(
        &self,
        k: &mut Kernel<M>,
        _: Caller,
        number: usize,
        from: usize,
    ) -> Outcome<Option<Entry>> {
        if k.clocks.open[number].shows != Shows::List {
            return fail(ENOTDIR);
        }
        let clocks = [CLOCK_REALTIME, CLOCK_MONOTONIC];
        Ok(clocks.get(from).map(|clock| Entry::file(from, format!("{clock}"))))
    }
}
