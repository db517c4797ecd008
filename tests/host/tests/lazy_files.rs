//! Pages of mapped files come when they are touched: asked of the file's daemon, by whoever needs
//! them, and nobody suffers but the one who touched when the daemon does not give them.

use abi::number::DISCARD;
use abi::redox::number::*;
use host_stories::tracer::Tracer;
use host_stories::*;

const PAGES: usize = 64;
const BOTH: MapFlags = MapFlags::PROT_READ.union(MapFlags::PROT_WRITE);

/// What a request for pages asks for.
struct Wish {
    first: usize,
    count: usize,
}

impl Wish {
    fn of(request: &Sqe) -> Self {
        let [_, size, _, offset, ..] = request.args;
        Self { first: offset as usize / PAGE_SIZE, count: size as usize / PAGE_SIZE }
    }

    fn holds(&self, page: usize) -> bool {
        (self.first..self.first + self.count).contains(&page)
    }
}

/// A daemon whose file has `PAGES` pages that begin with their number. What `odd` answers to a wish
/// it says instead. Notes every wish as `first+count`.
fn library(
    user: &mut User,
    notes: &Notes,
    mut odd: impl FnMut(&mut User, &Wish) -> Option<Answer> + Send + 'static,
) -> usize {
    let heard = notes.clone();
    let at = user.allocate(PAGES * PAGE_SIZE);
    daemon(user, "library", move |user, _, request| match Opcode::try_from_raw(request.opcode) {
        Some(Opcode::MmapPrep) => {
            let wish = Wish::of(request);
            heard.add(format!("{}+{}", wish.first, wish.count));
            if let Some(answer) = odd(user, &wish) {
                return Some(answer);
            }
            if wish.first + wish.count > PAGES {
                return Some(Err(Errno(ENXIO)));
            }
            for page in wish.first..wish.first + wish.count {
                if user.load_word(at + page * PAGE_SIZE) == 0 {
                    user.store_word(at + page * PAGE_SIZE, page + 1);
                }
            }
            Some(Ok(at + wish.first * PAGE_SIZE))
        }
        Some(Opcode::CloseMsg) => {
            heard.add("close");
            None
        }
        Some(Opcode::Cancel) => {
            heard.add("cancel");
            None
        }
        _ => Some(Ok(1)),
    })
}

fn open(user: &mut User) -> usize {
    user.open("library:x", O_RDWR).expect("it is served")
}

fn map(user: &mut User, fd: usize, pages: usize, flags: MapFlags) -> usize {
    let map = Map { offset: 0, size: pages * PAGE_SIZE, flags, address: 0 };
    user.map(fd, map).expect("it is a file")
}

/// The number that a page begins with.
fn number(user: &mut User, at: usize, page: usize) -> usize {
    user.load_word(at + page * PAGE_SIZE) - 1
}

/// Maps all of the file, and touches a page in a child of its own.
fn fate_of_touching(user: &mut User, page: usize) -> Ended {
    fate(user, move |user| {
        let fd = open(user);
        let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_SHARED);
        assert_eq!(number(user, at, page), page);
    })
}

/// How often the caller was given a CPU.
fn own_switches(user: &mut User) -> u64 {
    let pid = user.pid();
    status_of(user, pid, "Switches").parse().expect("a number")
}

#[test]
fn only_what_is_touched_is_asked_for() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, _| None);
        let fd = open(user);
        // Where in the address space it lies decides what comes together: at a multiple of 16.
        let flags = MapFlags::PROT_READ | MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        let wish = Map { offset: 0, size: PAGES * PAGE_SIZE, flags, address: 1 << 40 };
        let at = user.map(fd, wish).expect("it is a file");
        user.close(fd).expect("it is open");
        assert_eq!(notes.all(), ["0+16"]);
        assert_eq!(number(user, at, 3), 3);
        assert_eq!(number(user, at, 40), 40);
        assert_eq!(number(user, at, 33), 33);
        assert_eq!(number(user, at, 63), 63);
        assert_eq!(notes.all(), ["0+16", "32+16", "48+16"]);
        user.unmap(at, PAGES * PAGE_SIZE).expect("it is mapped");
        while notes.all().len() < 4 {
            user.sleep(1);
        }
        assert_eq!(notes.all()[3], "close");
        kill(user, server);
    });
}

