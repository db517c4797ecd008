//! Walking a thread's stack by its frame pointers, which every program of the system has.

use abi::redox::IntRegisters;

/// Most functions that are shown.
const DEPTH_MAX: usize = 256;

/// Where a thread is: its instruction, then the return addresses, the innermost first.
///
/// `word` reads the program's memory. `inside` says how far into its function an address is: on
/// the first instructions the frame pointer is still the caller's.
pub(super) fn walk(
    registers: &IntRegisters,
    word: impl Fn(usize) -> Option<usize>,
    inside: impl Fn(usize) -> Option<u64>,
) -> Vec<usize> {
    let mut places = vec![registers.rip];
    let early = match inside(registers.rip) {
        // Before and behind `push rbp`, which is one byte long.
        Some(0) => word(registers.rsp),
        Some(1) => word(registers.rsp.wrapping_add(8)),
        _ => None,
    };
    places.extend(early);
    let mut frame = registers.rbp;
    while places.len() < DEPTH_MAX && frame != 0 && frame.is_multiple_of(8) {
        let (Some(next), Some(place)) = (word(frame), word(frame.wrapping_add(8))) else { break };
        if place == 0 {
            break;
        }
        places.push(place);
        // Stacks grow downwards: what does not lead up is no frame.
        if next <= frame {
            break;
        }
        frame = next;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn registers(rip: usize, rsp: usize, rbp: usize) -> IntRegisters {
        IntRegisters { rip, rsp, rbp, ..IntRegisters::default() }
    }

    #[test]
    fn frames_are_followed_to_the_outermost() {
        let stack =
            BTreeMap::from([(0x100, 0x120), (0x108, 0xA1), (0x120, 0), (0x128, 0xA2), (0xF8, 0xA0)]);
        let word = |at| stack.get(&at).copied();
        assert_eq!(walk(&registers(1, 0xF0, 0x100), word, |_| Some(9)), [1, 0xA1, 0xA2]);
        // Where the function has not made its frame yet, its caller is on top of the stack.
        assert_eq!(walk(&registers(1, 0xF8, 0x100), word, |_| Some(0)), [1, 0xA0, 0xA1, 0xA2]);
        assert_eq!(walk(&registers(1, 0xF0, 0x100), word, |_| Some(1)), [1, 0xA0, 0xA1, 0xA2]);
    }

    #[test]
    fn nonsense_ends_the_walk() {
        assert_eq!(walk(&registers(1, 0, 0x101), |_| Some(5), |_| None), [1]);
        assert_eq!(walk(&registers(1, 0, usize::MAX - 7), |_| None, |_| None), [1]);
        assert_eq!(walk(&registers(1, 0, 0x100), |_| Some(0x100), |_| None), [1, 0x100]);
        let endless = walk(&registers(1, 0, 8), |at| Some(at + 16), |_| None);
        assert_eq!(endless.len(), DEPTH_MAX);
    }
}
