//! A call, and what can be wrong with one.

use host_stories::*;

#[test]
fn a_program_can_make_a_call() {
    story_on_any(|user| assert_eq!(user.pid(), 1));
}

#[test]
fn an_unknown_call_is_an_error_and_logged_once() {
    let finished = story(|user| {
        for number in [0, 1, 0x4000_0FFF, usize::MAX] {
            assert_eq!(user.call(number, []), error(ENOSYS));
        }
    });
    assert_eq!(finished.log.matches("invalid number").count(), 1, "{}", finished.log);
}
