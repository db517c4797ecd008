//! `lsirq` — interrupt lines, and whose they are.

use crate::Tool;
use crate::arguments::Arguments;
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::source;

pub(crate) const TOOL: Tool = Tool {
    name: "lsirq",
    help: "\
lsirq - list the interrupt lines that are open or have fired

Usage: lsirq [--json]

Options:
  --json      for programs
  -h, --help  print this text
  --version   print the version

USE is who may open a line: nobody else (alone), all who share it (shared), or
nobody because it is the kernel's. ROUTE is the CPU it interrupts, or rr,
lowest or all. DRIVER has it, for a device of pci:. CPUS is how often it has
interrupted each CPU, COUNT the sum.

Examples:
  lsirq
  echo cpu=1 > irq:10/route

Files:
  irq:info, pci:*/info

See also: lspci
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let json = arguments.only_json()?;
    let info = source::read("irq", "info")?;
    // Without pci: there are lines all the same.
    let devices = std::fs::read_dir("/scheme/pci").into_iter().flatten().flatten();
    let devices: Vec<String> = devices
        .filter_map(|device| {
            let name = device.file_name().to_string_lossy().into_owned();
            source::read("pci", &format!("{name}/info")).ok()
        })
        .collect();
    output(&listing(&info, &devices).render(json))?;
    Ok(0)
}

fn listing(info: &str, devices: &[String]) -> Listing {
    let mut listing = Listing::new(&[
        ("LINE", "line"),
        ("USE", "use"),
        ("ROUTE", "route"),
        ("DRIVER", "driver"),
        ("COUNT", "count"),
        ("CPUS", "cpus"),
    ]);
    listing.rows.extend(info.lines().skip(1).filter_map(|line| row(line, devices)));
    listing
}

fn row(line: &str, devices: &[String]) -> Option<Vec<Cell>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [line, usage, route, _files, count, cpus @ ..] = &words[..] else { return None };
    let number: u16 = line.parse().ok()?;
    let drivers: Vec<&str> = devices.iter().filter_map(|text| driver_of(text, number)).collect();
    let drivers = if drivers.is_empty() { "-".to_owned() } else { drivers.join(",") };
    let cells = [*line, usage, route, &drivers, count, &cpus.join(" ")];
    Some(cells.map(|text| Cell::Text(text.to_owned())).to_vec())
}

/// The driver of the device that a text of `pci:` is about, if it has the line.
fn driver_of(text: &str, line: u16) -> Option<&str> {
    let has_line = text.lines().any(|fact| {
        let mut words = fact.split_whitespace();
        let found = words.next() == Some("irq") && words.next().is_some();
        found && words.next().and_then(|hex| u16::from_str_radix(hex, 16).ok()) == Some(line)
    });
    let driver = text.lines().find_map(|fact| fact.strip_prefix("driver "));
    driver.filter(|_| has_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_drivers() {
        let info = "LINE USE ROUTE FILES COUNT CPU0 CPU1\n\
                    4 kernel cpu=0 0 7 7 0\n\
                    64 alone cpu=0 2 30 10 20\n";
        let device = "class 010802\ndriver nvmed\nirq 0 40\n".to_owned();
        let expected = "LINE  USE     ROUTE  DRIVER  COUNT  CPUS\n\
                        4     kernel  cpu=0  -       7      7 0\n\
                        64    alone   cpu=0  nvmed   30     10 20\n";
        assert_eq!(listing(info, &[device]).render(false), expected);
    }
}
