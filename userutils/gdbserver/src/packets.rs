//! Processes, which crate `gdbstub` knows only one of: packets are looked at on their way, and
//! what is about processes is put right. Threads have numbers of their own, so `gdbstub` keeps
//! track of threads; whose they are is in the [`Book`].
//!
//! The protocol: GDB's manual, appendix E ("Remote Protocol"), sections "Packets", "Stop Reply
//! Packets", "General Query Packets". No byte is read or sent here.

use std::collections::BTreeMap;

/// What both ends of the conversation need to know of processes.
#[derive(Default)]
pub(crate) struct Book {
    /// Whose each thread is.
    pub(crate) threads: BTreeMap<u32, u32>,
    /// The process that GDB speaks of: breakpoints are for it.
    pub(crate) current: u32,
    /// Only this process is to go on.
    pub(crate) only: Option<u32>,
    /// Takes the place of the next stop reply.
    pub(crate) next_stop: Option<String>,
}

impl Book {
    fn has_many(&self) -> bool {
        self.threads.values().any(|pid| self.threads.values().any(|other| other != pid))
    }

    fn first_thread(&self, pid: u32) -> Option<u32> {
        self.threads.iter().find(|(_, have)| **have == pid).map(|(tid, _)| *tid)
    }

    /// A packet from GDB, as `gdbstub` shall see it.
    pub(crate) fn incoming(&mut self, packet: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(packet) else { return packet.to_vec() };
        let changed = if let Some(pid) = text.strip_prefix("D;") {
            self.of_one_of_many("detach", pid)
        } else if let Some(pid) = text.strip_prefix("vKill;") {
            self.of_one_of_many("kill", pid)
        } else if let Some(actions) = text.strip_prefix("vCont;") {
            self.only = only_process(actions);
            None
        } else if let Some(thread) = text.strip_prefix("Hg") {
            self.choose(thread)
        } else {
            None
        };
        changed.map_or_else(|| packet.to_vec(), String::into_bytes)
    }

    /// Whether a packet ends the last process. `gdbstub` ends the conversation for it and answers
    /// nothing, but GDB waits for an answer.
    pub(crate) fn ends_all(&self, packet: &[u8]) -> bool {
        packet.starts_with(b"vKill;") && !self.has_many()
    }

    /// `gdbstub` would end the conversation: it gets a command of ours instead, see
    /// [`crate::monitor`].
    fn of_one_of_many(&self, what: &str, pid: &str) -> Option<String> {
        let pid = u32::from_str_radix(pid, 16).ok()?;
        let command = format!("{what} {pid}");
        self.has_many().then(|| {
            let hex: String = command.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("qRcmd,{hex}")
        })
    }

    /// GDB speaks of a thread; any thread of a process is its first.
    fn choose(&mut self, thread: &str) -> Option<String> {
        let (pid, tid) = thread.strip_prefix('p')?.split_once('.')?;
        let pid = u32::from_str_radix(pid, 16).ok().filter(|pid| *pid != 0)?;
        self.current = pid;
        (tid == "0").then(|| self.first_thread(pid).map(|tid| format!("Hgp{pid:x}.{tid:x}")))?
    }

    /// A packet from `gdbstub`, as GDB shall see it.
    pub(crate) fn outgoing(&mut self, packet: &[u8]) -> Vec<u8> {
        let is_stop = matches!(packet.first(), Some(b'T' | b'S' | b'W' | b'X'));
        if is_stop && let Some(stop) = self.next_stop.take() {
            return stop.into_bytes();
        }
        let is_about_threads = is_stop || is_list(packet) || packet.starts_with(b"QC");
        if packet.starts_with(b"PacketSize=") {
            return [packet, b";exec-events+"].concat();
        }
        if !is_about_threads {
            return packet.to_vec();
        }
        let text = String::from_utf8_lossy(&without_runs(packet)).into_owned();
        match packet[0] {
            b'W' | b'X' => format!("{text};process:{:x}", self.current).into_bytes(),
            _ => self.with_processes(&text).into_bytes(),
        }
    }

    /// Puts in whose the threads are: `p1.5` becomes `p4.5`.
    fn with_processes(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('p') {
            let (before, id) = rest.split_at(at);
            out += before;
            let end = id[1..].find(|c: char| !c.is_ascii_hexdigit() && c != '.');
            let (id, behind) = id.split_at(end.map_or(id.len(), |end| end + 1));
            let tid = id.split_once('.').and_then(|(_, tid)| u32::from_str_radix(tid, 16).ok());
            match tid.and_then(|tid| Some((tid, self.threads.get(&tid)?))) {
                Some((tid, pid)) => out += &format!("p{pid:x}.{tid:x}"),
                None => out += id,
            }
            rest = behind;
        }
        out + rest
    }
}

/// Whether a packet lists threads: others that begin with `m` carry data.
fn is_list(packet: &[u8]) -> bool {
    packet.starts_with(b"mp")
        && packet[1..].iter().all(|byte| {
            byte.is_ascii_hexdigit() || matches!(byte, b'p' | b'.' | b',' | b'*' | b' '..=b'+')
        })
}

