//! A program without its debug sections: what is loaded stays where it is, and so do the names of
//! functions.

use object::elf::{FileHeader64, SHF_ALLOC, SHT_NOBITS, SectionHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, U64, pod};

type Header = FileHeader64<LittleEndian>;
type Section = SectionHeader64<LittleEndian>;

const END: LittleEndian = LittleEndian;
/// What section headers and their contents are aligned to.
const ALIGNMENT: usize = 8;

/// The file without `.debug_*`; other files than ELF programs come back as they are. Sections keep
/// their numbers, so that symbols need no change.
pub fn without_debug(file: Vec<u8>) -> Vec<u8> {
    stripped(&file).unwrap_or(file)
}

fn stripped(file: &[u8]) -> Option<Vec<u8>> {
    let header = Header::parse(file).ok()?;
    let table = header.sections(END, file).ok()?;
    let is_debug = |section: &Section| {
        table.section_name(END, section).is_ok_and(|name| name.starts_with(b".debug_"))
    };
    if !table.iter().any(is_debug) {
        return None;
    }
    let segments = header.program_headers(END, file).ok()?;
    let end_of = |part: &object::elf::ProgramHeader64<LittleEndian>| {
        part.p_offset(END).saturating_add(part.p_filesz(END)) as usize
    };
    let head = size_of::<Header>() + size_of_val(segments);
    let kept = segments.iter().map(end_of).fold(head, usize::max);
    let mut out = file.get(..kept)?.to_vec();
    let mut sections = Vec::new();
    for section in table.iter() {
        let mut section = *section;
        let is_loaded = section.sh_flags(END) & u64::from(SHF_ALLOC) != 0;
        if is_debug(&section) {
            section = *pod::from_bytes::<Section>(&[0; size_of::<Section>()]).ok()?.0;
        } else if !is_loaded && section.sh_type(END) != SHT_NOBITS {
            let data = section.data(END, file).ok()?;
            align(&mut out);
            section.sh_offset = U64::new(END, out.len() as u64);
            out.extend_from_slice(data);
        }
        sections.push(section);
    }
    align(&mut out);
    let mut header = *header;
    header.e_shoff = U64::new(END, out.len() as u64);
    out.extend_from_slice(pod::bytes_of_slice(&sections));
    out[..size_of::<Header>()].copy_from_slice(pod::bytes_of(&header));
    Some(out)
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Program;

    #[test]
    fn names_and_segments_stay_and_line_tables_go() {
        let file = std::fs::read("/proc/self/exe").unwrap();
        let small = without_debug(file.clone());
        assert!(small.len() < file.len());
        let (before, after) =
            (Program::read(file.as_slice()).unwrap(), Program::read(small.as_slice()).unwrap());
        assert_eq!(before.segments, after.segments);
        assert_eq!(before.place(before.entry), after.place(after.entry));
        assert!(after.place(after.entry).starts_with("_start"));
        let header = Header::parse(small.as_slice()).unwrap();
        let sections = header.sections(END, small.as_slice()).unwrap();
        let names = sections.iter().map(|section| sections.section_name(END, section).unwrap());
        assert!(names.clone().any(|name| name == b".text"));
        assert!(!names.clone().any(|name| name.starts_with(b".debug_")));
        // A second time there is nothing to do.
        assert_eq!(without_debug(small.clone()), small);
    }

    #[test]
    fn other_files_come_back_as_they_are() {
        for file in [&b""[..], b"#!/bin/sh\n", b"\x7fELF\x02\x01\x01"] {
            assert_eq!(without_debug(file.to_vec()), file);
        }
    }
}
