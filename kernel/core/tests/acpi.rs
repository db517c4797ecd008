//! ACPI tables: valid ones made by another crate, lying ones, and noise.

use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{self, EnabledStatus, LocalInterruptController, MADT};
use acpi_tables::rsdp::Rsdp as MadeRsdp;
use acpi_tables::sdt::Sdt as MadeSdt;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, aml};
use kernel_core::acpi::fadt::SoftOff;
use kernel_core::acpi::madt::{Entry, LocalApicNmi, is_usable};
use kernel_core::acpi::sdt::TABLE_MAX;
use kernel_core::acpi::{
    GenericAddress, NoTables, PhysicalRead, Rejection, Rsdp, Sdt, Space, Tables, rsdp,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const OEM: [u8; 6] = *b"LIFEBT";
const TABLE: [u8; 8] = *b"LIFEBOAT";

/// Pieces of memory by address.
#[derive(Clone, Default)]
struct Memory(BTreeMap<u64, Vec<u8>>);

impl Memory {
    fn put(&mut self, address: u64, bytes: Vec<u8>) {
        self.0.insert(address, bytes);
    }
}

impl PhysicalRead for Memory {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let Some((start, bytes)) = self.0.range(..=address).next_back() else { return false };
        let from = (address - start) as usize;
        match bytes.get(from..).and_then(|rest| rest.get(..into.len())) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => return false,
        }
        true
    }
}

fn bytes_of(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// A table with this content and a right checksum.
fn table(signature: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut table = MadeSdt::new(*signature, 36, 1, OEM, TABLE, 1);
    table.append_slice(data);
    table.as_slice().to_vec()
}

fn rsdp_1(rsdt: u32) -> Vec<u8> {
    let mut bytes = [b"RSD PTR \0", &OEM[..], b"\0", &rsdt.to_le_bytes()].concat();
    bytes[8] = 0_u8.wrapping_sub(bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte)));
    bytes
}

fn rsdp_2(xsdt: u64) -> Vec<u8> {
    bytes_of(&MadeRsdp::new(OEM, xsdt))
}

fn xsdt(entries: &[u64]) -> Vec<u8> {
    let mut xsdt = XSDT::new(OEM, TABLE, 1);
    entries.iter().for_each(|entry| xsdt.add_entry(*entry));
    bytes_of(&xsdt)
}

fn usual_madt() -> Vec<u8> {
    let mut madt = MADT::new(OEM, TABLE, 1, LocalInterruptController::Address(0xFEE0_0000));
    madt.add_structure(madt::ProcessorLocalApic::new(0, 0, EnabledStatus::Enabled));
    madt.add_structure(madt::ProcessorLocalApic::new(1, 4, EnabledStatus::DisabledOnlineCapable));
    madt.add_structure(madt::ProcessorLocalApic::new(2, 8, EnabledStatus::Disabled));
    madt.add_structure(madt::IoApic::new(2, 0xFEC0_0000, 0));
    madt.add_structure(madt::Gicc::new(EnabledStatus::Enabled));
    madt.add_structure(madt::Gicd::new(3, 0x800_0000, madt::GicVersion::GICv3));
    bytes_of(&madt)
}

fn usual_fadt(dsdt: u64) -> Vec<u8> {
    let mut fadt = FADTBuilder::new(OEM, TABLE, 1).dsdt_64(dsdt).flag(Flags::ResetRegSup);
    fadt.sci_int = 9.into();
    fadt.pm1a_cnt_blk = 0x604.into();
    fadt.pm1_cnt_len = 2;
    fadt.reset_reg = GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, 0xCF9);
    fadt.reset_value = 0x0F;
    bytes_of(&fadt.finalize())
}

fn usual_dsdt() -> Vec<u8> {
    let mut code = bytes_of(&aml::Name::new("_S3_".into(), &aml::Package::new(vec![&1_u8])));
    let off = aml::Package::new(vec![&5_u8, &6_u8, &0_u8, &0_u8]);
    code.extend(bytes_of(&aml::Name::new("_S5_".into(), &off)));
    table(b"DSDT", &code)
}

