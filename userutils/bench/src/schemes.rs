//! Calls to a scheme that another process serves.

use crate::pipes::{get, put};
use crate::sample::Bench;
use guest::abi::number;
use guest::abi::redox::data::Stat;
use guest::abi::redox::error::EOPNOTSUPP;
use guest::abi::redox::flag::O_RDWR;
use guest::abi::redox::number::{SYS_CLOSE, SYS_FSTAT, SYS_FSYNC};
use guest::abi::redox::schemev2::{Opcode, Sqe};
use guest::call::{call1, call3};
use guest::file::{open_both, pipe};
use guest::memory::Mapping;
use guest::process::Child;
use guest::scheme::Socket;
use guest::{Error, Result};

const NAME: &str = "bench";
const PATH: &str = "bench:file";

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let (ready, tell) = pipe()?;
    let daemon = Child::start(|| {
        let served = Socket::register(NAME).and_then(|socket| {
            tell.write(b"x")?;
            Err::<(), _>(socket.serve(reply))
        });
        served.err().map_or(0, |error| error.errno as u8)
    })?;
    // Only the daemon holds the write end now: its death would end the wait.
    drop(tell);
    if ready.read(&mut [0])? != 1 {
        bench.remark("schemes: left out, a scheme cannot be registered here");
        return Ok(());
    }
    rows(bench)?;
    drop(daemon);
    Ok(())
}

fn rows(bench: &mut Bench) -> Result<()> {
    let file = open_both(PATH)?;
    let buffer = Mapping::pages(18)?;
    (0..18).for_each(|page| buffer.touch(page));
    for (name, offset, length, count) in [
        ("user_scheme_read0", 0, 0, 2000),
        ("user_scheme_read8", 0, 8, 2000),
        ("user_scheme_read4k_aligned", 0, 4096, 1000),
        ("user_scheme_read4k_unaligned", 100, 4096, 1000),
        ("user_scheme_read64k", 0, 65536, 200),
    ] {
        bench.row(name, 50, count, || get(&file, buffer.address + offset, length));
    }
    for (name, length, count) in
        [("user_scheme_write8", 8, 2000), ("user_scheme_write64k", 65536, 200)]
    {
        bench.row(name, 50, count, || put(&file, buffer.address, length));
    }
    bench.row("user_scheme_fstat", 50, 1000, || {
        // SAFETY: the buffer is ours and large enough.
        unsafe { call3(SYS_FSTAT, file.0, buffer.address, size_of::<Stat>()) };
    });
    bench.row("user_scheme_fsync", 50, 1000, || {
        // SAFETY: no memory is involved.
        unsafe { call1(SYS_FSYNC, file.0) };
    });
    bench.row("user_scheme_open_close", 50, 1000, || {
        // SAFETY: the kernel only reads the path.
        unsafe {
            let fd = call3(number::OPEN, PATH.as_ptr() as usize, PATH.len(), O_RDWR);
            call1(SYS_CLOSE, fd);
        }
    });
    Ok(())
}

/// The daemon says yes and touches nothing: what is measured is the way there and back.
fn reply(request: &Sqe) -> Result<usize> {
    match Opcode::try_from_raw(request.opcode) {
        Some(Opcode::OpenAt) => Ok(1),
        Some(Opcode::Read | Opcode::Write) => Ok(request.args[2] as usize),
        Some(Opcode::Fstat | Opcode::Fsync) => Ok(0),
        _ => Err(Error::new(EOPNOTSUPP)),
    }
}
