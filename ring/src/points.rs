//! The points of a set of members, put in order.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::hash::{fmix64, h, murmur3_32};
use crate::{DYNAMIC_SHARDING_POINTS, Member, Placement};

/// Step between the points of a member: 2^64 divided by the golden ratio, so that consecutive inputs of the
/// finalizer differ in many bits.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Points in the order of (position, name), with an index. Positions are spread evenly, so the first bits of
/// a position tell nearly where it stands: sorting and searching look at a handful of points, and memory
/// holds no second copy of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Points {
    /// Ascending. Parallel to `owners`: a search touches positions only, so they are kept dense.
    pub(crate) positions: Box<[u64]>,
    /// Member index of each point.
    pub(crate) owners: Box<[u16]>,
    /// Where the positions begin whose first bits are the index; one more at the end: their number.
    starts: Box<[u32]>,
    /// 63 less the number of those bits.
    shift: u32,
}

impl Points {
    /// The points of `members`, whose limits were checked; `by_name[rank]` is an index of a member.
    pub(crate) fn new(placement: Placement, members: &[Member<'_>], by_name: &[u16]) -> Self {
        let count = number(placement, members);
        let bits = bits(count);
        let mut points = Self {
            positions: vec![0; count].into(),
            owners: vec![0; count].into(),
            starts: vec![0; (1 << bits) + 1].into(),
            shift: 63 - bits,
        };
        points.count(placement, members, by_name);
        points.fill(placement, members, by_name);
        points.sort();
        if placement == Placement::DynamicSharding { points.keep_last() } else { points }
    }

    /// Points in order, with their owners.
    pub(crate) fn in_order(positions: Vec<u64>, owners: Vec<u16>) -> Self {
        let (bits, count) = (bits(positions.len()), u32::try_from(positions.len()).unwrap_or(u32::MAX));
        let shift = 63 - bits;
        let mut starts = vec![count; (1 << bits) + 1];
        // From the end, so that the first point of a bucket is the last to be written.
        for (index, &position) in (0..count).zip(&positions).rev() {
            if let Some(start) = starts.get_mut(bucket(position, shift)) {
                *start = index;
            }
        }
        // A bucket without a point begins where the next one does.
        let mut next = count;
        for start in starts.iter_mut().rev() {
            next = next.min(*start);
            *start = next;
        }
        Self { positions: positions.into(), owners: owners.into(), starts: starts.into(), shift }
    }

    /// Index of the first point at or after `position`; 0 when there is none.
    pub(crate) fn at_or_after(&self, position: u64) -> usize {
        let (start, end) = self.bounds(bucket(position, self.shift));
        let within = self.positions.get(start..end).unwrap_or_default();
        let index = start + within.partition_point(|&point| point < position);
        if index < self.positions.len() { index } else { 0 }
    }

    /// Finds where the points of each bucket begin. That is kept one entry further on, where filling the bucket moves it
    /// to the end of its points, and so to the start of the next.
    fn count(&mut self, placement: Placement, members: &[Member<'_>], by_name: &[u16]) {
        let (shift, starts) = (self.shift, &mut *self.starts);
        each(placement, members, by_name, |position, _| {
            if let Some(number) = starts.get_mut(bucket(position, shift)) {
                *number += 1;
            }
        });
        let (mut sum, mut before) = (0, 0);
        for start in starts {
            let number = core::mem::replace(start, sum);
            sum += before;
            before = number;
        }
    }

    /// Puts each point into its bucket. They come in the order of names.
    fn fill(&mut self, placement: Placement, members: &[Member<'_>], by_name: &[u16]) {
        let shift = self.shift;
        let (positions, owners, starts) = (&mut *self.positions, &mut *self.owners, &mut *self.starts);
        each(placement, members, by_name, |position, owner| {
            let Some(end) = starts.get_mut(bucket(position, shift) + 1) else { return };
            let place = *end as usize;
            *end += 1;
            if let (Some(p), Some(o)) = (positions.get_mut(place), owners.get_mut(place)) {
                (*p, *o) = (position, owner);
            }
        });
    }

    /// Sorts by insertion: no point is farther from its place than its bucket is long. Of equal positions the smaller
    /// name stays first. In a pass of its own, for here the points are read in order; `fill` meets memory that is far away
    /// at each, which costs little to write and much to compare with.
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

    /// Of the points at one position the original keeps the last one added: that of the greatest name.
    fn keep_last(self) -> Self {
        let mut kept: Vec<(u64, u16)> = self.positions.into_iter().zip(self.owners).rev().collect();
        kept.dedup_by_key(|&mut (position, _)| position);
        let (positions, owners) = kept.into_iter().rev().unzip();
        Self::in_order(positions, owners)
    }

    fn bounds(&self, bucket: usize) -> (usize, usize) {
        let start = |index: usize| self.starts.get(index).map_or(0, |&start| start as usize);
        (start(bucket), start(bucket + 1))
    }
}

/// How many first bits of a position are an index: two to four points have the same.
fn bits(points: usize) -> u32 {
    points.max(1).ilog2().saturating_sub(1)
}

/// The first bits of a position, at most 21.
fn bucket(position: u64, shift: u32) -> usize {
    // Two shifts: one of 64 is none.
    usize::try_from(position >> 1 >> shift).unwrap_or(usize::MAX)
}

/// How many points the members have together.
pub(crate) fn number(placement: Placement, members: &[Member<'_>]) -> usize {
    let each = |member: &Member<'_>| match placement {
        Placement::Ring { points } => points as usize * member.weight as usize,
        Placement::DynamicSharding => DYNAMIC_SHARDING_POINTS as usize,
    };
    members.iter().map(each).sum()
}

/// Calls `act` with each point's position and the index of its member, in the order of names.
fn each(placement: Placement, members: &[Member<'_>], by_name: &[u16], mut act: impl FnMut(u64, u16)) {
    let mut vnode = Vec::new();
    for (index, member) in by_name.iter().filter_map(|&i| Some((i, members.get(usize::from(i))?))) {
        match placement {
            Placement::Ring { points } => {
                let mut input = h(member.name.as_bytes());
                for _ in 0..u64::from(points) * u64::from(member.weight) {
                    act(fmix64(input), index);
                    input = input.wrapping_add(STEP);
                }
            }
            // Positions are kept in the upper 32 bits, so that both placements share one 64-bit circle.
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

/// Appends `i` in decimal (0..=999), without the formatting machinery.
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
