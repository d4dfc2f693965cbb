//! `deregister` and `drain` find the registrations that keep a gateway on the ring, at two real agents and without one.

use std::net::SocketAddr;
use std::process::Command;

use pushring_harness::command::{CommandOutput, pushring};
use pushring_harness::http::Client;
use pushring_harness::{Consul, ConsulFixture, Layout, Mode, Ports, poll_until};
use serde_json::{Value, json};

const GATEWAY: &str = "10.0.0.4:9091";

fn deregister(consul: &Consul, address: &str, more: &[&str]) -> CommandOutput {
    let consul = consul.address.to_string();
    pushring([&["deregister", address, "--consul", &consul, "--output", "json"], more].concat()).unwrap()
}

fn result(output: &CommandOutput) -> Value {
    output.json().unwrap()["results"][0].clone()
}

/// Registers the gateway at an agent.
fn register(consul: &Consul, id: &str, address: &str) {
    let service = json!({"Name": "pushgateway", "ID": id, "Address": address, "Port": 9091});
    consul.put("/v1/agent/service/register", &service).unwrap();
}

/// IDs of the service in the catalog, with their nodes.
fn registered(consul: &Consul) -> Vec<(String, String)> {
    let found =
        Client::new(consul.address).unwrap().get("/v1/catalog/service/pushgateway").unwrap().json().unwrap();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(|entry| (text(entry, "ServiceID"), text(entry, "Node"))).collect()
}

#[test]
fn a_registration_of_another_agent_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = Consul::start_with(dir.path(), &["-node=one"]).unwrap();
    let own = Client::new(server.address).unwrap().get("/v1/agent/self").unwrap().json().unwrap();
    let join = format!("-retry-join=127.0.0.1:{}", own["Member"]["Port"]);
    let other_dir = dir.path().join("other");
    std::fs::create_dir(&other_dir).unwrap();
    let data = format!("-data-dir={}", other_dir.display());
    let client = ["-node=two", "-hcl=server = false bootstrap = false", &join, &data];
    let agent = Consul::start_with(&other_dir, &client).unwrap();

    // The same ID at both, in another spelling at one of them, and an ID that `register` would not give.
    register(&server, "10.0.0.4_9091", "10.0.0.4");
    register(&server, "pg", "::ffff:10.0.0.4");
    register(&agent, "10.0.0.4_9091", "10.0.0.4");
    register(&agent, "neighbor", "10.0.0.5");
    let forecast = deregister(&server, GATEWAY, &["--dry-run"]);
    assert_eq!((forecast.code, registered(&server).len()), (1, 4), "{}", forecast.stdout);

    let output = deregister(&server, "[::ffff:10.0.0.4]:9091", &[]);
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    assert_eq!(result(&output)["result"], "deregistered");
    let still = &result(&output)["still_registered"];
    let holder = &still[0];
    assert_eq!(still.as_array().unwrap().len(), 1, "{still}");
    assert_eq!((&holder["id"], &holder["node"]), (&json!("10.0.0.4_9091"), &json!("two")));
    assert_eq!(
        holder["remove"],
        "pushring deregister 10.0.0.4:9091 --service pushgateway --consul 127.0.0.1:8500"
    );
    let table = pushring(["deregister", GATEWAY, "--consul", &server.address.to_string()]).unwrap();
    assert_eq!(table.code, 1);
    let line =
        "10.0.0.4:9091 stays registered: ID 10.0.0.4_9091 on node two (agent at 127.0.0.1); remove it:";
    assert!(table.stdout.contains(line) && table.stdout.contains("absent"), "{}", table.stdout);

    // At the agent that the message names.
    let output = deregister(&agent, GATEWAY, &[]);
    assert_eq!((output.code, &result(&output)["result"]), (0, &json!("deregistered")), "{}", output.stdout);
    assert_eq!(result(&output)["still_registered"], Value::Null);
    assert_eq!(registered(&server), [("neighbor".to_owned(), "two".to_owned())]);
    let output = deregister(&server, GATEWAY, &[]);
    assert_eq!((output.code, &result(&output)["result"]), (0, &json!("absent")));
}

/// Consul uses the address of the node.
#[test]
fn a_registration_without_an_address_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    for (id, port) in [("bare", 9091), ("stays", 9092)] {
        let service = json!({"Name": "pushgateway", "ID": id, "Port": port});
        consul.put("/v1/agent/service/register", &service).unwrap();
    }
    poll_until("the catalog to have both", || (registered(&consul).len() == 2).then_some(())).unwrap();
    let output = deregister(&consul, "127.0.0.1:9091", &[]);
    assert_eq!((output.code, &result(&output)["result"]), (0, &json!("deregistered")), "{}", output.stdout);
    let left: Vec<String> = registered(&consul).into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, ["stays"]);
}

