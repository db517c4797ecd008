//! Core files: a process written down, for GDB. The notes are those of Linux on x86-64, which is
//! what every debugger reads (`elf.h`, `struct elf_prstatus` and `elf_prpsinfo` of the kernel's
//! `uapi/linux/elfcore.h`).
//!
//! ```text
//! ELF header, program headers
//! notes: PRSTATUS PRPSINFO SIGINFO AUXV FILE FPREGSET X86_XSTATE,
//!        then PRSTATUS FPREGSET X86_XSTATE of each further thread
//! memory, a page boundary before each piece
//! ```

use crate::symbols::Segment;
use object::elf::*;
use object::{LittleEndian, U16, U32, U64, pod};

const END: LittleEndian = LittleEndian;
const PAGE: usize = 4096;
/// Bytes of the structures of the notes.
const STATUS_SIZE: usize = 336;
const INFO_SIZE: usize = 136;
const SIGINFO_SIZE: usize = 128;
/// Where the registers are in `elf_prstatus`, and how many.
const STATUS_REGISTERS: usize = 112;
/// How many registers `user_regs_struct` has.
pub const REGISTERS: usize = 27;
/// Bytes of what `fxsave` stores.
pub const FLOAT_SIZE: usize = 512;
/// Where, in what `xsave` stores, debuggers look for the mask of what is in it (XCR0).
const XSAVE_MASK_AT: usize = 464;

/// One thread.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its number.
    pub tid: u32,
    /// As in `user_regs_struct`: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax
    /// rip cs flags rsp ss fs_base gs_base ds es fs gs.
    pub registers: [u64; REGISTERS],
    /// What `fxsave` stores.
    pub float: Vec<u8>,
    /// What `xsave` stores, and XCR0.
    pub extended: Option<(Vec<u8>, u64)>,
}

/// A piece of memory. Its bytes follow in the file, or not: then they are zero, or the program's
/// file has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first address.
    pub start: u64,
    /// The address behind the last.
    pub end: u64,
    /// `PF_R`, `PF_W`, `PF_X`.
    pub rights: u32,
    /// Whether its bytes are in the file.
    pub has_bytes: bool,
}

/// A process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Numbers of process, parent, group, session.
    pub numbers: [u32; 4],
    /// User and group.
    pub owner: [u32; 2],
    /// Letter of its state.
    pub state: u8,
    /// The signal that ended it, 0 for none.
    pub signal: u32,
    /// What the signal was about: code and address.
    pub fault: (i32, u64),
    /// Last part of the program's path.
    pub name: String,
    /// With its arguments.
    pub command: String,
    /// The program's path, and what of it is loaded.
    pub program: (String, Vec<Segment>),
    /// `AT_*` and values.
    pub auxiliary: Vec<(u64, u64)>,
    /// The first one is the one to look at.
    pub threads: Vec<Thread>,
    /// Lowest first.
    pub pieces: Vec<Piece>,
}

/// Everything before the memory. The bytes of the pieces that have some follow, one after the
/// other.
pub fn head(process: &Process) -> Vec<u8> {
    let notes = notes(process);
    let count = process.pieces.len() + 1;
    let head = size_of::<FileHeader64<LittleEndian>>()
        + count * size_of::<ProgramHeader64<LittleEndian>>();
    let mut at = (head + notes.len()).next_multiple_of(PAGE);
    let mut parts = vec![part(PT_NOTE, 0, head, [0, 0], notes.len(), 4)];
    for piece in &process.pieces {
        let size = (piece.end - piece.start) as usize;
        let in_file = if piece.has_bytes { size } else { 0 };
        let mut header = part(PT_LOAD, piece.rights, at, [piece.start, size as u64], in_file, PAGE);
        header.p_memsz = U64::new(END, size as u64);
        parts.push(header);
        at += in_file;
    }
    let mut file = pod::bytes_of(&file_header(parts.len())).to_vec();
    file.extend_from_slice(pod::bytes_of_slice(&parts));
    file.extend_from_slice(&notes);
    file.resize(file.len().next_multiple_of(PAGE), 0);
    file
}

