//! The time that the catalogue keeps a series after it was last seen, and the task that enforces it.
//!
//! A series that lives is never deleted. Its last sighting in the catalogue is as old as the set of known series and Redis
//! remember it without a word, which [`Config`] checks against the retention. And nothing is deleted while the catalogue
//! itself is behind: without any sighting since the last look, or with old ones, such as those that Kafka kept while no indexer
//! ran.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use metrics::counter;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Catalogue;
use crate::config::Config;

/// Sightings that are older than this when they are recorded show that more of them wait.
const LATE: i64 = 600_000;

/// How far the sightings are behind the clock, since the last look.
#[derive(Debug, Default)]
pub(super) struct Delay {
    has_seen: AtomicBool,
    longest: AtomicI64,
}

impl Delay {
    /// Notes the time of a sighting that was recorded, in milliseconds since 1970.
    pub(super) fn note(&self, at: i64) {
        self.longest.fetch_max(now().saturating_sub(at), Ordering::Relaxed);
        self.has_seen.store(true, Ordering::Relaxed);
    }

    /// Returns whether the catalogue was up to date since the last call.
    fn was_short(&self) -> bool {
        let has_seen = self.has_seen.swap(false, Ordering::Relaxed);
        self.longest.swap(0, Ordering::Relaxed) < LATE && has_seen
    }
}

/// Deletes series for as long as the process runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Retention {
    milliseconds: i64,
    /// Before the first deletion, each series that lives is reported once.
    interval: Duration,
}

impl Retention {
    /// Returns the task of a configuration, if the process writes the catalogue. Where Redis knows a series without end, the
    /// catalogue keeps it, too.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        if config.metric_store.producer.is_some() && config.consumer().is_none() {
            return None;
        }
        if config.redis.is_some() && !config.metric_store.cache.isexpire {
            warn!(
                "catalogue.retention_days has no effect: with metric_store.cache.isexpire: false, Redis never forgets a series"
            );
            return None;
        }
        Some(Self {
            milliseconds: config.catalogue.retention_seconds() as i64 * 1000,
            interval: Duration::from_secs(config.metric_store.cache.longest_silence()),
        })
    }

    /// Deletes expired series at an interval.
    pub(crate) async fn run(self, catalogue: Arc<Catalogue>) {
        loop {
            sleep(self.interval).await;
            if !catalogue.delay.was_short() {
                continue;
            }
            match catalogue.expire(now() - self.milliseconds).await {
                Ok(0) => {}
                Ok(series) => info!(series, "deleted series that were not seen for catalogue.retention_days"),
                Err(error) => {
                    counter!("metric_index_failures_total", "server" => "database").increment(1);
                    warn!(
                        error = format!("{error:#}"),
                        "expired series cannot be deleted; trying again later"
                    );
                }
            }
        }
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_that_is_behind_deletes_nothing() {
        let delay = Delay::default();
        assert!(!delay.was_short(), "nothing was seen");
        delay.note(now());
        assert!(delay.was_short());
        assert!(!delay.was_short(), "nothing was seen since");
        delay.note(now() - LATE - 1);
        delay.note(now());
        assert!(!delay.was_short());
    }

    #[test]
    fn the_process_that_writes_the_catalogue_deletes() {
        let of = |text: &str| Retention::of(&Config::parse(text).unwrap());
        let days = |days: i64, seconds| {
            Some(Retention { milliseconds: days * 86_400_000, interval: Duration::from_secs(seconds) })
        };
        assert_eq!(of(""), days(90, 3 * 1800 + 3600));
        assert_eq!(
            of(
                "catalogue: {retention_days: 7}\nmetric_store: {cache: {touch_interval: 1, default_expire: 2}}"
            ),
            days(7, 7)
        );
        let kafka = "metric_store: {producer: {hosts: [a]}, consumer: {hosts: [a]}}\n";
        assert!(of(kafka).is_some());
        assert_eq!(of(&format!("{kafka}app: {{role_type: gateway}}")), None);
        assert_eq!(of("redis: {}\nmetric_store: {cache: {isexpire: false}}"), None);
    }
}
