//! The limit of new series a second, for each tenant on its own.
//!
//! A tenant has a bucket of one second's series. A series takes one out before it enters the queue, so that a flood of one
//! tenant leaves room for the others, and gives it back if the catalogue or Redis had it already: known series that are seen
//! again are hardly held up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most tenants with a bucket of their own; further ones share one.
const MOST: usize = 10_000;
/// Time in which an empty bucket fills.
const FULL: Duration = Duration::from_secs(1);

/// The buckets.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    /// Series a second; 0 is no limit.
    limit: AtomicU64,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    of: HashMap<String, Bucket>,
    /// The bucket of all tenants without one.
    shared: Option<Bucket>,
    /// The last time that full buckets were removed.
    swept: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    series: f64,
    filled: Instant,
}

impl Quotas {
    pub(super) fn configure(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Takes up to this many series out of the bucket of a tenant; returns their number.
    pub(super) fn take(&self, tenant: &str, series: usize, now: Instant) -> usize {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return series;
        }
        let mut buckets = self.lock();
        let bucket = buckets.of(tenant, limit, now);
        let taken = series.min(bucket.series as usize);
        bucket.series -= taken as f64;
        taken
    }

    /// Gives back series that are not new.
    pub(super) fn give_back(&self, tenant: &str, series: usize, now: Instant) {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit > 0 && series > 0 {
            let mut buckets = self.lock();
            let bucket = buckets.of(tenant, limit, now);
            bucket.series = (bucket.series + series as f64).min(limit as f64);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn of(&mut self, tenant: &str, limit: u64, now: Instant) -> &mut Bucket {
        let is_due = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= FULL);
        if self.of.len() >= MOST && is_due {
            // A tenant without a bucket has a full one.
            self.of.retain(|_, bucket| now.saturating_duration_since(bucket.filled) < FULL);
            self.swept = Some(now);
        }
        let full = Bucket { series: limit as f64, filled: now };
        let bucket = if self.of.len() >= MOST && !self.of.contains_key(tenant) {
            self.shared.get_or_insert(full)
        } else {
            self.of.entry(tenant.to_owned()).or_insert(full)
        };
        let seconds = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.series = (bucket.series + seconds * limit as f64).min(limit as f64);
        bucket.filled = now.max(bucket.filled);
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_its_own_limit() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        assert_eq!(quotas.take("a", 1_000_000, start), 1_000_000, "no limit");
        quotas.configure(100);
        assert_eq!((quotas.take("a", 60, start), quotas.take("a", 60, start)), (60, 40));
        assert_eq!(quotas.take("b", 10, start), 10, "another tenant is not held up");
        let later = start + Duration::from_millis(500);
        assert_eq!(quotas.take("a", 60, later), 50);
        quotas.give_back("a", 7, later);
        assert_eq!(quotas.take("a", 60, later), 7);
        quotas.give_back("a", 1_000, later);
        assert_eq!(quotas.take("a", 1_000, later), 100, "never more than a second's series");
        assert_eq!(quotas.take("a", 1_000, later + Duration::from_secs(9)), 100);
    }

    #[test]
    fn many_tenants_take_little_memory() {
        let (quotas, now) = (Quotas::default(), Instant::now());
        quotas.configure(10);
        for tenant in 0..2 * MOST {
            quotas.take(&tenant.to_string(), 1, now);
        }
        assert_eq!(quotas.lock().of.len(), MOST);
        assert_eq!(quotas.take("another", 1, now), 0, "the shared bucket is empty");
        assert_eq!(quotas.take("0", 20, now), 9);
        let later = now + Duration::from_secs(2);
        assert_eq!(quotas.take("another", 20, later), 10);
        assert_eq!(quotas.lock().of.len(), 1, "full buckets are gone");
    }
}
