//! Functions by address, and a program's segments.

use object::elf::{FileHeader64, PT_LOAD, STT_FUNC};
use object::read::elf::{FileHeader, ProgramHeader, Sym};
use object::{Endianness, ReadRef};

type Header = FileHeader64<Endianness>;

/// One function.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    start: u64,
    size: u64,
    name: String,
}

/// A piece of a program's file that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first address.
    pub start: u64,
    /// The address behind its last byte.
    pub end: u64,
    /// Where its bytes are in the file.
    pub offset: u64,
}

/// What a program's file tells about the running program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// By address.
    functions: Vec<Function>,
    /// What is loaded, as in the file.
    pub segments: Vec<Segment>,
    /// The first instruction.
    pub entry: u64,
    /// The program headers' address in memory, if they are loaded, and how many there are.
    pub headers: Option<(u64, u64)>,
}

impl Program {
    /// Reads a file's names and segments. A file without names has none; `None` when it is no
    /// 64-bit ELF file.
    pub fn read<'data>(file: impl ReadRef<'data>) -> Option<Self> {
        let header = Header::parse(file).ok()?;
        let endian = header.endian().ok()?;
        let mut program = Self { entry: header.e_entry.get(endian), ..Self::default() };
        let table = header.e_phoff.get(endian);
        for part in header.program_headers(endian, file).ok()? {
            if part.p_type(endian) != PT_LOAD {
                continue;
            }
            let (start, offset) = (part.p_vaddr(endian), part.p_offset(endian));
            let end = start.saturating_add(part.p_memsz(endian));
            program.segments.push(Segment { start, end, offset });
            let length = part.p_filesz(endian);
            if (offset..offset.saturating_add(length)).contains(&table) {
                let count = u64::from(header.e_phnum.get(endian));
                program.headers = Some((start + (table - offset), count));
            }
        }
        program.functions = functions(header, endian, file).unwrap_or_default();
        Some(program)
    }

    /// The function around an address: its name without hashes, and how far inside.
    pub fn find(&self, address: u64) -> Option<(&str, u64)> {
        let behind = self.functions.partition_point(|function| function.start <= address);
        let function = self.functions.get(behind.checked_sub(1)?)?;
        let inside = address - function.start;
        (inside < function.size).then_some((function.name.as_str(), inside))
    }

    /// `name+0x12`, or the bare address.
    pub fn place(&self, address: u64) -> String {
        match self.find(address) {
            Some((name, inside)) => format!("{name}+{inside:#x}"),
            None => format!("{address:#x}"),
        }
    }
}

fn functions<'data>(
    header: &Header,
    endian: Endianness,
    file: impl ReadRef<'data>,
) -> Option<Vec<Function>> {
    let sections = header.sections(endian, file).ok()?;
    let symbols = sections.symbols(endian, file, object::elf::SHT_SYMTAB).ok()?;
    let mut functions: Vec<Function> = symbols
        .iter()
        .filter(|symbol| symbol.st_type() == STT_FUNC && symbol.st_value(endian) != 0)
        .filter_map(|symbol| {
            let name = symbols.symbol_name(endian, symbol).ok()?;
            let name = std::str::from_utf8(name).ok()?;
            let (start, size) = (symbol.st_value(endian), symbol.st_size(endian));
            let name = format!("{:#}", rustc_demangle::demangle(name));
            Some(Function { start, size, name })
        })
        .collect();
    functions.sort_by_key(|function| (function.start, function.size));
    // Assembly does not say how long its functions are: such a one reaches to the next.
    for place in 0..functions.len() {
        if functions[place].size == 0 {
            let next = functions[place + 1..].iter().map(|f| f.start);
            let start = functions[place].start;
            functions[place].size =
                next.into_iter().find(|next| *next > start).unwrap_or(start + 1) - start;
        }
    }
    Some(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn marked_function() -> usize {
        std::hint::black_box(marked_function as *const () as usize)
    }

    #[test]
    fn this_very_program_knows_its_functions() {
        let file = std::fs::read("/proc/self/exe").unwrap();
        let program = Program::read(file.as_slice()).unwrap();
        let mapped = std::fs::read_to_string("/proc/self/maps").unwrap();
        let base = mapped.split('-').next().unwrap();
        let base = u64::from_str_radix(base, 16).unwrap() - program.segments[0].start;
        let address = marked_function() as u64 - base;
        let (name, inside) = program.find(address).unwrap();
        assert!(name.ends_with("symbols::tests::marked_function"), "{name}");
        assert_eq!(inside, 0);
        assert_eq!(program.place(address + 1), format!("{name}+0x1"));
        assert_eq!(program.place(0x10), "0x10");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(Program::read(&b"#!/bin/sh\n"[..]).is_none());
        assert!(Program::read(&[][..]).is_none());
    }
}
