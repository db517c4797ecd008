//! What comes before an emergency: the level, who is told, and who has been growing.
//!
//! While memory is plenty nothing runs here. The frame allocator rings an alarm when a level is
//! left downwards; from then on a clock ticks once a second, until there is plenty again.

use super::super::{Kernel, Waiter};
use crate::emergency::pressure::MemoryPressureLevel;
use crate::machine::Machine;
use crate::scheme::place;
use abi::redox::flag::EventFlags;

/// Between two looks at the level.
const TICK_NS: u64 = 1_000_000_000;
/// Ticks between two notes of who has how much.
const SAMPLE_TICKS: u32 = 10;

impl<M: Machine> Kernel<M> {
    /// The alarm rang, or the clock ticked: is memory shorter than it was, or less short?
    #[cold]
    pub(crate) fn look_at_pressure(&mut self) {
        let counts = self.frames.totals();
        let before = self.emergency.level;
        let level = before.next(counts.free, counts.total);
        self.frames.set_alarm(level.alarm(counts.total));
        if level != before {
            self.set_level(level);
        }
        if level > MemoryPressureLevel::Normal && !self.emergency.is_ticking {
            self.emergency.is_ticking = true;
            self.emergency.sampled_s = 0;
            self.sample_growth();
            self.add_timer(self.now() + TICK_NS, Waiter::Pressure);
        }
    }

    pub(super) fn set_level(&mut self, level: MemoryPressureLevel) {
        self.emergency.level = level;
        self.emergency.level_changes += 1;
        for number in self.texts.showing(crate::scheme::shows_pressure) {
            self.raise((place::EMERGENCY, number), EventFlags::EVENT_READ);
        }
    }

    /// One second under pressure has passed.
    pub(crate) fn pressure_ticked(&mut self) {
        self.emergency.is_ticking = false;
        self.emergency.sampled_s += 1;
        let seconds = self.emergency.sampled_s;
        self.look_at_pressure_again(seconds);
    }

    fn look_at_pressure_again(&mut self, seconds: u32) {
        if self.emergency.level > MemoryPressureLevel::Normal {
            self.emergency.is_ticking = true;
            if seconds.is_multiple_of(SAMPLE_TICKS) {
                self.sample_growth();
            }
            self.add_timer(self.now() + TICK_NS, Waiter::Pressure);
        }
        self.look_at_pressure();
    }

    /// Notes how much every process has.
    fn sample_growth(&mut self) {
        for (_, process) in self.processes.iter_mut() {
            let space = process.space.and_then(|space| self.spaces.get(space.0));
            process.growth.note(space.map_or(0, |space| space.resident));
        }
    }
}
