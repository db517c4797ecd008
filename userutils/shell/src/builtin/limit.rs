//! `ulimit` — what the shell, and all it starts, may use.

use nix::errno::Errno;
use nix::libc::{self, c_int, rlim_t};

use super::{failure, usage};
use crate::run::Flow;
use crate::state::Shell;

/// A limit that can be asked for.
#[derive(Debug)]
struct Resource {
    letter: char,
    what: &'static str,
    /// What its numbers count.
    unit: &'static str,
    /// Bytes, or whatever else the system counts, in such a unit.
    size: rlim_t,
    number: c_int,
}

const fn resource(
    letter: char,
    what: &'static str,
    unit: &'static str,
    size: rlim_t,
    number: c_int,
) -> Resource {
    Resource { letter, what, unit, size, number }
}

/// By letter.
static RESOURCES: [Resource; 7] = [
    resource('c', "core file", "blocks of 512 bytes", 512, libc::RLIMIT_CORE as c_int),
    resource('d', "data", "KiB", 1024, libc::RLIMIT_DATA as c_int),
    resource('f', "written file", "blocks of 512 bytes", 512, libc::RLIMIT_FSIZE as c_int),
    resource('n', "open files", "", 1, libc::RLIMIT_NOFILE as c_int),
    resource('s', "stack", "KiB", 1024, libc::RLIMIT_STACK as c_int),
    resource('t', "CPU time", "s", 1, libc::RLIMIT_CPU as c_int),
    resource('v', "memory", "KiB", 1024, libc::RLIMIT_AS as c_int),
];

/// The soft limit and the hard one.
#[derive(Clone, Copy)]
struct Limits {
    soft: rlim_t,
    hard: rlim_t,
}

impl Resource {
    fn get(&self) -> Result<Limits, Errno> {
        let mut place = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the place for the answer is ours.
        Errno::result(unsafe { libc::getrlimit(self.number as _, &mut place) })?;
        Ok(Limits { soft: place.rlim_cur, hard: place.rlim_max })
    }

    fn set(&self, limits: Limits) -> Result<(), Errno> {
        let wanted = libc::rlimit { rlim_cur: limits.soft, rlim_max: limits.hard };
        // SAFETY: the call only reads it.
        Errno::result(unsafe { libc::setrlimit(self.number as _, &wanted) }).map(drop)
    }

    /// A limit in its unit.
    fn shown(&self, limit: rlim_t) -> String {
        match limit {
            libc::RLIM_INFINITY => "unlimited".to_owned(),
            limit => (limit / self.size).to_string(),
        }
    }

    /// What somebody has written.
    fn parse(&self, text: &str) -> Option<rlim_t> {
        match text {
            "unlimited" => Some(libc::RLIM_INFINITY),
            text => text.parse::<rlim_t>().ok()?.checked_mul(self.size),
        }
    }
}

/// What the words ask for.
struct Wish<'a> {
    resource: &'static Resource,
    is_all: bool,
    is_soft: bool,
    is_hard: bool,
    limit: Option<&'a str>,
}

fn understand(words: &[String]) -> Result<Wish<'_>, String> {
    let file = &RESOURCES[2];
    let mut wish =
        Wish { resource: file, is_all: false, is_soft: false, is_hard: false, limit: None };
    for word in words {
        match word.strip_prefix('-') {
            Some(letters) if wish.limit.is_none() && !letters.is_empty() => {
                for letter in letters.chars() {
                    match letter {
                        'a' => wish.is_all = true,
                        'S' => wish.is_soft = true,
                        'H' => wish.is_hard = true,
                        letter => {
                            let found = RESOURCES.iter().find(|known| known.letter == letter);
                            wish.resource =
                                found.ok_or_else(|| format!("-{letter}: no such limit"))?;
                        }
                    }
                }
            }
            _ if wish.limit.is_some() || wish.is_all => return Err(format!("{word}: is too much")),
            _ => wish.limit = Some(word),
        }
    }
    if !wish.is_soft && !wish.is_hard {
        (wish.is_soft, wish.is_hard) = (true, wish.limit.is_some());
    }
    Ok(wish)
}

pub(super) fn ulimit(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let wish = match understand(&args[1..]) {
        Ok(wish) => wish,
        Err(what) => return usage(shell, args, what),
    };
    let told = match wish.limit {
        _ if wish.is_all => all(&wish, output),
        None => wish.resource.get().map_err(|errno| (wish.resource.what, errno)).map(|have| {
            let limit = if wish.is_soft { have.soft } else { have.hard };
            output.push_str(&format!("{}\n", wish.resource.shown(limit)));
        }),
        Some(text) => match wish.resource.parse(text) {
            Some(limit) => change(&wish, limit).map_err(|errno| (wish.resource.what, errno)),
            None => {
                return usage(shell, args, format_args!("{text}: is no number, nor `unlimited`"));
            }
        },
    };
    match told {
        Ok(()) => Ok(0),
        Err((what, errno)) => failure(shell, args, format_args!("{what}: {}", errno.desc())),
    }
}

fn change(wish: &Wish<'_>, limit: rlim_t) -> Result<(), Errno> {
    let have = wish.resource.get()?;
    wish.resource.set(Limits {
        soft: if wish.is_soft { limit } else { have.soft },
        hard: if wish.is_hard { limit } else { have.hard },
    })
}

fn all(wish: &Wish<'_>, output: &mut String) -> Result<(), (&'static str, Errno)> {
    for resource in &RESOURCES {
        let have = resource.get().map_err(|errno| (resource.what, errno))?;
        let limit = resource.shown(if wish.is_soft { have.soft } else { have.hard });
        let Resource { letter, what, unit, .. } = resource;
        output.push_str(format!("-{letter}  {what:12}  {limit:>12}  {unit}").trim_end());
        output.push('\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        let [core, .., memory] = &RESOURCES;
        assert_eq!(memory.parse("64"), Some(64 << 10));
        assert_eq!(memory.shown(64 << 10), "64");
        assert_eq!(core.parse("unlimited"), Some(libc::RLIM_INFINITY));
        assert_eq!(core.shown(libc::RLIM_INFINITY), "unlimited");
        for wrong in ["", "-1", "much", "1k", "99999999999999999999", "18446744073709551615"] {
            assert_eq!(memory.parse(wrong), None, "{wrong}");
        }
    }
}