fn file_header(parts: usize) -> FileHeader64<LittleEndian> {
    FileHeader64 {
        e_ident: Ident {
            magic: ELFMAG,
            class: ELFCLASS64,
            data: ELFDATA2LSB,
            version: EV_CURRENT,
            os_abi: ELFOSABI_NONE,
            abi_version: 0,
            padding: [0; 7],
        },
        e_type: U16::new(END, ET_CORE),
        e_machine: U16::new(END, EM_X86_64),
        e_version: U32::new(END, EV_CURRENT.into()),
        e_entry: U64::new(END, 0),
        e_phoff: U64::new(END, size_of::<FileHeader64<LittleEndian>>() as u64),
        e_shoff: U64::new(END, 0),
        e_flags: U32::new(END, 0),
        e_ehsize: U16::new(END, size_of::<FileHeader64<LittleEndian>>() as u16),
        e_phentsize: U16::new(END, size_of::<ProgramHeader64<LittleEndian>>() as u16),
        e_phnum: U16::new(END, parts as u16),
        e_shentsize: U16::new(END, 0),
        e_shnum: U16::new(END, 0),
        e_shstrndx: U16::new(END, 0),
    }
}

fn part(
    kind: u32,
    rights: u32,
    offset: usize,
    [address, _]: [u64; 2],
    in_file: usize,
    alignment: usize,
) -> ProgramHeader64<LittleEndian> {
    ProgramHeader64 {
        p_type: U32::new(END, kind),
        p_flags: U32::new(END, rights),
        p_offset: U64::new(END, offset as u64),
        p_vaddr: U64::new(END, address),
        p_paddr: U64::new(END, 0),
        p_filesz: U64::new(END, in_file as u64),
        p_memsz: U64::new(END, 0),
        p_align: U64::new(END, alignment as u64),
    }
}

fn notes(process: &Process) -> Vec<u8> {
    let mut out = Vec::new();
    for (place, thread) in process.threads.iter().enumerate() {
        note(&mut out, b"CORE", NT_PRSTATUS, &status(process, thread));
        if place == 0 {
            note(&mut out, b"CORE", NT_PRPSINFO, &info(process));
            note(&mut out, b"CORE", NT_SIGINFO, &siginfo(process));
            let words = process.auxiliary.iter().flat_map(|(key, value)| [*key, *value]);
            let words: Vec<u8> = words.chain([0, 0]).flat_map(u64::to_le_bytes).collect();
            note(&mut out, b"CORE", NT_AUXV, &words);
            note(&mut out, b"CORE", NT_FILE, &files(&process.program));
        }
        let mut float = thread.float.clone();
        float.resize(FLOAT_SIZE, 0);
        note(&mut out, b"CORE", NT_PRFPREG, &float);
        if let Some((bytes, mask)) = &thread.extended
            && bytes.len() >= XSAVE_MASK_AT + 8
        {
            let mut bytes = bytes.clone();
            bytes[XSAVE_MASK_AT..XSAVE_MASK_AT + 8].copy_from_slice(&mask.to_le_bytes());
            note(&mut out, b"LINUX", NT_X86_XSTATE, &bytes);
        }
    }
    out
}

