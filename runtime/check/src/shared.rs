//! Memory that processes share, and what they wait on in there.

use crate::process::child;
use crate::{Check, Outcome, holds, same};
use std::ffi::CString;
use std::io::{self, Error};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[
    ("shared/memory-has-names", memory),
    ("shared/names-have-owners", owners),
    ("shared/mutexes-and-conditions-reach-other-processes", locks),
    ("shared/semaphores-have-names", named),
    ("shared/waiting-for-a-semaphore-ends-in-time", timed),
    ("shared/a-mask-for-new-files-is-kept-by-exec", mask),
];

// The libc crate does not declare these for this target.
unsafe extern "C" {
    fn sem_open(name: *const libc::c_char, flags: i32, ...) -> *mut libc::sem_t;
    fn sem_close(semaphore: *mut libc::sem_t) -> i32;
    fn sem_unlink(name: *const libc::c_char) -> i32;
    fn pthread_mutexattr_setpshared(attributes: *mut libc::pthread_mutexattr_t, shared: i32)
    -> i32;
    fn pthread_mutexattr_getpshared(
        attributes: *const libc::pthread_mutexattr_t,
        place: *mut i32,
    ) -> i32;
    fn pthread_condattr_setpshared(attributes: *mut libc::pthread_condattr_t, shared: i32) -> i32;
}

const SHARED: i32 = 1;
const PAGE: usize = 4096;

fn name(kind: &str) -> Result<CString, std::ffi::NulError> {
    CString::new(format!("/check-{kind}-{}", std::process::id()))
}

