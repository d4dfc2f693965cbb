//! Odd registrations in a real Consul: they keep no other gateway from the ring, and take no groups of others.

use fastrand::Rng;
use pushring::command::publish::publish;
use pushring::fleet::members::{Members, Settings};
use pushring::fleet::registration::Registrations;
use pushring::fleet::ring_file::RingFile;
use pushring_harness::consul_fixture::paths;
use pushring_harness::http::Client;
use pushring_harness::{Consul, ConsulFixture, Envoy, Layout, Mode, Ports, envoy_files, poll_until};
use serde_json::{Value, json};

/// Registers a service in the catalog, on a node without an agent.
fn register(client: &Client, service: &Value, check: Option<&str>) {
    let id = service["ID"].clone();
    let mut body = json!({"Node": "odd", "Address": "10.9.0.1", "Service": service});
    body["Service"]["Service"] = json!("pushgateway");
    if let Some(status) = check {
        body["Check"] = json!({"CheckID": id, "Name": "x", "ServiceID": id, "Status": status});
    }
    let answer = client.put("/v1/catalog/register", body.to_string()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn client(consul: &Consul) -> Client {
    Client::new(consul.address).unwrap()
}

/// Registrations that become no member, and a part of the reason that publish logs.
fn odd() -> Vec<(Value, &'static str)> {
    let at = |id: &str, address: &str, port: i64| json!({"ID": id, "Address": address, "Port": port});
    let named = |id: &str, address: &str, name: &str| json!({"ID": id, "Address": address, "Port": 9091, "Meta": {"pushring-name": name}});
    vec![
        (at("minus", "10.0.1.1", -1), "minus on odd: port: found -1"),
        (at("zero", "10.0.1.1", 0), "zero on odd: port: found 0"),
        (at("large", "10.0.1.1", 65536), "large on odd: port: found 65536"),
        (at(&"x".repeat(140_000), "", -1), "xxxxxxxxxx… on odd: port: found -1"),
        (
            at("quotes", "\"'; {{.}} $(x)\n", 9091),
            r#"quotes on odd: address: found "\"'; {{.}} $(x)\n:9091""#,
        ),
        (at("zone", "fe80::1%eth0", 9091), "zone on odd: address: found"),
        (
            at("octal", "010.0.0.1", 9091),
            "octal on odd: address: found \"010.0.0.1:9091\", allowed an IPv4 address",
        ),
        (at("bidi\u{202e}\u{1b}[2J", "a\u{202e}b", 9091), r"bidi\u{202e}\u{1b}[2J on odd: address"),
        (named("comma", "10.0.1.2", "a,b"), "comma on odd: name: found"),
        (named("control", "10.0.1.2", "\u{0}\u{1b}"), "control on odd: name: found"),
        (named("long", "10.0.1.2", &"n".repeat(500)), "long on odd: name: found 500 bytes"),
    ]
}

#[test]
fn odd_registrations_change_nothing_for_the_others() {
    for mode in Mode::ROUTED {
        let mut fixture = ConsulFixture::start(mode, 2, &[]);
        let victims = fixture.addresses();
        let groups = paths(100);
        let before = fixture.owners(&groups);
        let consul = client(&fixture.consul);
        let (odd, reasons): (Vec<_>, Vec<_>) = odd().into_iter().unzip();
        for service in &odd {
            register(&consul, service, None);
        }
        // Other registrations of a member, under another ID, with another name and in another spelling.
        let again = json!({"ID": "again", "Address": format!("::ffff:{}", victims[0].ip()), "Port": victims[0].port(),
                           "Meta": {"pushring-name": "aaa"}});
        register(&consul, &again, Some("critical"));
        // A gateway with the address of a member as its name.
        let taken = json!({"ID": "taken", "Address": "10.0.1.2", "Port": 9091,
                           "Meta": {"pushring-name": victims[0].to_string()}});
        register(&consul, &taken, Some("critical"));
        let reasons: Vec<&str> = reasons;
        for reason in reasons.into_iter().chain(["is the address of another gateway"]) {
            fixture.wait_log(0, reason);
        }
        fixture.wait_ring(&victims);
        assert_eq!(fixture.owners(&groups), before, "{mode}");

        // consul-template continues: a member joins, and takes groups only for itself.
        let new = fixture.add_gateway();
        fixture.register(&[new]);
        fixture.wait_ring(&[victims[0], victims[1], new]);
        for (owner, before) in fixture.owners(&groups).into_iter().zip(before) {
            assert!(owner == before || owner == new, "{mode}: {owner} {before}");
        }
        let answer = fixture.envoy.client().unwrap().put(&groups[0], "x 1\n").unwrap();
        assert_eq!(answer.status, 200, "{mode}: {}", answer.text());
    }
}

/// A newcomer with the name of a member that passes, at a smaller address; then that member is critical.
#[test]
fn a_name_stays_with_the_gateway_that_passes_and_had_it_first() {
    let fixture =
        ConsulFixture::start(Mode::Endpoint, 0, &[("min_members_share: 0.5", "min_members_share: 0.3")]);
    let consul = client(&fixture.consul);
    let member = |id: &str, address: &str| json!({"ID": id, "Address": address, "Port": 9091, "Meta": {"pushring-name": "pg-0"}});
    register(&consul, &member("first", "10.0.0.9"), Some("passing"));
    fixture.envoy.wait_members(&["pg-0"]).unwrap();
    let address = || fixture.owner("/metrics/job/a").to_string();
    assert_eq!(address(), "10.0.0.9:9091");
    register(&consul, &member("second", "10.0.0.1"), Some("passing"));
    register(&consul, &member("unchecked", "10.0.0.2"), None);
    fixture.wait_log(0, "skipped: 10.0.0.1:9091: the name \"pg-0\" belongs to 10.0.0.9:9091");
    fixture.wait_log(0, "skipped: 10.0.0.2:9091: the name \"pg-0\" belongs to 10.0.0.9:9091");
    assert_eq!(address(), "10.0.0.9:9091");
    // As a pod that comes back elsewhere.
    register(&consul, &member("first", "10.0.0.9"), Some("critical"));
    poll_until("the name to move", || (address() == "10.0.0.1:9091").then_some(())).unwrap();
}

/// More registrations than a ring has places, of the largest weight.
#[test]
fn too_many_registrations_leave_the_older_members_on_the_ring() {
    let fixture = ConsulFixture::start(Mode::Endpoint, 2, &[]);
    let consul = client(&fixture.consul);
    for number in 0..1100 {
        let address = format!("10.1.{}.{}", number / 250, number % 250 + 1);
        let service = json!({"ID": address, "Address": address, "Port": 9091, "Weights": {"Passing": 100, "Warning": 1}});
        register(&consul, &service, Some("passing"));
    }
    fixture.wait_log(0, "skipped: 78 registrations over the limit of 1024 members: 10.1.");
    poll_until("Envoy to have the ring", || (fixture.members().len() == 1024).then_some(())).unwrap();
    let members = fixture.members();
    for victim in fixture.addresses() {
        assert!(members.iter().any(|(name, weight)| *name == victim.to_string() && *weight == 1), "{victim}");
    }
    assert_eq!(members.iter().map(|(_, weight)| weight).max(), Some(&4));
}

/// Registrations at random, in the form of consul-template's file, and one that is valid.
fn random(rng: &mut Rng) -> Registrations {
    let hosts = [
        "10.0.0.1",
        "10.0.0.2",
        "::ffff:10.0.0.1",
        "::1",
        "PG.example.",
        "a b",
        "\"';$(x)\n",
        "",
        "é",
        "a_b",
        "-",
    ];
    let names =
        ["", "", "pg-0", "valid", "10.0.0.9:9091", "10.0.0.1:9091", "a,b", "x'\"#{}:&|%[]", "\u{1b}", "\\"];
    let mut rows = vec![json!({"address": "10.0.0.9", "port": 9091, "created": [9]})];
    for _ in 0..rng.usize(1..30) {
        rows.push(json!({
            "address": rng.choice(hosts), "port": rng.choice([-1, 0, 1, 9091, 65535, 65536]),
            "status": rng.choice(["passing", "critical", "odd"]), "weight": rng.choice([1, 100, 0, -1, i64::MAX]),
            "name": rng.choice(names), "created": [rng.u64(..3)],
        }));
    }
    Registrations::parse(&json!({ "registrations": rows }).to_string()).unwrap()
}

/// A real Envoy accepts each of the rings, and all files next to them.
#[test]
fn envoy_accepts_what_any_registrations_render() {
    let mut rng = Rng::with_seed(11);
    for mode in Mode::ROUTED {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
        let mut filter = envoy_files::config(mode, &[]).unwrap();
        filter.as_object_mut().unwrap().retain(|field, _| field != "members" && field != "min_members");
        let settings = json!({"min_members_share": 0, "filter": filter}).to_string();
        let settings = Settings::parse(&settings).unwrap();
        let decide = |rng: &mut Rng| Members::decide(&settings, &random(rng));
        publish(&decide(&mut rng), &layout.publish_options(None).unwrap()).unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        let options = layout.publish_options(Some(&format!("http://{}", envoy.admin))).unwrap();
        for round in 0..8 {
            let members = decide(&mut rng);
            publish(&members, &options)
                .unwrap_or_else(|error| panic!("{mode} {round}: {error:#}\n{}", members.config));
            let ring = RingFile::read(&layout.live().join("ring.yaml")).unwrap();
            let names: Vec<&str> = ring.config.members.iter().map(|member| member.name.as_str()).collect();
            assert!(names.contains(&"10.0.0.9:9091"), "{mode} {round}: {names:?}");
            envoy.wait_members(&names).unwrap();
        }
        for stat in ["cluster_manager.cds.update_rejected", "cluster.pushgateway.update_rejected"] {
            assert_eq!(envoy.stat(stat).unwrap().unwrap_or(0), 0, "{mode}: {stat}");
        }
    }
}
