//! Configurations: invalid ones with their errors, large ones, and reloads.

use crate::host::{ERROR, Vm};
use crate::{DESTINATION, forged, vm};

/// Rejected configurations, with parts of the error: the field, the value that was found, the values that are allowed.
const BAD: &[(&str, &[&str])] = &[
    ("", &["configuration"]),
    ("{", &["configuration"]),
    ("[]", &["configuration"]),
    ("\u{feff}{}", &["configuration"]),
    ("{}", &["members"]),
    (r#"{"members": {}}"#, &["members"]),
    (r#"{"members": ["a:1"]} x"#, &["configuration"]),
    (r#"{"members": ["a:1"], "member": 1}"#, &["\"member\"", "members"]),
    (r#"{"members": ["a:1"], "members": ["b:1"]}"#, &["members"]),
    (r#"{"members": []}"#, &["members", "0 members", "at least 1", "min_members"]),
    (r#"{"members": ["a:1"], "min_members": 2}"#, &["members", "1 members", "at least 2"]),
    (r#"{"members": ["a:1"], "min_members": 1025}"#, &["min_members", "1025", "0 to 1024"]),
    (r#"{"members": ["a:1"], "min_members": -1}"#, &["min_members", "-1"]),
    (r#"{"members": ["a:1", 7]}"#, &["members[1]", "7", "host:port"]),
    (r#"{"members": [{"address": "a:1"}]}"#, &["members[0]", "name"]),
    (r#"{"members": [{"name": "a:1", "port": 1}]}"#, &["members[0]", "port"]),
    (r#"{"members": ["a"]}"#, &["members[0].address", "\"a\"", "host:port"]),
    (r#"{"members": ["a:0"]}"#, &["members[0].address", "\"a:0\"", "1 to 65535"]),
    (r#"{"members": ["::1:9091"]}"#, &["members[0].address", "::1:9091", "brackets"]),
    (r#"{"members": [{"name": "a,b", "address": "a:1"}]}"#, &["members[0].name", "\"a,b\"", "comma"]),
    (r#"{"members": [{"name": "", "address": "a:1"}]}"#, &["members[0].name", "\"\"", "1 to 253"]),
    (r#"{"members": ["é:1"]}"#, &["members[0].name", "visible ASCII"]),
    (r#"{"members": ["a:1", "b:1", "a:1"]}"#, &["members[2].name", "\"a:1\"", "members[0]"]),
    (r#"{"members": ["b:1", "a:1", "b:1", "a:1", "a:1"]}"#, &["members[2].name", "\"b:1\"", "members[0]"]),
    (
        r#"{"members": ["a:1", {"name": "b", "address": "a:1"}]}"#,
        &["members[1].address", "\"a:1\"", "members[0]"],
    ),
    (r#"{"members": [{"name": "a:1", "weight": 0}]}"#, &["members[0].weight", "0", "1 to 100"]),
    (r#"{"members": [{"name": "a:1", "weight": 101}]}"#, &["members[0].weight", "101", "1 to 100"]),
    (r#"{"members": [{"name": "a:1", "weight": 1.5}]}"#, &["members[0].weight", "1.5"]),
    (r#"{"members": ["a:1"], "mode": "endpoint"}"#, &["members[0].address", "\"a:1\"", "IP"]),
    (r#"{"members": ["[0::1]:1"], "mode": "endpoint"}"#, &["members[0].address", "[0::1]:1", "[::1]:1"]),
    (r#"{"members": ["a:1"], "mode": "proxy"}"#, &["mode", "proxy", "cluster", "endpoint", "redirect"]),
    (r#"{"members": ["a:1"], "route_by": "labels"}"#, &["route_by", "labels", "group", "job", "path"]),
    (
        r#"{"members": ["a:1"], "placement": {"type": "maglev"}}"#,
        &["placement", "maglev", "dynamic-sharding"],
    ),
    (
        r#"{"members": ["a:1"], "placement": {"type": "ring", "points": 0}}"#,
        &["placement.points", "0", "1 to 4096"],
    ),
    (
        r#"{"members": ["a:1"], "placement": {"type": "ring", "points": 4097}}"#,
        &["placement.points", "4097", "4096"],
    ),
    (
        r#"{"members": ["a:1"], "placement": {"type": "dynamic-sharding", "points": 500}}"#,
        &["placement", "points"],
    ),
    (
        r#"{"members": [{"name": "a:1", "weight": 2}], "placement": {"type": "dynamic-sharding"}}"#,
        &["members[0].weight", "2", "only 1"],
    ),
    (r#"{"members": ["a:1"], "header": "X-A"}"#, &["header", "X-A", "lower-case"]),
    (r#"{"members": ["a:1"], "header": ":path"}"#, &["header", ":path", "pseudo-header"]),
    (r#"{"members": ["a:1"], "header": "host"}"#, &["header", "\"host\"", "host"]),
    (r#"{"members": ["a:1"], "cluster_prefix": "a,"}"#, &["cluster_prefix", "\"a,\"", "comma"]),
    (r#"{"members": ["a:1"], "successors": 1024}"#, &["successors", "1024", "0 to 1023"]),
    (r#"{"members": ["a:1"], "mirror": "both"}"#, &["mirror", "both", "none", "deletes", "all"]),
    (r#"{"members": ["a:1"], "mirror": true}"#, &["mirror", "true", "none", "deletes", "all"]),
    (r#"{"members": ["a:1"], "mirror_deletes": 1}"#, &["mirror_deletes", "1", "true or false"]),
    (
        r#"{"members": ["a:1"], "mirror_deletes": true, "mirror": "deletes"}"#,
        &["mirror_deletes", "together with mirror", "one of them", "deletes", "none"],
    ),
    (r#"{"members": ["a:1"], "lookup": "yes"}"#, &["lookup", "yes"]),
    (r#"{"members": ["a:1"], "path_prefix": "/a?b"}"#, &["path_prefix", "/a?b", "--web.route-prefix"]),
    (r#"{"members": ["a:1"], "status_path": "ring"}"#, &["status_path", "\"ring\"", "begins with /"]),
    (
        r#"{"members": ["a:1"], "status_path": "/metrics/job/a"}"#,
        &["status_path", "/metrics/job/a", "push path"],
    ),
    (r#"{"members": ["a:1"], "redirect_scheme": "ftp"}"#, &["redirect_scheme", "\"ftp\"", "https"]),
];

#[test]
fn errors_name_field_found_and_allowed_values() {
    let mut vm = Vm::start().expect("the filter starts");
    for (json, parts) in BAD {
        assert!(!vm.configure(json.as_bytes()).expect("no trap"), "accepted: {json}");
        let log = vm.take_log(ERROR);
        assert_eq!(log.len(), 1, "one message for {json}: {log:?}");
        let missing: Vec<_> = parts.iter().filter(|part| !log[0].contains(**part)).collect();
        assert!(missing.is_empty(), "{json}: {missing:?} is not in {:?}", log[0]);
    }
    assert!(!vm.configure(b"\xff\xfe").expect("no trap"), "accepted: no UTF-8");
    assert_eq!(vm.metric("pushring_config_rejected"), BAD.len() as u64 + 1);
    assert_eq!(vm.metric("pushring_config_accepted"), 0);
}

#[test]
fn too_many_members_or_points_are_rejected() {
    let mut vm = Vm::start().expect("the filter starts");
    let members = |count: usize| {
        let names: Vec<String> =
            (0..count).map(|i| format!("\"10.0.{}.{}:9091\"", i / 250, i % 250)).collect();
        names.join(",")
    };
    let many = format!(r#"{{"members": [{}]}}"#, members(1025));
    assert!(!vm.configure(many.as_bytes()).expect("no trap"));
    let log = vm.take_log(ERROR).join("");
    assert!(log.contains("1025 members") && log.contains("at most 1024"), "{log}");
    let points =
        format!(r#"{{"members": [{}], "placement": {{"type": "ring", "points": 4096}}}}"#, members(1024));
    assert!(vm.configure(points.as_bytes()).expect("no trap"), "4194304 points are allowed");
    assert_eq!(vm.metric("pushring_points"), 4_194_304);
    let weight = points.replace("\"10.0.0.0:9091\"", r#"{"name": "10.0.0.0:9091", "weight": 2}"#);
    assert!(!vm.configure(weight.as_bytes()).expect("no trap"));
    let log = vm.take_log(ERROR).join("");
    assert!(log.contains("4198400") && log.contains("4194304"), "{log}");
}

/// The stack is small (filter/build.rs), so JSON at the depth limit of the parser, and beyond, must not overflow it.
#[test]
fn deep_json_is_rejected() {
    let mut vm = Vm::start().expect("the filter starts");
    for depth in [126, 127, 128, 100_000] {
        let lists = format!(r#"{{"members": {}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}1{}", r#"{"members":"#.repeat(depth), "}".repeat(depth));
        for json in [lists, objects] {
            assert!(!vm.configure(json.as_bytes()).expect("no trap"), "accepted: {depth} deep");
        }
    }
}

#[test]
fn a_thousand_members() {
    let members: Vec<String> = (0..1000).map(|i| format!("\"10.0.{}.{}:9091\"", i / 250, i % 250)).collect();
    let json = format!(r#"{{"members": [{}]}}"#, members.join(","));
    let mut vm = vm(&json);
    assert_eq!((vm.metric("pushring_members"), vm.metric("pushring_points")), (1000, 1_024_000));
    check_owners(&mut vm, &json, 1000);
}

/// Sends pushes and compares their owners with a router that has this configuration only.
#[track_caller]
fn check_owners(vm: &mut Vm, json: &str, pushes: usize) {
    let router = pushring_router::Router::parse(json.as_bytes()).expect("a valid configuration");
    for i in 0..pushes {
        let path = format!("/metrics/job/job-{i}");
        let outcome = vm.request(forged("PUT", path.as_bytes())).expect("no trap");
        let key = router.group(path.as_bytes()).expect("a push path").key;
        let owner = format!("pushgateway-{}", router.owner(&key).expect("an owner").name);
        assert_eq!(outcome.values(DESTINATION), [owner.as_bytes()], "{path} of {json}");
    }
}

/// Members join, leave and get another weight, the placement changes, and some configurations receive no push.
#[test]
fn each_reload_uses_its_own_ring() {
    let ring = |members: &str| format!(r#"{{"members": [{members}], "min_members": 0}}"#);
    let sharding = |members: &str| {
        format!(
            r#"{{"members": [{members}], "placement": {{"type": "dynamic-sharding"}}, "route_by": "path"}}"#
        )
    };
    let few = |points| {
        format!(r#"{{"members": ["a:1", "b:1"], "placement": {{"type": "ring", "points": {points}}}}}"#)
    };
    let mut vm = vm(&ring(r#""a:1", "b:1", "c:1""#));
    for (json, pushes) in [
        (ring(r#""a:1", "b:1", "c:1""#), 50),
        (ring(r#""d:1", "c:1", "b:1", "a:1""#), 50),
        (ring(r#""d:1", "b:1", "a:1""#), 0),
        (ring(r#""0a:1", "d:1", "b:1", "a:1""#), 50),
        (ring(r#""0a:1", "d:1", {"name": "b:1", "weight": 3}, "a:1""#), 50),
        (ring(r#""x:1", "y:1", "z:1""#), 50),
        (sharding(r#""x:1", "y:1", "z:1""#), 50),
        (sharding(r#""x:1", "z:1""#), 50),
        (few(10), 50),
        (few(11), 50),
        (ring(""), 0),
        (ring(r#""a:1", "b:1", "c:1""#), 50),
    ] {
        assert!(vm.configure(json.as_bytes()).expect("no trap"), "rejected: {json}");
        check_owners(&mut vm, &json, pushes);
    }
}

fn destination(vm: &mut Vm) -> String {
    let outcome = vm.request(forged("PUT", b"/metrics/job/a")).expect("no trap");
    String::from_utf8_lossy(outcome.values(DESTINATION)[0]).into_owned()
}

/// A new configuration serves new requests, a rejected one changes nothing, and a request keeps the configuration under
/// which it began.
#[test]
fn reload() {
    let first = r#"{"members": ["10.0.0.1:1"]}"#;
    let second = r#"{"members": ["10.0.0.2:1", {"name": "z", "address": "10.0.0.3:1"}], "cluster_prefix": "",
        "placement": {"type": "ring", "points": 10}}"#;
    let mut vm = vm(first);
    assert_eq!((vm.metric("pushring_members"), vm.metric("pushring_points")), (1, 1024));
    assert_eq!(destination(&mut vm), "pushgateway-10.0.0.1:1");

    let under_way = vm.begin().expect("a request");
    assert!(vm.configure(second.as_bytes()).expect("no trap"));
    assert_eq!((vm.metric("pushring_members"), vm.metric("pushring_points")), (2, 20));
    let old = vm.finish(under_way, forged("PUT", b"/metrics/job/a")).expect("no trap");
    assert_eq!(old.values(DESTINATION), [b"pushgateway-10.0.0.1:1"]);
    let now = destination(&mut vm);
    assert!(["10.0.0.2:1", "z"].contains(&now.as_str()), "{now}");

    assert!(!vm.configure(b"{}").expect("no trap"));
    assert_eq!((vm.metric("pushring_members"), vm.metric("pushring_points")), (2, 20), "the values in force");
    assert_eq!(destination(&mut vm), now);
    assert_eq!((vm.metric("pushring_config_accepted"), vm.metric("pushring_config_rejected")), (2, 1));
}

/// Envoy returns a new id for each definition and frees none.
#[test]
fn metrics_are_defined_once_per_vm() {
    let mut vm = vm(r#"{"members": ["10.0.0.1:1"]}"#);
    let (defined, names) = vm.metrics_defined();
    assert_eq!(defined, names, "a name was defined twice");
    for i in 0..20 {
        let json = format!(r#"{{"members": ["10.0.0.{i}:1"]}}"#);
        assert_eq!(
            vm.configure(if i % 3 == 0 { b"{}" } else { json.as_bytes() }).expect("no trap"),
            i % 3 != 0
        );
        vm.request(forged("PUT", b"/metrics/job/a%ff")).expect("no trap");
    }
    assert_eq!(vm.metrics_defined(), (defined, names), "more were defined by reloads");
}
