//! Reading and writing decimal numbers without a formatter.

/// Reads a number at the beginning of `text` and gives the rest.
pub fn leading(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let value = text[..end].iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    (end > 0).then_some((value, &text[end..]))
}

/// The number behind `key` at the beginning of some line of `text`, as in `CPUs: 4`.
pub fn after_key(text: &[u8], key: &[u8]) -> Option<u64> {
    text.split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| leading(rest.trim_ascii_start()))
        .map(|(value, _)| value)
}

/// Writes `value` at the end of `buffer` and returns what it wrote.
pub fn decimal(mut value: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &buffer[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_found_on_its_line() {
        assert_eq!(after_key(b"Vendor: x\nCPUs: 12\n", b"CPUs:"), Some(12));
        assert_eq!(after_key(b"CPUs:\n", b"CPUs:"), None);
        assert_eq!(after_key(b"", b"CPUs:"), None);
    }

    #[test]
    fn too_large_is_no_number() {
        assert_eq!(leading(b"18446744073709551616"), None);
        assert_eq!(leading(b"x"), None);
    }

    proptest! {
        #[test]
        fn numbers_read_back(value: u64) {
            let mut buffer = [0; 20];
            prop_assert_eq!(leading(decimal(value, &mut buffer)), Some((value, &b""[..])));
        }
    }
}
