//! Hostile registrations next to good ones: none of them hides another, and a member whose own registration turns bad still counts.

use pushring_harness::etcd::Version;
use pushring_harness::{Etcd, Mode};
use serde_json::{Value, json};

use crate::etcd::{key, put_all, value};
use crate::running::Discover;
use crate::scene::{Gateways, wait_healed, watch};

/// The text of a registration whose fields may be no JSON of serde.
fn entry(host: &str, port: &str, more: &str) -> String {
    format!(r#"{{"host": {}, "port": {port}{more}}}"#, json!(host))
}

/// Registrations that are none.
fn bad() -> Vec<String> {
    let ports = [
        "0",
        "65536",
        "-1",
        "\"1e3\"",
        "1e3",
        "9091.0",
        "9091.5",
        "null",
        "[9091]",
        "true",
        "18446744073709551616",
    ];
    let hosts = [
        "",
        " ",
        ".",
        "..",
        "a..b",
        "10.0.0.9\t",
        "10.0.0.9\n",
        "\u{0}",
        "10.0.0.9:80",
        "http://10.0.0.9",
        "10.0.0.9/8",
        "10.0.0.9,10.0.0.8",
        "'10.0.0.9'",
        "\"10.0.0.9\"",
        "fe80::1",
        "fe80::1%eth0",
        "::1%1",
        "[::1",
        "::",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "10.0.0.256",
        "a b",
        "m\u{fc}nchen",
        "\u{202e}10.0.0.9",
        "{{ .Env.HOME }}",
        "user:secret@10.0.0.9",
    ];
    let more = [
        r#", "host": "10.0.0.8""#.to_owned(),
        r#", "port": 1"#.to_owned(),
        r#", "weight": 1.5"#.to_owned(),
        r#", "weight": "2""#.to_owned(),
        r#", "weight": 9223372036854775808"#.to_owned(),
        r#", "leaving": "true""#.to_owned(),
        r#", "leaving": null, "leaving": true"#.to_owned(),
        r#", "scheme": "ftp""#.to_owned(),
        r#", "pushring_name": {}"#.to_owned(),
        format!(r#", "pushring_name": {}"#, json!("n".repeat(254))),
        format!(r#", "pushring_name": {}"#, json!("n".repeat(10_000))),
        format!(r#", "x": "{}""#, "x".repeat(1 << 16)),
        ", ".to_owned(),
    ];
    let ports = ports.iter().map(|port| entry("10.0.0.9", port, ""));
    let hosts =
        hosts.iter().map(|host| entry(host, "9091", "")).chain([entry(&"h".repeat(10_000), "9091", "")]);
    ports.chain(hosts).chain(more.iter().map(|more| entry("10.0.0.9", "9091", more))).collect()
}

/// Odd registrations of the same gateway, which are good nevertheless.
fn odd(address: &str) -> Vec<String> {
    let (host, port) = address.rsplit_once(':').unwrap();
    let deep = format!(r#", "x": {}1{}"#, "[".repeat(10_000), "]".repeat(10_000));
    [
        &deep,
        r#", "weight": 0"#,
        r#", "weight": -5"#,
        r#", "weight": 9223372036854775807"#,
        r#", "weight": null, "scheme": null, "leaving": null, "pushring_name": null, "status": null"#,
        r#", "status": "Passing\n\u001b[31m""#,
        r#", "x": 1e999, "x": {"y": [null]}"#,
        r#", "pushring_name": """#,
    ]
    .iter()
    .map(|more| entry(host, port, more))
    .collect()
}

#[test]
fn bad_registrations_hide_no_other() {
    let gateways = Gateways::start(3);
    let names = gateways.names();
    let etcd = Etcd::start(gateways.dir.path(), Version::Newest).unwrap();
    put_all(&etcd, &names[..2]);
    let mut discover = follow(&gateways, &etcd, &names[..2]);
    let witness = watch(&discover);
    for (number, value) in bad().into_iter().chain(odd(names[0])).enumerate() {
        etcd.put(key(format!("bad{number}")), value).unwrap();
    }
    // Keys of other services, and of none.
    for other in [
        "/service/pushgateway",
        "/service/pushgateway0/a",
        "/service//a",
        "service/pushgateway/a",
        "/services/pushgateway/a",
    ] {
        etcd.put(other, value("10.0.0.9:9091")).unwrap();
    }
    put_all(&etcd, &names[2..]);
    gateways.wait(&discover, &names);
    discover.wait_metric("pushring_discover_registered", 3.0);
    let rings = witness.end();
    assert!(rings.iter().flatten().all(|name| names.contains(&name.as_str())), "{rings:?}");
    let log = discover.process.log();
    assert!(!log.contains(['\u{1b}', '\u{202e}', '\t']) && !log.contains("secret"), "{log}");
}

fn follow(gateways: &Gateways, etcd: &Etcd, names: &[&str]) -> Discover {
    let discover = Discover::with_envoy(Mode::Cluster, &["--from", "etcd", "--etcd", &etcd.url()]);
    gateways.wait(&discover, names);
    discover
}

/// Envoy's files have every name that a ring may have.
#[test]
fn odd_names_are_names() {
    let gateways = Gateways::start(6);
    let etcd = Etcd::start(gateways.dir.path(), Version::Oldest).unwrap();
    let long = "n".repeat(253);
    let good = ["a:1", "%REQ(host)%", "n{n}", &long];
    let bad = ["m\u{fc}nchen", "it's \"x\" \\ {y}: [z], #\t\n"];
    for (number, name) in good.iter().chain(&bad).enumerate() {
        let mut named: Value = serde_json::from_str(&value(&gateways.names[number])).unwrap();
        named["pushring_name"] = json!(name);
        etcd.put(key(number), named.to_string()).unwrap();
    }
    let discover = follow(&gateways, &etcd, &good);
    watch(&discover).end_unmoved();
    let held: Vec<_> = gateways.all.iter().map(|gateway| gateway.groups().unwrap().len()).collect();
    assert!(held[..4].iter().all(|groups| *groups > 0) && held[4..] == [0, 0], "{held:?}");
}

/// A member whose registration can no longer be one counts as registered, whatever its name: the guard is a share of all.
#[test]
fn members_whose_registrations_turn_bad_are_not_lost() {
    let gateways = Gateways::start(4);
    let etcd = Etcd::start(gateways.dir.path(), Version::Newest).unwrap();
    let names = ["gw-0", "gw-1", "gw-2", "gw-3"];
    let put = |number: usize, field: &str, new: Value| {
        let mut named: Value = serde_json::from_str(&value(&gateways.names[number])).unwrap();
        named["pushring_name"] = json!(names[number]);
        named[field] = new;
        etcd.put(key(number), named.to_string()).unwrap();
    };
    let good = || (0..4).for_each(|number| put(number, "status", json!("passing")));
    good();
    let mut discover = follow(&gateways, &etcd, &names);
    let witness = watch(&discover);
    put(0, "port", json!(0));
    gateways.wait(&discover, &names[1..]);
    discover.wait_metric("pushring_discover_registered", 4.0);
    put(1, "scheme", json!("gopher"));
    gateways.wait(&discover, &names[2..]);
    put(2, "host", json!("no host"));
    discover.wait_metric("pushring_discover_held", 1.0);
    put(3, "port", json!("9091"));
    discover.wait_log("vanished; counts as registered (--forget)", 4);
    discover.wait_metric("pushring_discover_registered", 4.0);
    good();
    wait_healed(&mut discover, 4);
    gateways.wait(&discover, &names);
    let rings = witness.end();
    assert!(rings.iter().all(|ring| ring.len() >= 2), "{rings:?}");
}
