//! Paths and descriptors: the kernel's own schemes, what they show, and where names lead.

use abi::redox::number::*;
use host_stories::*;

/// A machine with some files in the boot archive.
fn with_files() -> System {
    let pages: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
    System::new().file("/etc/motd", b"Welcome aboard\n").file("/lib/pages", &pages)
}

#[test]
fn files_of_the_boot_archive_can_be_read_and_listed() {
    with_files().run(|user| {
        assert_eq!(user.read_text("/etc/motd").as_deref(), Ok("Welcome aboard\n"));
        assert_eq!(user.list("initfs:"), Ok(["bin", "etc", "lib"].map(String::from).to_vec()));
        assert_eq!(user.list("/etc"), Ok(vec!["motd".to_owned()]));
        let directory = user.open("/etc", O_RDONLY | O_DIRECTORY).expect("it is there");
        let motd = user.open_at(directory, "motd", O_RDONLY).expect("it is there");
        assert_eq!(user.path(motd).as_deref(), Ok("initfs:etc/motd"));
        let stat = user.stat(motd).expect("it is open");
        assert_eq!((stat.st_mode & 0xF000, stat.st_size), (MODE_FILE, 15));
        assert_eq!(user.seek(motd, -7, SEEK_END), Ok(8));
        assert_eq!(user.read(motd, 99).as_deref(), Ok(&b"aboard\n"[..]));
        assert_eq!(user.read(motd, 99), Ok(vec![]));
        assert_eq!(user.seek(motd, -100, SEEK_CUR), error(EINVAL));
        assert_eq!(user.seek(motd, isize::MAX, SEEK_SET), Ok(isize::MAX as usize));
        assert_eq!(user.read(motd, 99), Ok(vec![]));
        assert_eq!(user.seek(motd, 1, SEEK_CUR), error(EOVERFLOW));
    });
}

#[test]
fn the_boot_archive_cannot_be_changed() {
    with_files().run(|user| {
        for (path, flags, errno) in [
            ("/etc/motd", O_RDWR, EROFS),
            ("/etc/new", O_RDWR | O_CREAT, EROFS),
            ("/etc/motd", O_RDONLY | O_CREAT | O_EXCL, EEXIST),
            ("/etc", O_WRONLY, EISDIR),
            ("/etc/missing", O_RDONLY, ENOENT),
            ("/etc/motd/x", O_RDONLY, ENOTDIR),
            ("/etc/motd", O_RDONLY | O_DIRECTORY, ENOTDIR),
        ] {
            assert_eq!(user.open(path, flags), error(errno), "{path}");
        }
        assert_eq!(user.unlink("/etc/motd"), error(EROFS));
        let fd = user.open("/etc/motd", O_RDONLY).expect("it is there");
        assert_eq!(user.write(fd, b"x"), error(EBADF));
    });
}

#[test]
fn a_mapped_file_is_the_file_and_a_write_to_it_stays_private() {
    with_files().run(|user| {
        leaves_nothing(user, |user| {
            let fd = user.open("/lib/pages", O_RDONLY).expect("it is there");
            let flags = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_PRIVATE;
            let map = |offset, size| Map { offset, size, flags, address: 0 };
            let at = user.map(fd, map(0, 3 * PAGE_SIZE)).expect("it can be mapped");
            let bytes = user.load(at, 3 * PAGE_SIZE);
            assert!(bytes[..10_000].iter().enumerate().all(|(n, byte)| *byte == n as u8));
            assert!(bytes[10_000..].iter().all(|byte| *byte == 0), "nothing of the next file");
            user.store(at, b"mine");
            let second = user.map(fd, map(PAGE_SIZE, PAGE_SIZE)).expect("it can be mapped");
            assert_eq!(user.load(second, 2), [0, 1]);
            let again = user.map(fd, map(0, PAGE_SIZE)).expect("it can be mapped");
            assert_eq!(user.load(again, 4), [0, 1, 2, 3]);
            user.unmap(at, 3 * PAGE_SIZE).expect("it is mapped");
            user.unmap(second, PAGE_SIZE).expect("it is mapped");
            user.unmap(again, PAGE_SIZE).expect("it is mapped");
            user.close(fd).expect("it is open");
        });
    });
}

