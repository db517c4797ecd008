//! Who a process is: pids, groups, sessions, users.

use crate::errno::{self, Answer};
use crate::pointer;
use crate::sys::{Result, error, syscall};
use abi::number::{GETIDS, GETPGID, GETPID, GETPPID, GETSID, GETTID, SETIDS, SETPGID, SETSID};
use libc::{c_int, gid_t, pid_t, size_t, uid_t};

/// Leave one id as it is.
const KEEP: u32 = u32::MAX;

/// The four ids of a process.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) user: u32,
    pub(crate) effective_user: u32,
    pub(crate) group: u32,
    pub(crate) effective_group: u32,
}

/// Asks for the ids of this process.
pub(crate) fn ids() -> Result<Ids> {
    let mut words = [0_u32; 4];
    // SAFETY: the kernel fills four words.
    unsafe { syscall(GETIDS, [words.as_mut_ptr() as usize]) }?;
    let [user, effective_user, group, effective_group] = words;
    Ok(Ids { user, effective_user, group, effective_group })
}

fn set_ids(words: [u32; 4]) -> c_int {
    // SAFETY: the kernel only reads the four words.
    unsafe { syscall(SETIDS, [words.as_ptr() as usize]) }.zero()
}

/// This process's number.
pub(crate) fn process() -> usize {
    // SAFETY: no memory is involved.
    unsafe { syscall(GETPID, []) }.expect("a process has a number")
}

/// This thread's number.
pub(crate) fn thread() -> u32 {
    // SAFETY: no memory is involved.
    unsafe { syscall(GETTID, []) }.expect("a thread has a number") as u32
}

/// A pid as the kernel takes it.
fn number(pid: pid_t) -> Result<usize> {
    usize::try_from(pid).or_else(|_| error(libc::EINVAL))
}

/// This process.
#[unsafe(no_mangle)]
extern "C" fn getpid() -> pid_t {
    process() as pid_t
}

/// The process that made this one.
#[unsafe(no_mangle)]
extern "C" fn getppid() -> pid_t {
    // SAFETY: no memory is involved.
    unsafe { syscall(GETPPID, []) }.int()
}

/// This thread.
#[unsafe(no_mangle)]
extern "C" fn gettid() -> pid_t {
    crate::thread::record::current_id() as pid_t
}

/// The group of a process.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn getpgid(pid: pid_t) -> pid_t {
    // SAFETY: no memory is involved.
    number(pid).and_then(|pid| unsafe { syscall(GETPGID, [pid]) }).int()
}

/// The own group.
#[unsafe(no_mangle)]
extern "C" fn getpgrp() -> pid_t {
    getpgid(0)
}

/// Moves a process into a group.
#[unsafe(no_mangle)]
extern "C" fn setpgid(pid: pid_t, group: pid_t) -> c_int {
    let set = number(pid).and_then(|pid| {
        // SAFETY: no memory is involved.
        unsafe { syscall(SETPGID, [pid, number(group)?]) }
    });
    set.zero()
}

/// Makes this process the leader of a group of its own.
#[unsafe(no_mangle)]
extern "C" fn setpgrp() -> c_int {
    setpgid(0, 0)
}

/// The session of a process.
#[unsafe(no_mangle)]
extern "C" fn getsid(pid: pid_t) -> pid_t {
    // SAFETY: no memory is involved.
    number(pid).and_then(|pid| unsafe { syscall(GETSID, [pid]) }).int()
}

/// Makes this process the leader of a session of its own.
#[unsafe(no_mangle)]
extern "C" fn setsid() -> pid_t {
    // SAFETY: no memory is involved.
    unsafe { syscall(SETSID, []) }.int()
}

/// One id; a process always has them, so C gives these functions no way to fail.
fn one(choose: impl FnOnce(Ids) -> u32) -> u32 {
    choose(ids().expect("a process has ids"))
}

