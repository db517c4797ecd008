//! The smallest programs there are, made in memory.

use crate::call::{answer, call1};
use crate::memory::Mapping;
use abi::exec::ExecArgs;
use abi::number;
use abi::redox::error::{Error, Result};

/// Where the programs lie in memory.
pub const BASE: usize = 0x40_0000;
/// Bytes of the file header and the one program header before the code.
pub const CODE_OFFSET: usize = 64 + 56;

/// `mov eax, EXIT; xor edi, edi; syscall`
pub const HELLO: [u8; 9] = {
    let number = (number::EXIT as u32).to_le_bytes();
    [0xB8, number[0], number[1], number[2], number[3], 0x31, 0xFF, 0x0F, 0x05]
};

/// The headers of a program with one read-and-execute segment: the whole file.
pub fn headers(code_length: usize) -> [u8; CODE_OFFSET] {
    let mut bytes = [0; CODE_OFFSET];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    let length = (CODE_OFFSET + code_length) as u64;
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &2u16.to_le_bytes()); // ET_EXEC
    put(18, &62u16.to_le_bytes()); // x86-64
    put(20, &1u32.to_le_bytes());
    put(24, &((BASE + CODE_OFFSET) as u64).to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &64u16.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &1u16.to_le_bytes());
    put(64, &1u32.to_le_bytes()); // PT_LOAD
    put(68, &5u32.to_le_bytes()); // read, execute
    put(64 + 16, &(BASE as u64).to_le_bytes());
    put(64 + 24, &(BASE as u64).to_le_bytes());
    put(64 + 32, &length.to_le_bytes());
    put(64 + 40, &length.to_le_bytes());
    put(64 + 48, &0x1000u64.to_le_bytes());
    bytes
}

/// A program of this code, page-aligned, and its length.
pub fn build(code: &[u8]) -> Result<(Mapping, usize)> {
    let length = CODE_OFFSET + code.len();
    let mut image = Mapping::pages(length.div_ceil(abi::PAGE_SIZE))?;
    image.bytes()[..CODE_OFFSET].copy_from_slice(&headers(code.len()));
    image.bytes()[CODE_OFFSET..length].copy_from_slice(code);
    Ok((image, length))
}

/// Becomes the program at `image`. Comes back only with an error.
pub fn exec(image: usize, length: usize) -> Error {
    let (args, path) = (b"hello\0", "/hello");
    let arguments = ExecArgs {
        image,
        image_len: length,
        args: args.as_ptr() as usize,
        args_len: args.len(),
        args_count: 1,
        path: path.as_ptr() as usize,
        path_len: path.len(),
        ..ExecArgs::default()
    };
    exec_with(&raw const arguments as usize)
}

/// The same with arguments of any kind at an address of any kind.
pub fn exec_with(arguments: usize) -> Error {
    // SAFETY: on success nothing of this program is left; the kernel checks the address.
    match answer(unsafe { call1(number::EXEC, arguments) }) {
        Err(error) => error,
        Ok(value) => Error::new(value as i32),
    }
}