#[test]
fn a_file_is_not_mapped_beyond_its_end() {
    with_files().run(|user| {
        let fd = user.open("/etc/motd", O_RDONLY).expect("it is there");
        let flags = MapFlags::PROT_READ | MapFlags::MAP_PRIVATE;
        for offset in [PAGE_SIZE, 1 << 40, usize::MAX - PAGE_SIZE + 1] {
            let map = Map { offset, size: 2 * PAGE_SIZE, flags, address: 0 };
            let at = user.map(fd, map).expect("there is room");
            assert_eq!(user.load(at, 2 * PAGE_SIZE), vec![0; 2 * PAGE_SIZE], "at {offset:#x}");
        }
        let shared = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED;
        let map = Map { offset: 0, size: PAGE_SIZE, flags: shared, address: 0 };
        assert_eq!(user.map(fd, map), error(EACCES));
    });
}

#[test]
fn every_file_of_sys_can_be_read_and_is_in_the_list() {
    story_on_any(|user| {
        let names = user.list("sys:").expect("it is a directory");
        assert!(names.len() >= 16, "{names:?}");
        let help = user.read_text("sys:help").expect("it is there");
        for name in &names {
            let text = user.read_text(&format!("sys:{name}"));
            assert!(text.is_ok(), "sys:{name}: {text:?}");
            let is_described = help.lines().any(|line| line.split(' ').next() == Some(name));
            assert!(is_described, "sys:help does not tell of {name}");
        }
        assert_eq!(help.lines().count(), names.len());
        assert!(user.read_text("sys:uname").is_ok_and(|text| text.starts_with("Lifeboat\n")));
        assert_eq!(user.read_text("sys:env").as_deref(), Ok("story=1\nquiet\n"));
        assert_eq!(user.open("sys:missing", O_RDONLY), error(ENOENT));
        assert_eq!(user.open("sys:uname", O_RDWR), error(EACCES));
    });
}

#[test]
fn every_file_of_a_process_can_be_read_and_is_in_the_list() {
    story_on_any(|user| {
        let child = user.fork(|user| user.sleep(1_000_000));
        let pids = user.list("proc:").expect("it is a directory");
        assert_eq!(pids, ["1".to_owned(), child.to_string()]);
        until_waiting(user, child, "time");
        let names = user.list(&format!("proc:{child}")).expect("it is a directory");
        // Lists, and files that hold no text.
        let others = ["fd", "mem", "profile", "regs", "thread", "trace"];
        for name in names.iter().filter(|name| !others.contains(&name.as_str())) {
            let text = user.read_text(&format!("proc:{child}/{name}"));
            assert!(text.is_ok(), "proc:{child}/{name}: {text:?}");
        }
        assert_eq!(
            user.list(&format!("proc:{child}/fd")),
            Ok(["0", "1", "2"].map(String::from).to_vec())
        );
        let threads = format!("proc:{child}/thread");
        assert_eq!(user.list(&threads), Ok(vec![child.to_string()]));
        let files = user.list(&format!("{threads}/{child}")).expect("it is a directory");
        assert_eq!(files, ["wait", "usage", "syscall", "stack", "trace", "regs"]);
        let call = user.read_text(&format!("{threads}/{child}/syscall")).expect("root may");
        assert!(call.starts_with("nanosleep(0x"), "{call}");
        let fd = user.read_text("proc:self/fd/0").expect("it is open");
        assert!(fd.starts_with("path: debug:\n"), "{fd}");
        assert!(user.read_text("proc:1/maps").is_ok_and(|maps| maps.contains("r-x private")));
        assert_eq!(status_of(user, child, "PPid"), "1");
        kill(user, child);
        assert_eq!(user.open(&format!("proc:{child}/status"), O_RDONLY), error(ENOENT));
        for path in ["proc:1/nothing", "proc:abc", "proc:1/fd/77", "proc:99999999999/status"] {
            assert_eq!(user.open(path, O_RDONLY), error(ENOENT), "{path}");
        }
        assert_eq!(user.open("proc:1/status", O_RDWR), error(EACCES));
    });
}

#[test]
fn a_zombie_can_still_be_looked_at() {
    story(|user| {
        let child = user.fork(|user| user.exit(3));
        user.sleep(1);
        assert_eq!(status_of(user, child, "State"), "Z (ended)");
        for name in ["name", "exe", "cmdline", "maps", "limits", "cwd"] {
            assert!(user.read_text(&format!("proc:{child}/{name}")).is_ok(), "{name}");
        }
        let open = user.open(&format!("proc:{child}/status"), O_RDONLY).expect("it is there");
        user.wait_for(child);
        assert_eq!(user.read(open, 10), error(ESRCH));
    });
}

