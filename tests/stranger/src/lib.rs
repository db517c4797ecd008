//! A library whose documentation has tests: rustdoc compiles those that can share a program into one.

/// Twice as much.
///
/// ```
/// assert_eq!(stranger::twice(4), 8);
/// ```
///
/// ```should_panic
/// stranger::twice(u32::MAX);
/// ```
///
/// ```standalone_crate
/// assert_eq!(stranger::twice(0), 0);
/// ```
pub fn twice(number: u32) -> u32 {
    number.checked_mul(2).expect("a number that fits")
}
