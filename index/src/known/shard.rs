//! A part of the set: its keys with their times, and which of them have to go.

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;

use crate::Key;

/// Set in [`Slot::state`] if the key was looked up since the hand of the clock passed; the other bits are the expiry.
const USED: u32 = 1 << 31;

#[derive(Debug)]
pub(super) struct Shard {
    table: HashTable<Slot>,
    /// Most keys of the table.
    limit: usize,
    /// The bucket that eviction looks at next.
    hand: usize,
}

/// A key and its state in 20 bytes; a `u128` would make it 32.
#[derive(Debug)]
struct Slot {
    key: [u32; 4],
    /// Readers mark it as used while they share the lock.
    state: AtomicU32,
}

impl Shard {
    pub(super) fn new(limit: usize) -> Self {
        Self { table: HashTable::new(), limit, hand: 0 }
    }

    #[inline]
    pub(super) fn contains(&self, key: Key, now: u32) -> bool {
        let words = words(key);
        let Some(slot) = self.table.find(hash_of(key), |slot| slot.key == words) else { return false };
        let state = slot.state.load(Ordering::Relaxed);
        if state & !USED <= now {
            return false;
        }
        // Most lookups find the bit set and leave the cache line clean.
        if state & USED == 0 {
            slot.state.fetch_or(USED, Ordering::Relaxed);
        }
        true
    }

    /// Returns whether another key had to go.
    pub(super) fn insert(&mut self, key: Key, expires: u32) -> bool {
        let (words, expires) = (words(key), expires.min(USED - 1));
        if let Some(slot) = self.table.find_mut(hash_of(key), |slot| slot.key == words) {
            let state = slot.state.get_mut();
            *state = expires | *state & USED;
            return false;
        }
        let is_full = self.table.len() >= self.limit;
        if is_full {
            self.evict();
        }
        self.table.insert_unique(hash_of(key), Slot { key: words, state: expires.into() }, Slot::hash);
        is_full
    }

    pub(super) fn remove(&mut self, key: Key) {
        if let Ok(entry) = self.table.find_entry(hash_of(key), |slot| slot.key == words(key)) {
            entry.remove();
        }
    }

    /// Removes what has expired, and gives back memory.
    pub(super) fn sweep(&mut self, now: u32) {
        self.table.retain(|slot| *slot.state.get_mut() & !USED > now);
        let (len, capacity) = (self.table.len(), self.table.capacity());
        if len < capacity / 4 {
            self.table.shrink_to(len * 2, Slot::hash);
        }
    }

    pub(super) fn clear(&mut self) {
        self.table = HashTable::new();
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns the bytes of memory in use.
    pub(super) fn memory(&self) -> usize {
        self.table.allocation_size()
    }

    /// Moves the hand to the first key that was not used since its last round, and removes it.
    fn evict(&mut self) {
        let buckets = self.table.num_buckets();
        // After one round no key is marked.
        for _ in 0..buckets * 2 {
            let bucket = self.hand;
            self.hand = if self.hand + 1 < buckets { self.hand + 1 } else { 0 };
            let Some(slot) = self.table.get_bucket_mut(bucket) else { continue };
            let state = slot.state.get_mut();
            if *state & USED != 0 {
                *state &= !USED;
            } else if let Ok(entry) = self.table.get_bucket_entry(bucket) {
                entry.remove();
                return;
            }
        }
    }
}

impl Slot {
    fn hash(&self) -> u64 {
        let [a, b, ..] = self.key;
        u64::from(b) << 32 | u64::from(a)
    }
}

fn hash_of(key: Key) -> u64 {
    key.number() as u64
}

fn words(key: Key) -> [u32; 4] {
    let number = key.number();
    [number as u32, (number >> 32) as u32, (number >> 64) as u32, (number >> 96) as u32]
}
