//! The points of a set of members, sorted by position.
//!
//! A worked example: two members with 4 points each, by their first digits.
//!
//! ```text
//! positions      3048  67c1  6d9f  9418  a75c  b52c  d31c  d891
//! owners         .1    .2    .1    .2    .2    .1    .1    .2
//! bucket         0     1     1     2     2     2     3     3      the first 2 bits of the position
//! bucket_starts  0     1           3                 6            and 8, the number of points
//! ```
//!
//! The key `job=nightly` has the position 8d14. Its first bits are 2, so a binary search over points 3 to 5 finds 9418,
//! and member `.2` owns the key. A key at e000 has no point after it, so the first point wins and `.1` owns the key.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::hash::{fmix64, key_hash, murmur3_32};
use crate::placement::{DYNAMIC_SHARDING_POINTS, Member, Placement};

/// Step between the points of a member: 2^64 divided by the golden ratio. Consecutive inputs of the finalizer then differ
/// in many bits.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Points in the order of (position, name), with an index over their first bits. Hashes are spread evenly, so a bucket
/// holds two to four points: sorting and searching look at a handful, and need no second copy of the points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Points {
    /// Ascending. A search reads positions only, so owners are stored in an array of their own.
    pub(crate) positions: Box<[u64]>,
    /// Member index of each point.
    pub(crate) owners: Box<[u16]>,
    /// Index of the first point of each bucket, then the number of points.
    bucket_starts: Box<[u32]>,
    /// 63 minus the number of bits that select a bucket.
    shift: u32,
}

