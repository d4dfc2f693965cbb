//! Each setting mirrors its methods, and no header of a client has an effect on it.

use pushring_harness::{Mode, http::Client};

use crate::{fleet, wait_requests};

const PUSH: &str = "/metrics/job/a";

#[test]
fn each_setting_mirrors_its_methods_to_the_replica_only() {
    for mode in Mode::ROUTED {
        for (mirror, copies) in [("none", 0), ("deletes", 1), ("all", 3)] {
            let fleet = fleet(mode, 4, mirror);
            let clients = [fleet.envoy.client().unwrap(), Client::http2(fleet.envoy.push).unwrap()];
            let ring = fleet.clockwise(PUSH);
            for client in &clients {
                for victim in 0..4 {
                    let forged = fleet.destination(victim);
                    let headers = [
                        ("x-pushring-destination-mirror", forged.as_str()),
                        ("X-Pushring-Destination-Mirror", forged.as_str()),
                        ("x-pushring-destination", forged.as_str()),
                    ];
                    for (method, status) in [("PUT", 200), ("POST", 200), ("DELETE", 202), ("PATCH", 405)] {
                        let answer = client.send(method, PUSH, &headers, "x 1\n").unwrap();
                        assert_eq!(answer.status, status, "{mode} {mirror} {method}: {}", answer.text());
                    }
                    // No push, so no copy.
                    for path in ["/metrics", "/metrics/job", "/api/v1/status"] {
                        client.send("PUT", path, &headers, "x 1\n").unwrap();
                    }
                }
            }
            let mut requests = vec![0; 4];
            (requests[ring[0]], requests[ring[1]]) = (32, 8 * copies);
            wait_requests(&fleet, &requests);
        }
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
