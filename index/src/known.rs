//! A bounded set of the keys that are durable already, so that most series of a request need nothing but a lookup.

#![deny(clippy::indexing_slicing)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use crate::Key;

/// Parts of a set, each with a lock of its own. A power of two.
const SHARDS: usize = 64;
/// Set in [`Slot::state`] if the key was looked up since the hand of the clock passed; the other bits are the expiry.
const USED: u32 = 1 << 31;

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
    shards: Box<[Mutex<Shard>]>,
    evicted: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    table: HashTable<Slot>,
    /// Most keys of the table.
    limit: usize,
    /// The bucket that eviction looks at next.
    hand: usize,
}

/// A key and its state in 20 bytes; a `u128` would make it 32.
#[derive(Clone, Copy, Debug)]
struct Slot {
    key: [u32; 4],
    state: u32,
}

impl Known {
    /// Creates an empty set for up to `capacity` keys, rounded up to a multiple of 64. Its memory grows with its keys.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let limit = capacity.div_ceil(SHARDS).max(1);
        let shard = || Mutex::new(Shard { table: HashTable::new(), limit, hand: 0 });
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect(), evicted: AtomicU64::new(0) }
    }

    /// Appends the positions of the keys that are not in the set, in ascending order.
    ///
    /// All keys of a request in one call are several times faster than one by one: each lock is taken once, and the processor
    /// waits for the memory of many keys at the same time.
    pub fn unknown(&self, keys: &[Key], now: u32, into: &mut Vec<usize>) {
        let start = into.len();
        for (shard, positions) in self.by_shard(keys.iter().copied()) {
            let mut shard = lock(shard);
            for position in positions {
                let is_known = keys.get(position as usize).is_some_and(|key| shard.contains(*key, now));
                if !is_known {
                    into.push(position as usize);
                }
            }
        }
        into.get_mut(start..).unwrap_or_default().sort_unstable();
    }

    /// Returns whether a key is in the set.
    #[must_use]
    pub fn contains(&self, key: Key, now: u32) -> bool {
        self.shards.get(shard_of(key)).is_some_and(|shard| lock(shard).contains(key, now))
    }

    /// Adds keys with the time at which each expires, or changes that time.
    pub fn insert(&self, keys: impl IntoIterator<Item = (Key, u32)>) {
        for (key, expires) in keys {
            let Some(shard) = self.shards.get(shard_of(key)) else { continue };
            if lock(shard).insert(key, expires) {
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Removes a key.
    pub fn remove(&self, key: Key) {
        let Some(shard) = self.shards.get(shard_of(key)) else { return };
        if let Ok(entry) = lock(shard).table.find_entry(hash_of(key), |slot| slot.key == words(key)) {
            entry.remove();
        }
    }

    /// Removes the keys that have expired, and gives back memory. One shard is locked at a time.
    pub fn sweep(&self, now: u32) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.table.retain(|slot| slot.expires() > now);
            let (len, capacity) = (shard.table.len(), shard.table.capacity());
            if len < capacity / 4 {
                shard.table.shrink_to(len * 2, Slot::hash);
            }
        }
    }

    /// Removes all keys.
    pub fn clear(&self) {
        for shard in &self.shards {
            lock(shard).table = HashTable::new();
        }
    }

    /// Returns the number of keys, with those that have expired since the last [`Known::sweep`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).table.len()).sum()
    }

    /// Returns whether the set has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of memory in use.
    #[must_use]
    pub fn memory(&self) -> usize {
        let shards = self.shards.iter().map(|shard| lock(shard).table.allocation_size()).sum::<usize>();
        shards + size_of_val(&*self.shards)
    }

    /// Returns how many keys were removed before they expired, because the set was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Sorts positions of keys by shard.
    fn by_shard(
        &self,
        keys: impl ExactSizeIterator<Item = Key> + Clone,
    ) -> impl Iterator<Item = (&Mutex<Shard>, impl Iterator<Item = u32>)> {
        let mut order: Vec<u64> = Vec::with_capacity(keys.len());
        order.extend(
            (0_u32..).zip(keys).map(|(position, key)| (shard_of(key) as u64) << 32 | u64::from(position)),
        );
        order.sort_unstable();
        let mut rest = 0;
        std::iter::from_fn(move || {
            let shard = (order.get(rest)? >> 32) as usize;
            let end = rest + order.get(rest..)?.partition_point(|entry| (entry >> 32) as usize == shard);
            let positions: Vec<u32> = order.get(rest..end)?.iter().map(|entry| *entry as u32).collect();
            rest = end;
            Some((self.shards.get(shard)?, positions.into_iter()))
        })
    }
}

impl Shard {
    #[inline]
    fn contains(&mut self, key: Key, now: u32) -> bool {
        let words = words(key);
        let slot = self.table.find_mut(hash_of(key), |slot| slot.key == words);
        let Some(slot) = slot.filter(|slot| slot.expires() > now) else { return false };
        // Most lookups find the bit set and leave the cache line clean.
        if slot.state & USED == 0 {
            slot.state |= USED;
        }
        true
    }

    /// Returns whether another key had to go.
    fn insert(&mut self, key: Key, expires: u32) -> bool {
        let new = Slot { key: words(key), state: expires.min(USED - 1) };
        if let Some(slot) = self.table.find_mut(hash_of(key), |slot| slot.key == new.key) {
            slot.state = new.state | slot.state & USED;
            return false;
        }
        let is_full = self.table.len() >= self.limit;
        if is_full {
            self.evict();
        }
        self.table.insert_unique(hash_of(key), new, Slot::hash);
        is_full
    }

