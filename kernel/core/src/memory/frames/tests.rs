//! The allocator against a model: a set of frames that must never be handed out twice.

use super::*;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;

fn frames(ranges: &[Range]) -> Frames {
    let limit = ranges.iter().map(|r| r.end).max().unwrap_or(0);
    // Garbage on purpose: unwritten records must not be believed.
    let garbage = FrameInfo { head: 0x5A5A_5A5A, tail: 0xA5A5_A5A5 };
    Frames::new(Box::leak(vec![garbage; limit as usize].into_boxed_slice()), ranges)
}

#[test]
fn every_frame_is_given_out_exactly_once() {
    let ranges = [Range { start: 1, end: 160 }, Range { start: 300, end: 9_000 }];
    let mut frames = frames(&ranges);
    let total = frames.totals();
    let mut seen = BTreeSet::new();
    while let Some(frame) = frames.allocate() {
        assert!(ranges.iter().any(|r| r.start <= frame.0 && frame.0 < r.end));
        assert!(seen.insert(frame.0), "{frame:?} twice");
    }
    assert_eq!(seen.len(), total.total);
    assert_eq!(frames.totals().free, 0);
    seen.iter().for_each(|&f| frames.release(Frame(f)));
    assert_eq!(frames.totals(), total);
}

#[test]
fn freed_frames_merge_into_whole_chunks() {
    let mut frames = frames(&[Range { start: CHUNK * 4, end: CHUNK * 6 }]);
    let all: Vec<Frame> = core::iter::from_fn(|| frames.allocate()).collect();
    all.into_iter().for_each(|f| frames.release(f));
    // All but what the hot stack keeps is back in large blocks.
    assert!(frames.allocate_run(MAX_ORDER, Zone::Normal).is_some());
}

#[test]
fn a_run_is_contiguous_and_inside_its_zone() {
    let mut frames = frames(&[Range { start: 1, end: CHUNK * 8 }]);
    let run = frames.allocate_run(4, Zone::Dma).expect("the zone has room");
    assert!(run.0 + 16 <= DMA_END && run.0.is_multiple_of(16));
    assert!((0..16).all(|i| frames.references(Frame(run.0 + i)) == 1));
    assert!(frames.allocate_run(1, Zone::High).is_none());
}

#[test]
fn a_shared_frame_is_freed_by_its_last_owner() {
    let mut frames = frames(&[Range { start: 1, end: 64 }]);
    let frame = frames.allocate().expect("there are 63");
    frames.add_reference(frame);
    frames.release(frame);
    assert_eq!(frames.references(frame), 1);
    frames.release(frame);
    assert_eq!(frames.references(frame), 0);
}

#[test]
#[should_panic(expected = "released twice")]
fn a_double_release_is_noticed() {
    let mut frames = frames(&[Range { start: 1, end: 64 }]);
    let frame = frames.allocate().expect("there are 63");
    frames.release(frame);
    frames.release(frame);
}

#[test]
fn adopted_frames_are_never_free() {
    let mut frames = frames(&[Range { start: 1, end: 100 }, Range { start: 200, end: 2_000 }]);
    frames.adopt(Frame(100), 100);
    let before = frames.totals();
    frames.add_reference(Frame(150));
    frames.release(Frame(150));
    assert_eq!(frames.totals(), before);
    assert!(core::iter::from_fn(|| frames.allocate()).all(|f| f.0 < 100 || f.0 >= 200));
}

proptest::proptest! {
    #[test]
    fn any_order_of_calls_keeps_count(steps in proptest::collection::vec((0u8..4, 0usize..64), 1..400)) {
        let mut frames = frames(&[Range { start: 1, end: 700 }, Range { start: 4_200, end: 5_000 }]);
        let total = frames.totals().total;
        let mut held: Vec<(u32, u32)> = Vec::new();
        for (action, pick) in steps {
            match action {
                0 => held.extend(frames.allocate().map(|f| (f.0, 1))),
                1 => held.extend(frames.allocate_run(pick % 4, Zone::Normal).map(|f| (f.0, 1 << (pick % 4)))),
                2 => held.extend(frames.allocate_run(pick % 4, Zone::Dma).map(|f| (f.0, 1 << (pick % 4)))),
                _ if held.is_empty() => {}
                _ => {
                    let (first, count) = held.swap_remove(pick % held.len());
                    (first..first + count).for_each(|f| frames.release(Frame(f)));
                }
            }
            let used: u32 = held.iter().map(|h| h.1).sum();
            proptest::prop_assert_eq!(frames.totals().free + used as usize, total);
            let distinct: BTreeSet<u32> = held.iter().flat_map(|h| h.0..h.0 + h.1).collect();
            proptest::prop_assert_eq!(distinct.len(), used as usize);
        }
    }
}
