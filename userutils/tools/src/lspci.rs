//! `lspci` — the devices on the PCI buses.

use crate::Tool;
use crate::arguments::Arguments;
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::source;

pub(crate) const TOOL: Tool = Tool {
    name: "lspci",
    help: "\
lspci - list the devices on the PCI buses

Usage: lspci [--json]

Options:
  --json      for programs
  -h, --help  print this text
  --version   print the version

ADDRESS is bus, device and function, ID vendor and device, CLASS class,
subclass and interface, all in hex. INTERRUPTS is what it can send: messages by
MSI-X or MSI, or a signal on a wire.

Examples:
  lspci
  cat pci:00:1f.2/info

Files:
  pci:*/info

See also: lsblk
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let json = arguments.only_json()?;
    let entries = std::fs::read_dir("/scheme/pci").map_err(|error| Failure::of("pci:", error))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut listing = Listing::new(&[
        ("ADDRESS", "address"),
        ("ID", "id"),
        ("CLASS", "class"),
        ("INTERRUPTS", "interrupts"),
        ("DRIVER", "driver"),
        ("KIND", "kind"),
    ]);
    for name in names {
        let text = source::read("pci", &format!("{name}/info"))?;
        listing.rows.push(row(&name, &text));
    }
    output(&listing.render(json))?;
    Ok(0)
}

fn row(name: &str, text: &str) -> Vec<Cell> {
    let value = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        found.unwrap_or("-")
    };
    let class = value("class");
    let interrupts = match (value("msix"), value("msi"), value("line")) {
        ("-", "-", "-") => "-",
        ("-", "-", _) => "wire",
        ("-", ..) => "msi",
        _ => "msix",
    };
    let id = format!("{}:{}", value("vendor"), value("device"));
    let cells = [name, &id, class, interrupts, value("driver"), kind(class)];
    cells.map(|text| Cell::Text(text.to_owned())).to_vec()
}

/// What kind of device a class is (PCI Code and ID Assignment, 1.16).
fn kind(class: &str) -> &'static str {
    match (class.get(..2), class.get(2..4), class.get(4..)) {
        (Some("01"), Some("06"), Some("01")) => "AHCI controller",
        (Some("01"), Some("08"), Some("02")) => "NVMe controller",
        (Some("01"), ..) => "storage",
        (Some("02"), ..) => "network",
        (Some("03"), ..) => "display",
        (Some("04"), ..) => "multimedia",
        (Some("06"), Some("00"), _) => "host bridge",
        (Some("06"), Some("01"), _) => "ISA bridge",
        (Some("06"), Some("04"), _) => "PCI bridge",
        (Some("0c"), Some("03"), _) => "USB controller",
        (Some("0c"), Some("05"), _) => "SMBus",
        _ => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_row() {
        let text = "vendor 8086\ndevice 2922\nclass 010601\nrevision 02\nmsi 1\nline a\n\
                    driver ahcid\nirq 0 40\n";
        let mut listing = Listing::new(&["a", "i", "c", "n", "d", "k"].map(|key| ("", key)));
        listing.rows.push(row("00:1f.2", text));
        let shown = listing.render(false);
        assert!(
            shown.contains("00:1f.2  8086:2922  010601  msi  ahcid  AHCI controller"),
            "{shown}"
        );
    }
}
