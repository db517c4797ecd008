//! The files of `sys:` that init reads and writes, as text in and values out.

/// The value of `key` in `sys:env`, the boot command line as `KEY=value` lines. The last wins.
pub(crate) fn boot_value<'a>(env: &'a str, key: &str) -> Option<&'a str> {
    env.lines().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// Whether `word` is on the boot command line.
pub(crate) fn has_boot_word(env: &str, word: &str) -> bool {
    env.lines().any(|line| line == word || line.strip_prefix(word) == Some("="))
}

/// The first of `names` that `sys:scheme` (`NAME kernel` and `NAME user PID` lines) does not list.
pub(crate) fn first_missing<'a>(schemes: &str, names: &'a [String]) -> Option<&'a str> {
    let is_listed =
        |name: &str| schemes.lines().any(|line| line.split_whitespace().next() == Some(name));
    names.iter().map(String::as_str).find(|name| !is_listed(name))
}

/// The command in `exec=`: UTF-8 text in hexadecimal, so that the boot command line need not
/// quote anything.
pub(crate) fn decode_command(hex: &str) -> Result<String, String> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err(format!("exec= has an odd number of digits: {}", digits.len()));
    }
    let byte = |pair: &[u8]| {
        let text = str::from_utf8(pair).ok()?;
        if text.starts_with('+') { None } else { u8::from_str_radix(text, 16).ok() }
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    let bytes = bytes.ok_or("exec= holds something else than hexadecimal digits")?;
    String::from_utf8(bytes).map_err(|_| "exec= does not decode to UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_values_are_found_by_their_whole_key() {
        let env = "debug=1\nexecutor=no\nexec=6c73\nempty=\n";
        assert_eq!(boot_value(env, "exec"), Some("6c73"));
        assert_eq!(boot_value(env, "empty"), Some(""));
        assert_eq!(boot_value(env, "exe"), None);
        assert_eq!(boot_value("a=1\na=2", "a"), Some("2"));
    }

    #[test]
    fn boot_words_are_found_whole() {
        assert!(has_boot_word("log=info\nrescue\n", "rescue"));
        assert!(has_boot_word("rescue=\n", "rescue"));
        assert!(!has_boot_word("rescued\nmode=rescue\n", "rescue"));
    }

    #[test]
    fn schemes_are_found_by_their_whole_name() {
        let schemes = "sys kernel\nrandom user 7\n";
        let missing = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            first_missing(schemes, &names).map(str::to_owned)
        };
        assert_eq!(missing(&["random", "sys"]), None);
        assert_eq!(missing(&["sys", "rand", "user"]).as_deref(), Some("rand"));
        assert_eq!(missing(&["kernel"]).as_deref(), Some("kernel"));
        assert_eq!(missing(&[]), None);
    }

    #[test]
    fn a_command_survives_any_character() {
        let command = "echo 'a b' > ram:x; \"ü\"\n";
        let hex: String = command.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(decode_command(&hex), Ok(command.into()));
        assert_eq!(decode_command(""), Ok(String::new()));
    }

    #[test]
    fn what_is_not_hexadecimal_is_refused() {
        for bad in ["a", "+1", "zz", "ff", "é"] {
            assert!(decode_command(bad).is_err(), "{bad}");
        }
    }
}
