//! The section `metric_store`: the set of known series and Kafka.

use serde::Deserialize;

/// The section.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricStore {
    pub(crate) cache: Cache,
    pub(crate) producer: Option<Producer>,
    #[serde(rename = "consummer", alias = "consumer")]
    pub(crate) consumer: Option<Consumer>,
}

/// The set of known series: of this process, and of Redis. Times are in seconds.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cache {
    /// Whether keys in Redis expire.
    pub(crate) isexpire: bool,
    /// Longest time that Redis knows a series.
    pub(crate) expire: u64,
    /// Spread of that time, so that not all series come back at once: `expire - dist_interval` is the shortest.
    pub(crate) dist_interval: u64,
    /// Time that this process knows a series, give or take a fifth. The catalogue's last sighting is as exact as this.
    pub(crate) default_expire: u64,
    /// Interval at which expired series leave the memory of this process.
    pub(crate) cleanup_interval: u64,
    /// Workers that write to Redis.
    pub(crate) worker_num: usize,
    /// Keys of one write to Redis.
    pub(crate) flush_lens: usize,
    /// Longest time until a write to Redis.
    #[serde(alias = "fulsh_interval")]
    pub(crate) flush_interval: u64,
    /// Most series that this process knows.
    pub(crate) max_series: usize,
    /// Interval at which series that stay are reported to the catalogue, through Kafka.
    pub(crate) touch_interval: u64,
}

impl Cache {
    /// Returns the longest time for which the catalogue does not hear of a series that lives, in seconds. The set knows it for
    /// `default_expire` and a fifth, and the bytes of its labels as long again.
    pub(crate) fn longest_silence(&self) -> u64 {
        self.default_expire.saturating_mul(3).saturating_add(self.touch_interval)
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            isexpire: true,
            expire: 604_800,
            dist_interval: 345_600,
            default_expire: 1_800,
            cleanup_interval: 60,
            worker_num: 10,
            flush_lens: 1_000,
            flush_interval: 3,
            max_series: 10_000_000,
            touch_interval: 3_600,
        }
    }
}

/// The topic that new series go to.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Producer {
    /// Brokers to start from: `host:port`.
    pub(crate) hosts: Vec<String>,
    #[serde(default = "topic")]
    pub(crate) topic: String,
}

/// The topics that the indexer reads.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consumer {
    /// Brokers to start from: `host:port`.
    pub(crate) hosts: Vec<String>,
    #[serde(default = "topics")]
    pub(crate) topics: Vec<String>,
    #[serde(default = "group_id")]
    pub(crate) group_id: String,
    /// Goroutines of a partition in the original; no effect here: a partition has one writer.
    #[serde(default)]
    pub(crate) work_num: Option<u64>,
    #[serde(default)]
    pub(crate) offset_type: OffsetType,
}

/// The place to start from where the group has no offset.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OffsetType {
    #[default]
    Oldest,
    /// Series that were produced before are marked as known, and stay missing.
    Newest,
}

fn topic() -> String {
    "metric-index".into()
}

fn topics() -> Vec<String> {
    vec![topic()]
}

fn group_id() -> String {
    "metric-index-worker-v1".into()
}