/// The process that all actions are about, if there is one.
fn only_process(actions: &str) -> Option<u32> {
    let mut only = None;
    for action in actions.split(';') {
        let (_, thread) = action.split_once(':')?;
        let (pid, _) = thread.strip_prefix('p')?.split_once('.')?;
        let pid = u32::from_str_radix(pid, 16).ok()?;
        if only.is_some_and(|only| only != pid) {
            return None;
        }
        only = Some(pid);
    }
    only
}

/// Takes the run-length encoding out: a character, `*`, and how often it comes again plus 29.
fn without_runs(packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = packet.iter();
    while let Some(byte) = bytes.next() {
        match (byte, out.last().copied()) {
            (b'*', Some(last)) => {
                let count = bytes.next().map_or(0, |count| count.saturating_sub(29));
                out.extend(std::iter::repeat_n(last, count.into()));
            }
            _ => out.push(*byte),
        }
    }
    out
}

/// A packet with what stands around it on the line.
pub(crate) fn framed(packet: &[u8]) -> Vec<u8> {
    let sum = packet.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let mut frame = vec![b'$'];
    frame.extend_from_slice(packet);
    frame.extend_from_slice(format!("#{sum:02x}").as_bytes());
    frame
}

/// The first packet in what has come, and where it begins and ends: `None` when there is none, or
/// it is not complete. One that was garbled on its way is left as it is.
pub(crate) fn find(bytes: &[u8]) -> Option<(usize, &[u8], usize)> {
    let start = bytes.iter().position(|byte| *byte == b'$')?;
    let length = bytes[start..].iter().position(|byte| *byte == b'#')?;
    let end = start + length + 3;
    (end <= bytes.len()).then(|| (start, &bytes[start + 1..start + length], end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let threads = BTreeMap::from([(5, 5), (6, 5), (0x1B, 0x1B)]);
        Book { threads, current: 5, ..Book::default() }
    }

    fn incoming(book: &mut Book, packet: &str) -> String {
        String::from_utf8(book.incoming(packet.as_bytes())).unwrap()
    }

    fn outgoing(book: &mut Book, packet: &str) -> String {
        String::from_utf8(book.outgoing(packet.as_bytes())).unwrap()
    }

    #[test]
    fn threads_are_told_with_their_processes() {
        let mut book = book();
        assert_eq!(outgoing(&mut book, "T05thread:p01.05;swbreak:;"), "T05thread:p5.5;swbreak:;");
        assert_eq!(
            outgoing(&mut book, "T05thread:p01.06;fork:p01.1b;"),
            "T05thread:p5.6;fork:p1b.1b;"
        );
        assert_eq!(outgoing(&mut book, "mp01.05,p01.06,p01.1b"), "mp5.5,p5.6,p1b.1b");
        assert_eq!(outgoing(&mut book, "QCp01.1b"), "QCp1b.1b");
        assert_eq!(outgoing(&mut book, "W00"), "W00;process:5");
        assert_eq!(outgoing(&mut book, "m<xml>p1.5</xml>"), "m<xml>p1.5</xml>");
        assert_eq!(outgoing(&mut book, "0*\"1"), "0*\"1");
        assert_eq!(outgoing(&mut book, "PacketSize=1000"), "PacketSize=1000;exec-events+");
        book.next_stop = Some("W07;process:1b".into());
        assert_eq!(outgoing(&mut book, "OK"), "OK");
        assert_eq!(outgoing(&mut book, "T05thread:p01.05;"), "W07;process:1b");
        assert_eq!(outgoing(&mut book, "T05thread:p01.05;"), "T05thread:p5.5;");
    }

    #[test]
    fn one_of_many_processes_is_let_go_without_ending_the_conversation() {
        let mut book = book();
        assert_eq!(incoming(&mut book, "D;1b"), "qRcmd,646574616368203237");
        assert_eq!(incoming(&mut book, "vKill;5"), "qRcmd,6b696c6c2035");
        book.threads.remove(&0x1B);
        assert_eq!(incoming(&mut book, "D;5"), "D;5");
    }

    #[test]
    fn killing_the_last_process_is_known() {
        let mut book = book();
        assert!(!book.ends_all(b"vKill;5"), "it is one of two");
        book.threads.remove(&0x1B);
        assert!(book.ends_all(b"vKill;5"));
        assert!(!book.ends_all(b"vCont;c"));
    }

    #[test]
    fn gdb_says_which_process_it_means() {
        let mut book = book();
        assert_eq!(incoming(&mut book, "Hgp1b.0"), "Hgp1b.1b");
        assert_eq!(book.current, 0x1B);
        assert_eq!(incoming(&mut book, "Hgp5.6"), "Hgp5.6");
        assert_eq!(book.current, 5);
        for (actions, only) in [
            ("c", None),
            ("c:p5.-1", Some(5)),
            ("s:p5.6;c:p5.-1", Some(5)),
            ("s:p5.6;c", None),
            ("c:p5.-1;c:p1b.-1", None),
        ] {
            incoming(&mut book, &format!("vCont;{actions}"));
            assert_eq!(book.only, only, "{actions}");
        }
    }

    #[test]
    fn packets_are_found_once_they_are_complete() {
        let frame = framed(b"OK");
        assert_eq!(frame, b"$OK#9a");
        assert_eq!(find(b"+$OK#9a$"), Some((1, &b"OK"[..], 7)));
        assert_eq!(find(b"+$OK#9"), None);
        assert_eq!(find(b"\x03"), None);
        assert_eq!(without_runs(b"0* 1"), b"00001");
    }
}
