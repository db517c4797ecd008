//! A process as a core file has it.

use super::maps::{self, Range};
use crate::failure::Failure;
use crate::source::Values;
use abi::redox::IntRegisters;
use elf_files::core::{self, Piece, Process, Thread};
use std::io::Write;
use tracer::{Memory, Registers};

/// `PF_X`, `PF_W`, `PF_R`.
const RIGHTS: [(char, u32); 3] = [('x', 1), ('w', 2), ('r', 4)];
/// Bytes looked at together.
const BLOCK: usize = 64 << 10;
/// So many bytes of zeros are not written down.
const ZEROS: u64 = 256 << 10;
/// `AT_PHDR`, `AT_PHENT`, `AT_PHNUM`, `AT_PAGESZ`, `AT_ENTRY`.
const AUXILIARY: [u64; 5] = [3, 4, 5, 6, 9];
/// The segment registers of user code: code, and all others.
const SEGMENTS: [u64; 2] = [0x33, 0x2B];

/// What a process has died of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Death {
    pub(super) signal: u32,
    /// The thread that it came to; 0 for the first.
    pub(super) tid: u32,
    /// Code and address of the signal.
    pub(super) fault: (i32, u64),
}

/// Writes a process down. It is stopped meanwhile, unless somebody else has stopped it already.
pub(super) fn write(pid: u32, death: Death, out: &mut dyn Write) -> Result<u64, Failure> {
    let failed = |error| Failure::of(format_args!("process {pid}"), error);
    let sessions = super::stop_all(pid)?;
    let memory = Memory::open(pid).map_err(failed)?;
    let mut process = facts(pid, death)?;
    let mut tids = tracer::threads(pid).map_err(failed)?;
    // Debuggers look at the first one.
    tids.sort_by_key(|tid| *tid != death.tid);
    process.threads = tids.iter().filter_map(|tid| thread(pid, *tid).ok()).collect();
    if process.threads.is_empty() {
        return Err(Failure::Failed(format!("process {pid}: has no threads to look at")));
    }
    let ranges = maps::parse(&super::text(pid, "maps")?);
    let read = |at: u64, into: &mut [u8]| memory.read(at as usize, into).unwrap_or(0);
    let program = process.program.0.clone();
    let parts = |range: &Range| match is_in_a_file(range, &program) {
        true => vec![without_bytes(range)],
        false => pieces(range, read),
    };
    process.pieces = ranges.iter().flat_map(parts).collect();
    let head = core::head(&process);
    out.write_all(&head)?;
    let mut written = head.len() as u64;
    for piece in process.pieces.iter().filter(|piece| piece.has_bytes) {
        let mut at = piece.start;
        while at < piece.end {
            let mut block = vec![0; BLOCK.min((piece.end - at) as usize)];
            read(at, &mut block);
            out.write_all(&block)?;
            at += block.len() as u64;
        }
        written += piece.end - piece.start;
    }
    out.flush()?;
    drop(sessions);
    Ok(written)
}

fn facts(pid: u32, death: Death) -> Result<Process, Failure> {
    let values = Values::parse(&super::text(pid, "status")?);
    let number = |key, n| values.number(key, n) as u32;
    let (path, program) = super::program(pid);
    let [phdr, phent, phnum, page, entry] = AUXILIARY;
    let mut auxiliary = vec![(page, abi::PAGE_SIZE as u64), (entry, program.entry)];
    if let Some((address, count)) = program.headers {
        auxiliary.extend([(phdr, address), (phent, 56), (phnum, count)]);
    }
    Ok(Process {
        numbers: [pid, number("PPid", 0), number("Pgid", 0), number("Session", 0)],
        owner: [number("Uid", 0), number("Gid", 0)],
        state: values.text("State").bytes().next().unwrap_or(b'R'),
        signal: death.signal,
        fault: death.fault,
        name: values.text("Name").to_owned(),
        command: super::text(pid, "cmdline")?.replace('\0', " ").trim_end().to_owned(),
        program: (path, program.segments),
        auxiliary,
        ..Process::default()
    })
}

fn thread(pid: u32, tid: u32) -> std::io::Result<Thread> {
    let registers = Registers::open(pid, tid)?;
    let integer = registers.integer()?;
    let bases = registers.bases()?;
    let float = registers.float()?.to_vec();
    let extended = registers.extended().ok().zip(tracer::extended_state());
    Ok(Thread { tid, registers: in_order(&integer, bases), float, extended })
}

