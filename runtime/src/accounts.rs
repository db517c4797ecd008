//! Users and groups, from `/etc/passwd` and `/etc/group`.

use crate::errno;
use crate::pointer;
use crate::sys::file::File;
use crate::sys::{Result, error};
use abi::number::O_CLOEXEC;
use abi::redox::flag::O_RDONLY;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ffi::c_char;
use core::mem::zeroed;
use core::ptr::{null, null_mut};
use libc::{c_int, gid_t, group, passwd, size_t, uid_t};
use logic::accounts::{self, Account, Group};

/// Room that is enough for any entry.
pub(crate) const ROOM: usize = 4096;

/// The largest file that is read.
const FILE_MAX: usize = 1 << 20;

/// A whole file, or nothing when there is none.
pub(crate) fn read_whole(path: &[u8]) -> Result<Vec<u8>> {
    let file = match File::open(path, O_RDONLY | O_CLOEXEC) {
        Ok(file) => file,
        Err(error) if error.errno == libc::ENOENT => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(file.stat()?.st_size).unwrap_or(usize::MAX);
    if length > FILE_MAX {
        return error(libc::EFBIG);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).or_else(|_| error(libc::ENOMEM))?;
    bytes.resize(length, 0);
    let count = file.read_full(&mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// The caller's memory, from which texts are cut.
struct Store {
    next: *mut c_char,
    left: usize,
}

impl Store {
    /// Copies a text with its NUL.
    fn text(&mut self, text: &[u8]) -> Result<*mut c_char> {
        if text.len() >= self.left {
            return error(libc::ERANGE);
        }
        let place = self.next;
        // SAFETY: the text and its NUL fit into what is left.
        unsafe {
            place.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
            place.add(text.len()).write(0);
            self.next = place.add(text.len() + 1);
        }
        self.left -= text.len() + 1;
        Ok(place)
    }

    /// Room for `count` pointers and a null.
    fn pointers(&mut self, count: usize) -> Result<*mut *mut c_char> {
        let gap = self.next.align_offset(align_of::<*mut c_char>());
        let size = gap + (count + 1) * size_of::<*mut c_char>();
        if size > self.left {
            return error(libc::ERANGE);
        }
        // SAFETY: the gap and the array fit into what is left.
        unsafe {
            let place = self.next.add(gap).cast();
            self.next = self.next.add(size);
            self.left -= size;
            Ok(place)
        }
    }

    fn account(&mut self, account: &Account<'_>) -> Result<passwd> {
        Ok(passwd {
            pw_name: self.text(account.name)?,
            pw_passwd: self.text(b"x")?,
            pw_uid: account.uid as uid_t,
            pw_gid: account.gid as gid_t,
            pw_gecos: self.text(account.full_name)?,
            pw_dir: self.text(account.home)?,
            pw_shell: self.text(account.shell)?,
        })
    }

    fn group(&mut self, entry: &Group<'_>) -> Result<group> {
        let members = || entry.members.split(|&byte| byte == b',').filter(|name| !name.is_empty());
        let list = self.pointers(members().count())?;
        let mut end = list;
        for member in members() {
            let name = self.text(member)?;
            // SAFETY: the array has room for all members and the null.
            unsafe {
                end.write(name);
                end = end.add(1);
            }
        }
        // SAFETY: as above.
        unsafe { end.write(null_mut()) };
        Ok(group {
            gr_name: self.text(entry.name)?,
            gr_passwd: self.text(b"x")?,
            gr_gid: entry.gid as gid_t,
            gr_mem: list,
        })
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == b'\n')
}

/// Looks an account up.
fn find_account(store: &mut Store, is_it: impl Fn(&Account<'_>) -> bool) -> Result<Option<passwd>> {
    let bytes = read_whole(b"/etc/passwd")?;
    let found = lines(&bytes).filter_map(accounts::account).find(|account| is_it(account));
    found.map(|account| store.account(&account)).transpose()
}

/// Looks a group up.
fn find_group(store: &mut Store, is_it: impl Fn(&Group<'_>) -> bool) -> Result<Option<group>> {
    let bytes = read_whole(b"/etc/group")?;
    let found = lines(&bytes).filter_map(accounts::group).find(|group| is_it(group));
    found.map(|group| store.group(&group)).transpose()
}

/// Gives an entry to the caller of an `_r` function. Returns an error number.
unsafe fn give<T>(found: Result<Option<T>>, place: *mut T, result: *mut *mut T) -> c_int {
    // SAFETY: the caller gave places for the answers.
    unsafe {
        result.write(null_mut());
        match found {
            Ok(None) => 0,
            Ok(Some(entry)) => {
                place.write(entry);
                result.write(place);
                0
            }
            Err(error) => error.errno,
        }
    }
}

/// The account of a user id. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn getpwuid_r(
    user: uid_t,
    place: *mut passwd,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut passwd,
) -> c_int {
    let mut store = Store { next: buffer, left: room };
    // SAFETY: the same contract.
    unsafe { give(find_account(&mut store, |found| found.uid == user), place, result) }
}

/// The account of a name. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn getpwnam_r(
    name: *const c_char,
    place: *mut passwd,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut passwd,
) -> c_int {
    let mut store = Store { next: buffer, left: room };
    // SAFETY: the same contract.
    unsafe {
        let name = pointer::string(name);
        give(find_account(&mut store, |found| found.name == name), place, result)
    }
}

/// The group of a group id. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn getgrgid_r(
    id: gid_t,
    place: *mut group,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut group,
) -> c_int {
    let mut store = Store { next: buffer, left: room };
    // SAFETY: the same contract.
    unsafe { give(find_group(&mut store, |found| found.gid == id), place, result) }
}

/// The group of a name. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn getgrnam_r(
    name: *const c_char,
    place: *mut group,
    buffer: *mut c_char,
    room: size_t,
    result: *mut *mut group,
) -> c_int {
    let mut store = Store { next: buffer, left: room };
    // SAFETY: the same contract.
    unsafe {
        let name = pointer::string(name);
        give(find_group(&mut store, |found| found.name == name), place, result)
    }
}

/// What the functions without `_r` give out: one entry each, overwritten by the next call.
struct Last<T> {
    entry: UnsafeCell<T>,
    texts: UnsafeCell<[c_char; ROOM]>,
}

// SAFETY: C leaves it to the program not to call these functions from two threads at once.
unsafe impl<T> Sync for Last<T> {}

impl<T> Last<T> {
    /// Looks up with `find`; null when there is none or on an error.
    ///
    /// # Safety
    ///
    /// No other thread does so, and nobody uses the entry of the call before.
    unsafe fn find(&self, find: impl FnOnce(&mut Store) -> Result<Option<T>>) -> *mut T {
        match find(&mut Store { next: self.texts.get().cast(), left: ROOM }) {
            Ok(Some(entry)) => {
                // SAFETY: as promised by the caller.
                unsafe { self.entry.get().write(entry) };
                self.entry.get()
            }
            Ok(None) => null_mut(),
            Err(error) => {
                errno::set(error.errno);
                null_mut()
            }
        }
    }
}

impl<T> Last<T> {
    /// Nothing found yet.
    ///
    /// # Safety
    ///
    /// All zero is a valid `T`.
    const unsafe fn none() -> Self {
        // SAFETY: as promised by the caller.
        let entry = unsafe { zeroed() };
        Self { entry: UnsafeCell::new(entry), texts: UnsafeCell::new([0; ROOM]) }
    }
}

// SAFETY: null pointers and zero ids are valid.
static ACCOUNT: Last<passwd> = unsafe { Last::none() };
// SAFETY: null pointers and a zero id are valid.
static GROUP: Last<group> = unsafe { Last::none() };

/// The account of a user id, valid until the next call.
#[unsafe(no_mangle)]
unsafe extern "C" fn getpwuid(user: uid_t) -> *mut passwd {
    // SAFETY: the same contract.
    unsafe { ACCOUNT.find(|store| find_account(store, |found| found.uid == user)) }
}

/// The account of a name, valid until the next call.
#[unsafe(no_mangle)]
unsafe extern "C" fn getpwnam(name: *const c_char) -> *mut passwd {
    // SAFETY: the same contract.
    unsafe {
        let name = pointer::string(name);
        ACCOUNT.find(|store| find_account(store, |found| found.name == name))
    }
}

/// The group of a group id, valid until the next call.
#[unsafe(no_mangle)]
unsafe extern "C" fn getgrgid(id: gid_t) -> *mut group {
    // SAFETY: the same contract.
    unsafe { GROUP.find(|store| find_group(store, |found| found.gid == id)) }
}

/// The group of a name, valid until the next call.
#[unsafe(no_mangle)]
unsafe extern "C" fn getgrnam(name: *const c_char) -> *mut group {
    // SAFETY: the same contract.
    unsafe {
        let name = pointer::string(name);
        GROUP.find(|store| find_group(store, |found| found.name == name))
    }
}

/// The account that [`getlogin`] told of: programs look its name up with the functions above, which
/// overwrite theirs.
// SAFETY: null pointers and zero ids are valid.
static LOGIN: Last<passwd> = unsafe { Last::none() };

/// The account of the user whose session it is: nobody logs in yet, so it is the process's real one.
fn own_account(store: &mut Store) -> Result<passwd> {
    let user = crate::process::ids::ids()?.user;
    let found = find_account(store, |found| found.uid == user)?;
    found.map_or_else(|| error(libc::ENXIO), Ok)
}

/// The name of the user whose session it is; null, with `ENXIO`, when that has no account.
#[unsafe(no_mangle)]
unsafe extern "C" fn getlogin() -> *const c_char {
    // SAFETY: the same contract.
    match unsafe { LOGIN.find(|store| own_account(store).map(Some)) } {
        account if account.is_null() => null(),
        // SAFETY: it has just been filled.
        account => unsafe { (*account).pw_name },
    }
}

/// The same, in the caller's memory. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn getlogin_r(place: *mut c_char, room: size_t) -> c_int {
    let mut texts = [0; ROOM];
    let account = own_account(&mut Store { next: texts.as_mut_ptr(), left: ROOM });
    errno::code(account.and_then(|account| {
        // SAFETY: the name lies in our own memory, with its NUL.
        let name = unsafe { pointer::string(account.pw_name) };
        Store { next: place, left: room }.text(name).map(drop)
    }))
}

/// The groups of a user: the one given. Returns their number, or −1 when they do not fit.
#[unsafe(no_mangle)]
unsafe extern "C" fn getgrouplist(
    _user: *const c_char,
    id: gid_t,
    list: *mut gid_t,
    count: *mut c_int,
) -> c_int {
    // SAFETY: the caller gave `*count` places and a place for the count.
    unsafe {
        let room = count.replace(1);
        if room < 1 {
            return -1;
        }
        list.write(id);
    }
    1
}
