//! Families of every type that a Pushgateway can store.

use crate::proto::{
    COUNTER, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, UNTYPED, bytes, double, int, label, message, metric,
    sint,
};

/// A family with a help text.
#[must_use]
pub fn family(name: &str, kind: i64, metrics: &[Vec<u8>]) -> Vec<u8> {
    crate::proto::family(name, kind, &[vec![bytes(2, format!("Help of {name}."))], metrics.to_vec()].concat())
}

/// A time stamp message.
fn time(field: i64) -> Vec<u8> {
    message(field, &[int(1, 1_763_735_668), int(2, 123_456_789)])
}

fn exemplar(field: i64) -> Vec<u8> {
    message(field, &[label("trace_id", "äöü/0"), double(2, 0.25), time(3)])
}

fn span(field: i64, offset: i64, length: i64) -> Vec<u8> {
    message(field, &[sint(1, offset), int(2, length)])
}

/// Families of every type, with every field that a metric can have.
#[must_use]
pub fn every_type() -> Vec<Vec<u8>> {
    let counter = [double(1, 42.5), exemplar(2), time(3)];
    let quantiles = [(0.5, 1.5), (0.99, f64::NAN)].map(|(q, v)| message(3, &[double(1, q), double(2, v)]));
    let summary = [vec![int(1, 7), double(2, 9.25)], quantiles.to_vec(), vec![time(4)]].concat();
    let bucket = |count, bound| message(3, &[int(1, count), double(2, bound), exemplar(3)]);
    let classic = [int(1, 5), double(2, 3.5), bucket(2, 0.1), bucket(5, f64::INFINITY), time(15)];
    let native = [
        vec![int(1, 14), double(2, -3.5), sint(5, -2), double(6, 1e-9), int(7, 2)],
        vec![span(9, -3, 2), span(9, 4, 1), sint(10, 2), sint(10, 1), sint(10, -2)],
        vec![span(12, 0, 2), span(12, 1_000, 1), sint(13, 1), sint(13, 2), sint(13, -1)],
        vec![exemplar(16), time(15)],
    ]
    .concat();
    let float = [
        vec![double(4, 6.5), double(2, 1.0), sint(5, 3), double(6, 0.0), double(8, 0.5)],
        vec![span(12, -1, 2), double(14, 2.5), double(14, 3.5)],
    ]
    .concat();
    let no_observation = [int(1, 0), double(2, 0.0), sint(5, 8), double(6, 0.0), span(12, 0, 0)];
    let gauges = [
        ("nan", f64::NAN),
        ("stale", f64::from_bits(0x7ff0_0000_0000_0002)),
        ("minus zero", -0.0),
        ("inf", f64::INFINITY),
        ("minus inf", f64::NEG_INFINITY),
        ("small", f64::MIN_POSITIVE / 8.0),
    ]
    .map(|(name, value)| metric(&[label("value", name), message(2, &[double(1, value)])]));
    vec![
        family("counter_total", COUNTER, &[metric(&[message(3, &counter)])]),
        family("gauge", GAUGE, &gauges),
        family("summary", SUMMARY, &[metric(&[message(4, &summary)])]),
        family("untyped", UNTYPED, &[metric(&[message(5, &[double(1, -1.0)])])]),
        family("classic", HISTOGRAM, &[metric(&[message(7, &classic)])]),
        family(
            "native",
            HISTOGRAM,
            &[
                metric(&[label("kind", "integers"), message(7, &native)]),
                metric(&[label("kind", "floats"), message(7, &float)]),
                metric(&[label("kind", "none"), message(7, &no_observation)]),
            ],
        ),
        family("gauge_histogram", GAUGE_HISTOGRAM, &[metric(&[message(7, &classic)])]),
        // A type without a value, which a client may leave out, stays without one.
        family("bare", GAUGE, &[metric(&[message(2, &[])])]),
    ]
}