/// The order of `user_regs_struct`.
fn in_order(r: &IntRegisters, [fs_base, gs_base]: [usize; 2]) -> [u64; core::REGISTERS] {
    const NO_CALL: usize = usize::MAX;
    let [code, data] = SEGMENTS;
    let words = [
        r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r11, r.r10, r.r9, r.r8, r.rax, r.rcx, r.rdx,
        r.rsi, r.rdi, NO_CALL, r.rip, 0, r.rflags, r.rsp, 0, fs_base, gs_base,
    ];
    let mut all = [0; core::REGISTERS];
    for (place, word) in all.iter_mut().zip(words) {
        *place = word as u64;
    }
    (all[17], all[20]) = (code, data);
    all
}

/// Whether all that a range shows is kept in a file, which need not be read for this.
fn is_in_a_file(range: &Range, program: &str) -> bool {
    let path = range.origin.as_ref().map(|(_, path)| path.as_str());
    let is_unchanged = range.kind == "shared" || !range.rights.contains('w');
    is_unchanged && path.is_some_and(|path| !path.starts_with('[') && path != program)
}

fn without_bytes(range: &Range) -> Piece {
    Piece { start: range.start, end: range.end, rights: rights(range), has_bytes: false }
}

fn rights(range: &Range) -> u32 {
    let bits = RIGHTS.iter().filter(|(letter, _)| range.rights.contains(*letter));
    bits.map(|(_, bit)| bit).sum()
}

/// A range in pieces: long runs of zeros, as of stacks nobody has used yet, are left out.
fn pieces(range: &Range, read: impl Fn(u64, &mut [u8]) -> usize) -> Vec<Piece> {
    let is_memory = matches!(range.kind.as_str(), "private" | "shared");
    if !is_memory {
        return Vec::new();
    }
    let rights = rights(range);
    let mut found: Vec<Piece> = Vec::new();
    let mut at = range.start;
    let mut block = vec![0; BLOCK];
    while at < range.end {
        let length = BLOCK.min((range.end - at) as usize);
        let count = read(at, &mut block[..length]);
        let has_bytes = block[..count].iter().any(|byte| *byte != 0);
        let end = at + length as u64;
        match found.last_mut() {
            Some(last) if last.has_bytes == has_bytes => last.end = end,
            _ => found.push(Piece { start: at, end, rights, has_bytes }),
        }
        at = end;
    }
    // Short runs of zeros are written with what is around them.
    let mut merged: Vec<Piece> = Vec::new();
    for mut piece in found {
        piece.has_bytes |= piece.end - piece.start < ZEROS;
        match merged.last_mut() {
            Some(last) if last.has_bytes == piece.has_bytes => last.end = piece.end,
            _ => merged.push(piece),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_of_zeros_are_left_out() {
        const MIB: u64 = 1 << 20;
        let range = |kind: &str| Range {
            start: 0,
            end: 2 * MIB,
            rights: "rw-".into(),
            kind: kind.into(),
            origin: None,
        };
        // Something at 1 MiB, and a little behind it.
        let read = |at: u64, into: &mut [u8]| {
            into.fill(u8::from(at == MIB || at == MIB + 2 * BLOCK as u64));
            into.len()
        };
        let found = pieces(&range("private"), read);
        let piece = |start, end, has_bytes| Piece { start, end, rights: 6, has_bytes };
        let behind = MIB + 3 * BLOCK as u64;
        let wanted =
            [piece(0, MIB, false), piece(MIB, behind, true), piece(behind, 2 * MIB, false)];
        assert_eq!(found, wanted);
        assert_eq!(pieces(&range("device"), read), []);
    }

    #[test]
    fn what_is_in_other_files_is_left_there() {
        let text = "0-1000 r-x private 0x0 /bin/own\n1000-2000 rw- shared 0x0 ram:/data\n\
            2000-3000 r-- private 0x0 /lib/font\n3000-4000 rw- private 0x0 /lib/font\n\
            4000-5000 rw- shared\n5000-6000 rw- private 0x0 [stack]\n";
        let left: Vec<bool> =
            maps::parse(text).iter().map(|range| is_in_a_file(range, "/bin/own")).collect();
        assert_eq!(left, [false, true, true, false, false, false]);
    }

    #[test]
    fn registers_are_where_debuggers_look() {
        let registers = IntRegisters { rip: 1, rsp: 2, rax: 3, r15: 4, ..IntRegisters::default() };
        let words = in_order(&registers, [5, 6]);
        assert_eq!((words[16], words[19], words[10], words[0]), (1, 2, 3, 4));
        assert_eq!((words[21], words[22], words[15]), (5, 6, u64::MAX));
    }
}
