//! A program's memory: what is there, whose it is, what it allows.

use abi::redox::number::{SYS_READ, SYS_WRITE};
use host_stories::*;
use kernel_core::machine::Machine as _;
use kernel_core::memory::PhysicalAddress;

const RW: MapFlags = MapFlags::PROT_READ.union(MapFlags::PROT_WRITE);

fn fixed(address: usize, size: usize, flags: MapFlags) -> Map {
    Map { offset: 0, size, flags: flags | MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED, address }
}

#[test]
fn fresh_memory_is_zero_and_costs_nothing_until_it_is_written() {
    story(|user| {
        let size = 64 * PAGE_SIZE;
        let at = user.allocate(size);
        assert_eq!(user.load(at, size), vec![0; size]);
        let before = user.peek(|kernel| kernel.frames.totals().free);
        user.store(at + PAGE_SIZE - 2, b"over the edge");
        assert_eq!(user.peek(|kernel| kernel.frames.totals().free), before - 2);
        assert_eq!(user.load(at + PAGE_SIZE - 3, 15), b"\0over the edge\0");
    });
}

#[test]
fn unmapping_gives_every_frame_back() {
    story(|user| {
        leaves_nothing(user, |user| {
            let at = user.allocate(100 * PAGE_SIZE);
            user.fill(at, 100 * PAGE_SIZE, 1);
            // From the middle to the edges.
            for (first, count) in [(40, 20), (0, 10), (90, 10), (10, 80)] {
                assert_eq!(user.unmap(at + first * PAGE_SIZE, count * PAGE_SIZE), Ok(0));
            }
        });
    });
}

#[test]
fn a_child_has_its_parents_memory_and_neither_sees_the_other_write() {
    story_on_any(|user| {
        let at = user.allocate(2 * PAGE_SIZE);
        user.store(at, b"before");
        let child = user.fork(move |user| {
            assert_eq!(user.load(at, 6), b"before");
            user.store(at, b"child!");
            user.store(at + PAGE_SIZE, b"new");
            user.give_way();
            assert_eq!(user.load(at, 6), b"child!");
        });
        user.store(at, b"parent");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        assert_eq!(user.load(at, 6), b"parent");
        assert_eq!(user.load(at + PAGE_SIZE, 3), [0; 3]);
    });
}

#[test]
fn shared_memory_stays_shared_over_fork() {
    story_on_any(|user| {
        let at = user.allocate_shared(PAGE_SIZE);
        let child = user.fork(move |user| {
            let grandchild = user.fork(move |user| user.store(at, b"from below"));
            user.wait_for(grandchild);
        });
        user.wait_for(child);
        assert_eq!(user.load(at, 10), b"from below");
    });
}

