//! Hosts' names without a network: numeric addresses and `/etc/hosts`.

use core::net::IpAddr;

/// A name that is an address, as people and URLs write it: `10.0.0.1`, `::1`, `[::1]`, `fe80::1%3`.
pub fn numeric(name: &[u8]) -> Option<IpAddr> {
    let inner = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
    // What follows a `%` names a network card, of which there are none to tell apart.
    let end = name.iter().position(|&byte| byte == b'%');
    let name = inner.unwrap_or(&name[..end.unwrap_or(name.len())]);
    let address: IpAddr = str::from_utf8(name).ok()?.parse().ok()?;
    let plain = inner.is_none() && end.is_none();
    (plain || address.is_ipv6()).then_some(address)
}

/// The addresses that the text of `/etc/hosts` gives to a name, in its order. Names are compared
/// without regard to case.
pub fn listed<'a>(text: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = IpAddr> + 'a {
    text.split(|&byte| byte == b'\n').filter_map(move |line| {
        let line = line.split(|&byte| byte == b'#').next()?;
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let address = numeric(words.next()?)?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    })
}

/// The first name that the text of `/etc/hosts` gives to an address.
pub fn named(text: &[u8], address: IpAddr) -> Option<&[u8]> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let line = line.split(|&byte| byte == b'#').next()?;
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        if numeric(words.next()?) == Some(address) { words.next() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, name: &str) -> Vec<String> {
        listed(text.as_bytes(), name.as_bytes()).map(|address| address.to_string()).collect()
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let text = |name: &str| numeric(name.as_bytes()).map(|address| address.to_string());
        assert_eq!(text("10.1.2.3").as_deref(), Some("10.1.2.3"));
        assert_eq!(text("[2001:db8::1]").as_deref(), Some("2001:db8::1"));
        assert_eq!(text("fe80::1%2").as_deref(), Some("fe80::1"));
        for bad in ["", "10.1.2", "10.1.2.256", "[10.1.2.3]", "10.1.2.3%1", "::1]", "host", "1"] {
            assert_eq!(text(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_may_have_several_addresses_and_an_address_several_names() {
        let hosts =
            "127.0.0.1\tlocalhost lifeboat # this one\n::1 localhost\n\n# 1.1.1.1 lifeboat\n";
        assert_eq!(found(hosts, "LocalHost"), ["127.0.0.1", "::1"]);
        assert_eq!(found(hosts, "lifeboat"), ["127.0.0.1"]);
        assert_eq!(found(hosts, "this"), [""; 0]);
        let name = |address: &str| {
            named(hosts.as_bytes(), address.parse().expect("an address")).map(<[u8]>::to_vec)
        };
        assert_eq!(name("127.0.0.1").as_deref(), Some(&b"localhost"[..]));
        assert_eq!(name("::1").as_deref(), Some(&b"localhost"[..]));
        assert_eq!(name("1.1.1.1"), None);
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        assert_eq!(found("nonsense host\n10.0.0.1\n \n10.0.0.2 host", "host"), ["10.0.0.2"]);
    }
}
