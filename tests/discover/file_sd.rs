//! The targets that a real Prometheus reads.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use pushring_harness::etcd::Version;
use pushring_harness::{Etcd, Prometheus, Pushgateway, poll_until};
use serde_json::json;

use crate::running::Discover;

/// Returns address and state of each target.
fn targets(prometheus: &Prometheus) -> BTreeMap<String, String> {
    let text = |labels: &serde_json::Value, name: &str| labels[name].as_str().unwrap_or_default().to_owned();
    let labels = prometheus.target_labels().unwrap_or_default();
    labels.iter().map(|labels| (text(labels, "address"), text(labels, "state"))).collect()
}

fn wait(prometheus: &Prometheus, expected: &[(&str, &str)]) {
    let wanted: BTreeMap<String, String> =
        expected.iter().map(|(address, state)| ((*address).to_owned(), (*state).to_owned())).collect();
    poll_until("the targets", || (targets(prometheus) == wanted).then_some(()))
        .unwrap_or_else(|error| panic!("{error:#}\n{wanted:?}\n{:?}", targets(prometheus)));
}

/// Only the change of the file can cause a read: the interval is an hour.
#[test]
fn prometheus_has_all_gateways_and_each_change() {
    let dir = tempfile::tempdir().unwrap();
    let (gateways, file_sd) = (dir.path().join("gateways.json"), dir.path().join("targets.json"));
    let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
    let address = gateway.address.to_string();
    let write = |list: serde_json::Value| {
        let new = gateways.with_extension("new");
        std::fs::write(&new, list.to_string()).unwrap();
        std::fs::rename(new, &gateways).unwrap();
    };
    let member = |address: &str, status: &str| json!({"address": address, "status": status});
    write(json!([member(&address, "passing"), member("10.0.0.2:9091", "critical")]));
    let config = json!({"scrape_configs": [{
        "job_name": "pushgateway", "honor_labels": true, "scrape_interval": "1h",
        "file_sd_configs": [{"files": [&file_sd], "refresh_interval": "1h"}],
    }]});
    let prometheus = Prometheus::with_config(dir.path(), &config).unwrap();
    let mut discover = Discover::start(&[
        "--from",
        "file",
        "--file",
        gateways.to_str().unwrap(),
        "--file-sd",
        file_sd.to_str().unwrap(),
    ]);
    wait(&prometheus, &[(&address, "on-ring"), ("10.0.0.2:9091", "not-passing")]);
    let mode = std::fs::metadata(&file_sd).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
    // Held: fewer than half are passing. The ring stays, and so does the state of its member.
    write(json!([member(&address, "critical"), member("10.0.0.3:9091", "critical")]));
    wait(
        &prometheus,
        &[(&address, "on-ring"), ("10.0.0.2:9091", "vanished"), ("10.0.0.3:9091", "not-passing")],
    );
    discover.wait_metric("pushring_discover_held", 1.0);
    write(
        json!([{"address": &address}, {"address": "10.0.0.3:9091"}, {"address": "10.0.0.2:9091", "leaving": true}]),
    );
    wait(&prometheus, &[(&address, "on-ring"), ("10.0.0.2:9091", "leaving"), ("10.0.0.3:9091", "on-ring")]);
    // A file that cannot be written is reported, and written later.
    let (away, folder) = (dir.path().join("away"), file_sd.with_file_name(".targets.json.new"));
    std::fs::create_dir(&folder).unwrap();
    write(json!([{"address": &address}, {"address": "10.0.0.3:9091"}]));
    discover.wait_log("targets not written", 1);
    std::fs::rename(folder, away).unwrap();
    wait(&prometheus, &[(&address, "on-ring"), ("10.0.0.3:9091", "on-ring")]);
    discover.wait_log("targets written", 1);
    discover.stop();
}

/// Its target disappears with its key: Prometheus would report it as down.
#[test]
fn a_gateway_that_left_etcd_is_no_target() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("targets.json");
    let etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    let gateway = |last: u8, leaving: bool| {
        let value = json!({"host": format!("10.0.0.{last}"), "port": 9091, "leaving": leaving});
        etcd.put(format!("/service/pushgateway/{last}"), value.to_string()).unwrap();
    };
    gateway(1, false);
    gateway(2, false);
    let _discover =
        Discover::start(&["--from", "etcd", "--etcd", &etcd.url(), "--file-sd", file.to_str().unwrap()]);
    let wait = |states: &[&str]| {
        let found = || {
            let targets: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok()?;
            let state = |target: &serde_json::Value| target["labels"]["state"].as_str().map(str::to_owned);
            targets.as_array()?.iter().map(state).collect::<Option<Vec<_>>>()
        };
        poll_until(&format!("the states {states:?}"), || (found()? == states).then_some(())).unwrap();
    };
    wait(&["on-ring", "on-ring"]);
    gateway(2, true);
    wait(&["on-ring", "leaving"]);
    etcd.delete("/service/pushgateway/2").unwrap();
    wait(&["on-ring"]);
}

/// Every service below `/service/` in etcd, with its path of metrics; only the gateways' own is members.
#[test]
fn every_service_of_etcd() {
    let dir = tempfile::tempdir().unwrap();
    let all = dir.path().join("all.json");
    let etcd = Etcd::start(dir.path(), Version::Newest).unwrap();
    let app = |port: u16| {
        json!({"host": "10.0.0.9", "port": port, "routes": [{"path": "/app/metrics", "method": "GET"}]})
            .to_string()
    };
    etcd.put("/service/pushgateway/a", r#"{"host": "10.0.0.1", "port": 9091}"#).unwrap();
    etcd.put("/service/pushgateway2/a", r#"{"host": "10.0.0.2", "port": 9091}"#).unwrap();
    etcd.put("/service/app/1", app(80)).unwrap();
    etcd.put("/service/app/2", "no JSON").unwrap();
    let _discover =
        Discover::start(&["--from", "etcd", "--etcd", &etcd.url(), "--file-sd-all", all.to_str().unwrap()]);
    let wait = |apps: &[&str]| {
        let app = json!({"targets": apps, "labels": {"service": "app", "__metrics_path__": "/app/metrics"}});
        let other =
            |service: &str, target: &str| json!({"targets": [target], "labels": {"service": service}});
        let mut expected =
            vec![other("pushgateway", "10.0.0.1:9091"), other("pushgateway2", "10.0.0.2:9091")];
        if !apps.is_empty() {
            expected.insert(0, app);
        }
        let found = || serde_json::from_str(&std::fs::read_to_string(&all).ok()?).ok();
        poll_until("the targets", || (found() == Some(json!(expected))).then_some(()))
            .unwrap_or_else(|error| panic!("{error:#}\n{:?}", found()));
    };
    wait(&["10.0.0.9:80"]);
    etcd.put("/service/app/2", app(81)).unwrap();
    wait(&["10.0.0.9:80", "10.0.0.9:81"]);
    etcd.delete("/service/app/1").unwrap();
    etcd.put("/service/app/2", "no JSON").unwrap();
    wait(&[]);
}
