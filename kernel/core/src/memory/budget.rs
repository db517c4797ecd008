//! `proc:PID/limits` — how much memory the spaces of a job may have together.
//!
//! A budget counts the pages of all its spaces, shared ones each time. It lies inside the budget of
//! whoever made it, so nobody gets out of one by making another. It counts and refuses, and knows
//! nothing of processes.

use crate::table::Table;

/// The index of a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BudgetId(usize);

/// No more than so many budgets lie inside each other.
const DEPTH_MAX: usize = 8;

/// One budget.
#[derive(Clone, Copy, Debug)]
struct Budget {
    limit: usize,
    used: usize,
    /// Spaces in it, and budgets inside it.
    members: usize,
    above: Option<BudgetId>,
}

/// All budgets.
#[derive(Default)]
pub struct Budgets {
    table: Table<Budget>,
}

impl Budgets {
    /// A budget of so many pages inside `above`. None when too many lie inside each other.
    pub fn create(&mut self, limit: usize, above: Option<BudgetId>) -> Option<BudgetId> {
        if self.chain(above).count() >= DEPTH_MAX {
            return None;
        }
        if let Some(BudgetId(above)) = above {
            self.table[above].members += 1;
        }
        Some(BudgetId(self.table.insert(Budget { limit, used: 0, members: 0, above })))
    }

    /// A space with so many pages comes in.
    pub fn join(&mut self, budget: Option<BudgetId>, pages: usize) {
        if let Some(BudgetId(index)) = budget {
            self.table[index].members += 1;
            self.add(budget, pages);
        }
    }

    /// A space with so many pages goes. Budgets without members are forgotten.
    pub fn leave(&mut self, budget: Option<BudgetId>, pages: usize) {
        self.give_back(budget, pages);
        let mut next = budget;
        while let Some(BudgetId(index)) = next {
            self.table[index].members -= 1;
            if self.table[index].members > 0 {
                return;
            }
            next = self.table.remove(index).above;
        }
    }

    /// Whether so many pages more would be within every limit.
    #[inline]
    pub fn may_add(&self, budget: Option<BudgetId>, pages: usize) -> bool {
        let mut all = self.chain(budget);
        all.all(|budget| budget.limit.saturating_sub(budget.used) >= pages)
    }

    /// Counts pages.
    #[inline]
    pub fn add(&mut self, budget: Option<BudgetId>, pages: usize) {
        let mut next = budget;
        while let Some(BudgetId(index)) = next {
            let budget = &mut self.table[index];
            budget.used += pages;
            next = budget.above;
        }
    }

    /// Pages are gone.
    #[inline]
    pub fn give_back(&mut self, budget: Option<BudgetId>, pages: usize) {
        let mut next = budget;
        while let Some(BudgetId(index)) = next {
            let budget = &mut self.table[index];
            budget.used -= pages;
            next = budget.above;
        }
    }

    /// Pages in use, and the most there may be.
    pub fn counts(&self, budget: BudgetId) -> (usize, usize) {
        let budget = self.table[budget.0];
        (budget.used, budget.limit)
    }

    /// The budget that this one lies in.
    pub fn above(&self, budget: BudgetId) -> Option<BudgetId> {
        self.table[budget.0].above
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn chain(&self, budget: Option<BudgetId>) -> impl Iterator<Item = &Budget> {
        let first = budget.and_then(|BudgetId(index)| self.table.get(index));
        core::iter::successors(first, |budget| {
            budget.above.and_then(|BudgetId(index)| self.table.get(index))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_inside_another_is_bound_by_both() {
        let mut budgets = Budgets::default();
        let outer = budgets.create(100, None);
        budgets.join(outer, 30);
        let inner = budgets.create(1000, outer);
        budgets.join(inner, 50);
        assert!(budgets.may_add(inner, 20) && !budgets.may_add(inner, 21));
        budgets.add(inner, 20);
        assert_eq!(budgets.counts(outer.unwrap()), (100, 100));
        assert!(!budgets.may_add(outer, 1) && budgets.may_add(outer, 0));
        // The outer one outlives its own space as long as the inner one needs it.
        budgets.leave(outer, 30);
        assert_eq!((budgets.len(), budgets.may_add(inner, 30)), (2, true));
        budgets.leave(inner, 70);
        assert!(budgets.is_empty());
    }

    #[test]
    fn budgets_do_not_nest_for_ever() {
        let mut budgets = Budgets::default();
        let mut inmost = None;
        for _ in 0..DEPTH_MAX {
            inmost = budgets.create(10, inmost);
            assert!(inmost.is_some());
        }
        assert_eq!(budgets.create(10, inmost), None);
        budgets.join(inmost, 10);
        budgets.leave(inmost, 10);
        assert!(budgets.is_empty());
    }
}
