//! Files and descriptors over Linux.

use super::path::{self, Host};
use super::{event, fail, failed, linux, number};
use abi::number as own;
use abi::redox::data::{Event, Stat, StdFsCallMeta};
use abi::redox::flag::*;
use abi::redox::number::*;
use abi::{LOWEST_FREE, PATH_MAX};

const AT_FDCWD: usize = -100_isize as usize;
const AT_SYMLINK_FOLLOW: usize = 0x400;
const FD_CLOEXEC: usize = 1;

const LINUX_CREAT: usize = 0o100;
const LINUX_NOFOLLOW: usize = 0o400_000;
const LINUX_CLOEXEC: usize = 0o2_000_000;
const LINUX_PATH: usize = 0o10_000_000;

/// Lifeboat's flags and Linux's.
const FLAGS: [(usize, usize); 8] = [
    (O_NONBLOCK, 0o4_000),
    (O_APPEND, 0o2_000),
    (O_CREAT, LINUX_CREAT),
    (O_TRUNC, 0o1_000),
    (O_EXCL, 0o200),
    (O_DIRECTORY, 0o200_000),
    (O_NOFOLLOW, LINUX_NOFOLLOW),
    (own::O_CLOEXEC, LINUX_CLOEXEC),
];

pub(super) unsafe fn call(call: usize, a: [usize; 6]) -> Option<usize> {
    // SAFETY: as promised by the caller.
    Some(unsafe {
        match call {
            own::OPEN => open(a[0], a[1], a[2]),
            own::UNLINK => linux(
                number::UNLINKAT,
                [AT_FDCWD, Host::of(a[0], a[1]).address(), a[2] & AT_REMOVEDIR],
            ),
            SYS_READ => read(a[0], a[1], a[2]),
            own::READ_MASKED => event::read(a[0], a[1], a[2], a[3]),
            SYS_WRITE => write(a[0], a[1], a[2]),
            SYS_READ2 => linux(number::PREAD64, [a[0], a[1], a[2], a[3]]),
            SYS_WRITE2 => linux(number::PWRITE64, [a[0], a[1], a[2], a[3]]),
            SYS_CLOSE => linux(number::CLOSE, [a[0]]),
            SYS_DUP_INTO => dup(a[0], a[1], a[2], a[3]),
            SYS_DUP2 if a[3] == 0 => linux(number::DUP2, [a[0], a[1]]),
            SYS_LSEEK => linux(number::LSEEK, [a[0], a[1], a[2]]),
            SYS_FCNTL => control(a[0], a[1], a[2]),
            SYS_FSTAT => stat(a[0], a[1] as *mut Stat),
            SYS_FSYNC => linux(number::FSYNC, [a[0]]),
            SYS_FPATH => path_of(a[0], a[1], a[2]),
            SYS_FCHOWN => linux(number::CHOWN, [Host::of_descriptor(a[0]).address(), a[1], a[2]]),
            SYS_FRENAME => rename(a[0], Host::of(a[1], a[2])),
            SYS_FLINK => {
                let (old, new) = (Host::of_descriptor(a[0]), Host::of(a[1], a[2]));
                let paths = [AT_FDCWD, old.address(), AT_FDCWD, new.address()];
                let [from, old, to, new] = paths;
                linux(number::LINKAT, [from, old, to, new, AT_SYMLINK_FOLLOW])
            }
            SYS_CALL => operation(a),
            _ => return None,
        }
    })
}

/// Lifeboat's flags as Linux's.
fn to_linux(flags: usize) -> usize {
    let access = match flags & O_ACCMODE {
        O_WRONLY => 1,
        O_RDWR => 2,
        _ => 0,
    };
    FLAGS.iter().filter(|pair| flags & pair.0 != 0).fold(access, |all, pair| all | pair.1)
}

/// Linux's flags as Lifeboat's.
fn from_linux(flags: usize) -> usize {
    let access = [O_RDONLY, O_WRONLY, O_RDWR][(flags & 3).min(2)];
    FLAGS.iter().filter(|pair| flags & pair.1 != 0).fold(access, |all, pair| all | pair.0)
}

