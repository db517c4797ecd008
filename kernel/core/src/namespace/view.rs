//! `proc:PID/names` — which names of the namespace a process may use.
//!
//! A view only ever becomes narrower; a child begins with its parent's. What is open already, and
//! what others pass on, stays: a name is the way to a file, not the right to one.

use crate::error::{E2BIG, EINVAL, EPERM, Errno};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{Display, Formatter, Result as Formatted};

/// Most names in a list: comparing two lists must not keep the kernel busy, nor many of them fill
/// its heap.
const NAMES_MAX: usize = 64;

/// Names separated by blanks. Forking shares the list.
type Names = Arc<str>;

/// A process's view.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum View {
    /// Every name, also those that will be given later.
    #[default]
    All,
    /// These and no others.
    Only(Names),
    /// All but these.
    Without(Names),
}

impl View {
    /// Whether a name can be used.
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => contains(names, name),
            Self::Without(names) => !contains(names, name),
        }
    }

    /// Narrows it: `only NAME...` or `without NAME...`. `EINVAL` for another command, `EPERM` for a
    /// name that is not in the view, `E2BIG` for more names than a list may have.
    pub fn narrow(&self, command: &str) -> Result<Self, Errno> {
        let (verb, names) = command.split_once(' ').unwrap_or((command, ""));
        let names = names.split_ascii_whitespace();
        if names.clone().nth(NAMES_MAX).is_some() {
            return Err(Errno(E2BIG));
        }
        match verb {
            "only" if names.clone().all(|name| self.has(name)) => Ok(Self::Only(list(names))),
            "only" => Err(Errno(EPERM)),
            "without" if names.clone().next().is_none() => Err(Errno(EINVAL)),
            "without" => Ok(match self {
                Self::All => Self::Without(list(names)),
                Self::Only(have) => Self::Only(list(
                    have.split(' ').filter(|name| names.clone().all(|n| n != *name)),
                )),
                Self::Without(have) => {
                    let new: Vec<_> = names.filter(|name| !contains(have, name)).collect();
                    if have.split(' ').count() + new.len() > NAMES_MAX {
                        return Err(Errno(E2BIG));
                    }
                    Self::Without(list(have.split(' ').chain(new)))
                }
            }),
            _ => Err(Errno(EINVAL)),
        }
    }
}

fn contains(names: &str, name: &str) -> bool {
    names.split(' ').any(|have| have == name)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> Names {
    let joined = names.fold(String::new(), |mut joined, name| {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined + name
    });
    joined.into()
}

impl Display for View {
    fn fmt(&self, f: &mut Formatter<'_>) -> Formatted {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(names) => write!(f, "only {names}"),
            Self::Without(names) => write!(f, "without {names}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(commands: &[&str]) -> Result<String, Errno> {
        let view = commands.iter().try_fold(View::All, |view, command| view.narrow(command))?;
        Ok(alloc::format!("{view}"))
    }

    #[test]
    fn a_view_only_becomes_narrower() {
        let good = [
            (&[][..], "all"),
            (&["only ram  sys"], "only ram sys"),
            (&["only"], "only "),
            (&["without proc"], "without proc"),
            (&["without proc sys", "without sys irq"], "without proc sys irq"),
            (&["without proc", "only ram sys"], "only ram sys"),
            (&["only ram sys", "only sys"], "only sys"),
            (&["only ram sys", "without sys proc"], "only ram"),
        ];
        for (commands, shown) in good {
            assert_eq!(view(commands).as_deref(), Ok(shown), "{commands:?}");
        }
        for wide in [["only ram", "only ram sys"], ["without proc", "only proc"]] {
            assert_eq!(view(&wide), Err(Errno(EPERM)), "{wide:?}");
        }
        for bad in ["", "all", "without", "with ram"] {
            assert_eq!(view(&[bad]), Err(Errno(EINVAL)), "{bad}");
        }
    }

    #[test]
    fn lists_do_not_grow_without_end() {
        let many = |verb: &str, from: usize, count: usize| {
            let names = (from..from + count).map(|number| alloc::format!(" n{number}"));
            names.fold(String::from(verb), |line, name| line + &name)
        };
        assert_eq!(view(&[&many("only", 0, 65)]), Err(Errno(E2BIG)));
        assert!(view(&[&many("without", 0, 64), "without n5"]).is_ok());
        assert_eq!(view(&[&many("without", 0, 64), "without more"]), Err(Errno(E2BIG)));
    }

    #[test]
    fn only_whole_names_count() {
        let view = View::All.narrow("only ram").expect("a good command");
        assert_eq!(
            ["ram", "ra", "ramd", ""].map(|name| view.has(name)),
            [true, false, false, false]
        );
        let none = View::All.narrow("only").expect("a good command");
        assert!(!none.has("ram"));
    }
}
