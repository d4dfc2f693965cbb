//! Slices, lists and events without a server.

use serde_json::{Value, json};

use super::merge::{NameBy, Rules, registrations};
use super::slice::{Change, Slices};
use crate::kubernetes::client::Failure;
use crate::parse;

const RULES: Rules = Rules { service: String::new(), port_name: None, name_by: NameBy::Hostname };

fn rules(port_name: Option<&str>, name_by: NameBy) -> Rules {
    Rules { port_name: port_name.map(str::to_owned), name_by, ..RULES }
}

fn slice(name: &str, kind: &str, ports: Value, endpoints: Value) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": "1"}, "addressType": kind, "ports": ports, "endpoints": endpoints})
}

fn list(items: &[Value]) -> Slices {
    Slices::of_list(
        json!({"kind": "EndpointSliceList", "metadata": {"resourceVersion": "7"}, "items": items}),
    )
    .unwrap()
}

fn http() -> Value {
    json!([{"name": "http", "port": 9091, "protocol": "TCP"}])
}

fn pod(hostname: &str, address: &str) -> Value {
    json!({"hostname": hostname, "addresses": [address], "targetRef": {"name": hostname, "uid": format!("u-{hostname}")}})
}

/// Returns `name address:port status` of each registration, and the reasons against the others.
fn found(slices: &Slices, rules: &Rules) -> (Vec<String>, Vec<String>) {
    let all = registrations(slices, rules).unwrap();
    let mut found: Vec<_> = all
        .found
        .iter()
        .map(|one| format!("{} {}:{} {}", one.name, one.address, one.port, one.status))
        .collect();
    found.sort();
    (found, all.unreadable)
}

fn error(slices: &Slices, rules: &Rules) -> String {
    format!("{:#}", registrations(slices, rules).unwrap_err())
}

/// `captured/` has answers of a real API server 1.37 about a StatefulSet of three, the last one not ready. In the watch, a
/// pod ends, and its slice is deleted and created again.
#[test]
fn reads_what_a_real_server_sends() {
    let mut slices = Slices::of_list(parse::json(include_str!("captured/list.json")).unwrap()).unwrap();
    assert_eq!(slices.version, "332");
    let mut states = vec![found(&slices, &RULES).0.join(", ")];
    for line in include_str!("captured/watch.jsonl").lines() {
        if slices.apply(line.as_bytes()).unwrap() == Change::Slices {
            states.push(found(&slices, &RULES).0.join(", "));
        }
    }
    let [first, last] = ["pushgateway-0 10.77.0.0:9091 passing", "pushgateway-2 10.77.0.2:9091 not-ready"];
    let without = format!("{first}, {last}");
    let with = |status: &str| format!("{first}, pushgateway-1 10.77.0.1:9091 {status}, {last}");
    assert_eq!(states, [with("passing"), with("terminating"), without.clone(), String::new(), without]);
    assert_eq!(slices.version, "358");
    let error = slices.apply(include_bytes!("captured/expired.json")).unwrap_err();
    assert!(Failure::is(&error, reqwest::StatusCode::GONE), "{error:#}");
}

#[test]
fn statuses_follow_the_conditions() {
    let cases = [
        (json!(null), "passing"),
        (json!({}), "passing"),
        (json!({"ready": true, "serving": true, "terminating": false}), "passing"),
        (json!({"ready": null, "serving": null, "terminating": null}), "passing"),
        (json!({"ready": false}), "not-ready"),
        (json!({"ready": false, "serving": false, "terminating": false}), "not-ready"),
        (json!({"ready": false, "serving": true, "terminating": true}), "terminating"),
        // As with publishNotReadyAddresses.
        (json!({"ready": true, "serving": false}), "not-ready"),
        (json!({"ready": true, "serving": true, "terminating": true}), "terminating"),
    ];
    for (conditions, status) in cases {
        let mut endpoint = pod("gw-0", "10.0.0.1");
        endpoint["conditions"] = conditions.clone();
        let (all, _) = found(&list(&[slice("a", "IPv4", http(), json!([endpoint]))]), &RULES);
        assert_eq!(all, [format!("gw-0 10.0.0.1:9091 {status}")], "{conditions}");
    }
}

