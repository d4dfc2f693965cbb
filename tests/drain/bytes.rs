//! Everything that a Pushgateway can store arrives byte for byte; the expositions before and after are compared.

use std::collections::BTreeSet;

use pushring_harness::every_type::{every_type, family};
use pushring_harness::proto::{self, COUNTER, GAUGE, double, label, message, metric};
use serde_json::json;

use crate::fixture::{DrainFixture, exposed, push, push_protobuf};

#[test]
fn carries_every_type_unchanged() {
    let fixture = DrainFixture::start(2, &[]);
    let paths =
        ["/metrics/job/a/instance/1", "/metrics/job/a/instance/2", "/metrics/job/b", "/metrics/job/c/x/1"];
    for path in paths {
        push_protobuf(&fixture.source, path, &every_type());
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
