//! The rules that turn registrations into members. With a real consul-template: tests/membership/rendered.rs.

use pushring::fleet::members::{Members, Settings};
use pushring::fleet::registration::{Registration, Registrations};
use pushring_router::{Config, Router};
use serde_json::{Value, json};

fn settings(filter: &Value) -> Settings {
    Settings::parse(&json!({ "filter": filter }).to_string()).unwrap()
}

fn members(settings: &Settings, registrations: &[Registration]) -> Members {
    Members::decide(settings, &Registrations::from(registrations.to_vec()))
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
    let all = Registrations::parse(&json!({ "registrations": all }).to_string()).unwrap();
    assert!(all.unreadable.is_empty(), "{:?}", all.unreadable);
    all.found
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
fn an_address_has_one_spelling() {
    for (spellings, name, host) in [
        (&["2001:DB8:0:0::1", "[2001:db8::1]"][..], "[2001:db8::1]:9091", "2001:db8::1"),
        (&["::ffff:10.0.0.1", "[::FFFF:a00:1]", "10.0.0.1", "10.0.0.1."], "10.0.0.1:9091", "10.0.0.1"),
        (&["PG.Example.com", "pg.example.com.", "pg.EXAMPLE.com"], "pg.example.com:9091", "pg.example.com"),
    ] {
        let rows: Vec<Value> = spellings.iter().map(|host| passing(host)).collect();
        let found = members(&settings(&json!({})), &registrations(&rows));
        assert_eq!(names(&found), [name], "{:?}", found.skipped);
        assert_eq!(found.clusters[0].endpoint.host, host);
    }
    for refused in [
        "010.0.0.1",
        "0x7f.1",
        "127.1",
        "2130706433",
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "a..b",
        "255.255.255.255",
        "fe80::1",
        "febf::1",
    ] {
        let found = members(&settings(&json!({})), &registrations(&[passing(refused), passing("10.0.0.9")]));
        assert_eq!((names(&found), found.skipped.len()), (vec!["10.0.0.9:9091".to_owned()], 1), "{refused}");
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

/// A second registration of a member changes neither its protocol nor its share, whether it passes or not.
#[test]
fn the_older_passing_registration_decides_scheme_and_weight() {
    let row = |status: &str, created: u64, scheme: &str, weight: u64| {
        json!({"address": "10.0.0.1", "port": 9091, "status": status, "created": [created], "scheme": scheme,
               "weight": weight})
    };
    let mut rows = vec![
        row("critical", 1, "https", 100),
        row("passing", 5, "http", 2),
        row("passing", 9, "https", 100),
        row("critical", 9, "", 1),
    ];
    for _ in 0..rows.len() {
        rows.rotate_left(1);
        let all = Registrations::parse(&json!({ "registrations": rows }).to_string()).unwrap();
        let found = Members::decide(&settings(&json!({})), &all);
        assert_eq!(ring(&found).members[0].weight, 2);
        assert_eq!(found.clusters[0].endpoint.scheme.as_str(), "http");
        assert_eq!(
            found.notes,
            [
                "10.0.0.1:9091: its registrations differ in scheme or weight; the first passing one counts: http, weight 2"
            ]
        );
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
    assert_eq!(names(&found), ["10.0.0.1:9091", "10.0.0.2:9091"]);
    assert_eq!(
        found.notes,
        [
            r#"10.0.0.2:9091: its name "10.0.0.1:9091" is the address of another gateway; its name is its own address instead"#
        ]
    );
    // The health of the other does not matter, nor a name of its own.
    let mut victim = passing("10.0.0.1");
    (victim[2], victim[4]) = (json!("critical"), json!("pg-0"));
    let mut named = passing("10.0.0.2");
    named[4] = json!("10.0.0.1:9091");
    let found = members(&settings(&json!({})), &registrations(&[victim, named]));
    assert_eq!(names(&found), ["10.0.0.2:9091"]);
    // Each has the name of the other.
    let [mut one, mut two] = ["10.0.0.1", "10.0.0.2"].map(passing);
    (one[4], two[4]) = (json!("10.0.0.2:9091"), json!("10.0.0.1:9091"));
    let found = members(&settings(&json!({})), &registrations(&[one, two]));
    assert_eq!(names(&found), ["10.0.0.1:9091", "10.0.0.2:9091"]);
    assert_eq!((found.notes.len(), found.skipped.len()), (2, 0));
    // Without that gateway it may keep the name of the one that it replaces.
    let mut named = passing("10.0.0.2");
    named[4] = json!("10.0.0.1:9091");
    assert_eq!(names(&members(&settings(&json!({})), &registrations(&[named]))), ["10.0.0.1:9091"]);
}

#[test]
fn an_odd_status_and_a_field_twice_are_reported() {
    let rows = r#"{"registrations": [
        {"address": "10.0.0.1", "port": 9091, "status": "Passing"}, {"address": "10.0.0.2", "port": 9091, "status": "warning"},
        {"address": "10.0.0.3", "port": 9091, "address": "10.6.6.6"}, {"address": "10.0.0.4", "port": 9091}]}"#;
    let rows = Registrations::parse(rows).unwrap();
    let mut settings = settings(&json!({"mode": "cluster"}));
    settings.min_members_share = 0.0;
    let found = Members::decide(&settings, &rows);
    assert_eq!(names(&found), ["10.0.0.4:9091"]);
    assert_eq!(
        found.notes,
        [
            r#"10.0.0.1:9091: status: found "Passing", allowed passing, warning, critical, maintenance, not-ready, terminating, vanished; it counts as not passing"#
        ]
    );
    let [reason] = &found.skipped[..] else { panic!("{:?}", found.skipped) };
    assert!(
        reason.starts_with("registrations[2]: ") && reason.contains("duplicate field `address`"),
        "{reason}"
    );
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
            r#"not a host on node: address: found "not a host:9091", allowed host:port with a port of 1 to 65535 (an IPv6 host in brackets)"#,
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
    let a_half = [0, 1, 2, 3, 4, 5, 50, 51, 100, 1024, 3000].map(|registered| min_members(None, registered));
    assert_eq!(a_half, [1, 1, 1, 2, 2, 3, 25, 26, 50, 512, 512]);
    assert_eq!([0.0, 0.3333, 1.0].map(|share| min_members(Some(share), 12)), [1, 4, 12]);
}

#[test]
fn settings_are_strict() {
    let cases = [
        ("consul: {}", "service"),
        ("consul: {service: a, datacentre: b}", "datacentre"),
        ("consul: {service: a.b}", "consul.service: found \"a.b\", allowed 1 to 63 letters"),
        ("consul: {service: ''}", "consul.service: found \"\""),
        ("consul: {service: a, datacenters: [dc1, 'dc2~near']}", "consul.datacenters: found \"dc2~near\""),
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
fn an_entry_that_cannot_be_read_is_skipped() {
    let good = json!({"address": "10.0.0.1", "port": 9091});
    let bad = [
        json!({"address": "10.0.0.2"}),
        json!({"address": "10.0.0.2", "port": "9091"}),
        json!({"address": "10.0.0.2", "port": 9091, "wieght": 2}),
        json!({"address": "10.0.0.2", "port": 9091, "weight": "x".repeat(150_000)}),
        json!({"address": "10.0.0.2", "port": 1e300}),
        json!({"address": null, "port": 9091}),
        json!("10.0.0.2:9091"),
        json!(null),
    ];
    let mut all = bad.to_vec();
    all.insert(3, good);
    let read = Registrations::parse(&json!({"rendered": "now", "registrations": all}).to_string()).unwrap();
    let [found] = &read.found[..] else { panic!("{read:?}") };
    assert_eq!((found.status.as_str(), found.weight, found.name.as_str()), ("passing", 1, ""));
    let found = Members::decide(&settings(&json!({})), &read);
    assert_eq!((names(&found), found.skipped.len()), (vec!["10.0.0.1:9091".to_owned()], bad.len()));
    assert!(
        found.skipped.iter().any(|line| line.starts_with("registrations[2].wieght: unknown field `wieght`")),
        "{found:?}"
    );
    assert!(found.skipped.iter().all(|line| line.len() < 400));
    for no_list in ["{}", "[]", "{\"registrations\": {}}", "", "{\"registrations\": ["] {
        assert!(Registrations::parse(no_list).is_err(), "{no_list}");
    }
}

/// JSON that no value can have, in a list that is written by hand.
#[test]
fn an_entry_that_is_no_json_value_hides_no_other() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for bad in [r#"{"address": "10.0.0.2", "port": 1e999}"#, r#"{"address": "\ud800", "port": 9091}"#, &deep]
    {
        let text = format!(r#"{{"registrations": [{{"address": "10.0.0.1", "port": 9091}}, {bad}]}}"#);
        let read = Registrations::parse(&text).unwrap();
        assert_eq!((read.found.len(), read.unreadable.len()), (1, 1), "{text}");
        let reason = &read.unreadable[0];
        assert!(reason.starts_with("registrations[1]") && reason.len() < 400, "{reason}");
    }
}

#[test]
fn the_older_registration_keeps_name_and_place() {
    let aged = |host: &str, name: &str, created: &[u64]| Registration {
        address: host.to_owned(),
        port: 9091,
        status: "passing".to_owned(),
        weight: 1,
        name: name.to_owned(),
        scheme: String::new(),
        node: "node".to_owned(),
        datacenter: String::new(),
        id: host.to_owned(),
        created: created.to_vec(),
        leaving: false,
    };
    let older = aged("10.0.0.9", "pg-0", &[7, 30]);
    for newer in [aged("10.0.0.1", "pg-0", &[8]), aged("10.0.0.1", "pg-0", &[])] {
        let found = members(&settings(&json!({})), &[newer, older.clone()]);
        assert_eq!(ring(&found).members[0].address, "10.0.0.9:9091");
        assert_eq!(found.skipped, [r#"10.0.0.1:9091: the name "pg-0" belongs to 10.0.0.9:9091"#]);
    }
    // Another registration of the same gateway does not rename it.
    let again = aged("10.0.0.9", "aaa", &[8]);
    assert_eq!(names(&members(&settings(&json!({})), &[again.clone(), older.clone()])), ["pg-0"]);
    let unnamed = aged("10.0.0.9", "", &[1]);
    assert_eq!(names(&members(&settings(&json!({})), &[again, unnamed])), ["10.0.0.9:9091"]);
    // The newest of too many are left out.
    let many = (0..1100).map(|n| aged(&format!("10.1.{}.{}", n / 256, n % 256), "", &[100 + n]));
    let mut many: Vec<_> = many.chain([older]).collect();
    many.rotate_left(500);
    let found = members(&settings(&json!({})), &many);
    assert_eq!(ring(&found).members.len(), 1024);
    assert!(names(&found).contains(&"pg-0".to_owned()));
    assert!(
        found.skipped[0].starts_with("77 registrations over the limit of 1024 members: "),
        "{:?}",
        found.skipped
    );
}

#[test]
fn too_much_weight_is_lowered_where_it_is_largest() {
    let weights = |weights: &[i64], filter: Value, status: &str| {
        let row = |(n, weight): (usize, &i64)| {
            let status = if n % 2 == 0 { "passing" } else { status };
            json!([format!("10.0.{}.{}", n / 256, n % 256), 9091, status, weight, "", "node", "id"])
        };
        let rows: Vec<Value> = weights.iter().enumerate().map(row).collect();
        let mut settings = settings(&filter);
        settings.min_members_share = 0.0;
        let found = members(&settings, &registrations(&rows));
        let config = ring(&found);
        Router::new(config.clone()).unwrap();
        (config.members.iter().map(|member| member.weight).collect::<Vec<_>>(), found.notes)
    };
    let (found, notes) = weights(&[100; 41], json!({}), "passing");
    assert_eq!(found, [99; 41]);
    assert_eq!(notes, ["weights over 99 count as 99: a ring has at most 4194304 points"]);
    // Whether the others pass changes nothing for those that do.
    assert_eq!(weights(&[100; 41], json!({}), "critical").0, [99; 21]);
    let mut many = vec![100; 1023];
    many.push(1);
    let (found, _) = weights(&many, json!({}), "passing");
    assert_eq!((found.iter().filter(|&&weight| weight == 4).count(), found.iter().min()), (1023, Some(&1)));
    assert_eq!(
        weights(&[100; 1024], json!({"placement": {"type": "ring", "points": 4096}}), "passing").0,
        [1; 1024]
    );
    assert_eq!(weights(&[100, 50], json!({}), "passing"), (vec![100, 50], vec![]));
}

/// Whatever else is registered, a gateway that passes is on a ring that the filter accepts.
#[test]
fn any_registrations_leave_a_passing_gateway_on_the_ring() {
    let hosts = [
        "10.0.0.1",
        "10.0.0.2",
        "::ffff:10.0.0.1",
        "[::1]",
        "::1",
        "fe80::1%eth0",
        "PG.example.com.",
        "a b",
        "\"';$(x)\n",
        "",
        "0x7f.1",
        "é",
        "\u{202e}",
        "\0",
        "a,b",
        "10.0.0.1:9091",
        "-",
        "_",
        "..",
        "0.0.0.0",
        "1.1.1.1.",
        "{{.}}",
    ];
    let given =
        ["", "", "", "pg-0", "10.0.0.9:9091", "10.0.0.1:9091", "valid", "a,b", "\u{1b}[2J", "x'\"#{}:&", " "];
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..300 {
        let long = "x".repeat(rng.usize(..150_000));
        let mut rows = Vec::new();
        for _ in 0..rng.usize(..40) {
            let mut row = json!({
                "address": rng.choice(hosts).unwrap(), "port": rng.choice([-1, 0, 1, 9091, 65535, 65536, i64::MAX]).unwrap(),
                "status": rng.choice(["passing", "passing", "critical", "", "odd"]).unwrap(),
                "weight": rng.choice([1, 100, 0, -1, i64::MIN, i64::MAX]).unwrap(),
                "name": rng.choice(given).unwrap(), "node": "n", "id": rng.choice([&*long, "id", ""]).unwrap(),
                "created": [rng.u64(..3)],
            });
            let field = *rng.choice(&["address", "port", "weight", "name", "id", "created", "more"]).unwrap();
            if rng.u8(..6) == 0 {
                row[field] = rng
                    .choice([json!(null), json!([]), json!(-1.5), json!({}), json!(long), json!(true)])
                    .unwrap();
            }
            rows.push(row);
        }
        rows.push(json!({"address": "10.0.0.9", "port": 9091, "weight": 1, "created": [9]}));
        rng.shuffle(&mut rows);
        let read = Registrations::parse(&json!({ "registrations": rows }).to_string()).unwrap();
        let mode = *rng.choice(&["cluster", "endpoint", "redirect"]).unwrap();
        let mut settings = settings(&json!({ "mode": mode }));
        settings.min_members_share = 0.0;
        let found = Members::decide(&settings, &read);
        let config = ring(&found);
        Router::new(config.clone()).unwrap();
        let valid = config.members.iter().find(|member| member.address == "10.0.0.9:9091");
        assert_eq!(valid.expect("a member").name, "10.0.0.9:9091", "round {round}, mode {mode}: {rows:?}");
        assert!(
            found.skipped.iter().all(|line| line.len() < 500 && !line.contains(['\n', '\u{1b}', '\u{202e}']))
        );
        let mut reversed = read;
        reversed.found.reverse();
        assert_eq!(Members::decide(&settings, &reversed).config, found.config, "the order does not matter");
    }
}
