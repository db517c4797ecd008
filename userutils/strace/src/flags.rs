//! Bits and numbers with names.

use abi::number::{
    F_READ_TIMEOUT, F_REPLACE, F_WRITE_TIMEOUT, O_CLOEXEC, WCONTINUED, WLIVING, WNOHANG, WNOWAIT,
    WUNTRACED,
};
use abi::redox::flag::*;
use abi::{EVENT_ENDED, EVENT_HANGUP};

/// Named bits, and what is left of a number in hexadecimal.
pub(crate) fn bits(value: usize, names: &[(usize, &str)], none: &str) -> String {
    let mut words = Vec::new();
    let mut rest = value;
    for (bit, name) in names {
        if rest & bit == *bit && *bit != 0 {
            words.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        words.push(format!("{rest:#x}"));
    }
    if words.is_empty() { none.to_owned() } else { words.join("|") }
}

macro_rules! named {
    ($($name:ident)*) => { &[$(($name as usize, stringify!($name))),*] };
}

/// `O_*`, and the mode of what is made.
pub(crate) fn open(value: usize) -> String {
    const NAMES: &[(usize, &str)] = named!(O_RDWR O_RDONLY O_WRONLY O_NONBLOCK O_APPEND O_SHLOCK
        O_EXLOCK O_ASYNC O_FSYNC O_CLOEXEC O_CREAT O_TRUNC O_EXCL O_DIRECTORY O_STAT O_SYMLINK
        O_NOFOLLOW);
    let (mode, flags) = (value & 0xFFF, value & !0xFFF);
    let flags = bits(flags, NAMES, "0");
    if value & O_CREAT != 0 { format!("{flags}, {mode:#05o}") } else { flags }
}

pub(crate) fn unlink(value: usize) -> String {
    bits(value, named!(AT_REMOVEDIR), "0")
}

pub(crate) fn event(value: usize) -> String {
    let names = [EventFlags::EVENT_READ, EventFlags::EVENT_WRITE].map(|flag| flag.bits());
    let names = [
        (names[0], "EVENT_READ"),
        (names[1], "EVENT_WRITE"),
        (EVENT_HANGUP, "EVENT_HANGUP"),
        (EVENT_ENDED, "EVENT_ENDED"),
    ];
    bits(value, &names, "EVENT_NONE")
}

pub(crate) fn protection(value: usize) -> String {
    bits(value, MAPPING, "PROT_NONE")
}

const MAPPING: &[(usize, &str)] = &[
    (MapFlags::PROT_READ.bits(), "PROT_READ"),
    (MapFlags::PROT_WRITE.bits(), "PROT_WRITE"),
    (MapFlags::PROT_EXEC.bits(), "PROT_EXEC"),
    (MapFlags::MAP_SHARED.bits(), "MAP_SHARED"),
    (MapFlags::MAP_PRIVATE.bits(), "MAP_PRIVATE"),
    (MapFlags::MAP_FIXED_NOREPLACE.bits(), "MAP_FIXED_NOREPLACE"),
    (MapFlags::MAP_FIXED.bits(), "MAP_FIXED"),
    (MapFlags::MAP_LAZY.bits(), "MAP_LAZY"),
];

/// `CallFlags`, with how many words go along.
pub(crate) fn call(value: usize) -> String {
    const NAMES: &[(usize, &str)] = &[
        (CallFlags::READ.bits(), "READ"),
        (CallFlags::WRITE.bits(), "WRITE"),
        (CallFlags::STD_FS.bits(), "STD_FS"),
        (CallFlags::CONSUME.bits(), "CONSUME"),
        (CallFlags::FD.bits(), "FD"),
        (CallFlags::FD_EXCLUSIVE.bits(), "FD_EXCLUSIVE"),
        (CallFlags::FD_CLONE.bits(), "FD_CLONE"),
        (CallFlags::FD_UPPER.bits(), "FD_UPPER"),
        (CallFlags::FD_CLOEXEC.bits(), "FD_CLOEXEC"),
    ];
    let words = value & 0xFF;
    let flags = bits(value & !0xFF, NAMES, "0");
    if words == 0 { flags } else { format!("{flags}|{words}") }
}

pub(crate) fn wait(value: usize) -> String {
    bits(value, named!(WNOHANG WUNTRACED WCONTINUED WLIVING WNOWAIT), "0")
}

/// A number that has a name, or the number.
fn one(value: usize, names: &[(usize, &str)]) -> String {
    let found = names.iter().find(|(number, _)| *number == value);
    found.map_or_else(|| format!("{value:#x}"), |(_, name)| (*name).to_owned())
}

pub(crate) fn whence(value: usize) -> String {
    one(value, named!(SEEK_SET SEEK_CUR SEEK_END))
}

pub(crate) fn fcntl(value: usize) -> String {
    const F_DUPFD_CLOEXEC: usize = 1030;
    let known = named!(F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_DUPFD_CLOEXEC F_READ_TIMEOUT
        F_WRITE_TIMEOUT F_REPLACE);
    one(value, known)
}

pub(crate) fn futex(value: usize) -> String {
    one(value, named!(FUTEX_WAIT FUTEX_WAKE FUTEX_REQUEUE FUTEX_WAIT64))
}

pub(crate) fn clock(value: usize) -> String {
    one(value, named!(CLOCK_REALTIME CLOCK_MONOTONIC))
}

pub(crate) fn mask_how(value: usize) -> String {
    one(value, &[(0, "SIG_BLOCK"), (1, "SIG_UNBLOCK"), (2, "SIG_SETMASK")])
}

pub(crate) fn signal(value: usize) -> String {
    abi::signal::name(value).map_or_else(|| value.to_string(), str::to_owned)
}

/// A mask of signals: `[INT TERM]`, or `~[..]` when most are set.
pub(crate) fn signals(mask: u64) -> String {
    let is_most = mask.count_ones() > 32;
    let shown = if is_most { !mask } else { mask };
    let names = (1..=64).filter(|signal| shown >> (signal - 1) & 1 != 0).map(signal);
    let names: Vec<String> =
        names.map(|name| name.strip_prefix("SIG").unwrap_or(&name).to_owned()).collect();
    format!("{}[{}]", if is_most { "~" } else { "" }, names.join(" "))
}

pub(crate) fn action(value: usize) -> String {
    use abi::signal::*;
    bits(value, named!(SA_NOCLDSTOP SA_ONSTACK SA_RESTART SA_NODEFER SA_RESETHAND), "0")
}

pub(crate) fn mode(value: u16) -> String {
    let kind = match value & MODE_TYPE {
        MODE_DIR => "S_IFDIR",
        MODE_FILE => "S_IFREG",
        MODE_SYMLINK => "S_IFLNK",
        MODE_FIFO => "S_IFIFO",
        MODE_CHR => "S_IFCHR",
        MODE_SOCK => "S_IFSOCK",
        _ => "0",
    };
    format!("{kind}|{:#o}", value & MODE_PERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_names_and_the_rest_is_shown() {
        assert_eq!(open(O_RDWR | O_CLOEXEC), "O_RDWR|O_CLOEXEC");
        assert_eq!(open(O_WRONLY | O_CREAT | 0o644), "O_WRONLY|O_CREAT, 0o644");
        assert_eq!(open(0), "0");
        assert_eq!(wait(6), "WUNTRACED|0x4");
        assert_eq!(protection(MapFlags::PROT_READ.bits()), "PROT_READ");
        assert_eq!(signals(1 << 14 | 1 << 1), "[INT TERM]");
        assert_eq!(signals(!(1 << 8)), "~[KILL]");
        assert_eq!((futex(0), whence(9)), ("FUTEX_WAIT".into(), "0x9".into()));
    }
}
