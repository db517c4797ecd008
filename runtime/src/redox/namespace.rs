//! Namespaces. A process has one; its descriptor is `namespace:`, opened when first asked for.

use super::{Raw, raw};
use crate::lock::Lock;
use crate::sys::file::File;
use crate::sys::{Result, error, syscall};
use abi::number::{O_CLOEXEC, REGISTER_SCHEME};
use abi::redox::flag::O_RDWR;
use libc::iovec;

/// The descriptor of this process's namespace, once asked for. Stays open: `libredox` treats it as
/// something that is always there.
pub(crate) static NAMESPACE: Lock<Option<usize>> = Lock::new(None);

fn namespace() -> Result<usize> {
    let mut known = NAMESPACE.lock();
    match *known {
        Some(fd) => Ok(fd),
        None => {
            let fd = File::open(b"namespace:", O_RDWR | O_CLOEXEC)?.into_fd();
            *known = Some(fd);
            Ok(fd)
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_ns_v0() -> Raw {
    raw(namespace())
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_ens_v0() -> Raw {
    raw(namespace())
}

/// Gives a scheme its name.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_register_scheme_to_ns_v0(
    namespace: usize,
    name: *const u8,
    length: usize,
    root: usize,
) -> Raw {
    // SAFETY: the kernel only reads the name.
    raw(unsafe { syscall(REGISTER_SCHEME, [namespace, name as usize, length, root]) })
}

/// Changing namespaces: not there yet.
#[unsafe(no_mangle)]
extern "C" fn redox_setns_v0(_namespace: usize) -> Raw {
    raw(error(libc::ENOSYS))
}

/// Changing namespaces, the older way: not there yet.
#[unsafe(no_mangle)]
extern "C" fn redox_setrens_v1(_real: usize, _effective: usize) -> Raw {
    raw(error(libc::ENOSYS))
}

/// Making namespaces: not there yet.
#[unsafe(no_mangle)]
extern "C" fn redox_mkns_v1(_names: *const iovec, _count: usize, _flags: u32) -> Raw {
    raw(error(libc::ENOSYS))
}

/// Choosing where memory comes from on machines with several: not there yet.
#[unsafe(no_mangle)]
extern "C" fn redox_numa_set_mem_policy_v0(_policy: *const u8, _length: usize) -> Raw {
    raw(error(libc::ENOSYS))
}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn redox_numa_get_mem_policy_v0(_policy: *mut u8, _length: usize) -> Raw {
    raw(error(libc::ENOSYS))
}
