//! From written bytes to lines.

use syscall::error::Result;

use crate::line::{Line, TEXT_MAX};
use crate::store::Store;

/// Someone who writes under a tag, and the line that has no end yet.
#[derive(Clone, Debug)]
pub struct Writer {
    tag: Box<str>,
    partial: Vec<u8>,
}

impl Writer {
    /// A writer under this tag.
    pub fn new(tag: &str) -> Self {
        Self { tag: tag.into(), partial: Vec::new() }
    }

    /// Takes all the bytes; every line that ends among them is stored. A very long line is stored
    /// in pieces.
    pub fn write(
        &mut self,
        store: &mut Store,
        bytes: &[u8],
        time_us: u64,
        pid: usize,
    ) -> Result<usize> {
        // Last step that may fail; commit after it.
        store.find_or_make(&self.tag)?;
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            for &byte in text {
                if self.partial.len() >= TEXT_MAX && is_boundary(byte) {
                    self.flush(store, time_us, pid);
                }
                self.partial.push(byte);
            }
            if ends {
                self.flush(store, time_us, pid);
            }
        }
        Ok(bytes.len())
    }

    /// Stores the line that has no end, if it has a beginning.
    pub fn flush(&mut self, store: &mut Store, time_us: u64, pid: usize) {
        let text = std::mem::take(&mut self.partial);
        let text = text.trim_ascii_end();
        if !text.is_empty()
            && let Ok(tag) = store.find_or_make(&self.tag)
        {
            store.add(tag, Line::new(time_us, pid, text));
        }
    }
}

/// Whether a character begins with this byte.
fn is_boundary(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}
