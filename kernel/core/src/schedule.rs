//! `sys:sched` — which ready thread runs next.

use crate::task::TaskId;
use alloc::collections::VecDeque;

/// How the next thread is chosen. Only ready threads are here, each once.
pub trait Policy {
    /// A thread became ready in the ordinary way.
    fn add(&mut self, task: TaskId);
    /// A thread was woken by the one that runs, which may hand over its turn: it goes before the
    /// others, but only as long as that turn lasts.
    fn add_first(&mut self, task: TaskId);
    /// Takes the next thread, and says whether it begins a turn of its own. `has_turn`: the turn of
    /// the one that ran last is not over.
    fn next(&mut self, has_turn: bool) -> Option<(TaskId, bool)>;
    /// Takes a certain thread. False when it is not here.
    fn remove(&mut self, task: TaskId) -> bool;
    /// Whether nobody is ready.
    fn is_empty(&self) -> bool;
    /// How many are ready.
    fn len(&self) -> usize;
}

/// Everybody in turn.
#[derive(Default)]
pub struct RoundRobin {
    ready: VecDeque<TaskId>,
    /// How many at the front were woken and go first. Else threads that keep waking each other, three
    /// or more, would each find the next one in front of everybody else for ever.
    woken: usize,
}

impl RoundRobin {
    /// Whether the queue can take one thread more without asking for a large piece of the kernel's
    /// heap that may not be there.
    pub fn has_room(&mut self) -> bool {
        self.ready.try_reserve(1).is_ok()
    }
}

impl Policy for RoundRobin {
    fn add(&mut self, task: TaskId) {
        self.ready.push_back(task);
    }

    fn add_first(&mut self, task: TaskId) {
        self.ready.push_front(task);
        self.woken += 1;
    }

    fn next(&mut self, has_turn: bool) -> Option<(TaskId, bool)> {
        if self.woken > 0 {
            if has_turn {
                self.woken -= 1;
                return self.ready.pop_front().map(|task| (task, false));
            }
            self.ready.rotate_left(core::mem::take(&mut self.woken));
        }
        self.ready.pop_front().map(|task| (task, true))
    }

    #[inline]
    fn remove(&mut self, task: TaskId) -> bool {
        if self.ready.front() == Some(&task) {
            self.ready.pop_front();
            self.woken = self.woken.saturating_sub(1);
            return true;
        }
        match self.ready.iter().position(|have| *have == task) {
            Some(place) => {
                self.woken -= usize::from(place < self.woken);
                self.ready.remove(place).is_some()
            }
            None => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    fn len(&self) -> usize {
        self.ready.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_a_turn_and_the_woken_one_goes_first() {
        let mut policy = RoundRobin::default();
        [1, 2, 3].into_iter().for_each(|n| policy.add(TaskId(n)));
        policy.add_first(TaskId(9));
        assert!(policy.remove(TaskId(2)));
        assert!(!policy.remove(TaskId(2)));
        let order: alloc::vec::Vec<_> = core::iter::from_fn(|| policy.next(true)).collect();
        assert_eq!(order, [(TaskId(9), false), (TaskId(1), true), (TaskId(3), true)]);
    }

    #[test]
    fn the_woken_ones_wait_like_all_others_when_the_turn_is_over() {
        let mut policy = RoundRobin::default();
        [1, 2].into_iter().for_each(|n| policy.add(TaskId(n)));
        [8, 9].into_iter().for_each(|n| policy.add_first(TaskId(n)));
        assert_eq!(policy.next(false), Some((TaskId(1), true)));
        policy.add_first(TaskId(7));
        assert!(policy.remove(TaskId(7)) && policy.remove(TaskId(8)));
        let order: alloc::vec::Vec<_> = core::iter::from_fn(|| policy.next(true)).collect();
        assert_eq!(order, [(TaskId(2), true), (TaskId(9), true)]);
    }
}