#[test]
fn a_mapping_may_be_longer_than_the_file_and_than_memory() {
    story(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, wish| {
            // The file ends behind page 20.
            (wish.first + wish.count > 21).then_some(Err(Errno(ENXIO)))
        });
        let end = fate(user, |user| {
            let fd = open(user);
            let at = map(user, fd, 1 << 28, BOTH | MapFlags::MAP_SHARED);
            assert_eq!(number(user, at, 20), 20);
            assert_eq!(number(user, at, 19), 19);
            user.load_word(at + 21 * PAGE_SIZE);
        });
        assert_eq!(end, killed_by(SIGBUS));
        kill(user, server);
    });
}

#[test]
fn no_mapping_goes_beyond_the_last_offset() {
    story(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, _| None);
        let fd = open(user);
        let flags = MapFlags::PROT_READ | MapFlags::MAP_SHARED;
        let last = isize::MAX as usize - (PAGE_SIZE - 1);
        for offset in [last, usize::MAX - (PAGE_SIZE - 1)] {
            let map = Map { offset, size: 2 * PAGE_SIZE, flags, address: 0 };
            assert_eq!(user.map(fd, map), error(EOVERFLOW));
        }
        let map = Map { offset: last - PAGE_SIZE, size: PAGE_SIZE, flags, address: 0 };
        let at = user.map(fd, map).expect("there may be such a file");
        assert_eq!(fate(user, move |user| drop(user.load(at, 1))), killed_by(SIGBUS));
        kill(user, server);
    });
}

#[test]
fn a_limit_of_memory_ends_who_reaches_it_and_asks_nobody() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, _| None);
        let end = fate(user, |user| {
            let fd = open(user);
            let at = map(user, fd, PAGES, MapFlags::PROT_READ | MapFlags::MAP_SHARED);
            let text = user.read_text("proc:self/status").expect("it is there");
            let line = text.lines().find_map(|line| line.strip_prefix("Resident: "));
            let have: usize = line.and_then(|bytes| bytes.parse().ok()).expect("it is told");
            let most = have + 20 * PAGE_SIZE;
            user.write_text("proc:self/limits", &format!("memory {most}")).expect("it may");
            for page in 0..PAGES {
                assert_eq!(number(user, at, page), page);
            }
        });
        assert_eq!(end, killed_by(SIGBUS));
        assert!(notes.all().len() <= 4, "{:?}", notes.all());
        kill(user, server);
    });
}

#[test]
fn a_timeout_that_is_over_does_not_hurry_a_page() {
    use abi::number::F_READ_TIMEOUT;
    story(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |user, wish| {
            if wish.holds(50) {
                user.sleep(100);
            }
            None
        });
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            let fd = open(user);
            let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
            user.call(SYS_FCNTL, [reader, F_READ_TIMEOUT, 10 * MS as usize]).expect("it has one");
            let before: u64 = own_switches(user);
            let page = at + 50 * PAGE_SIZE;
            assert_eq!(user.call(SYS_READ, [reader, page, 4]), Ok(4));
            assert_eq!(user.load(page, 4), b"late");
            let after: u64 = own_switches(user);
            assert!(after - before < 20, "{}", after - before);
        });
        until_waiting(user, child, "readable");
        user.write(writer, b"late").expect("there is room");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        kill(user, server);
    });
}

#[test]
fn what_a_bad_daemon_does_not_give_costs_who_touches_it_a_sigbus() {
    story_on_any(|user| {
        for bad in 0..5 {
            let notes = Notes::default();
            let server = library(user, &notes, move |user, wish| {
                if !wish.holds(50) {
                    return None;
                }
                match bad {
                    0 => Some(Err(Errno(EIO))),
                    1 => Some(Ok(USER_END)),
                    2 => Some(Ok(17)),
                    3 => Some(Ok(0)),
                    _ => user.exit(1),
                }
            });
            assert_eq!(fate_of_touching(user, 50), killed_by(SIGBUS), "{bad}");
            if bad < 4 {
                assert_eq!(fate_of_touching(user, 20), Ended::Exited(0));
                kill(user, server);
            } else {
                assert_eq!(user.wait_for(server), Ended::Exited(1));
            }
        }
    });
}

