//! The panic report, against a golden file.

use kernel_core::boot::KernelState;
use kernel_core::panic::{Location, PanicAction, Report, StackFrame, Thread};

const GOLDEN: &str = include_str!("golden/panic.txt");
const GOLDEN_BARE: &str = include_str!("golden/panic-bare.txt");

fn report() -> Report<'static> {
    Report {
        message: &"index out of bounds: the len is 5 but the index is 10",
        location: Some(Location {
            file: "kernel/core/src/boot/pipeline.rs",
            line: 142,
            column: 25,
        }),
        thread: Some(Thread { name: "kernel_init", tid: 1 }),
        state: KernelState::Initializing,
        call: None,
        registers: &[
            ("RAX", 5),
            ("RBX", 10),
            ("RCX", 0xFFFF_FFFF_8001_2345),
            ("RDX", 0),
            ("RFLAGS", 0x202),
        ],
        frames: &[
            StackFrame {
                address: 0xFFFF_FFFF_8000_1000,
                symbol: Some(("_ZN4core9panicking18panic_bounds_check17h0123456789abcdefE", 0)),
            },
            StackFrame {
                address: 0xFFFF_FFFF_8000_2030,
                symbol: Some(("_RNvNtCs1234_11kernel_core4boot3run", 0x30)),
            },
            StackFrame { address: 0xFFFF_FFFF_8000_3000, symbol: None },
            StackFrame { address: 0xFFFF_FFFF_8000_4004, symbol: Some(("_start", 4)) },
        ],
        action: PanicAction::Halt,
    }
}

#[test]
fn a_report_looks_as_agreed() {
    assert_eq!(report().to_string(), GOLDEN);
}

#[test]
fn a_report_says_what_is_not_known() {
    let bare = Report {
        location: None,
        thread: None,
        state: KernelState::Running,
        call: Some(&format_args!("read(3, 0x1000, 10)")),
        registers: &[],
        frames: &[],
        action: PanicAction::Reboot,
        ..report()
    };
    assert_eq!(bare.to_string(), GOLDEN_BARE);
}

#[test]
fn the_frame_numbers_stay_in_line() {
    let frames = [StackFrame { address: 0, symbol: None }; 12];
    let text = Report { frames: &frames, ..report() }.to_string();
    assert!(text.contains("  #9  0x0000000000000000\n  #10 0x0000000000000000\n"));
}

#[test]
fn actions_are_read_by_name() {
    for (text, action) in [
        ("halt", PanicAction::Halt),
        ("Reboot", PanicAction::Reboot),
        ("debugbreak", PanicAction::DebugBreak),
        ("CONTINUE", PanicAction::Continue),
    ] {
        assert_eq!(PanicAction::parse(text), Some(action));
    }
    assert_eq!(PanicAction::parse("ignore"), None);
}
