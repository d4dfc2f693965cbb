//! The share of the circle that each member owns, and the share that moves between two rings.
//!
//! Hashes are spread evenly, so a share of the circle is the expected share of the groups.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::build::sorted_by_name;
use crate::placement::{Member, Placement};
use crate::points::for_each_point;
use crate::{BuildError, Ring};

/// Length of the whole circle.
const CIRCLE: f64 = 18_446_744_073_709_551_616.0;
/// The first bits of a position, which select one of 8 parts of the circle.
const PART_BITS: u32 = 3;

impl Ring {
    /// Returns the share of each member, by index. Shares are fractions of 1 and sum to 1; an empty ring has none. Reads
    /// every point once.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let mut arcs = vec![0u128; self.members];
        for (arc, owner) in self.arcs() {
            if let Some(sum) = arcs.get_mut(owner) {
                *sum += arc;
            }
        }
        arcs.into_iter().map(share).collect()
    }

    /// Returns the shares that the ring of [`Ring::build`] has, without building it. Sorts one part of the circle after
    /// the other, which needs a fifth of the memory of a ring, and a little more time.
    ///
    /// # Errors
    /// The same as [`Ring::build`].
    pub fn shares_of(placement: Placement, members: &[Member<'_>]) -> Result<Vec<f64>, BuildError> {
        Self::check(placement, members)?;
        let by_name = sorted_by_name(members)?;
        let mut ranks = vec![0; members.len()];
        for (rank, &index) in (0u16..).zip(&by_name) {
            if let Some(own) = ranks.get_mut(usize::from(index)) {
                *own = rank;
            }
        }
        let mut arcs = vec![0u128; members.len()];
        let mut add = |rank: u16, arc: u128| {
            let owner = by_name.get(usize::from(rank)).copied().map_or(0, usize::from);
            if let Some(sum) = arcs.get_mut(owner) {
                *sum += arc;
            }
        };
        let (mut first, mut previous, mut count) = (None, 0, 0u32);
        let mut points = Vec::new();
        for part in 0..1 << PART_BITS {
            sort_part(placement, members, (&by_name, &ranks), part, &mut points);
            for &(position, rank) in &points {
                match first {
                    None => first = Some((position, rank)),
                    Some(_) => add(rank, u128::from(position.wrapping_sub(previous))),
                }
                previous = position;
                count += 1;
            }
        }
        // The first arc begins at the last point.
        if let Some((position, rank)) = first {
            add(rank, if count == 1 { 1 << 64 } else { u128::from(position.wrapping_sub(previous)) });
        }
        Ok(arcs.into_iter().map(share).collect())
    }

    /// Returns the share of the circle whose owner differs between `self` and `other`, from 0 to 1. Both must have the
    /// same placement. `same(i, j)` returns whether member `i` of `self` is member `j` of `other`. The result is 1 if
    /// exactly one ring is empty.
    #[must_use]
    pub fn moved(&self, other: &Self, same: impl Fn(usize, usize) -> bool) -> f64 {
        if self.points.positions.is_empty() || other.points.positions.is_empty() {
            return if self.points.positions.len() == other.points.positions.len() { 0.0 } else { 1.0 };
        }
        self.flows(other).into_iter().filter(|&(i, j, _)| !same(i, j)).map(|(_, _, share)| share).sum()
    }

    /// Returns `(i, j, share)` for the shares that member `i` of `self` and member `j` of `other` both own, sorted by
    /// `(i, j)`. Shares of 0 are left out; the others sum to 1. The result is empty if one ring is empty. Both must have
    /// the same placement, because a position stands for different keys in different placements.
    #[must_use]
    pub fn flows(&self, other: &Self) -> Vec<(usize, usize, f64)> {
        self.flows_by(other, Self::owner_at)
    }

    /// As [`Ring::flows`], for the first successors of the owners. Parts of the circle where one ring has no successor are
    /// left out.
    #[must_use]
    pub fn successor_flows(&self, other: &Self) -> Vec<(usize, usize, f64)> {
        self.flows_by(other, |ring, position| ring.clockwise_at(position).nth(1))
    }

    fn flows_by(
        &self,
        other: &Self,
        member_at: impl Fn(&Self, u64) -> Option<usize>,
    ) -> Vec<(usize, usize, f64)> {
        // Between two neighboring points of either ring the owners are constant: the owners of the later point.
        let mut bounds: Vec<u64> =
            self.points.positions.iter().chain(other.points.positions.iter()).copied().collect();
        bounds.sort_unstable();
        bounds.dedup();
        let mut previous = bounds.last().copied().unwrap_or(0);
        let mut flows: BTreeMap<(usize, usize), u128> = BTreeMap::new();
        for &bound in &bounds {
            let arc = if bounds.len() == 1 { 1 << 64 } else { u128::from(bound.wrapping_sub(previous)) };
            previous = bound;
            if let (Some(from), Some(to)) = (member_at(self, bound), member_at(other, bound)) {
                *flows.entry((from, to)).or_default() += arc;
            }
        }
        flows.into_iter().map(|((from, to), arc)| (from, to, share(arc))).collect()
    }

    /// Iterates over the arc of each point, which ends at the point, and its member.
    fn arcs(&self) -> impl Iterator<Item = (u128, usize)> {
        let whole = self.points.positions.len() == 1;
        let mut previous = self.points.positions.last().copied().unwrap_or(0);
        self.points.positions.iter().zip(&self.points.owners).map(move |(&position, &owner)| {
            let arc = if whole { 1 << 64 } else { u128::from(position.wrapping_sub(previous)) };
            previous = position;
            (arc, usize::from(owner))
        })
    }
}

