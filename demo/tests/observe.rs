//! `make observe`: everything is up and watched, and Ctrl-C leaves nothing. `make e2e-monitoring` runs it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a panic is how a test fails

#[path = "demo/running.rs"]
#[allow(dead_code)]
mod running;

use std::net::SocketAddr;

use pushring_harness::http::Client;
use pushring_harness::poll_until;
use running::{Running, assert_gone};
use rustix::process::Signal;
use serde_json::Value;

/// Returns the address in a URL.
fn address(url: &Value) -> SocketAddr {
    url.as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap()
}

fn all_is_watched_and_ends(source: &str, mode: &str) {
    let dir = tempfile::tempdir().unwrap();
    let args = ["observe", "--port", "0", "--speed", "60", "--source", source, "--mode", mode];
    let mut demo = Running::start_in(dir.path(), &args);
    demo.wait("Jobs push now. Events:");
    let found = std::fs::read_to_string(dir.path().join("where.json")).unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((&found["source"], &found["mode"]), (&source.into(), &mode.into()));
    let fits = |line: &str| line.chars().count() <= 80 || line.split(' ').any(|word| word.len() > 50);
    assert!(demo.said().lines().all(fits), "{:?}", demo.said().lines().find(|line| !fits(line)));

    let prometheus = address(&found["prometheus"]);
    let client = Client::new(prometheus).unwrap();
    let targets = || {
        let answer = client.get("/api/v1/targets?state=active").ok()?.json().ok()?;
        let targets = answer["data"]["activeTargets"].as_array()?.clone();
        // 4 gateways and their agents, 2 Envoys, 2 discover, serve, the sweeper and node_exporter.
        let up = targets.iter().filter(|target| target["health"] == "up").count();
        (up == targets.len() && up >= 15).then_some(())
    };
    poll_until("all targets to be up", targets).unwrap();
    let rules = || {
        let answer = client.get("/api/v1/rules").ok()?.json().ok()?;
        let groups = answer["data"]["groups"].as_array()?.clone();
        let rules: Vec<Value> =
            groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
        (!rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    };
    poll_until("all rules to be evaluated", rules).unwrap();
    demo.wait("both Envoys have a ring of 5 members");
    let groups = || {
        let answer = client.get("/api/v1/query?query=sum(pushring_serve_groups)").ok()?.json().ok()?;
        (answer["data"]["result"][0]["value"][1].as_str()?.parse::<u32>().ok()? > 0).then_some(())
    };
    poll_until("Prometheus to know the groups of pushring serve", groups).unwrap();
    for envoy in found["envoys"].as_array().unwrap() {
        let page = Client::new(address(&envoy["push"])).unwrap().get("/").unwrap();
        assert_eq!(page.status, 200, "{}", page.text());
    }

    let children = demo.children();
    assert!(children.len() >= 19, "{children:?}");
    let mut addresses: Vec<_> =
        ["prometheus", "alertmanager", "registry", "serve"].map(|name| address(&found[name])).into();
    addresses.extend(found["gateways"].as_array().unwrap().iter().map(address));
    for envoy in found["envoys"].as_array().unwrap() {
        addresses.extend(["push", "metrics", "discover"].map(|name| address(&envoy[name])));
    }
    assert_eq!(demo.end(Signal::INT), Some(0));
    assert_gone(&children, &addresses);
    assert!(!dir.path().join("where.json").exists());
    demo.wait("Stopped: all processes have ended");
}

#[test]
fn with_consul_and_clusters() {
    all_is_watched_and_ends("consul", "cluster");
}

#[test]
fn with_etcd_and_endpoints() {
    all_is_watched_and_ends("etcd", "endpoint");
}
