//! A bad configuration never stops a push, and Envoy recovers from a bad first one.

use pushring_harness::{Envoy, Layout, Mode, Ports, Pushgateway, envoy_files, poll_until};

use pushring_harness::EnvoyFixture;

const REJECTED: &str = "extension_config_discovery.http_filter.pushring.update_rejected";
const FAILED: &str = "extension_config_discovery.http_filter.pushring.update_failure";
const PUSH: &str = "/metrics/job/a";

#[test]
fn a_bad_configuration_keeps_the_ring_and_shows_in_the_statistics() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 3);
        let before = fleet.envoy.status().unwrap();
        let owner = fleet.gateways[fleet.owner(PUSH)].address.to_string();
        let bad = [
            "{}",
            "not JSON",
            r#"{"members": []}"#,
            r#"{"members": ["127.0.0.1:1"], "rout_by": "job"}"#,
            r#"{"members": ["127.0.0.1:1", "127.0.0.1:1"]}"#,
            r#"{"members": ["127.0.0.1:1"], "min_members": 2}"#,
        ];
        for (count, json) in bad.iter().enumerate() {
            fleet.layout.write_ring(json).unwrap();
            fleet.envoy.wait_stat(REJECTED, |rejected| rejected > count as u64).unwrap();
        }
        // A file that is not YAML, and a file without the resource.
        fleet.layout.write_live("ring.yaml", "resources: [").unwrap();
        fleet.envoy.wait_stat(FAILED, |failed| failed > 0).unwrap();
        fleet.layout.write_live("ring.yaml", "resources: []\n").unwrap();
        fleet.envoy.wait_stat(REJECTED, |rejected| rejected > bad.len() as u64).unwrap();

        let client = fleet.envoy.client().unwrap();
        assert_eq!(fleet.envoy.status().unwrap(), before, "{mode}");
        let asked = client.get(&format!("/-/pushring/owner?path={PUSH}")).unwrap();
        assert_eq!(asked.text(), format!("nextUrl:http://{owner}{PUSH}"));
        assert_eq!(client.put(PUSH, "x 1\n").unwrap().status, if mode == Mode::Redirect { 307 } else { 200 });
        fleet.envoy.wait_stat("wasmcustom.pushring_members", |members| members == 3).unwrap();
        fleet.envoy.wait_stat("wasmcustom.pushring_config_rejected", |rejected| rejected > 0).unwrap();
        assert!(fleet.envoy.process.log().contains("rout_by"), "the log must name the unknown field");
    }
}

#[test]
fn recovers_from_a_bad_or_empty_first_configuration() {
    for mode in Mode::ALL {
        let mut empty = envoy_files::config(mode, &[]).unwrap();
        empty["min_members"] = 0.into();
        for first in ["not JSON", r#"{"members": []}"#, &empty.to_string()] {
            let dir = tempfile::tempdir().unwrap();
            let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
            let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
            layout.write_upstreams(&[]).unwrap();
            layout.write_ring(first).unwrap();
            heals(&layout, &gateway);
        }
    }
}

/// A file in which the templates rendered nothing.
#[test]
fn recovers_from_a_first_file_without_resources() {
    for mode in Mode::ALL {
        let dir = tempfile::tempdir().unwrap();
        let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
        let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
        layout.write_live("ring.yaml", "resources: []\n").unwrap();
        if let Some(file) = mode.upstream_file() {
            layout.write_live(file, "resources: []\n").unwrap();
        }
        heals(&layout, &gateway);
    }
}

fn heals(layout: &Layout, gateway: &Pushgateway) {
    let mode = layout.mode();
    let envoy = Envoy::start(layout, 1).unwrap();
    let client = envoy.client().unwrap();
    for method in ["PUT", "POST", "DELETE"] {
        let answer = client.send(method, PUSH, &[], "x 1\n").unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{mode}");
        assert!(answer.text().contains("no pushgateway is known"), "{mode}: {}", answer.text());
    }
    assert_eq!(client.get("/-/ready").unwrap().status, 503);

    layout.write(&envoy_files::config(mode, &[gateway.address.into()]).unwrap()).unwrap();
    let address = gateway.address.to_string();
    envoy.wait_members(&[&address]).unwrap();
    if mode != Mode::Redirect {
        envoy.wait_upstreams(&[&address]).unwrap();
    }
    let wanted = if mode == Mode::Redirect { 307 } else { 200 };
    poll_until("a push to succeed", || (client.put(PUSH, "x 1\n").ok()?.status == wanted).then_some(()))
        .unwrap();
    assert_eq!(client.get("/-/ready").unwrap().status, 200);
}
