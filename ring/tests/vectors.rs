//! Checks the ring against the golden vectors of testdata/, natively and in wasm32, where `usize` has 32 bits.

#![allow(clippy::expect_used)] // a panic is how a test fails

use pushring_ring::hash::{key_hash, murmur3_32};
use pushring_ring::{Member, Placement, Ring};
use pushring_vectors as vectors;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn members(set: &vectors::Set) -> Vec<Member<'static>> {
    set.members.iter().map(|&(name, weight)| Member { name, weight }).collect()
}

fn build(set: &vectors::Set, members: &[Member<'_>]) -> Ring {
    let placement = set.points.map_or(Placement::DynamicSharding, |points| Placement::Ring { points });
    Ring::build(placement, members).expect("a set of the vectors is valid")
}

#[test]
fn hashes_owners_and_successors_match_the_vectors() {
    let mut checked = 0;
    for set in vectors::sets() {
        let ring = build(&set, &members(&set));
        for row in vectors::lookups().filter(|row| row.set == set.name) {
            let (hash, key) = (row.hash, row.key.as_slice());
            let found = if set.points.is_some() { key_hash(key) } else { u64::from(murmur3_32(key)) };
            assert_eq!(found, hash, "hash of {key:?}");
            let names: Vec<&str> = ring.clockwise(key).map(|index| set.members[index].0).collect();
            assert_eq!(names[0], row.owner, "owner of {key:?} in {}", set.name);
            assert_eq!(ring.owner(key).map(|index| set.members[index].0), Some(row.owner), "{key:?}");
            assert_eq!(names[1..names.len().min(3)], row.successors, "successors of {key:?} in {}", set.name);
            checked += 1;
        }
    }
    assert!(checked > 500, "only {checked} rows checked");
}
