//! Directory records, as `Getdents` packs them.
//!
//! Layout (`redox_syscall`'s `DirentHeader`, without padding): inode `u64`, cookie `u64`, record
//! length `u16`, kind `u8`, name, NUL, filler. A user-space daemon writes these, so nothing about
//! them is trusted.

/// Bytes before the name.
pub const HEADER: usize = 19;

/// The longest name that a C `dirent` holds.
pub const NAME_MAX: usize = 255;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The file's number.
    pub inode: u64,
    /// Where to go on after this record.
    pub cookie: u64,
    /// What sort of file it is, as `DT_*`.
    pub kind: u8,
    /// Its name.
    pub name: &'a [u8],
    /// Bytes to the next record.
    pub length: usize,
}

/// The records are not as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads the record at the beginning of `bytes`; `None` at the end.
pub fn next(bytes: &[u8]) -> Result<Option<Record<'_>>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (header, _) = bytes.split_first_chunk::<HEADER>().ok_or(Malformed)?;
    let length = usize::from(u16::from_le_bytes([header[16], header[17]]));
    let text = bytes.get(HEADER..length).ok_or(Malformed)?;
    let end = text.iter().position(|&byte| byte == 0).ok_or(Malformed)?;
    let name = &text[..end];
    if name.is_empty() || name.len() > NAME_MAX || name.contains(&b'/') {
        return Err(Malformed);
    }
    let word = |from: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&header[from..from + 8]);
        u64::from_le_bytes(word)
    };
    Ok(Some(Record { inode: word(0), cookie: word(8), kind: header[18], name, length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(inode: u64, cookie: u64, kind: u8, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let length = (HEADER + name.len() + 1).next_multiple_of(8);
        bytes.extend_from_slice(&inode.to_le_bytes());
        bytes.extend_from_slice(&cookie.to_le_bytes());
        bytes.extend_from_slice(&(length as u16).to_le_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(name.as_bytes());
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn records_read_back_in_order() {
        let mut bytes = record(7, 1, 8, "a");
        bytes.extend(record(8, 2, 4, "directory"));
        let first = next(&bytes).unwrap().unwrap();
        assert_eq!((first.inode, first.cookie, first.kind, first.name), (7, 1, 8, &b"a"[..]));
        let second = next(&bytes[first.length..]).unwrap().unwrap();
        assert_eq!(second.name, b"directory");
        assert_eq!(next(&bytes[first.length + second.length..]), Ok(None));
    }

    #[test]
    fn bad_records_are_refused() {
        let good = record(1, 1, 8, "name");
        assert_eq!(next(&good[..10]), Err(Malformed));
        assert_eq!(next(&good[..good.len() - 1]), Err(Malformed));
        let mut short = good.clone();
        short[16] = 3;
        assert_eq!(next(&short), Err(Malformed));
        assert_eq!(next(&record(1, 1, 8, "a/b")), Err(Malformed));
        assert_eq!(next(&record(1, 1, 8, "")), Err(Malformed));
        assert_eq!(next(&record(1, 1, 8, &"x".repeat(256))), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            if let Ok(Some(found)) = next(&bytes) {
                prop_assert!(found.length > HEADER && found.length <= bytes.len());
            }
        }
    }
}