#[test]
fn an_error_of_one_page_is_not_its_neighbours() {
    story(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, wish| wish.holds(50).then_some(Err(Errno(EIO))));
        for page in 48..64 {
            let expected = if page == 50 { killed_by(SIGBUS) } else { Ended::Exited(0) };
            assert_eq!(fate_of_touching(user, page), expected, "{page}");
        }
        kill(user, server);
    });
}

#[test]
fn a_handler_may_mend_what_the_daemon_would_not_give() {
    story(|user| {
        let notes = Notes::default();
        // Each time the neighbours are asked for as well, and then the page alone.
        let mut refusals = 4;
        let server = library(user, &notes, move |_, wish| {
            let is_refused = wish.holds(50) && refusals > 0;
            refusals -= i32::from(is_refused);
            is_refused.then_some(Err(Errno(EIO)))
        });
        let fd = open(user);
        let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_SHARED);
        let told = Notes::default();
        let tell = told.clone();
        user.on(SIGBUS, 0, Action::run(move |_, _| tell.add("told")));
        assert_eq!(number(user, at, 50), 50);
        assert_eq!(told.all(), ["told", "told"]);
        kill(user, server);
    });
}

#[test]
fn calls_wait_for_pages_as_programs_do() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, wish| wish.holds(50).then_some(Err(Errno(EIO))));
        let fd = open(user);
        let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
        let (reader, writer) = user.pipe();
        let [there, lost] = [20, 50].map(|page| at + page * PAGE_SIZE);
        assert_eq!(user.call(SYS_WRITE, [writer, there, 8]), Ok(8));
        assert_eq!(user.read(reader, 8), Ok(21_usize.to_ne_bytes().to_vec()));
        assert_eq!(user.call(SYS_WRITE, [writer, lost, 8]), error(EIO));
        user.write(writer, b"kept").expect("there is room");
        assert_eq!(user.call(SYS_READ, [reader, lost, 4]), error(EIO));
        let far = at + 40 * PAGE_SIZE;
        assert_eq!(user.call(SYS_READ, [reader, far, 4]), Ok(4), "nothing was lost");
        assert_eq!(user.load(far, 4), b"kept");
        // A path, and a daemon's answer.
        assert_eq!(user.call(SYS_FSTAT, [fd, at + 35 * PAGE_SIZE, 1]), error(EINVAL));
        kill(user, server);
    });
}

#[test]
fn an_answer_that_has_come_waits_for_the_page_it_goes_to() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, _| None);
        let reads = Notes::default();
        let other = daemon(user, "notes", file_server(reads.clone()));
        let fd = open(user);
        let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
        let file = user.open("notes:x", O_RDWR).expect("it is served");
        let length = user.call(SYS_READ, [file, at + 30 * PAGE_SIZE, 64]).expect("it is readable");
        assert_eq!(user.load(at + 30 * PAGE_SIZE, length), b"this is file 1");
        assert_eq!(reads.all(), ["open x", "read 1"], "it is read once");
        kill(user, other);
        kill(user, server);
    });
}

#[test]
fn threads_that_need_the_same_page_ask_once() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |user, _| {
            user.sleep(5);
            None
        });
        let fd = open(user);
        let at = map(user, fd, PAGES, MapFlags::PROT_READ | MapFlags::MAP_SHARED);
        let threads: Vec<_> =
            (0..6).map(|_| user.thread(move |user| assert_eq!(number(user, at, 40), 40))).collect();
        threads.into_iter().for_each(|thread| user.join(thread));
        assert_eq!(notes.all().len(), 2, "{:?}", notes.all());
        kill(user, server);
    });
}

#[test]
fn who_waits_for_a_page_can_be_killed_interrupted_and_forked() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |user, wish| {
            if wish.holds(50) {
                user.sleep(20);
            }
            None
        });
        let victim = user.fork(|user| {
            let fd = open(user);
            let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_SHARED);
            user.load_word(at + 50 * PAGE_SIZE);
            user.sleep(1_000_000);
        });
        until_waiting(user, victim, "page");
        kill(user, victim);
        let handled = user.fork(|user| {
            let fd = open(user);
            let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_SHARED);
            let told = Notes::default();
            let tell = told.clone();
            user.on(SIGUSR1, 0, Action::run(move |_, _| tell.add("told")));
            let forker = user.thread(move |user| {
                user.mask(0, 1 << (SIGUSR1 - 1) | 1 << (SIGCHLD - 1));
                user.sleep(3);
                let child = user.fork(move |user| assert_eq!(number(user, at, 51), 51));
                assert_eq!(user.wait_for(child), Ended::Exited(0));
            });
            assert_eq!(number(user, at, 50), 50);
            user.join(forker);
            assert_eq!(told.all(), ["told"]);
        });
        until_waiting(user, handled, "page");
        user.kill(handled as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(handled), Ended::Exited(0));
        kill(user, server);
    });
}

