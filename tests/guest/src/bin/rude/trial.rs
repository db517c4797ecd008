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

    /// Takes all rights from the page.
    pub(crate) fn forbid(&self) {
        // That it worked shows when the code is called.
        let _ = self.0.protect(MapFlags::PROT_NONE);
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
    /// A page to read and write, and behind it one that forbids both.
    pub(crate) good: Mapping,
    /// Read only.
    pub(crate) constant: Mapping,
}

/// Where nothing is ever mapped: searches for room start far below.
const NOTHING: usize = 0x5000_0000_0000;

impl Places {
    pub(crate) fn new() -> guest::Result<Self> {
        let good = Mapping::pages(2)?;
        // SAFETY: the second page is ours, and nobody uses it.
        unsafe {
            guest::memory::protect(good.address + PAGE_SIZE, PAGE_SIZE, MapFlags::PROT_NONE)
        }?;
        let constant = Mapping::pages(1)?;
        constant.protect(MapFlags::PROT_READ)?;
        Ok(Self { good, constant })
    }

    /// The page that forbids everything.
    pub(crate) fn forbidden(&self) -> usize {
        self.good.address + PAGE_SIZE
    }

    /// The last word before the forbidden page: eight bytes from there do not fit.
    pub(crate) fn edge(&self) -> usize {
        self.forbidden() - 4
    }

    /// Addresses that nothing can be read from.
    pub(crate) fn unreadable(&self) -> [usize; 11] {
        use guest::abi::{USER_END, USER_START};
        [
            0,
            16,
            USER_START - 8,
            NOTHING,
            self.forbidden(),
            USER_END,
            0x8000_0000_0000,
            0xDEAD_BEEF_0000_0000,
            0xFFFF_8000_0000_0000,
            0xFFFF_FFFF_8010_0000,
            usize::MAX - 7,
        ]
    }
}
