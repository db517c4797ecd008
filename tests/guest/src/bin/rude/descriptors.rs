//! Descriptors that are none, or of the wrong kind; paths and arguments that mean nothing.

use guest::abi::number::*;
use guest::abi::redox::data::{Map, NewFdParams, Stat};
use guest::abi::redox::error::*;
use guest::abi::redox::flag::*;
use guest::abi::redox::number::*;
use guest::abi::{FD_MAX, LOWEST_FREE};
use guest::call::{answer, call5};
use guest::errno;
use guest::file::{close, open, pipe};
use guest::report::{Check, equal, refused};

fn make(number: usize, [a, b, c, d, e]: [usize; 5]) -> guest::Result<usize> {
    // SAFETY: no call here gets memory to fill but its own.
    answer(unsafe { call5(number, a, b, c, d, e) })
}

pub(crate) fn bad_numbers() -> Check {
    let mut bytes = [0u8; 256];
    let buffer = bytes.as_mut_ptr() as usize;
    let map =
        Map { size: 4096, flags: MapFlags::PROT_READ | MapFlags::MAP_PRIVATE, ..Map::default() };
    let map = &raw const map as usize;
    let path = "sys:uname".as_ptr() as usize;
    for fd in [9_999, FD_MAX - 1, FD_MAX, 1 << 32, 1 << 63, isize::MAX as usize, usize::MAX - 1] {
        for (what, number, args) in [
            ("read", SYS_READ, [fd, buffer, 8, 0, 0]),
            ("write", SYS_WRITE, [fd, buffer, 8, 0, 0]),
            ("read at", SYS_READ2, [fd, buffer, 8, 0, 0]),
            ("write at", SYS_WRITE2, [fd, buffer, 8, 0, 0]),
            ("openat", SYS_OPENAT_INTO2, [fd, path, 9, 0, LOWEST_FREE]),
            ("close", SYS_CLOSE, [fd, 0, 0, 0, 0]),
            ("dup", SYS_DUP_INTO, [fd, 0, 0, LOWEST_FREE, 0]),
            ("dup to there", SYS_DUP_INTO, [fd, 0, 0, 50, 0]),
            ("dup2", SYS_DUP2, [fd, 50, 0, 0, 0]),
            ("lseek", SYS_LSEEK, [fd, 0, SEEK_SET, 0, 0]),
            ("fcntl", SYS_FCNTL, [fd, F_GETFL, 0, 0, 0]),
            ("fstat", SYS_FSTAT, [fd, buffer, size_of::<Stat>(), 0, 0]),
            ("fsync", SYS_FSYNC, [fd, 0, 0, 0, 0]),
            ("fpath", SYS_FPATH, [fd, buffer, 8, 0, 0]),
            ("fevent", SYS_FEVENT, [fd, 1, 0, 0, 0]),
            ("fchown", SYS_FCHOWN, [fd, 0, 0, 0, 0]),
            ("frename", SYS_FRENAME, [fd, path, 9, 0, 0]),
            ("flink", SYS_FLINK, [fd, path, 9, 0, 0]),
            ("unlinkat", SYS_UNLINKAT, [fd, path, 9, 0, 0]),
            ("call", SYS_CALL, [fd, buffer, 8, 0, 0]),
            ("register", REGISTER_SCHEME, [fd, path, 3, fd, 0]),
            ("mmap", SYS_FMAP, [fd, map, size_of::<Map>(), 0, 0]),
        ] {
            refused(&format!("{what} of {fd:#x}"), make(number, args), EBADF)?;
        }
        if fd >= FD_MAX {
            refused(&format!("dup2 to {fd:#x}"), make(SYS_DUP2, [0, fd, 0, 0, 0]), EBADF)?;
            refused(&format!("dup to {fd:#x}"), make(SYS_DUP_INTO, [0, 0, 0, fd, 0]), EBADF)?;
            let found = make(SYS_FCNTL, [0, F_DUPFD, fd, 0, 0]);
            refused(&format!("F_DUPFD from {fd:#x}"), found, EINVAL)?;
        }
    }
    Ok(())
}

