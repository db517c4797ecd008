//! `disk-crash` — a disk's driver that is killed costs time, and nothing else.
//!
//! It needs a disk with a RedoxFS at `/home` and a second partition to write on, `disk:0p2`.

use guest::process::kill;
use guest::report::{Case, Check, Failure, equal, holds, run};
use guest::signal::SIGKILL;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HELP: &str = "\
disk-crash - see that a disk's driver that is killed costs time, and nothing else

Usage: disk-crash [--list | CASE...]
";

const CASES: &[Case] = &[
    ("driver-has-no-rights", driver_has_no_rights),
    ("open-files-say-so", open_files_say_so),
    ("copy", copy),
    ("answered-writes-are-there", answered_writes_are_there),
    ("list-dies-too", list_dies_too),
];

const PARTITION: &str = "/scheme/disk/0p2";
const ENODEV: i32 = 19;
/// How long anything may take to be there again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of the copy, and of a piece of it.
const LENGTH: usize = 12 << 20;
const PIECE: usize = 64 << 10;
const KILLS: u32 = 10;

fn main() -> ExitCode {
    run("disk-crash", HELP, CASES)
}

fn failure(what: &str, error: io::Error) -> Failure {
    Failure(format!("{what}: {error}"))
}

/// The process that drives the disk.
fn driver() -> Option<isize> {
    find_server(|name| name.starts_with("disk."))
}

/// The process that serves a scheme.
fn server_of(name: &str) -> Option<isize> {
    find_server(|found| found == name)
}

fn find_server(is_meant: impl Fn(&str) -> bool) -> Option<isize> {
    let schemes = fs::read_to_string("/scheme/sys/scheme").ok()?;
    schemes.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_meant = is_meant(words.first()?) && words.get(1) == Some(&"user");
        words.get(2)?.parse().ok().filter(|_| is_meant)
    })
}

/// Kills the disk's driver. Returns whether there was one.
fn kill_driver() -> bool {
    driver().is_some_and(|pid| kill(pid, SIGKILL).is_ok())
}

/// Tries until it works or too much time has passed.
fn until<T>(what: &str, mut act: impl FnMut() -> io::Result<T>) -> Result<T, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match act() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => return Err(failure(what, error)),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Kills the driver again and again while `act` runs, some more often than `KILLS`. Each driver lives a
/// little longer than the one before: on a busy machine the first may not live to answer anything.
fn under_fire(act: impl FnOnce(&AtomicU32) -> Check) -> Check {
    let (kills, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut life = Duration::from_millis(150);
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(life);
                life += life / 10;
                kills.fetch_add(kill_driver().into(), Ordering::Relaxed);
            }
        });
        let result = act(&kills);
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

/// Bytes that tell where they belong and which time they were written.
fn piece(at: usize, round: u32) -> Vec<u8> {
    let mut word = (at as u64) << 32 | u64::from(round) << 8 | 1;
    let mut bytes = Vec::with_capacity(PIECE);
    while bytes.len() < PIECE {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

fn driver_has_no_rights() -> Check {
    let pid = driver().ok_or_else(|| Failure("no driver serves".to_owned()))?;
    let contexts = fs::read_to_string("/scheme/sys/context").map_err(|e| failure("contexts", e))?;
    let line =
        contexts.lines().find(|line| line.split_whitespace().next() == Some(&pid.to_string()));
    let user = line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or("?");
    holds(&format!("it is user {user}"), user.parse::<u32>().is_ok_and(|user| user >= 0x1_0000))
}

fn open_files_say_so() -> Check {
    let file = File::open(PARTITION).map_err(|error| failure("opening", error))?;
    let mut bytes = [0; 512];
    file.read_exact_at(&mut bytes, 0).map_err(|error| failure("reading", error))?;
    holds("nobody was killed", kill_driver())?;
    let error = until("the old file", || match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Err(io::ErrorKind::Other.into()),
        Err(error) => Ok(error.raw_os_error()),
    })?;
    equal("reading the old file", error, Some(ENODEV))?;
    // Opening waits for the driver that comes: it does not fail.
    let file = File::open(PARTITION).map_err(|error| failure("opening again", error))?;
    file.read_exact_at(&mut bytes, 0).map_err(|error| failure("reading again", error))
}

/// An application copies a file, and knows nothing of drivers.
fn copy() -> Check {
    under_fire(|kills| {
        let mut round = 0;
        while round == 0 || kills.load(Ordering::Relaxed) < KILLS {
            let name = format!("/home/copy{}", round % 2);
            let mut file = File::create(&name).map_err(|error| failure("creating", error))?;
            for at in 0..LENGTH / PIECE {
                file.write_all(&piece(at, round)).map_err(|error| failure("writing", error))?;
                if at % 16 == 0 {
                    file.sync_all().map_err(|error| failure("syncing", error))?;
                }
            }
            file.sync_all().map_err(|error| failure("syncing", error))?;
            let mut file = File::open(&name).map_err(|error| failure("opening", error))?;
            let mut bytes = vec![0; PIECE];
            for at in 0..LENGTH / PIECE {
                file.read_exact(&mut bytes).map_err(|error| failure("reading", error))?;
                holds(&format!("piece {at} differs in round {round}"), bytes == piece(at, round))?;
            }
            round += 1;
        }
        println!("killed {} times in {round} copies", kills.load(Ordering::Relaxed));
        Ok(())
    })
}

/// What a write to the raw partition was answered for is on the disk, whoever was killed since.
fn answered_writes_are_there() -> Check {
    let open = || File::options().read(true).write(true).open(PARTITION);
    under_fire(|kills| {
        let mut file = until("opening", open)?;
        let mut round = 0;
        while kills.load(Ordering::Relaxed) < KILLS {
            for at in 0..16 {
                let bytes = piece(at, round);
                until("writing", || {
                    file.write_all_at(&bytes, (at * PIECE) as u64).inspect_err(|_| {
                        file = open().unwrap_or_else(|_| file.try_clone().expect("a descriptor"));
                    })
                })?;
            }
            for at in 0..16 {
                let mut bytes = vec![0; PIECE];
                until("reading", || {
                    file.read_exact_at(&mut bytes, (at * PIECE) as u64).inspect_err(|_| {
                        file = open().unwrap_or_else(|_| file.try_clone().expect("a descriptor"));
                    })
                })?;
                holds(&format!("piece {at} differs in round {round}"), bytes == piece(at, round))?;
            }
            round += 1;
        }
        Ok(())
    })
}

/// When the daemon with the list is killed, its drivers end, and all of it comes back.
fn list_dies_too() -> Check {
    let daemon = server_of("disk");
    let pid = daemon.ok_or_else(|| Failure("nobody serves".to_owned()))?;
    kill(pid, SIGKILL)?;
    until("opening", || File::open(PARTITION)).map(drop)?;
    fs::write("/home/after", "all is well").map_err(|error| failure("writing", error))?;
    let text = fs::read_to_string("/home/after").map_err(|error| failure("reading", error))?;
    equal("what was written", text.as_str(), "all is well")
}
