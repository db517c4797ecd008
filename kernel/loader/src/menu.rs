//! The menu: one line, and a moment to press a key.

use loader::choice::{Choice, MENU};
use uefi::boot::{self, EventType, TimerTrigger, Tpl};
use uefi::proto::console::text::Key;
use uefi::system::with_stdin;

/// Time is counted in these.
const STEP: core::time::Duration = core::time::Duration::from_millis(20);
const STEPS_PER_SECOND: u64 = 50;

/// Asks how to boot, for `seconds` at most. Without an answer, as always.
pub(crate) fn ask(seconds: u64) -> Choice {
    uefi::println!("Lifeboat. {MENU}");
    for _ in 0..seconds * STEPS_PER_SECOND {
        if let Some(choice) = key().and_then(Choice::of_key) {
            return choice;
        }
        boot::stall(STEP);
    }
    Choice::Normal
}

/// The key that was pressed last, if any.
fn key() -> Option<char> {
    match with_stdin(|input| input.read_key()) {
        Ok(Some(Key::Printable(key))) => Some(char::from(key)),
        _ => None,
    }
}

/// Waits until a key is pressed, or a minute is over.
pub(crate) fn wait_for_any_key() {
    const PATIENCE: TimerTrigger = TimerTrigger::Relative(core::time::Duration::from_secs(60));
    let pressed = with_stdin(|input| input.wait_for_key_event());
    // SAFETY: there is nothing to call when the timer fires.
    let timer = unsafe { boot::create_event(EventType::TIMER, Tpl::APPLICATION, None, None) };
    let (Ok(pressed), Ok(timer)) = (pressed, timer) else { return };
    // Without a clock there is the key; without either, the firmware goes on at once.
    if boot::set_timer(&timer, PATIENCE).is_ok() {
        let _any = boot::wait_for_event(&mut [pressed, timer]);
    }
}
