//! What a child process does, by its first argument.

use std::io::{Read, Write, stdin, stdout};
use std::process::{abort, exit};

/// Does it, and never comes back.
pub(crate) fn run(words: &[String]) -> ! {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["exit", status] => exit(status.parse().unwrap_or(99)),
        ["abort"] => abort(),
        ["panic"] => panic!("as asked for"),
        ["print", text] => print!("{text}"),
        ["c-print"] => {
            // SAFETY: the argument is what the format says.
            unsafe {
                libc::printf(c"%d\n".as_ptr(), 7_i32);
                libc::puts(c"a line".as_ptr());
                libc::putchar(b'!'.into());
            }
        }
        ["complain", text] => eprint!("{text}"),
        ["words", ref words @ ..] => print!("{words:?}"),
        ["overflow", "main"] => print!("{}", deeper(1)),
        ["overflow", _] => {
            let builder = std::thread::Builder::new().name("deep".to_owned());
            let thread = builder.spawn(|| print!("{}", deeper(1)));
            exit(i32::from(thread.is_ok_and(|thread| thread.join().is_err())));
        }
        ["variable", name] => print!("{}", std::env::var(name).unwrap_or_default()),
        ["where"] => print!("{}", std::env::current_dir().unwrap_or_default().display()),
        ["group"] => {
            // SAFETY: no preconditions.
            let (pid, group) = unsafe { (libc::getpid(), libc::getpgrp()) };
            print!("{}", pid == group);
        }
        ["copy"] => {
            let mut text = Vec::new();
            let read = stdin().read_to_end(&mut text);
            let written = stdout().write_all(&text);
            exit(i32::from(read.is_err() || written.is_err()));
        }
        ["crowd"] => {
            if let Err(error) = crate::crowd::gather() {
                eprintln!("{error}");
                exit(1);
            }
        }
        ["lock", path] => {
            let locked = std::fs::File::open(path).and_then(|file| {
                file.lock()?;
                print!("locked");
                stdout().flush()?;
                stdin().read_to_end(&mut Vec::new())
            });
            exit(i32::from(locked.is_err()));
        }
        ["mask"] => {
            // SAFETY: no memory is involved.
            print!("{:o}", unsafe { libc::umask(0) });
        }
        ["sleep"] => std::thread::sleep(std::time::Duration::from_secs(600)),
        ["descriptors"] => {
            // SAFETY: only asks.
            let open = (0..64).filter(|&fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1);
            print!("{:?}", open.collect::<Vec<_>>());
        }
        ["main-thread-local"] => {
            std::thread_local! {
                static LAST: Farewell = const { Farewell };
            }
            LAST.with(|_| ());
        }
        ["crash"] => {
            // SAFETY: none; that is the point.
            unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
        }
        _ => exit(98),
    }
    let flushed = stdout().flush();
    exit(i32::from(flushed.is_err()))
}

/// Calls itself until the stack ends.
#[expect(unconditional_recursion, reason = "that is the point")]
fn deeper(number: u64) -> u64 {
    let room = std::hint::black_box([number; 64]);
    deeper(number + 1) + std::hint::black_box(room)[1]
}

/// Says goodbye when its thread ends.
struct Farewell;

impl Drop for Farewell {
    fn drop(&mut self) {
        println!("goodbye");
    }
}
