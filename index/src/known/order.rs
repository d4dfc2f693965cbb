//! The keys of a request, sorted by the part of the set that they belong to.

use super::{SHARDS, shard_of};
use crate::Key;

/// Positions of keys, grouped by shard.
pub(super) struct Order {
    positions: Vec<u32>,
    /// The end of the group of each shard.
    ends: [u32; SHARDS],
}

impl Order {
    /// Counts, then places each position: one pass each, which a comparison sort of so few groups would need many of.
    pub(super) fn new(keys: &[Key]) -> Self {
        let mut ends = [0; SHARDS];
        for key in keys {
            if let Some(count) = ends.get_mut(shard_of(*key)) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            // The begin, until the group is filled.
            sum += std::mem::replace(end, sum);
        }
        let mut positions = vec![0; keys.len()];
        for (position, key) in (0..).zip(keys) {
            if let Some(end) = ends.get_mut(shard_of(*key)) {
                if let Some(place) = positions.get_mut(*end as usize) {
                    *place = position;
                }
                *end += 1;
            }
        }
        Self { positions, ends }
    }

    /// Returns the positions of each shard that has some, in ascending order.
    pub(super) fn groups(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let mut begin = 0;
        self.ends.iter().enumerate().filter_map(move |(shard, end)| {
            let group = self.positions.get(begin as usize..*end as usize)?;
            begin = *end;
            (!group.is_empty()).then_some((shard, group))
        })
    }
}