unsafe fn open(address: usize, length: usize, flags: usize) -> usize {
    let mode = flags & usize::from(MODE_PERM);
    // SAFETY: as promised by the caller.
    unsafe {
        let name = core::slice::from_raw_parts(address as *const u8, length);
        match path::scheme(name) {
            Some((b"pipe", b"")) => return pipe(flags),
            Some((b"event", b"")) => {
                let queue = event::open(to_linux(flags) & LINUX_CLOEXEC);
                if flags & O_NONBLOCK != 0 {
                    event::set_patience(queue, 0);
                }
                return queue;
            }
            Some((b"sys", b"exe")) => return own_program(),
            _ => {}
        }
        let host = Host::of(address, length);
        // Whoever opens a link itself reads or writes where it leads.
        if flags & (O_SYMLINK | O_CREAT) == O_SYMLINK | O_CREAT {
            return fail(libc::EOPNOTSUPP);
        }
        if flags & (O_CREAT | O_DIRECTORY) == O_CREAT | O_DIRECTORY {
            let made = linux(number::MKDIR, [host.address(), mode]);
            if failed(made) {
                return made;
            }
        }
        let mut wanted = to_linux(flags);
        if flags & O_DIRECTORY != 0 {
            wanted &= !(LINUX_CREAT | 0o200);
        }
        if flags & O_SYMLINK != 0 {
            wanted |= LINUX_NOFOLLOW;
        }
        if flags & (O_STAT | O_SYMLINK) != 0 {
            let kept = wanted & (LINUX_NOFOLLOW | LINUX_CLOEXEC | 0o200_000);
            let looked = linux(number::OPENAT, [AT_FDCWD, host.address(), kept | LINUX_PATH, 0]);
            // A link is read by its name; anything else is opened as asked.
            if flags & O_STAT != 0 || failed(looked) || is_link(looked) {
                return looked;
            }
            linux(number::CLOSE, [looked]);
        }
        linux(number::OPENAT, [AT_FDCWD, host.address(), wanted, mode])
    }
}

unsafe fn is_link(fd: usize) -> bool {
    let mut told = Stat::default();
    // SAFETY: the place is ours.
    unsafe { stat(fd, &raw mut told) == 0 && told.st_mode & MODE_TYPE == MODE_SYMLINK }
}

/// A file with the path of the program that runs.
unsafe fn own_program() -> usize {
    let mut path = [0; PATH_MAX];
    let link = c"/proc/self/exe".as_ptr() as usize;
    // SAFETY: the path is ours to fill.
    unsafe {
        let length = linux(number::READLINK, [link, path.as_mut_ptr() as usize, path.len()]);
        let fd = linux(number::MEMFD_CREATE, [link, 1]);
        if failed(length) || failed(fd) {
            return fail(libc::EIO);
        }
        linux(number::PWRITE64, [fd, path.as_ptr() as usize, length, 0]);
        fd
    }
}

/// The reading end; `dup` with `write` finds the other by the name of this one.
unsafe fn pipe(flags: usize) -> usize {
    let mut ends = [0_i32; 2];
    // SAFETY: the ends are ours to fill.
    unsafe {
        let flags = to_linux(flags) & (0o4_000 | LINUX_CLOEXEC);
        let answer = linux(number::PIPE2, [ends.as_mut_ptr() as usize, flags]);
        if failed(answer) {
            return answer;
        }
        linux(number::CLOSE, [ends[1] as usize]);
    }
    ends[0] as usize
}

/// A symbolic link that was opened itself says where it leads; a queue, what happened.
unsafe fn read(fd: usize, buffer: usize, room: usize) -> usize {
    // SAFETY: the buffer is the caller's to fill.
    unsafe {
        let answer = linux(number::READ, [fd, buffer, room]);
        match answer {
            unreadable if unreadable == fail(libc::EBADF) && is_link(fd) => {
                linux(number::READLINKAT, [fd, c"".as_ptr() as usize, buffer, room])
            }
            queue if queue == fail(libc::EINVAL) => event::read(fd, buffer, room, 0),
            answer => answer,
        }
    }
}

/// What is written to a queue is what it shall look for.
unsafe fn write(fd: usize, bytes: usize, length: usize) -> usize {
    // SAFETY: the bytes are only read.
    unsafe {
        match linux(number::WRITE, [fd, bytes, length]) {
            queue if queue == fail(libc::EINVAL) && length == size_of::<Event>() => {
                event::tell(fd, &*(bytes as *const Event))
            }
            answer => answer,
        }
    }
}

unsafe fn dup(fd: usize, name: usize, length: usize, wanted: usize) -> usize {
    // SAFETY: as promised by the caller.
    unsafe {
        let name =
            if length == 0 { &[] } else { core::slice::from_raw_parts(name as *const u8, length) };
        match name {
            b"" if wanted == LOWEST_FREE => linux(number::DUP, [fd]),
            b"" => linux(number::DUP2, [fd, wanted]),
            b"write" => {
                // Linux opens the other end of a pipe by its name; the flags are those of this end.
                let flags = linux(number::FCNTL, [fd, F_GETFL]) & 0o4_000;
                let host = Host::of_descriptor(fd);
                linux(number::OPENAT, [AT_FDCWD, host.address(), 1 | flags, 0])
            }
            _ => fail(libc::ENOTTY),
        }
    }
}

unsafe fn control(fd: usize, command: usize, argument: usize) -> usize {
    // SAFETY: none of the commands takes a pointer.
    unsafe {
        match command {
            F_GETFL => match linux(number::FCNTL, [fd, F_GETFL]) {
                error if failed(error) => error,
                flags => from_linux(flags),
            },
            F_SETFL if argument & O_NONBLOCK != 0 && is_queue(fd) => {
                event::set_patience(fd, 0);
                0
            }
            F_SETFL => linux(number::FCNTL, [fd, F_SETFL, to_linux(argument)]),
            F_GETFD => match linux(number::FCNTL, [fd, F_GETFD]) {
                FD_CLOEXEC => own::O_CLOEXEC,
                other => other,
            },
            F_SETFD => {
                let flag = if argument & own::O_CLOEXEC != 0 { FD_CLOEXEC } else { 0 };
                linux(number::FCNTL, [fd, F_SETFD, flag])
            }
            // The two that duplicate have the same numbers.
            other => linux(number::FCNTL, [fd, other, argument]),
        }
    }
}

