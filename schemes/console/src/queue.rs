//! Finished input: bytes, and where lines end.

use std::collections::VecDeque;

/// Bytes that programs may read. An end is a place between bytes; two ends at the same place mean
/// an empty line, which a reader sees as the end of the file.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    bytes: VecDeque<u8>,
    ends: VecDeque<u64>,
    /// How many bytes have left the queue so far; the place of the first byte in it.
    gone: u64,
}

impl Queue {
    /// How many bytes there are, in whatever lines.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether a whole line is there.
    pub fn has_line(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Adds bytes to the line that has no end yet.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Ends the line.
    pub fn end_line(&mut self) {
        self.ends.push_back(self.gone + self.bytes.len() as u64);
    }

    /// Takes the first line, or as much of it as fits; None if there is no whole line.
    pub fn take_line(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let end = *self.ends.front()?;
        let left = (end - self.gone) as usize;
        let length = left.min(buffer.len());
        let taken = self.take(&mut buffer[..length]);
        if taken == left {
            self.ends.pop_front();
        }
        Some(taken)
    }

    /// Takes bytes without regard to lines.
    pub fn take_bytes(&mut self, buffer: &mut [u8]) -> usize {
        let length = buffer.len().min(self.bytes.len());
        let taken = self.take(&mut buffer[..length]);
        while self.ends.front().is_some_and(|&end| end <= self.gone) {
            self.ends.pop_front();
        }
        taken
    }

    /// Takes out the bytes after the last end.
    pub fn take_unended(&mut self) -> Vec<u8> {
        let ended = self.ends.back().map_or(0, |&end| (end - self.gone) as usize);
        self.bytes.split_off(ended).into()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.gone += self.bytes.len() as u64;
        self.bytes.clear();
        self.ends.clear();
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let length = buffer.len();
        for (place, byte) in buffer.iter_mut().zip(self.bytes.drain(..length)) {
            *place = byte;
        }
        self.gone += length as u64;
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(queue: &mut Queue, room: usize) -> Option<String> {
        let mut buffer = vec![0; room];
        let taken = queue.take_line(&mut buffer)?;
        Some(String::from_utf8_lossy(&buffer[..taken]).into_owned())
    }

    #[test]
    fn lines_come_one_at_a_time_and_in_pieces() {
        let mut queue = Queue::default();
        queue.push(b"first\n");
        assert_eq!(line(&mut queue, 99), None);
        queue.end_line();
        queue.push(b"2\n");
        queue.end_line();
        assert_eq!(line(&mut queue, 3).as_deref(), Some("fir"));
        assert_eq!(line(&mut queue, 3).as_deref(), Some("st\n"));
        assert_eq!(line(&mut queue, 2).as_deref(), Some("2\n"));
        assert_eq!(line(&mut queue, 2), None);
    }

    #[test]
    fn an_empty_line_is_the_end_of_the_file_once() {
        let mut queue = Queue::default();
        queue.push(b"ab");
        queue.end_line();
        queue.end_line();
        assert_eq!(line(&mut queue, 2).as_deref(), Some("ab"));
        assert_eq!(line(&mut queue, 2).as_deref(), Some(""));
        assert_eq!(line(&mut queue, 2), None);
    }

    #[test]
    fn bytes_ignore_lines_and_forget_their_ends() {
        let mut queue = Queue::default();
        queue.push(b"a\n");
        queue.end_line();
        queue.push(b"b");
        let mut buffer = [0; 8];
        assert_eq!(queue.take_bytes(&mut buffer), 3);
        assert_eq!(&buffer[..3], b"a\nb");
        assert!(!queue.has_line() && queue.is_empty());
    }

    #[test]
    fn only_unended_bytes_are_taken_back() {
        let mut queue = Queue::default();
        queue.push(b"a\n");
        queue.end_line();
        queue.push(b"bc");
        assert_eq!(queue.take_unended(), b"bc");
        assert_eq!(queue.take_unended(), b"");
        assert_eq!(line(&mut queue, 9).as_deref(), Some("a\n"));
    }
}
