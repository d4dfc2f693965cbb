//! The configuration for Consul finds the gateways and gives them their labels.

use std::fs;
use std::process::Command;

use pushring_harness::{Consul, poll_until, tools};
use serde_json::{Value, json};

#[test]
fn targets_from_consul_have_their_labels() {
    let dir = tempfile::tempdir().unwrap();
    let consul = Consul::start(dir.path()).unwrap();
    let service = json!({
        "ID": "a", "Name": "pushgateway", "Address": "10.0.0.1", "Port": 9091, "Meta": {"pushring-scheme": "https"},
    });
    consul.put("/v1/agent/service/register", &service).unwrap();
    let shipped = tools::repository().join("monitoring");
    let text = fs::read_to_string(shipped.join("prometheus-consul.yml")).unwrap();
    let file = dir.path().join("prometheus.yml");
    fs::write(&file, text.replace("127.0.0.1:8500", &consul.address.to_string())).unwrap();
    fs::copy(shipped.join("rules.yml"), dir.path().join("rules.yml")).unwrap();
    let found = || {
        let mut command = Command::new(tools::find("promtool").ok()?);
        command.args(["check", "service-discovery", "--timeout=5s"]).arg(&file).arg("pushgateway");
        let targets: Value = serde_json::from_slice(&command.output().ok()?.stdout).ok()?;
        Some(targets[0]["labels"].clone()).filter(Value::is_object)
    };
    let labels = poll_until("the target", found).unwrap();
    for (name, value) in [
        ("__scheme__", "https"),
        ("instance", "10.0.0.1:9091"),
        ("pushring_gateway", "10.0.0.1:9091"),
        ("dc", "dc1"),
    ] {
        assert_eq!(labels[name], value, "{name} in {labels:#}");
    }
}