#[test]
fn grandchildren_copy_only_what_they_write() {
    story(|user| {
        let at = user.allocate(16 * PAGE_SIZE);
        user.fill(at, 16 * PAGE_SIZE, 7);
        let child = user.fork(move |user| {
            let grandchild = user.fork(move |user| {
                user.store(at + 3 * PAGE_SIZE, &[8]);
                assert_eq!(user.load(at + 3 * PAGE_SIZE, 1), [8]);
                assert_eq!(user.load(at + 4 * PAGE_SIZE, 1), [7]);
            });
            user.wait_for(grandchild);
            assert_eq!(user.load(at + 3 * PAGE_SIZE, 1), [7]);
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn who_touches_what_is_not_its_own_dies_alone() {
    story_on_any(|user| {
        let gone = user.allocate(PAGE_SIZE);
        user.store(gone, &[1]);
        user.unmap(gone, PAGE_SIZE).expect("it was mapped");
        let places = [0, 8, gone, USER_END - 1, USER_END, 1 << 47, usize::MAX - 7];
        for address in places {
            let reads = fate(user, move |user| drop(user.load(address, 1)));
            assert_eq!(reads, killed_by(SIGSEGV), "reading {address:#x}");
            let writes = fate(user, move |user| user.store(address, &[1]));
            assert_eq!(writes, killed_by(SIGSEGV), "writing {address:#x}");
            let jumps = fate(user, move |user| user.jump_to(address));
            assert_eq!(jumps, killed_by(SIGSEGV), "jumping to {address:#x}");
        }
    });
}

#[test]
fn rights_can_be_taken_and_given_back() {
    story(|user| {
        let at = user.allocate(3 * PAGE_SIZE);
        user.fill(at, 3 * PAGE_SIZE, 5);
        let middle = at + PAGE_SIZE;
        user.protect(middle, PAGE_SIZE, MapFlags::PROT_READ).expect("it is mapped");
        assert_eq!(user.load(middle, 1), [5]);
        assert_eq!(fate(user, move |user| user.store(middle, &[6])), killed_by(SIGSEGV));
        user.protect(middle, PAGE_SIZE, MapFlags::PROT_NONE).expect("it is mapped");
        assert_eq!(fate(user, move |user| drop(user.load(middle, 1))), killed_by(SIGSEGV));
        user.store(at, &[6]);
        user.store(at + 2 * PAGE_SIZE, &[6]);
        user.protect(middle, PAGE_SIZE, RW).expect("it is mapped");
        assert_eq!(user.load(middle, 1), [5]);
        user.store(middle, &[6]);
        assert_eq!(user.protect(at, 4 * PAGE_SIZE, RW), error(ENOMEM));
    });
}

#[test]
fn no_memory_is_ever_both_writable_and_code() {
    story(|user| {
        let at = user.allocate(PAGE_SIZE);
        let both = RW | MapFlags::PROT_EXEC;
        assert_eq!(user.protect(at, PAGE_SIZE, both), error(EACCES));
        let map = Map { offset: 0, size: PAGE_SIZE, flags: both, address: 0 };
        assert_eq!(user.map(ANONYMOUS, map), error(EACCES));
        user.store(at, b"\x90");
        assert_eq!(fate(user, move |user| user.jump_to(at)), killed_by(SIGSEGV));
    });
}

#[test]
fn a_stack_grows_to_its_limit_and_no_further() {
    story(|user| {
        let lowest = STACK_TOP - STACK_SIZE;
        assert_eq!(fate(user, move |user| user.store(lowest, &[1])), Ended::Exited(0));
        assert_eq!(fate(user, move |user| user.store(lowest - 1, &[1])), killed_by(SIGSEGV));
    });
}

#[test]
fn a_fixed_mapping_replaces_unless_it_is_asked_not_to() {
    story(|user| {
        let at = user.allocate(4 * PAGE_SIZE);
        user.fill(at, 4 * PAGE_SIZE, 9);
        let wary = MapFlags::MAP_FIXED_NOREPLACE | RW;
        assert_eq!(user.map(ANONYMOUS, fixed(at + PAGE_SIZE, PAGE_SIZE, wary)), error(EEXIST));
        let middle = fixed(at + PAGE_SIZE, PAGE_SIZE, RW);
        assert_eq!(user.map(ANONYMOUS, middle), Ok(at + PAGE_SIZE));
        assert_eq!(user.load(at + PAGE_SIZE, 1), [0]);
        assert_eq!(user.load(at, 1), [9]);
        assert_eq!(user.load(at + 2 * PAGE_SIZE, 1), [9]);
    });
}

#[test]
fn impossible_mappings_are_errors() {
    story(|user| {
        for (map, errno) in [
            (fixed(0, PAGE_SIZE, RW), EINVAL),
            (fixed(USER_START + 1, PAGE_SIZE, RW), EINVAL),
            (fixed(USER_END, PAGE_SIZE, RW), EINVAL),
            (fixed(USER_END - PAGE_SIZE, 2 * PAGE_SIZE, RW), EINVAL),
            (fixed(usize::MAX - PAGE_SIZE + 1, PAGE_SIZE, RW), EINVAL),
            (Map { offset: 0, size: 0, flags: RW, address: 0 }, EINVAL),
            (Map { offset: 1, size: PAGE_SIZE, flags: RW, address: 0 }, EINVAL),
            (Map { offset: 0, size: usize::MAX, flags: RW, address: 0 }, EINVAL),
            (Map { offset: 0, size: USER_END, flags: RW, address: 0 }, ENOMEM),
        ] {
            let what = format!("{map:?}");
            assert_eq!(user.map(ANONYMOUS, map), error(errno), "{what}");
        }
    });
}

#[test]
fn more_shared_memory_than_there_is_is_refused_at_once() {
    story(|user| {
        leaves_nothing(user, |user| {
            let flags = RW | MapFlags::MAP_SHARED;
            for size in [1 << 30, 1 << 46] {
                let map = Map { offset: 0, size, flags, address: 0 };
                assert_eq!(user.map(ANONYMOUS, map), error(ENOMEM));
            }
        });
    });
}

#[test]
fn what_one_thread_unmaps_no_other_cpu_still_reaches() {
    for cpus in [2, 4] {
        System::new().cpus(cpus).run(|user| {
            let at = user.allocate(PAGE_SIZE);
            user.store(at, &[1]);
            let child = user.fork(move |user| {
                let other = user.thread(move |user| {
                    loop {
                        user.store(at, &[2]);
                    }
                });
                user.sleep(1);
                user.unmap(at, PAGE_SIZE).expect("it is mapped");
                user.join(other);
            });
            assert_eq!(user.wait_for(child), killed_by(SIGSEGV));
        });
    }
}

#[test]
fn device_memory_can_be_mapped_but_not_other_peoples() {
    story(|user| {
        let memory = user.open("memory:physical", O_RDWR).expect("root may");
        let at_device = |offset| Map { offset, size: PAGE_SIZE, flags: RW, address: 0 };
        let at = user.map(memory, at_device(0xFEC0_0000)).expect("there is no memory there");
        assert_eq!(user.load(at, 4), [0xFF; 4]);
        user.store(at, &[1, 2]);
        assert_eq!(user.map(memory, at_device(0x20_0000)), error(EACCES));
        assert_eq!(user.map(memory, at_device(usize::MAX - PAGE_SIZE + 1)), error(EINVAL));
        user.protect(at, PAGE_SIZE, MapFlags::PROT_READ).expect("it is mapped");
        assert_eq!(user.load(at, 1), [0xFF]);
        assert_eq!(fate(user, move |user| user.store(at, &[1])), killed_by(SIGSEGV));
    });
}

#[test]
fn the_kernel_never_touches_a_device_for_a_program() {
    story(|user| {
        let memory = user.open("memory:physical", O_RDWR).expect("root may");
        let map = Map { offset: 0xFEC0_0000, size: PAGE_SIZE, flags: RW, address: 0 };
        let at = user.map(memory, map).expect("there is no memory there");
        let (reader, writer) = user.pipe();
        assert_eq!(user.call(SYS_WRITE, [writer, at, 8]), error(EFAULT));
        user.write(writer, b"12345678").expect("there is room");
        assert_eq!(user.call(SYS_READ, [reader, at, 8]), error(EFAULT));
        assert_eq!(user.read(reader, 8).as_deref(), Ok(&b"12345678"[..]));
        assert_eq!(user.futex_wait(at, 0, None), error(EFAULT));
    });
}

#[test]
fn what_a_child_has_got_no_other_thread_of_its_parent_changes() {
    for cpus in [2, 4] {
        System::new().cpus(cpus).run(|user| {
            let at = user.allocate(PAGE_SIZE);
            let done = user.allocate(PAGE_SIZE);
            let writer = user.thread(move |user| {
                let mut count = 0;
                while user.load_word(done) == 0 {
                    count += 1;
                    user.store_word(at, count);
                }
            });
            for _ in 0..10 {
                user.sleep(1);
                let child = user.fork(move |user| {
                    let seen = user.load_word(at);
                    for _ in 0..50 {
                        assert_eq!(user.load_word(at), seen);
                    }
                });
                assert_eq!(user.wait_for(child), Ended::Exited(0));
            }
            user.store_word(done, 1);
            user.join(writer);
        });
    }
}

#[test]
fn what_one_thread_protects_no_other_still_writes() {
    for cpus in [2, 4] {
        System::new().cpus(cpus).run(|user| {
            let at = user.allocate(PAGE_SIZE);
            user.store_word(at, 1);
            let ended = fate(user, move |user| {
                user.thread(move |user| {
                    loop {
                        let count = user.load_word(at);
                        user.store_word(at, count + 1);
                    }
                });
                user.sleep(1);
                user.on(SIGSEGV, 0, Action::run(|user, _| user.sleep(1_000_000)));
                user.protect(at, PAGE_SIZE, MapFlags::PROT_READ).expect("it is mapped");
                let seen = user.load_word(at);
                for _ in 0..50 {
                    assert_eq!(user.load_word(at), seen);
                }
                user.exit(4);
            });
            assert_eq!(ended, Ended::Exited(4));
        });
    }
}

#[test]
fn memory_for_devices_is_contiguous_and_lives_as_long_as_somebody_has_it() {
    story(|user| {
        let free = |user: &User| user.peek(|kernel| kernel.frames.totals().free);
        let before = free(user);
        let file = user.open("memory:dma/0x5000", O_RDWR).expect("root may");
        assert_eq!(free(user), before - 5, "what a power of two has too many is free");
        let physical = user.read(file, 8).expect("it tells");
        let physical = u64::from_ne_bytes(physical.try_into().expect("8 bytes"));
        let map = |offset, pages| Map {
            offset,
            size: pages * PAGE_SIZE,
            flags: RW | MapFlags::MAP_SHARED,
            address: 0,
        };
        let at = user.map(file, map(0, 5)).expect("it can be mapped");
        assert_eq!(user.load(at, 5 * PAGE_SIZE), vec![0; 5 * PAGE_SIZE]);
        for page in 0..5 {
            user.store(at + page * PAGE_SIZE, &[page as u8 + 1]);
            let mut seen = [0];
            let place = PhysicalAddress(physical + (page * PAGE_SIZE) as u64);
            user.peek(|kernel| kernel.machine.read(place, &mut seen));
            assert_eq!(seen, [page as u8 + 1]);
        }
        let second = user.map(file, map(PAGE_SIZE, 4)).expect("as often as one likes");
        assert_eq!(user.load(second, 1), [2]);
        assert_eq!(user.map(file, map(PAGE_SIZE, 5)), error(EINVAL), "it has no more");
        let private = Map { flags: RW | MapFlags::MAP_PRIVATE, ..map(0, 1) };
        assert_eq!(user.map(file, private), error(EINVAL));
        user.close(file).expect("it is open");
        assert_eq!(user.load(at, 1), [1], "a mapping keeps it");
        user.unmap(at, 5 * PAGE_SIZE).expect("it is there");
        user.unmap(second, 4 * PAGE_SIZE).expect("it is there");
        assert!(before - free(user) <= 8, "only page tables are left");
        for path in ["memory:dma/0", "memory:dma/0x400001"] {
            assert_eq!(user.open(path, O_RDWR), error(EINVAL), "{path}");
        }
        for path in ["memory:dma", "memory:dma/x", "memory:dma/1/2", "memory:zeroed/1"] {
            assert_eq!(user.open(path, O_RDWR), error(ENOENT), "{path}");
        }
    });
}

#[test]
fn a_range_of_device_memory_ends_where_it_ends() {
    story(|user| {
        let file = user.open("memory:physical/0xfe000000/0x1800", O_RDWR).expect("root may");
        let map = |offset, size| Map { offset, size, flags: RW | MapFlags::MAP_SHARED, address: 0 };
        assert!(user.map(file, map(0, 2 * PAGE_SIZE)).is_ok());
        assert_eq!(user.map(file, map(PAGE_SIZE, 2 * PAGE_SIZE)), error(EINVAL));
        assert_eq!(user.map(file, map(2 * PAGE_SIZE, PAGE_SIZE)), error(EINVAL));
        assert_eq!(user.read(file, 8), error(EBADF));
        let memory = user.open("memory:physical/0x100000/4096", O_RDWR).expect("root may");
        assert_eq!(user.map(memory, map(0, PAGE_SIZE)), error(EACCES), "programs live there");
        assert_eq!(user.open("memory:physical/0x10/4096", O_RDWR), error(EINVAL));
    });
}

#[test]
fn memory_lent_to_a_device_is_nobody_elses() {
    story(|user| {
        let file = user.open("memory:dma/0x2000", O_RDWR).expect("root may");
        let physical = user.read(file, 8).expect("it tells");
        let physical = u64::from_ne_bytes(physical.try_into().expect("8 bytes")) as usize;
        let map = |offset, flags| Map {
            offset,
            size: PAGE_SIZE,
            flags: flags | MapFlags::MAP_SHARED,
            address: 0,
        };
        let at = user.map(file, map(0, RW)).expect("its opener may");
        user.store(at, b"a disk's block");
        let executable = MapFlags::PROT_READ | MapFlags::PROT_EXEC;
        assert_eq!(user.map(file, map(0, executable)), error(EACCES));
        let other = user.fork(move |user| {
            // Another driver, which is root as well and has learned the address.
            user.close(file).expect("it is open");
            user.unmap(at, PAGE_SIZE).expect("it is there");
            let range = format!("memory:physical/{physical:#x}/0x1000");
            for (path, offset) in [(&*range, 0), ("memory:physical", physical)] {
                let theirs = user.open(path, O_RDWR).expect("root may ask");
                assert_eq!(user.map(theirs, map(offset, RW)), error(EACCES), "{path}");
            }
            // Memory of its own is other memory, and holds nothing of what was there.
            let own = user.open("memory:dma/0x2000", O_RDWR).expect("root may");
            let place = user.read(own, 8).expect("it tells");
            let place = u64::from_ne_bytes(place.try_into().expect("8 bytes")) as usize;
            assert!(place.abs_diff(physical) >= 0x2000, "{place:#x} {physical:#x}");
            let ids = user.allocate(PAGE_SIZE);
            user.store(ids, &[1000_u32; 4].map(u32::to_ne_bytes).concat());
            user.call(abi::number::SETIDS, [ids]).expect("root may");
            for path in ["memory:dma/0x1000", "memory:physical", &*range] {
                assert_eq!(user.open(path, O_RDWR), error(EACCES), "{path}");
            }
        });
        assert_eq!(user.wait_for(other), Ended::Exited(0));
        assert_eq!(user.load(at, 14), b"a disk's block");
    });
}

#[test]
fn pages_that_are_given_up_are_zero_again_and_their_frames_free() {
    use abi::number::DISCARD;
    story_on_any(|user| {
        let size = 16 * PAGE_SIZE;
        let at = user.allocate(size);
        for page in 0..16 {
            user.store_word(at + page * PAGE_SIZE, page + 1);
        }
        let before = user.peek(|kernel| kernel.frames.totals().free);
        assert_eq!(user.call(DISCARD, [at + PAGE_SIZE, 14 * PAGE_SIZE]), Ok(0));
        assert_eq!(user.peek(|kernel| kernel.frames.totals().free), before + 14);
        let words: Vec<usize> = (0..16).map(|page| user.load_word(at + page * PAGE_SIZE)).collect();
        assert_eq!((words[0], words[15]), (1, 16));
        assert!(words[1..15].iter().all(|word| *word == 0));
        // The child of a fork keeps what its parent gives up.
        let child = user.fork(move |user| {
            user.sleep(10);
            assert_eq!(user.load_word(at), 1);
        });
        assert_eq!(user.call(DISCARD, [at, PAGE_SIZE]), Ok(0));
        assert_eq!(user.load_word(at), 0);
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        let shared = user.allocate_shared(PAGE_SIZE);
        assert_eq!(user.call(DISCARD, [shared, PAGE_SIZE]), error(EINVAL));
        user.unmap(at, PAGE_SIZE).expect("it is there");
        assert_eq!(user.call(DISCARD, [at, size]), error(ENOMEM));
    });
}
