use super::*;
use alloc::vec;

fn header(sequence: u64, state: State) -> StoreHeader {
    let name = *b"leak\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let entry = SlotEntry { pid: 7, flags: slot_flags_active(), pages: 99, name };
    let entries = vec![entry; 3];
    let flags = STORE_ENCRYPTED;
    StoreHeader {
        total_slots: 4096,
        sequence,
        boot_id: 0xB007,
        generation: 2,
        state,
        flags,
        entries,
    }
}

fn encoded(header: &StoreHeader) -> Vec<u8> {
    let mut bytes = vec![0xEE; HEADER_SIZE];
    header.encode(&mut bytes);
    bytes
}

#[test]
fn a_header_reads_back() {
    for state in State::ALL {
        let header = header(5, state);
        assert_eq!(StoreHeader::decode(&encoded(&header)), Ok(header));
    }
}

#[test]
fn a_full_header_has_room() {
    let mut header = header(1, State::Sealed);
    header.entries = vec![header.entries[0]; MAX_STORE_CONTEXTS];
    assert_eq!(StoreHeader::decode(&encoded(&header)), Ok(header));
}

#[test]
fn every_kind_of_damage_is_found() {
    let good = encoded(&header(5, State::Active));
    assert_eq!(StoreHeader::decode(&good[1..]), Err(Invalid::Short));
    assert_eq!(StoreHeader::decode(&[0; HEADER_SIZE]), Err(Invalid::Magic));
    for (at, why) in [(0, Invalid::Magic), (4, Invalid::Version), (16, Invalid::Hash)] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(StoreHeader::decode(&bad), Err(why));
    }
    for bit in (8 * 8..HEADER_SIZE * 8).step_by(997) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(StoreHeader::decode(&bad), Err(Invalid::Hash), "bit {bit}");
    }
}

#[test]
fn a_write_cut_short_anywhere_leaves_the_older_copy() {
    let old = header(6, State::Idle);
    let new = header(7, State::Active);
    let before = encoded(&header(5, State::Sealed));
    let after = encoded(&new);
    for cut in (0..=HEADER_SIZE).step_by(512) {
        let torn = [&after[..cut], &before[cut..]].concat();
        let found =
            StoreHeader::newer(StoreHeader::decode(&encoded(&old)), StoreHeader::decode(&torn));
        let found = found.expect("one copy is whole");
        assert!(found == old || found == new && torn == after, "cut at {cut}: {:?}", found.state);
    }
}

#[test]
fn copies_are_written_in_turn() {
    assert_eq!(StoreHeader::page_of_copy(4), 0);
    assert_eq!(StoreHeader::page_of_copy(5), 16);
    assert_eq!(FIRST_SLOT, 32);
}
