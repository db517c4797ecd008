//! Arguments as text.

use crate::flags;
use abi::call::{Call, Kind};
use abi::exec::ExecArgs;
use abi::redox::data::{Map, Stat, TimeSpec};
use abi::redox::flag::O_FCNTL_MASK;
use abi::signal::{SIG_DFL, SIG_IGN, SigAction};
use abi::wait::{Change, Ended};
use std::mem::offset_of;
use tracer::Memory;

/// Reads the program's memory, and knows how much of a string to show.
pub(crate) struct Decoder<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) string_length: usize,
}

/// Whether an argument can only be shown when the call is over.
pub(crate) fn is_given_back(kind: Kind) -> bool {
    use Kind::*;
    matches!(kind, Output | Stat | TimeOut | Status | ActionOut | MaskOut | IdsOut)
}

impl Decoder<'_> {
    /// One argument. `answer` is the call's, once it has one.
    pub(crate) fn argument(
        &self,
        call: &Call,
        arguments: &[usize],
        place: usize,
        answer: Option<usize>,
    ) -> String {
        let (kind, value) = (call.arguments[place], arguments[place]);
        let next = arguments.get(place + 1).copied().unwrap_or(0);
        let has_failed = answer.is_some_and(|answer| error_of(answer).is_some());
        if is_given_back(kind) && (has_failed || value == 0) {
            return address(value);
        }
        match kind {
            Kind::Number | Kind::Signed | Kind::Pid | Kind::ExitStatus => {
                (value as isize).to_string()
            }
            Kind::Length => {
                let after_path = place > 0 && call.arguments[place - 1] == Kind::Path;
                let flags = if after_path { value & O_FCNTL_MASK } else { 0 };
                match flags {
                    0 => value.to_string(),
                    flags => format!("{}|{}", value & !O_FCNTL_MASK, flags::open(flags)),
                }
            }
            Kind::Fd | Kind::WantedFd => (value as isize).to_string(),
            Kind::Address | Kind::Metadata | Kind::Never => address(value),
            Kind::Text | Kind::Input => self.string(value, next),
            Kind::Path => self.path(value, next & !O_FCNTL_MASK),
            Kind::Output => self.string(value, answer.unwrap_or(0).min(next)),
            Kind::Offset if value == usize::MAX => "-1".into(),
            Kind::Offset => value.to_string(),
            Kind::OpenFlags | Kind::IoFlags => flags::open(value),
            Kind::UnlinkFlags => flags::unlink(value),
            Kind::Whence => flags::whence(value),
            Kind::FcntlCommand => flags::fcntl(value),
            Kind::FcntlArgument => {
                let command = arguments[place - 1];
                if command == abi::redox::flag::F_SETFL { flags::open(value) } else { hex(value) }
            }
            Kind::EventFlags => flags::event(value),
            Kind::CallFlags => flags::call(value),
            Kind::Protection => flags::protection(value),
            Kind::FutexOperation => flags::futex(value),
            Kind::Clock => flags::clock(value),
            Kind::WaitOptions => flags::wait(value),
            Kind::Signal => flags::signal(value),
            Kind::MaskHow => flags::mask_how(value),
            Kind::Stat
            | Kind::Map
            | Kind::TimeIn
            | Kind::TimeOut
            | Kind::Status
            | Kind::ActionIn
            | Kind::ActionOut
            | Kind::MaskIn
            | Kind::MaskOut
            | Kind::Exec
            | Kind::IdsIn
            | Kind::IdsOut => self.structure(kind, value).unwrap_or_else(|| address(value)),
        }
    }

    /// The answer: a value, or an error with its name and text.
    pub(crate) fn answer(&self, call: Option<&Call>, answer: usize) -> String {
        if answer == abi::trace::RESTARTS {
            return "? ERESTART (begins anew)".into();
        }
        if let Some(errno) = error_of(answer) {
            let text = abi::redox::error::Error::new(errno).to_string();
            let name = abi::errno::name(errno).map_or_else(|| errno.to_string(), str::to_owned);
            return format!("-1 {name} ({text})");
        }
        match call.map(|call| call.answer) {
            Some(Kind::Address) => hex(answer),
            Some(Kind::EventFlags) => flags::event(answer),
            _ => (answer as isize).to_string(),
        }
    }

    fn structure(&self, kind: Kind, at: usize) -> Option<String> {
        if at == 0 {
            return None;
        }
        Some(match kind {
            Kind::Stat => {
                let bytes: [u8; size_of::<Stat>()] = self.memory.array(at)?;
                let mode = u16::from_ne_bytes(part(&bytes, offset_of!(Stat, st_mode))?);
                let size = u64::from_ne_bytes(part(&bytes, offset_of!(Stat, st_size))?);
                format!("{{st_mode={}, st_size={size}, ...}}", flags::mode(mode))
            }
            Kind::Map => {
                let words = self.memory.words(at, size_of::<Map>() / 8)?;
                let map = flags::protection(words[2]);
                let (offset, size, near) = (words[0], words[1], address(words[3]));
                format!("{{offset={offset:#x}, size={size}, flags={map}, address={near}}}")
            }
            Kind::TimeIn | Kind::TimeOut => {
                let bytes: [u8; size_of::<TimeSpec>()] = self.memory.array(at)?;
                let seconds = i64::from_ne_bytes(part(&bytes, 0)?);
                let nanos = i32::from_ne_bytes(part(&bytes, 8)?);
                format!("{{tv_sec={seconds}, tv_nsec={nanos}}}")
            }
            Kind::Status => {
                let status = i32::from_ne_bytes(self.memory.array(at)?);
                format!("[{{{}}}]", how_it_is(status))
            }
            Kind::ActionIn | Kind::ActionOut => {
                let words = self.memory.words(at, size_of::<SigAction>() / 8)?;
                let handler = match words[0] {
                    SIG_DFL => "SIG_DFL".into(),
                    SIG_IGN => "SIG_IGN".into(),
                    handler => hex(handler),
                };
                let (options, mask) = (flags::action(words[1]), flags::signals(words[2] as u64));
                format!("{{sa_handler={handler}, sa_mask={mask}, sa_flags={options}}}")
            }
            Kind::MaskIn | Kind::MaskOut => {
                flags::signals(u64::from_ne_bytes(self.memory.array(at)?))
            }
            Kind::IdsIn | Kind::IdsOut => {
                let bytes: [u8; 16] = self.memory.array(at)?;
                let ids = bytes.chunks_exact(4).map(|id| id.try_into().map(i32::from_ne_bytes));
                let ids: Result<Vec<i32>, _> = ids.collect();
                let ids: Vec<String> = ids.ok()?.iter().map(i32::to_string).collect();
                format!("[{}]", ids.join(", "))
            }
            Kind::Exec => self.exec(at)?,
            _ => return None,
        })
    }

    /// `"/bin/ls", ["ls", "/"], 3 vars`
    fn exec(&self, at: usize) -> Option<String> {
        const COUNT: usize = size_of::<ExecArgs>() / 8;
        let words = self.memory.words(at, COUNT)?;
        let [_, _, args, args_len, count, _, _, envs, path, path_len] = words[..] else {
            return None;
        };
        let mut bytes = vec![0; args_len.min(64 << 10)];
        let length = self.memory.read(args, &mut bytes).ok()?;
        let strings = bytes[..length].split(|byte| *byte == 0).take(count);
        let strings: Vec<String> = strings.map(|s| quoted(s, self.string_length)).collect();
        Some(format!("{}, [{}], {envs} vars", self.path(path, path_len), strings.join(", ")))
    }

    fn path(&self, at: usize, length: usize) -> String {
        self.quote(at, length, abi::PATH_MAX)
    }

    fn string(&self, at: usize, length: usize) -> String {
        self.quote(at, length, self.string_length)
    }

    fn quote(&self, at: usize, length: usize, most: usize) -> String {
        if at == 0 && length == 0 {
            return "NULL".into();
        }
        let mut bytes = vec![0; length.min(most + 1)];
        match self.memory.read(at, &mut bytes) {
            Ok(count) => quoted(&bytes[..count], most),
            Err(_) if length == 0 => "\"\"".into(),
            Err(_) => address(at),
        }
    }
}

