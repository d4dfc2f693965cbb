//! Inputs of several groups that clash with each other or with the gateway itself.

use pushring_harness::proto::{
    COUNTER, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, bytes, family, gauge, histogram, metric, one,
    summary,
};

use crate::inputs::{Input, TEXT_HISTOGRAM, UNCHECKED, of, proto, text};

const M: &str = "# TYPE m gauge\nm 1\n";

pub(crate) fn all() -> Vec<Input> {
    types().into_iter().chain(without_metrics()).chain(own()).chain(empty_labels()).collect()
}

fn types() -> Vec<Input> {
    let kind = "family with different types in different groups";
    let bad = text("/bad", "# TYPE m counter\nm 1\n");
    let mut inputs = vec![of(kind, UNCHECKED, vec![text("/good", M), text("/fine", M), bad])];
    // Some answers are 500, and the text format of the others breaks off.
    let bad = proto(one("m", GAUGE_HISTOGRAM, &[histogram(&[1.0], &[])]));
    inputs.push(of(kind, UNCHECKED, vec![text("/good", M), bad]));
    let both =
        vec![text("/good", TEXT_HISTOGRAM), proto(one("m", GAUGE_HISTOGRAM, &[histogram(&[1.0], &[])]))];
    inputs.push(of("unusual, but valid", &[], both));
    inputs
}

fn without_metrics() -> Vec<Input> {
    let kind = "family without metrics that clashes with one in another group";
    let with = |flags, good: &str, odd: Vec<u8>| of(kind, flags, vec![text("/good", good), proto(odd)]);
    let empty = |name: &str, kind: i64| family(name, kind, &[]);
    let mut inputs: Vec<Input> =
        [COUNTER, SUMMARY, HISTOGRAM].map(|kind| with(UNCHECKED, M, empty("m", kind))).into();
    // A gateway accepts gauges in these families, but Prometheus does not.
    inputs.extend([GAUGE_HISTOGRAM, 6].map(|kind| with(&[], M, empty("m", kind))));
    inputs.push(with(&[], M, family("m", GAUGE, &[bytes(2, b"\xff")])));
    for kind in [SUMMARY, HISTOGRAM] {
        inputs.push(with(UNCHECKED, "m_count 1\n", empty("m", kind)));
    }
    inputs.push(with(UNCHECKED, TEXT_HISTOGRAM, empty("m_bucket", GAUGE)));
    // Two groups do not outvote one with metrics.
    let mut pushes = vec![text("/good", M)];
    for path in ["/bad", "/bad/a/1"] {
        let path = format!("/metrics/job{path}");
        pushes.push(crate::inputs::Push { path, ..proto(empty("m", COUNTER)) });
    }
    inputs.push(of(kind, UNCHECKED, pushes));
    let of_histogram = [empty("m", HISTOGRAM), one("n", GAUGE, &[gauge(1.0)])].concat();
    let pushes =
        vec![text("/good", "m_count 1\n"), text("/fine", "# TYPE m gauge\nm 1\n"), proto(of_histogram)];
    inputs.push(of(kind, UNCHECKED, pushes));
    inputs
}

/// Without the flag, a gateway accepts them only before it has such metrics itself.
fn own() -> Vec<Input> {
    let kind = "family that clashes with the gateway's own metrics";
    let duration = "pushgateway_http_push_duration_seconds";
    let mine = [metric(&[summary(&[0.5])]), bytes(2, b"mine")];
    let bodies = [
        family(duration, SUMMARY, &mine),
        family(duration, SUMMARY, &mine[1..]),
        one(duration, GAUGE, &[gauge(1.0)]),
        one("pushgateway_http_push_size_bytes_count", GAUGE, &[gauge(1.0)]),
        one("pushgateway_http_requests_total", GAUGE, &[gauge(1.0)]),
        one("go_goroutines", COUNTER, &[]),
    ];
    bodies.map(|body| of(kind, UNCHECKED, vec![text("/good", "n 1\n"), proto(body)])).into()
}

fn empty_labels() -> Vec<Input> {
    let kind = "empty label in the path, next to the same group without it";
    ["m 2\n", "n 1\n", ""]
        .into_iter()
        .flat_map(|body| ["/bad/a/", "/bad/a@base64/=", "/bad/a/b/c/"].map(|path| (path, body)))
        .map(|(path, body)| {
            let first = if path.ends_with("/c/") { "/bad/a/b" } else { "/bad" };
            of(kind, &[], vec![text(first, "m 1\n"), text(path, body)])
        })
        .collect()
}
