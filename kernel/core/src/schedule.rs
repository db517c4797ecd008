//! `proc:PID/priority` — which ready thread runs next, and what share of the CPUs it gets.
//!
//! Every thread has an account of the time it has had, and the one that has had least is next. Time costs
//! an urgent thread less: with each step of [`Priority`] the share grows by a quarter. No account lies far
//! from the others, so nobody waits for ever, and who has slept does not make up for it. Never looks at
//! threads or at a clock: the kernel says how long somebody ran.

use crate::task::TaskId;
use alloc::collections::VecDeque;

/// How long a thread runs before another ready one gets its turn, in nanoseconds.
pub const TURN_NS: u64 = 10_000_000;

/// How urgent a process is: from 1 to 40 for a share of the time, or 0 for what nobody else wants. Unix's
/// nice value is 20 less this number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Priority(u8);

impl Priority {
    /// Runs when nobody else would.
    pub const IDLE: Self = Self(0);
    /// What everybody has who has not asked for another one.
    pub const NORMAL: Self = Self(20);
    /// The most urgent.
    pub const HIGHEST: Self = Self(40);

    /// The one with this number, if there is one.
    pub fn new(number: u8) -> Option<Self> {
        (number <= Self::HIGHEST.0).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// What so much time costs, where it costs itself at the normal priority.
    fn cost(self, ns: u64) -> u64 {
        if self == Self::NORMAL {
            return ns;
        }
        ns * WEIGHTS[Self::NORMAL.0 as usize] / WEIGHTS[self.0 as usize]
    }
}

/// The share of each priority beside those of others.
const WEIGHTS: [u64; Priority::HIGHEST.0 as usize + 1] = {
    let mut weights = [1 << 32; Priority::HIGHEST.0 as usize + 1];
    let mut number = weights.len() - 1;
    while number > 0 {
        weights[number - 1] = weights[number] / 5 * 4;
        number -= 1;
    }
    weights
};

/// What a thread has had.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Its process's.
    pub priority: Priority,
    /// What its time has cost.
    spent: u64,
    /// Ticks that have been counted.
    counted: u64,
}

impl Account {
    /// Of a thread that has not run, nor anybody before it.
    pub fn new(priority: Priority) -> Self {
        Self { priority, spent: 0, counted: 0 }
    }

    /// Counts what is new of a thread's `ticks`; `ns` says how long so many took. It pays for one turn at
    /// most: what it ran longer, it ran because nobody waited.
    pub fn count(&mut self, ticks: u64, ns: impl FnOnce(u64) -> u64) {
        let new = ns(ticks.saturating_sub(self.counted));
        self.counted = ticks;
        self.spent += self.priority.cost(new.min(TURN_NS));
    }

    /// The account of a thread that this one makes: it has had as much.
    pub fn for_new_thread(&self) -> Self {
        Self { counted: 0, ..*self }
    }
}

/// A thread that waits for a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    task: TaskId,
    /// What it has spent.
    spent: u64,
}

/// What idle threads have spent, for the queue: more than any other.
const EVERYTHING: u64 = u64::MAX;

/// The ready threads, each once.
#[derive(Default)]
pub struct Queue {
    /// Those that were woken, then all others, who has spent least first.
    ready: VecDeque<Entry>,
    /// How many at the front were woken and go first, but only while a turn lasts. Else threads that keep
    /// waking each other, three or more, would each find the next one in front of everybody else for ever.
    woken: usize,
    /// The most that somebody had spent whose turn began.
    clock: u64,
}

impl Queue {
    /// Whether the queue can take one thread more without asking for a large piece of the kernel's
    /// heap that may not be there.
    pub fn has_room(&mut self) -> bool {
        self.ready.try_reserve(1).is_ok()
    }

    /// A thread became ready in the ordinary way.
    #[inline]
    pub fn add(&mut self, task: TaskId, account: &mut Account) {
        let ahead = account.priority.cost(TURN_NS).max(TURN_NS);
        let behind = self.clock.saturating_sub(TURN_NS);
        account.spent = account.spent.clamp(behind, self.clock + ahead);
        let spent = if account.priority == Priority::IDLE { EVERYTHING } else { account.spent };
        let mut place = self.ready.len();
        let is_later = |entry: &Entry| entry.spent > spent;
        while place > self.woken && self.ready.get(place - 1).is_some_and(is_later) {
            place -= 1;
        }
        let entry = Entry { task, spent };
        // By far the most frequent case.
        match place == self.ready.len() {
            true => self.ready.push_back(entry),
            false => self.ready.insert(place, entry),
        }
    }

    /// A thread was woken by the one that runs, which may hand over its turn: it goes before the
    /// others, but only as long as that turn lasts.
    pub fn add_first(&mut self, task: TaskId) {
        self.ready.push_front(Entry { task, spent: 0 });
        self.woken += 1;
    }

    /// The thread that was woken last, as long as there is one.
    pub fn take_woken(&mut self) -> Option<TaskId> {
        self.woken = self.woken.checked_sub(1)?;
        self.ready.pop_front().map(|entry| entry.task)
    }

    /// Takes the thread that begins a turn of its own. There must be no woken one.
    pub fn take_next(&mut self) -> Option<TaskId> {
        let Entry { task, spent } = self.ready.pop_front()?;
        if spent != EVERYTHING {
            self.clock = self.clock.max(spent);
        }
        Some(task)
    }

    /// A thread gives up its turn: it waits for all that have not had much more than others.
    pub fn give_way(&self, account: &mut Account) {
        account.spent = account.spent.max(self.clock + TURN_NS);
    }

    /// Takes a certain thread. False when it is not here.
    #[inline]
    pub fn remove(&mut self, task: TaskId) -> bool {
        if self.ready.front().is_some_and(|entry| entry.task == task) {
            self.ready.pop_front();
            self.woken = self.woken.saturating_sub(1);
            return true;
        }
        match self.ready.iter().position(|entry| entry.task == task) {
            Some(place) => {
                self.woken -= usize::from(place < self.woken);
                self.ready.remove(place).is_some()
            }
            None => false,
        }
    }

    /// Whether nobody is ready.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether nobody is ready but idle threads.
    pub fn is_idle(&self) -> bool {
        self.ready.front().is_none_or(|entry| entry.spent == EVERYTHING)
    }

    /// How many are ready.
    pub fn len(&self) -> usize {
        self.ready.len()
    }
}

#[cfg(test)]
mod tests;
