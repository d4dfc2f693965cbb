//! The shipped files: their limits and answers are as documented.

use pushring_harness::Mode;
use pushring_harness::http::{self, Client};

use pushring_harness::EnvoyFixture;

#[test]
fn answers_other_requests_with_a_helpful_404() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        for client in [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()] {
            for path in
                ["/", "/metrics", "/metrics/job", "/metrics/job/", "/api/v1/metrics", "/metrics/jobs/a"]
            {
                let answer = client.put(path, "x 1\n").unwrap();
                assert_eq!(answer.status, 404, "{mode} {path}");
                assert!(answer.text().contains("PUT, POST or DELETE /metrics/job/"), "{}", answer.text());
            }
        }
        assert_eq!(fleet.gateways[0].groups().unwrap(), []);
    }
}

#[test]
fn health_readiness_and_status() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 2);
        let client = fleet.envoy.client().unwrap();
        assert_eq!(client.get("/-/healthy").unwrap().status, 200);
        assert_eq!(client.get("/-/ready").unwrap().status, 200);
        let status = fleet.envoy.status().unwrap();
        assert_eq!(status["mode"], mode.to_string());
        assert_eq!(status["members"].as_array().unwrap().len(), 2);
        fleet.envoy.wait_stat("wasmcustom.pushring_members", |members| members == 2).unwrap();
        fleet.envoy.wait_stat("wasmcustom.pushring_points", |points| points == 2048).unwrap();
    }
}

#[test]
fn a_body_over_the_limit_gets_413_and_one_at_the_limit_is_stored() {
    const LIMIT: usize = 16 << 20;
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 1);
        let body = |length: usize| {
            let mut body = b"x 1\n#".to_vec();
            body.resize(length - 1, b'.');
            body.push(b'\n');
            body
        };
        assert_eq!(fleet.envoy.client().unwrap().put("/metrics/job/a", body(LIMIT)).unwrap().status, 200);
        // Envoy answers before it has the whole body, so the test writes and reads the connection directly.
        let request = "PUT /metrics/job/b HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n";
        let mut bytes = request.as_bytes().to_vec();
        bytes.extend(body(LIMIT + 1));
        let answer = http::raw(fleet.envoy.push, &bytes).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(fleet.gateways[0].groups().unwrap().len(), 1);
    }
}

#[test]
fn the_operator_listener_reaches_each_gateways_own_pages() {
    for mode in Mode::ROUTED {
        let fleet = EnvoyFixture::start(mode, 3);
        for (index, gateway) in fleet.gateways.iter().enumerate() {
            gateway.client().unwrap().put(&format!("/metrics/job/only-on-{index}"), "x 1\n").unwrap();
        }
        let operator = Client::new(fleet.envoy.operator.unwrap()).unwrap();
        for index in 0..3 {
            let destination = fleet.destination(index);
            let headers = [("x-pushring-gateway", destination.as_str())];
            let metrics = operator.send("GET", "/metrics", &headers, "").unwrap().text();
            assert!(
                metrics.contains(&format!("x{{instance=\"\",job=\"only-on-{index}\"}} 1")),
                "{mode}: {metrics}"
            );
            assert!(operator.send("GET", "/", &headers, "").unwrap().text().contains("<html"));
        }
        let answer = operator.get("/metrics").unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("x-pushring-gateway"));
        let unknown = [("x-pushring-gateway", "127.0.0.1:1")];
        assert_eq!(operator.send("GET", "/metrics", &unknown, "").unwrap().status, 503);
    }
}
