//! A naive ring, and the properties that must hold for the real ring on any input.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use pushring_ring::hash::{fmix64, key_hash, murmur3_32};
use pushring_ring::{Member, Placement, Ring};

/// A set of members, in the order given to [`Ring::build`].
#[derive(Clone, Debug)]
struct Fleet {
    placement: Placement,
    members: Vec<(String, u32)>,
}

impl Fleet {
    /// Generates one to twelve members with few points, so that keys are often beyond the last point.
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        let placement = match u.int_in_range(0..=3)? {
            0 => Placement::DynamicSharding,
            _ => Placement::Ring { points: u.int_in_range(1..=32)? },
        };
        let mut members: Vec<(String, u32)> = Vec::new();
        for _ in 0..u.int_in_range(1..=12)? {
            let weight = if placement == Placement::DynamicSharding { 1 } else { u.int_in_range(1..=4)? };
            let length = u.int_in_range(1..=20)?;
            let name: Result<String> =
                (0..length).map(|_| Ok(char::from(u.int_in_range(b'!'..=b'~')?))).collect();
            let name = name?;
            if members.iter().all(|(other, _)| *other != name) {
                members.push((name, weight));
            }
        }
        Ok(Self { placement, members })
    }

    fn ring(&self) -> Ring {
        Ring::build(self.placement, &self.members()).expect("the fleet keeps every limit")
    }

    fn members(&self) -> Vec<Member<'_>> {
        self.members.iter().map(|(name, weight)| Member { name, weight: *weight }).collect()
    }

    /// Returns the names in the order of [`Ring::clockwise`].
    fn names<'f>(&'f self, ring: &Ring, key: &[u8]) -> Vec<&'f str> {
        ring.clockwise(key).map(|index| self.members[index].0.as_str()).collect()
    }

    /// Returns the same order by definition: members sorted by the distance from the key to their nearest point,
    /// clockwise. Needs no sorted points and no search, and wrapping subtraction handles the end of the circle.
    fn naive(&self, key: &[u8]) -> Vec<&str> {
        let mut order: Vec<(u64, &str)> = match self.placement {
            Placement::Ring { points } => {
                let distance = |name: &str, weight: u32| {
                    let point = |i: u64| {
                        fmix64(key_hash(name.as_bytes()).wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
                    };
                    (0..u64::from(points * weight)).map(|i| point(i).wrapping_sub(key_hash(key))).min()
                };
                self.members.iter().filter_map(|(n, w)| Some((distance(n, *w)?, n.as_str()))).collect()
            }
            Placement::DynamicSharding => {
                let mut names: Vec<&str> = self.members.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                // A point that two members share belongs to the greater name, which comes last.
                let points =
                    names.iter().flat_map(|name| (0..500).map(move |i| (format!("{i}{name}"), *name)));
                let owners: BTreeMap<u32, &str> =
                    points.map(|(point, name)| (murmur3_32(point.as_bytes()), name)).collect();
                let after = murmur3_32(key).wrapping_add(1);
                let distance = |name: &str| {
                    let own = owners.iter().filter(|(_, owner)| **owner == name);
                    own.map(|(point, _)| u64::from(point.wrapping_sub(after))).min()
                };
                names.iter().filter_map(|name| Some((distance(name)?, *name))).collect()
            }
        };
        order.sort_unstable();
        order.into_iter().map(|(_, name)| name).collect()
    }
}

/// Checks that owner and successors equal those of the naive ring and contain every member once.
pub fn equals_naive(u: &mut Unstructured<'_>) -> Result<()> {
    let fleet = Fleet::arbitrary(u)?;
    let ring = fleet.ring();
    for key in keys(u)? {
        let names = fleet.names(&ring, &key);
        assert_eq!(names, fleet.naive(&key), "key {key:?} in {fleet:?}");
        assert_eq!(ring.owner(&key).map(|index| fleet.members[index].0.as_str()), names.first().copied());
        assert_eq!(names.len(), fleet.members.len(), "every member once: {names:?}");
    }
    Ok(())
}

/// Checks that the order of the members in the input has no influence.
pub fn order_does_not_matter(u: &mut Unstructured<'_>) -> Result<()> {
    let fleet = Fleet::arbitrary(u)?;
    let mut shuffled = fleet.clone();
    for i in (1..shuffled.members.len()).rev() {
        shuffled.members.swap(i, u.int_in_range(0..=i)?);
    }
    let (ring, other) = (fleet.ring(), shuffled.ring());
    for key in keys(u)? {
        assert_eq!(fleet.names(&ring, &key), shuffled.names(&other, &key), "key {key:?} in {fleet:?}");
    }
    Ok(())
}

/// Checks that a member that joins or leaves moves only its own keys. A member that joins takes each key from the member
/// that is then the first successor of the key, and the order of the other successors does not change.
pub fn only_its_keys_move(u: &mut Unstructured<'_>) -> Result<()> {
    let with = Fleet::arbitrary(u)?;
    let mut without = with.clone();
    let (changed, _) = without.members.swap_remove(u.choose_index(with.members.len())?);
    let (ring_with, ring_without) = (with.ring(), without.ring());
    for key in keys(u)? {
        let mut after = with.names(&ring_with, &key);
        let before = without.names(&ring_without, &key);
        if after[0] != changed {
            assert_eq!(before.first(), after.first(), "key {key:?} moved between others: {with:?}");
        }
        // In dynamic-sharding only one of two members keeps a shared point, so the order may change.
        if with.placement != Placement::DynamicSharding {
            after.retain(|name| *name != changed);
            assert_eq!(before, after, "key {key:?}, {changed} joins {without:?}");
        }
    }
    Ok(())
}

/// Checks that shares sum to 1 and follow the weights, need no ring, and that a member that joins moves exactly its own share.
pub fn shares_follow_weights(u: &mut Unstructured<'_>) -> Result<()> {
    let mut fleet = Fleet::arbitrary(u)?;
    if let Placement::Ring { points } = &mut fleet.placement {
        *points += 96; // the bound is one of large numbers
    }
    let ring = fleet.ring();
    let shares = ring.shares();
    assert_eq!(Ok(&shares), Ring::shares_of(fleet.placement, &fleet.members()).as_ref());
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    let total: u32 = fleet.members.iter().map(|(_, weight)| weight).sum();
    for ((name, weight), share) in fleet.members.iter().zip(&shares) {
        let points = match fleet.placement {
            Placement::Ring { points } => points * weight,
            Placement::DynamicSharding => 500,
        };
        let ratio = share * f64::from(total) / f64::from(*weight);
        // The standard deviation of the ratio is below 1 / sqrt(points); nine of them never occur.
        assert!((ratio - 1.0).abs() < 9.0 / f64::from(points).sqrt(), "{name}: {ratio} in {fleet:?}");
    }
    let mut without = fleet.clone();
    let (newcomer, _) = without.members.pop().expect("a fleet has a member");
    let moved = without.ring().moved(&ring, |i, j| without.members[i].0 == fleet.members[j].0);
    let own = shares.last().expect("a fleet has a member");
    assert!((moved - own).abs() < 1e-9, "{newcomer} owns {own}, but {moved} moved: {fleet:?}");
    Ok(())
}

/// Generates up to eight keys of arbitrary bytes.
fn keys(u: &mut Unstructured<'_>) -> Result<Vec<Vec<u8>>> {
    (0..u.int_in_range(1..=8)?)
        .map(|_| {
            let length = u.int_in_range(0..=80)?;
            Ok(u.bytes(length.min(u.len()))?.to_vec())
        })
        .collect()
}
