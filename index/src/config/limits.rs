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
    /// Longest value that is kept whole; the catalogue cuts longer ones and ends them with `…`.
    pub(crate) max_value_bytes: usize,
    /// Most new series a second of one tenant; 0 is no limit. Others pass and are counted; the catalogue takes them with a
    /// later request. With Kafka and without Redis, a series that was away for longer than `default_expire` counts as new again.
    pub(crate) max_new_series_per_second: u64,
    /// Most series that wait for the catalogue; others are counted, and found again with the next request that has them.
    pub(crate) max_queued_series: usize,
}

/// The mark at the end of a value that was cut.
const CUT: &str = "…";

impl Limits {
    /// Returns the value of a label as the catalogue keeps it: a long one is cut and marked. The key of its series is that of the
    /// whole. The name of a metric is no longer than the name of a label.
    pub(crate) fn cut(&self, name: &str, value: &str) -> String {
        let is_metric = name == pushring_index::METRIC_NAME;
        let most =
            if is_metric { self.max_name_bytes.min(self.max_value_bytes) } else { self.max_value_bytes };
        if value.len() <= most {
            return value.to_owned();
        }
        let end = value.floor_char_boundary(most.saturating_sub(CUT.len()));
        format!("{}{CUT}", &value[..end])
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_letters_and_marked() {
        let limits = Limits { max_value_bytes: 8, max_name_bytes: 4, ..Limits::default() };
        for (name, value, cut) in [
            ("a", "12345678", "12345678"),
            ("a", "123456789", "12345…"),
            ("a", "1234ä6789", "1234…"),
            ("__name__", "1234", "1234"),
            ("__name__", "12345", "1…"),
        ] {
            assert_eq!(limits.cut(name, value), cut, "{value}");
        }
    }
}
