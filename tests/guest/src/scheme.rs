//! A scheme of one's own, as small as one can be: sockets, requests and answers by hand.

use crate::call::{answer, call4};
use crate::file::{File, open};
use abi::number;
use abi::redox::data::NewFdParams;
use abi::redox::error::{Error, Result};
use abi::redox::flag::O_RDWR;
use abi::redox::schemev2::{Cqe, CqeOpcode, Sqe, SqeFlags};

/// The daemon's side of a scheme.
pub struct Socket {
    socket: File,
    /// Keeps the scheme's root; clients reach it by the name.
    _root: File,
}

impl Socket {
    /// Makes a scheme and gives it its name. Requests go to this process.
    pub fn register(name: &str) -> Result<Self> {
        let right = open("namespace:scheme-creation-cap", O_RDWR)?;
        let socket = right.dup(b"create-scheme")?;
        let params = NewFdParams { offset: 0, number: 0, flags: O_RDWR, internal_flags: 0 };
        // SAFETY: plain numbers; the kernel does not look at the padding.
        let params = unsafe {
            core::slice::from_raw_parts((&raw const params).cast::<u8>(), size_of::<NewFdParams>())
        };
        let root = socket.dup(params)?;
        let namespace = open("namespace:", O_RDWR)?;
        let (address, length) = (name.as_ptr() as usize, name.len());
        // SAFETY: the kernel only reads the name.
        answer(unsafe { call4(number::REGISTER_SCHEME, namespace.0, address, length, root.0) })?;
        Ok(Self { socket, _root: root })
    }

    /// Takes the next requests; returns how many.
    pub fn requests(&self, into: &mut [Sqe]) -> Result<usize> {
        let length = core::mem::size_of_val(into);
        // SAFETY: a request is plain numbers, whatever their values.
        let bytes =
            unsafe { core::slice::from_raw_parts_mut(into.as_mut_ptr().cast::<u8>(), length) };
        self.socket.read(bytes).map(|count| count / size_of::<Sqe>())
    }

    /// Answers a request.
    pub fn answer(&self, request: &Sqe, result: Result<usize>) -> Result<usize> {
        let cqe = Cqe {
            flags: CqeOpcode::RespondRegular as u8,
            extra_raw: [0; 3],
            tag: request.tag,
            result: Error::mux(result) as u64,
        };
        self.socket.write(&cqe)
    }

    /// Answers every request with what `serve` makes of it, until the socket fails.
    pub fn serve(&self, serve: impl Fn(&Sqe) -> Result<usize>) -> Error {
        let mut requests = [Sqe::default(); 16];
        loop {
            let count = match self.requests(&mut requests) {
                Ok(count) => count,
                Err(error) => return error,
            };
            for request in &requests[..count] {
                if request.sqe_flags.contains(SqeFlags::ONEWAY) {
                    continue;
                }
                if let Err(error) = self.answer(request, serve(request)) {
                    return error;
                }
            }
        }
    }
}
