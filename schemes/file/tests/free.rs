//! What is free after a file system was opened is what RedoxFS itself would find.

use std::cell::RefCell;
use std::rc::Rc;

use filed::store::{Backing, Store, make, mount};
use proptest::prelude::*;
use redoxfs::{FileSystem, Node, TreePtr};
use syscall::error::{EIO, Error, Result};

#[derive(Clone)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Backing for Memory {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let bytes = self.0.borrow();
        let from = bytes.get(offset as usize..).and_then(|from| from.get(..into.len()));
        into.copy_from_slice(from.ok_or(Error::new(EIO))?);
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        let mut bytes = self.0.borrow_mut();
        let into = bytes.get_mut(offset as usize..).and_then(|into| into.get_mut(..from.len()));
        into.ok_or(Error::new(EIO))?.copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn size(&mut self) -> Result<u64> {
        Ok(self.0.borrow().len() as u64)
    }
}

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
        let bytes: Vec<u8> = (0..length).map(|at| (at * 7919 >> 3) as u8).collect();
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
        let memory = Memory(Rc::new(RefCell::new(vec![0; 24 << 20])));
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
