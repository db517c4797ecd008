//! What `EXEC` makes of program files: real ones, broken ones, and noise.

use abi::redox::error::{EFAULT, ENOEXEC, Error, Result};
use abi::{PAGE_SIZE, STACK_SIZE, STACK_TOP, USER_END, USER_START};
use kernel_core::elf::{HEADERS_MAX, Image, Plan, Protection, Segment};
use proptest::prelude::*;

const R: u32 = 4;
const RW: u32 = 6;
const RX: u32 = 5;
const BASE: usize = 0x10_0000;

/// One program header.
#[derive(Clone, Copy)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

fn load(flags: u32, offset: u64, address: u64, file_size: u64, memory_size: u64) -> Header {
    Header { kind: 1, flags, offset, address, file_size, memory_size, align: 4096 }
}

/// A file of 16 KiB with these program headers.
fn file(kind: u16, entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(62_u16.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for number in [entry, 64, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for number in [64, 56, headers.len() as u16, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for header in headers {
        bytes.extend(header.kind.to_le_bytes());
        bytes.extend(header.flags.to_le_bytes());
        let Header { offset, address, file_size, memory_size, align, .. } = *header;
        for number in [offset, address, address, file_size, memory_size, align] {
            bytes.extend(number.to_le_bytes());
        }
    }
    bytes.resize(0x4000, 0x90);
    bytes
}

const TYPICAL: [Header; 3] = [
    Header {
        kind: 1,
        flags: R,
        offset: 0,
        address: 0x20_0000,
        file_size: 0x800,
        memory_size: 0x800,
        align: 4096,
    },
    Header {
        kind: 1,
        flags: RX,
        offset: 0x800,
        address: 0x20_1800,
        file_size: 0x1800,
        memory_size: 0x1800,
        align: 4096,
    },
    Header {
        kind: 1,
        flags: RW,
        offset: 0x2000,
        address: 0x20_4000,
        file_size: 0x100,
        memory_size: 0x9000,
        align: 4096,
    },
];

fn typical() -> Vec<u8> {
    file(2, 0x20_1900, &TYPICAL)
}

fn plan(bytes: &[u8]) -> Result<Plan> {
    Plan::read(bytes, BASE)
}

fn refused(bytes: &[u8]) -> bool {
    plan(bytes) == Err(Error::new(ENOEXEC))
}

/// `TYPICAL` with one header changed.
fn changed(index: usize, change: impl Fn(&mut Header)) -> Vec<u8> {
    let mut headers = TYPICAL;
    change(&mut headers[index]);
    file(2, 0x20_1900, &headers)
}

#[test]
fn a_usual_program_is_planned() {
    let plan = plan(&typical()).unwrap();
    let rows: Vec<_> = plan.segments.iter().map(|s| (s.address, s.protection)).collect();
    assert_eq!(
        rows,
        [
            (0x20_0000, Protection::Read),
            (0x20_1800, Protection::ReadExecute),
            (0x20_4000, Protection::ReadWrite),
        ]
    );
    assert_eq!(plan.entry, 0x20_1900);
    assert_eq!((plan.headers, plan.header_count), (Some(0x20_0040), 3));
    let data = plan.segments[2];
    assert_eq!((data.file_offset, data.file_size, data.memory_size), (0x2000, 0x100, 0x9000));
    assert_eq!(data.page_range(), 0x20_4000..0x20_D000);
}

#[test]
fn a_movable_program_goes_where_the_caller_says() {
    let bytes = file(3, 0x1900, &[load(RX, 0x800, 0x1800, 0x1800, 0x1800)]);
    let plan = plan(&bytes).unwrap();
    assert_eq!((plan.segments[0].address, plan.entry), (BASE + 0x1800, BASE + 0x1900));
    assert_eq!(plan.headers, None, "no segment holds them");
    assert!(Plan::read(&bytes[..], 0).is_err(), "below the first user address");
    assert!(Plan::read(&bytes[..], usize::MAX - 0xFFF).is_err());
    assert!(Plan::read(&bytes[..], BASE + 1).is_err());
}

#[test]
fn segments_may_come_in_any_order_and_be_empty() {
    let mut headers = TYPICAL.to_vec();
    headers.reverse();
    headers.push(load(RW, 0, 0, 0, 0));
    let plan = plan(&file(2, 0x20_1900, &headers)).unwrap();
    assert!(plan.segments.is_sorted_by_key(|segment| segment.address));
    assert_eq!(plan.segments.len(), 3);
}

#[test]
fn what_is_not_such_a_file_is_refused() {
    let changes: [(usize, u8); 9] =
        [(0, 0), (4, 1), (5, 2), (6, 0), (16, 1), (16, 4), (18, 3), (20, 2), (54, 57)];
    for (at, value) in changes {
        let mut bytes = typical();
        bytes[at] = value;
        assert!(refused(&bytes), "byte {at} = {value}");
    }
    for length in [0, 1, 63, 64, 64 + 3 * 56 - 1, 0x20FF] {
        assert!(refused(&typical()[..length]), "{length} bytes");
    }
    assert!(plan(&typical()[..0x2100]).is_ok(), "exactly enough");
}

#[test]
fn program_headers_must_be_few_aligned_and_inside() {
    let at_phoff = |offset: u64| {
        let mut bytes = typical();
        bytes[32..40].copy_from_slice(&offset.to_le_bytes());
        bytes
    };
    for offset in [65, 0x4000, u64::MAX, u64::MAX - 7] {
        assert!(refused(&at_phoff(offset)), "offset {offset:#x}");
    }
    let many = |count| {
        let mut headers = vec![Header { kind: 0, ..load(0, 0, 0, 0, 0) }; count];
        headers[0] = TYPICAL[1];
        file(2, 0x20_1900, &headers)
    };
    assert!(plan(&many(HEADERS_MAX)).is_ok());
    assert!(refused(&many(HEADERS_MAX + 1)));
    assert!(refused(&file(2, 0x20_1900, &[])));
}

#[test]
fn an_interpreter_is_refused() {
    let headers = [TYPICAL[1], Header { kind: 3, ..load(R, 0, 0, 0, 0) }];
    assert!(refused(&file(2, 0x20_1900, &headers)));
}

#[test]
fn segments_must_lie_in_user_space_and_off_the_stack() {
    let end = USER_END as u64;
    for address in [0, USER_START as u64 - 0x1000, end, 1 << 63, u64::MAX - 0xFFF, end - 0x8000] {
        assert!(refused(&changed(2, |header| header.address = address)), "{address:#x}");
    }
    assert!(plan(&changed(2, |header| header.address = end - 0x9000)).is_ok());
    assert!(plan(&changed(2, |header| header.address = USER_START as u64)).is_ok());
    let lowest = (STACK_TOP - STACK_SIZE - PAGE_SIZE) as u64;
    for address in [lowest, lowest - 0x8000, STACK_TOP as u64 - 0x1000] {
        assert!(refused(&changed(2, |header| header.address = address)), "{address:#x}");
    }
    assert!(plan(&changed(2, |header| header.address = lowest - 0x9000)).is_ok());
    assert!(plan(&changed(2, |header| header.address = STACK_TOP as u64)).is_ok());
}

#[test]
fn sizes_must_add_up() {
    let huge = [u64::MAX, u64::MAX - 0xFFF, 1 << 47];
    for size in huge {
        assert!(refused(&changed(2, |header| header.memory_size = size)), "memory {size:#x}");
        assert!(refused(&changed(2, |header| header.offset = size)), "offset {size:#x}");
        let both = |header: &mut Header| (header.file_size, header.memory_size) = (size, size);
        assert!(refused(&changed(2, both)), "file {size:#x}");
    }
    assert!(refused(&changed(2, |header| header.memory_size = 0xFF)), "less memory than file");
    assert!(refused(&changed(2, |header| header.file_size = 0x2001)), "behind the file's end");
}

#[test]
fn segments_must_not_share_pages() {
    assert!(refused(&changed(2, |header| header.address = 0x20_1000)), "same page, no overlap");
    assert!(refused(&changed(2, |header| header.address = 0x20_0000)), "same place");
    assert!(refused(&changed(0, |header| header.memory_size = 0x1001)), "runs into the next");
    assert!(plan(&changed(0, |header| header.memory_size = 0x1000)).is_ok(), "ends just before");
}

#[test]
fn segments_must_be_aligned_as_they_say() {
    assert!(refused(&changed(1, |header| header.offset = 0x801)));
    assert!(refused(&changed(1, |header| header.align = 3)));
    assert!(refused(&changed(1, |header| header.align = 1 << 21)));
    for align in [0, 1, 8] {
        assert!(plan(&changed(1, |header| header.align = align)).is_ok());
    }
}

#[test]
fn writable_code_is_refused() {
    for flags in [0, 3, 7] {
        assert!(refused(&changed(1, |header| header.flags = flags)), "flags {flags}");
    }
    assert!(plan(&changed(1, |header| header.flags = 1)).is_ok(), "execute only");
    assert!(plan(&changed(2, |header| header.flags = 2)).is_ok(), "write only");
}

#[test]
fn the_entry_must_be_code() {
    for entry in [0, 0x20_0000, 0x20_17FF, 0x20_3000, 0x20_4000, u64::MAX] {
        assert!(refused(&file(2, entry, &TYPICAL)), "{entry:#x}");
    }
    assert!(plan(&file(2, 0x20_2FFF, &TYPICAL)).is_ok());
}

/// A file whose bytes fault from some place on, as a caller's unmapped buffer does.
struct Faulting(Vec<u8>, u64);

impl Image for Faulting {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<()> {
        if at + into.len() as u64 > self.1 {
            return Err(Error::new(EFAULT));
        }
        self.0[..].read(at, into)
    }
}

#[test]
fn an_error_of_the_reader_is_passed_on() {
    for readable in [0, 64, 120] {
        let error = Plan::read(&Faulting(typical(), readable), BASE);
        assert_eq!(error, Err(Error::new(EFAULT)), "{readable}");
    }
    assert!(Plan::read(&Faulting(typical(), 64 + 3 * 56), BASE).is_ok());
}

/// What every plan promises.
fn check(plan: &Plan, file_len: u64) {
    assert!(!plan.segments.is_empty());
    let mut last_page = USER_START;
    for segment in &plan.segments {
        let Segment { address, memory_size, file_offset, file_size, .. } = *segment;
        assert!(memory_size > 0 && file_size <= memory_size);
        assert!(segment.page_range().start >= last_page && segment.page_range().end <= USER_END);
        assert!(file_offset + file_size as u64 <= file_len);
        assert_eq!(address % PAGE_SIZE, file_offset as usize % PAGE_SIZE);
        last_page = segment.page_range().end;
    }
    let holds_entry =
        |s: &&Segment| s.address <= plan.entry && plan.entry < s.address + s.memory_size;
    let code = plan.segments.iter().find(holds_entry).unwrap();
    assert_eq!(code.protection, Protection::ReadExecute);
    if let Some(headers) = plan.headers {
        let end = headers + plan.header_count * 56;
        assert!(plan.segments.iter().any(|s| s.address <= headers && end <= s.end()));
    }
}

/// Numbers that checks get wrong: small, huge, around the limits.
fn nasty() -> impl Strategy<Value = u64> {
    let near = |center: u64| (0..0x2000_u64).prop_map(move |d| center.wrapping_add(d) - 0x1000);
    prop_oneof![
        any::<u64>(),
        0..0x5000_u64,
        near(USER_END as u64),
        near(STACK_TOP as u64),
        near(0x20_4000),
        (0..64_u32).prop_map(|bit| 1 << bit),
        Just(u64::MAX),
    ]
}

proptest! {
    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..4096), base in any::<usize>()) {
        if let Ok(plan) = Plan::read(&bytes[..], base) {
            check(&plan, bytes.len() as u64);
        }
    }

    #[test]
    fn changed_bytes_give_a_sound_plan_or_none(
        changes in prop::collection::vec((0..232_usize, any::<u8>()), 1..6),
        base in nasty(),
    ) {
        let mut bytes = typical();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Ok(plan) = Plan::read(&bytes[..], base as usize) {
            check(&plan, bytes.len() as u64);
        }
    }

    #[test]
    fn changed_numbers_give_a_sound_plan_or_none(
        movable in any::<bool>(),
        entry in nasty(),
        changes in prop::collection::vec((0..3_usize, 0..6_usize, nasty()), 0..4),
        base in nasty(),
    ) {
        let mut headers = TYPICAL;
        for (index, field, value) in changes {
            let header = &mut headers[index];
            match field {
                0 => header.offset = value,
                1 => header.address = value,
                2 => header.file_size = value,
                3 => header.memory_size = value,
                4 => header.align = value,
                _ => header.flags = value as u32,
            }
        }
        for entry in [entry, 0x20_1900] {
            let bytes = file(if movable { 3 } else { 2 }, entry, &headers);
            if let Ok(plan) = Plan::read(&bytes[..], base as usize) {
                check(&plan, bytes.len() as u64);
            }
        }
    }
}
