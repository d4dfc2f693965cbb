//! Lookups: the owner of a key and the members after it. Nothing here allocates.

use core::hash::Hasher;

use fnv::FnvHasher;

use crate::hash::{Murmur3, fmix64, h, murmur3_32};
use crate::{MEMBERS_MAX, Placement, Ring};

/// A key on its way to its owner, piece by piece: no copy of the whole is needed.
pub struct KeyHasher(Hash);

enum Hash {
    Ring(FnvHasher),
    DynamicSharding(Murmur3),
}

impl KeyHasher {
    /// Takes the next bytes of the key.
    pub fn write(&mut self, piece: &[u8]) {
        match &mut self.0 {
            Hash::Ring(hash) => hash.write(piece),
            Hash::DynamicSharding(hash) => hash.write(piece),
        }
    }

    /// The position whose owner owns the key: for [`Ring::owner_at`] and [`Ring::clockwise_at`].
    #[must_use]
    pub fn finish(&self) -> u64 {
        match &self.0 {
            Hash::Ring(hash) => fmix64(hash.finish()),
            // Points have 32 zero bits at the end: "strictly greater" is "at or after the next number".
            Hash::DynamicSharding(hash) => u64::from(hash.finish()) << 32 | 1,
        }
    }
}

impl Ring {
    /// For a key in pieces.
    #[must_use]
    pub fn hasher(&self) -> KeyHasher {
        KeyHasher(match self.placement {
            Placement::Ring { .. } => Hash::Ring(FnvHasher::default()),
            Placement::DynamicSharding => Hash::DynamicSharding(Murmur3::default()),
        })
    }

    /// The index of the member that owns `key`; `None` only when the ring has no members.
    #[must_use]
    pub fn owner(&self, key: &[u8]) -> Option<usize> {
        self.owner_at(self.sought(key))
    }

    /// The owner of `key`, then its successors: the next *distinct* members clockwise, each once.
    #[must_use]
    pub fn clockwise(&self, key: &[u8]) -> Clockwise<'_> {
        self.clockwise_at(self.sought(key))
    }

    /// The member of the first point at or after `position`, else of the first of all; `None` only when the ring
    /// has no members.
    #[must_use]
    pub fn owner_at(&self, position: u64) -> Option<usize> {
        self.points.owners.get(self.points.at_or_after(position)).copied().map(usize::from)
    }

    /// The member that [`Ring::owner_at`] names, then the next distinct members clockwise, each once.
    #[must_use]
    pub fn clockwise_at(&self, position: u64) -> Clockwise<'_> {
        let first = self.points.at_or_after(position);
        let (before, after) = self.points.owners.split_at_checked(first).unwrap_or_default();
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

    fn sought(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher();
        hasher.write(key);
        hasher.finish()
    }
}

/// Iterator over distinct members clockwise, by [`Ring::clockwise_at`].
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
