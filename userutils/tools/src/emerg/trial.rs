//! `emerg test` — an emergency that nobody has to decide, and its figures.

use crate::failure::{Failure, output};
use crate::source::{self, Values};

/// Runs it. Status 1 when a page was lost.
pub(super) fn run() -> Result<u8, Failure> {
    source::write("emergency", "ctl", "test")?;
    let log = source::read("emergency", "log")?;
    let values = Values::parse(log.rsplit("\n\n").next().unwrap_or_default());
    output(&report(&values))?;
    Ok(u8::from(values.number("lost_pages", 0) > 0))
}

fn report(values: &Values) -> String {
    let number = |key| values.number(key, 0);
    let pages = number("evacuated");
    if pages == 0 {
        return format!("picker: {} us; there is no store to test\n", number("picker_us"));
    }
    let mut text = format!("picker: {} us\n", number("picker_us"));
    for (what, time, raw, pages) in [
        ("written", number("write_ns"), number("raw_write_ns"), pages),
        ("restored", number("read_ns"), number("raw_read_ns"), number("restored")),
    ] {
        let rate = rate(pages, time);
        let raw = rate_or_none(number("raw_pages"), raw);
        let share = raw.map_or(String::new(), |raw| {
            format!("; the disk alone: {raw} MB/s, {} %", rate * 100 / raw.max(1))
        });
        text += &format!(
            "{what}: {pages} pages, {} ns each, {rate} MB/s{share}\n",
            time / pages.max(1)
        );
    }
    text + &format!("lost: {}\n", number("lost_pages"))
}

/// MB a second.
fn rate(pages: u64, ns: u64) -> u64 {
    pages * 4096 * 1000 / ns.max(1)
}

fn rate_or_none(pages: u64, ns: u64) -> Option<u64> {
    (pages > 0).then(|| rate(pages, ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_beside_the_disks_own() {
        let values = Values::parse(
            "picker_us: 5\nevacuated: 1000\nwrite_ns: 8192000\nrestored: 1000\nread_ns: 4096000\n\
             raw_pages: 500\nraw_write_ns: 2048000\nraw_read_ns: 2048000\nlost_pages: 0",
        );
        let text = report(&values);
        assert!(text.contains("written: 1000 pages, 8192 ns each, 500 MB/s"), "{text}");
        assert!(text.contains("the disk alone: 1000 MB/s, 50 %"), "{text}");
        assert!(text.contains("restored: 1000 pages, 4096 ns each, 1000 MB/s"), "{text}");
        assert!(report(&Values::default()).contains("no store"));
    }
}
