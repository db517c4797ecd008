//! File calls that arrive as messages (`CALL` with `STD_FS`), unpacked safely.
//!
//! `redox-scheme` unpacks them too, but forms references straight into the client's buffer, which
//! need not be aligned. Here every structure is copied through a local.

use std::mem::size_of;
use std::ptr;

use redox_scheme::CallerCtx;
use redox_scheme::scheme::SchemeSync;
use syscall::dirent::DirentBuf;
use syscall::error::{EINVAL, EOPNOTSUPP, Error, Result};
use syscall::flag::StdFsCallKind;
use syscall::{Stat, StatVfs, StdFsCallMeta, TimeSpec};

/// Does what `SchemeSync::translate_std_fs_call` does. `ctx` must name the client's real ids: the
/// ones that come with a message are whatever the client wrote there.
pub fn unpack(
    scheme: &mut impl SchemeSync,
    ids: &[usize],
    kind: StdFsCallKind,
    payload: &mut [u8],
    metadata: StdFsCallMeta,
    ctx: &CallerCtx,
) -> Result<usize> {
    let &[id] = ids else { return Err(Error::new(EINVAL)) };
    match kind {
        StdFsCallKind::Fchmod => scheme.fchmod(id, metadata.arg1 as u16, ctx).map(|()| 0),
        StdFsCallKind::Fchown => {
            scheme.fchown(id, metadata.arg1 as u32, metadata.arg2 as u32, ctx).map(|()| 0)
        }
        StdFsCallKind::Getdents => {
            let buffer = DirentBuf::new(payload, metadata.arg2 as u16).ok_or(Error::new(EINVAL))?;
            scheme.getdents(id, buffer, metadata.arg1).map(DirentBuf::finalize)
        }
        StdFsCallKind::Fstat => {
            through::<Stat>(payload, |stat| scheme.fstat(id, stat, ctx)).map(|()| 0)
        }
        StdFsCallKind::Fstatvfs => {
            through::<StatVfs>(payload, |stat| scheme.fstatvfs(id, stat, ctx)).map(|()| 0)
        }
        StdFsCallKind::Fsync => scheme.fsync(id, ctx).map(|()| 0),
        StdFsCallKind::Ftruncate => scheme.ftruncate(id, metadata.arg1, ctx).map(|()| 0),
        StdFsCallKind::Futimens => {
            through::<[TimeSpec; 2]>(payload, |times| scheme.futimens(id, times, ctx)).map(|()| 0)
        }
        _ => Err(Error::new(EOPNOTSUPP)),
    }
}

/// Structures made of integers only: any bytes are a value.
trait Plain {}
impl Plain for Stat {}
impl Plain for StatVfs {}
impl Plain for [TimeSpec; 2] {}

/// Lets `act` work on a copy of the structure in `payload`, and puts it back when that went well.
fn through<T: Plain>(payload: &mut [u8], act: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
    if payload.len() != size_of::<T>() {
        return Err(Error::new(EINVAL));
    }
    // SAFETY: the payload has T's size, any bytes are a T, and the read asks for no alignment.
    let mut value = unsafe { ptr::read_unaligned(payload.as_ptr().cast::<T>()) };
    act(&mut value)?;
    // SAFETY: as above, and the payload is borrowed mutably.
    unsafe { ptr::write_unaligned(payload.as_mut_ptr().cast::<T>(), value) };
    Ok(())
}
