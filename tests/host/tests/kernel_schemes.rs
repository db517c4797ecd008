//! What all schemes of the kernel have in common, and the odd corners of single ones.

use host_stories::*;

#[test]
fn only_directories_open_as_directories() {
    story(|user| {
        for path in ["sys:", "sys:scheme", "/scheme", "proc:", "proc:1", "proc:1/fd", "irq:"] {
            let fd = user.open(path, O_RDONLY | O_DIRECTORY).expect(path);
            user.close(fd).expect("it is open");
        }
        for path in ["sys:uname", "proc:1/name", "proc:1/fd/0", "irq:5", "time:4", "event:"] {
            assert_eq!(user.open(path, O_RDONLY | O_DIRECTORY), error(ENOTDIR), "{path}");
        }
        for path in ["pipe:", "memory:", "debug:", "namespace:"] {
            assert_eq!(user.open(path, O_RDONLY | O_DIRECTORY), error(ENOTDIR), "{path}");
        }
    });
}

#[test]
fn a_directory_is_not_opened_to_be_written() {
    story(|user| {
        for path in ["sys:", "/scheme", "proc:", "proc:1", "proc:1/fd", "irq:", "time:"] {
            assert_eq!(user.open(path, O_WRONLY), error(EISDIR), "{path}");
            assert_eq!(user.open(path, O_RDWR), error(EISDIR), "{path}");
        }
        assert_eq!(user.open("proc:1/name", O_WRONLY), error(EACCES));
        assert_eq!(user.open("sys:uname", O_RDWR), error(EACCES));
    });
}

#[test]
fn what_is_there_is_not_made_anew() {
    story(|user| {
        leaves_nothing(user, |user| {
            for path in ["sys:", "sys:log", "proc:1", "pipe:", "event:", "time:4", "memory:"] {
                assert_eq!(user.open(path, O_RDWR | O_CREAT | O_EXCL), error(EEXIST), "{path}");
            }
        });
    });
}

#[test]
fn a_file_says_what_it_is() {
    story(|user| {
        let kinds = [
            ("debug:", MODE_CHR | 0o600),
            ("event:", MODE_CHR | 0o666),
            ("irq:", MODE_DIR | 0o555),
            ("irq:5", MODE_CHR | 0o600),
            ("memory:", MODE_CHR | 0o666),
            ("memory:physical", MODE_CHR | 0o600),
            ("namespace:", MODE_CHR | 0o600),
            ("pipe:", MODE_FIFO | 0o600),
            ("proc:1", MODE_DIR | 0o555),
            ("proc:1/maps", MODE_FILE | 0o444),
            ("proc:1/fd/0", MODE_FILE | 0o444),
            ("sys:", MODE_DIR | 0o555),
            ("sys:uname", MODE_FILE | 0o444),
            ("sys:log", MODE_FILE | 0o644),
            ("time:", MODE_DIR | 0o555),
            ("time:1", MODE_CHR | 0o666),
        ];
        let mut seen = Vec::new();
        for (path, mode) in kinds {
            let fd = user.open(path, O_RDONLY).expect(path);
            let stat = user.stat(fd).expect(path);
            assert_eq!((stat.st_mode, stat.st_nlink), (mode, 1), "{path}");
            assert!(stat.st_mtime > 0, "{path} has a time");
            seen.push((stat.st_dev, stat.st_ino));
            user.close(fd).expect("it is open");
        }
        // What is opened anew each time (here `memory:` and `memory:physical`) differs too.
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), kinds.len(), "two files are one");
    });
}

#[test]
fn one_path_is_one_file() {
    story(|user| {
        let number_of = |user: &mut User, path: &str| {
            let fd = user.open(path, O_RDONLY).expect(path);
            let stat = user.stat(fd).expect(path);
            user.close(fd).expect("it is open");
            (stat.st_dev, stat.st_ino)
        };
        let held = user.open("sys:uname", O_RDONLY).expect("it is there");
        assert_eq!(number_of(user, "sys:uname"), number_of(user, "/scheme/sys/uname"));
        assert_eq!(number_of(user, "proc:self/name"), number_of(user, "proc:1/name"));
        assert_ne!(number_of(user, "proc:1/name"), number_of(user, "proc:1/exe"));
        user.close(held).expect("it is open");
    });
}