#[test]
fn both_spellings_of_a_path_open_the_same_thing() {
    with_files().run(|user| {
        for (one, other) in [
            ("sys:uname", "/scheme/sys/uname"),
            ("initfs:etc/motd", "/scheme/initfs/etc/motd"),
            ("initfs:/etc/motd", "/etc/motd"),
            ("proc:1/name", "/scheme/proc/1/name"),
        ] {
            assert_eq!(user.read_text(one), user.read_text(other), "{one}");
            assert!(user.read_text(one).is_ok(), "{one}");
        }
        let names = user.list("/scheme").expect("it is a directory");
        for name in ["debug", "event", "memory", "pipe", "irq", "time", "sys", "proc", "initfs"] {
            assert!(names.iter().any(|have| have == name), "{name} is not in {names:?}");
        }
    });
}

#[test]
fn mounts_lead_where_they_are_told_to() {
    with_files().run(|user| {
        assert_eq!(user.write_text("sys:mount", "mount /system sys:"), Ok(18));
        assert!(user.read_text("/system/uname").is_ok());
        assert_eq!(user.open("/systematic", O_RDONLY), error(ENOENT));
        assert!(user.read_text("sys:mount").is_ok_and(|text| text.contains("/system sys:\n")));
        assert_eq!(user.write_text("sys:mount", "mount /etc/deep initfs:lib"), Ok(26));
        assert_eq!(user.list("/etc/deep"), Ok(vec!["pages".to_owned()]));
        assert!(user.read_text("/etc/motd").is_ok());
        assert_eq!(user.write_text("sys:mount", "unmount /system"), Ok(15));
        assert_eq!(user.open("/system/uname", O_RDONLY), error(ENOENT));
        for bad in ["mount", "mount x sys:", "mount /x sys", "mount /scheme sys:", "nonsense"] {
            assert_eq!(user.write_text("sys:mount", bad), error(EINVAL), "{bad}");
        }
        assert_eq!(user.write_text("sys:mount", "unmount /never"), error(ENOENT));
    });
}

#[test]
fn the_lowest_free_descriptor_is_given_out() {
    story(|user| {
        let open = |user: &mut User| user.open("sys:uname", O_RDONLY);
        assert_eq!([(); 3].map(|()| open(user)), [Ok(3), Ok(4), Ok(5)]);
        user.close(4).expect("it is open");
        assert_eq!((open(user), open(user)), (Ok(4), Ok(6)));
        assert_eq!(user.dup2(3, 10), Ok(10));
        assert_eq!(user.dup2(3, 3), Ok(3));
        assert_eq!(user.dup2(99, 3), error(EBADF));
        assert_eq!(user.dup2(3, LOWEST_FREE), error(EBADF));
        assert_eq!(user.dup2(3, abi::FD_MAX), error(EBADF));
        assert_eq!(user.close(99), error(EBADF));
        assert_eq!(user.close(usize::MAX), error(EBADF));
        // Copies share their position.
        assert_eq!(user.read(3, 4).as_deref(), Ok(&b"Life"[..]));
        assert_eq!(user.read(10, 4).as_deref(), Ok(&b"boat"[..]));
    });
}

#[test]
fn the_flags_of_a_descriptor_are_its_own_and_those_of_a_file_are_shared() {
    story(|user| {
        use abi::number::O_CLOEXEC;
        const GET_FD: usize = abi::redox::flag::F_GETFD;
        const SET_FD: usize = abi::redox::flag::F_SETFD;
        const GET_FLAGS: usize = abi::redox::flag::F_GETFL;
        const DUP: usize = abi::redox::flag::F_DUPFD;
        let fd = user.open("pipe:", O_RDONLY).expect("a pipe can be made");
        let copy = user.call(SYS_FCNTL, [fd, DUP, 20]).expect("there is room");
        assert_eq!(copy, 20);
        assert_eq!(user.call(SYS_FCNTL, [fd, SET_FD, O_CLOEXEC]), Ok(0));
        assert_eq!(user.call(SYS_FCNTL, [fd, GET_FD, 0]), Ok(O_CLOEXEC));
        assert_eq!(user.call(SYS_FCNTL, [copy, GET_FD, 0]), Ok(0));
        user.set_flags(fd, O_NONBLOCK).expect("it is open");
        assert_eq!(user.call(SYS_FCNTL, [copy, GET_FLAGS, 0]), Ok(O_RDONLY | O_NONBLOCK));
        assert_eq!(user.call(SYS_FCNTL, [fd, DUP, usize::MAX]), error(EINVAL));
        assert_eq!(user.call(SYS_FCNTL, [fd, 77, 0]), error(EINVAL));
        assert_eq!(user.call(SYS_FCNTL, [77, GET_FD, 0]), error(EBADF));
    });
}

