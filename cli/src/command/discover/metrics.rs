//! The metrics of `discover`.

use std::time::{Duration, SystemTime};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::fleet::members::Members;

const LAST_SYNC: &str = "pushring_discover_last_sync_timestamp_seconds";
const SOURCE_UP: &str = "pushring_discover_source_up";
const REGISTERED: &str = "pushring_discover_registered";
const ON_RING: &str = "pushring_discover_on_ring";
const HELD: &str = "pushring_discover_held";
const PUBLISHED: &str = "pushring_discover_published_total";
const DURATION: &str = "pushring_discover_publish_duration_seconds";

/// Upper bounds of the histogram of durations, in seconds: from one that changes nothing to the limit for Envoy's answer.
pub(super) const BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The result of a publication: values of the label `result` of [`PUBLISHED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Published,
    Unchanged,
    Held,
    Failed,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// Also initializes every counter to 0, because `increase()` ignores the first value of a series.
pub(super) fn describe() {
    describe_gauge!(LAST_SYNC, "When the source was last read, in seconds since 1970.");
    describe_gauge!(SOURCE_UP, "1 if the source can be read, else 0.");
    describe_gauge!(
        REGISTERED,
        "Registered members, passing or not, and those that vanished and are remembered."
    );
    describe_gauge!(ON_RING, "Members on the ring as last decided.");
    describe_gauge!(HELD, "1 while the last ring stays because too few members are passing, else 0.");
    describe_counter!(PUBLISHED, "Publications by result: published, unchanged, held, failed.");
    describe_histogram!(DURATION, "Duration of a publication, with the wait for Envoy.");
    for outcome in [Outcome::Published, Outcome::Unchanged, Outcome::Held, Outcome::Failed] {
        counter!(PUBLISHED, "result" => outcome.word()).absolute(0);
    }
    gauge!(SOURCE_UP).set(0.0);
    gauge!(HELD).set(0.0);
}

pub(super) fn source(up: bool) {
    gauge!(SOURCE_UP).set(if up { 1.0 } else { 0.0 });
    if up {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        gauge!(LAST_SYNC).set(now.as_secs_f64());
    }
}

pub(super) fn members(members: &Members, held: bool) {
    gauge!(REGISTERED).set(members.clusters.len() as f64);
    gauge!(ON_RING).set(members.passing() as f64);
    gauge!(HELD).set(if held { 1.0 } else { 0.0 });
}

pub(super) fn published(outcome: Outcome, took: Duration) {
    counter!(PUBLISHED, "result" => outcome.word()).increment(1);
    histogram!(DURATION).record(took);
}