/// The node has no agent any more, and its ID is meant for a shell.
#[test]
fn a_registration_without_an_agent_is_removed_by_the_command_that_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    for (id, address) in [("it's $(id) \"x\"", "10.0.0.4"), ("stays", "10.0.0.5"), ("stays too", "10.0.0.6")]
    {
        let service = json!({"ID": id, "Service": "pushgateway", "Address": address, "Port": 9091});
        let body = json!({"Node": "gone", "Address": "10.9.9.9", "Service": service});
        consul.put("/v1/catalog/register", &body).unwrap();
    }
    let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
    layout.write_ring(r#"{"members": ["10.0.0.4:9091"]}"#).unwrap();
    let (ring, agent) = (layout.live().join("ring.yaml"), consul.address.to_string());
    let drain = || {
        let args =
            ["drain", GATEWAY, "--consul", &agent, "--config", ring.to_str().unwrap(), "--settle", "0s"];
        pushring(args).unwrap()
    };
    let refused = drain();
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("10.0.0.4:9091 is on the ring"), "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("registered as ID it's $(id) \"x\" on node gone (agent at 10.9.9.9, which is gone)"),
        "{}",
        refused.stderr
    );

    let output = deregister(&consul, GATEWAY, &[]);
    assert_eq!((output.code, &result(&output)["result"]), (1, &json!("absent")), "{}", output.stdout);
    let remove = result(&output)["still_registered"][0]["remove"].as_str().unwrap().to_owned();
    assert!(refused.stderr.contains(&remove), "{remove}\n{}", refused.stderr);
    assert!(Command::new("sh").args(["-c", &remove]).output().unwrap().status.success(), "{remove}");
    assert_eq!(registered(&consul).len(), 2);
    assert_eq!(deregister(&consul, GATEWAY, &[]).code, 0);
    assert!(!drain().stderr.contains("is on the ring"));
}

/// One of three registered gateways is passing, so Envoy keeps the ring with the removed one.
#[test]
fn a_ring_that_the_guard_keeps_is_a_warning() {
    let fixture = ConsulFixture::start(Mode::Endpoint, 0, &[]);
    let [one, two, three, four] = [1, 2, 3, 4].map(|last| SocketAddr::from(([10, 0, 0, last], 9091)));
    for (address, status) in [(one, "passing"), (two, "passing"), (three, "critical"), (four, "critical")] {
        fixture.consul.register(address, status).unwrap();
    }
    fixture.wait_ring(&[one, two]);
    let address = one.to_string();
    let warnings = |more: &[&str]| {
        let output = deregister(&fixture.consul, &address, more);
        assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
        let warnings = output.json().unwrap()["warnings"].as_array().unwrap().clone();
        assert!(warnings.len() < 2, "{warnings:?}");
        let text = warnings.first().map(|text| text.as_str().unwrap().to_owned());
        assert!(text.iter().all(|text| output.stderr.contains(text)), "{}", output.stderr);
        text
    };
    let held = "service \"pushgateway\" in Consul has 3 registered members, 2 of them not passing: members: found 1 \
                members, allowed at least 2 (min_members). Envoy keeps its current ring; wait until more are passing, or \
                deregister members that are gone";
    assert!(warnings(&["--dry-run"]).unwrap().contains(held));
    assert_eq!(warnings(&["--dry-run", "--min-members-share", "0.3"]), None);
    let settings = fixture.layout.dir().join("consul-template/settings.yaml");
    let with_settings = ["--dry-run", "--settings", settings.to_str().unwrap()];
    assert!(warnings(&with_settings).unwrap().contains(held));
    fixture.templates.edit("settings.yaml", &[("tags: []", "tags: [prod]")]).unwrap();
    assert!(warnings(&with_settings).unwrap().contains("has 0 registered members"));
    fixture
        .templates
        .edit("settings.yaml", &[("tags: [prod]", "tags: []"), ("share: 0.5", "share: 0.3")])
        .unwrap();
    assert_eq!(warnings(&with_settings), None);
    assert!(warnings(&[&with_settings[..], &["--min-members-share=1"]].concat()).is_some());
    fixture.templates.edit("settings.yaml", &[("share: 0.3", "share: 0.5")]).unwrap();

    let log = fixture.consul_template.process.log().len();
    assert!(warnings(&[]).unwrap().contains(held));
    fixture.wait_log(log, "members: found 1 members, allowed at least 2");
    fixture.wait_ring(&[one, two]);
    let (ring, agent) = (fixture.layout.live().join("ring.yaml"), fixture.consul.address.to_string());
    let drain = ["drain", &address, "--consul", &agent, "--config", ring.to_str().unwrap()];
    assert!(pushring(drain).unwrap().stderr.contains(held));
    // Once more; then the ring follows.
    assert!(warnings(&[]).unwrap().contains(held));
    let output = deregister(&fixture.consul, &three.to_string(), &[]);
    assert_eq!((output.code, &output.json().unwrap()["warnings"]), (0, &json!([])), "{}", output.stderr);
    fixture.wait_ring(&[two]);

    let other =
        deregister(&fixture.consul, &address, &["--service", "other", with_settings[1], with_settings[2]]);
    assert_eq!(other.code, 2, "{}", other.stdout);
    assert!(other.stderr.contains("consul.service: found \"pushgateway\""), "{}", other.stderr);
}