/// A machine with the tables that a PC has.
fn machine() -> Memory {
    let mut memory = Memory::default();
    memory.put(0xF_5AC0, rsdp_2(0x1000));
    memory.put(0x1000, xsdt(&[0x2000, 0x3000, 0x4000, 0x5000]));
    memory.put(0x2000, usual_madt());
    memory.put(0x3000, usual_fadt(0x6000));
    memory.put(0x4000, table(b"SSDT", b"one"));
    memory.put(0x5000, table(b"SSDT", b"two"));
    memory.put(0x6000, usual_dsdt());
    memory
}

fn read(memory: &Memory) -> Tables {
    Tables::read(memory, Some(0xF_5AC0)).unwrap()
}

fn signatures(tables: &Tables) -> Vec<String> {
    let text = |table: &Sdt| String::from_utf8(table.signature().to_vec()).unwrap();
    tables.iter().map(text).collect()
}

#[test]
fn all_tables_are_found() {
    let tables = read(&machine());
    assert_eq!(signatures(&tables), ["APIC", "FACP", "SSDT", "SSDT", "DSDT"]);
    assert_eq!(tables.rejected, []);
    let both: Vec<_> = tables.find(*b"SSDT").map(Sdt::data).collect();
    assert_eq!(both, [b"one", b"two"]);
    let first = tables.find(*b"SSDT").next().unwrap();
    assert_eq!((first.data_address(), first.revision()), (0x4024, 1));
    assert_eq!((first.oem_id(), first.oem_table_id()), (OEM, TABLE));
}

#[test]
fn revision_0_leads_to_an_rsdt() {
    let mut memory = machine();
    memory.put(0xF_5AC0, rsdp_1(0x1000));
    memory.put(0x1000, table(b"RSDT", &[0_u32, 0x4000, 0x2000].map(u32::to_le_bytes).concat()));
    assert_eq!(signatures(&read(&memory)), ["SSDT", "APIC"]);
}

#[test]
fn the_root_pointer_is_searched_when_none_is_handed_over() {
    let find = |memory: &Memory, supplied| Tables::read(memory, supplied).map(|all| all.rsdp);
    let none: Memory = Memory::default();
    assert_eq!(find(&none, None), Err(NoTables::NoPointer));
    let mut bios = Memory::default();
    let mut area = vec![0; 0x2_0000];
    area[0xFFF0..][..20].copy_from_slice(&rsdp_1(0x1000));
    bios.put(0xE_0000, area);
    bios.put(0x1000, table(b"RSDT", &[]));
    assert_eq!(find(&bios, None).unwrap().sdt_address(), 0x1000);
    assert_eq!(find(&bios, Some(0x9999)).unwrap().sdt_address(), 0x1000, "nothing supplied there");
    let mut both = bios.clone();
    both.put(0x40E, 0x9FC0_u16.to_le_bytes().to_vec());
    let mut area = vec![0; 0x400];
    area[0x10..][..36].copy_from_slice(&rsdp_2(0x7000));
    both.put(0x9_FC00, area);
    both.put(0x7000, xsdt(&[]));
    assert_eq!(find(&both, None).unwrap().sdt_address(), 0x7000, "the extended data area first");
    both.put(0x50_0000, rsdp_1(0x1000));
    assert_eq!(find(&both, Some(0x50_0000)).unwrap().sdt_address(), 0x1000, "supplied wins");
}

#[test]
fn a_root_pointer_is_checked() {
    let good = rsdp_2(0x1000);
    assert_eq!(Rsdp::parse(&good).unwrap().oem_id, OEM);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        assert_eq!(Rsdp::parse(&bad), None, "byte {at}");
        assert_eq!(Rsdp::parse(&good[..at]), None, "{at} bytes");
    }
    let old = rsdp_1(0x1000);
    assert!(Rsdp::parse(&old).is_some() && Rsdp::parse(&old[..19]).is_none());
    assert!(rsdp::search_in(&[vec![0; 32], good.clone()].concat()).is_some());
    assert!(rsdp::search_in(&[vec![0; 31], good].concat()).is_none(), "not on a boundary");
}

