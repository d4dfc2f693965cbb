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
#[derive(Clone, Debug, Default)]
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
        // Four to eight points to each start.
        let bits = count.max(1).ilog2().saturating_sub(2);
        let mut points = Self {
            positions: vec![0; count].into(),
            owners: vec![0; count].into(),
            starts: vec![0; (1 << bits) + 1].into(),
            shift: 63 - bits,
        };
        points.distribute(placement, members, by_name);
        points.sort(placement, by_name);
        points
    }

    /// Index of the first point at or after `position`; 0 when there is none.
    pub(crate) fn at_or_after(&self, position: u64) -> usize {
        let (start, end) = self.bounds(self.bucket(position));
        let within = self.positions.get(start..end).unwrap_or_default();
        let index = start + within.partition_point(|&point| point < position);
        if index < self.positions.len() { index } else { 0 }
    }

    /// Puts each point, with the rank of its member, somewhere between its start and the next.
    fn distribute(&mut self, placement: Placement, members: &[Member<'_>], by_name: &[u16]) {
        let mut starts = core::mem::take(&mut self.starts);
        each(placement, members, by_name, |position, _| {
            if let Some(number) = starts.get_mut(self.bucket(position)) {
                *number += 1;
            }
        });
        let mut sum = 0;
        for number in &mut starts {
            sum += *number;
            *number = sum;
        }
        each(placement, members, by_name, |position, rank| {
            let Some(end) = starts.get_mut(self.bucket(position)) else { return };
            *end -= 1;
            let index = *end as usize;
            if let (Some(p), Some(o)) = (self.positions.get_mut(index), self.owners.get_mut(index)) {
                (*p, *o) = (position, rank);
            }
        });
        self.starts = starts;
    }

    /// Sorts what lies between two starts, and turns ranks into indices.
    fn sort(&mut self, placement: Placement, by_name: &[u16]) {
        let mut some: Vec<(u64, u16)> = Vec::new();
        let mut written = 0;
        for bucket in 0..self.starts.len().saturating_sub(1) {
            let (start, end) = self.bounds(bucket);
            let positions = self.positions.get(start..end).unwrap_or_default();
            let ranks = self.owners.get(start..end).unwrap_or_default();
            some.clear();
            some.extend(positions.iter().copied().zip(ranks.iter().copied()));
            // By (position, rank of the name): a total order, so the input order cannot show.
            some.sort_unstable();
            if placement == Placement::DynamicSharding {
                keep_last(&mut some);
            }
            if let Some(at) = self.starts.get_mut(bucket) {
                *at = u32::try_from(written).unwrap_or(u32::MAX);
            }
            let places = self.positions.iter_mut().zip(self.owners.iter_mut()).skip(written);
            for ((position, owner), &(point, rank)) in places.zip(&some) {
                *position = point;
                *owner = by_name.get(usize::from(rank)).copied().unwrap_or(0);
            }
            written += some.len();
        }
        self.cut(written);
    }

    /// Shortens to the first `number` points.
    fn cut(&mut self, number: usize) {
        if let Some(end) = self.starts.last_mut() {
            *end = u32::try_from(number).unwrap_or(u32::MAX);
        }
        if number < self.positions.len() {
            self.positions = self.positions.iter().copied().take(number).collect();
            self.owners = self.owners.iter().copied().take(number).collect();
        }
    }

    fn bucket(&self, position: u64) -> usize {
        // Two shifts: one of 64 is none. At most 20 bits stay.
        usize::try_from(position >> 1 >> self.shift).unwrap_or(usize::MAX)
    }

    fn bounds(&self, bucket: usize) -> (usize, usize) {
        let start = |index: usize| self.starts.get(index).map_or(0, |&start| start as usize);
        (start(bucket), start(bucket + 1))
    }
}

/// How many points the members have together.
pub(crate) fn number(placement: Placement, members: &[Member<'_>]) -> usize {
    let each = |member: &Member<'_>| match placement {
        Placement::Ring { points } => points as usize * member.weight as usize,
        Placement::DynamicSharding => DYNAMIC_SHARDING_POINTS as usize,
    };
    members.iter().map(each).sum()
}

/// The original keeps one member a position, the last one added: the greatest name.
fn keep_last(points: &mut Vec<(u64, u16)>) {
    points.reverse();
    points.dedup_by_key(|&mut (position, _)| position);
    points.reverse();
}

/// Calls `act` with each point's position and the rank of its member.
fn each(placement: Placement, members: &[Member<'_>], by_name: &[u16], mut act: impl FnMut(u64, u16)) {
    let mut vnode = Vec::new();
    for (rank, member) in (0u16..).zip(by_name).filter_map(|(r, &i)| Some((r, members.get(usize::from(i))?)))
    {
        match placement {
            Placement::Ring { points } => {
                let mut input = h(member.name.as_bytes());
                for _ in 0..u64::from(points) * u64::from(member.weight) {
                    act(fmix64(input), rank);
                    input = input.wrapping_add(STEP);
                }
            }
            // Positions are kept in the upper 32 bits, so that both placements share one 64-bit circle.
            Placement::DynamicSharding => {
                for i in 0..DYNAMIC_SHARDING_POINTS {
                    vnode.clear();
                    push_decimal(&mut vnode, i);
                    vnode.extend_from_slice(member.name.as_bytes());
                    act(u64::from(murmur3_32(&vnode)) << 32, rank);
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
