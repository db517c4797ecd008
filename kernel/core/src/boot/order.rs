//! The order of things that need each other.

use alloc::vec::Vec;
use core::fmt;

/// Something with a name that needs others first.
pub trait Ordered<'a> {
    /// What others call it.
    fn name(&self) -> &'a str;
    /// The names of those that must come before it.
    fn needs(&self) -> &'a [&'a str];
    /// Its group: all of a lower group come before all of a higher one.
    fn group(&self) -> usize;
}

/// Why there is no order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OrderError<'a> {
    /// Two have the same name.
    Duplicate(&'a str),
    /// One needs another that does not exist.
    Unknown {
        /// Who needs it.
        name: &'a str,
        /// What does not exist.
        need: &'a str,
    },
    /// One needs another of a later group.
    TooEarly {
        /// Who needs it.
        name: &'a str,
        /// What comes later.
        need: &'a str,
    },
    /// Each needs the next, and the last needs the first.
    Cycle(Vec<&'a str>),
}

impl fmt::Display for OrderError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(name) => write!(f, "{name} is there twice"),
            Self::Unknown { name, need } => write!(f, "{name} needs {need}, which does not exist"),
            Self::TooEarly { name, need } => write!(f, "{name} needs {need}, which comes later"),
            Self::Cycle(names) => {
                f.write_str("circle: ")?;
                names.iter().try_for_each(|name| write!(f, "{name} needs "))?;
                f.write_str(names.first().unwrap_or(&""))
            }
        }
    }
}

/// Sorts `items` so that each comes after all it needs; among those that could be next, the one
/// of the lowest group, then the one registered first. Returns indexes.
///
/// # Errors
///
/// See [`OrderError`].
pub fn order<'a, T: Ordered<'a>>(items: &[T]) -> Result<Vec<usize>, OrderError<'a>> {
    let needs = resolve(items)?;
    let mut sorted = Vec::with_capacity(items.len());
    let mut is_done = alloc::vec![false; items.len()];
    while sorted.len() < items.len() {
        let is_ready =
            |index: &usize| !is_done[*index] && needs[*index].iter().all(|i| is_done[*i]);
        let ready = (0..items.len()).filter(is_ready);
        match ready.min_by_key(|index| (items[*index].group(), *index)) {
            Some(next) => {
                is_done[next] = true;
                sorted.push(next);
            }
            None => return Err(cycle(items, &needs, &is_done)),
        }
    }
    Ok(sorted)
}

/// Turns names into indexes.
fn resolve<'a, T: Ordered<'a>>(items: &[T]) -> Result<Vec<Vec<usize>>, OrderError<'a>> {
    let find = |name: &str| items.iter().position(|item| item.name() == name);
    let mut all = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let name = item.name();
        if find(name) != Some(index) {
            return Err(OrderError::Duplicate(name));
        }
        let mut needs = Vec::with_capacity(item.needs().len());
        for &need in item.needs() {
            let found = find(need).ok_or(OrderError::Unknown { name, need })?;
            if items[found].group() > item.group() {
                return Err(OrderError::TooEarly { name, need });
            }
            needs.push(found);
        }
        all.push(needs);
    }
    Ok(all)
}

/// Finds one circle among those that are left: everyone left needs someone left, so walking along
/// needs must come back to where it has been.
fn cycle<'a, T: Ordered<'a>>(
    items: &[T],
    needs: &[Vec<usize>],
    is_done: &[bool],
) -> OrderError<'a> {
    let mut walk: Vec<usize> = Vec::new();
    let mut at = is_done.iter().position(|done| !done);
    while let Some(index) = at {
        if let Some(start) = walk.iter().position(|seen| *seen == index) {
            return OrderError::Cycle(walk[start..].iter().map(|i| items[*i].name()).collect());
        }
        walk.push(index);
        at = needs[index].iter().copied().find(|need| !is_done[*need]);
    }
    OrderError::Cycle(Vec::new())
}
