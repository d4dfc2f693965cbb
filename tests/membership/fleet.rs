//! `--consul`: the command uses the ring that consul-template renders from the same Consul, or none.

use clap::Parser;
use pushring::error::NotSafe;
use pushring::fleet::source::{Fleet, FleetArgs};
use pushring_harness::http::Client;
use pushring_harness::{Consul, Layout, Mode, Ports, Templates, poll_until};
use serde_json::{Value, json};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    fleet: FleetArgs,
}

fn read(layout: &Layout, consul: &str, more: &[&str]) -> anyhow::Result<Fleet> {
    let ring = layout.live().join("ring.yaml");
    let args = ["test", "--config", ring.to_str().unwrap(), "--consul", consul];
    Cli::try_parse_from([&args, more].concat()).unwrap().fleet.source()?.read()
}

/// Registers services in the catalog on nodes without an agent.
fn register(consul: &Consul, node: &str, service: Value, status: &str) {
    let check = json!({"CheckID": "c", "Name": "c", "ServiceID": service["ID"], "Status": status});
    let body = json!({"Node": node, "Address": "10.1.1.1", "Service": service, "Check": check});
    consul.put("/v1/catalog/register", &body).unwrap();
}

fn service(address: &str, port: u32, more: Value) -> Value {
    let mut service = json!({
        "ID": format!("{address}_{port}"), "Service": "pushgateway", "Address": address, "Port": port,
        "Tags": ["prod"],
    });
    service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    service
}

#[test]
fn uses_the_ring_of_the_templates() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    register(&consul, "n1", service("10.0.0.1", 9091, json!({})), "passing");
    register(
        &consul,
        "n2",
        service("10.0.0.2", 9091, json!({"Weights": {"Passing": 7, "Warning": 1}})),
        "passing",
    );
    register(
        &consul,
        "n3",
        service("10.0.0.3", 9091, json!({"Weights": {"Passing": 700, "Warning": 1}})),
        "passing",
    );
    register(&consul, "n4", service("10.0.0.4", 9091, json!({"Meta": {"pushring-name": "pg-4"}})), "passing");
    register(&consul, "n5", service("10.0.0.5", 9091, json!({"Meta": {"pushring-name": "pg-5"}})), "warning");
    register(&consul, "n6", service("10.0.0.6", 9091, json!({})), "critical");
    register(&consul, "n7", service("2001:DB8:0::1", 9091, json!({})), "passing");
    register(&consul, "n8", service("", 9091, json!({})), "passing");
    // One passing registration of an address is enough; a registration without a port is ignored.
    register(&consul, "n9", service("10.0.0.6", 9091, json!({"ID": "again"})), "passing");
    register(&consul, "n10", service("10.0.0.10", 0, json!({})), "passing");
    register(&consul, "n11", service("10.0.0.11", 9091, json!({"Tags": ["test"]})), "passing");

    let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
    let edits =
        [("route_by: group", "route_by: job"), ("points: 1024", "points: 77"), ("tags: []", "tags: [prod]")];
    let templates = Templates::install(&layout, &edits).unwrap();
    templates.once(consul.address).unwrap();
    let rendered = Fleet::from_file(&layout.live().join("ring.yaml")).unwrap();
    assert_eq!(rendered.router.config().members.len(), 7, "{:?}", rendered.router.config().members);
    assert!(rendered.changed.is_some());

    let address = consul.address.to_string();
    let fleet = read(&layout, &address, &["--tag", "prod"]).unwrap();
    assert_eq!(fleet.router.digest(), rendered.router.digest());
    assert_eq!(fleet.router.config(), rendered.router.config());
    let registered: Vec<_> = fleet.registered.iter().map(|m| (m.name.as_str(), m.address.as_str())).collect();
    assert_eq!(registered, [("pg-5", "10.0.0.5:9091")]);
    assert_eq!((fleet.skipped.len(), fleet.changed), (1, None), "{:?}", fleet.skipped);
    assert_ne!(read(&layout, &address, &[]).unwrap().router.digest(), rendered.router.digest(), "one more");

    for number in [1, 2, 3, 4, 6] {
        let id = format!("10.0.0.{number}_9091");
        register(
            &consul,
            &format!("n{number}"),
            service(&format!("10.0.0.{number}"), 9091, json!({"ID": id})),
            "critical",
        );
    }
    register(&consul, "n8", service("", 9091, json!({})), "critical");
    register(&consul, "n9", service("10.0.0.6", 9091, json!({"ID": "again"})), "critical");
    let error = read(&layout, &address, &["--tag", "prod"]).unwrap_err();
    assert!(error.is::<NotSafe>(), "two of eight: Envoy keeps its ring: {error:#}");
    assert!(error.to_string().contains("members: found 1 members, allowed at least 4"), "{error:#}");
}

