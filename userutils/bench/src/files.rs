//! Files of `ram:`. Names of rows are those of Linux's tmpfs.

use crate::sample::Bench;
use guest::Result;
use guest::abi::redox::flag::{O_CREAT, O_RDONLY, O_RDWR};
use guest::abi::redox::number::{SYS_CLOSE, SYS_READ2, SYS_WRITE2};
use guest::abi::{PAGE_SIZE, number};
use guest::call::{call1, call3, call5};
use guest::file::{File, open, unlink};
use guest::memory::Mapping;

const PATH: &str = "ram:bench-file";
const NEW: &str = "ram:bench-new";
/// Read and write for the owner.
const MODE: usize = 0o600;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let Ok(file) = open(PATH, O_CREAT | O_RDWR | MODE) else {
        bench.remark("files: left out, there is no ram:");
        return Ok(());
    };
    let mut buffer = Mapping::pages(16)?;
    buffer.bytes().fill(1);
    file.write(buffer.bytes())?;
    let address = buffer.address;
    for (name, length, count) in
        [("pread1_tmpfs", 1, 1000), ("pread4k_tmpfs", 4096, 1000), ("pread64k_tmpfs", 65536, 200)]
    {
        bench.row(name, 50, count, || {
            // SAFETY: the buffer has 64 KiB.
            unsafe { call5(SYS_READ2, file.0, address, length, 0, 0) };
        });
    }
    bench.row("pwrite1_tmpfs", 50, 1000, || {
        // SAFETY: the kernel only reads the buffer.
        unsafe { call5(SYS_WRITE2, file.0, address, 1, 0, 0) };
    });
    bench.row("open_close_tmpfs", 50, 1000, || open_close(PATH, O_RDONLY));
    bench.row("create_unlink", 20, 500, || {
        open_close(NEW, O_CREAT | O_RDWR | MODE);
        // SAFETY: the kernel only reads the path.
        unsafe { call3(number::UNLINK, NEW.as_ptr() as usize, NEW.len(), 0) };
    });
    pages(bench, &file, &mut buffer)?;
    drop(file);
    unlink(PATH)?;
    Ok(())
}

/// The first writes to the pages of a mapped file, of which the daemon is asked for some at once.
fn pages(bench: &mut Bench, file: &File, buffer: &mut Mapping) -> Result<()> {
    const FIRST: usize = 16;
    const PAGES: usize = 256;
    const LENGTH: usize = (FIRST + PAGES) * PAGE_SIZE;
    for _ in 0..LENGTH / buffer.length {
        file.write(buffer.bytes())?;
    }
    for _ in 0..10 {
        let mapping = Mapping::of_file(file.0, LENGTH)?;
        bench.sample(&mut || (FIRST..FIRST + PAGES).for_each(|page| mapping.touch(page)));
    }
    bench.report("fault_file_write_4k", PAGES);
    Ok(())
}

#[inline(always)]
fn open_close(path: &str, flags: usize) {
    // SAFETY: the kernel only reads the path.
    unsafe {
        let fd = call3(number::OPEN, path.as_ptr() as usize, path.len(), flags);
        call1(SYS_CLOSE, fd);
    }
}