unsafe fn is_queue(fd: usize) -> bool {
    let mut path = [0; 64];
    // SAFETY: the path is ours.
    let length = unsafe { host_path(fd, &mut path) };
    path.get(..length).is_some_and(|path| path == b"anon_inode:[eventpoll]")
}

/// What a file is, as Linux lays it out.
#[repr(C)]
#[derive(Default)]
struct HostStat {
    device: u64,
    inode: u64,
    links: u64,
    mode: u32,
    user: u32,
    group: u32,
    pad: u32,
    special: u64,
    size: i64,
    block_size: i64,
    blocks: i64,
    accessed: [u64; 2],
    modified: [u64; 2],
    changed: [u64; 2],
    more: [i64; 3],
}

unsafe fn stat(fd: usize, place: *mut Stat) -> usize {
    let mut host = HostStat::default();
    // SAFETY: Linux fills its own structure; the place is the caller's.
    unsafe {
        let answer = linux(number::FSTAT, [fd, &raw mut host as usize]);
        if failed(answer) {
            return answer;
        }
        place.write(Stat {
            st_dev: host.device,
            st_ino: host.inode,
            st_mode: host.mode as u16,
            st_nlink: host.links as u32,
            st_uid: host.user,
            st_gid: host.group,
            st_size: host.size as u64,
            st_blksize: host.block_size as u32,
            st_blocks: host.blocks as u64,
            st_mtime: host.modified[0],
            st_mtime_nsec: host.modified[1] as u32,
            st_atime: host.accessed[0],
            st_atime_nsec: host.accessed[1] as u32,
            st_ctime: host.changed[0],
            st_ctime_nsec: host.changed[1] as u32,
        });
    }
    0
}

/// Where a descriptor's file lies, in Lifeboat's words.
unsafe fn path_of(fd: usize, place: usize, room: usize) -> usize {
    let mut path = [0; PATH_MAX + 64];
    // SAFETY: the path is ours, and the place has so much room.
    unsafe {
        let length = host_path(fd, &mut path);
        if failed(length) {
            return length;
        }
        let length = path::told(&mut path, length).min(room);
        path.as_ptr().copy_to_nonoverlapping(place as *mut u8, length);
        length
    }
}

unsafe fn host_path(fd: usize, path: &mut [u8]) -> usize {
    let host = Host::of_descriptor(fd);
    // SAFETY: the path is the caller's to fill.
    unsafe {
        let arguments = [host.address(), path.as_mut_ptr() as usize, path.len()];
        linux(number::READLINK, arguments)
    }
}

unsafe fn rename(fd: usize, new: Host) -> usize {
    // The NUL behind the path is the last byte, which nothing overwrites.
    let mut old = [0; PATH_MAX + 64];
    let room = old.len() - 1;
    // SAFETY: both paths are ours.
    unsafe {
        match host_path(fd, &mut old[..room]) {
            error if failed(error) => error,
            _ => linux(number::RENAME, [old.as_ptr() as usize, new.address()]),
        }
    }
}

/// The standard file operations that travel by `CALL`.
unsafe fn operation([fd, payload, length, flags, meta, _]: [usize; 6]) -> usize {
    if flags & CallFlags::STD_FS.bits() == 0 {
        return fail(libc::ENOSYS);
    }
    // SAFETY: the metadata is readable, the payload is the caller's to fill.
    unsafe {
        let meta = &*(meta as *const StdFsCallMeta);
        let host = Host::of_descriptor(fd);
        match StdFsCallKind::try_from_raw(meta.kind) {
            Some(StdFsCallKind::Fchmod) => {
                linux(number::CHMOD, [host.address(), meta.arg1 as usize])
            }
            Some(StdFsCallKind::Ftruncate) => linux(number::FTRUNCATE, [fd, meta.arg1 as usize]),
            Some(StdFsCallKind::Futimens) => set_times(&host, payload),
            Some(StdFsCallKind::Getdents) => {
                linux(number::LSEEK, [fd, meta.arg1 as usize, 0]);
                // Records are laid out the same.
                linux(number::GETDENTS64, [fd, payload, length])
            }
            _ => fail(libc::ENOSYS),
        }
    }
}

/// Access and modification, in this order on both systems.
unsafe fn set_times(host: &Host, payload: usize) -> usize {
    use abi::redox::data::TimeSpec;
    // SAFETY: the payload holds two times.
    unsafe {
        let times = &*(payload as *const [TimeSpec; 2]);
        let times = [super::Time::from(&times[0]), super::Time::from(&times[1])];
        let arguments = [AT_FDCWD, host.address(), times.as_ptr() as usize, 0];
        linux(number::UTIMENSAT, arguments)
    }
}
