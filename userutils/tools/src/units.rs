//! Numbers for people.

/// Bytes with a binary unit and one decimal: `1.5 MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Time on a CPU: `HH:MM:SS.cc`.
pub(crate) fn clock(nanoseconds: u64) -> String {
    let hundredths = nanoseconds / 10_000_000;
    let seconds = hundredths / 100;
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
    format!("{hours:02}:{minutes:02}:{:02}.{:02}", seconds % 60, hundredths % 100)
}

/// Time since the boot: `3 d 04:05:06`.
pub(crate) fn uptime(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days} d {clock}") } else { clock }
}

/// Whole seconds of `sys:uptime`, which has decimals.
pub(crate) fn whole_seconds(text: &str) -> u64 {
    text.trim().split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!((size(0).as_str(), size(1023).as_str()), ("0 B", "1023 B"));
        assert_eq!((size(1024).as_str(), size(1536).as_str()), ("1.0 KB", "1.5 KB"));
        assert_eq!((size(1 << 20).as_str(), size(5 << 30).as_str()), ("1.0 MB", "5.0 GB"));
    }

    #[test]
    fn times_have_their_forms() {
        assert_eq!(clock(3_723_456_000_000), "01:02:03.45");
        assert_eq!(uptime(3723), "01:02:03");
        assert_eq!(uptime(2 * 86_400 + 5), "2 d 00:00:05");
        assert_eq!((whole_seconds("12.345\n"), whole_seconds("x")), (12, 0));
    }
}
