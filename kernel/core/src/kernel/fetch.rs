//! Pages of mapped files, which come when they are touched.
//!
//! A region that shows a daemon's file is empty at first. Who touches a page of it, the program
//! itself or a call on its behalf, waits until the daemon has said where in its own memory the bytes
//! are, and then does it again: the same way as after a refusal of memory. One request covers what
//! is missing around the page; when the daemon refuses that, the page is asked for alone, and when
//! that is refused, whoever waits for it is told (`SIGBUS`, or `EIO` from a call).
//!
//! Nobody owns a request under way but the space it is for: the answer is taken when it comes, whoever
//! waits by then, and unmapping calls the request off. Nothing here decides what a file holds.

use super::{Caller, Kernel};
use crate::error::*;
use crate::handle::Description;
use crate::machine::{Access, Machine};
use crate::memory::{Frame, Kind, Page, Pages, SpaceId, UserSlice};
use crate::scheme::SchemeId;
use crate::scheme::user::Tag;
use crate::task::QueueId;
use abi::PAGE_SIZE;
use abi::redox::flag::MapFlags;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Most pages that are asked for at once: 64 KiB, as Linux maps around a fault
/// (`fault_around_bytes`, mm/memory.c).
pub(crate) const PAGES_AT_ONCE: usize = 16;

/// More than a request takes of the kernel's heap.
const HEAP_BYTES: usize = 4096;

/// Names a request: the space, and its first page.
type FetchKey = (SpaceId, Page);

#[derive(Clone, Copy)]
enum Stage {
    /// The daemon has it.
    Asked(Tag),
    /// The bytes are at this address of the scheme's daemon, and there was no memory to show them.
    /// Whoever needs them waits for some.
    Answered(usize, usize),
}

#[derive(Clone, Copy)]
struct Fetch {
    pages: Pages,
    stage: Stage,
    /// Who needs one of the pages waits here.
    queue: QueueId,
}

/// Requests for pages that are under way. Those of one space do not overlap.
#[derive(Default)]
pub struct Fetches {
    under_way: BTreeMap<FetchKey, Fetch>,
    /// Those that daemons have not answered.
    asked: BTreeMap<Tag, FetchKey>,
    /// Where to wait, for who was just refused a page.
    awaited: Option<QueueId>,
}

impl Fetches {
    /// The request that covers a page.
    fn covering(&self, space: SpaceId, page: Page) -> Option<(FetchKey, Fetch)> {
        let before = (space, Page(0))..=(space, page);
        let (key, fetch) = self.under_way.range(before).next_back()?;
        fetch.pages.contains(page).then_some((*key, *fetch))
    }

    /// The requests that touch some of `pages`, lowest first.
    fn touching(&self, space: SpaceId, pages: Pages) -> Vec<FetchKey> {
        let first = self.covering(space, pages.start).map_or(pages.start, |(key, _)| key.1);
        let range = (space, first)..(space, pages.end);
        self.under_way.range(range).map(|(key, _)| *key).collect()
    }

    /// What of `pages`, around one of them, no request covers.
    fn free_around(&self, space: SpaceId, page: Page, pages: Pages) -> Pages {
        let before = self.under_way.range((space, pages.start)..(space, page)).next_back();
        let after = self.under_way.range((space, page)..(space, pages.end)).next();
        let earlier = self.covering(space, pages.start).map(|(_, fetch)| fetch.pages.end);
        let start = before.map(|(_, fetch)| fetch.pages.end).or(earlier);
        let end = after.map(|((_, start), _)| *start);
        Pages { start: start.unwrap_or(pages.start), end: end.unwrap_or(pages.end) }
    }

    /// What is under way.
    pub fn pages(&self) -> impl Iterator<Item = (SpaceId, Pages)> {
        self.under_way.iter().map(|((space, _), fetch)| (*space, fetch.pages))
    }

    /// Where somebody waits who was just refused a page of a file.
    pub fn awaited(&self) -> Option<QueueId> {
        self.awaited
    }

    /// The same, and forgets it.
    pub(crate) fn take_awaited(&mut self) -> Option<QueueId> {
        self.awaited.take()
    }
}

impl<M: Machine> Kernel<M> {
    /// Makes a page of a file present, or has the daemon asked for it.
    ///
    /// # Errors
    /// `EIO` when its daemon does not give it. Any other error with [`Fetches::awaited`] set means
    /// that the caller is to wait and to try again.
    #[cold]
    pub(super) fn bring_from_file(&mut self, space: SpaceId, page: Page) -> Result<(), Errno> {
        let this = self.machine.this_cpu();
        let caller = self.cpus[this].current().ok_or(Errno(EFAULT))?;
        let refused = &mut self.tasks[caller.task.0].refused_pages;
        let refused = refused.take_if(|(whose, pages)| *whose == space && pages.contains(page));
        match self.fetches.covering(space, page) {
            Some((key, Fetch { stage: Stage::Answered(server, address), .. })) => {
                let mapped = self.map_fetched(key, server, address);
                if mapped.is_err() && !self.frames.is_refused {
                    self.forget_fetch(key);
                }
                mapped
            }
            Some((_, Fetch { queue, .. })) => Err(self.await_fetch(queue)),
            None => {
                let pages = match refused {
                    Some((_, pages)) if pages.count() == 1 => return Err(Errno(EIO)),
                    Some(_) => Pages::one(page),
                    None => self.missing_around(space, page),
                };
                self.send_for_pages(caller, space, page, pages)
            }
        }
    }