#[test]
fn a_process_that_ends_hides_no_other_from_a_listing() {
    story(|user| {
        let (reader, writer) = user.pipe();
        let children: Vec<usize> = (0..40)
            .map(|_| {
                user.fork(move |user| {
                    user.close(writer).expect("it is open");
                    user.read(reader, 1).expect("the end of the file");
                })
            })
            .collect();
        let directory = user.open("proc:", O_RDONLY | O_DIRECTORY).expect("it is there");
        let (first, next) = user.list_piece(directory, 0, 256).expect("room for a few");
        assert!(first.len() > 2 && first.len() < children.len());
        user.kill(children[0] as isize, SIGKILL).expect("it is there");
        assert_eq!(user.wait_for(children[0]), killed_by(SIGKILL));
        let mut seen = first;
        let mut from = next;
        loop {
            let (piece, next) = user.list_piece(directory, from, 256).expect("it is there");
            if piece.is_empty() {
                break;
            }
            seen.extend(piece);
            from = next;
        }
        for child in &children {
            let name = child.to_string();
            assert_eq!(seen.iter().filter(|have| **have == name).count(), 1, "{name}");
        }
        user.close(writer).expect("it is open");
        for child in &children[1..] {
            user.wait_for(*child);
        }
    });
}

#[test]
fn a_thing_has_one_path() {
    story(|user| {
        for path in ["proc:01", "proc:+1", "proc:1/fd/00", "irq:05", "irq:+5", "time:04"] {
            assert_eq!(user.open(path, O_RDONLY), error(ENOENT), "{path}");
        }
        for path in ["event:x", "pipe:x", "debug:x", "memory:x", "time:2", "irq:24", "proc:99"] {
            assert_eq!(user.open(path, O_RDONLY), error(ENOENT), "{path}");
        }
    });
}

#[test]
fn only_the_clock_itself_takes_a_timer() {
    story(|user| {
        let zero = [0; 16];
        for (path, errno) in [("time:", EISDIR), ("time:4/getres", EBADF)] {
            let fd = user.open(path, if errno == EISDIR { 0 } else { O_RDWR }).expect(path);
            assert_eq!(user.write(fd, &zero), error(errno), "{path}");
            user.close(fd).expect("it is open");
        }
        let clock = user.open("time:4", O_RDWR).expect("it is there");
        assert_eq!(user.write(clock, &zero), Ok(16));
        assert_eq!(user.path(clock), Ok("time:4".into()));
    });
}

#[test]
fn a_queue_that_is_watched_tells_its_timeout() {
    story(|user| {
        let (outer, inner) = (user.event_queue(), user.event_queue());
        user.watch(outer, inner, EventFlags::EVENT_READ, 7).expect("queues nest");
        let any = EventFlags::EVENT_READ;
        user.watch(inner, EVENT_TIMEOUT_ID, any, 5).expect("it takes a timeout");
        assert_eq!(user.next_event(outer).map(|event| event.data), Ok(7));
        assert_eq!(user.next_event(inner).map(|event| event.id), Ok(EVENT_TIMEOUT_ID));
    });
}

#[test]
fn the_time_before_the_kernel_is_nobodys() {
    story(|user| {
        let stat = user.read_text("sys:stat").expect("it is there");
        let times = stat.lines().next().expect("a line for all CPUs");
        let words = times.split_whitespace().skip(1).take(4);
        let sum: u64 = words.map(|word| word.parse::<u64>().expect("milliseconds")).sum();
        let uptime = user.read_text("sys:uptime").expect("it is there");
        let seconds: f64 = uptime.trim().parse().expect("seconds");
        // The simulated machine takes two seconds until it starts the kernel.
        assert!(sum as f64 <= (seconds - 1.9) * 1000.0, "{times} in {uptime}");
    });
}
