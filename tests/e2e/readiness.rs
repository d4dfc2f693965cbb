//! The answer to load balancers and Kubernetes before they send pushes. Envoy's own `/ready` is 200 in all of these cases.

use std::io::{Read, Write};
use std::net::TcpStream;

use pushring_harness::http::Client;
use pushring_harness::{Envoy, EnvoyFixture, Layout, Mode, Module, Ports, envoy_files, poll_until};
use serde_json::json;

fn status(envoy: &Envoy) -> [u16; 3] {
    let client = Client::new(envoy.metrics.unwrap()).unwrap();
    let push = envoy.client().unwrap();
    [
        client.get("/-/ready").unwrap().status,
        client.get("/ready").unwrap().status,
        push.get("/-/ready").unwrap().status,
    ]
}

/// HAProxy's `option httpchk GET /-/ready`, and nginx, ask like this.
#[test]
fn answers_health_checks_in_http_1_0() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        let mut stream = TcpStream::connect(fleet.envoy.metrics.unwrap()).unwrap();
        stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "),
            "{mode}: {answer}"
        );
    }
}

fn envoys_own(envoy: &Envoy) -> u16 {
    Client::new(envoy.admin).unwrap().get("/ready").unwrap().status
}

fn wait(envoy: &Envoy, wanted: [u16; 3]) {
    poll_until(&format!("readiness {wanted:?}"), || (status(envoy) == wanted).then_some(())).unwrap();
}

#[test]
fn not_ready_while_the_ring_has_no_members() {
    for mode in Mode::ALL {
        let mut fleet = EnvoyFixture::start(mode, 2);
        assert_eq!(status(&fleet.envoy), [200; 3], "{mode}");
        let full = fleet.config.clone();
        fleet.config["members"] = json!([]);
        fleet.config["min_members"] = 0.into();
        fleet.layout.write_ring(&fleet.config.to_string()).unwrap();
        wait(&fleet.envoy, [503; 3]);
        assert_eq!(envoys_own(&fleet.envoy), 200, "{mode}");
        fleet.layout.write_ring(&full.to_string()).unwrap();
        wait(&fleet.envoy, [200; 3]);
        // A rejected ring: the last one is in force, and pushes continue.
        fleet.layout.write_ring("not JSON").unwrap();
        fleet
            .envoy
            .wait_stat("extension_config_discovery.http_filter.pushring.update_rejected", |count| count > 0)
            .unwrap();
        assert_eq!(status(&fleet.envoy), [200; 3], "{mode}");
    }
}

#[test]
fn not_ready_after_a_first_ring_that_was_rejected() {
    for mode in Mode::ALL {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path(), mode, Ports::default()).unwrap();
        layout.write_upstreams(&[]).unwrap();
        layout.write_ring("not JSON").unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        assert_eq!((status(&envoy), envoys_own(&envoy)), ([503; 3], 200), "{mode}");
        let member = "127.0.0.1:1".parse::<std::net::SocketAddr>().unwrap().into();
        layout.write_ring(&envoy_files::config(mode, &[member]).unwrap().to_string()).unwrap();
        wait(&envoy, [200; 3]);
    }
}

/// Without this callback the filter has no configuration; without that call it ends its VM at each request.
#[test]
fn not_ready_when_the_filter_crashes() {
    for mode in Mode::ALL {
        for missing in ["proxy_on_configure: {}", "proxy_get_header_map_value: {}"] {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::with_module(Module::Wasm, dir.path(), mode, Ports::default(), &[]).unwrap();
            layout.write_upstreams(&[]).unwrap();
            let member = "127.0.0.1:1".parse::<std::net::SocketAddr>().unwrap().into();
            let config = envoy_files::config(mode, &[member]).unwrap().to_string();
            layout.write_live("ring.yaml", &layout.ring(&config).replace(missing, "")).unwrap();
            let envoy = Envoy::start(&layout, 1).unwrap();
            assert_eq!((status(&envoy), envoys_own(&envoy)), ([503; 3], 200), "{mode} {missing}");
        }
    }
}

/// Before an upgrade, an operator takes an Envoy out of the load balancer.
#[test]
fn not_ready_when_an_operator_says_so() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        let admin = Client::new(fleet.envoy.admin).unwrap();
        let ready = || status(&fleet.envoy)[..2].to_vec();
        assert_eq!(admin.send("POST", "/healthcheck/fail", &[], "").unwrap().status, 200);
        assert_eq!(ready(), [503; 2], "{mode}");
        assert_eq!(admin.send("POST", "/healthcheck/ok", &[], "").unwrap().status, 200);
        assert_eq!(ready(), [200; 2], "{mode}");
    }
}
