//! The rules that turn registrations into members. With a real consul-template: tests/membership/rendered.rs.

use pushring::consul::registration::Registration;
use pushring::fleet::members::{Members, Settings};
use pushring_router::{Config, Router};
use serde_json::{Value, json};

fn settings(filter: &Value) -> Settings {
    Settings::parse(&json!({ "filter": filter }).to_string()).unwrap()
}

fn members(settings: &Settings, registrations: &[Registration]) -> Members {
    Members::decide(settings, registrations)
}

/// Each row is address, port, status, weight, name, node, ID.
fn registrations(rows: &[Value]) -> Vec<Registration> {
    let fields = ["address", "port", "status", "weight", "name", "node", "id"].map(str::to_owned);
    let object = |row: &Value| -> Value {
        fields
            .iter()
            .cloned()
            .zip(row.as_array().unwrap().iter().cloned())
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let all: Vec<Value> = rows.iter().map(object).collect();
    Registration::parse_all(&json!({ "registrations": all }).to_string()).unwrap()
}

/// A passing registration of weight 1 without a name.
fn passing(address: &str) -> Value {
    json!([address, 9091, "passing", 1, "", "node", address])
}

fn ring(members: &Members) -> Config {
    Config::parse(members.config.as_bytes()).unwrap()
}

fn names(members: &Members) -> Vec<String> {
    ring(members).members.into_iter().map(|member| member.name).collect()
}

#[test]
fn ipv6_addresses_are_written_canonically() {
    let rows = [passing("2001:DB8:0:0::1"), passing("[2001:db8::1]"), passing("::ffff:10.0.0.1")];
    for mode in ["cluster", "endpoint"] {
        let found = members(&settings(&json!({ "mode": mode })), &registrations(&rows));
        assert_eq!(names(&found), ["[2001:db8::1]:9091", "[::ffff:10.0.0.1]:9091"]);
        assert_eq!(found.endpoints[0].host, "2001:db8::1");
    }
}

#[test]
fn one_host_and_port_is_one_member() {
    let rows = [
        json!(["10.0.0.1", 9091, "critical", 2, "", "a", "x"]),
        json!(["10.0.0.1", 9091, "passing", 5, "pg-1", "b", "x"]),
        json!(["10.0.0.1", 9091, "critical", 1, "pg-0", "c", "x"]),
    ];
    let mut rows = registrations(&rows);
    for _ in 0..rows.len() {
        rows.rotate_left(1);
        let found = members(&settings(&json!({})), &rows);
        let [member] = ring(&found).members.try_into().unwrap();
        assert_eq!((member.name.as_str(), member.weight), ("pg-0", 5));
        assert_eq!(found.clusters.len(), 1);
    }
}

#[test]
fn one_name_is_one_member() {
    let rows = [
        json!(["10.0.0.2", 9091, "passing", 1, "pg-0", "node", "b"]),
        json!(["10.0.0.1", 9091, "critical", 1, "pg-0", "node", "a"]),
        json!(["10.0.0.3", 9091, "passing", 1, "pg-0", "node", "c"]),
    ];
    let mut rows = registrations(&rows);
    for _ in 0..rows.len() {
        rows.rotate_left(1);
        let found = members(&settings(&json!({})), &rows);
        assert_eq!(ring(&found).members[0].address, "10.0.0.2:9091");
        assert_eq!(found.clusters[0].endpoint.host, "10.0.0.2");
        assert_eq!(found.skipped.len(), 2);
        // In endpoint mode all addresses stay known: the other one may be the member a moment later.
        assert_eq!(found.endpoints.len(), 3);
    }
}

#[test]
fn a_name_that_is_the_address_of_another() {
    let mut named = passing("10.0.0.2");
    named[4] = json!("10.0.0.1:9091");
    let found = members(&settings(&json!({})), &registrations(&[passing("10.0.0.1"), named]));
    assert_eq!(ring(&found).members[0].address, "10.0.0.1:9091");
    assert_eq!(found.skipped, [r#"10.0.0.2:9091: the name "10.0.0.1:9091" belongs to 10.0.0.1:9091"#]);
}

#[test]
fn skips_what_the_filter_rejects_with_its_message() {
    let mut rows = vec![passing("10.0.0.1"), passing("not a host"), passing("")];
    rows.push(json!(["10.0.0.2", 0, "passing", 1, "", "node", "no-port"]));
    rows.push(json!(["10.0.0.3", 9091, "passing", 1, "a,b", "node", "comma"]));
    let found = members(&settings(&json!({})), &registrations(&rows));
    assert_eq!(names(&found), ["10.0.0.1:9091"]);
    assert_eq!(
        found.skipped,
        [
            r#":9091 on node: address: found ":9091", allowed host:port with a port of 1 to 65535 (an IPv6 host in brackets)"#,
            r#"comma on node: name: found "a,b", allowed 1 to 253 visible ASCII bytes without a comma"#,
            "no-port on node: port: found 0, allowed 1 to 65535",
            r#"not a host on node: name: found "not a host:9091", allowed 1 to 253 visible ASCII bytes without a comma"#,
        ]
    );
}

#[test]
fn host_names_are_for_cluster_mode() {
    let rows = registrations(&[passing("pg.example.com"), passing("10.0.0.1")]);
    let found = members(&settings(&json!({"mode": "cluster"})), &rows);
    assert_eq!(names(&found), ["10.0.0.1:9091", "pg.example.com:9091"]);
    assert_eq!(
        found.clusters.iter().map(|cluster| cluster.endpoint.is_ip()).collect::<Vec<_>>(),
        [true, false]
    );
    let found = members(&settings(&json!({"mode": "endpoint"})), &rows);
    assert_eq!(names(&found), ["10.0.0.1:9091"]);
    assert!(found.skipped[0].contains("endpoint mode"), "{:?}", found.skipped);
}

#[test]
fn weights_are_clamped_or_dropped() {
    let weights = [-1, 0, 1, 100, 101, 65535];
    let rows = weights
        .iter()
        .enumerate()
        .map(|(n, weight)| json!([format!("10.0.0.{n}"), 9091, "passing", weight, "", "node", "id"]));
    let rows = registrations(&rows.collect::<Vec<_>>());
    let weights = |filter: &Value| {
        let ring = ring(&members(&settings(filter), &rows));
        Router::new(ring.clone()).unwrap();
        ring.members.iter().map(|member| member.weight).collect::<Vec<_>>()
    };
    assert_eq!(weights(&json!({})), [1, 1, 1, 100, 100, 100]);
    assert_eq!(weights(&json!({"placement": {"type": "dynamic-sharding"}, "route_by": "path"})), [1; 6]);
}

#[test]
fn a_share_of_the_registered_must_be_passing() {
    let min_members = |share: Option<f64>, registered: usize| {
        let mut settings = settings(&json!({}));
        settings.min_members_share = share.unwrap_or(settings.min_members_share);
        let rows: Vec<Value> =
            (0..registered).map(|n| passing(&format!("10.0.{}.{}", n / 256, n % 256))).collect();
        let found = members(&settings, &registrations(&rows));
        let ring: Value = serde_json::from_str(&found.config).unwrap();
        ring["min_members"].as_u64().unwrap()
    };
    let a_third = [0, 1, 2, 3, 4, 50, 51, 100, 1024].map(|registered| min_members(None, registered));
    assert_eq!(a_third, [1, 1, 1, 1, 2, 17, 17, 34, 342]);
    // As it is written in the shipped settings.
    assert_eq!([3, 51, 1023].map(|registered| min_members(Some(0.3333), registered)), [1, 17, 341]);
    assert_eq!([0.0, 0.5, 1.0].map(|share| min_members(Some(share), 10)), [1, 5, 10]);
}

#[test]
fn settings_are_strict() {
    let cases = [
        ("consul: {}", "service"),
        ("consul: {service: a, datacentre: b}", "datacentre"),
        ("min_members_share: 2", "min_members_share: found 2, allowed 0 to 1"),
        ("filter: {members: []}", "filter.members: comes from the registrations"),
        ("filters: {}", "filters"),
    ];
    for (yaml, message) in cases {
        let error = Settings::parse(yaml).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    let shipped = crate::folders::repository().join("consul-template/settings.yaml");
    let shipped = Settings::parse(&std::fs::read_to_string(shipped).unwrap()).unwrap();
    ring(&members(&shipped, &registrations(&[passing("10.0.0.1")])));
}

#[test]
fn registrations_are_strict() {
    let parse =
        |one: Value| Registration::parse_all(&json!({"rendered": "now", "registrations": [one]}).to_string());
    let [found] = parse(json!({"address": "10.0.0.1", "port": 9091})).unwrap().try_into().unwrap();
    assert_eq!((found.status.as_str(), found.weight, found.name.as_str()), ("passing", 1, ""));
    for bad in [
        json!({"address": "10.0.0.1"}),
        json!({"address": "10.0.0.1", "port": "9091"}),
        json!({"address": "10.0.0.1", "port": 9091, "wieght": 2}),
    ] {
        assert!(parse(bad.clone()).is_err(), "{bad}");
    }
    assert!(Registration::parse_all("{}").is_err());
}
