//! Members from Consul, with real agents.

use std::net::SocketAddr;

use pushring_harness::command::pushring;
use pushring_harness::http::Client;
use pushring_harness::load::Load;
use pushring_harness::witness::assert_each_group_once;
use pushring_harness::{Consul, Mode, Process, Pushgateway};
use rustix::process::Signal;
use serde_json::json;

use crate::running::{Discover, wait_pushes};
use crate::scene::{Gateways, watch};

/// Addresses without a listener.
fn four() -> [SocketAddr; 4] {
    [1, 2, 3, 4].map(|host| SocketAddr::from(([10, 0, 0, host], 9091)))
}

fn names(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn start(consul: &Consul) -> Discover {
    Discover::start(&["--from", "consul", "--consul", &consul.address.to_string()])
}

fn wait_ring(discover: &Discover, addresses: &[SocketAddr]) {
    let names = names(addresses);
    discover.wait_ring(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

fn follows(mode: Mode) {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let gateways = [(); 3].map(|()| Pushgateway::start(dir.path(), &[]).unwrap());
    let addresses = gateways.each_ref().map(|gateway| gateway.address);
    let names = names(&addresses);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for address in &addresses[..2] {
        consul.register(*address, "passing").unwrap();
    }
    let source = ["--from", "consul", "--consul", &consul.address.to_string()];
    let mut discover = Discover::with_envoy(mode, &source);
    let envoy = discover.envoy.as_ref().unwrap();
    envoy.wait_members(&names[..2]).unwrap();
    let load = Load::start(envoy.push, 2);
    consul.register(addresses[2], "passing").unwrap();
    envoy.wait_members(&names).unwrap();
    consul.set_status(addresses[0], "critical").unwrap();
    envoy.wait_members(&names[1..]).unwrap();
    consul.set_status(addresses[0], "passing").unwrap();
    envoy.wait_members(&names).unwrap();
    consul.deregister(addresses[1]).unwrap();
    envoy.wait_members(&[names[0], names[2]]).unwrap();
    load.stop().assert_none_failed();
    discover.wait_metric("pushring_discover_registered", 3.0);
    discover.wait_metric("pushring_discover_on_ring", 2.0);
    discover.wait_log("vanished; counts as registered (--forget)", 1);
    wait_pushes(&gateways);
    discover.stop();
}

#[test]
fn the_ring_follows_consul_and_no_push_is_lost() {
    follows(Mode::Cluster);
    follows(Mode::Endpoint);
}

#[test]
fn registrations_that_vanish_all_at_once_leave_the_share() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let all = four();
    all.iter().for_each(|address| consul.register(*address, "passing").unwrap());
    let mut discover = start(&consul);
    wait_ring(&discover, &all);
    all.iter().for_each(|address| consul.deregister(*address).unwrap());
    discover.wait_log("vanished; counts as registered (--forget)", 4);
    discover.wait_metric("pushring_discover_held", 1.0);
    assert!(discover.ring().len() >= 2, "{:?}", discover.ring());
    all.iter().for_each(|address| consul.register(*address, "passing").unwrap());
    wait_ring(&discover, &all);
    discover.wait_metric("pushring_discover_held", 0.0);
}

#[test]
fn a_gateway_that_is_deregistered_says_that_it_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let all = four();
    all.iter().for_each(|address| consul.register(*address, "passing").unwrap());
    let mut discover = start(&consul);
    wait_ring(&discover, &all);
    // Three of four: more than could vanish.
    let agent = consul.address.to_string();
    let addresses = names(&all[1..]);
    let args = ["deregister", "--consul", &agent];
    let output = pushring(args.into_iter().chain(addresses.iter().map(String::as_str))).unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
    wait_ring(&discover, &all[..1]);
    discover.wait_log("left", 3);
    discover.wait_metric("pushring_discover_registered", 1.0);
    assert!(!discover.process.log().contains("vanished"), "{}", discover.process.log());
    // A registration that was announced and not removed is renewed by `register`.
    let service = json!({"Name": "pushgateway", "ID": "10.0.0.9_9091", "Address": "10.0.0.9", "Port": 9091,
        "Meta": {"pushring-leaving": "true"}});
    consul.put("/v1/agent/service/register", &service).unwrap();
    let register = pushring(["register", "10.0.0.9:9091", "--no-probe", "--consul", &agent]).unwrap();
    assert_eq!(register.code, 0, "{}", register.stderr);
    discover.wait_metric("pushring_discover_registered", 2.0);
}

#[test]
fn the_ring_outlives_consul() {
    let dir = tempfile::tempdir().unwrap();
    let mut consul = Consul::start_persistent(dir.path()).unwrap();
    let all = four();
    all[..3].iter().for_each(|address| consul.register(*address, "passing").unwrap());
    let mut discover = start(&consul);
    wait_ring(&discover, &all[..3]);
    consul.process().kill();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    wait_ring(&discover, &all[..3]);
    // A restart while Consul is away knows the ring, too.
    discover.stop();
    discover.restart();
    discover.wait_log("source away; the ring stays", 2);
    wait_ring(&discover, &all[..3]);
    consul.restart().unwrap();
    // Its checks begin as critical.
    all[..3].iter().for_each(|address| consul.set_status(*address, "passing").unwrap());
    consul.register(all[3], "passing").unwrap();
    wait_ring(&discover, &all);
    discover.wait_metric("pushring_discover_source_up", 1.0);
}

#[test]
fn members_of_earlier_do_not_come_back_with_consul() {
    let dir = tempfile::tempdir().unwrap();
    let mut consul = Consul::start_persistent(dir.path()).unwrap();
    let all = four();
    all.iter().for_each(|address| consul.register(*address, "passing").unwrap());
    // A log that Consul applies again, as it begins to answer.
    for round in 0..400 {
        let address = all[round % 4];
        consul.set_status(address, "critical").unwrap();
        consul.set_status(address, "passing").unwrap();
    }
    let mut discover = start(&consul);
    wait_ring(&discover, &all);
    for _ in 0..3 {
        // The agent keeps the status of a check until it is renewed.
        all.iter().for_each(|address| consul.set_status(*address, "passing").unwrap());
        consul.process().kill();
        discover.wait_metric("pushring_discover_source_up", 0.0);
        consul.restart().unwrap();
        discover.wait_metric("pushring_discover_source_up", 1.0);
        let published = discover.metric(r#"pushring_discover_published_total{result="published"}"#);
        assert_eq!(published, Some(1.0), "{}", discover.process.log());
    }
}

#[test]
fn a_token_that_lost_its_rights_hides_no_member() {
    let gateways = Gateways::start(4);
    let dir = &gateways.dir;
    let root = "11111111-2222-3333-4444-555555555555";
    // The harness itself has no token.
    let acl = format!(
        "-hcl=acl {{ enabled = true default_policy = \"allow\" tokens {{ initial_management = \"{root}\" }} }}"
    );
    let consul = Consul::start_with(dir.path(), &[&acl]).unwrap();
    let all: Vec<SocketAddr> = gateways.all.iter().map(|gateway| gateway.address).collect();
    all.iter().for_each(|address| consul.register(*address, "passing").unwrap());
    let client = Client::new(consul.address).unwrap();
    let put = |path: &str, body: serde_json::Value| {
        let answer = client.send("PUT", path, &[("x-consul-token", root)], body.to_string()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json().unwrap()
    };
    let policy =
        put("/v1/acl/policy", json!({"Name": "p", "Rules": "service_prefix \"\" { policy = \"read\" }"}));
    let token = put("/v1/acl/token", json!({"Policies": [{"Name": "p"}]}));
    let secret = token["SecretID"].as_str().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, secret).unwrap();
    let (agent, file) = (consul.address.to_string(), file.to_str().unwrap());
    let source = ["--from", "consul", "--consul", &agent, "--consul-token-file", file];
    let mut discover = gateways.follow(Mode::Cluster, &source);
    let witness = watch(&discover);
    let id = policy["ID"].as_str().unwrap();
    let rules = |rules: &str| put(&format!("/v1/acl/policy/{id}"), json!({"Name": "p", "Rules": rules}));
    rules("service_prefix \"\" { policy = \"deny\" }");
    // A change wakes the query, whatever the token sees of it.
    consul.set_status(all[0], "critical").unwrap();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    discover
        .process
        .wait_until("the reason", |process| process.log().contains("from this token").then_some(()))
        .unwrap();
    wait_ring(&discover, &all);
    assert!(!discover.process.log().contains("vanished"), "{}", discover.process.log());
    discover.stop();
    let (code, error) = discover.once();
    assert!(code == Some(1) && error.contains("from this token"), "{code:?}: {error}");
    discover.restart();
    discover.wait_log("source away; the ring stays", 2);
    witness.end_unmoved();
    assert_each_group_once(&gateways.all);
    rules("service_prefix \"\" { policy = \"read\" }");
    wait_ring(&discover, &all[1..]);
    // A renewal that leaves the file empty.
    std::fs::write(file, "").unwrap();
    consul.set_status(all[1], "critical").unwrap();
    discover.wait_metric("pushring_discover_source_up", 0.0);
    wait_ring(&discover, &all[1..]);
    std::fs::write(file, secret).unwrap();
    wait_ring(&discover, &all[2..]);
}

#[test]
fn settings_of_consul_make_a_new_source() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let all = four();
    for (address, tag) in all.iter().zip(["a", "a", "b", "b"]) {
        let service = json!({"Name": "pushgateway", "ID": address.to_string(), "Address": address.ip(),
            "Port": address.port(), "Tags": [tag]});
        consul.put("/v1/agent/service/register", &service).unwrap();
    }
    let mut discover = start(&consul);
    wait_ring(&discover, &all);
    let settings = discover.layout.dir().join("consul-template/settings.yaml");
    let edit = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&settings).unwrap();
        assert!(text.contains(from));
        std::fs::write(&settings, text.replace(from, to)).unwrap();
    };
    edit("tags: []", "tags: [a]");
    wait_ring(&discover, &all[..2]);
    // Rejected settings change nothing, with the signal or without.
    edit("tags: [a]", "tags: 5");
    discover.process.signal(Signal::HUP);
    discover.wait_log("settings rejected; the last ones stay", 1);
    wait_ring(&discover, &all[..2]);
    edit("tags: 5", "tags: []");
    wait_ring(&discover, &all);
    discover.stop();
}

/// A proxy of the service mesh may be registered under the name of the service that it stands for.
#[test]
fn a_proxy_of_the_mesh_is_no_member() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let addresses = four();
    consul.register(addresses[0], "passing").unwrap();
    let proxy = json!({
        "Name": "pushgateway", "ID": "proxy", "Kind": "connect-proxy", "Address": "10.0.0.9", "Port": 20000,
        "Proxy": {"DestinationServiceName": "pushgateway"},
    });
    consul.put("/v1/agent/service/register", &proxy).unwrap();
    let mut discover = start(&consul);
    wait_ring(&discover, &addresses[..1]);
    let reported = |process: &Process| process.log().contains("connect-proxy").then_some(());
    discover.process.wait_until("the skipped proxy", reported).unwrap();
    consul.register(addresses[1], "passing").unwrap();
    wait_ring(&discover, &addresses[..2]);
}
