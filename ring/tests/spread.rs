//! Checks over the fleets of testdata/ that the ring spreads keys evenly and moves none needlessly.
//!
//! Both checks are exact: shares are arcs of the circle, and moves are computed from the two rings.
#![cfg(not(target_arch = "wasm32"))] // a thousand rings; the vectors show that wasm32 builds the same
#![allow(clippy::expect_used)] // a panic is how a test fails

use pushring_ring::{Member, Placement, Ring};
use pushring_vectors as vectors;

const PLACEMENT: Placement = Placement::Ring { points: 1024 };

fn build(members: &[Member<'_>]) -> Ring {
    Ring::build(PLACEMENT, members).expect("within the limits")
}

fn members<'n>(names: &[&'n str]) -> Vec<Member<'n>> {
    names.iter().map(|&name| Member { name, weight: 1 }).collect()
}

/// Returns the largest share of a member divided by the mean share, averaged over the fleets of `size` members.
fn max_to_mean(size: usize) -> f64 {
    let fleets = vectors::fleets();
    assert_eq!(fleets.len(), 40);
    let largest =
        |names: &Vec<&str>| build(&members(&names[..size])).shares().into_iter().fold(0.0, f64::max);
    fleets.iter().map(largest).sum::<f64>() / 40.0 * size as f64
}

#[test]
fn ten_members_are_within_six_percent() {
    let found = max_to_mean(10);
    assert!(found <= 1.06, "max/mean {found}");
}

#[test]
fn a_hundred_members_are_within_ten_percent() {
    let found = max_to_mean(100);
    assert!(found <= 1.10, "max/mean {found}");
}

/// Returns the share that moves between members that are in both rings with the same weight, and the share that moves at
/// all.
fn moved(before: &[Member<'_>], after: &[Member<'_>]) -> (f64, f64) {
    let (mut needless, mut all) = (0.0, 0.0);
    for (from, to, share) in build(before).flows(&build(after)) {
        let (from, to) = (before[from], after[to]);
        if from.name != to.name {
            all += share;
            let untouched = after.contains(&from) && before.contains(&to);
            needless += if untouched { share } else { 0.0 };
        }
    }
    (needless, all)
}

#[test]
fn membership_changes_move_nothing_needlessly() {
    for names in vectors::fleets() {
        let members = members(&names[..14]);
        let mut heavier = members[..10].to_vec();
        heavier[4].weight = 2;
        let series = [
            members[..3].to_vec(),
            members[..4].to_vec(),                     // one joins
            members[1..4].to_vec(),                    // another leaves
            members[2..5].to_vec(),                    // one is replaced
            members[..10].to_vec(),                    // several join
            heavier,                                   // one gets a greater weight
            members[..10].to_vec(),                    // and loses it again
            [&members[3..8], &members[11..]].concat(), // several leave, several join
        ];
        for step in series.windows(2) {
            let (needless, all) = moved(&step[0], &step[1]);
            assert_eq!(needless, 0.0, "{:?} -> {:?}", step[0], step[1]);
            assert!(all > 0.0, "{:?} -> {:?} moved nothing", step[0], step[1]);
        }
    }
}
