//! The section `limits`.

use serde::Deserialize;

/// Limits of what clients may send. Sizes are in bytes.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Largest body as sent.
    pub(crate) max_compressed_bytes: usize,
    /// Largest body after decompression.
    pub(crate) max_plain_bytes: usize,
    /// Bytes of all requests that are under way; further requests get 503.
    pub(crate) max_inflight_bytes: usize,
    /// Most series of one request.
    pub(crate) max_series_per_request: usize,
    /// Most labels of a series, with its name.
    pub(crate) max_labels: usize,
    /// Longest name of a label.
    pub(crate) max_name_bytes: usize,
    /// Longest value that is kept whole; the catalogue cuts longer ones.
    pub(crate) max_value_bytes: usize,
    /// Most new series a second of one tenant; 0 is no limit. Others pass and are counted; the catalogue takes them with a
    /// later request. With Kafka and without Redis, a series that is seen again counts as new.
    pub(crate) max_new_series_per_second: u64,
    /// Most series that wait for the catalogue; others are counted, and found again with the next request that has them.
    pub(crate) max_queued_series: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_compressed_bytes: 32 << 20,
            max_plain_bytes: 128 << 20,
            max_inflight_bytes: 512 << 20,
            max_series_per_request: 1_000_000,
            max_labels: 64,
            max_name_bytes: 1 << 10,
            max_value_bytes: 4 << 10,
            max_new_series_per_second: 0,
            max_queued_series: 200_000,
        }
    }
}