    /// What is worth asking for when `page` is.
    fn missing_around(&self, space: SpaceId, page: Page) -> Pages {
        let first = Page(page.0 - page.0 % PAGES_AT_ONCE);
        let window = Pages { start: first, end: Page(first.0 + PAGES_AT_ONCE) };
        let pages = self.spaces[space.0].missing_around(&self.machine, page, window);
        self.fetches.free_around(space, page, pages)
    }

    /// Asks the daemon whose file `page` shows for `pages`. Never `Ok`: they come later.
    fn send_for_pages(
        &mut self,
        caller: Caller,
        space: SpaceId,
        page: Page,
        pages: Pages,
    ) -> Result<(), Errno> {
        if !self.spaces[space.0].may_grow(&self.frames, 1) {
            return Err(Errno(ENOMEM));
        }
        if !self.has_heap_for(HEAP_BYTES) {
            self.frames.is_refused = true;
            return Err(Errno(ENOMEM));
        }
        let region = *self.spaces[space.0].region(page).ok_or(Errno(EFAULT))?;
        let part = region.file.ok_or(Errno(EFAULT))?;
        let Description { scheme, number, .. } = self.descriptions[part.file.0];
        let SchemeId::User(server) = scheme else { return Err(Errno(EIO)) };
        if !self.is_served(server) {
            return Err(Errno(EIO));
        }
        if let Some(room) = self.user_schemes[server].room_to_await() {
            return Err(self.await_fetch(room));
        }
        let mut flags = flags_of(region.access);
        flags |= match region.kind {
            Kind::Shared => MapFlags::MAP_SHARED,
            _ => MapFlags::MAP_PRIVATE,
        };
        let size = (pages.count() * PAGE_SIZE) as u64;
        let arguments = [size, flags.bits() as u64, part.offset(pages.start)];
        let tag = self.ask_for_pages(caller, server, number, arguments);
        let key = (space, pages.start);
        self.fetches.asked.insert(tag, key);
        let queue = self.waits.create();
        self.fetches.under_way.insert(key, Fetch { pages, stage: Stage::Asked(tag), queue });
        Err(self.await_fetch(queue))
    }

    /// Whoever is being served has to wait and to try again.
    fn await_fetch(&mut self, queue: QueueId) -> Errno {
        self.fetches.awaited = Some(queue);
        self.frames.is_refused = true;
        // Should somebody do without it, that is forgotten before anybody else is served.
        self.frames.is_alarmed = true;
        self.this_record().must_look = true;
        Errno(EAGAIN)
    }

    /// The daemon has answered, or never will. Whether that was awaited.
    pub(crate) fn fetch_answered(&mut self, tag: Tag, result: Result<usize, Errno>) -> bool {
        let Some(key) = self.fetches.asked.remove(&tag) else { return false };
        let mapped = result.and_then(|address| {
            self.fetches.under_way.entry(key).and_modify(|fetch| {
                fetch.stage = Stage::Answered(tag.scheme, address);
            });
            self.map_fetched(key, tag.scheme, address)
        });
        match mapped {
            Ok(()) => {}
            // There is no memory, which is for those to find who wait.
            Err(_) if self.frames.is_refused => {
                self.forget_refusal();
                let queue = self.fetches.under_way.get(&key).map(|fetch| fetch.queue);
                queue.into_iter().for_each(|queue| self.wake_all(queue));
            }
            Err(_) => self.refuse_pages(key),
        }
        true
    }

    /// A daemon will not answer any more.
    pub(crate) fn end_fetches_from(&mut self, server: usize) {
        let asked = self.fetches.asked.keys().filter(|tag| tag.scheme == server);
        for tag in asked.copied().collect::<Vec<_>>() {
            self.fetch_answered(tag, Err(Errno(ENODEV)));
        }
    }

    /// The daemon does not give all of these pages: whoever waits for one is told when the wait is over.
    fn refuse_pages(&mut self, key: FetchKey) {
        let Some(Fetch { pages, queue, .. }) = self.fetches.under_way.remove(&key) else { return };
        while let Some(task) = self.waits.first(queue) {
            self.tasks[task.0].refused_pages = Some((key.0, pages));
            self.wake_task(task);
        }
        self.waits.destroy(queue);
    }

    fn forget_fetch(&mut self, key: FetchKey) {
        let Some(fetch) = self.fetches.under_way.remove(&key) else { return };
        if let Stage::Asked(tag) = fetch.stage {
            self.fetches.asked.remove(&tag);
            self.abandon_request(tag);
        }
        self.end_queue(fetch.queue);
    }