/// The real user.
#[unsafe(no_mangle)]
extern "C" fn getuid() -> uid_t {
    one(|ids| ids.user)
}

/// The effective user.
#[unsafe(no_mangle)]
extern "C" fn geteuid() -> uid_t {
    one(|ids| ids.effective_user)
}

/// The real group.
#[unsafe(no_mangle)]
extern "C" fn getgid() -> gid_t {
    one(|ids| ids.group)
}

/// The effective group.
#[unsafe(no_mangle)]
extern "C" fn getegid() -> gid_t {
    one(|ids| ids.effective_group)
}

/// Sets both user ids.
#[unsafe(no_mangle)]
extern "C" fn setuid(user: uid_t) -> c_int {
    set_ids([user, user, KEEP, KEEP])
}

/// Sets both group ids.
#[unsafe(no_mangle)]
extern "C" fn setgid(group: gid_t) -> c_int {
    set_ids([KEEP, KEEP, group, group])
}

/// Sets the effective user.
#[unsafe(no_mangle)]
extern "C" fn seteuid(user: uid_t) -> c_int {
    set_ids([KEEP, user, KEEP, KEEP])
}

/// Sets the effective group.
#[unsafe(no_mangle)]
extern "C" fn setegid(group: gid_t) -> c_int {
    set_ids([KEEP, KEEP, KEEP, group])
}

/// Sets the user ids; −1 keeps one.
#[unsafe(no_mangle)]
extern "C" fn setreuid(real: uid_t, effective: uid_t) -> c_int {
    set_ids([real, effective, KEEP, KEEP])
}

/// Sets the group ids; −1 keeps one.
#[unsafe(no_mangle)]
extern "C" fn setregid(real: gid_t, effective: gid_t) -> c_int {
    set_ids([KEEP, KEEP, real, effective])
}

/// Sets the user ids; −1 keeps one. There is no saved one to set.
#[unsafe(no_mangle)]
extern "C" fn setresuid(real: uid_t, effective: uid_t, _saved: uid_t) -> c_int {
    setreuid(real, effective)
}

/// Sets the group ids; −1 keeps one. There is no saved one to set.
#[unsafe(no_mangle)]
extern "C" fn setresgid(real: gid_t, effective: gid_t, _saved: gid_t) -> c_int {
    setregid(real, effective)
}

/// The user ids. There is no saved one: the effective one stands in for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn getresuid(
    real: *mut uid_t,
    effective: *mut uid_t,
    saved: *mut uid_t,
) -> c_int {
    let answer = ids().map(|ids| {
        // SAFETY: the caller gave places for the answers.
        unsafe {
            pointer::store(real, ids.user as uid_t);
            pointer::store(effective, ids.effective_user as uid_t);
            pointer::store(saved, ids.effective_user as uid_t);
        }
        0_isize
    });
    answer.int()
}

/// The group ids. There is no saved one: the effective one stands in for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn getresgid(
    real: *mut gid_t,
    effective: *mut gid_t,
    saved: *mut gid_t,
) -> c_int {
    let answer = ids().map(|ids| {
        // SAFETY: the caller gave places for the answers.
        unsafe {
            pointer::store(real, ids.group as gid_t);
            pointer::store(effective, ids.effective_group as gid_t);
            pointer::store(saved, ids.effective_group as gid_t);
        }
        0_isize
    });
    answer.int()
}

/// Further groups: a process is in one group only, so the list is empty.
#[unsafe(no_mangle)]
extern "C" fn getgroups(count: c_int, _list: *mut gid_t) -> c_int {
    if count < 0 { errno::fail(libc::EINVAL) as c_int } else { 0 }
}

/// Sets further groups: only the empty list can be set.
#[unsafe(no_mangle)]
extern "C" fn setgroups(count: size_t, _list: *const gid_t) -> c_int {
    if count == 0 { 0 } else { errno::fail(libc::ENOSYS) as c_int }
}