#[test]
fn the_working_directory_is_remembered_and_inherited() {
    story_on_any(|user| {
        assert_eq!(user.directory().as_deref(), Ok("/"));
        user.change_directory("/bin").expect("it is absolute");
        let ended = fate(user, |user| {
            assert_eq!(user.directory().as_deref(), Ok("/bin"));
            user.change_directory("sys:").expect("it is absolute");
        });
        assert_eq!(ended, Ended::Exited(0));
        assert_eq!(user.directory().as_deref(), Ok("/bin"));
        assert_eq!(user.change_directory("relative"), error(EINVAL));
        let at = user.allocate(PAGE_SIZE);
        assert_eq!(user.call(abi::number::GETCWD, [at, 3]), error(ERANGE));
        assert_eq!(user.call(abi::number::GETCWD, [0, 100]), error(EFAULT));
    });
}

#[test]
fn impossible_paths_are_errors() {
    story(|user| {
        let long = "x".repeat(abi::PATH_MAX + 1);
        for (path, errno) in [
            ("", EINVAL),
            ("relative", EINVAL),
            (":x", EINVAL),
            ("nosuch:x", ENOENT),
            ("/scheme/nosuch", ENOENT),
            ("sys:uname\0", EINVAL),
            ("pipe:x", ENOENT),
            (&long, ENAMETOOLONG),
        ] {
            assert_eq!(user.open(path, O_RDONLY), error(errno), "{path:.20}");
        }
        let not_text = user.with(b"\xFF\xFE", |user, at| user.call(abi::number::OPEN, [at, 2, 0]));
        assert_eq!(not_text, error(EINVAL));
    });
}

#[test]
fn what_is_written_to_the_console_is_shown() {
    let finished = story(|user| {
        let console = user.open("debug:", O_RDWR).expect("root may");
        let long = "0123456789".repeat(100);
        let mut done = 0;
        while done < long.len() {
            done += user.write(console, &long.as_bytes()[done..]).expect("it takes bytes");
        }
        assert_eq!(user.write(1, b"descriptor 1 too"), Ok(16));
        assert_eq!(user.write(console, b""), Ok(0));
    });
    assert!(finished.console.contains(&"0123456789".repeat(100)));
    assert!(finished.console.ends_with("descriptor 1 too"));
}

#[test]
fn the_log_can_be_read_and_its_level_set() {
    story(|user| {
        assert!(user.read_text("sys:log").is_ok_and(|log| log.contains("initfs")));
        assert!(user.write_text("sys:log", "level error").is_ok());
        assert_eq!(user.write_text("sys:log", "level loud"), error(EINVAL));
        assert_eq!(user.write_text("sys:log", "nonsense"), error(EINVAL));
        assert_eq!(user.write_text("sys:kstop", "nonsense"), error(EINVAL));
    });
}

#[test]
fn a_program_can_switch_the_machine_off() {
    let finished = story(|user| {
        user.write_text("sys:kstop", "shutdown").expect("root may");
        user.sleep(1);
        panic!("the machine is off");
    });
    assert!(finished.off.is_some());
}

#[test]
fn a_stage_that_fails_keeps_the_machine_from_starting() {
    let finished = System::new().option("fail=schemes").run(|_| panic!("there is no PID 1"));
    assert!(finished.off.is_some());
    assert!(finished.log.contains("schemes"), "{}", finished.log);
}

#[test]
fn a_thousand_opens_leave_nothing_behind() {
    with_files().run(|user| {
        let paths =
            ["sys:stat", "/etc/motd", "proc:1/status", "pipe:", "event:", "time:4", "irq:3"];
        leaves_nothing(user, |user| {
            for round in 0..1000 {
                let path = paths[round % paths.len()];
                let fd = user.open(path, O_RDONLY).expect("it is there");
                if round % 7 < 3 {
                    user.read(fd, 64).expect("it can be read");
                }
                user.close(fd).expect("it is open");
            }
        });
    });
}

#[test]
fn who_waits_on_a_descriptor_that_another_thread_closes_is_told() {
    story_on_any(|user| {
        for path in ["event:", "irq:3", "pipe:"] {
            let ended = fate(user, move |user| {
                let fd = user.open(path, O_RDWR).expect("it is there");
                let writer = user.dup(fd, b"write");
                let waiter = user.thread(move |user| {
                    assert_eq!(user.read(fd, 64), error(EBADF), "{path}");
                });
                user.sleep(1);
                user.close(fd).expect("it is open");
                if let Ok(writer) = writer {
                    user.close(writer).expect("it is open");
                }
                user.join(waiter);
            });
            assert_eq!(ended, Ended::Exited(0), "{path}");
        }
    });
}