    /// Calls off what is under way for some pages, because they are about to be unmapped. Whoever
    /// waits finds out.
    pub(crate) fn forget_fetches(&mut self, space: SpaceId, pages: Pages) {
        if !self.fetches.under_way.is_empty() {
            let keys = self.fetches.touching(space, pages);
            keys.into_iter().for_each(|key| self.forget_fetch(key));
        }
    }

    /// The daemon's memory is about to go: what it has answered is mapped now.
    pub(crate) fn take_fetches_from(&mut self, server: usize) {
        let answers = self.fetches.under_way.iter().filter_map(|(key, fetch)| match fetch.stage {
            Stage::Answered(from, address) if from == server => Some((*key, address)),
            _ => None,
        });
        for (key, address) in answers.collect::<Vec<_>>() {
            if self.map_fetched(key, server, address).is_err() {
                self.forget_refusal();
                // It is asked for again, and refused then.
                self.forget_fetch(key);
            }
        }
    }

    /// Shows the pages that the daemon has told where to find, where nothing else is meanwhile, and ends
    /// the request.
    ///
    /// # Errors
    /// It has not ended, and either somebody was refused memory, or the daemon has told nonsense.
    fn map_fetched(&mut self, key: FetchKey, server: usize, address: usize) -> Result<(), Errno> {
        let Some(&Fetch { pages, .. }) = self.fetches.under_way.get(&key) else { return Ok(()) };
        let (space, first) = key;
        let kind = self.spaces[space.0].region(first).map(|region| region.kind);
        let is_shared = kind == Some(Kind::Shared);
        let lent = self.lend_frames(server, address, pages.count(), is_shared);
        let frames = lent.map_err(|_| Errno(EIO))?;
        for (index, frame) in frames.into_iter().enumerate() {
            let page = Page(first.0 + index);
            let space = &mut self.spaces[space.0];
            let is_missing = self.machine.lookup(&space.tables, page).is_none();
            match space.region(page).filter(|_| is_missing && !self.frames.is_refused) {
                Some(region) => {
                    let shown = shown(is_shared, region.access);
                    // Who reaches the limit of its own memory finds that out by touching the page.
                    space.place(&mut self.machine, &mut self.frames, page, frame, shown).ok();
                }
                None => self.frames.release(frame),
            }
        }
        if self.frames.is_refused {
            return Err(Errno(ENOMEM));
        }
        self.forget_fetch(key);
        Ok(())
    }

    /// References to the daemon's frames at `address`. What is lent for good must stay what the
    /// daemon itself sees, so its pages become shared ones too.
    pub(crate) fn lend_frames(
        &mut self,
        server: usize,
        address: usize,
        count: usize,
        is_shared: bool,
    ) -> Outcome<Vec<Frame>> {
        let Some(space) = self.user_schemes.get(server).and_then(|s| s.daemon_space()) else {
            return fail(ENODEV);
        };
        let slice = match UserSlice::new(address, count * PAGE_SIZE) {
            Ok(slice) if address.is_multiple_of(PAGE_SIZE) => slice,
            // The daemon's nonsense, not the client's.
            _ => return fail(EIO),
        };
        let mut frames = Vec::new();
        if frames.try_reserve_exact(count).is_err() || self.spaces[space.0].is_crowded() {
            return fail(ENOMEM);
        }
        for index in 0..count {
            let part = slice.part(index * PAGE_SIZE, PAGE_SIZE);
            // What is shared for good must be the daemon's own, even if the client only reads it
            // now: a page that the daemon has not written may be everybody's zeroes.
            let found = match is_shared {
                true => self.writable_at(space, part),
                false => self.readable_at(space, part),
            };
            match found {
                Ok((at, _)) => {
                    self.frames.add_reference(at.frame());
                    frames.push(at.frame());
                }
                Err(_) => {
                    frames.into_iter().for_each(|frame| self.frames.release(frame));
                    return fail(EIO);
                }
            }
        }
        let pages = Pages::covering(address, count * PAGE_SIZE);
        if is_shared {
            self.spaces[space.0].mark_shared(pages);
        } else {
            self.spaces[space.0].forbid_writing(&mut self.machine, &self.frames, pages);
        }
        Ok(frames)
    }
}

/// How a page of a file is mapped at first: a write to what is not shared has to break sharing.
pub(crate) fn shown(is_shared: bool, access: Access) -> Access {
    if is_shared { access } else { access - Access::WRITE }
}

/// What a daemon is told that the client may do with its pages.
fn flags_of(access: Access) -> MapFlags {
    let mut flags = MapFlags::empty();
    flags.set(MapFlags::PROT_READ, access.contains(Access::READ));
    flags.set(MapFlags::PROT_WRITE, access.contains(Access::WRITE));
    flags.set(MapFlags::PROT_EXEC, access.contains(Access::EXECUTE));
    flags
}