impl Points {
    /// Creates the points of `members`, whose limits were checked. `by_name` has their indices in the order of names.
    pub(crate) fn new(placement: Placement, members: &[Member<'_>], by_name: &[u16]) -> Self {
        let count = point_count(placement, members);
        let bits = bucket_bits(count);
        let mut points = Self {
            positions: vec![0; count].into(),
            owners: vec![0; count].into(),
            bucket_starts: vec![0; (1 << bits) + 1].into(),
            shift: 63 - bits,
        };
        points.find_bucket_starts(placement, members, by_name);
        points.fill_buckets(placement, members, by_name);
        points.sort();
        if placement == Placement::DynamicSharding { points.keep_last() } else { points }
    }

    /// Creates the index of points that are sorted already.
    fn from_sorted(positions: Vec<u64>, owners: Vec<u16>) -> Self {
        let (bits, count) =
            (bucket_bits(positions.len()), u32::try_from(positions.len()).unwrap_or(u32::MAX));
        let shift = 63 - bits;
        let mut starts = vec![count; (1 << bits) + 1];
        // In reverse, so that the first point of a bucket is the last to be written.
        for (index, &position) in (0..count).zip(&positions).rev() {
            if let Some(start) = starts.get_mut(bucket(position, shift)) {
                *start = index;
            }
        }
        // A bucket without a point starts where the next bucket starts.
        let mut next = count;
        for start in starts.iter_mut().rev() {
            next = next.min(*start);
            *start = next;
        }
        Self { positions: positions.into(), owners: owners.into(), bucket_starts: starts.into(), shift }
    }

    /// Returns the index of the first point at or after `position`, or 0 if there is none.
    pub(crate) fn at_or_after(&self, position: u64) -> usize {
        let (start, end) = self.bounds(bucket(position, self.shift));
        let within = self.positions.get(start..end).unwrap_or_default();
        let index = start + within.partition_point(|&point| point < position);
        if index < self.positions.len() { index } else { 0 }
    }

    /// Counts the points of each bucket and computes its start. The start is stored one entry further on, where
    /// `fill_buckets` advances it to the end of the bucket, which is the start of the next.
    fn find_bucket_starts(&mut self, placement: Placement, members: &[Member<'_>], by_name: &[u16]) {
        let (shift, starts) = (self.shift, &mut *self.bucket_starts);
        for_each_point(placement, members, by_name, |position, _| {
            if let Some(count) = starts.get_mut(bucket(position, shift)) {
                *count += 1;
            }
        });
        let (mut sum, mut before) = (0, 0);
        for start in starts {
            let count = core::mem::replace(start, sum);
            sum += before;
            before = count;
        }
    }

    /// Stores each point in its bucket. Points arrive in the order of names.
    fn fill_buckets(&mut self, placement: Placement, members: &[Member<'_>], by_name: &[u16]) {
        let shift = self.shift;
        let (positions, owners, starts) = (&mut *self.positions, &mut *self.owners, &mut *self.bucket_starts);
        for_each_point(placement, members, by_name, |position, owner| {
            let Some(end) = starts.get_mut(bucket(position, shift) + 1) else { return };
            let place = *end as usize;
            *end += 1;
            if let (Some(p), Some(o)) = (positions.get_mut(place), owners.get_mut(place)) {
                (*p, *o) = (position, owner);
            }
        });
    }

    /// Sorts by insertion, because no point is farther from its place than its bucket is long. Equal positions keep the
    /// order of names. This pass reads memory in order; `fill_buckets` writes to distant memory for every point, where a
    /// comparison would be expensive.
    fn sort(&mut self) {
        let (positions, owners) = (&mut *self.positions, &mut *self.owners);
        for index in 1..positions.len() {
            let mut end = index + 1;
            while let Some([.., a, b]) = positions.get_mut(..end)
                && *a > *b
                && let Some([.., c, d]) = owners.get_mut(..end)
            {
                core::mem::swap(a, b);
                core::mem::swap(c, d);
                end -= 1;
            }
        }
    }

    /// Keeps the point of the greatest name at each position, because the original overwrites earlier points.
    fn keep_last(self) -> Self {
        let mut kept: Vec<(u64, u16)> = self.positions.into_iter().zip(self.owners).rev().collect();
        kept.dedup_by_key(|&mut (position, _)| position);
        let (positions, owners) = kept.into_iter().rev().unzip();
        Self::from_sorted(positions, owners)
    }

    fn bounds(&self, bucket: usize) -> (usize, usize) {
        let start = |index: usize| self.bucket_starts.get(index).map_or(0, |&start| start as usize);
        (start(bucket), start(bucket + 1))
    }
}

/// Returns the number of first bits that select a bucket, so that a bucket has two to four points on average.
fn bucket_bits(points: usize) -> u32 {
    points.max(1).ilog2().saturating_sub(1)
}

/// Returns the first bits of a position, at most 21.
fn bucket(position: u64, shift: u32) -> usize {
    // Two shifts, because a shift by 64 would overflow.
    usize::try_from(position >> 1 >> shift).unwrap_or(usize::MAX)
}

/// Returns the number of points of all members together.
pub(crate) fn point_count(placement: Placement, members: &[Member<'_>]) -> usize {
    let per_weight = match placement {
        Placement::Ring { points } => points,
        Placement::DynamicSharding => DYNAMIC_SHARDING_POINTS,
    };
    members.iter().map(|member| per_weight as usize * member.weight as usize).sum()
}

/// Calls `act` with the position and the member index of each point, in the order of names.
pub(crate) fn for_each_point(
    placement: Placement,
    members: &[Member<'_>],
    by_name: &[u16],
    mut act: impl FnMut(u64, u16),
) {
    let mut vnode = Vec::new();
    for (index, member) in by_name.iter().filter_map(|&i| Some((i, members.get(usize::from(i))?))) {
        match placement {
            Placement::Ring { points } => {
                let mut input = key_hash(member.name.as_bytes());
                for _ in 0..u64::from(points) * u64::from(member.weight) {
                    act(fmix64(input), index);
                    input = input.wrapping_add(STEP);
                }
            }
            // The hash fills the upper 32 bits, so that both placements share one 64-bit circle.
            Placement::DynamicSharding => {
                for i in 0..DYNAMIC_SHARDING_POINTS {
                    vnode.clear();
                    push_decimal(&mut vnode, i);
                    vnode.extend_from_slice(member.name.as_bytes());
                    act(u64::from(murmur3_32(&vnode)) << 32, index);
                }
            }
        }
    }
}

/// Appends `i`, 0 to 999, in decimal. The formatting machinery would make the module larger.
fn push_decimal(out: &mut Vec<u8>, i: u32) {
    let digit = |d: u32| b'0'.wrapping_add((d % 10).to_le_bytes()[0]);
    if i >= 100 {
        out.push(digit(i / 100));
    }
    if i >= 10 {
        out.push(digit(i / 10));
    }
    out.push(digit(i));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ring;

    /// The example in the documentation of this file.
    #[test]
    fn worked_example() {
        let members = ["10.0.0.1:9091", "10.0.0.2:9091"].map(|name| Member { name, weight: 1 });
        let ring = Ring::build(Placement::Ring { points: 4 }, &members).unwrap();
        let first_digits: Vec<u64> = ring.points.positions.iter().map(|position| position >> 48).collect();
        assert_eq!(first_digits, [0x3048, 0x67c1, 0x6d9f, 0x9418, 0xa75c, 0xb52c, 0xd31c, 0xd891]);
        assert_eq!(*ring.points.owners, [0, 1, 0, 1, 1, 0, 0, 1]);
        assert_eq!(*ring.points.bucket_starts, [0, 1, 3, 6, 8]);
        assert_eq!(ring.position(b"job\xffnightly") >> 48, 0x8d14);
        assert_eq!(ring.owner(b"job\xffnightly"), Some(1));
        assert_eq!(ring.owner_at(0xe000 << 48), Some(0));
    }
}
