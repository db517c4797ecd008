//! Processes: how they begin and end.

use host_stories::*;

#[test]
fn a_parent_learns_how_its_child_ended() {
    story_on_any(|user| {
        let child = user.fork(|user| user.exit(7));
        assert_eq!(user.wait_for(child), Ended::Exited(7));
        assert_eq!(user.wait(-1), error(ECHILD));
    });
}