    /// Moves the hand to the first key that was not used since its last round, and removes it.
    fn evict(&mut self) {
        let buckets = self.table.num_buckets();
        // After one round no key is marked.
        for _ in 0..buckets * 2 {
            let bucket = self.hand;
            self.hand = if self.hand + 1 < buckets { self.hand + 1 } else { 0 };
            let Some(slot) = self.table.get_bucket_mut(bucket) else { continue };
            if slot.state & USED != 0 {
                slot.state &= !USED;
            } else if let Ok(entry) = self.table.get_bucket_entry(bucket) {
                entry.remove();
                return;
            }
        }
    }
}

impl Slot {
    fn expires(&self) -> u32 {
        self.state & !USED
    }

    fn hash(&self) -> u64 {
        let [a, b, ..] = self.key;
        u64::from(b) << 32 | u64::from(a)
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

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shard is chosen by bits that the table of the shard does not use.
fn shard_of(key: Key) -> usize {
    (key.number() >> 64) as usize % SHARDS
}

fn hash_of(key: Key) -> u64 {
    key.number() as u64
}

fn words(key: Key) -> [u32; 4] {
    let number = key.number();
    [number as u32, (number >> 32) as u32, (number >> 64) as u32, (number >> 96) as u32]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn key(number: u64) -> Key {
        Key::of_bytes(&number.to_be_bytes())
    }

    fn unknown(set: &Known, keys: &[Key], now: u32) -> Vec<usize> {
        let mut into = Vec::new();
        set.unknown(keys, now, &mut into);
        into
    }

    #[test]
    fn acts_as_a_map_of_expiries_while_it_is_not_full() {
        arbtest::arbtest(|u| {
            let (set, mut model) = (Known::new(100_000), BTreeMap::new());
            let mut now = 0;
            while !u.is_empty() {
                let keys: Vec<_> =
                    (0..u.int_in_range(1..=9)?).map(|_| u.int_in_range(0..=40)).collect::<Result<_, _>>()?;
                match u.int_in_range(0..=4)? {
                    0 => now += u.int_in_range(0..=5)?,
                    1 => {
                        let expires = now + u.int_in_range(0..=9)?;
                        set.insert(keys.iter().map(|number| (key(*number), expires)));
                        model.extend(keys.iter().map(|number| (*number, expires)));
                    }
                    2 => keys.iter().for_each(|number| {
                        set.remove(key(*number));
                        model.remove(number);
                    }),
                    3 => {
                        set.sweep(now);
                        model.retain(|_, expires| *expires > now);
                        assert_eq!(set.len(), model.len());
                    }
                    _ => {
                        let is_new = |number: &u64| model.get(number).is_none_or(|expires| *expires <= now);
                        let new: Vec<_> = (0..keys.len()).filter(|i| is_new(&keys[*i])).collect();
                        let keys: Vec<_> = keys.iter().map(|number| key(*number)).collect();
                        assert_eq!(unknown(&set, &keys, now), new);
                        assert!(
                            keys.iter()
                                .enumerate()
                                .all(|(i, key)| set.contains(*key, now) != new.contains(&i))
                        );
                    }
                }
            }
            assert_eq!(set.evicted(), 0);
            Ok(())
        });
    }

    #[test]
    fn keeps_what_is_used_when_it_is_full() {
        let set = Known::new(6_400);
        let used: Vec<_> = (0..1_000).map(key).collect();
        set.insert(used.iter().map(|key| (*key, 100)));
        for round in 1..20 {
            set.insert((0..1_000).map(|i| (key(round * 1_000 + i), 100)));
            assert!(set.len() <= 6_400);
            let lost = unknown(&set, &used, 1).len();
            assert!(lost == 0, "{lost} of the keys that each round uses are gone in round {round}");
        }
        assert!(set.evicted() > 10_000);
    }

    #[test]
    fn two_sets_take_less_than_120_bytes_a_series() {
        let (keys, raw) = (Known::new(10_000_000), Known::new(10_000_000));
        for number in 0..150_000_u64 {
            keys.insert([(key(number), 100)]);
            raw.insert([(key(!number), 100)]);
            if number % 5_000 == 0 && number > 40_000 {
                let bytes = (keys.memory() + raw.memory()) as u64 / number;
                assert!(bytes < 120, "{bytes} bytes a series with {number}");
            }
        }
        keys.sweep(100);
        assert!(keys.is_empty());
        assert!(keys.memory() < 10_000, "{}", keys.memory());
    }

    #[test]
    fn threads_share_a_set() {
        let set = Known::new(100_000);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let set = &set;
                scope.spawn(move || {
                    let keys: Vec<_> = (0..2_000).map(|i| key(i * 4 + thread)).collect();
                    set.insert(keys.iter().map(|key| (*key, 100)));
                    assert_eq!(unknown(set, &keys, 1), [0_usize; 0]);
                });
            }
        });
        assert_eq!(set.len(), 8_000);
    }

    #[test]
    fn spreads_by_a_fifth_in_both_directions() {
        let times: Vec<_> = (0..1_000).map(|number| spread(key(number), 1_000)).collect();
        assert!(times.iter().all(|time| (800..=1_200).contains(time)));
        assert!(times.iter().any(|time| *time < 820) && times.iter().any(|time| *time > 1_180));
        assert_eq!(spread(key(1), 0), 0);
        assert!(spread(key(1), u32::MAX) > 3_000_000_000);
    }
}
