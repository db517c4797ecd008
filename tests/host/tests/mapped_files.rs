//! Files that a daemon shares with its clients' memory.

use abi::redox::number::*;
use host_stories::*;

/// A daemon whose file is one page of its own, and which tells what it hears.
fn keeper(user: &mut User, notes: &Notes) -> usize {
    let heard = notes.clone();
    daemon_that(user, "keeper", move |user, socket| {
        let at = user.allocate(PAGE_SIZE);
        user.store(at, b"kept");
        loop {
            let request = user.next_request(socket).expect("the socket is open");
            if is(&request, Opcode::CloseMsg) {
                heard.add("close");
                continue;
            }
            if is(&request, Opcode::Fsync) {
                heard.add(String::from_utf8_lossy(&user.load(at, 4)).into_owned());
            }
            let answer = if is(&request, Opcode::MmapPrep) { at } else { 1 };
            user.answer(socket, &request, Ok(answer)).expect("it is owed");
        }
    })
}

fn map_shared(user: &mut User, fd: usize, more: MapFlags) -> usize {
    let flags = MapFlags::PROT_READ | MapFlags::MAP_SHARED | more;
    let map = Map { offset: 0, size: PAGE_SIZE, flags, address: 0 };
    user.map(fd, map).expect("it is lent")
}

fn until_noted(user: &mut User, notes: &Notes, wanted: &[&str]) {
    while notes.all() != wanted {
        assert!(notes.all().len() <= wanted.len(), "{:?}", notes.all());
        user.sleep(1);
    }
}

#[test]
fn a_shared_mapping_keeps_its_file_open_until_all_of_it_is_gone() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = keeper(user, &notes);
        let fd = user.open("keeper:x", O_RDWR).expect("it is served");
        let at = map_shared(user, fd, MapFlags::PROT_WRITE);
        user.call(SYS_CLOSE, [fd]).expect("it is open");
        user.store(at, b"mine");
        assert_eq!(user.call(abi::number::MSYNC, [at, PAGE_SIZE]), Ok(at + PAGE_SIZE));
        until_noted(user, &notes, &["mine"]);
        let child = user.fork(move |user| {
            user.store(at, b"ours");
            assert_eq!(user.call(abi::number::MSYNC, [at, PAGE_SIZE]), Ok(at + PAGE_SIZE));
        });
        user.unmap(at, PAGE_SIZE).expect("it is mapped");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        until_noted(user, &notes, &["mine", "ours", "close"]);
        assert_eq!(user.call(abi::number::MSYNC, [at, PAGE_SIZE]), error(ENOMEM));
        kill(user, server);
    });
}

#[test]
fn what_was_opened_for_reading_cannot_be_made_writable() {
    story(|user| {
        let notes = Notes::default();
        let server = keeper(user, &notes);
        let fd = user.open("keeper:x", O_RDONLY).expect("it is served");
        let at = map_shared(user, fd, MapFlags::empty());
        let both = MapFlags::PROT_READ | MapFlags::PROT_WRITE;
        assert_eq!(user.protect(at, PAGE_SIZE, both), error(EACCES));
        assert_eq!(user.load(at, 4), b"kept");
        kill(user, server);
    });
}

#[test]
fn a_mapping_outlives_its_daemon_and_says_so_when_it_is_synced() {
    story(|user| {
        let notes = Notes::default();
        let server = keeper(user, &notes);
        let fd = user.open("keeper:x", O_RDWR).expect("it is served");
        let at = map_shared(user, fd, MapFlags::PROT_WRITE);
        let own = user.allocate(PAGE_SIZE);
        assert_eq!(user.call(abi::number::MSYNC, [own, PAGE_SIZE]), Ok(0), "no file there");
        kill(user, server);
        user.store(at, b"lost");
        assert_eq!(user.call(abi::number::MSYNC, [at, PAGE_SIZE]), error(ENODEV));
        assert_eq!(user.load(at, 4), b"lost");
    });
}