/// A status word, in the words of the macros that take it apart.
fn how_it_is(status: i32) -> String {
    let name = |signal: u8| flags::signal(signal.into());
    match (Change::from_status(status), Ended::from_status(status)) {
        (Some(Change::Continued), _) => "WIFCONTINUED(s)".into(),
        (Some(Change::Stopped(signal)), _) => {
            format!("WIFSTOPPED(s) && WSTOPSIG(s) == {}", name(signal))
        }
        (None, Ended::Exited(code)) => format!("WIFEXITED(s) && WEXITSTATUS(s) == {code}"),
        (None, Ended::Signalled(signal)) => {
            format!("WIFSIGNALED(s) && WTERMSIG(s) == {}", name(signal))
        }
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// The error that an answer stands for.
pub(crate) fn error_of(answer: usize) -> Option<i32> {
    let errno = answer.wrapping_neg();
    (1..4096).contains(&errno).then_some(errno as i32)
}

fn hex(value: usize) -> String {
    format!("{value:#x}")
}

fn address(value: usize) -> String {
    if value == 0 { "NULL".into() } else { hex(value) }
}

/// A string in quotes, cut after `most` bytes.
fn quoted(bytes: &[u8], most: usize) -> String {
    let shown = &bytes[..bytes.len().min(most)];
    let mut text = String::from("\"");
    for byte in shown {
        match byte {
            b'\n' => text += "\\n",
            b'\r' => text += "\\r",
            b'\t' => text += "\\t",
            b'"' => text += "\\\"",
            b'\\' => text += "\\\\",
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => text += &format!("\\{byte:o}"),
        }
    }
    text.push('"');
    if bytes.len() > most {
        text += "...";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_and_cut() {
        assert_eq!(quoted(b"plain", 32), "\"plain\"");
        assert_eq!(quoted(b"a\n\"\\\0\xFF", 32), "\"a\\n\\\"\\\\\\0\\377\"");
        assert_eq!(quoted(b"abcdef", 3), "\"abc\"...");
    }

    #[test]
    fn status_words_are_taken_apart() {
        let status = [Ended::Exited(7).status(), Ended::Signalled(9).status()];
        assert_eq!(how_it_is(status[0]), "WIFEXITED(s) && WEXITSTATUS(s) == 7");
        assert_eq!(how_it_is(status[1]), "WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL");
        let stopped = Change::Stopped(19).status();
        assert_eq!(how_it_is(stopped), "WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP");
        assert_eq!(how_it_is(Change::Continued.status()), "WIFCONTINUED(s)");
    }

    #[test]
    fn errors_are_told_from_values() {
        assert_eq!(error_of((abi::redox::error::ENOENT as usize).wrapping_neg()), Some(2));
        assert_eq!(error_of(0), None);
        assert_eq!(error_of(usize::MAX - 5000), None);
    }
}
