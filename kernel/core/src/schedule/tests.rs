use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

const NORMAL: Priority = Priority::NORMAL;

fn queue_of<const N: usize>(tasks: [usize; N]) -> Queue {
    let mut queue = Queue::default();
    tasks.into_iter().for_each(|n| queue.add(TaskId(n), &mut Account::new(NORMAL)));
    queue
}

fn all(queue: &mut Queue) -> Vec<usize> {
    core::iter::from_fn(|| queue.take_next().map(|task| task.0)).collect()
}

#[test]
fn everybody_gets_a_turn_in_order() {
    let mut queue = queue_of([1, 2, 3]);
    assert!(queue.remove(TaskId(2)));
    assert!(!queue.remove(TaskId(2)));
    assert_eq!(all(&mut queue), [1, 3]);
}

#[test]
fn the_woken_ones_go_first_the_last_one_before_the_others() {
    let mut queue = queue_of([1, 2]);
    [7, 8, 9].into_iter().for_each(|n| queue.add_first(TaskId(n)));
    assert!(queue.remove(TaskId(8)));
    let woken: Vec<_> = core::iter::from_fn(|| queue.take_woken()).collect();
    assert_eq!(woken, [TaskId(9), TaskId(7)]);
    assert_eq!(all(&mut queue), [1, 2]);
}

#[test]
fn idle_ones_come_last_in_turn() {
    let mut queue = Queue::default();
    for (n, priority) in [(1, Priority::IDLE), (2, Priority::IDLE), (3, Priority(1))] {
        queue.add(TaskId(n), &mut Account::new(priority));
    }
    assert!(!queue.is_idle());
    assert_eq!(queue.take_next(), Some(TaskId(3)));
    assert!(queue.is_idle());
    assert_eq!(all(&mut queue), [1, 2]);
}

#[test]
fn who_gives_way_waits_for_all_that_are_as_urgent() {
    let mut queue = queue_of([1, 2]);
    let mut account = Account::new(NORMAL);
    queue.give_way(&mut account);
    queue.add(TaskId(9), &mut account);
    assert_eq!(all(&mut queue), [1, 2, 9]);
}

/// A thread of a simulated CPU that runs one turn after the other.
struct Thread {
    account: Account,
    /// Nanoseconds it has had.
    ran: u64,
    /// What the others had had when it began to wait.
    others: Vec<u64>,
}

impl Thread {
    fn new(number: u8) -> Self {
        let priority = Priority::new(number).expect("it is one");
        Self { account: Account::new(priority), ran: 0, others: Vec::new() }
    }
}

/// The queue, and the threads in it and beside it.
struct Cpu {
    queue: Queue,
    threads: Vec<Thread>,
}

impl Cpu {
    fn new(priorities: &[u8]) -> Self {
        let threads = priorities.iter().map(|number| Thread::new(*number)).collect();
        let mut cpu = Self { queue: Queue::default(), threads };
        (0..priorities.len()).for_each(|n| cpu.add(n));
        cpu
    }

    fn add(&mut self, n: usize) {
        let had = self.threads.iter().map(|thread| thread.ran).collect();
        let thread = &mut self.threads[n];
        thread.others = had;
        thread.account.count(thread.ran, |ticks| ticks);
        self.queue.add(TaskId(n), &mut thread.account);
    }

    /// Lets the next thread run for a while.
    fn run(&mut self, ns: u64) -> Option<usize> {
        let TaskId(n) = self.queue.take_next()?;
        self.threads[n].ran += ns;
        Some(n)
    }

    /// The most that another one can have while this one waits: both its accounts' distance, and the
    /// turn in which it passes.
    fn most(&self, waits: usize, other: usize) -> u64 {
        let [waits, other] = [waits, other].map(|n| self.threads[n].account.priority);
        let distance = waits.cost(TURN_NS).max(TURN_NS) + TURN_NS;
        distance * WEIGHTS[other.0 as usize] / WEIGHTS[NORMAL.0 as usize] + 2 * TURN_NS
    }
}

proptest! {
    /// The model is a CPU that divides every moment among all by their weights: nobody is further from
    /// it than one turn of each.
    #[test]
    fn shares_are_as_the_weights_say(
        priorities in prop::collection::vec(1u8..=40, 2..7),
        turns in 100usize..3_000,
    ) {
        let mut cpu = Cpu::new(&priorities);
        for _ in 0..turns {
            let n = cpu.run(TURN_NS).expect("all are ready");
            cpu.add(n);
        }
        let weight = |number: u8| 1.25f64.powi(i32::from(number));
        for (thread, number) in cpu.threads.iter().zip(&priorities) {
            for (other, others) in cpu.threads.iter().zip(&priorities) {
                let turn = TURN_NS as f64;
                let apart = thread.ran as f64 / weight(*number) - other.ran as f64 / weight(*others);
                let most = turn / weight(*number) + turn / weight(*others);
                prop_assert!(apart.abs() <= most * 1.001, "{apart} of {most}");
            }
        }
    }

    /// Whatever the others do, and however short they run before they sleep.
    #[test]
    fn nobody_starves(
        priorities in prop::collection::vec(1u8..=40, 2..6),
        steps in prop::collection::vec((1u64..=TURN_NS, 0u8..5, 0usize..6), 1..2_000),
    ) {
        let mut cpu = Cpu::new(&priorities);
        let mut asleep = Vec::new();
        for (ns, act, who) in steps {
            if let Some(n) = cpu.run(ns) {
                let waited = core::mem::take(&mut cpu.threads[n].others);
                for (other, before) in waited.into_iter().enumerate().filter(|(other, _)| *other != n) {
                    let had = cpu.threads[other].ran - before;
                    prop_assert!(had <= cpu.most(n, other), "{n} waited while {other} had {had}");
                }
                match act {
                    0 => asleep.push(n),
                    1 => {
                        cpu.queue.give_way(&mut cpu.threads[n].account);
                        cpu.add(n);
                    }
                    _ => cpu.add(n),
                }
            }
            if asleep.len() > who || cpu.queue.is_empty() {
                let n = asleep.remove(who.min(asleep.len() - 1));
                cpu.add(n);
            }
        }
    }

    /// Those that are equally urgent and use their turns up follow each other as in a plain queue.
    #[test]
    fn equals_take_turns(count in 2usize..9, others in prop::collection::vec(0usize..9, 1..200)) {
        let mut cpu = Cpu::new(&alloc::vec![20; count]);
        let mut model: VecDeque<usize> = (0..count).collect();
        for other in others {
            let n = cpu.run(TURN_NS).expect("all are ready");
            prop_assert_eq!(Some(n), model.pop_front());
            cpu.add(n);
            model.push_back(n);
            // One that is taken out of the middle waits anew.
            let moved = other % count;
            prop_assert!(cpu.queue.remove(TaskId(moved)));
            model.retain(|have| *have != moved);
            prop_assert_eq!(cpu.queue.len(), model.len());
            cpu.queue.give_way(&mut cpu.threads[moved].account);
            cpu.add(moved);
            model.push_back(moved);
        }
    }
}
