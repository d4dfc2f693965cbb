//! Requests of remote write 1.0 and 2.0 as a fleet of exporters in Kubernetes gives them.

use std::collections::HashMap;

use anyhow::Result;
use pushring_harness::proto::{bytes, double, int, label, packed};

/// Series of one request, as Prometheus sends them by default.
pub(crate) const BATCH: usize = 2_000;
/// Metrics of each target.
const METRICS: usize = 100;
/// 2026-01-01.
const TIME: i64 = 1_767_225_600_000;

/// The version of remote write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// Bodies, compressed by snappy.
pub(crate) struct Requests {
    pub(crate) version: Version,
    pub(crate) bodies: Vec<Vec<u8>>,
    /// Bytes of all series before compression.
    pub(crate) plain: usize,
}

impl Requests {
    /// Generates series with the numbers from 0, a multiple of [`BATCH`].
    pub(crate) fn generate(version: Version, series: usize) -> Result<Self> {
        let mut requests = Self { version, bodies: Vec::new(), plain: 0 };
        for first in (0..series).step_by(BATCH) {
            let plain = match version {
                Version::V1 => first_version(first),
                Version::V2 => second_version(first),
            };
            requests.plain += plain.len();
            requests.bodies.push(snap::raw::Encoder::new().compress_vec(&plain)?);
        }
        Ok(requests)
    }

    /// Returns the number of series.
    pub(crate) fn series(&self) -> usize {
        self.bodies.len() * BATCH
    }
}

/// Labels of the target with this number, sorted by name; `method` and `status` belong to the metric.
fn labels(number: usize) -> [(&'static str, String); 14] {
    let (metric, target) = (number % METRICS, number / METRICS);
    // Neighbors share no value that must be spread.
    let mixed = target.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let app = target / 20 % 50;
    [
        ("__name__", format!("application_http_server_requests_{metric:03}_total")),
        ("cluster", format!("production-{}", target / 2_500 % 4)),
        ("container", format!("application-{app:02}")),
        ("endpoint", "http-metrics".to_owned()),
        ("env", ["production", "staging", "testing"][target / 3_400 % 3].to_owned()),
        ("instance", format!("10.{}.{}.{}:8080", target >> 16, target >> 8 & 255, target & 255)),
        ("job", format!("monitoring/application-{app:02}")),
        ("method", ["GET", "POST", "PUT", "DELETE", "PATCH"][metric % 5].to_owned()),
        ("namespace", format!("team-{:02}", app % 40)),
        ("node", format!("ip-10-0-{}-{}.example.internal", target % 300 / 100, target % 300)),
        ("pod", format!("application-{app:02}-{:08x}-{:05x}", mixed >> 20 & 0xffff_ffff, target)),
        ("region", format!("region-{}", target / 2_500 % 3)),
        ("status", ["200", "204", "400", "404", "500"][metric / 5 % 5].to_owned()),
        ("version", format!("v1.{}.0", target / 500)),
    ]
}

fn sample(number: usize) -> Vec<u8> {
    [double(1, number as f64), int(2, TIME)].concat()
}

/// `prometheus.WriteRequest`.
fn first_version(first: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    for number in first..first + BATCH {
        let mut series = Vec::new();
        for (name, value) in labels(number) {
            series.extend(label(name, value));
        }
        series.extend(bytes(2, sample(number)));
        plain.extend(bytes(1, series));
    }
    plain
}

/// `io.prometheus.write.v2.Request`.
fn second_version(first: usize) -> Vec<u8> {
    let mut symbols = Symbols::default();
    symbols.reference(String::new());
    let mut all = Vec::new();
    for number in first..first + BATCH {
        let mut references = Vec::new();
        for (name, value) in labels(number) {
            references.extend([symbols.reference(name.to_owned()), symbols.reference(value)]);
        }
        let help = symbols.reference(format!("Requests of kind {}.", number % METRICS));
        let metadata = [int(1, 1), int(3, help)].concat();
        let series = [packed(1, &references), bytes(2, sample(number)), bytes(5, metadata)].concat();
        all.extend(bytes(5, series));
    }
    [symbols.plain, all].concat()
}

#[derive(Default)]
struct Symbols {
    known: HashMap<String, i64>,
    plain: Vec<u8>,
}

impl Symbols {
    fn reference(&mut self, text: String) -> i64 {
        let next = self.known.len() as i64;
        let Self { known, plain } = self;
        *known.entry(text).or_insert_with_key(|text| {
            plain.extend(bytes(4, text));
            next
        })
    }
}