pub(crate) fn wrong_kinds() -> Check {
    let (reader, writer) = pipe()?;
    let text = open("sys:uname", O_RDONLY)?;
    let list = open("sys:", O_RDONLY)?;
    let mut bytes = [0u8; 256];
    let buffer = bytes.as_mut_ptr() as usize;
    refused("reading a write end", writer.read(&mut [0; 4]), EBADF)?;
    refused("writing a read end", reader.write(&[0; 4]), EBADF)?;
    refused("writing what is open for reading", text.write(&[0; 4]), EBADF)?;
    refused("seeking in a pipe", make(SYS_LSEEK, [reader.0, 0, SEEK_SET, 0, 0]), ESPIPE)?;
    refused("a pipe at an offset", reader.read_at(&mut [0; 4], 7), ESPIPE)?;
    refused("reading a list as text", list.read(&mut [0; 4]), EISDIR)?;
    let words = [StdFsCallKind::Getdents as usize, 0, 24];
    let flags = CallFlags::STD_FS.bits() | CallFlags::READ.bits() | words.len();
    let found = make(SYS_CALL, [text.0, buffer, 256, flags, words.as_ptr() as usize]);
    refused("listing a text", found, ENOTDIR)?;
    let map =
        Map { size: 4096, flags: MapFlags::PROT_READ | MapFlags::MAP_PRIVATE, ..Map::default() };
    let found = make(SYS_FMAP, [reader.0, &raw const map as usize, size_of::<Map>(), 0, 0]);
    refused("mapping a pipe", found, ENODEV)?;
    equal("dup of a write end", errno(writer.dup(b"write")), EINVAL)?;
    equal("dup with nonsense", errno(reader.dup(b"nonsense")), EINVAL)?;
    let params = NewFdParams { offset: 0, number: 0, flags: 0, internal_flags: 0 };
    // SAFETY: plain numbers.
    let params = unsafe {
        std::slice::from_raw_parts((&raw const params).cast::<u8>(), size_of::<NewFdParams>())
    };
    equal("a socket's words to a pipe", errno(reader.dup(params)), EINVAL)?;
    let name = "x".as_ptr() as usize;
    let namespace = open("namespace:", O_RDWR)?;
    refused(
        "a pipe as a scheme's root",
        make(REGISTER_SCHEME, [namespace.0, name, 1, reader.0, 0]),
        EINVAL,
    )
}

pub(crate) fn close_twice() -> Check {
    let (reader, writer) = pipe()?;
    let fd = reader.into_raw();
    close(fd)?;
    refused("the second time", close(fd), EBADF)?;
    refused("reading it", make(SYS_READ, [fd, 0, 0, 0, 0]), EBADF)?;
    drop(writer);
    refused("the third time", close(fd), EBADF)
}

pub(crate) fn bad_paths() -> Check {
    for (path, wanted) in [
        ("", EINVAL),
        (":", EINVAL),
        (":x", EINVAL),
        ("relative", EINVAL),
        ("a\0b", EINVAL),
        ("no-such-scheme:", ENOENT),
        ("/scheme/no-such-scheme/x", ENOENT),
        ("sys:no-such-file", ENOENT),
        ("sys:uname/x", ENOENT),
        ("proc:0", ENOENT),
        ("proc:99999999999999999999", ENOENT),
        ("proc:-1/status", ENOENT),
        ("proc:self/no-such-file", ENOENT),
        ("time:99", ENOENT),
        ("irq:99", ENOENT),
        ("irq:-1", ENOENT),
        ("memory:no-such-kind", ENOENT),
        ("pipe:x", ENOENT),
        ("/no/such/file", ENOENT),
    ] {
        equal(&format!("open {path:?}"), errno(open(path, O_RDONLY)), wanted)?;
    }
    let long = "sys:".to_string() + &"x".repeat(5_000);
    equal("a path of 5,004 bytes", errno(open(&long, O_RDONLY)), ENAMETOOLONG)?;
    equal("a path of 4,096 bytes", errno(open(&long[..4_096], O_RDONLY)), ENOENT)?;
    let bad = [b's', b'y', b's', b':', 0xFF, 0xFE];
    let found = make(OPEN, [bad.as_ptr() as usize, bad.len(), O_RDONLY, 0, 0]);
    refused("a path that is not UTF-8", found, EINVAL)
}

