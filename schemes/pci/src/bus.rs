//! Finding functions: every bus that firmware has numbered, bridges followed by their own numbers.

use pci_types::capability::PciCapability;
use pci_types::{
    Bar as Register, CommandRegister, ConfigRegionAccess, EndpointHeader, HeaderType, PciAddress,
    PciHeader, PciPciBridgeHeader,
};

use crate::info::{Bar, Info};

/// What a slot without a device answers.
const NOBODY: u16 = 0xFFFF;

/// A function that was found.
#[derive(Clone, Debug)]
pub struct Function {
    /// Where on the buses.
    pub address: PciAddress,
    /// What it is.
    pub info: Info,
    /// It was taken out.
    pub is_gone: bool,
}

impl Function {
    /// Its name in `pci:`: bus, device and function, behind the segment unless that is 0.
    pub fn name(&self) -> String {
        let name = self.address.to_string();
        name.strip_prefix("0000:").map_or(name.clone(), str::to_owned)
    }
}

/// All functions on `bus` and behind its bridges, in the order of their addresses. `last` is the
/// last bus that there can be.
pub fn scan(access: &impl ConfigRegionAccess, segment: u16, bus: u8, last: u8) -> Vec<Function> {
    let mut found = Vec::new();
    let mut buses = vec![bus];
    let mut seen = [false; 256];
    while let Some(bus) = buses.pop() {
        // Bridges that lead back would be followed for ever.
        if bus > last || std::mem::replace(&mut seen[usize::from(bus)], true) {
            continue;
        }
        for device in 0..32 {
            scan_device(access, PciAddress::new(segment, bus, device, 0), &mut found, &mut buses);
        }
    }
    found.sort_by_key(|function| function.address);
    found
}

fn scan_device(
    access: &impl ConfigRegionAccess,
    first: PciAddress,
    found: &mut Vec<Function>,
    buses: &mut Vec<u8>,
) {
    let header = PciHeader::new(first);
    if header.id(access).0 == NOBODY {
        return;
    }
    let count = if header.has_multiple_functions(access) { 8 } else { 1 };
    for number in 0..count {
        let address = PciAddress::new(first.segment(), first.bus(), first.device(), number);
        let header = PciHeader::new(address);
        if header.id(access).0 == NOBODY {
            continue;
        }
        found.push(Function { address, info: look(access, address), is_gone: false });
        if let Some(bridge) = PciPciBridgeHeader::from_header(header, access) {
            buses.push(bridge.secondary_bus_number(access));
        }
    }
}

fn look(access: &impl ConfigRegionAccess, address: PciAddress) -> Info {
    let header = PciHeader::new(address);
    let (vendor, device) = header.id(access);
    let (revision, class, subclass, interface) = header.revision_and_class(access);
    let class = u32::from(class) << 16 | u32::from(subclass) << 8 | u32::from(interface);
    let mut info = Info { vendor, device, class, revision, ..Info::default() };
    if header.header_type(access) != HeaderType::Endpoint {
        return info;
    }
    let Some(mut endpoint) = EndpointHeader::from_header(header, access) else { return info };
    // The device must not answer at the addresses that are written to learn the sizes.
    let before = endpoint.command(access);
    let decoding = CommandRegister::MEMORY_ENABLE | CommandRegister::IO_ENABLE;
    endpoint.update_command(access, |command| command - decoding);
    info.bars = bars(access, &endpoint);
    endpoint.update_command(access, |_| before);
    for capability in endpoint.capabilities(access).take(CAPABILITIES_MAX) {
        match capability {
            PciCapability::MsiX(msix) => {
                info.msix = msix.table_size();
                info.table = Some((usize::from(msix.table_bar()), msix.table_offset().into()));
            }
            PciCapability::Msi(_) => info.has_msi = true,
            _ => {}
        }
    }
    let (pin, line) = endpoint.interrupt(access);
    info.line = (pin != 0 && line != 0xFF).then_some(line);
    info
}

/// As many as fit into the first 256 bytes; a list that is longer goes round in a circle.
const CAPABILITIES_MAX: usize = 48;

fn bars(access: &impl ConfigRegionAccess, endpoint: &EndpointHeader) -> [Option<Bar>; 6] {
    let mut bars = [None; 6];
    let mut slot = 0;
    while slot < 6 {
        let (bar, width) = match endpoint.bar(slot, access) {
            Some(Register::Memory32 { address, size, .. }) => {
                (memory(address.into(), size.into()), 1)
            }
            Some(Register::Memory64 { address, size, .. }) => (memory(address, size), 2),
            Some(Register::Io { port }) => {
                (Some(Bar { is_memory: false, address: port.into(), size: 0 }), 1)
            }
            None => (None, 1),
        };
        bars[usize::from(slot)] = bar;
        slot += width;
    }
    bars
}

/// Registers that firmware has given no address cannot be reached.
fn memory(address: u64, size: u64) -> Option<Bar> {
    (address != 0 && size != 0).then_some(Bar { is_memory: true, address, size })
}
