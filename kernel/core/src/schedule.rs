//! `sys:sched` — which ready thread runs next.

use crate::task::TaskId;
use alloc::collections::VecDeque;

/// How the next thread is chosen. Only ready threads are here, each once.
pub trait Policy {
    /// A thread became ready in the ordinary way.
    fn add(&mut self, task: TaskId);
    /// A thread was woken by the one that runs, which may hand over its turn.
    fn add_first(&mut self, task: TaskId);
    /// Takes the next thread.
    fn next(&mut self) -> Option<TaskId>;
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
    }

    fn next(&mut self) -> Option<TaskId> {
        self.ready.pop_front()
    }

    #[inline]
    fn remove(&mut self, task: TaskId) -> bool {
        if self.ready.front() == Some(&task) {
            self.ready.pop_front();
            return true;
        }
        match self.ready.iter().position(|have| *have == task) {
            Some(place) => self.ready.remove(place).is_some(),
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
        let order: alloc::vec::Vec<_> = core::iter::from_fn(|| policy.next()).collect();
        assert_eq!(order, [TaskId(9), TaskId(1), TaskId(3)]);
    }
}