fn code<T>(outcome: io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

fn check(code: i32) -> io::Result<i32> {
    if code == -1 { Err(Error::last_os_error()) } else { Ok(code) }
}

/// Runs something in a child and gives its status.
fn in_child(act: impl FnOnce() -> bool) -> io::Result<i32> {
    // SAFETY: the child only makes calls, and ends.
    unsafe {
        let pid = check(libc::fork())?;
        if pid == 0 {
            libc::_exit(i32::from(!act()));
        }
        let mut status = 0;
        check(libc::waitpid(pid, &mut status, 0))?;
        Ok(status)
    }
}

/// A page of an object, mapped.
fn page(fd: i32) -> io::Result<*mut u8> {
    let both = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: nothing is replaced.
    match unsafe { libc::mmap(null_mut(), PAGE, both, libc::MAP_SHARED, fd, 0) } {
        libc::MAP_FAILED => Err(Error::last_os_error()),
        place => Ok(place.cast()),
    }
}

/// A page that children share.
fn fresh_page() -> io::Result<*mut u8> {
    let name = name("page")?;
    // SAFETY: the name is NUL-terminated.
    unsafe {
        let fd = check(libc::shm_open(name.as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o600))?;
        check(libc::shm_unlink(name.as_ptr()))?;
        check(libc::ftruncate(fd, PAGE as libc::off_t))?;
        let page = page(fd);
        libc::close(fd);
        page
    }
}

fn memory() -> Outcome {
    let name = name("memory")?;
    // SAFETY: the names are NUL-terminated, and the pages are mapped.
    unsafe {
        same!(code(check(libc::shm_open(name.as_ptr(), libc::O_RDWR, 0))), Some(libc::ENOENT));
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        let fd = check(libc::shm_open(name.as_ptr(), flags, 0o600))?;
        same!(code(check(libc::shm_open(name.as_ptr(), flags, 0o600))), Some(libc::EEXIST));
        holds!(libc::fcntl(fd, libc::F_GETFD) != 0);
        check(libc::ftruncate(fd, PAGE as libc::off_t))?;
        let own = page(fd)?;
        own.write_volatile(1);
        let status = in_child(|| {
            let fd = libc::shm_open(name.as_ptr(), libc::O_RDWR, 0);
            page(fd).is_ok_and(|page| {
                let seen = page.read_volatile();
                page.write_volatile(2);
                seen == 1
            })
        })?;
        same!((status, own.read_volatile()), (0, 2));
        same!(libc::shm_unlink(name.as_ptr()), 0);
        same!(code(check(libc::shm_unlink(name.as_ptr()))), Some(libc::ENOENT));
        own.write_volatile(3);
        same!(own.read_volatile(), 3);
        libc::munmap(own.cast(), PAGE);
        libc::close(fd);
        same!(code(check(libc::shm_open(c"/a/b".as_ptr(), libc::O_RDWR, 0))), Some(libc::EINVAL));
    }
    Ok(())
}

fn owners() -> Outcome {
    let name = name("private")?;
    // SAFETY: the name is NUL-terminated.
    unsafe {
        let fd = check(libc::shm_open(name.as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o600))?;
        let status = in_child(|| {
            libc::setgid(1000);
            libc::setuid(1000);
            let opened = check(libc::shm_open(name.as_ptr(), libc::O_RDONLY, 0));
            let removed = check(libc::shm_unlink(name.as_ptr()));
            (code(opened), code(removed)) == (Some(libc::EACCES), Some(libc::EPERM))
        })?;
        same!(status, 0);
        same!(libc::shm_unlink(name.as_ptr()), 0);
        libc::close(fd);
    }
    Ok(())
}

/// What processes hand each other.
struct Desk {
    mutex: libc::pthread_mutex_t,
    condition: libc::pthread_cond_t,
    count: u32,
}

fn locks() -> Outcome {
    const ROUNDS: u32 = 200;
    // SAFETY: the page is large enough and aligned, and all processes use it through the mutex.
    unsafe {
        let desk = fresh_page()?.cast::<Desk>();
        let mut attributes = std::mem::zeroed();
        libc::pthread_mutexattr_init(&mut attributes);
        let mut told = -1;
        same!(pthread_mutexattr_getpshared(&attributes, &mut told), 0);
        same!(told, 0);
        same!(pthread_mutexattr_setpshared(&mut attributes, 7), libc::EINVAL);
        same!(pthread_mutexattr_setpshared(&mut attributes, SHARED), 0);
        same!(pthread_mutexattr_getpshared(&attributes, &mut told), 0);
        same!(told, SHARED);
        libc::pthread_mutex_init(&raw mut (*desk).mutex, &attributes);
        let mut attributes = std::mem::zeroed();
        libc::pthread_condattr_init(&mut attributes);
        same!(pthread_condattr_setpshared(&mut attributes, SHARED), 0);
        libc::pthread_cond_init(&raw mut (*desk).condition, &attributes);
        (*desk).count = 0;
        // The child makes the number odd, the parent even.
        let take_turns = |is_odd: bool| {
            for _ in 0..ROUNDS {
                libc::pthread_mutex_lock(&raw mut (*desk).mutex);
                while ((&raw const (*desk).count).read_volatile() % 2 == 1) == is_odd {
                    libc::pthread_cond_wait(&raw mut (*desk).condition, &raw mut (*desk).mutex);
                }
                (*desk).count += 1;
                libc::pthread_cond_signal(&raw mut (*desk).condition);
                libc::pthread_mutex_unlock(&raw mut (*desk).mutex);
            }
        };
        let pid = check(libc::fork())?;
        if pid == 0 {
            take_turns(true);
            libc::_exit(0);
        }
        take_turns(false);
        let mut status = 0;
        check(libc::waitpid(pid, &mut status, 0))?;
        same!((status, (*desk).count), (0, 2 * ROUNDS));
        libc::munmap(desk.cast(), PAGE);
    }
    Ok(())
}

fn opened(semaphore: *mut libc::sem_t) -> io::Result<*mut libc::sem_t> {
    if semaphore.is_null() { Err(Error::last_os_error()) } else { Ok(semaphore) }
}

fn named() -> Outcome {
    let (there, back) = (name("there")?, name("back")?);
    let flags = libc::O_CREAT | libc::O_EXCL;
    // SAFETY: the names are NUL-terminated, and semaphores are used while they are open.
    unsafe {
        same!(code(opened(sem_open(there.as_ptr(), 0))), Some(libc::ENOENT));
        let one = opened(sem_open(there.as_ptr(), flags, 0o600, 2))?;
        same!(code(opened(sem_open(there.as_ptr(), flags, 0o600, 2))), Some(libc::EEXIST));
        same!(opened(sem_open(there.as_ptr(), libc::O_CREAT, 0o600, 9))?, one);
        let other = opened(sem_open(back.as_ptr(), flags, 0o600, 0))?;
        let mut value = -1;
        same!((libc::sem_getvalue(one, &mut value), value), (0, 2));
        let pid = check(libc::fork())?;
        if pid == 0 {
            let (Ok(one), Ok(other)) =
                (opened(sem_open(there.as_ptr(), 0)), opened(sem_open(back.as_ptr(), 0)))
            else {
                libc::_exit(1)
            };
            // The third one is given only once the parent runs.
            (0..3).for_each(|_| _ = libc::sem_wait(one));
            libc::_exit(libc::sem_post(other));
        }
        std::thread::sleep(Duration::from_millis(20));
        same!(libc::sem_trywait(other), -1);
        same!(libc::sem_post(one), 0);
        same!(libc::sem_wait(other), 0);
        let mut status = 0;
        check(libc::waitpid(pid, &mut status, 0))?;
        same!(status, 0);
        // Without a name it works on; the name is free for another one.
        same!(sem_unlink(there.as_ptr()), 0);
        same!(code(check(sem_unlink(there.as_ptr()))), Some(libc::ENOENT));
        let new = opened(sem_open(there.as_ptr(), flags, 0o600, 0))?;
        holds!(new != one);
        same!((libc::sem_post(one), libc::sem_trywait(new)), (0, -1));
        same!((sem_close(one), sem_close(one), sem_close(one)), (0, 0, -1));
        same!((sem_close(new), sem_close(other)), (0, 0));
        same!((sem_unlink(there.as_ptr()), sem_unlink(back.as_ptr())), (0, 0));
        let too_much = opened(sem_open(there.as_ptr(), flags, 0o600, u32::MAX));
        same!(code(too_much), Some(libc::EINVAL));
    }
    Ok(())
}

fn timed() -> Outcome {
    const SHORT: Duration = Duration::from_millis(30);
    let moment = |clock, after: Duration| {
        // SAFETY: the place is ours.
        unsafe {
            let mut now: libc::timespec = std::mem::zeroed();
            libc::clock_gettime(clock, &mut now);
            let nanoseconds = now.tv_nsec + after.subsec_nanos() as libc::c_long;
            now.tv_sec += nanoseconds / 1_000_000_000;
            now.tv_nsec = nanoseconds % 1_000_000_000;
            now
        }
    };
    // SAFETY: the semaphore is ours and initialised.
    unsafe {
        let mut semaphore: libc::sem_t = null_mut();
        let place = &raw mut semaphore;
        libc::sem_init(place, 0, 1);
        let past = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let nonsense = libc::timespec { tv_sec: 0, tv_nsec: -1 };
        // What is there is taken whatever the time.
        same!(libc::sem_timedwait(place, &nonsense), 0);
        same!(code(check(libc::sem_timedwait(place, &nonsense))), Some(libc::EINVAL));
        same!(code(check(libc::sem_timedwait(place, &past))), Some(libc::ETIMEDOUT));
        let start = Instant::now();
        let until = moment(libc::CLOCK_REALTIME, SHORT);
        same!(code(check(libc::sem_timedwait(place, &until))), Some(libc::ETIMEDOUT));
        let until = moment(libc::CLOCK_MONOTONIC, SHORT);
        let waited = libc::sem_clockwait(place, libc::CLOCK_MONOTONIC, &until);
        same!(code(check(waited)), Some(libc::ETIMEDOUT));
        holds!(start.elapsed() >= 2 * SHORT - Duration::from_millis(1));
        same!(code(check(libc::sem_clockwait(place, 99, &until))), Some(libc::EINVAL));
        let late = std::thread::spawn({
            let place = place as usize;
            move || {
                std::thread::sleep(SHORT);
                libc::sem_post(place as *mut libc::sem_t)
            }
        });
        let until = moment(libc::CLOCK_MONOTONIC, Duration::from_millis(900));
        same!(libc::sem_clockwait(place, libc::CLOCK_MONOTONIC, &until), 0);
        same!(late.join().map_err(|_| "the thread panicked")?, 0);
    }
    Ok(())
}

fn mask() -> Outcome {
    // SAFETY: no memory is involved.
    unsafe {
        let before = libc::umask(0o027);
        let output = child(&["mask"]).and_then(|mut command| command.output());
        libc::umask(before);
        same!(String::from_utf8(output?.stdout)?, "27");
    }
    Ok(())
}
