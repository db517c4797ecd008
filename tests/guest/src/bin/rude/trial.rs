//! Doing dangerous things in a child, and judging how it ended.

use guest::abi::PAGE_SIZE;
use guest::abi::redox::flag::MapFlags;
use guest::file::pipe;
use guest::memory::Mapping;
use guest::process::{Child, Ended};
use guest::report::{Check, equal};

/// The status of a child that lived on when it should not.
const SURVIVED: u8 = 99;
/// How long a child may take, in milliseconds.
const LIMIT: u64 = 20_000;

/// Runs `body` in a child, whose failure becomes ours.
pub(crate) fn in_child(what: &str, body: impl FnOnce() -> Check) -> Check {
    let (reader, writer) = pipe()?;
    let child = Child::start(|| match body() {
        Ok(()) => 0,
        Err(failure) => {
            // The parent sees the status even if the text cannot be told.
            let _ = writer.write(failure.0.as_bytes());
            1
        }
    })?;
    drop(writer);
    let ended = child.wait_within(LIMIT)?;
    let mut text = [0; 1024];
    let text = reader.read_text(&mut text)?;
    if !text.is_empty() {
        return Err(format!("{what}: {text}").into());
    }
    equal(what, ended, Some(Ended::Exited(0)))
}

/// A child that runs `body` must die by `signal`.
pub(crate) fn dies(what: &str, signal: usize, body: impl FnOnce()) -> Check {
    dies_by_one_of(what, &[signal], body)
}

/// The same where processors differ.
pub(crate) fn dies_by_one_of(what: &str, signals: &[usize], body: impl FnOnce()) -> Check {
    let child = Child::start(|| {
        body();
        SURVIVED
    })?;
    match child.wait_within(LIMIT)? {
        Some(Ended::Signalled(signal)) if signals.contains(&usize::from(signal)) => Ok(()),
        Some(Ended::Exited(SURVIVED)) => Err(format!("{what}: nothing happened").into()),
        ended => Err(format!("{what}: {ended:?}, not by a signal of {signals:?}").into()),
    }
}

/// Memory that holds code, ready to be called.
pub(crate) struct Code(Mapping);

impl Code {
    /// A page of `bytes`.
    pub(crate) fn new(bytes: &[u8]) -> guest::Result<Self> {
        let mut page = Mapping::pages(1)?;
        page.bytes()[..bytes.len()].copy_from_slice(bytes);
        page.protect(MapFlags::PROT_READ | MapFlags::PROT_EXEC)?;
        Ok(Self(page))
    }

    /// Calls it.
    pub(crate) fn run(&self) {
        // SAFETY: the page is executable. What it does is the point; it runs in a child.
        let code: extern "C" fn() = unsafe { std::mem::transmute(self.0.address) };
        code();
    }
}

/// Pages that are there, but in the wrong way, and the addresses of places that are none.
pub(crate) struct Places {
    /// A readable and writable page, the next one of which is not there.
    pub(crate) good: Mapping,
    /// Read only.
    pub(crate) constant: Mapping,
    /// Neither.
    pub(crate) forbidden: Mapping,
}

impl Places {
    pub(crate) fn new() -> guest::Result<Self> {
        let mut good = Mapping::pages(2)?;
        let behind = good.address + PAGE_SIZE;
        // SAFETY: the second page is ours, and nobody uses it.
        unsafe { guest::memory::unmap(behind, PAGE_SIZE) }?;
        good.length = PAGE_SIZE;
        let constant = Mapping::pages(1)?;
        constant.protect(MapFlags::PROT_READ)?;
        let forbidden = Mapping::pages(1)?;
        forbidden.protect(MapFlags::PROT_NONE)?;
        Ok(Self { good, constant, forbidden })
    }

    /// Addresses that nothing can be read from.
    pub(crate) fn unreadable(&self) -> [usize; 13] {
        use guest::abi::{USER_END, USER_START};
        [
            0,
            16,
            USER_START - 8,
            self.good.address + PAGE_SIZE,
            self.good.address + PAGE_SIZE - 4,
            self.forbidden.address,
            USER_END - 4,
            USER_END,
            0x8000_0000_0000,
            0xDEAD_BEEF_0000_0000,
            0xFFFF_8000_0000_0000,
            0xFFFF_FFFF_8010_0000,
            usize::MAX - 7,
        ]
    }
}
