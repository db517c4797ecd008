//! `event:` — the only way to wait for many things.
//!
//! A queue holds interests: this file, these flags, this number to tell me by. When a file
//! becomes ready every interested queue gets the event once; until it is read, more of the same
//! only add flags. Nothing here parks or wakes: `kernel.rs` does.

use crate::kernel::TimerKey;
use crate::scheme::SchemeId;
use crate::table::Table;
use crate::task::QueueId;
use abi::redox::data::Event;
use abi::redox::flag::EventFlags;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// The other side is gone for good.
pub const HANGUP: EventFlags = EventFlags::from_bits_retain(abi::EVENT_HANGUP);
/// Nothing more comes after what can be read.
pub const ENDED: EventFlags = EventFlags::from_bits_retain(abi::EVENT_ENDED);
/// What may be watched for.
const KNOWN: EventFlags = EventFlags::all().union(HANGUP).union(ENDED);

/// The flags in a word that a program gave; others are left out.
pub fn known_flags(word: usize) -> EventFlags {
    EventFlags::from_bits_retain(word & KNOWN.bits())
}

/// A file as schemes know it.
pub type Key = (SchemeId, usize);

/// One line of a queue: which file, told by which number.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Line {
    key: Key,
    id: usize,
}

struct Interest {
    queue: usize,
    id: usize,
    flags: EventFlags,
    data: usize,
    /// Raised and not read yet.
    ready: EventFlags,
}

/// One `event:` file.
pub struct Queue {
    pending: VecDeque<Line>,
    /// Woken when `pending` gets its first line.
    pub readable: QueueId,
    /// Its watched files, so that closing it finds them.
    watched: Vec<Key>,
    /// Ends the next read, with the event of `EVENT_TIMEOUT_ID`.
    pub timer: Option<TimerKey>,
    /// The timer has fired and the next read has not told yet.
    pub is_timed_out: bool,
}

/// All event queues and what they are interested in.
#[derive(Default)]
pub struct Events {
    queues: Table<Queue>,
    interests: HashMap<Key, Vec<Interest>>,
    /// How many keys of `interests` fall into each place: most files are watched by nobody, and
    /// every transfer asks.
    places: Places,
}

/// Counts by a file's place; see [`place_of`].
struct Places([u32; PLACES]);

impl Default for Places {
    fn default() -> Self {
        Self([0; PLACES])
    }
}

const PLACES: usize = 256;

/// Neighbouring files of a scheme have different places.
#[inline(always)]
fn place_of((scheme, number): Key) -> usize {
    let scheme = match scheme {
        SchemeId::Kernel(place) => place as usize,
        SchemeId::User(index) => index + 16,
    };
    (scheme * 16).wrapping_add(number) % PLACES
}

impl Events {
    /// A new, empty queue.
    pub fn create(&mut self, readable: QueueId) -> usize {
        self.queues.insert(Queue {
            pending: VecDeque::new(),
            readable,
            watched: Vec::new(),
            timer: None,
            is_timed_out: false,
        })
    }

    /// The queue with this number.
    pub fn queue(&mut self, number: usize) -> Option<&mut Queue> {
        self.queues.get_mut(number)
    }

    /// Forgets a queue and its interests. Returns the files nobody is interested in any more.
    pub fn destroy(&mut self, number: usize) -> (Queue, Vec<Key>) {
        let queue = self.queues.remove(number);
        let mut orphans = Vec::new();
        for key in queue.watched.iter().copied() {
            if let Some(list) = self.interests.get_mut(&key) {
                list.retain(|interest| interest.queue != number);
                if list.is_empty() {
                    self.interests.remove(&key);
                    self.places.0[place_of(key)] -= 1;
                    orphans.push(key);
                }
            }
        }
        (queue, orphans)
    }

    /// Whether certainly nobody is interested in `key`.
    #[inline]
    pub fn is_unwatched(&self, key: Key) -> bool {
        self.places.0[place_of(key)] == 0
    }

    /// Makes room for one interest more. False when the kernel's heap has none.
    pub fn has_room(&mut self, number: usize, key: Key) -> bool {
        let is_new = !self.interests.contains_key(&key);
        let list = self.interests.get_mut(&key).is_none_or(|list| list.try_reserve(1).is_ok());
        let queue = self.queues.get_mut(number);
        let watched = queue.is_none_or(|queue| queue.watched.try_reserve(1).is_ok());
        list && watched && (!is_new || self.interests.try_reserve(1).is_ok())
    }

    /// Sets what `number` wants to know of `key`; empty flags end the interest. Replaces what the
    /// same `id` asked before.
    pub fn register(&mut self, number: usize, key: Key, id: usize, flags: EventFlags, data: usize) {
        let places = &mut self.places.0;
        let list = self.interests.entry(key).or_insert_with(|| {
            places[place_of(key)] += 1;
            Vec::new()
        });
        list.retain(|interest| !(interest.queue == number && interest.id == id));
        if flags.is_empty() {
            if list.is_empty() {
                self.interests.remove(&key);
                self.places.0[place_of(key)] -= 1;
            }
        } else {
            list.push(Interest { queue: number, id, flags, data, ready: EventFlags::empty() });
        }
        if let Some(queue) = self.queues.get_mut(number) {
            queue.pending.retain(|line| *line != Line { key, id });
            if !flags.is_empty() && !queue.watched.contains(&key) {
                queue.watched.push(key);
            }
        }
    }