#[test]
fn a_call_that_waits_for_a_page_begins_anew_after_a_handler() {
    story(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |user, wish| {
            if wish.holds(50) {
                user.sleep(20);
            }
            None
        });
        let child = user.fork(|user| {
            let fd = open(user);
            let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_SHARED);
            user.on(SIGUSR1, 0, Action::run(|_, _| {}));
            let (_, writer) = user.pipe();
            assert_eq!(user.call(SYS_WRITE, [writer, at + 50 * PAGE_SIZE, 8]), Ok(8));
        });
        until_waiting(user, child, "page");
        user.kill(child as isize, SIGUSR1).expect("it lives");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        kill(user, server);
    });
}

#[test]
fn unmapping_calls_the_request_off() {
    story_on_any(|user| {
        let notes = Notes::default();
        let heard = notes.clone();
        let server = daemon_that(user, "library", move |user, socket| {
            loop {
                // It takes requests and never answers those for pages far away.
                let request = user.next_request(socket).expect("the socket is open");
                let at = user.allocate(PAGES * PAGE_SIZE);
                match Opcode::try_from_raw(request.opcode) {
                    Some(Opcode::Cancel) => heard.add("cancel"),
                    Some(Opcode::MmapPrep) if Wish::of(&request).first > 0 => heard.add("asked"),
                    Some(Opcode::MmapPrep) => drop(user.answer(socket, &request, Ok(at))),
                    Some(Opcode::CloseMsg) => {}
                    _ => drop(user.answer(socket, &request, Ok(1))),
                }
            }
        });
        let child = user.fork(|user| {
            let fd = open(user);
            let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_SHARED);
            let remover = user.thread(move |user| {
                user.sleep(5);
                user.unmap(at + 48 * PAGE_SIZE, 8 * PAGE_SIZE).expect("it is mapped");
            });
            user.load_word(at + 50 * PAGE_SIZE);
            user.join(remover);
        });
        assert_eq!(user.wait_for(child), killed_by(SIGSEGV));
        while notes.all().len() < 2 {
            user.sleep(1);
        }
        assert_eq!(notes.all(), ["asked", "cancel"]);
        kill(user, server);
    });
}

#[test]
fn a_private_page_is_the_programs_own_and_may_be_read_again() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, _| None);
        let fd = open(user);
        let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
        let shared = map(user, fd, PAGES, BOTH | MapFlags::MAP_SHARED);
        user.store(at + 30 * PAGE_SIZE, b"mine");
        assert_eq!(number(user, shared, 30), 30);
        let child = fate(user, move |user| {
            assert_eq!(user.load(at + 30 * PAGE_SIZE, 4), b"mine");
            assert_eq!(number(user, at, 60), 60);
            user.store(shared + 62 * PAGE_SIZE, b"ours");
        });
        assert_eq!(child, Ended::Exited(0));
        assert_eq!(user.load(shared + 62 * PAGE_SIZE, 4), b"ours", "the file is one");
        user.call(DISCARD, [at, PAGES * PAGE_SIZE]).expect("it is private");
        assert_eq!(number(user, at, 30), 30);
        assert_eq!(user.call(DISCARD, [shared, PAGE_SIZE]), error(EINVAL));
        kill(user, server);
    });
}

#[test]
fn rights_may_change_while_a_page_is_on_its_way() {
    story(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |user, wish| {
            if wish.holds(50) {
                user.sleep(10);
            }
            None
        });
        let end = fate(user, |user| {
            let fd = open(user);
            let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
            let changer = user.thread(move |user| {
                user.sleep(5);
                user.protect(at, PAGES * PAGE_SIZE, MapFlags::PROT_READ).expect("it is mapped");
            });
            assert_eq!(number(user, at, 50), 50);
            user.join(changer);
            user.store(at + 50 * PAGE_SIZE, b"no");
        });
        assert_eq!(end, killed_by(SIGSEGV));
        kill(user, server);
    });
}

