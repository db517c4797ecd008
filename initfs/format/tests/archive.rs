//! What is written reads back; what is broken is refused; nothing panics.

use initfs_format::{
    Archive, BuildError, Builder, Invalid, Kind, LINKS_MAX, LookupError, PAGE_SIZE,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn sample() -> Vec<u8> {
    let mut builder = Builder::new();
    builder.file("/bin/coreutils", 0o755, vec![7; 5000]).unwrap();
    builder.link("/bin/ls", "coreutils").unwrap();
    builder.link("/usr", "/").unwrap();
    builder.file("/etc/passwd", 0o644, b"root;0;0;root;/;/bin/sh\n".to_vec()).unwrap();
    builder.file("/etc/empty", 0o600, vec![]).unwrap();
    builder.directory("/var/empty", 0o700).unwrap();
    builder.link("/tmp", "ram:/").unwrap();
    builder.link("/round", "about").unwrap();
    builder.link("/about", "round").unwrap();
    builder.build()
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// Where entry `index` lies.
fn entry(index: usize) -> usize {
    64 + 40 * index
}

#[test]
fn a_tree_reads_back() {
    let bytes = sample();
    let archive = Archive::parse(&bytes).unwrap();
    assert_eq!(archive.bytes().len(), bytes.len());
    let names: Vec<_> = archive.root().children().map(|entry| entry.name()).collect();
    assert_eq!(names, ["about", "bin", "etc", "round", "tmp", "usr", "var"]);
    let file = archive.lookup("/bin/coreutils", true).unwrap();
    assert_eq!((file.kind(), file.mode(), file.size()), (Kind::File, 0o755, 5000));
    assert_eq!(file.data(), [7; 5000]);
    assert_eq!(archive.lookup("etc/passwd", true).unwrap().data(), b"root;0;0;root;/;/bin/sh\n");
    assert_eq!(archive.lookup("/etc/empty", true).unwrap().data(), b"");
    assert_eq!(archive.lookup("/var/empty/", true).unwrap().mode(), 0o700);
}

#[test]
fn contents_start_on_pages_and_are_padded_with_zeroes() {
    let bytes = sample();
    let archive = Archive::parse(&bytes).unwrap();
    assert_eq!(bytes.len() % PAGE_SIZE, 0);
    for file in archive.entries().filter(|entry| entry.kind() == Kind::File) {
        let range = file.data_range();
        assert_eq!(range.start % PAGE_SIZE, 0);
        let padding = range.end..range.end.next_multiple_of(PAGE_SIZE);
        assert!(bytes[padding].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn links_are_followed_within_the_archive() {
    let bytes = sample();
    let archive = Archive::parse(&bytes).unwrap();
    let find = |path, follow| archive.lookup(path, follow).map(|entry| entry.name());
    assert_eq!(find("/bin/ls", true), Ok("coreutils"));
    assert_eq!(find("/bin/ls", false), Ok("ls"));
    assert_eq!(find("/usr/usr/bin/../bin/./ls", true), Ok("coreutils"));
    assert_eq!(find("/usr", false), Ok("usr"));
    assert_eq!(find("/usr/", false), Ok(""));
    assert_eq!(find("/../../bin", true), Ok("bin"));
    assert_eq!(find("/nothing", true), Err(LookupError::NotFound));
    assert_eq!(find("/etc/passwd/", true), Err(LookupError::NotDirectory));
    assert_eq!(find("/etc/passwd/x", true), Err(LookupError::NotDirectory));
    assert_eq!(find("/etc/passwd/..", true), Err(LookupError::NotDirectory));
    assert_eq!(find("/round", true), Err(LookupError::TooManyLinks));
    assert_eq!(find("/tmp/x", true), Err(LookupError::OtherScheme));
    assert_eq!(find("/tmp", false), Ok("tmp"));
    assert_eq!(find("", true), Ok(""));
}

#[test]
fn a_chain_of_links_may_be_as_long_as_the_limit() {
    let mut builder = Builder::new();
    builder.file("/0", 0o644, vec![]).unwrap();
    for link in 1..=LINKS_MAX + 1 {
        builder.link(&format!("/{link}"), &format!("{}", link - 1)).unwrap();
    }
    let bytes = builder.build();
    let archive = Archive::parse(&bytes).unwrap();
    assert_eq!(archive.lookup(&format!("/{LINKS_MAX}"), true).unwrap().name(), "0");
    let longer = archive.lookup(&format!("/{}", LINKS_MAX + 1), true);
    assert_eq!(longer.unwrap_err(), LookupError::TooManyLinks);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let mut builder = Builder::new();
    builder.file("/a", 0o644, vec![]).unwrap();
    let path = |path: &str| Err(BuildError::Path(path.into()));
    for wrong in ["", "/", "b", "/b/", "/b//c", "/./b", "/b/..", "/b\0"] {
        assert_eq!(builder.file(wrong, 0o644, vec![]), path(wrong));
    }
    assert_eq!(builder.file("/a", 0o644, vec![]), Err(BuildError::Exists("/a".into())));
    assert_eq!(builder.directory("/a", 0o755), Err(BuildError::Exists("/a".into())));
    assert_eq!(builder.link("/a/b", "c"), Err(BuildError::NotDirectory("/a/b".into())));
    assert_eq!(builder.file("/b", 0o10000, vec![]), Err(BuildError::Mode(0o10000)));
    assert_eq!(builder.link("/c", ""), Err(BuildError::Target(String::new())));
}

#[test]
fn every_kind_of_damage_has_its_error() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage, Invalid); 16] = [
        ("magic", |bytes| bytes[0] = b'X', Invalid::Magic),
        ("version", |bytes| bytes[8] = 9, Invalid::Version(9)),
        ("cut short", |bytes| bytes.truncate(bytes.len() - 1), Invalid::Truncated),
        ("endless", |bytes| put(bytes, 32, &[0xFF; 8]), Invalid::Truncated),
        ("names overlap entries", |bytes| put(bytes, 16, &64_u64.to_le_bytes()), Invalid::Header),
        ("data off page", |bytes| put(bytes, 24, &4097_u64.to_le_bytes()), Invalid::Header),
        ("no entries", |bytes| put(bytes, 12, &[0; 4]), Invalid::Header),
        ("root is a file", |bytes| put(bytes, entry(0) + 16, &[2]), Invalid::Root),
        ("unknown kind", |bytes| put(bytes, entry(1) + 16, &[9]), Invalid::Entry(1)),
        ("mode bits", |bytes| put(bytes, entry(1) + 6, &[0xFF; 2]), Invalid::Entry(1)),
        ("name outside", |bytes| put(bytes, entry(1) + 8, &[0xFF; 8]), Invalid::Name(1)),
        ("root claims itself", |bytes| put(bytes, entry(0) + 24, &[0]), Invalid::Children(0)),
        ("too many children", |bytes| put(bytes, entry(0) + 32, &[99]), Invalid::Children(0)),
        ("orphans", |bytes| put(bytes, entry(0) + 32, &[6]), Invalid::Children(2)),
        ("wrong parent", |bytes| put(bytes, entry(1), &[5]), Invalid::Parent(1)),
        ("link target", |bytes| put(bytes, entry(1) + 32, &[0; 8]), Invalid::Target(1)),
    ];
    for (name, damage, error) in cases {
        let mut bytes = sample();
        damage(&mut bytes);
        assert_eq!(Archive::parse(&bytes).map(|_| ()), Err(error), "{name}");
    }
}

#[test]
fn data_outside_or_off_a_page_is_refused() {
    let bytes = sample();
    let archive = Archive::parse(&bytes).unwrap();
    let file = archive.lookup("/bin/coreutils", true).unwrap().index();
    for (field, value) in [(24, 1_u64), (24, 0), (24, u64::MAX - 4095), (32, u64::MAX)] {
        let mut bytes = bytes.clone();
        put(&mut bytes, entry(file as usize) + field, &value.to_le_bytes());
        assert_eq!(Archive::parse(&bytes).map(|_| ()), Err(Invalid::Data(file)));
    }
}

#[test]
fn siblings_out_of_order_are_refused() {
    let mut bytes = sample();
    let (first, second) = (entry(1) + 8, entry(2) + 8);
    let about: [u8; 8] = bytes[first..first + 8].try_into().unwrap();
    put(&mut bytes, second, &about);
    put(&mut bytes, entry(2) + 4, &5_u16.to_le_bytes());
    assert_eq!(Archive::parse(&bytes).map(|_| ()), Err(Invalid::Order(2)));
}

/// Uses everything that a checked archive offers.
fn visit(archive: Archive<'_>) {
    for entry in archive.entries() {
        assert!(entry.data().len() == entry.data_range().len());
        assert!(entry.children().all(|child| child.parent().index() == entry.index()));
        let mut path = String::new();
        let mut at = entry;
        while at.index() != 0 {
            path = format!("/{}{path}", at.name());
            at = at.parent();
        }
        assert_eq!(archive.lookup(&path, false).unwrap().index(), entry.index());
        let _ = archive.lookup(&path, true).map(|found| found.target().len());
    }
}

proptest! {
    #[test]
    fn any_set_of_files_reads_back(
        files in prop::collection::btree_map("[a-d]{1,2}(/[a-d]{1,2}){0,3}", any::<Vec<u8>>(), 0..20)
    ) {
        let mut builder = Builder::new();
        let mut kept = BTreeMap::new();
        for (path, data) in files {
            if builder.file(&format!("/{path}"), 0o644, data.clone()).is_ok() {
                kept.insert(path, data);
            }
        }
        let bytes = builder.build();
        prop_assert_eq!(&bytes, &builder.build());
        let archive = Archive::parse(&bytes).unwrap();
        visit(archive);
        for (path, data) in kept {
            prop_assert_eq!(archive.lookup(&path, true).unwrap().data(), data);
        }
    }

    #[test]
    fn random_bytes_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..9000),
        honest in any::<bool>(),
    ) {
        if honest && bytes.len() > 16 {
            put(&mut bytes, 0, b"LBinitfs\x01\0\0\0");
        }
        if let Ok(archive) = Archive::parse(&bytes) {
            visit(archive);
        }
    }

    #[test]
    fn a_damaged_archive_is_refused_or_still_sound(
        changes in prop::collection::vec((0..700_usize, any::<u8>()), 1..8)
    ) {
        let mut bytes = sample();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Ok(archive) = Archive::parse(&bytes) {
            visit(archive);
        }
    }
}