    /// Whether exactly this interest is there.
    pub fn is_registered(
        &self,
        number: usize,
        key: Key,
        id: usize,
        flags: EventFlags,
        data: usize,
    ) -> bool {
        let list = self.interests.get(&key).map(Vec::as_slice).unwrap_or_default();
        list.iter().any(|i| (i.queue, i.id, i.flags, i.data) == (number, id, flags, data))
    }

    /// The flags that anybody wants of `key`.
    pub fn wanted(&self, key: Key) -> EventFlags {
        let list = self.interests.get(&key).map(Vec::as_slice).unwrap_or_default();
        list.iter().fold(EventFlags::empty(), |all, interest| all | interest.flags)
    }

    /// Notes that `key` became ready. Calls `wake` with the wait queue of every event queue that
    /// got its first line by this.
    pub fn raise(&mut self, key: Key, flags: EventFlags, mut wake: impl FnMut(usize, QueueId)) {
        let Some(list) = self.interests.get_mut(&key) else { return };
        for interest in list {
            let news = flags & interest.flags;
            let was_known = !interest.ready.is_empty();
            interest.ready |= news;
            if news.is_empty() || was_known {
                continue;
            }
            let Some(queue) = self.queues.get_mut(interest.queue) else { continue };
            queue.pending.push_back(Line { key, id: interest.id });
            wake(interest.queue, queue.readable);
        }
    }

    /// The same for one queue only. Returns its wait queue when it got a line.
    pub fn raise_one(&mut self, number: usize, key: Key, flags: EventFlags) -> Option<QueueId> {
        let queue = self.queues.get_mut(number)?;
        let mut got_one = false;
        for interest in self.interests.get_mut(&key)?.iter_mut().filter(|i| i.queue == number) {
            let news = flags & interest.flags;
            if interest.ready.is_empty() && !news.is_empty() {
                queue.pending.push_back(Line { key, id: interest.id });
                got_one = true;
            }
            interest.ready |= news;
        }
        got_one.then_some(queue.readable)
    }

    /// Whether a read would find something.
    pub fn has_pending(&self, number: usize) -> bool {
        let queue = self.queues.get(number);
        queue.is_some_and(|queue| queue.is_timed_out || !queue.pending.is_empty())
    }

    /// The event at place `index` of the queue, and which file it is about, without taking it.
    pub fn peek(&self, number: usize, index: usize) -> Option<(Key, Event)> {
        let line = *self.queues.get(number)?.pending.get(index)?;
        let interest = self.find(number, line)?;
        Some((line.key, Event { id: interest.id, flags: interest.ready, data: interest.data }))
    }

    /// Drops the event at place `index`: what it told is not so any more.
    pub fn drop_stale(&mut self, number: usize, index: usize) {
        let line = self.queues.get_mut(number).and_then(|queue| queue.pending.remove(index));
        self.settle(number, line);
    }

    /// Takes the first `count` events off the queue.
    pub fn take(&mut self, number: usize, count: usize) {
        for _ in 0..count {
            let line = self.queues.get_mut(number).and_then(|q| q.pending.pop_front());
            if line.is_none() {
                return;
            }
            self.settle(number, line);
        }
    }

    /// The next news of a line is an event again.
    fn settle(&mut self, number: usize, line: Option<Line>) {
        let Some(line) = line else { return };
        let list = self.interests.get_mut(&line.key);
        let found =
            list.and_then(|list| list.iter_mut().find(|i| i.queue == number && i.id == line.id));
        if let Some(interest) = found {
            interest.ready = EventFlags::empty();
        }
    }

    /// Forgets a file that is no more.
    pub fn forget(&mut self, key: Key) {
        let Some(list) = self.interests.remove(&key) else { return };
        self.places.0[place_of(key)] -= 1;
        for interest in list {
            if let Some(queue) = self.queues.get_mut(interest.queue) {
                queue.pending.retain(|line| line.key != key);
                queue.watched.retain(|watched| *watched != key);
            }
        }
    }

    /// The files of a scheme that somebody watches.
    pub fn watched_in(&self, scheme: SchemeId) -> Vec<Key> {
        self.interests.keys().filter(|(have, _)| *have == scheme).copied().collect()
    }

    /// How many queues and interests there are, for `sys:stat`.
    pub fn counts(&self) -> (usize, usize) {
        (self.queues.len(), self.interests.values().map(Vec::len).sum())
    }

    fn find(&self, number: usize, line: Line) -> Option<&Interest> {
        self.interests.get(&line.key)?.iter().find(|i| i.queue == number && i.id == line.id)
    }
}
