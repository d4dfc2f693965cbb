//! Lookups: the owner of a key and the members after it. Lookups never allocate.

use core::hash::Hasher;

use fnv::FnvHasher;

use crate::Ring;
use crate::hash::{Murmur3, fmix64, key_hash, murmur3_32};
use crate::placement::{MAX_MEMBERS, Placement};

/// Hashes a key piece by piece, so that the caller needs no copy of the whole key. Created by [`Ring::hasher`].
pub struct KeyHasher(Hash);

enum Hash {
    Ring(FnvHasher),
    DynamicSharding(Murmur3),
}

impl KeyHasher {
    /// Appends the next bytes of the key.
    pub fn write(&mut self, piece: &[u8]) {
        match &mut self.0 {
            Hash::Ring(hash) => hash.write(piece),
            Hash::DynamicSharding(hash) => hash.write(piece),
        }
    }

    /// Returns the position of the key, for [`Ring::owner_at`] and [`Ring::clockwise_at`].
    #[must_use]
    pub fn finish(&self) -> u64 {
        match &self.0 {
            Hash::Ring(hash) => fmix64(hash.finish()),
            // The low 32 bits of every point are 0, so "at or after" an odd number means "strictly after" the hash.
            Hash::DynamicSharding(hash) => u64::from(hash.finish()) << 32 | 1,
        }
    }
}

impl Ring {
    /// Returns a hasher for a key that comes in pieces.
    #[must_use]
    pub fn hasher(&self) -> KeyHasher {
        KeyHasher(match self.placement {
            Placement::Ring { .. } => Hash::Ring(FnvHasher::default()),
            Placement::DynamicSharding => Hash::DynamicSharding(Murmur3::default()),
        })
    }

    /// Returns the index of the member that owns `key`, or `None` if the ring has no members.
    #[must_use]
    pub fn owner(&self, key: &[u8]) -> Option<usize> {
        self.owner_at(self.key_position(key))
    }

    /// Iterates over the owner of `key` and its successors, the next distinct members clockwise. Each member occurs once.
    #[must_use]
    pub fn clockwise(&self, key: &[u8]) -> Clockwise<'_> {
        self.clockwise_at(self.key_position(key))
    }

    /// Returns the member of the first point at or after `position`, and that of the very first point if there is none.
    /// Returns `None` if the ring has no members.
    #[must_use]
    pub fn owner_at(&self, position: u64) -> Option<usize> {
        self.points.owners.get(self.points.at_or_after(position)).copied().map(usize::from)
    }

    /// Iterates over the member that [`Ring::owner_at`] returns and the next distinct members clockwise. Each member
    /// occurs once.
    #[must_use]
    pub fn clockwise_at(&self, position: u64) -> Clockwise<'_> {
        let first = self.points.at_or_after(position);
        let (before, after) = self.points.owners.split_at_checked(first).unwrap_or_default();
        Clockwise { points: after.iter().chain(before), left: self.members, seen: [0; MAX_MEMBERS / 64] }
    }

    /// Returns the position of `key` on the circle of 2^64 positions. The hash of [`Placement::DynamicSharding`] has 32
    /// bits, which are the upper half.
    #[must_use]
    pub fn position(&self, key: &[u8]) -> u64 {
        match self.placement {
            Placement::Ring { .. } => key_hash(key),
            Placement::DynamicSharding => u64::from(murmur3_32(key)) << 32,
        }
    }

    /// Returns the number of members.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members
    }

    /// Returns the number of points on the circle.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points.positions.len()
    }

    fn key_position(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher();
        hasher.write(key);
        hasher.finish()
    }
}

/// Iterates over distinct members clockwise. Created by [`Ring::clockwise`] and [`Ring::clockwise_at`].
#[derive(Clone, Debug)]
pub struct Clockwise<'r> {
    points: core::iter::Chain<core::slice::Iter<'r, u16>, core::slice::Iter<'r, u16>>,
    /// Members that were not returned yet. The walk ends at 0, usually long before a full turn.
    left: usize,
    /// One bit per member.
    seen: [u64; MAX_MEMBERS / 64],
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
