//! The targets that a real Prometheus reads.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use pushring_harness::{Prometheus, Pushgateway, poll_until};
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
