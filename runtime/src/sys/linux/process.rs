//! Processes over Linux.

use super::path::{self, Host};
use super::{fail, failed, linux, number};
use abi::exec::ExecArgs;
use abi::number as own;
use abi::{PAGE_SIZE, PATH_MAX};

/// A path of no length means the descriptor itself.
const AT_EMPTY_PATH: usize = 0x1000;
/// The file is closed when the program begins.
const MFD_CLOEXEC: usize = 1;
/// The bits of a creation mask; an argument with others only asks.
const PERMISSIONS: usize = 0o777;

pub(super) unsafe fn call(call: usize, a: [usize; 6]) -> Option<usize> {
    // SAFETY: as promised by the caller.
    Some(unsafe {
        match call {
            own::EXIT => linux(number::EXIT_GROUP, [a[0]]),
            own::FORK => linux(number::FORK, []),
            own::EXEC => exec(&*(a[0] as *const ExecArgs)),
            own::WAIT => linux(number::WAIT4, [a[0], a[1], a[2], 0]),
            own::GETPID => linux(number::GETPID, []),
            own::GETPPID => linux(number::GETPPID, []),
            own::GETTID => linux(number::GETTID, []),
            own::GETPGID => linux(number::GETPGID, [a[0]]),
            own::SETPGID => linux(number::SETPGID, [a[0], a[1]]),
            own::GETSID => linux(number::GETSID, [a[0]]),
            own::SETSID => linux(number::SETSID, []),
            own::GETIDS => ids(a[0] as *mut [u32; 4]),
            own::SETIDS => set_ids(*(a[0] as *const [u32; 4])),
            own::UMASK => umask(a[0]),
            own::CHDIR => linux(number::CHDIR, [Host::of(a[0], a[1]).address()]),
            own::GETCWD => working_directory(a[0], a[1]),
            _ => return None,
        }
    })
}

unsafe fn ids(place: *mut [u32; 4]) -> usize {
    let calls = [number::GETUID, number::GETEUID, number::GETGID, number::GETEGID];
    // SAFETY: the place is the caller's.
    unsafe { place.write(calls.map(|call| linux(call, []) as u32)) };
    0
}

/// `u32::MAX` keeps an id on both systems.
fn set_ids(ids: [u32; 4]) -> usize {
    let [user, effective_user, group, effective_group] = ids.map(|id| id as usize);
    // SAFETY: no memory is involved.
    unsafe {
        let answer = linux(number::SETREGID, [group, effective_group]);
        if failed(answer) { answer } else { linux(number::SETREUID, [user, effective_user]) }
    }
}

fn umask(mask: usize) -> usize {
    // SAFETY: no memory is involved.
    unsafe {
        let old = linux(number::UMASK, [mask & PERMISSIONS]);
        if mask > PERMISSIONS {
            linux(number::UMASK, [old]);
        }
        old
    }
}

unsafe fn working_directory(place: usize, room: usize) -> usize {
    let mut path = [0; PATH_MAX + 64];
    // SAFETY: the path is ours to fill, and the place has so much room.
    unsafe {
        let length = linux(number::GETCWD, [path.as_mut_ptr() as usize, path.len()]);
        if failed(length) {
            return length;
        }
        // Linux counts the NUL.
        let length = path::told(&mut path, length - 1);
        if length > room {
            return fail(libc::ERANGE);
        }
        path.as_ptr().copy_to_nonoverlapping(place as *mut u8, length);
        length
    }
}

/// Becomes the program whose bytes are in memory: Linux wants a file, so they go into one.
unsafe fn exec(arguments: &ExecArgs) -> usize {
    // SAFETY: the caller's strings and bytes are as it counts them.
    unsafe {
        let name = Host::of(arguments.path, arguments.path_len);
        let fd = linux(number::MEMFD_CREATE, [name.address(), MFD_CLOEXEC]);
        if failed(fd) {
            return fd;
        }
        let mut done = 0;
        while done < arguments.image_len {
            let rest = [fd, arguments.image + done, arguments.image_len - done];
            match linux(number::WRITE, rest) {
                error if failed(error) => return error,
                written => done += written,
            }
        }
        let list = |strings, count| pointers(strings, count);
        let argv = list(arguments.args, arguments.args_count);
        let envp = list(arguments.envs, arguments.envs_count);
        let empty = c"".as_ptr() as usize;
        let answer = linux(number::EXECVEAT, [fd, empty, argv, envp, AT_EMPTY_PATH]);
        linux(number::CLOSE, [fd]);
        answer
    }
}

/// An array that points at strings which lie one after the other. It is never given back: either the
/// program is another one then, or it tries again with few of them.
unsafe fn pointers(strings: usize, count: usize) -> usize {
    let size = (count + 1) * size_of::<usize>();
    let Ok(place) = crate::sys::map::zeroes(size.max(PAGE_SIZE)) else {
        return 0;
    };
    let mut at = strings as *const u8;
    for index in 0..count {
        // SAFETY: there are so many strings, and so much room.
        unsafe {
            (place as *mut usize).add(index).write(at as usize);
            while at.read() != 0 {
                at = at.add(1);
            }
            at = at.add(1);
        }
    }
    place
}