#[test]
fn cpus_and_controllers_are_listed() {
    let tables = read(&machine());
    let madt = tables.madt().unwrap();
    assert_eq!(madt.local_apic_address(), 0xFEE0_0000);
    let mut cpus = Vec::new();
    let mut others = 0;
    for entry in madt.entries() {
        match entry {
            Entry::LocalApic(cpu) => cpus.push((cpu.apic_id, is_usable(cpu.flags))),
            Entry::IoApic(controller) => {
                assert_eq!((controller.id, controller.address), (2, 0xFEC0_0000));
                others += 1;
            }
            Entry::Gicc(gicc) => others += usize::from(is_usable(gicc.flags)),
            Entry::Gicd(gicd) => {
                assert_eq!((gicd.id, gicd.address, gicd.version), (3, 0x800_0000, 3));
                others += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((cpus, others), (vec![(0, true), (4, true), (8, false)], 3));
}

/// The entries of a table with these bytes behind its header.
fn entries(flags: u32, bytes: &[u8]) -> Vec<Entry> {
    let data = [&0xFEE0_0000_u32.to_le_bytes()[..], &flags.to_le_bytes(), bytes].concat();
    let mut memory = Memory::default();
    memory.put(0x1000, table(b"APIC", &data));
    let table = Sdt::read(&memory, 0x1000).unwrap();
    let madt = kernel_core::acpi::Madt::new(&table).unwrap();
    assert_eq!(madt.has_legacy_controllers(), flags & 1 != 0);
    madt.entries().collect()
}

#[test]
fn every_entry_has_its_fields() {
    let found = entries(1, &[2, 10, 0, 9, 20, 0, 0, 0, 0b1111, 0]);
    let Entry::IntSrcOverride(line) = found[0] else { panic!("{found:?}") };
    assert_eq!((line.source, line.line), (9, 20));
    assert!(line.is_level() && line.is_active_low());
    let found = entries(0, &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    let Entry::IntSrcOverride(line) = found[0] else { panic!("{found:?}") };
    assert!(!line.is_level() && !line.is_active_low());
    let found = entries(0, &[4, 6, 0xFF, 0, 0, 1]);
    let everywhere = LocalApicNmi { processor: u32::MAX, flags: 0, pin: 1 };
    assert_eq!(found, [Entry::LocalApicNmi(everywhere)]);
    let found = entries(0, &[9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0]);
    let Entry::LocalX2Apic(cpu) = found[0] else { panic!("{found:?}") };
    assert_eq!((cpu.apic_id, cpu.flags, cpu.processor), (256, 1, 7));
    let found = entries(0, &[10, 12, 5, 0, 3, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(found, [Entry::LocalX2ApicNmi(LocalApicNmi { processor: 3, flags: 5, pin: 1 })]);
    assert!(matches!(entries(0, &[3, 8, 0, 0, 2, 0, 0, 0])[..], [Entry::NmiSource(_)]));
    let found = entries(0, &[5, 12, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(found, [Entry::LocalApicAddress(1)]);
}

#[test]
fn wrong_lengths_have_their_own_entries() {
    for (kind, expected) in [
        (0, Entry::InvalidLocalApic(3)),
        (1, Entry::InvalidIoApic(3)),
        (2, Entry::InvalidIntSrcOverride(3)),
        (3, Entry::InvalidNmiSource(3)),
        (4, Entry::InvalidLocalApicNmi(3)),
        (5, Entry::InvalidLocalApicAddress(3)),
        (9, Entry::InvalidLocalX2Apic(3)),
        (10, Entry::InvalidLocalX2ApicNmi(3)),
        (11, Entry::InvalidGicc(3)),
        (12, Entry::InvalidGicd(3)),
        (99, Entry::Unknown(99)),
    ] {
        assert_eq!(entries(0, &[kind, 3, 0, 99, 2]), [expected, Entry::Unknown(99)]);
    }
}

#[test]
fn entries_that_cannot_be_divided_end_the_list() {
    for rest in [&[0, 0, 1, 2][..], &[0, 1, 1, 2], &[0], &[0, 9, 1], &[0, 255]] {
        let bytes = [&[99, 2], rest].concat();
        assert_eq!(entries(0, &bytes), [Entry::Unknown(99), Entry::Garbage], "{rest:?}");
    }
}

#[test]
fn power_registers_are_found() {
    let tables = read(&machine());
    let fadt = tables.fadt().unwrap();
    let control = fadt.pm1a_control().unwrap();
    assert_eq!((control.space, control.address, control.bit_width), (Space::Port, 0x604, 16));
    assert_eq!((fadt.pm1b_control(), fadt.timer(), fadt.enable_command()), (None, None, None));
    assert_eq!((fadt.sci_line(), fadt.dsdt_address()), (Some(9), Some(0x6000)));
    let (register, value) = fadt.reset().unwrap();
    assert_eq!((register.space, register.address, value), (Space::Port, 0xCF9, 0x0F));
    assert_eq!(tables.soft_off(), Some(SoftOff { type_a: 5, type_b: 6 }));
    assert_eq!(SoftOff::control(5), 0x3400);
}

#[test]
fn a_short_or_reduced_fadt_has_fewer_registers() {
    let mut memory = machine();
    let full = usual_fadt(0x6000);
    memory.put(0x3000, table(b"FACP", &full[36..116]));
    let tables = read(&memory);
    let fadt = tables.fadt().unwrap();
    assert!(fadt.pm1a_control().is_some() && fadt.reset().is_none());
    assert_eq!(fadt.dsdt_address(), None);
    let mut reduced = FADTBuilder::new(OEM, TABLE, 1).flag(Flags::HwReducedAcpi);
    reduced.pm1a_cnt_blk = 0x604.into();
    memory.put(0x3000, bytes_of(&reduced.finalize()));
    assert_eq!(read(&memory).fadt().unwrap().pm1a_control(), None);
    memory.put(0x3000, table(b"FACP", &[]));
    let tables = read(&memory);
    assert_eq!(tables.fadt().unwrap().sci_line(), None);
    assert_eq!(tables.soft_off(), None);
}

#[test]
fn the_timer_block_is_found() {
    let mut data = vec![1, 2, 3, 4, 0, 64, 0, 0];
    data.extend(0xFED0_0000_u64.to_le_bytes());
    data.extend([0, 0x80, 0x0C, 0]);
    let mut memory = machine();
    memory.put(0x4000, table(b"HPET", &data));
    let hpet = read(&memory).hpet().unwrap();
    assert_eq!((hpet.address.space, hpet.address.address), (Space::Memory, 0xFED0_0000));
    assert_eq!((hpet.number, hpet.id, hpet.min_tick), (0, 0x0403_0201, 0x0C80));
    memory.put(0x4000, table(b"HPET", &data[..18]));
    assert_eq!(read(&memory).hpet(), None);
}

#[test]
fn sleep_types_are_read_in_every_spelling() {
    let find = |code: &[u8]| SoftOff::find(code).map(|off| (off.type_a, off.type_b));
    assert_eq!(find(b"\x08_S5_\x12\x06\x04\x00\x01\x00\x00"), Some((0, 1)));
    assert_eq!(find(b"\x08\\_S5_\x12\x07\x02\x0A\x05\x0A\x05"), Some((5, 5)));
    assert_eq!(find(b"\x08_S5_\x12\x40\x00\x02\x0B\x07\x00\x0C\x06\x00\x00\x00"), Some((7, 6)));
    assert_eq!(find(b"\x08_S5_\x12\x04\x01\x0A\x05"), Some((5, 5)), "one for both blocks");
    assert_eq!(find(b"x_S5_\x12\x04\x01\x0A\x05"), None, "only mentioned");
    assert_eq!(find(b"x_S5_ \x08_S5_\x12\x04\x01\x0A\x05"), Some((5, 5)), "declared later");
    assert_eq!(find(b"\x08_S5_\x12\x04\x01\x0A\x08"), None, "no such type");
    assert_eq!(find(b"\x08_S5_\x12\x04\x00"), None, "empty");
    let full = b"\x08_S5_\x12\x07\x02\x0A\x05\x0A\x05";
    for length in 0..full.len() {
        assert_eq!(find(&full[..length]), None, "{length} bytes");
    }
}

#[test]
fn bad_tables_are_left_out_and_named() {
    let mut memory = machine();
    let long = |length: u32| {
        let mut bytes = table(b"LONG", b"");
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    let mut summed = table(b"SUMS", b"x");
    summed[36] = b'y';
    memory.put(0x1_0000, summed);
    memory.put(0x2_0000, long(35));
    memory.put(0x3_0000, long(0));
    memory.put(0x4_0000, long(u32::MAX));
    memory.put(0x5_0000, long(4096));
    memory.put(0x6_0000, vec![0; 20]);
    let bad: Vec<u64> = (1..=7).map(|page| page << 16).collect();
    memory.put(0x1000, xsdt(&[&bad[..], &[0, 0x2000, u64::MAX]].concat()));
    let tables = read(&memory);
    assert_eq!(signatures(&tables), ["APIC"]);
    use Rejection::{Absent, Checksum, Length};
    let reasons: Vec<_> = tables.rejected.iter().map(|(_, reason)| *reason).collect();
    let longest = Length(u32::MAX);
    assert_eq!(reasons, [Checksum, Length(35), Length(0), longest, Absent, Absent, Absent, Absent]);
}

#[test]
fn circles_end() {
    let mut memory = machine();
    memory.put(0x1000, xsdt(&[0x1000, 0x2000, 0x2000, 0x1000, 0x3000]));
    memory.put(0x3000, usual_fadt(0x3000));
    let tables = read(&memory);
    assert_eq!(signatures(&tables), ["APIC", "FACP"]);
    assert_eq!(tables.rejected, [(0x1000, Rejection::Signature)]);
}

#[test]
fn a_bad_root_is_an_error() {
    let root = |bytes: Vec<u8>| {
        let mut memory = machine();
        memory.put(0x1000, bytes);
        Tables::read(&memory, Some(0xF_5AC0)).unwrap_err()
    };
    assert_eq!(root(vec![]), NoTables::Root(Rejection::Absent));
    assert_eq!(root(usual_madt()), NoTables::Root(Rejection::Signature));
    let mut wrong = xsdt(&[]);
    wrong[9] ^= 1;
    assert_eq!(root(wrong), NoTables::Root(Rejection::Checksum));
}

#[test]
fn many_large_tables_are_not_all_kept() {
    let mut memory = machine();
    let addresses: Vec<u64> = (1..=8).map(|n| n << 24).collect();
    for address in &addresses {
        memory.put(*address, table(b"HUGE", &vec![0; TABLE_MAX - 36]));
    }
    memory.put(0x1000, xsdt(&[&addresses[..], &[0x2000]].concat()));
    let tables = read(&memory);
    assert_eq!((tables.find(*b"HUGE").count(), tables.rejected.len()), (4, 5));
    assert!(tables.rejected.iter().all(|(_, reason)| *reason == Rejection::NoMemory));
}

/// Uses everything the tables offer.
fn visit(tables: &Tables) {
    for table in tables {
        let _ = (table.signature(), table.oem_id(), table.oem_table_id(), table.data());
        assert!(table.bytes().len() >= 36);
    }
    if let Some(madt) = tables.madt() {
        assert!(madt.entries().count() <= TABLE_MAX / 2);
        let _ = madt.local_apic_address();
    }
    if let Some(fadt) = tables.fadt() {
        let _ = (fadt.pm1a_control(), fadt.pm1b_control(), fadt.timer(), fadt.reset());
        let _ = (fadt.dsdt_address(), fadt.century(), fadt.enable_command(), fadt.sci_line());
    }
    let _ = (tables.hpet(), tables.soft_off());
}

/// Changes a byte and makes the sum right again, so that the lie gets through.
fn lie(bytes: &mut [u8], at: usize, value: u8) {
    let at = at % bytes.len();
    let old = bytes[at];
    bytes[at] = value;
    if at != 9 && bytes.len() > 9 {
        bytes[9] = bytes[9].wrapping_add(old).wrapping_sub(value);
    }
}

proptest! {
    #[test]
    fn lying_tables_never_panic(
        lies in prop::collection::vec((0..7_usize, 0..300_usize, any::<u8>()), 1..12)
    ) {
        let mut memory = machine();
        let addresses: Vec<u64> = memory.0.keys().copied().collect();
        for (which, at, value) in lies {
            lie(memory.0.get_mut(&addresses[which]).unwrap(), at, value);
        }
        if let Ok(tables) = Tables::read(&memory, Some(0xF_5AC0)) {
            visit(&tables);
        }
    }

    #[test]
    fn noise_behind_good_headers_never_panics(
        madt in prop::collection::vec(any::<u8>(), 0..400),
        fadt in prop::collection::vec(any::<u8>(), 0..300),
        code in prop::collection::vec(any::<u8>(), 0..300),
        hpet in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut memory = machine();
        memory.put(0x2000, table(b"APIC", &madt));
        memory.put(0x3000, table(b"FACP", &fadt));
        memory.put(0x4000, table(b"SSDT", &[b"\x08_S5_\x12", &code[..]].concat()));
        memory.put(0x5000, table(b"HPET", &hpet));
        visit(&read(&memory));
    }

    #[test]
    fn noise_is_no_root_pointer(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = rsdp::search_in(&bytes);
        let _ = GenericAddress::parse(&bytes);
        let _ = SoftOff::find(&bytes);
    }
}