#[test]
fn merges_slices_and_address_families() {
    let mut stale = pod("gw-1", "10.0.0.2");
    stale["conditions"] = json!({"ready": false});
    let slices = list(&[
        slice(
            "v6",
            "IPv6",
            http(),
            json!([pod("gw-0", "fd00::1"), pod("gw-1", "fd00::2"), pod("gw-2", "fd00::3")]),
        ),
        slice("v4", "IPv4", http(), json!([pod("gw-0", "10.0.0.1"), stale])),
        // An endpoint in two slices, while the controller moves it.
        slice("more", "IPv4", http(), json!([pod("gw-1", "10.0.0.2"), pod("gw-3", "10.0.0.4")])),
        slice("empty", "IPv4", json!(null), json!(null)),
        slice(
            "by-hand",
            "FQDN",
            json!([{"port": 80}]),
            json!([{"hostname": "gw-4", "addresses": ["gw.example.org"]}]),
        ),
    ]);
    let expected = [
        "gw-0 10.0.0.1:9091 passing",
        "gw-1 10.0.0.2:9091 passing",
        "gw-2 fd00::3:9091 passing",
        "gw-3 10.0.0.4:9091 passing",
        "gw-4 gw.example.org:80 passing",
    ];
    assert_eq!(found(&slices, &RULES), (expected.map(str::to_owned).to_vec(), vec![]));
    let (all, _) = found(&slices, &rules(None, NameBy::Address));
    assert_eq!(all.len(), 5, "a pod is one member by its address, too: {all:?}");
}

#[test]
fn two_pods_with_one_hostname_are_left_to_the_decision_about_members() {
    let mut other = pod("gw", "10.0.0.2");
    other["targetRef"]["uid"] = "other".into();
    let slices = list(&[slice("a", "IPv4", http(), json!([pod("gw", "10.0.0.1"), other]))]);
    assert_eq!(found(&slices, &RULES).0, ["gw 10.0.0.1:9091 passing", "gw 10.0.0.2:9091 passing"]);
}

