//! The set of series that are durable: what it has is not written again until it expires.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use pushring_index::Key;

const SHARDS: usize = 64;

/// A bounded set of keys with a time to expire, in seconds since the start of the process.
#[derive(Debug)]
pub(crate) struct Known {
    shards: Vec<Mutex<HashTable<(u128, u32)>>>,
    /// Most keys of a shard.
    most: usize,
}

impl Known {
    pub(crate) fn new(most: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, most: most.div_ceil(SHARDS) }
    }

    /// Says of each key whether the set has it, in order.
    pub(crate) fn contains(&self, keys: &[Key], now: u32, found: &mut Vec<bool>) {
        found.clear();
        found.extend(keys.iter().map(|key| {
            let key = number(*key);
            self.shard(key).find(hash(key), |entry| entry.0 == key).is_some_and(|entry| entry.1 > now)
        }));
    }

    /// Adds keys with the time at which they expire; a full shard loses other keys for them.
    pub(crate) fn insert(&self, entries: impl Iterator<Item = (Key, u32)>, now: u32) {
        for (key, expiry) in entries {
            let key = number(key);
            let mut shard = self.shard(key);
            if let Some(entry) = shard.find_mut(hash(key), |entry| entry.0 == key) {
                entry.1 = expiry;
                continue;
            }
            if shard.len() >= self.most {
                shard.retain(|entry| entry.1 > now);
                // Forgotten series are found again, so that any eighth may go.
                let mut at = 0_usize;
                if shard.len() >= self.most {
                    shard.retain(|_| {
                        at += 1;
                        !at.is_multiple_of(8)
                    });
                }
            }
            shard.insert_unique(hash(key), (key, expiry), |entry| hash(entry.0));
        }
    }

    /// Removes what has expired.
    pub(crate) fn sweep(&self, now: u32) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).retain(|entry| entry.1 > now);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, HashTable<(u128, u32)>> {
        let index = (key >> 64) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(key: Key) -> u128 {
    u128::from_be_bytes(key.to_bytes())
}

fn hash(key: u128) -> u64 {
    key as u64
}
