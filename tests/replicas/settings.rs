//! Each setting mirrors its methods, and no header of a client has an effect on it.

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode};

use crate::{fleet, set_mirror, wait_requests};

const PUSH: &str = "/metrics/job/a";

#[test]
fn each_setting_mirrors_its_methods_to_the_replica_only() {
    for mode in Mode::ROUTED {
        let mut fleet = EnvoyFixture::start(mode, 4);
        let clients = [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()];
        let ring = fleet.clockwise(PUSH);
        let mut requests = vec![0; 4];
        for (mirror, copies) in [("none", 0), ("deletes", 1), ("all", 3)] {
            set_mirror(&mut fleet, mirror);
            for (client, victim) in
                clients.iter().flat_map(|client| (0..4).map(move |victim| (client, victim)))
            {
                push_forged(&fleet, client, victim);
                requests[ring[0]] += 4;
                requests[ring[1]] += copies;
            }
            wait_requests(&fleet, &requests);
        }
    }
}

/// Sends each kind of push once, and requests that are no push, with headers that name the victim.
fn push_forged(fleet: &EnvoyFixture, client: &Client, victim: usize) {
    let forged = fleet.destination(victim);
    let headers = [
        ("x-pushring-destination-mirror", forged.as_str()),
        ("x-pushring-destination-mirror", forged.as_str()), // a second copy
        ("x-pushring-destination", forged.as_str()),
    ];
    for (method, status) in [("PUT", 200), ("POST", 200), ("DELETE", 202), ("PATCH", 405)] {
        let answer = client.send(method, PUSH, &headers, "x 1\n").unwrap();
        assert_eq!(answer.status, status, "{method}: {}", answer.text());
    }
    for path in ["/metrics", "/metrics/job", "/api/v1/status"] {
        client.send("PUT", path, &headers, "x 1\n").unwrap();
    }
}

/// Pushes that the filter answers are not mirrored.
#[test]
fn a_rejected_push_has_no_copy() {
    for mode in Mode::ROUTED {
        let fleet = fleet(mode, 3, "all");
        let client = fleet.envoy.client().unwrap();
        for (method, path, status) in [
            ("PUT", "/metrics/job/a/b/%ff", 400),
            ("POST", "/metrics/job/a/instance/", 400),
            ("PUT", "/metrics//job/a", 307),
            ("GET", "/metrics/job/a", 405),
        ] {
            assert_eq!(client.send(method, path, &[], "").unwrap().status, status, "{mode} {method} {path}");
        }
        let ring = fleet.clockwise(PUSH);
        client.put(PUSH, "x 1\n").unwrap();
        let mut requests = vec![0; 3];
        (requests[ring[0]], requests[ring[1]]) = (1, 1);
        wait_requests(&fleet, &requests);
    }
}