/// One note: its name and contents, each filled up to four bytes.
fn note(out: &mut Vec<u8>, name: &[u8], kind: u32, contents: &[u8]) {
    for word in [name.len() as u32 + 1, contents.len() as u32, kind] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(name);
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(contents);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A structure with some fields set.
fn structure<const N: usize>(fields: &[(usize, &[u8])]) -> [u8; N] {
    let mut bytes = [0; N];
    for (at, field) in fields {
        let count = field.len().min(N - at);
        bytes[*at..at + count].copy_from_slice(&field[..count]);
    }
    bytes
}

/// `elf_prstatus`: signal, numbers, registers.
fn status(process: &Process, thread: &Thread) -> [u8; STATUS_SIZE] {
    let [_, parent, group, session] = process.numbers.map(u32::to_le_bytes);
    let registers: Vec<u8> = thread.registers.iter().flat_map(|word| word.to_le_bytes()).collect();
    let signal = process.signal.to_le_bytes();
    structure(&[
        (0, &signal),
        (12, &signal[..2]),
        (32, &thread.tid.to_le_bytes()),
        (36, &parent),
        (40, &group),
        (44, &session),
        (STATUS_REGISTERS, &registers),
        // The floating-point registers follow in a note of their own.
        (STATUS_REGISTERS + REGISTERS * 8, &1_u32.to_le_bytes()),
    ])
}

/// `elf_prpsinfo`: state, owner, numbers, name (16 bytes), command line (80 bytes).
fn info(process: &Process) -> [u8; INFO_SIZE] {
    let [pid, parent, group, session] = process.numbers.map(u32::to_le_bytes);
    let [user, group_id] = process.owner.map(u32::to_le_bytes);
    let cut = |text: &str, most: usize| text.as_bytes()[..text.len().min(most - 1)].to_vec();
    structure(&[
        (1, &[process.state]),
        (16, &user),
        (20, &group_id),
        (24, &pid),
        (28, &parent),
        (32, &group),
        (36, &session),
        (40, &cut(&process.name, 16)),
        (56, &cut(&process.command, 80)),
    ])
}

/// `siginfo_t`: number, code, address.
fn siginfo(process: &Process) -> [u8; SIGINFO_SIZE] {
    let (code, address) = process.fault;
    structure(&[
        (0, &process.signal.to_le_bytes()),
        (8, &code.to_le_bytes()),
        (16, &address.to_le_bytes()),
    ])
}

/// `NT_FILE`: how many, the page size, start, end and place of each, their paths.
fn files((path, segments): &(String, Vec<Segment>)) -> Vec<u8> {
    let mut words = vec![segments.len() as u64, PAGE as u64];
    let page = PAGE as u64;
    for segment in segments {
        let start = segment.start / page * page;
        words.extend([start, segment.end.next_multiple_of(page), segment.offset / page]);
    }
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    for _ in segments {
        bytes.extend_from_slice(path.as_bytes());
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::read::elf::{FileHeader, ProgramHeader};

    fn example() -> Process {
        let thread = |tid, rip| {
            let mut registers = [0; REGISTERS];
            registers[16] = rip;
            Thread { tid, registers, float: vec![0; 416], extended: Some((vec![0; 832], 7)) }
        };
        let piece = |start, end, has_bytes| Piece { start, end, rights: PF_R, has_bytes };
        Process {
            numbers: [5, 1, 5, 5],
            state: b'R',
            signal: 11,
            fault: (1, 0xDEAD),
            name: "a-name-longer-than-sixteen-bytes".into(),
            command: "x ".repeat(60),
            program: ("/bin/x".into(), vec![Segment { start: 0x1010, end: 0x2010, offset: 16 }]),
            auxiliary: vec![(9, 0x1000)],
            threads: vec![thread(6, 0x1234), thread(5, 0x1000)],
            pieces: vec![piece(0x1000, 0x3000, true), piece(0x8000, 0x9000, false)],
            ..Process::default()
        }
    }

    #[test]
    fn what_is_written_is_an_elf_core_file() {
        let mut file = head(&example());
        assert_eq!(file.len() % PAGE, 0);
        let memory = file.len() as u64;
        file.resize(file.len() + 0x2000, 0xAB);
        let header = FileHeader64::<LittleEndian>::parse(file.as_slice()).unwrap();
        assert_eq!(header.e_type.get(END), ET_CORE);
        let parts = header.program_headers(END, file.as_slice()).unwrap();
        let kinds: Vec<u32> = parts.iter().map(|part| part.p_type(END)).collect();
        assert_eq!(kinds, [PT_NOTE, PT_LOAD, PT_LOAD]);
        let placed = |part: &ProgramHeader64<LittleEndian>| {
            (part.p_vaddr(END), part.p_offset(END), part.p_filesz(END), part.p_memsz(END))
        };
        assert_eq!(placed(&parts[1]), (0x1000, memory, 0x2000, 0x2000));
        assert_eq!(placed(&parts[2]), (0x8000, memory + 0x2000, 0, 0x1000));
    }

    #[test]
    fn each_thread_has_its_notes_and_the_first_the_process_too() {
        let file = head(&example());
        let header = FileHeader64::<LittleEndian>::parse(file.as_slice()).unwrap();
        let parts = header.program_headers(END, file.as_slice()).unwrap();
        let mut notes = parts[0].notes(END, file.as_slice()).unwrap().unwrap();
        let mut seen = Vec::new();
        while let Some(note) = notes.next().unwrap() {
            let kind = note.n_type(END);
            if kind == NT_PRSTATUS {
                assert_eq!(note.desc().len(), STATUS_SIZE);
                seen.push((kind, u32::from_le_bytes(note.desc()[32..36].try_into().unwrap())));
            } else {
                seen.push((kind, note.desc().len() as u32));
            }
        }
        let float = (NT_PRFPREG, FLOAT_SIZE as u32);
        let wanted = [
            (NT_PRSTATUS, 6),
            (NT_PRPSINFO, INFO_SIZE as u32),
            (NT_SIGINFO, SIGINFO_SIZE as u32),
            (NT_AUXV, 32),
            (NT_FILE, 16 + 24 + 7),
            float,
            (NT_X86_XSTATE, 832),
            (NT_PRSTATUS, 5),
            float,
            (NT_X86_XSTATE, 832),
        ];
        assert_eq!(seen, wanted);
    }
}
