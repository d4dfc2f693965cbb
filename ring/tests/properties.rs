//! Checks the properties of a ring on random inputs. A failure prints the seed that repeats it.
#![cfg(not(target_arch = "wasm32"))] // arbtest asks for the time

use arbtest::arbtest;
use pushring_model::ring as model;
use pushring_ring::{BuildError, MAX_MEMBERS, Member, Placement, Ring};

#[test]
fn equals_a_naive_ring() {
    arbtest(model::equals_naive).budget_ms(1500);
}

#[test]
fn input_order_does_not_matter() {
    arbtest(model::order_does_not_matter).budget_ms(500);
}

#[test]
fn only_keys_of_the_changed_member_move() {
    arbtest(model::only_its_keys_move).budget_ms(1500);
}

#[test]
fn shares_follow_weights() {
    arbtest(model::shares_follow_weights).budget_ms(1000);
}

/// With the default of 1024 points, the number of keys of every member is within 10 % of its weight.
#[test]
fn keys_follow_weights_within_ten_percent() {
    let weights = [1, 1, 2, 3, 5, 8];
    let names: Vec<String> = (0..weights.len()).map(|i| format!("10.0.0.{i}:9091")).collect();
    let members: Vec<Member<'_>> =
        names.iter().zip(weights).map(|(name, weight)| Member { name, weight }).collect();
    let ring = Ring::build(Placement::Ring { points: 1024 }, &members).expect("valid");
    let mut counts = [0u32; 6];
    for i in 0..400_000 {
        let owner =
            ring.owner(format!("job\u{ff}backup\u{ff}instance\u{ff}{i}").as_bytes()).expect("an owner");
        counts[owner] += 1;
    }
    for (count, weight) in counts.into_iter().zip(weights) {
        let ratio = f64::from(count) / (400_000.0 / 20.0 * f64::from(weight));
        assert!((0.9..1.1).contains(&ratio), "weight {weight} got {ratio} of its keys");
    }
}

/// A ring with the maximum number of members works, and one more member is rejected.
#[test]
fn enforces_limits() {
    let names: Vec<String> = (0..=MAX_MEMBERS).map(|i| format!("m{i}")).collect();
    let members: Vec<Member<'_>> = names.iter().map(|name| Member { name, weight: 1 }).collect();
    let (placement, key) = (Placement::Ring { points: 4 }, b"key");
    let ring = Ring::build(placement, &members[..MAX_MEMBERS]).expect("as many members as allowed");
    assert_eq!((ring.members(), ring.points()), (MAX_MEMBERS, 4 * MAX_MEMBERS));
    assert_eq!(ring.clockwise(key).count(), MAX_MEMBERS, "every member once");
    assert_eq!(Ring::check(placement, &members[..MAX_MEMBERS]), Ok(ring.points()));
    let rejected = |placement, members: &[Member<'_>]| {
        let reason = Ring::build(placement, members).expect_err("more than allowed");
        assert_eq!(Ring::check(placement, members), Err(reason), "check and build report the same error");
        reason
    };
    assert_eq!(rejected(placement, &members), BuildError::Members { found: MAX_MEMBERS + 1 });
    let twice = [members[0], members[1], members[0]];
    assert_eq!(rejected(placement, &twice), BuildError::DuplicateName { index: 2, first: 0 });
    let heavy = [Member { weight: 2, ..members[0] }];
    assert_eq!(Ring::check(placement, &heavy), Ok(8));
    let unknown = BuildError::Weight { index: 0, found: 2, max: 1 };
    assert_eq!(rejected(Placement::DynamicSharding, &heavy), unknown);
}

/// Lookups in an empty ring return `None`.
#[test]
fn empty_ring_has_no_owner() {
    for placement in [Placement::Ring { points: 1024 }, Placement::DynamicSharding] {
        let ring = Ring::build(placement, &[]).expect("no members is a ring");
        assert_eq!((ring.owner(b"key"), ring.clockwise(b"key").count(), ring.points()), (None, 0, 0));
        assert!(ring.shares().is_empty());
    }
}