#[test]
fn fails_if_the_fleet_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let acl =
        r#"-hcl=acl { enabled = true default_policy = "allow" tokens { initial_management = "root" } }"#;
    let consul = Consul::start_with(dir.path(), &[acl]);
    let consul = consul.unwrap();
    let client = Client::new(consul.address).unwrap();
    let root = [("X-Consul-Token", "root")];
    let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
    layout.write_ring(r#"{"members": ["10.0.0.1:9091"]}"#).unwrap();
    let policy = json!({"Name": "half", "Rules": r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "deny" }"#}).to_string();
    poll_until("Consul to have its first token", || {
        let answer = client.send("PUT", "/v1/acl/policy", &root, policy.clone()).ok()?;
        (answer.status == 200).then_some(())
    })
    .unwrap();
    let token = json!({"Policies": [{"Name": "half"}]}).to_string();
    let token = client.send("PUT", "/v1/acl/token", &root, token).unwrap().json().unwrap();
    let body = json!({"Node": "n1", "Address": "10.1.1.1", "Service": service("10.0.0.1", 9091, json!({}))});
    let registered = client.send("PUT", "/v1/catalog/register", &root, body.to_string()).unwrap();
    assert_eq!(registered.status, 200, "{}", registered.text());

    let address = consul.address.to_string();
    let good = read(&layout, &address, &["--consul-token", "root"]).unwrap();
    assert_eq!(good.router.config().members.len(), 1);
    let half = token["SecretID"].as_str().unwrap();
    for (args, message) in [
        (["--consul-token", half, "--service", "pushgateway"], "hides registrations"),
        (["--consul-token", "unknown", "--service", "pushgateway"], "ACL not found"),
        (["--consul-token", "root", "--datacenter", "mars"], "No path to datacenter"),
        (["--consul-token", "root", "--service", "nothing"], "has 0 registered members"),
    ] {
        let error = format!("{:#}", read(&layout, &address, &args).unwrap_err());
        assert!(error.contains(message) && !error.contains(half), "{args:?}: {error}");
    }
    let error = format!("{:#}", read(&layout, "127.0.0.1:1", &[]).unwrap_err());
    assert!(error.contains("cannot be reached; check --consul"), "{error}");
}

/// In consul-template's query, `prod.pushgateway` asks for the services `pushgateway` with the tag `prod`.
#[test]
fn a_service_name_with_a_meaning_in_queries_renders_no_other_service() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    register(&consul, "n1", service("10.0.0.1", 9091, json!({})), "passing");
    let names = ["prod.pushgateway", "pushgateway~near", "pushgateway|passing", "pushgateway@dc1"];
    for (number, name) in names.into_iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        let layout = Layout::create(&folder, Mode::Cluster, Ports::default()).unwrap();
        let quoted = format!("service: {name:?}");
        let templates = Templates::install(&layout, &[("service: pushgateway", &quoted)]).unwrap();
        let output = templates.once(consul.address).unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains(&format!("consul.service: found {name:?}, allowed")), "{log}");
        assert!(!layout.live().join("ring.yaml").exists(), "{name}");
        let rendered = std::fs::read_to_string(folder.join("registrations.json")).unwrap();
        assert!(!rendered.contains("10.0.0.1"), "{name}: {rendered}");
    }
}
