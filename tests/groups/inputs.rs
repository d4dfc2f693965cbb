//! One or more inputs for each kind in the table of docs/command/groups.md; `collisions` has those of names, `clashes` those of several groups.

use crate::{clashes, collisions};
use pushring_harness::proto::{
    COUNTER, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, bytes, counter, double, family, gauge, histogram,
    int, label, metric, native, native_with, one, sint, summary,
};

pub(crate) const UNCHECKED: &[&str] = &["--push.disable-consistency-check"];
pub(crate) const UTF8_NAMES: &[&str] = &["--push.enable-utf8-names"];
pub(crate) const TEXT_HISTOGRAM: &str = "# TYPE m histogram\nm_bucket{le=\"+Inf\"} 1\nm_sum 1\nm_count 1\n";
const NAN: f64 = f64::NAN;

/// Pushes to one gateway, the last of which is of the kind.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) kind: &'static str,
    pub(crate) flags: &'static [&'static str],
    pub(crate) pushes: Vec<Push>,
}

#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) is_text: bool,
}

/// Jobs of groups that cause no problem do not begin so. The last two have the hash of another series: `job="honest"`, and
/// the gateway's own `go_goroutines`. They were computed by inverting xxHash for eight bytes of the label value.
pub(crate) const CULPRITS: [&str; 3] = ["bad", "xarjvyxu;N\u{8}n{pP>", "fuxjdxkx7gDPK\u{8}a5"];

pub(crate) fn text(path: &str, body: impl AsRef<[u8]>) -> Push {
    Push { path: format!("/metrics/job{path}"), body: body.as_ref().to_vec(), is_text: true }
}

pub(crate) fn proto(body: Vec<u8>) -> Push {
    Push { path: "/metrics/job/bad".to_owned(), body, is_text: false }
}

