//! Random calls with random arguments, by programs without rights.

use guest::abi::PAGE_SIZE;
use guest::abi::number::*;
use guest::abi::redox::flag::*;
use guest::abi::redox::number::*;
use guest::call::{call1, call6};
use guest::event::Queue;
use guest::file::{close, open};
use guest::memory::{Mapping, SHARED};
use guest::process::{Child, exit, thread};
use guest::report::{Check, Failure, holds};
use guest::time::sleep_ms;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};

/// Children, one after the other.
const SEEDS: u64 = 60;
/// Calls each one makes, if it lives.
const CALLS: u64 = 3_000;
/// Bytes of a thread's stack.
const STACK: usize = 65_536;
/// A child that gets nowhere for so many milliseconds is ended: it waits for something.
const PATIENCE: u64 = 40;

/// Everything but making processes, ending oneself, and waiting for a signal.
const NUMBERS: &[usize] = &[
    SYS_READ,
    SYS_WRITE,
    SYS_READ2,
    SYS_WRITE2,
    OPEN,
    SYS_OPENAT_INTO2,
    SYS_CLOSE,
    SYS_DUP_INTO,
    SYS_DUP2,
    SYS_LSEEK,
    SYS_FCNTL,
    SYS_FSTAT,
    SYS_FSYNC,
    SYS_FPATH,
    SYS_FEVENT,
    SYS_FCHOWN,
    SYS_FRENAME,
    SYS_FLINK,
    SYS_UNLINKAT,
    UNLINK,
    SYS_CALL,
    REGISTER_SCHEME,
    SYS_FMAP,
    SYS_FUNMAP,
    SYS_MPROTECT,
    SYS_FUTEX,
    SYS_CLOCK_GETTIME,
    SYS_YIELD,
    EXEC,
    WAIT,
    GETPID,
    GETPGID,
    SETPGID,
    GETSID,
    SETSID,
    GETIDS,
    SETIDS,
    CHDIR,
    GETCWD,
    SIGACTION,
    SIGPROCMASK,
    SIGRETURN,
    SIGPENDING,
    THREAD_NEW,
    KILL,
    TGKILL,
    SYS_NANOSLEEP,
    SYS_OPENAT_INTO,
    SYS_MREMAP,
    UMASK,
    SIGALTSTACK,
];

/// Paths and arguments, one after the other, where calls find text.
const TEXT: &[u8] = b"sys:uname\0pipe:\0event:write\0proc:self/maps\0memory:zeroed\0time:4\0\
    namespace:scheme-creation-cap\0irq:1\0ram:x\0null:\0initfs:/bin\0sys:/scheme/proc/1/status";

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        // splitmix64 (Steele, Lea, Flood, 2014)
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// An argument as calls take them, good or bad.
    fn argument(&mut self, page: usize) -> usize {
        match self.below(16) {
            0..3 => self.below(12) as usize,
            3..5 => self.below(200) as usize,
            5 => 1 << self.below(64),
            6 => usize::MAX - self.below(16) as usize,
            7 => self.next() as usize,
            8..12 => page + self.below(4096) as usize,
            12 => page + 4096 - self.below(32) as usize,
            13 => 0xFFFF_8000_0000_0000 | self.below(1 << 46) as usize,
            14 => isize::MIN as usize,
            _ => (self.below(1 << 20) as usize) << 12,
        }
    }
}

/// One thread in each child.
pub(crate) fn storm() -> Check {
    blow(SEEDS, 1)
}

/// Four threads in each child take each other's memory and descriptors away.
pub(crate) fn storm_of_threads() -> Check {
    blow(SEEDS / 2, 4)
}

fn blow(seeds: u64, threads: u64) -> Check {
    let shared = Mapping::new(4096, SHARED)?;
    // SAFETY: an aligned word of shared memory that outlives the children.
    let made = unsafe { &*(shared.address as *const AtomicU64) };
    for seed in 0..seeds {
        let child = Child::start(|| rage(seed, threads, made).map_or(1, |()| 0))?;
        let mut before = u64::MAX;
        loop {
            let now = made.load(Ordering::SeqCst);
            if now == before {
                break;
            }
            before = now;
            sleep_ms(PATIENCE);
        }
        drop(child);
    }
    let made = made.load(Ordering::SeqCst);
    holds(&format!("{made} calls are hardly a storm"), made > 20 * seeds)
}

/// What a thread needs to know.
struct Gust<'a> {
    noise: u64,
    page: usize,
    made: &'a AtomicU64,
}

extern "C" fn gust(at: usize) -> ! {
    // SAFETY: `rage` passes a `Gust` that it never takes back.
    let gust = unsafe { &*(at as *const Gust) };
    gust.blow();
    exit(0)
}

impl Gust<'_> {
    fn blow(&self) {
        let mut noise = Noise(self.noise);
        for _ in 0..CALLS {
            let number = NUMBERS[noise.below(NUMBERS.len() as u64) as usize];
            let [a, b, c, d, e, f] = std::array::from_fn(|_| noise.argument(self.page));
            // SAFETY: none; the process may lose everything, and that is fine.
            unsafe { call6(number, a, b, c, d, e, f) };
            self.made.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn rage(seed: u64, threads: u64, made: &AtomicU64) -> Result<(), Failure> {
    let mut page = Mapping::pages(1)?;
    page.bytes()[..TEXT.len()].copy_from_slice(TEXT);
    for fd in 0..3 {
        close(fd)?;
    }
    let reader = open("pipe:", O_RDONLY | O_NONBLOCK)?;
    let writer = reader.dup(b"write")?;
    let text = open("sys:uname", O_RDONLY)?;
    let list = open("sys:", O_RDONLY)?;
    let queue = Queue::new(O_NONBLOCK)?;
    let ids = [1_000u32; 4];
    // SAFETY: the kernel only reads the ids.
    unsafe { call1(SETIDS, ids.as_ptr() as usize) };
    let own = Gust { noise: seed, page: page.address, made };
    for number in 1..threads {
        let other = Box::new(Gust { noise: seed << 8 | number, ..own });
        let stack = ManuallyDrop::new(Mapping::pages(STACK / PAGE_SIZE)?);
        // SAFETY: stack and gust are the thread's alone, for as long as the process lives.
        unsafe { thread(gust, stack.address + STACK, Box::into_raw(other) as usize) }?;
    }
    own.blow();
    std::mem::forget((page, reader, writer, text, list, queue));
    Ok(())
}