#[test]
fn a_tracer_sees_pages_that_its_tracee_has_not_touched() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, wish| wish.holds(50).then_some(Err(Errno(EIO))));
        let fd = open(user);
        let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
        let child = user.fork(|user| user.sleep(1_000_000));
        let tracer = Tracer::attach(user, child);
        let memory = user.open(&tracer.path("mem"), O_RDWR).expect("it is traced");
        let seek = |user: &mut User, page: usize| {
            user.call(SYS_LSEEK, [memory, at + page * PAGE_SIZE, SEEK_SET]).expect("a place");
        };
        seek(user, 40);
        assert_eq!(user.read(memory, 8), Ok(41_usize.to_ne_bytes().to_vec()));
        seek(user, 20);
        assert_eq!(user.write(memory, b"poked"), Ok(5));
        seek(user, 20);
        assert_eq!(user.read(memory, 5).as_deref(), Ok(&b"poked"[..]));
        assert_eq!(number(user, at, 20), 20, "the other's copy is its own");
        seek(user, 50);
        assert_eq!(user.read(memory, 8), error(EIO));
        tracer.end(user);
        kill(user, child);
        kill(user, server);
    });
}

#[test]
fn a_daemon_may_answer_and_end() {
    story_on_any(|user| {
        let server = daemon_that(user, "library", |user, socket| {
            let at = user.allocate(PAGES * PAGE_SIZE);
            user.fill(at, PAGES * PAGE_SIZE, 7);
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                if is(&request, Opcode::MmapPrep) {
                    let Wish { first, .. } = Wish::of(&request);
                    let _ = user.answer(socket, &request, Ok(at + first * PAGE_SIZE));
                    if first > 0 {
                        user.exit(5);
                    }
                } else if !is(&request, Opcode::CloseMsg) {
                    let _ = user.answer(socket, &request, Ok(1));
                }
            }
        });
        let end = fate(user, |user| {
            let fd = open(user);
            let at = map(user, fd, PAGES, MapFlags::PROT_READ | MapFlags::MAP_PRIVATE);
            assert_eq!(user.load(at + 40 * PAGE_SIZE, 1), [7]);
            assert_eq!(user.load(at + 41 * PAGE_SIZE, 1), [7]);
            user.load(at + 60 * PAGE_SIZE, 1);
        });
        assert_eq!(end, killed_by(SIGBUS));
        assert_eq!(user.wait_for(server), Ended::Exited(5));
    });
}

#[test]
fn a_daemon_may_lend_what_another_one_lends_it() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, _| None);
        let middle = daemon_that(user, "middle", |user, socket| {
            let fd = open(user);
            let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
            loop {
                let request = user.next_request(socket).expect("the socket is open");
                let answer = match Opcode::try_from_raw(request.opcode) {
                    Some(Opcode::MmapPrep) => at + Wish::of(&request).first * PAGE_SIZE,
                    _ => 1,
                };
                if !is(&request, Opcode::CloseMsg) {
                    user.answer(socket, &request, Ok(answer)).expect("it is owed");
                }
            }
        });
        let fd = user.open("middle:x", O_RDWR).expect("it is served");
        let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
        for page in [1, 30, 63] {
            assert_eq!(number(user, at, page), page);
        }
        kill(user, middle);
        kill(user, server);
    });
}

#[test]
fn a_page_that_comes_when_memory_is_short_waits_for_it() {
    use host_stories::emergency::*;
    System::new().memory(8 << 20).option("emergency.auto=largest,1s").run(|user| {
        let notes = Notes::default();
        let server = library(user, &notes, |_, _| None);
        let reader = user.fork(|user| {
            lead(user);
            let fd = open(user);
            let at = map(user, fd, PAGES, BOTH | MapFlags::MAP_PRIVATE);
            for page in (0..PAGES).rev() {
                user.sleep(1);
                user.store(at + page * PAGE_SIZE + 8, b"mine");
                assert_eq!(number(user, at, page), page);
            }
        });
        let hog = leak(user);
        assert_eq!(user.wait_for(reader), Ended::Exited(0));
        assert_eq!(user.wait_for(hog), sacrificed());
        kill(user, server);
    });
}
