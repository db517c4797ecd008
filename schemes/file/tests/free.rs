//! What is free after a file system was opened is what RedoxFS itself would find.

mod memory;

use filed::store::{Store, make, mount};
use memory::Memory;
use proptest::prelude::*;
use redoxfs::{FileSystem, Node, TreePtr};

/// The free blocks by level, without levels that have none.
fn levels(system: &FileSystem<Store<Memory>>) -> Vec<Vec<u64>> {
    let levels = system.allocator().levels().iter();
    let mut levels: Vec<Vec<u64>> = levels.map(|level| level.iter().copied().collect()).collect();
    while levels.last().is_some_and(Vec::is_empty) {
        levels.pop();
    }
    levels
}

fn create(system: &mut FileSystem<Store<Memory>>, name: &str, length: usize) {
    let made = system.tx(|tx| {
        let node = tx.create_node(TreePtr::root(), name, Node::MODE_FILE | 0o644, 0, 0)?;
        let bytes: Vec<u8> = (0..length).map(|at| ((at * 7919) >> 3) as u8).collect();
        tx.write_node(node.ptr(), 0, &bytes, 0, 0).map(drop)
    });
    made.expect("there is room");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_log_is_read_as_redoxfs_reads_it(
        steps in prop::collection::vec((0usize..12, 0usize..300_000, any::<bool>()), 1..40)
    ) {
        let memory = Memory::new(vec![0; 24 << 20]);
        make(memory.clone(), 0, 0).expect("the disk is large enough");
        let mut system = mount(memory.clone(), false).expect("it was made");
        let mut there = [false; 12];
        for (file, length, opens_anew) in steps {
            let name = format!("file{file}");
            there[file] = !there[file];
            if !there[file] {
                let removed = system.tx(|tx| tx.remove_node(TreePtr::root(), &name, Node::MODE_FILE));
                removed.expect("it is there");
            } else {
                create(&mut system, &name, length);
            }
            if opens_anew {
                drop(system);
                system = mount(memory.clone(), false).expect("it is in order");
            }
        }
        let whole = FileSystem::open(Store::new(memory.clone()), None, None, false).expect("in order");
        let ours = mount(memory, false).expect("in order");
        prop_assert_eq!(levels(&ours), levels(&whole));
        prop_assert_eq!(ours.header.generation(), whole.header.generation());
    }
}