pub(crate) fn bad_arguments() -> Check {
    let text = open("sys:uname", O_RDONLY)?;
    let (reader, _writer) = pipe()?;
    let list = open("sys:", O_RDONLY)?;
    let far = isize::MIN as usize;
    for (what, number, args, wanted) in [
        ("whence", SYS_LSEEK, [text.0, 0, 99, 0, 0], EINVAL),
        ("before the start", SYS_LSEEK, [text.0, usize::MAX, SEEK_SET, 0, 0], EINVAL),
        ("far before it", SYS_LSEEK, [text.0, far, SEEK_CUR, 0, 0], EINVAL),
        ("fcntl", SYS_FCNTL, [text.0, 9_999, 0, 0, 0], EINVAL),
        ("call that moves files", SYS_CALL, [list.0, 0, 0, CallFlags::FD.bits(), 0], EOPNOTSUPP),
        ("call with 255 words", SYS_CALL, [list.0, 0, 0, 255, 0], EINVAL),
        ("call to a pipe", SYS_CALL, [reader.0, 0, 0, 0, 0], EOPNOTSUPP),
        ("futex", SYS_FUTEX, [0x10_0000, 99, 0, 0, 0], ENOSYS),
        ("getpgid", GETPGID, [99_999, 0, 0, 0, 0], ESRCH),
        ("getpgid, more bits than pids have", GETPGID, [1 | 1 << 32, 0, 0, 0, 0], ESRCH),
        ("getsid", GETSID, [usize::MAX, 0, 0, 0, 0], ESRCH),
        ("setpgid", SETPGID, [99_999, 0, 0, 0, 0], ESRCH),
        ("setpgid, no such group", SETPGID, [0, 99_999, 0, 0, 0], EPERM),
        ("setpgid, a group of too many bits", SETPGID, [0, 1 << 32, 0, 0, 0], EINVAL),
        ("wait without children", WAIT, [usize::MAX, 0, 0, 0, 0], ECHILD),
        ("wait for oneself", WAIT, [guest::process::pid(), 0, 0, 0, 0], ECHILD),
        ("wait for the last group", WAIT, [far, 0, 0, 0, 0], ECHILD),
        ("sigreturn outside a handler", SIGRETURN, [0; 5], EINVAL),
        ("how to mask", SIGPROCMASK, [99, (&raw const far) as usize, 0, 0, 0], EINVAL),
        ("the retired openat", SYS_OPENAT_INTO, [0; 5], ENOSYS),
        ("no such call", usize::MAX, [0; 5], ENOSYS),
    ] {
        refused(what, make(number, args), wanted)?;
    }
    let mut end = [0; 8];
    equal("reading at the last offset", text.read_at(&mut end, usize::MAX - 1)?, 0)?;
    let entries = [StdFsCallKind::Getdents as usize, usize::MAX, 24];
    let flags = CallFlags::STD_FS.bits() | CallFlags::READ.bits() | entries.len();
    for path in ["sys:", "proc:", "proc:self", "proc:self/fd", "initfs:", "time:", "irq:"] {
        let list = open(path, O_RDONLY)?;
        let mut room = [0u8; 256];
        let (buffer, words) = (room.as_mut_ptr() as usize, entries.as_ptr() as usize);
        let found = make(SYS_CALL, [list.0, buffer, 256, flags, words]);
        equal(&format!("entries of {path} behind the last"), found, Ok(0))?;
    }
    Ok(())
}
