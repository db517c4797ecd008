//! The screen and the keyboard: who has them, and what is to be seen.

use host_stories::emergency::{check_document, status_number, write_document};
use host_stories::*;

fn machine() -> System {
    System::new().screen(720, 500)
}

/// Lines of the text on the screen that are not empty.
fn lines(finished: &Finished) -> Vec<&str> {
    let text = finished.screen.as_deref().expect("there is a screen");
    text.lines().filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_machine_without_a_screen_says_so() {
    System::new().run(|user| {
        for path in ["display:mode", "display:text", "display:screen", "serio:0"] {
            assert_eq!(user.open(path, O_RDONLY), error(ENODEV), "{path}");
        }
        assert_eq!(user.open("display:x", O_RDONLY), error(ENOENT));
        assert_eq!(user.open("serio:1", O_RDONLY), error(ENOENT));
    });
}

#[test]
fn the_kernel_shows_what_the_console_shows() {
    let finished = machine().run(|user| {
        assert_eq!(user.read_text("display:mode").as_deref(), Ok("720 500 2880 16 8 0\n"));
        user.write_text("debug:", "one\r\n\u{1b}[31mtwo\u{1b}[0m\r\n").expect("root may");
        let text = user.read_text("display:text").expect("it is there");
        assert!(text.contains("one\ntwo\n"), "{text}");
    });
    let shown = lines(&finished);
    assert!(shown.windows(2).any(|pair| pair == ["one", "two"]), "{shown:?}");
}

#[test]
fn one_daemon_has_the_screen() {
    let finished = machine().run(|user| {
        let before = user.read_text("display:text").expect("it is there");
        let screen = user.open("display:screen", O_RDWR).expect("nobody has it");
        assert_eq!(user.open("display:screen", O_RDWR), error(EBUSY));
        user.write_text("debug:", "not on the screen\r\n").expect("the line is there");
        assert_eq!(user.read_text("display:text"), Ok(before));
        user.close(screen).expect("it is open");
        user.write_text("debug:", "on the screen\r\n").expect("root may");
        let again = user.open("display:screen", O_RDWR).expect("it is free again");
        user.close(again).expect("it is open");
    });
    let shown = lines(&finished);
    assert!(shown.contains(&"on the screen") && !shown.contains(&"not on the screen"), "{shown:?}");
}

#[test]
fn the_daemon_hears_what_others_write() {
    machine().run(|user| {
        let screen = user.open("display:screen", O_RDWR | O_NONBLOCK).expect("nobody has it");
        user.write_text("debug:", "its own").expect("root may");
        assert_eq!(user.read(screen, 8), error(EAGAIN), "it has shown that itself");
        let queue = user.event_queue();
        user.watch(queue, screen, EventFlags::EVENT_READ, 7).expect("it can be watched");
        let child = user.fork(|user| {
            user.write_text("debug:", "another's").expect("root may");
        });
        user.wait_for(child);
        assert_eq!(user.next_event(queue).expect("it can be read").data, 7);
        assert_eq!(user.read(screen, 64).as_deref(), Ok(&b"another's"[..]));
        let child = user.fork(|user| {
            user.write_text("debug:", &"x".repeat(5000)).expect("root may");
        });
        user.wait_for(child);
        let mut kept = 0;
        while let Ok(bytes) = user.read(screen, 256) {
            kept += bytes.len();
        }
        assert_eq!(kept, 4096);
    });
}

#[test]
fn only_its_owner_reaches_the_pixels() {
    machine().run(|user| {
        let mode = user.open("display:mode", O_RDONLY).expect("anybody may");
        let map = |size: usize, offset: usize| Map {
            offset,
            size,
            flags: MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED,
            address: 0,
        };
        assert_eq!(user.map(mode, map(4096, 0)), error(ENODEV));
        let screen = user.open("display:screen", O_RDWR).expect("nobody has it");
        let size = 720 * 4 * 500;
        assert!(user.map(screen, map(size, 0)).is_ok());
        assert!(user.map(screen, map(4096, 4096)).is_ok());
        assert_eq!(user.map(screen, map(size + 2 * 4096, 0)), error(EINVAL));
        assert_eq!(user.map(screen, map(4096, 1 << 40)), error(EINVAL));
    });
}

#[test]
fn keys_arrive_as_the_keyboard_sends_them() {
    machine().pressing(50 * MS, &[0x1E, 0x9E]).run(|user| {
        assert_eq!(user.open("irq:1", O_RDONLY), error(EBUSY), "the line is the kernel's");
        let keys = user.open("serio:0", O_RDONLY | O_NONBLOCK).expect("there is one");
        assert_eq!(user.read(keys, 8), error(EAGAIN));
        let waiting = user.open("serio:0", O_RDONLY).expect("there is one");
        assert_eq!(user.read(waiting, 8).as_deref(), Ok(&[0x1E, 0x9E][..]));
    });
}

#[test]
fn the_picker_covers_the_screen_and_takes_the_keyboards_keys() {
    // C, for going on without ending anybody.
    let finished = machine().pressing(3_000 * MS, &[0x2E, 0xAE]).run(|user| {
        let at = write_document(user, 7, 8);
        let screen = user.open("display:screen", O_RDWR | O_NONBLOCK).expect("nobody has it");
        assert_eq!(user.read(screen, 8), error(EAGAIN));
        user.write_text("emergency:ctl", "enter").expect("root may");
        assert_eq!(status_number(user, "count"), 1);
        let heard = user.read(screen, 256).expect("drawn over");
        assert!(heard.contains(&0), "{heard:?}");
        check_document(user, 7, at, 8);
        user.close(screen).expect("it is open");
        user.write_text("debug:", "the kernel's again\r\n").expect("root may");
    });
    assert!(lines(&finished).contains(&"the kernel's again"));
}
