//! What the machine and the system are: `sysconf`, `uname`, `gethostname`.

use crate::errno::{self, Answer};
use crate::sys::file::File;
use crate::sys::{Result, error};
use abi::number::O_CLOEXEC;
use abi::redox::flag::O_RDONLY;
use core::ffi::c_char;
use core::mem::zeroed;
use libc::{c_int, c_long, size_t, utsname};
use logic::numbers::after_key;

/// Room for a small file of `sys:`.
const ROOM: usize = 2048;

/// The name when `/etc/hostname` gives none.
const DEFAULT_NAME: &[u8] = b"lifeboat";

/// Ticks of `times` per second.
pub(crate) const TICKS: c_long = 100;

/// The beginning of a file.
pub(crate) fn read_file<'a>(path: &[u8], buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    let count = File::open(path, O_RDONLY | O_CLOEXEC)?.read_full(buffer)?;
    Ok(&buffer[..count])
}

/// How many CPUs there are, as `sys:cpu` says.
pub(crate) fn cpus() -> Result<c_long> {
    let mut buffer = [0; ROOM];
    let count = after_key(read_file(b"/scheme/sys/cpu", &mut buffer)?, b"CPUs:");
    count.map_or_else(|| error(libc::EIO), |count| Ok(count as c_long))
}

/// The host's name.
fn host_name(buffer: &mut [u8]) -> &[u8] {
    match read_file(b"/etc/hostname", buffer).map(|text| text.trim_ascii()) {
        Ok(name) if !name.is_empty() => name,
        _ => DEFAULT_NAME,
    }
}

/// Facts and limits; −1 without `errno` for what has no limit.
#[unsafe(no_mangle)]
extern "C" fn sysconf(name: c_int) -> c_long {
    match name {
        libc::_SC_PAGESIZE => abi::PAGE_SIZE as c_long,
        libc::_SC_OPEN_MAX => getdtablesize().into(),
        libc::_SC_ARG_MAX => abi::exec::ARGUMENTS_MAX as c_long,
        libc::_SC_CLK_TCK => TICKS,
        libc::_SC_NGROUPS_MAX => 0,
        libc::_SC_HOST_NAME_MAX => libc::UTSLENGTH as c_long - 1,
        libc::_SC_LOGIN_NAME_MAX => 256,
        libc::_SC_SYMLOOP_MAX => 40,
        libc::_SC_NPROCESSORS_ONLN | libc::_SC_NPROCESSORS_CONF => cpus().size() as c_long,
        libc::_SC_GETPW_R_SIZE_MAX | libc::_SC_GETGR_R_SIZE_MAX => crate::accounts::ROOM as c_long,
        libc::_SC_SIGQUEUE_MAX => abi::signal::QUEUE_MAX as c_long,
        libc::_SC_REALTIME_SIGNALS => 200_809,
        libc::_SC_CHILD_MAX | libc::_SC_STREAM_MAX | libc::_SC_TTY_NAME_MAX => -1,
        _ => errno::fail(libc::EINVAL) as c_long,
    }
}

/// Bytes in a page.
#[unsafe(no_mangle)]
extern "C" fn getpagesize() -> c_int {
    abi::PAGE_SIZE as c_int
}

/// Most descriptors.
#[unsafe(no_mangle)]
extern "C" fn getdtablesize() -> c_int {
    let limit = crate::process::limits::limit(libc::RLIMIT_NOFILE);
    limit.map_or(abi::FD_MAX as c_int, |limit| limit as c_int)
}

/// Limits of a file system, the same for all.
fn path_limit(name: c_int) -> c_long {
    match name {
        libc::_PC_NAME_MAX => logic::dirent::NAME_MAX as c_long,
        libc::_PC_PATH_MAX => abi::PATH_MAX as c_long,
        libc::_PC_PIPE_BUF => abi::PAGE_SIZE as c_long,
        libc::_PC_NO_TRUNC | libc::_PC_CHOWN_RESTRICTED => 1,
        libc::_PC_LINK_MAX..=libc::_PC_2_SYMLINKS => -1,
        _ => errno::fail(libc::EINVAL) as c_long,
    }
}

/// Limits of the file system that a path is on.
#[unsafe(no_mangle)]
extern "C" fn pathconf(_path: *const c_char, name: c_int) -> c_long {
    path_limit(name)
}

/// Limits of the file system that an open file is on.
#[unsafe(no_mangle)]
extern "C" fn fpathconf(_fd: c_int, name: c_int) -> c_long {
    path_limit(name)
}

fn put(field: &mut [c_char; libc::UTSLENGTH], text: &[u8]) {
    for (place, &letter) in field[..libc::UTSLENGTH - 1].iter_mut().zip(text) {
        *place = letter as c_char;
    }
}

/// The system's names: from `sys:uname`, whose lines are system, version, machine and build, and
/// the host's name.
#[unsafe(no_mangle)]
unsafe extern "C" fn uname(place: *mut utsname) -> c_int {
    let read = || {
        let mut buffer = [0; ROOM];
        let text = read_file(b"/scheme/sys/uname", &mut buffer)?;
        let mut lines = text.split(|&byte| byte == b'\n');
        let mut line = || lines.next().unwrap_or_default();
        // SAFETY: all zero is a valid `utsname`.
        let mut names: utsname = unsafe { zeroed() };
        put(&mut names.sysname, line());
        put(&mut names.release, line());
        put(&mut names.machine, line());
        put(&mut names.version, line());
        put(&mut names.nodename, host_name(&mut [0; ROOM]));
        // SAFETY: the caller gave a place for the answer.
        unsafe { place.write(names) };
        Ok(0_isize)
    };
    read().int()
}

/// The host's name, cut and NUL-terminated.
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostname(place: *mut c_char, room: size_t) -> c_int {
    let mut buffer = [0; ROOM];
    let name = host_name(&mut buffer);
    if room == 0 {
        return errno::fail(libc::EINVAL) as c_int;
    }
    let length = name.len().min(room - 1);
    // SAFETY: the caller gave `room` bytes.
    unsafe {
        place.cast::<u8>().copy_from_nonoverlapping(name.as_ptr(), length);
        place.add(length).write(0);
    }
    if length < name.len() { errno::fail(libc::ENAMETOOLONG) as c_int } else { 0 }
}
