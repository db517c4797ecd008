//! Whatever programs share and wait for is as it was after an emergency, many times in a row.

use host_stories::emergency::*;
use host_stories::*;

const MEMORY: usize = 8 << 20;
/// How often.
const ROUNDS: u64 = 25;

/// One round: programs that share, wait and sleep, a leak, and everything as it was.
fn round(user: &mut User, number: usize) {
    // Shared for good, shared until written, and a word that two programs meet at.
    let shared = user.allocate_shared(4 * PAGE_SIZE);
    let private = write_document(user, number, 20);
    let (reader, writer) = user.pipe();
    user.write(writer, b"in the pipe").expect("there is room");
    let waiter = user.fork(move |user| {
        lead(user);
        user.futex_wait(shared, 0, None).expect("it is woken, once");
        assert_eq!(user.load(shared + 64, 3), b"yes", "what the other wrote");
        user.store(shared + 100, b"too");
        check_document(user, number, private, 20);
    });
    until_waiting(user, waiter, "futex");
    let sleeper = user.fork(move |user| {
        lead(user);
        let before = user.now();
        user.sleep(2_000);
        let slept = user.now() - before;
        assert!((2_000 * MS..3_000 * MS).contains(&slept), "slept {slept} ns");
        user.store(private, &[7; 100]);
    });
    until_waiting(user, sleeper, "time");
    let leak = leak(user);
    assert_eq!(user.wait_for(leak), sacrificed());
    check_document(user, number, private, 20);
    user.store(shared + 64, b"yes");
    user.store_word(shared, 1);
    user.call(abi::redox::number::SYS_FUTEX, [shared, abi::redox::flag::FUTEX_WAKE, 1, 0, 0])
        .expect("somebody is woken");
    assert_eq!(user.wait_for(waiter), Ended::Exited(0));
    assert_eq!(user.wait_for(sleeper), Ended::Exited(0));
    assert_eq!(user.load(shared + 100, 3), b"too", "memory is still shared");
    assert_eq!(user.read(reader, 64).as_deref(), Ok(&b"in the pipe"[..]));
    check_document(user, number, private, 20);
    user.close(reader).expect("it is open");
    user.close(writer).expect("it is open");
    user.unmap(shared, 4 * PAGE_SIZE).expect("it is mapped");
    user.unmap(private, 20 * PAGE_SIZE).expect("it is mapped");
    user.peek(|kernel| audit(kernel));
}

#[test]
fn a_hundred_emergencies_change_nothing_and_leave_nothing() {
    for (cpus, restore) in [(1, "disk"), (2, "disk"), (4, "disk"), (4, "ram")] {
        let disk = Disk::new(MEMORY / PAGE_SIZE + 200);
        System::new()
            .memory(MEMORY)
            .cpus(cpus)
            .disk(&disk)
            .option("emergency.format=any")
            .option(&format!("emergency.restore={restore}"))
            .option("emergency.auto=fastest-growing,1s")
            .run(|user| {
                round(user, 0);
                let free = user.peek(|kernel| kernel.frames.totals().free);
                for number in 1..ROUNDS as usize {
                    round(user, number);
                }
                assert_eq!(user.peek(|kernel| kernel.frames.totals().free), free, "frames leak");
                assert_eq!(status_number(user, "count"), ROUNDS);
                assert_eq!(status_number(user, "lost_pages"), 0);
            });
    }
}
