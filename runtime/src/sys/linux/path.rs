//! Where Lifeboat's paths lie on Linux: `NAME:rest` and `/scheme/NAME/rest` are `rest` in the folder
//! `/tmp/lifeboat-schemes/NAME`, all other paths are Linux's own.

use abi::PATH_MAX;
use logic::path::scheme_end;

/// Where the schemes' folders are.
const SCHEMES: &[u8] = b"/tmp/lifeboat-schemes/";
/// How paths into schemes begin that programs see.
const SLASHED: &[u8] = b"/scheme/";

/// A path as Linux takes it: with a NUL.
pub(super) struct Host {
    bytes: [u8; PATH_MAX + 64],
    length: usize,
}

impl Host {
    const fn empty() -> Self {
        Self { bytes: [0; PATH_MAX + 64], length: 0 }
    }

    fn push(&mut self, more: &[u8]) {
        // What is too long is cut, and then is a path that is too long for Linux as well.
        let room = self.bytes.len() - 1 - self.length;
        let more = &more[..more.len().min(room)];
        self.bytes[self.length..][..more.len()].copy_from_slice(more);
        self.length += more.len();
    }

    /// The host's path for Lifeboat's.
    ///
    /// # Safety
    ///
    /// `address` and `length` are a path that may be read.
    pub(super) unsafe fn of(address: usize, length: usize) -> Self {
        // SAFETY: as promised by the caller.
        let path = unsafe { core::slice::from_raw_parts(address as *const u8, length) };
        let mut host = Self::empty();
        match scheme(path) {
            Some((b"rand", _)) => host.push(b"/dev/urandom"),
            Some((name, rest)) => {
                [SCHEMES, name, b"/", rest].into_iter().for_each(|part| host.push(part));
            }
            None => host.push(path),
        }
        host
    }

    /// The name that Linux gives an open file.
    pub(super) fn of_descriptor(fd: usize) -> Self {
        let mut host = Self::empty();
        host.push(b"/proc/self/fd/");
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = fd;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        host.push(&digits[at..]);
        host
    }

    /// Where it lies in memory.
    pub(super) fn address(&self) -> usize {
        self.bytes.as_ptr() as usize
    }
}

/// A scheme's name, and the rest of a path into it.
pub(super) fn scheme(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(end) = scheme_end(path) {
        return Some((&path[..end - 1], &path[end..]));
    }
    let path = path.strip_prefix(SLASHED)?;
    let end = path.iter().position(|&byte| byte == b'/');
    Some(end.map_or((path, &[]), |end| (&path[..end], &path[end + 1..])))
}

/// Turns a path that Linux told back into Lifeboat's; returns its new length.
pub(super) fn told(path: &mut [u8], length: usize) -> usize {
    if !path[..length].starts_with(SCHEMES) {
        return length;
    }
    let rest = length - SCHEMES.len();
    path.copy_within(SCHEMES.len()..length, SLASHED.len());
    path[..SLASHED.len()].copy_from_slice(SLASHED);
    SLASHED.len() + rest
}
