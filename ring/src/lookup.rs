//! Lookups: the owner of a key and the members after it. Nothing here allocates.

use crate::hash::{h, murmur3_32};
use crate::{MEMBERS_MAX, Placement, Ring};

impl Ring {
    /// The index of the member that owns `key`; `None` only when the ring has no members.
    #[must_use]
    pub fn owner(&self, key: &[u8]) -> Option<usize> {
        self.points.owners.get(self.point_of(key)).copied().map(usize::from)
    }

    /// The owner of `key`, then its successors: the next *distinct* members clockwise, each once.
    #[must_use]
    pub fn clockwise(&self, key: &[u8]) -> Clockwise<'_> {
        let (before, after) = self.points.owners.split_at_checked(self.point_of(key)).unwrap_or_default();
        Clockwise { points: after.iter().chain(before), left: self.members, seen: [0; MEMBERS_MAX / 64] }
    }

    /// Where `key` lies on the circle. Of [`Placement::DynamicSharding`], whose hash has 32 bits, these are the upper
    /// ones.
    #[must_use]
    pub fn position(&self, key: &[u8]) -> u64 {
        match self.placement {
            Placement::Ring { .. } => h(key),
            Placement::DynamicSharding => u64::from(murmur3_32(key)) << 32,
        }
    }

    /// Number of members it was built from.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members
    }

    /// Number of points on the circle.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points.positions.len()
    }

    /// Index of the point that owns `key`; 0 when the ring is empty.
    fn point_of(&self, key: &[u8]) -> usize {
        // Positions of dynamic-sharding have 32 zero bits at the end: "strictly greater", as it wants, is "at or after
        // the next number".
        let strictly = u64::from(self.placement == Placement::DynamicSharding);
        self.points.at_or_after(self.position(key) | strictly)
    }
}

/// Iterator over distinct members clockwise, by [`Ring::clockwise`].
#[derive(Clone, Debug)]
pub struct Clockwise<'r> {
    points: core::iter::Chain<core::slice::Iter<'r, u16>, core::slice::Iter<'r, u16>>,
    /// Members not answered yet: ends the walk without a full turn.
    left: usize,
    /// One bit a member.
    seen: [u64; MEMBERS_MAX / 64],
}

impl Iterator for Clockwise<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.left > 0 {
            let member = usize::from(*self.points.next()?);
            let bit = 1u64 << (member % 64);
            let word = self.seen.get_mut(member / 64)?;
            if *word & bit == 0 {
                *word |= bit;
                self.left -= 1;
                return Some(member);
            }
        }
        None
    }
}
