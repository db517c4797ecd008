//! `EXEC` of what is no program, or one that lies.

use crate::trial::in_child;
use guest::abi::PAGE_SIZE;
use guest::abi::exec::{ARGUMENTS_MAX, ExecArgs};
use guest::abi::redox::error::{E2BIG, EFAULT, EINVAL, ENAMETOOLONG, ENOEXEC};
use guest::memory::Mapping;
use guest::process::Child;
use guest::program::{CODE_OFFSET, HELLO, build, exec, exec_with, headers};
use guest::report::{Check, equal};

/// Bytes that no compiler would give.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        // xorshift64 (Marsaglia, 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn is_no_program(what: &str, bytes: &[u8]) -> Check {
    let error = exec(bytes.as_ptr() as usize, bytes.len());
    equal(what, error.errno, ENOEXEC)
}

pub(crate) fn garbage() -> Check {
    let mut noise = noise(1);
    for length in [0, 1, 4, 63, 64, 119, 120, 4095, 4096, 4097, 100_000] {
        let bytes: Vec<u8> = (0..length).map(|_| noise() as u8).collect();
        is_no_program(&format!("{length} bytes of noise"), &bytes)?;
        is_no_program(&format!("{length} zeroes"), &vec![0; length])?;
        let mut begun = bytes;
        let magic = b"\x7fELF\x02\x01\x01";
        if length >= magic.len() {
            begun[..magic.len()].copy_from_slice(magic);
            is_no_program(&format!("{length} bytes that begin well"), &begun)?;
        }
    }
    is_no_program("a script", b"#!/bin/sh\necho hello\n")
}

pub(crate) fn truncated() -> Check {
    let (mut image, length) = build(&HELLO)?;
    let bytes = image.bytes();
    for short in 0..length {
        is_no_program(&format!("the first {short} bytes"), &bytes[..short])?;
    }
    Ok(())
}

/// One lie each, by offset in the file.
pub(crate) fn forged() -> Check {
    let good: Vec<u8> = headers(HELLO.len()).into_iter().chain(HELLO).collect();
    let lies: &[(&str, usize, &[u8])] = &[
        ("class", 4, &[1]),
        ("byte order", 5, &[2]),
        ("version", 6, &[9]),
        ("a relocatable file", 16, &[1, 0]),
        ("a core file", 16, &[4, 0]),
        ("machine", 18, &[3, 0]),
        ("header size", 54, &[32, 0]),
        ("no headers", 56, &[0, 0]),
        ("65,535 headers", 56, &[0xFF, 0xFF]),
        ("headers behind the end", 32, &0x1_0000u64.to_le_bytes()),
        ("headers at the last offset", 32, &(u64::MAX - 7).to_le_bytes()),
        ("misaligned headers", 32, &65u64.to_le_bytes()),
        ("entry in no segment", 24, &0x7000_0000u64.to_le_bytes()),
        ("entry in the kernel", 24, &0xFFFF_FFFF_8000_0000u64.to_le_bytes()),
        ("an interpreter", 64, &[3, 0, 0, 0]),
        ("writable code", 68, &[7, 0, 0, 0]),
        ("entry in data", 68, &[4, 0, 0, 0]),
        ("a segment at null", 80, &0u64.to_le_bytes()),
        ("a segment in the kernel", 80, &0xFFFF_FFFF_8000_0000u64.to_le_bytes()),
        ("a segment at the edge", 80, &0x7FFF_FFFF_F000u64.to_le_bytes()),
        ("a segment over the stack", 80, &0x7FFF_FFE0_0000u64.to_le_bytes()),
        ("more in the file than in memory", 104, &1u64.to_le_bytes()),
        ("more than the file has", 96, &0x10_0000u64.to_le_bytes()),
        ("all of memory", 104, &u64::MAX.to_le_bytes()),
        ("nearly all of memory", 104, &(1u64 << 47).to_le_bytes()),
        ("address and offset that do not fit", 80, &0x40_0123u64.to_le_bytes()),
    ];
    for (what, at, bytes) in lies {
        let mut forged = good.clone();
        forged[*at..at + bytes.len()].copy_from_slice(bytes);
        is_no_program(what, &forged)?;
    }
    overlapping(&good)
}

/// Two segments at the same place.
fn overlapping(good: &[u8]) -> Check {
    let mut bytes = good[..CODE_OFFSET].to_vec();
    bytes.extend_from_slice(&good[64..CODE_OFFSET]);
    bytes.extend_from_slice(&[0x90; 64]);
    bytes[56] = 2;
    is_no_program("two segments at one place", &bytes)
}

/// Random changes to a program. It runs, dies or is refused, whichever; the kernel goes on.
pub(crate) fn mutated() -> Check {
    let mut noise = noise(7);
    for _ in 0..300 {
        let (mut image, length) = build(&HELLO)?;
        for _ in 0..1 + noise() % 6 {
            let at = noise() as usize % CODE_OFFSET.min(length);
            image.bytes()[at] = noise() as u8;
        }
        let child = Child::start(|| exec(image.address, length).errno as u8)?;
        // A mutant may loop for ever: the limit ends it.
        child.wait_within(500)?;
    }
    Ok(())
}

pub(crate) fn argument_lists() -> Check {
    let (image, length) = build(&HELLO)?;
    let mut strings = Mapping::pages(80)?;
    strings.bytes().fill(b'x');
    let address = strings.address;
    let good = ExecArgs {
        image: image.address,
        image_len: length,
        path: c"/a".as_ptr() as usize,
        path_len: 2,
        ..ExecArgs::default()
    };
    for (what, arguments, wanted) in [
        ("strings without an end", ExecArgs { args: address, args_len: 9, ..good }, EINVAL),
        ("too many strings", ExecArgs { args_count: 5, ..good }, EINVAL),
        ("all strings there could be", ExecArgs { args_count: usize::MAX, ..good }, EINVAL),
        (
            "too long",
            ExecArgs { args: address, args_len: ARGUMENTS_MAX + 1, args_count: 1, ..good },
            E2BIG,
        ),
        (
            "too long together",
            ExecArgs { args_len: ARGUMENTS_MAX, envs_len: ARGUMENTS_MAX, ..good },
            E2BIG,
        ),
        ("lengths that wrap", ExecArgs { args_len: usize::MAX, envs_len: 2, ..good }, E2BIG),
        ("a long path", ExecArgs { path: address, path_len: 5_000, ..good }, ENAMETOOLONG),
        ("an image of all memory", ExecArgs { image_len: usize::MAX, ..good }, EFAULT),
    ] {
        equal(what, exec_with(&raw const arguments as usize).errno, wanted)?;
    }
    let end = ARGUMENTS_MAX - 1;
    strings.bytes()[end] = 0;
    let most = ExecArgs { args: address, args_len: ARGUMENTS_MAX, args_count: 1, ..good };
    in_child("the longest argument", || {
        Err(format!("{:?}", exec_with(&raw const most as usize)).into())
    })?;
    in_child("no arguments at all", || {
        Err(format!("{:?}", exec_with(&raw const good as usize)).into())
    })?;
    // The second page of the image is not there.
    let whole = Mapping::pages(2)?;
    // SAFETY: the page is ours, and nobody uses it.
    unsafe { guest::memory::unmap(whole.address + PAGE_SIZE, PAGE_SIZE) }?;
    let hollow = ExecArgs { image: whole.address, image_len: 2 * PAGE_SIZE, ..good };
    equal("an image with a hole", exec_with(&raw const hollow as usize).errno, ENOEXEC)
}
