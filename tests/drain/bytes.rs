//! Everything that a Pushgateway can store arrives byte for byte; the expositions before and after are compared.

use std::collections::BTreeSet;

use pushring_harness::proto::{
    self, COUNTER, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, UNTYPED, bytes, double, int, label, message,
    metric, sint,
};
use serde_json::json;

use crate::fixture::{DrainFixture, exposed, push, push_protobuf};

/// A family with a help text.
fn family(name: &str, kind: i64, metrics: &[Vec<u8>]) -> Vec<u8> {
    proto::family(name, kind, &[vec![bytes(2, format!("Help of {name}."))], metrics.to_vec()].concat())
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
fn all_types() -> Vec<Vec<u8>> {
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

#[test]
fn carries_every_type_unchanged() {
    let fixture = DrainFixture::start(2, &[]);
    let paths =
        ["/metrics/job/a/instance/1", "/metrics/job/a/instance/2", "/metrics/job/b", "/metrics/job/c/x/1"];
    for path in paths {
        push_protobuf(&fixture.source, path, &all_types());
    }
    let before = exposed(&fixture.source);
    assert_eq!(before.len(), 8);
    assert_eq!(before["native"].2.len(), 12);
    let report = fixture.drain_all();
    assert_eq!(fixture.owned(), before);
    assert_eq!(exposed(&fixture.source).len(), 0);
    let owners: BTreeSet<_> = paths.iter().map(|path| fixture.owner(path).address).collect();
    for owner in &fixture.owners {
        let carried = paths.iter().filter(|path| fixture.owner(path).address == owner.address).count();
        let counts = &report["owners"][owner.address.to_string()];
        if owners.contains(&owner.address) {
            assert_eq!(*counts, json!({"carried": carried, "held": 0, "stubs": 0, "gone": 0, "kept": 0}));
        }
    }
    assert_eq!(report["left"], 0);
}

#[test]
fn carries_every_spelling_of_a_group() {
    let fixture = DrainFixture::start(2, &[]);
    for path in [
        "/metrics/job/plain",
        "/metrics/job/empty/instance@base64/=",
        "/metrics/job/instance/instance/db1",
        "/metrics/job@base64/dw/path@base64/L3Zhci90bXA",
        "/metrics/job/utf8/name/h%C3%A4%20%E2%82%AC",
        "/metrics/job@base64/YS9i/empty@base64/=",
        "/metrics/job/own/job/other",
        "/metrics/job/order/b/2/a/1",
    ] {
        push(&fixture.source, "PUT", path, "# TYPE m counter\nm{l=\"x\"} 1\nn 0.1\n");
    }
    let (before, mut groups) = (exposed(&fixture.source), fixture.source.groups().unwrap());
    fixture.drain_all();
    assert_eq!(fixture.owned(), before);
    let mut after: Vec<_> = fixture.owners.iter().flat_map(|owner| owner.groups().unwrap()).collect();
    groups.sort();
    after.sort();
    assert_eq!(after, groups);
}

#[test]
fn carries_utf8_names_with_a_path_prefix() {
    let flags = ["--push.enable-utf8-names", "--web.route-prefix=/push"];
    let fixture = DrainFixture::start(1, &flags);
    push_protobuf(
        &fixture.source,
        "/push/metrics/job/a/U__l_2e_x/1",
        &[family("größe.von", GAUGE, &[metric(&[label("ein label", "€"), message(2, &[double(1, 1.0)])])])],
    );
    let members = [fixture.owners[0].address.to_string()];
    let drain = |settings| {
        let (source, config) = (fixture.source.address.to_string(), fixture.write(&settings));
        let args = ["drain", &source, "--settle=0s", "--output=json", "--config", config.to_str().unwrap()];
        pushring_harness::command::pushring(args).unwrap()
    };
    let output = drain(json!({"members": members, "utf8_names": true, "path_prefix": "/push"}));
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    let metrics = fixture.owners[0].metrics().unwrap();
    assert!(metrics.contains("größe.von"), "{metrics}");
    assert_eq!(fixture.source.groups().unwrap(), []);
    // Without the setting, no path leads to the group, so it stays.
    push_protobuf(&fixture.source, "/push/metrics/job/b/U__l_2e_x/1", &[family("g", GAUGE, &[])]);
    let output = drain(json!({"members": members, "path_prefix": "/push"}));
    assert_eq!(output.code, 1);
    assert_eq!(output.json().unwrap()["kept"][0]["code"], "no_path", "{}", output.stdout);
}

#[test]
fn carries_help_texts_and_families_without_metrics() {
    let fixture = DrainFixture::start(1, &[]);
    push(&fixture.source, "PUT", "/metrics/job/a", "# HELP m One.\nm 1\n");
    push_protobuf(&fixture.source, "/metrics/job/b", &[proto::family("none", COUNTER, &[])]);
    let groups = |gateway: &pushring_harness::Pushgateway| {
        let mut json = gateway.client().unwrap().get("/api/v1/metrics").unwrap().json().unwrap();
        let mut groups: Vec<_> = json["data"].as_array_mut().unwrap().drain(..).collect();
        for group in &mut groups {
            let group = group.as_object_mut().unwrap();
            group.retain(|name, _| !name.starts_with("push_"));
            group
                .values_mut()
                .filter_map(|family| family.as_object_mut()?.remove("time_stamp"))
                .for_each(drop);
        }
        groups.sort_by_key(ToString::to_string);
        groups
    };
    let before = groups(&fixture.source);
    fixture.drain_all();
    assert_eq!(groups(&fixture.owners[0]), before);
}