/// Replaces `points` by those of one part of the circle: their positions, each with the rank of its owner's name. `by_name` has
/// the members in the order of their names, and `ranks` the place of each member in it.
fn sort_part(
    placement: Placement,
    members: &[Member<'_>],
    (by_name, ranks): (&[u16], &[u16]),
    part: u64,
    points: &mut Vec<(u64, u16)>,
) {
    points.clear();
    for_each_point(placement, members, by_name, |position, owner| {
        if position >> (64 - PART_BITS) == part {
            points.push((position, ranks.get(usize::from(owner)).copied().unwrap_or_default()));
        }
    });
    // The first name counts among equal positions, in the other placement the last.
    points.sort_unstable();
    if placement == Placement::DynamicSharding {
        points.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                *kept = *later;
            }
            is_same
        });
    }
}

#[allow(clippy::cast_precision_loss)] // shares are shown to people and never route a push
fn share(arc: u128) -> f64 {
    arc as f64 / CIRCLE
}

#[cfg(test)]
mod tests {
    use crate::{Member, Placement, Ring};
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn ring(names: &[&str]) -> Ring {
        let members: Vec<_> = names.iter().map(|&name| Member { name, weight: 1 }).collect();
        Ring::build(Placement::Ring { points: 1024 }, &members).unwrap()
    }

    #[test]
    fn shares_sum_to_one() {
        let sum: f64 = ring(&["a:1", "b:1", "c:1"]).shares().iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        assert_eq!(
            Ring::build(Placement::Ring { points: 1 }, &[Member { name: "a:1", weight: 1 }])
                .unwrap()
                .shares(),
            [1.0]
        );
        assert!(ring(&[]).shares().is_empty());
    }

    #[test]
    fn a_member_that_leaves_moves_its_own_share() {
        let (three, two) = (ring(&["a:1", "b:1", "c:1"]), ring(&["a:1", "b:1"]));
        let moved = three.moved(&two, |i, j| i == j);
        assert!((moved - three.shares()[2]).abs() < 1e-9, "{moved}");
        assert_eq!(three.moved(&three, |i, j| i == j), 0.0);
        assert_eq!(three.moved(&ring(&[]), |_, _| true), 1.0);
        assert_eq!(ring(&[]).moved(&ring(&[]), |_, _| true), 0.0);
    }

    /// Some of the points of dynamic-sharding are equal: then the greatest name counts.
    #[test]
    fn shares_need_no_ring() {
        let names: Vec<String> = (0..400).map(|n| format!("10.0.0.{n}:9091")).collect();
        let members: Vec<_> = names.iter().rev().map(|name| Member { name, weight: 1 }).collect();
        for placement in
            [Placement::DynamicSharding, Placement::Ring { points: 1 }, Placement::Ring { points: 64 }]
        {
            for members in [&members[..], &members[..1], &[]] {
                let ring = Ring::build(placement, members).unwrap();
                assert_eq!(Ring::shares_of(placement, members).unwrap(), ring.shares(), "{placement:?}");
            }
        }
        let ring = Ring::build(Placement::DynamicSharding, &members).unwrap();
        assert!(ring.points() < 400 * 500);
    }

    /// Flows out of a member sum to its share before, flows into a member to its share after. A member that joins takes
    /// its own share, and nothing else moves.
    #[test]
    fn flows_are_the_shares_of_both_rings() {
        let (two, three) = (ring(&["a:1", "b:1"]), ring(&["a:1", "b:1", "c:1"]));
        let flows = two.flows(&three);
        let sum = |side: fn(&(usize, usize, f64)) -> usize, member: usize| -> f64 {
            flows.iter().filter(|flow| side(flow) == member).map(|flow| flow.2).sum()
        };
        for (index, share) in two.shares().into_iter().enumerate() {
            assert!((sum(|flow| flow.0, index) - share).abs() < 1e-9, "{index} before");
        }
        for (index, share) in three.shares().into_iter().enumerate() {
            assert!((sum(|flow| flow.1, index) - share).abs() < 1e-9, "{index} after");
        }
        let pairs: Vec<_> = flows.iter().map(|&(from, to, _)| (from, to)).collect();
        assert_eq!(pairs, [(0, 0), (0, 2), (1, 1), (1, 2)]);
        assert!(two.flows(&ring(&[])).is_empty());
        // In a ring of two members, each is the successor of the other; a third one follows on some arcs.
        let pairs: Vec<_> = two.successor_flows(&three).iter().map(|&(from, to, _)| (from, to)).collect();
        assert_eq!(pairs, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
        let swapped: Vec<f64> = two.successor_flows(&two).iter().map(|flow| flow.2).rev().collect();
        assert!(swapped.iter().zip(two.shares()).all(|(successor, owner)| (successor - owner).abs() < 1e-9));
        assert!(two.successor_flows(&ring(&["a:1"])).is_empty());
        let point = |name| Ring::build(Placement::Ring { points: 1 }, &[Member { name, weight: 1 }]).unwrap();
        assert_eq!(point("a:1").flows(&point("a:1")), [(0, 0, 1.0)]);
    }
}
