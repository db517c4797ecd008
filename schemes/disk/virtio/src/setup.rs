//! From a claim on a function to a virtio device: its registers, and its interrupt.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::rc::Rc;

use diskd::device::{Broken, Device};
use diskd::driver::{self, Claimed};
use pcid::mapping::Mapping;
use scheme::command::Failure;
use virtio_blkd::device::Disk;
use virtio_blkd::hal::{self, Shared};
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction, PciRoot};
use virtio_drivers::transport::pci::{PciTransport, VIRTIO_PCI_CAP_COMMON_CFG};

use crate::config::Config;

/// Offsets in the common configuration structure (4.1.4.3).
const QUEUE_SELECT: u64 = 0x16;
const QUEUE_VECTOR: u64 = 0x1A;
/// The queue whose interrupts are routed.
const QUEUE: u16 = 0;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    driver::run(arguments, open)
}

/// Parts of base address registers: which, how far behind its address they begin, and where.
type Mapped = Vec<(usize, i64, Mapping)>;

/// Registers as they are needed.
struct Registers {
    claimed: Rc<Claimed>,
    mapped: RefCell<Mapped>,
}

impl Registers {
    /// Where `size` bytes at an offset of a base address register are mapped.
    fn at(&self, bar: usize, offset: u64, size: usize) -> Option<NonNull<u8>> {
        let mut mapped = self.mapped.borrow_mut();
        let find = |mapped: &Mapped| {
            mapped.iter().find_map(|(index, start, mapping)| {
                let at = usize::try_from(i64::try_from(offset).ok()? - start).ok()?;
                let fits = at.checked_add(size).is_some_and(|end| end <= mapping.length());
                // SAFETY: it lies inside the mapping.
                (*index == bar && fits).then(|| unsafe { mapping.start().add(at) })
            })
        };
        if let Some(place) = find(&mapped) {
            return Some(place);
        }
        let (mapping, start) = self.claimed.function.registers(bar, offset).ok()?;
        mapped.push((bar, start, mapping));
        find(&mapped)
    }

    fn at_physical(&self, physical: u64, size: usize) -> Option<NonNull<u8>> {
        let bars = self.claimed.function.info.bars.iter().enumerate();
        let inside = |(index, bar): (usize, &Option<pcid::info::Bar>)| {
            let offset = physical.checked_sub(bar.as_ref()?.address)?;
            (offset < bar.as_ref()?.size).then_some((index, offset))
        };
        let (bar, offset) = { bars }.find_map(inside)?;
        self.at(bar, offset, size)
    }
}

fn open(claimed: &Rc<Claimed>) -> Result<Vec<Box<dyn Device>>, Broken> {
    let bytes = claimed.function.config().map_err(|error| error.to_string())?;
    let config = Config::new(&bytes, &claimed.function.info).ok_or("its configuration is short")?;
    let function = DeviceFunction { bus: 0, device: 0, function: 0 };
    let common = common(&config, function).ok_or("it is no modern virtio device")?;
    let registers = Rc::new(Registers { claimed: Rc::clone(claimed), mapped: RefCell::default() });
    let found = Rc::clone(&registers);
    hal::set_up(
        Rc::<Claimed>::clone(claimed),
        Box::new(move |physical, size| found.at_physical(physical, size)),
    );
    let transport = PciTransport::new::<Shared, _>(&mut PciRoot::new(config), function)
        .map_err(|error| error.to_string())?;
    let line = claimed.interrupt(0)?;
    let route = || match claimed.function.info.msix {
        0 => Ok(()),
        _ => route(&registers, common),
    };
    let wait = Box::new(move |limit| line.wait(limit));
    Ok(vec![Box::new(Disk::new(transport, &**claimed, route, wait)?)])
}

/// Routes the queue's interrupts to vector 0 of the device.
fn route(registers: &Registers, (bar, offset): (usize, u64)) -> Result<(), Broken> {
    let field = |at: u64| registers.at(bar, offset + at, 2).map(NonNull::cast::<u16>);
    let (Some(select), Some(vector)) = (field(QUEUE_SELECT), field(QUEUE_VECTOR)) else {
        return Err("its configuration lies outside its registers".into());
    };
    if !select.is_aligned() || !vector.is_aligned() {
        return Err("its configuration lies askew".into());
    }
    // SAFETY: both lie in the registers, aligned, and are the device's common configuration.
    let is_routed = unsafe {
        select.write_volatile(QUEUE);
        vector.write_volatile(0);
        vector.read_volatile() == 0
    };
    match is_routed {
        true => Ok(()),
        false => Err("it has no room for an interrupt".into()),
    }
}

/// Where the common configuration is: base address register and offset (4.1.4).
fn common(config: &Config, function: DeviceFunction) -> Option<(usize, u64)> {
    const VENDOR_CAPABILITY: u32 = 9;
    const CAPABILITIES_MAX: usize = 48;
    let mut at = config.read_word(function, 0x34) as u8 & 0xFC;
    for _ in 0..CAPABILITIES_MAX {
        if at == 0 || at > 0xF0 {
            return None;
        }
        let word = config.read_word(function, at);
        if word & 0xFF == VENDOR_CAPABILITY && word >> 24 == VIRTIO_PCI_CAP_COMMON_CFG.into() {
            let bar = config.read_word(function, at + 4) & 0xFF;
            return Some((bar as usize, config.read_word(function, at + 8).into()));
        }
        at = (word >> 8) as u8 & 0xFC;
    }
    None
}
