//! The ring from Consul is the same by `discover` and by consul-template: on recorded answers and on a real Consul.

use std::fs;
use std::path::Path;

use pushring_harness::{Consul, Layout, Mode, Module, Ports, Templates, command, process, tools};
use serde_json::json;

#[path = "../membership/replay.rs"]
mod replay;

type Pairs = &'static [(&'static str, &'static str)];

const FILES: [&str; 3] = ["ring.yaml", "clusters.yaml", "endpoints.yaml"];

/// Publishes once by `discover` and returns the live files, without the folder.
fn discover(dir: &Path, mode: Mode, consul: &str, edits: &[(&str, &str)]) -> Vec<Option<String>> {
    // The fixtures name the Wasm filter.
    let layout = Layout::with_module(Module::Wasm, dir, mode, Ports::default(), &[]).unwrap();
    Templates::install(&layout, edits).unwrap();
    let settings = layout.dir().join("consul-template/settings.yaml");
    let mut command = command::prepare(process::command(&tools::pushring().unwrap()));
    command.args(["discover", "--once", "--from", "consul", "--consul", consul, "--delay", "0s"]);
    command.arg("--live").arg(layout.live()).arg("--settings").arg(settings);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    live(&layout)
}

fn live(layout: &Layout) -> Vec<Option<String>> {
    let folder = layout.dir().to_str().unwrap();
    let read = |file| fs::read_to_string(layout.live().join(file)).ok();
    FILES.iter().map(|file| Some(read(file)?.replace(folder, "/etc/pushring"))).collect()
}

#[test]
fn recorded_answers_make_the_same_ring_as_by_consul_template() {
    let odd: Pairs = &[("dc1", "odd.json")];
    let other: Pairs = &[
        ("route_by: group", "route_by: path"),
        ("{ type: ring, points: 1024 }", "{ type: dynamic-sharding }"),
        ("min_members_share: 0.5", "min_members_share: 0.75"),
        ("path_prefix: \"\"", "path_prefix: /pushgateway"),
        ("utf8_names: false", "utf8_names: true"),
    ];
    let two: Pairs = &[("dc1", "odd.json"), ("dc2", "dc2.json")];
    let cases: [(&str, Mode, Pairs, Pairs); 7] = [
        ("odd-cluster", Mode::Cluster, odd, &[]),
        ("odd-endpoint", Mode::Endpoint, odd, &[]),
        ("odd-redirect", Mode::Redirect, odd, &[]),
        ("empty-cluster", Mode::Cluster, &[("dc1", "empty.json")], &[]),
        ("datacenters", Mode::Cluster, two, &[("datacenters: []", "datacenters: [dc1, dc2]")]),
        ("tags", Mode::Cluster, odd, &[("tags: []", "tags: [prod, eu]")]),
        ("settings", Mode::Cluster, odd, other),
    ];
    for (case, mode, answers, edits) in cases {
        let dir = tempfile::tempdir().unwrap();
        let consul = replay::consul(answers).to_string();
        let found = discover(&dir.path().join("pushring"), mode, &consul, edits);
        let fixture = tools::repository().join("consul-template/fixtures").join(case);
        let expected: Vec<_> = FILES.iter().map(|file| fs::read_to_string(fixture.join(file)).ok()).collect();
        assert!(found == expected, "{case}: {found:#?}");
    }
}

#[test]
fn a_real_consul_makes_the_same_ring_as_by_consul_template() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let services = [
        json!({"ID": "a", "Address": "10.0.0.1", "Port": 9091, "Meta": {"pushring-name": "first"}}),
        json!({"ID": "b", "Address": "10.0.0.2", "Port": 9091, "Meta": {"pushring-name": "first"}}),
        json!({"ID": "c", "Address": "::ffff:10.0.0.3", "Port": 9091, "Weights": {"Passing": 7, "Warning": 1}}),
        json!({"ID": "d", "Address": "", "Port": 9091}),
        json!({"ID": "e", "Address": "no host", "Port": 9091}),
        json!({"ID": "f", "Address": "10.0.0.4", "Port": 9091, "Meta": {"pushring-leaving": "true"}}),
        json!({"ID": "g", "Address": "10.0.0.5", "Port": 9091, "Meta": {"pushring-scheme": "https"}}),
    ];
    for mut service in services {
        service["Service"] = json!("pushgateway");
        let body = json!({"Node": "odd", "Address": "10.9.0.1", "Service": service});
        consul.put("/v1/catalog/register", &body).unwrap();
    }
    for mode in [Mode::Cluster, Mode::Endpoint] {
        let folder = tempfile::tempdir().unwrap();
        let templates = folder.path().join("templates");
        let layout = Layout::with_module(Module::Wasm, &templates, mode, Ports::default(), &[]).unwrap();
        Templates::install(&layout, &[]).unwrap().once(consul.address).unwrap();
        let found = discover(&folder.path().join("discover"), mode, &consul.address.to_string(), &[]);
        assert_eq!(found, live(&layout), "{mode}");
        assert!(found[0].as_ref().is_some_and(|ring| ring.contains("first") && !ring.contains("10.0.0.4")));
    }
}