pub(crate) fn of(kind: &'static str, flags: &'static [&'static str], pushes: Vec<Push>) -> Input {
    Input { kind, flags, pushes }
}

/// Inputs of a kind that are a single push in protobuf.
pub(crate) fn protos(kind: &'static str, bodies: Vec<Vec<u8>>) -> impl Iterator<Item = Input> {
    bodies.into_iter().map(move |body| of(kind, &[], vec![proto(body)]))
}

pub(crate) fn all() -> Vec<Input> {
    let path = paths();
    let exposed = exposed();
    path.into_iter()
        .chain(exposed)
        .chain(series())
        .chain(collisions::all())
        .chain(clashes::all())
        .chain(natives())
        .chain(harmless())
        .collect()
}

fn paths() -> Vec<Input> {
    let mut inputs = Vec::new();
    for path in
        ["/bad%ff", "/bad/x/%ed%a0%80", "@base64/YmFkwK8/x/1", "/bad/x@base64/9JCAgA", "/bad/x/%e2%82"]
    {
        inputs.push(of("label value in the path that is not UTF-8", &[], vec![text(path, "m 1\n")]));
    }
    for path in ["/bad/U___5f__5f_x/1", "/bad/a.b/1/U___5f__5f_name__/1"] {
        let kind = "label name in the path that unescapes to `__…`, with `--push.enable-utf8-names`";
        inputs.push(of(kind, UTF8_NAMES, vec![text(path, "m 1\n")]));
    }
    let kind = "empty `instance` in the path, next to the same group without it";
    for path in [
        "/bad/instance/",
        "/bad/instance@base64/",
        "/bad/instance@base64/=",
        "/bad/instance@base64/===",
        "/bad/instance%40base64/%3D",
        "/bad/instance@base64/%0A",
        "/bad/i%6estance/",
        "/bad/instance/i/instance/",
        "@base64/YmFk/instance@base64/=",
    ] {
        inputs.push(of(kind, &[], vec![text("/bad", "m 1\n"), text(path, "m 1\n")]));
    }
    inputs.push(of(kind, UTF8_NAMES, vec![text("/bad", "m 1\n"), text("/bad/U__instance/", "m 1\n")]));
    let collision = "label value in the path whose hash collides with that of another series";
    inputs.push(of(
        collision,
        &[],
        vec![text("/honest", "m 1\n"), text("@base64/eGFyanZ5eHU7Tghue3BQPg", "")],
    ));
    inputs.push(of(collision, &[], vec![text("@base64/ZnV4amR4a3g3Z0RQSwhhNQ", "")]));
    inputs
}

fn exposed() -> Vec<Input> {
    let mut inputs = Vec::new();
    let help = |help: &[u8]| one_help("m", help);
    let kind = "`# HELP` text that is not UTF-8";
    for text in [&b"\xff"[..], b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"a\xe2\x82"] {
        inputs.extend(protos(kind, vec![help(text)]));
    }
    inputs.push(of(kind, &[], vec![text("/bad", b"# HELP m \xff\nm 1\n")]));
    // The gateway exposes the text of the group that it visits first.
    inputs.push(of(
        kind,
        &[],
        vec![text("/good", "# HELP m fine\n# TYPE m gauge\nm 1\n"), proto(help(b"\xff"))],
    ));
    inputs.push(of(
        kind,
        &[],
        vec![text("/bad", "m 1\n"), proto(one_help("push_failure_time_seconds", b"\xff"))],
    ));
    let gauge_of = |name: &[u8]| one(name, GAUGE, &[gauge(1.0)]);
    let kind = "name of a family that is not UTF-8, is empty or contains NUL";
    inputs.extend(protos(
        kind,
        vec![
            gauge_of(b"m\xff"),
            gauge_of(b"m\xed\xa0\x80"),
            gauge_of(b"m\0x"),
            gauge_of(b"\0"),
            gauge_of(b""),
        ],
    ));
    let kind = "name of a label that contains NUL or a colon";
    let gauge_with = |name: &str, value: &str| one("m", GAUGE, &[label(name, value), gauge(1.0)]);
    let named = [("a\0", "1"), ("a:b", "1"), (":", "1"), ("x:", ""), ("_:", "1")];
    inputs.extend(protos(kind, named.map(|(name, value)| gauge_with(name, value)).into()));
    inputs.extend(protos(kind, vec![one("m", HISTOGRAM, &[label("a:b", "1"), histogram(&[1.0], &[])])]));
    inputs.push(of(kind, UTF8_NAMES, vec![text("/bad", "m{\"a:b\"=\"1\"} 1\n")]));
    inputs.push(of(kind, UTF8_NAMES, vec![text("/bad/a:b/1", "m 1\n")]));
    let kind = "family of an unknown type";
    let unknown = |kind: i64| one("m", kind, &[gauge(1.0)]);
    inputs.extend(protos(kind, vec![unknown(6), unknown(-1), unknown(100)]));
    inputs.push(of(kind, &[], vec![text("/good", "# TYPE m gauge\nm 1\n"), proto(unknown(6))]));
    let kind = "metric that does not have the type of its family";
    inputs.extend(protos(kind, vec![one("m", GAUGE_HISTOGRAM, &[gauge(1.0)])]));
    let kind = "`push_failure_time_seconds` without a value";
    let nothing = family("push_failure_time_seconds", GAUGE, &[]);
    inputs.push(of(kind, &[], vec![text("/bad", "m 1\n"), proto(nothing)]));
    let kind = "`/metrics` at another path, or unreadable";
    inputs.push(of(kind, &["--web.telemetry-path=/elsewhere"], vec![text("/bad", "m 1\n")]));
    inputs
}

fn one_help(name: &str, help: &[u8]) -> Vec<u8> {
    family(name, GAUGE, &[metric(&[gauge(1.0)]), bytes(2, help)])
}

fn series() -> Vec<Input> {
    let mut inputs = Vec::new();
    let kind = "histogram with a label `le`";
    let le = |value: &str| one("m", HISTOGRAM, &[label("le", value), histogram(&[1.0], &[])]);
    inputs.extend(protos(kind, vec![le("1"), le("")]));
    inputs.push(of(kind, &[], vec![text("/bad/le/5", TEXT_HISTOGRAM)]));
    let kind = "two samples of one series";
    let summaries =
        [vec![0.5, 0.5], vec![NAN, NAN], vec![0.0, -0.0]].map(|all| one("m", SUMMARY, &[summary(&all)]));
    let histograms = [vec![1.0, 1.0], vec![f64::INFINITY, f64::INFINITY], vec![NAN, NAN]]
        .map(|all| one("m", HISTOGRAM, &[histogram(&all, &[])]));
    inputs.extend(protos(kind, summaries.into_iter().chain(histograms).collect()));
    inputs.push(of(kind, &[], vec![text("/bad", "m{a=\"\"} 1\nm 2\n")]));
    let of_three = ["/bad", "/bad/a/1", "/bad/b/2"].map(|path| text(path, "m{a=\"1\",b=\"2\"} 1\n"));
    inputs.push(of(kind, UNCHECKED, of_three.into()));
    inputs
}

fn natives() -> Vec<Input> {
    let kind = "native histogram that Prometheus rejects";
    let spans = &[(0, 2)];
    let mut bodies: Vec<Vec<u8>> = [-9, -5, 9, 100, -53, i64::from(i32::MIN)]
        .iter()
        .map(|schema| native(*schema, spans, &[1, 1]))
        .collect();
    bodies.push(native(0, &[(0, 5)], &[1, 1]));
    bodies.push(native(0, &[(0, 1), (-3, 1)], &[1, 1]));
    bodies.push(native(0, spans, &[1, -5]));
    bodies.push(native(0, spans, &[1, 5]));
    bodies.push(native(0, &[(i64::from(i32::MAX), 2)], &[1, 1]));
    bodies.push(native(0, &[(i64::from(i32::MAX), 1), (i64::from(i32::MAX), 1)], &[1, 1]));
    bodies.push(native(0, &[(i64::from(i32::MIN), 1)], &[3]));
    bodies.push(native(-53, &[(1, 1)], &[3]));
    bodies.push(native(-53, &[(0, 1)], &[2]));
    bodies.push(native_with(0, spans, &[1, 1], &bytes(9, int(2, 2))));
    let float = |counts: [f64; 2]| {
        let span = bytes(12, int(2, 2));
        let counts = counts.map(|count| double(14, count)).concat();
        bytes(7, [double(4, 3.0), double(2, 1.0), sint(5, 0), span, counts].concat())
    };
    bodies.push(float([1.0, -2.0]));
    let of_type = |kind: i64| move |value: Vec<u8>| one("m", kind, &[value]);
    let bad = bodies.into_iter().map(of_type(HISTOGRAM)).chain([of_type(GAUGE_HISTOGRAM)(native(
        100,
        spans,
        &[1, 1],
    ))]);
    let good: Vec<Vec<u8>> = [
        native(-4, spans, &[1, 1]),
        native(8, spans, &[1, 1]),
        native(0, &[(-3, 2)], &[1, 1]),
        native(-53, &[(0, 1)], &[3]),
        native(0, &[(i64::from(i32::MAX), 0), (i64::from(i32::MAX), 1)], &[3]),
        native(0, &[(i64::from(i32::MAX), 2)], &[3, -3]),
        native(0, &[(0, 1), (-3, 1)], &[0, 3]),
        native_with(0, spans, &[1, 1], &double(6, -1.0)),
        native_with(0, spans, &[1, 1], &double(6, NAN)),
        histogram(&[], &sint(5, 100)),
        float([1.0, NAN]),
    ]
    .map(of_type(HISTOGRAM))
    .into();
    protos(kind, bad.collect()).chain(protos("unusual, but valid", good)).collect()
}

fn harmless() -> Vec<Input> {
    let kind = "unusual, but valid";
    let named = |name: &str| one(name, GAUGE, &[label(name, "é\0\n\"\\\u{fffd}"), gauge(NAN)]);
    let mut bodies: Vec<Vec<u8>> =
        ["m.é", "1 m", "a\"b\\", "m\nx", "{}", "up"].iter().map(|name| named(name)).collect();
    bodies.extend(
        [b"a\0b".to_vec(), "\n\"\\\r\u{fffd}".into(), b"\0".to_vec()].map(|help| one_help("m", &help)),
    );
    let exemplar = |label: Vec<u8>| bytes(2, [label, double(2, 1.0)].concat());
    bodies.extend([
        family("m", GAUGE, &[]),
        family("", 6, &[]),
        Vec::new(),
        family("m", GAUGE, &[metric(&[gauge(1.0)]), bytes(5, b"\xff")]),
        one("m", COUNTER, &[counter(1.0, &exemplar(label(b"\xff", b"\xff")))]),
        one("m", COUNTER, &[counter(f64::NEG_INFINITY, &bytes(3, int(1, -5)))]),
        one("m", COUNTER, &[counter(1.0, &[]), gauge(2.0)]),
        one("m", SUMMARY, &[summary(&[])]),
        one("m", SUMMARY, &[summary(&[NAN, 7.0])]),
        one("m", HISTOGRAM, &[histogram(&[NAN], &[])]),
        one("m", HISTOGRAM, &[histogram(&[f64::INFINITY, 5.0, 1.0], &[])]),
        one("m", GAUGE, &[label("le", "1"), gauge(1.0)]),
        one("m", GAUGE_HISTOGRAM, &[histogram(&[1.0], &[])]),
    ]);
    let mut inputs: Vec<Input> = protos(kind, bodies).collect();
    let alone = "empty `instance` in the path, without that group";
    inputs.push(of(alone, &[], vec![text("/bad/instance/", "m 1\n")]));
    inputs.push(of(
        kind,
        &[],
        vec![text("/good", "# HELP m a\nm 1\n"), text("/bad/a/", "# HELP m b\nm 1\n")],
    ));
    inputs.push(of(
        kind,
        &[],
        vec![text("/bad", "# HELP go_goroutines \u{fffd}\n# TYPE go_goroutines gauge\ngo_goroutines 1\n")],
    ));
    inputs.push(of(kind, &[], vec![text("/bad", "labels 1\nlast_push_successful 1\n")]));
    inputs.push(of(kind, &[], vec![text("/bad", "push_time_seconds 1\npush_failure_time_seconds 1\n")]));
    let own = "up{gateway=\"{gateway}\",pool=\"text\"} 1\n";
    let of_prometheus = "series with the name and labels of a series of Prometheus itself";
    inputs.push(of(of_prometheus, &[], vec![text("/text/instance/{gateway}", own)]));
    inputs.push(of(kind, UTF8_NAMES, vec![text("/bad/a.b/1", "{\"m.x\"} 1\n")]));
    let kind = "rejected by the gateway itself";
    let label_of = |name: &[u8]| one("m", GAUGE, &[label(name, "1"), gauge(1.0)]);
    let rejected =
        [label_of(b"\xff"), label_of(b""), label_of(b"__x"), one("m", GAUGE, &[counter(1.0, &[])])];
    inputs.extend(protos(kind, rejected.into()));
    for (path, body) in [
        ("/bad", "m 1 1000\n"),
        ("/bad", "m 1\nm 2\n"),
        ("/bad/quantile/5", "# TYPE m summary\nm{quantile=\"0.5\"} 1\nm_sum 1\nm_count 1\n"),
    ] {
        inputs.push(of(kind, &[], vec![text(path, body)]));
    }
    inputs
}
