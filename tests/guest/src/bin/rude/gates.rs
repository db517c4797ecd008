//! Ways into and out of the kernel at impossible addresses.

use crate::trial::{dies, in_child};
use guest::abi::number::{SIGRETURN, THREAD_NEW};
use guest::abi::redox::data::Map;
use guest::abi::redox::error::{EFAULT, EINVAL};
use guest::abi::redox::flag::MapFlags;
use guest::abi::{ANONYMOUS, PAGE_SIZE, USER_END};
use guest::call::{answer, call0, call6};
use guest::memory::{Mapping, READ_WRITE, map, protect};
use guest::process::{pid, tid};
use guest::report::{Check, refused};
use guest::signal::{SIGSEGV, SIGUSR1, SigInfo, catch, raise};

fn fixed(address: usize) -> Map {
    Map { offset: 0, size: PAGE_SIZE, flags: READ_WRITE | MapFlags::MAP_FIXED, address }
}

/// A `syscall` in the last two bytes of user space: the kernel returns behind them, where nothing
/// is. On some processors returning to the first non-canonical address faults in the kernel, with
/// the user's stack (CVE-2012-0217); so no page there may ever be mapped.
pub(crate) fn call_at_the_top() -> Check {
    for address in [USER_END, USER_END + PAGE_SIZE, 0xFFFF_8000_0000_0000] {
        // SAFETY: must be refused.
        let found = unsafe { map(ANONYMOUS, &fixed(address)) };
        refused(&format!("a page at {address:#x}"), found, EINVAL)?;
    }
    let top = USER_END - PAGE_SIZE;
    for (what, gate) in [("syscall", [0x0F, 0x05]), ("int 0x80", [0xCD, 0x80])] {
        dies(&format!("{what} in the last bytes"), SIGSEGV, || {
            // SAFETY: the page is new; running it ends the process.
            unsafe {
                if map(ANONYMOUS, &fixed(top)).is_err() {
                    return;
                }
                let last = (USER_END - 2) as *mut [u8; 2];
                last.write(gate);
                if protect(top, PAGE_SIZE, MapFlags::PROT_READ | MapFlags::PROT_EXEC).is_err() {
                    return;
                }
                let code: extern "C" fn(usize) = std::mem::transmute(USER_END - 2);
                code(0);
            }
        })?;
    }
    Ok(())
}

pub(crate) fn thread_starts() -> Check {
    let stack = Mapping::pages(1)?;
    let end = stack.address + PAGE_SIZE - 8;
    // SAFETY: no thread may come of it.
    let new =
        |entry, stack, base| answer(unsafe { call6(THREAD_NEW, entry, stack, 0, base, 0, 0) });
    for address in [0, 0x8000_0000_0000, 0xFFFF_FFFF_8000_0000, usize::MAX] {
        refused(&format!("a thread at {address:#x}"), new(address, end, 0), EFAULT)?;
    }
    let entry = thread_starts as *const () as usize;
    for address in [0x8000_0000_0000, 0xFFFF_FFFF_8000_0000, usize::MAX] {
        refused(&format!("a stack at {address:#x}"), new(entry, address, 0), EINVAL)?;
        refused(&format!("a base at {address:#x}"), new(entry, end, address), EINVAL)?;
    }
    for address in [0x10_0000, stack.address] {
        dies(&format!("a thread at {address:#x}"), SIGSEGV, || {
            // SAFETY: the thread faults at once, which ends the process.
            let _ = answer(unsafe { call6(THREAD_NEW, address, end, 0, 0, 0, 0) });
            guest::time::sleep_ms(5_000);
        })?;
    }
    Ok(())
}

/// A handler that writes over everything it is shown, and over its own return address's
/// neighbours: the kernel has its own copy of the registers.
extern "C" fn forger(_: usize, _: &SigInfo, registers: usize) {
    let words = registers as *mut usize;
    for index in 0..20 {
        // SAFETY: the copy of the registers has twenty words, and is the handler's to write.
        unsafe { words.add(index).write_volatile(0xFFFF_8000_0000_0000 | index) };
    }
}

pub(crate) fn forged_returns() -> Check {
    in_child("a forged copy changes nothing", || {
        catch(SIGUSR1, forger, 0)?;
        raise(pid(), tid(), SIGUSR1)?;
        Ok(())
    })?;
    // SAFETY: there is nothing to return to, so nothing happens.
    refused("returning from no handler", answer(unsafe { call0(SIGRETURN) }), EINVAL)
}