#[test]
fn a_deployment_is_refused() {
    let deployment = json!([{"addresses": ["10.0.0.1"], "targetRef": {"name": "gw-5d8-x", "uid": "u"}}]);
    let slices = list(&[slice("a", "IPv4", http(), deployment)]);
    let error = error(&slices, &RULES);
    assert!(
        error.contains("endpoint gw-5d8-x without a host name") && error.contains("--name-by address"),
        "{error}"
    );
    let (all, _) = found(&slices, &rules(None, NameBy::Address));
    assert_eq!(all, [" 10.0.0.1:9091 passing"]);
    // A pod that the selector found by mistake hides no other.
    let mixed = json!([{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.3"], "hostname": ""}, pod("gw-0", "10.0.0.2")]);
    let (all, unreadable) = found(&list(&[slice("a", "IPv4", http(), mixed)]), &RULES);
    assert_eq!((all.len(), unreadable.len()), (1, 2), "{unreadable:?}");
}

#[test]
fn selects_the_port() {
    let two = json!([{"name": "admin", "port": 9000}, {"name": "http", "port": 9091}]);
    let of = |ports: &Value| list(&[slice("a", "IPv4", ports.clone(), json!([pod("gw-0", "10.0.0.1")]))]);
    assert!(error(&of(&two), &RULES).ends_with("several ports (admin, http): pass --port-name"));
    assert_eq!(found(&of(&two), &rules(Some("http"), NameBy::Hostname)).0, ["gw-0 10.0.0.1:9091 passing"]);
    assert!(error(&of(&two), &rules(Some("x"), NameBy::Hostname)).contains("no TCP port named \"x\""));
    let udp =
        json!([{"name": "u", "port": 53, "protocol": "UDP"}, {"name": null, "port": 9091, "protocol": null}]);
    assert_eq!(found(&of(&udp), &RULES).0, ["gw-0 10.0.0.1:9091 passing"]);
    for none in [json!(null), json!([]), json!([{"name": "http", "port": null}])] {
        assert!(error(&of(&none), &RULES).contains("no TCP port"), "{none}");
    }
    // During a change of the pods' ports, those that have the port count.
    let slices = list(&[
        slice("a", "IPv4", json!([{"name": "old", "port": 1}]), json!([pod("gw-0", "10.0.0.1")])),
        slice("b", "IPv4", http(), json!([pod("gw-1", "10.0.0.2")])),
    ]);
    let (all, unreadable) = found(&slices, &rules(Some("http"), NameBy::Hostname));
    assert_eq!((all.len(), unreadable.len()), (1, 1), "{unreadable:?}");
}

#[test]
fn a_bad_endpoint_does_not_hide_the_others() {
    let bad = json!([
        1,
        {"hostname": "a"},
        {"hostname": "b", "addresses": []},
        {"hostname": 5, "addresses": ["10.0.0.1"]},
        {"hostname": "c", "addresses": ["10.0.0.9"], "conditions": {"ready": "yes\u{1b}[31m"}},
        pod("gw-0", "10.0.0.2"),
    ]);
    let (all, unreadable) = found(&list(&[slice("x\n", "IPv4", http(), bad)]), &RULES);
    assert_eq!(all, ["gw-0 10.0.0.2:9091 passing"]);
    assert_eq!(unreadable.len(), 5, "{unreadable:?}");
    assert!(unreadable.iter().all(|reason| !reason.contains(['\n', '\u{1b}'])), "{unreadable:?}");
}

#[test]
fn only_a_whole_list_is_one() {
    assert_eq!(found(&list(&[]), &RULES), (vec![], vec![]));
    let metadata = json!({"resourceVersion": "7"});
    for bad in [
        json!({}),
        json!([]),
        json!({"kind": "Status", "metadata": {}, "status": "Failure", "code": 403}),
        json!({"kind": "Status", "metadata": metadata, "items": []}),
        json!({"kind": "EndpointSliceList", "items": []}),
        json!({"kind": "EndpointSliceList", "metadata": {}, "items": []}),
        json!({"kind": "EndpointSliceList", "metadata": {"resourceVersion": "7", "continue": "x"}, "items": []}),
        json!({"kind": "EndpointSliceList", "metadata": metadata, "items": [{}]}),
        json!({"kind": "EndpointSliceList", "metadata": metadata, "items": [slice("a", "Carrier", http(), json!([]))]}),
    ] {
        assert!(Slices::of_list(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn applies_events() {
    let mut slices = list(&[slice("a", "IPv4", http(), json!([pod("gw-0", "10.0.0.1")]))]);
    assert_eq!(slices.version, "7");
    let mut apply = |kind: &str, object: Value| {
        slices
            .apply(json!({"type": kind, "object": object}).to_string().as_bytes())
            .map(|change| (change, slices.version.clone(), found(&slices, &RULES).0.len()))
    };
    let mut two = slice("b", "IPv4", http(), json!([pod("gw-1", "10.0.0.2")]));
    two["metadata"]["resourceVersion"] = "8".into();
    assert_eq!(apply("ADDED", two.clone()).unwrap(), (Change::Slices, "8".to_owned(), 2));
    two["metadata"]["resourceVersion"] = "9".into();
    assert_eq!(apply("MODIFIED", two.clone()).unwrap(), (Change::None, "9".to_owned(), 2), "labels only");
    let bookmark = json!({"kind": "EndpointSlice", "metadata": {"resourceVersion": "12"}, "endpoints": null, "ports": null});
    assert_eq!(apply("BOOKMARK", bookmark).unwrap(), (Change::None, "12".to_owned(), 2));
    assert_eq!(apply("DELETED", two).unwrap(), (Change::Slices, "9".to_owned(), 1));
    let expired = json!({"kind": "Status", "status": "Failure", "message": "too old resource version: 1 (7)", "code": 410});
    let error = apply("ERROR", expired).unwrap_err();
    assert!(Failure::is(&error, reqwest::StatusCode::GONE), "{error:#}");
    for bad in [
        ("ERROR", json!({"code": "x"})),
        ("SPLIT", slice("c", "IPv4", http(), json!([]))),
        ("ADDED", json!({})),
    ] {
        assert!(apply(bad.0, bad.1).is_err());
    }
    assert!(slices.apply(b"{\"type\":\"ADD").is_err());
}
