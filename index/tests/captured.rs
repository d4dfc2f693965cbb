//! Bodies that real senders wrote, see testdata/captured/README.md: each has the series that its sender has.

// Helpers outside of test functions fail by panicking, too.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pushring_index::body::{BodyLimits, Encoding, decompress};
use pushring_index::wire::{Counts, LabelSet, Tenant, WireError, v1, v2};
use pushring_index::{Key, Labels, Metadata};

/// The content of a body.
#[derive(Debug, Default)]
struct Content {
    series: BTreeSet<Labels>,
    keys: BTreeSet<Key>,
    counts: Counts,
    /// The values of each series.
    values: BTreeMap<String, Vec<f64>>,
    /// The facts about each metric.
    metadata: BTreeMap<String, Metadata>,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/captured").join(name)
}

fn plain(name: &str) -> Vec<u8> {
    let encoding = if name.ends_with("zstd") { Encoding::Zstd } else { Encoding::Snappy };
    let body = fs::read(file(name)).unwrap();
    decompress(encoding, &body, BodyLimits::default(), &mut Vec::new()).unwrap().to_vec()
}

/// The series that the sender listed itself.
fn listed(name: &str) -> BTreeSet<Labels> {
    let json: Vec<BTreeMap<String, String>> =
        serde_json::from_str(&fs::read_to_string(file(name)).unwrap()).unwrap();
    json.into_iter().map(|labels| Labels::new(labels.into_iter().collect()).unwrap()).collect()
}

impl Content {
    fn add(
        &mut self,
        labels: &mut LabelSet<'_>,
        counts: Counts,
        samples: impl Iterator<Item = Result<(i64, f64), WireError>>,
    ) {
        let owned = labels.to_labels().unwrap();
        let key = Tenant::new("a").key(labels).unwrap();
        assert_eq!(key, Key::new("a", &owned));
        self.keys.insert(key);
        self.counts += counts;
        self.values.entry(owned.to_string()).or_default().extend(samples.map(|sample| sample.unwrap().1));
        self.series.insert(owned);
    }

    fn v1(name: &str) -> Self {
        let plain = plain(name);
        assert!(matches!(v2::Request::new(&plain), Err(WireError::OtherVersion(1))), "{name}");
        let (mut content, mut labels) = (Self::default(), LabelSet::new(64));
        for entry in v1::entries(&plain) {
            match entry.unwrap() {
                v1::Entry::Series(series) => {
                    series.labels(&mut labels).unwrap();
                    series.check_histograms().unwrap();
                    content.add(&mut labels, series.counts(), series.samples());
                }
                v1::Entry::Metadata(facts) => {
                    content.metadata.insert(facts.family(), facts.metadata());
                }
            }
        }
        content
    }

    fn v2(name: &str) -> Self {
        let plain = plain(name);
        assert!(v1::entries(&plain).any(|entry| matches!(entry, Err(WireError::OtherVersion(4)))), "{name}");
        let request = v2::Request::new(&plain).unwrap();
        let (mut content, mut labels) = (Self::default(), LabelSet::new(64));
        for series in request.series() {
            let series = series.unwrap();
            series.labels(&request, &mut labels).unwrap();
            series.check_histograms().unwrap();
            content.add(&mut labels, series.counts(), series.samples());
            let metric = labels.get("__name__").unwrap().to_owned();
            content.metadata.insert(metric, series.metadata(&request).unwrap());
        }
        content
    }

    fn values_of(&self, metric: &str) -> &[f64] {
        let series = self.series.iter().find(|labels| labels.metric() == metric).unwrap();
        &self.values[&series.to_string()]
    }
}

#[test]
fn bodies_of_prometheus_have_its_series_in_both_versions() {
    let (first, second) = (Content::v1("prometheus-1.snappy"), Content::v2("prometheus-2.snappy"));
    let listed = listed("prometheus.json");
    assert!(listed.len() > 30 && listed.iter().any(|labels| labels.get("zone") == Some("ü \" \\ /")));
    for content in [&first, &second] {
        assert_eq!(content.series, listed);
        let Counts { samples, histograms, exemplars } = content.counts;
        assert!((samples + histograms) as usize >= listed.len(), "{:?}", content.counts);
        assert!(histograms >= 3 && exemplars >= 1, "{:?}", content.counts);
        assert_eq!(content.values_of("counter_total")[0], 42.5);
        assert_eq!(content.values_of("untyped")[0], -1.0);
    }
    assert_eq!(first.keys, second.keys, "a series has one key");
    let facts = &second.metadata["counter_total"];
    assert_eq!((&*facts.kind, &*facts.help), ("counter", "Help of counter_total."));
}

#[test]
fn bodies_of_vmagent_have_its_series_in_both_encodings() {
    let (zstd, snappy) = (Content::v1("vmagent.zstd"), Content::v1("vmagent.snappy"));
    let listed = listed("vmagent.json");
    assert!(listed.len() > 30 && listed.iter().any(|labels| labels.get("zone") == Some("ü \" \\ /")));
    for content in [&zstd, &snappy] {
        assert_eq!(content.series, listed);
        assert_eq!(content.values_of("counter_total")[0], 42.5);
        assert_eq!((content.counts.histograms, content.counts.exemplars), (0, 0));
    }
    assert_eq!(zstd.keys, snappy.keys);
}

/// A byte that was damaged on the way must not end the process.
#[test]
fn a_damaged_body_is_read_without_a_panic() {
    for name in ["prometheus-1.snappy", "prometheus-2.snappy", "vmagent.snappy", "vmagent.zstd"] {
        let whole = fs::read(file(name)).unwrap();
        let encoding = if name.ends_with("zstd") { Encoding::Zstd } else { Encoding::Snappy };
        let (limits, mut buffer) = (BodyLimits { plain: 1 << 20, ..BodyLimits::default() }, Vec::new());
        for at in 0..whole.len() {
            for change in [1, 0x10, 0x80, 0xff] {
                let mut body = whole.clone();
                body[at] ^= change;
                let Ok(plain) = decompress(encoding, &body, limits, &mut buffer) else { continue };
                v1::entries(plain).for_each(drop);
                if let Ok(request) = v2::Request::new(plain) {
                    request.series().for_each(drop);
                }
            }
        }
    }
}
