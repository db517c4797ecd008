//! What else the kernel has to know from the firmware: the ACPI root and the screen.

use boot_info::Framebuffer;
use uefi::boot;
use uefi::proto::console::gop::{GraphicsOutput, PixelFormat};
use uefi::system::with_config_table;
use uefi::table::cfg::ConfigTableEntry;

/// Where the ACPI root pointer is; 0 for nowhere. The newer kind is preferred.
pub(crate) fn rsdp() -> u64 {
    with_config_table(|table| {
        let of = |guid| table.iter().find(|entry| entry.guid == guid).map(|e| e.address as u64);
        of(ConfigTableEntry::ACPI2_GUID).or_else(|| of(ConfigTableEntry::ACPI_GUID)).unwrap_or(0)
    })
}

/// The screen in the mode that the firmware uses, if its pixels are in memory and of 32 bits.
pub(crate) fn framebuffer() -> Option<Framebuffer> {
    let handle = boot::get_handle_for_protocol::<GraphicsOutput>().ok()?;
    let mut output = boot::open_protocol_exclusive::<GraphicsOutput>(handle).ok()?;
    let info = output.current_mode_info();
    let shifts = match info.pixel_format() {
        PixelFormat::Rgb => [0, 8, 16],
        PixelFormat::Bgr => [16, 8, 0],
        PixelFormat::Bitmask => {
            let masks = info.pixel_bitmask()?;
            let masks = [masks.red, masks.green, masks.blue];
            let is_byte =
                |mask: &u32| mask.count_ones() == 8 && mask >> mask.trailing_zeros() == 0xFF;
            if !masks.iter().all(is_byte) {
                return None;
            }
            masks.map(|mask| mask.trailing_zeros() as u8)
        }
        PixelFormat::BltOnly => return None,
    };
    let (width, height) = info.resolution();
    let screen = Framebuffer {
        width: width as u32,
        height: height as u32,
        stride: info.stride() as u32 * 4,
        address: output.frame_buffer().as_mut_ptr() as u64,
        shifts,
        reserved: 0,
    };
    screen.size().map(|_| screen)
}
