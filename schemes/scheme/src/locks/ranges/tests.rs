//! Locks on ranges against a model that has one entry for each byte.

use super::*;
use proptest::prelude::*;

type Table = Ranges<u64, u32>;

fn lock(pid: usize, start: u64, length: u64, is_exclusive: bool) -> Lock {
    let owner = Owner::Process(pid);
    Lock { owner, range: Range::new(start, length).expect("a good range"), is_exclusive }
}

fn errno(outcome: Result<()>) -> i32 {
    outcome.err().map_or(0, |error| error.errno)
}

#[test]
fn ranges_have_ends_or_none() {
    assert_eq!(Range::new(5, 0).map(Range::length), Some(0));
    assert_eq!(Range::new(5, 7), Some(Range { start: 5, end: 12 }));
    assert_eq!(Range::new(u64::MAX, 0), None);
    assert_eq!(Range::new(5, u64::MAX), None);
    assert_eq!(Range::new(1 << 63, 1), None);
}

#[test]
fn others_are_kept_out_where_it_overlaps() {
    let mut table = Table::default();
    assert_eq!(errno(table.take(0, lock(1, 10, 10, true), 0, false)), 0);
    assert_eq!(errno(table.take(0, lock(2, 0, 10, true), 0, false)), 0);
    assert_eq!(errno(table.take(0, lock(2, 20, 0, false), 0, false)), 0);
    assert_eq!(errno(table.take(0, lock(2, 19, 1, false), 0, false)), EAGAIN);
    assert_eq!(errno(table.take(0, lock(3, 30, 5, false), 0, false)), 0);
    assert_eq!(errno(table.take(0, lock(3, 30, 5, true), 0, false)), EAGAIN);
    // Another file is another lock.
    assert_eq!(errno(table.take(9, lock(2, 19, 1, true), 0, false)), 0);
    assert_eq!(table.test(0, lock(3, 5, 1, false)), Some(lock(2, 0, 10, true)));
    assert_eq!(table.test(0, lock(2, 5, 1, true)), None);
    assert!(!table.has_changed);
    table.cut(0, Owner::Process(1), Range { start: 12, end: 14 });
    assert!(table.has_changed);
    assert_eq!(errno(table.take(0, lock(2, 12, 2, true), 0, false)), 0);
    assert_eq!(errno(table.take(0, lock(2, 11, 2, true), 0, false)), EAGAIN);
}

#[test]
fn neighbours_become_one() {
    let mut table = Table::default();
    for start in 0..3 * OWN_MAX as u64 {
        assert_eq!(errno(table.take(0, lock(1, start, 1, true), 0, false)), 0);
    }
    assert_eq!(table.files[&0], [lock(1, 0, 3 * OWN_MAX as u64, true)]);
    for start in 0..OWN_MAX as u64 {
        assert_eq!(errno(table.take(1, lock(1, 2 * start, 1, true), 0, false)), 0);
    }
    assert_eq!(errno(table.take(1, lock(1, 1 << 40, 1, true), 0, false)), ENOLCK);
}

#[test]
fn a_circle_is_found_before_it_closes() {
    let mut table = Table::default();
    for pid in 1..=3 {
        assert_eq!(errno(table.take(0, lock(pid, pid as u64, 1, true), 0, true)), 0);
    }
    assert_eq!(errno(table.take(0, lock(1, 2, 1, false), 11, true)), EWOULDBLOCK);
    assert_eq!(errno(table.take(0, lock(2, 3, 1, true), 12, true)), EWOULDBLOCK);
    assert_eq!(errno(table.take(0, lock(3, 1, 1, true), 13, true)), EDEADLK);
    // Tried again, it waits on; called off, the circle is open.
    assert_eq!(errno(table.take(0, lock(1, 2, 1, false), 11, true)), EWOULDBLOCK);
    assert_eq!(table.waiting.len(), 2);
    table.cancelled(11);
    assert_eq!(errno(table.take(0, lock(3, 1, 1, true), 13, true)), EWOULDBLOCK);
    table.cut(0, Owner::Process(3), Range { start: 0, end: u64::MAX });
    assert_eq!(errno(table.take(0, lock(2, 3, 1, true), 12, true)), 0);
    assert_eq!(table.waiting.len(), 1);
}

const BYTES: u64 = 24;

#[derive(Clone, Debug)]
enum Step {
    Take(Lock),
    Cut(Owner, Range),
}

/// Two processes, and a handle that has the number of one of them.
const OWNERS: [Owner; 3] = [Owner::Process(0), Owner::Process(1), Owner::Handle(1)];

fn place(owner: Owner) -> usize {
    OWNERS.iter().position(|other| *other == owner).expect("one of them")
}

fn step() -> impl Strategy<Value = Step> {
    let lock = (0..3_usize, 0..BYTES, 1..8_u64, any::<bool>()).prop_map(
        |(place, start, length, is_exclusive)| Lock {
            owner: OWNERS[place],
            ..lock(0, start, length, is_exclusive)
        },
    );
    (lock, any::<bool>()).prop_map(|(lock, takes)| match takes {
        true => Step::Take(lock),
        false => Step::Cut(lock.owner, lock.range),
    })
}

proptest! {
    #[test]
    fn as_with_an_entry_for_each_byte(steps in proptest::collection::vec(step(), 0..40)) {
        let mut table = Table::default();
        // Of each owner: 0 nothing, 1 shared, 2 exclusive.
        let mut model = [[0_u8; BYTES as usize + 8]; 3];
        for step in steps {
            match step {
                Step::Take(lock) => {
                    let kind = 1 + u8::from(lock.is_exclusive);
                    let bytes = || lock.range.start as usize..lock.range.end as usize;
                    let others = (0..3).filter(|other| *other != place(lock.owner));
                    let is_free = others.clone().all(|other| {
                        bytes().all(|byte| model[other][byte] + kind <= 2)
                    });
                    prop_assert_eq!(table.test(0, lock).is_none(), is_free);
                    prop_assert_eq!(table.take(0, lock, 0, false).is_ok(), is_free);
                    if is_free {
                        model[place(lock.owner)][bytes()].fill(kind);
                    }
                }
                Step::Cut(owner, range) => {
                    table.cut(0, owner, range);
                    model[place(owner)][range.start as usize..range.end as usize].fill(0);
                }
            }
            let mut told = [[0_u8; BYTES as usize + 8]; 3];
            for held in table.files.get(&0).into_iter().flatten() {
                for byte in held.range.start..held.range.end {
                    prop_assert_eq!(told[place(held.owner)][byte as usize], 0, "two locks on one byte");
                    told[place(held.owner)][byte as usize] = 1 + u8::from(held.is_exclusive);
                }
            }
            prop_assert_eq!(told, model);
        }
    }
}
