//! A bounded set of the keys that are durable already, so that most series of a request need nothing but a lookup.

#![deny(clippy::indexing_slicing)]

mod order;
mod shard;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::Key;
use order::Order;
use shard::Shard;

/// Parts of a set, each with a lock of its own. A power of two.
const SHARDS: usize = 64;

/// A set of keys that expire. It never has more than its capacity: a key that comes when the set is full replaces one that
/// was not found for long (clock eviction).
///
/// A key may be missing although it was inserted: its series is then taken for new, which is harmless. A key is never there
/// without having been inserted. So the one rule for callers: insert a key after its series is durable, not before.
///
/// A key takes 24 to 48 bytes. Times are seconds below 2^31 on a clock of the caller that does not go back, such as the
/// seconds since the start of the process.
///
/// ```
/// use pushring_index::{Key, known::Known};
///
/// let (set, key) = (Known::new(1_000_000), Key::of_bytes(b"a series"));
/// let mut unknown = Vec::new();
/// set.unknown(&[key], 0, &mut unknown);
/// assert_eq!(unknown, [0]);
/// set.insert([(key, 1800)]);
/// assert!(set.contains(key, 1799) && !set.contains(key, 1800));
/// ```
#[derive(Debug)]
pub struct Known {
    shards: Box<[RwLock<Shard>]>,
    evicted: AtomicU64,
}

impl Known {
    /// Creates an empty set for up to `capacity` keys, rounded up to a multiple of 64. Its memory grows with its keys.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let limit = capacity.div_ceil(SHARDS).max(1);
        let shard = || RwLock::new(Shard::new(limit));
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect(), evicted: AtomicU64::new(0) }
    }

    /// Appends the positions of the keys that are not in the set, in ascending order.
    ///
    /// All keys of a request in one call are several times faster than one by one: each lock is taken once, and the processor
    /// waits for the memory of many keys at the same time.
    pub fn unknown(&self, keys: &[Key], now: u32, into: &mut Vec<usize>) {
        let start = into.len();
        for (shard, positions) in Order::new(keys).groups() {
            let Some(shard) = self.shards.get(shard).map(read) else { continue };
            for position in positions {
                let position = *position as usize;
                let is_known = keys.get(position).is_some_and(|key| shard.contains(*key, now));
                if !is_known {
                    into.push(position);
                }
            }
        }
        into.get_mut(start..).unwrap_or_default().sort_unstable();
    }

    /// Returns whether a key is in the set.
    #[must_use]
    pub fn contains(&self, key: Key, now: u32) -> bool {
        self.shards.get(shard_of(key)).is_some_and(|shard| read(shard).contains(key, now))
    }

    /// Adds keys with the time at which each expires, or changes that time.
    pub fn insert(&self, keys: impl IntoIterator<Item = (Key, u32)>) {
        for (key, expires) in keys {
            let Some(shard) = self.shards.get(shard_of(key)) else { continue };
            if write(shard).insert(key, expires) {
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Removes a key.
    pub fn remove(&self, key: Key) {
        if let Some(shard) = self.shards.get(shard_of(key)) {
            write(shard).remove(key);
        }
    }

    /// Removes the keys that have expired, and gives back memory. One shard is locked at a time.
    pub fn sweep(&self, now: u32) {
        self.shards.iter().for_each(|shard| write(shard).sweep(now));
    }

    /// Removes all keys.
    pub fn clear(&self) {
        self.shards.iter().for_each(|shard| write(shard).clear());
    }

    /// Returns the number of keys, with those that have expired since the last [`Known::sweep`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).len()).sum()
    }

    /// Returns whether the set has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of memory in use.
    #[must_use]
    pub fn memory(&self) -> usize {
        let shards = self.shards.iter().map(|shard| read(shard).memory()).sum::<usize>();
        shards + size_of_val(&*self.shards)
    }

    /// Returns how many keys were removed before they expired, because the set was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

/// Returns a time between 80 % and 120 % of `seconds`, the same for each call with this key, so that series that came
/// together do not come back together.
#[must_use]
pub fn spread(key: Key, seconds: u32) -> u32 {
    let part = u64::from(seconds) * 2 / 5;
    let offset = part.saturating_mul((key.number() >> 96) as u64) >> 32;
    u32::try_from(u64::from(seconds) - u64::from(seconds) / 5 + offset).unwrap_or(u32::MAX)
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

/// The shard is chosen by bits that the table of the shard does not use.
fn shard_of(key: Key) -> usize {
    (key.number() >> 64) as usize % SHARDS
}
